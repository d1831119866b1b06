"""The first user: ``recio up`` calls this once and prints the password that it returns."""

from __future__ import annotations

from typing import Final

from recio.adapters.postgres import users
from recio.domain.units import as_datetime
from recio.ports import Clock, Database
from recio.runtime.passwords import fresh_password, hash_password

ADMIN: Final = "admin"


async def ensure_admin(database: Database, clock: Clock) -> str | None:
    """Create the user ``admin`` if there is no user; return its password, or None if there is one.

    The password is returned once and kept nowhere: only its hash is stored.
    """
    password = fresh_password()
    async with database.transaction() as tx:
        if await users.has_users(tx):
            return None
        made = await users.add_user(tx, ADMIN, hash_password(password), at_us=clock.wall_us())
    return password if made else None


async def reset_password(database: Database, clock: Clock, name: str) -> str:
    """Give ``name`` a fresh password, end all its sessions, and return the password."""
    password = fresh_password()
    async with database.transaction() as tx:
        await tx.execute(
            "INSERT INTO ops.users (name, password_hash, changed_at) VALUES (%s, %s, %s)"
            " ON CONFLICT (name) DO UPDATE SET password_hash = excluded.password_hash,"
            " changed_at = excluded.changed_at",
            name,
            hash_password(password),
            as_datetime(clock.wall_us()),
        )
        await tx.execute("DELETE FROM ops.sessions WHERE name = %s", name)
    return password
