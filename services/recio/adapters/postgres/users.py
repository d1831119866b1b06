"""Users of the page: ``ops.users``. A password arrives here as its hash only."""

from __future__ import annotations

from recio.domain.units import as_datetime
from recio.ports import Transaction


async def has_users(tx: Transaction) -> bool:
    """Tell whether anybody can log in to the page."""
    return await tx.fetch_one("SELECT FROM ops.users LIMIT 1") is not None


async def add_user(tx: Transaction, name: str, password_hash: str, *, at_us: int) -> bool:
    """Add a user unless that name is taken; tell whether it was added."""
    made = await tx.execute(
        "INSERT INTO ops.users (name, password_hash, changed_at) VALUES (%s, %s, %s) "
        "ON CONFLICT (name) DO NOTHING",
        *(name, password_hash, as_datetime(at_us)),
    )
    return bool(made)
