"""Who may act for an account: one holder at a time, told apart by a rising epoch.

The holder renews in wall time of its own clock (never the database's). Another copy takes over at
once when the holder's database session is gone, else when it has not renewed for lease + margin:
the margin is longer than the exchange accepts a signature, so that what the old holder had signed
can no longer be executed (docs/decisions/0006). Through a pooler a transaction's own connection
says nothing about its client: the holder then names its direct one.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from recio.domain.units import SECOND_US, as_datetime, time_us
from recio.ports import Transaction

LEASE_SECONDS: Final = 10
MARGIN_SECONDS: Final = 10
"""The exchange takes a signature for 5 s (Kalshi API keys, measured on demo 2026-06); doubled."""


async def acquire(
    tx: Transaction,
    account: str,
    service: str,
    holder: UUID,
    *,
    wall_us: int,
    session_pid: int | None = None,
) -> int | None:
    """Take or renew the lease; return its epoch, or None while another copy holds it.

    ``session_pid`` is ``Database.session_pid``: None means this transaction's own session, 0 that
    the holder's life cannot be seen now, so that only time can tell.
    """
    held = await tx.fetch_one(
        "UPDATE trading.leases SET renewed_wall_at = %s, "
        "backend_pid = coalesce(%s::integer, pg_backend_pid()) "
        "WHERE account = %s AND service = %s AND holder = %s RETURNING epoch",
        as_datetime(wall_us),
        session_pid,
        account,
        service,
        holder,
    )
    if held is not None:
        return int(held[0])
    row = await tx.fetch_one(
        "SELECT l.epoch, l.renewed_wall_at, "
        "l.backend_pid = 0 OR EXISTS (SELECT FROM pg_stat_activity a "
        "        WHERE a.pid = l.backend_pid AND a.usename = session_user) "
        "FROM trading.leases l WHERE l.account = %s AND l.service = %s FOR UPDATE",
        account,
        service,
    )
    if row is None:
        return await _insert(tx, account, service, holder, wall_us, session_pid)
    epoch, renewed_at, has_session = row
    age_us = wall_us - time_us(renewed_at)
    if has_session and age_us < (LEASE_SECONDS + MARGIN_SECONDS) * SECOND_US:
        return None
    await tx.execute(
        "UPDATE trading.leases SET epoch = %s, holder = %s, "
        "backend_pid = coalesce(%s::integer, pg_backend_pid()), renewed_wall_at = %s "
        "WHERE account = %s AND service = %s",
        *(epoch + 1, holder, session_pid, as_datetime(wall_us), account, service),
    )
    return int(epoch) + 1


async def _insert(  # noqa: PLR0917 (the row)
    tx: Transaction,
    account: str,
    service: str,
    holder: UUID,
    wall_us: int,
    session_pid: int | None,
) -> int | None:
    made = await tx.execute(
        "INSERT INTO trading.leases "
        "VALUES (%s, %s, 1, %s, coalesce(%s::integer, pg_backend_pid()), %s) ON CONFLICT DO NOTHING",
        *(account, service, holder, session_pid, as_datetime(wall_us)),
    )
    return 1 if made else None
