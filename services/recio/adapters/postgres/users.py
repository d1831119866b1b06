"""Users of the page: ``ops.users``. A password arrives here as its hash only."""

from __future__ import annotations

from recio.domain.units import as_datetime
from recio.ports import Transaction


async def has_users(tx: Transaction) -> bool:
    """Tell whether anybody can log in to the page."""
    return await tx.fetch_one("SELECT FROM ops.users LIMIT 1") is not None


async def replace_password(tx: Transaction, name: str, password_hash: str, *, at_us: int) -> None:
    """Give a user another password and end all sessions of it."""
    await tx.execute(
        "UPDATE ops.users SET password_hash = %s, changed_at = %s WHERE name = %s",
        *(password_hash, as_datetime(at_us), name),
    )
    await tx.execute("DELETE FROM ops.sessions WHERE name = %s", name)


async def add_user(tx: Transaction, name: str, password_hash: str, *, at_us: int) -> bool:
    """Add a user unless that name is taken; tell whether it was added."""
    made = await tx.execute(
        "INSERT INTO ops.users (name, password_hash, changed_at) VALUES (%s, %s, %s) "
        "ON CONFLICT (name) DO NOTHING",
        *(name, password_hash, as_datetime(at_us)),
    )
    return bool(made)
