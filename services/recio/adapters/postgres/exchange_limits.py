"""What the exchange itself holds an account to: the fuse its entries carry, the money on its shard.

One row an account and shard, written by the executor and remembered over restarts.
"""

from __future__ import annotations

import msgspec

from recio.domain.units import as_datetime
from recio.ports import Transaction


class HeldFuse(msgspec.Struct, frozen=True, kw_only=True):
    """The order group of an account on a shard, as it was last known.

    ``state``: making (asked for, no answer yet), ready, blown, unverified.
    """

    state: str
    order_group_id: str | None
    contracts_e2: int
    reason: str


async def held_fuse(tx: Transaction, account: str, exchange_index: int) -> HeldFuse | None:
    """Return what is remembered; None: there never was one."""
    row = await tx.fetch_one(
        "SELECT state, order_group_id, contracts_e2, reason FROM trading.exchange_limits "
        "WHERE account = %s AND exchange_index = %s",
        *(account, exchange_index),
    )
    if row is None:
        return None
    return HeldFuse(state=row[0], order_group_id=row[1], contracts_e2=row[2], reason=row[3])


async def write_fuse(
    tx: Transaction, account: str, exchange_index: int, fuse: HeldFuse, *, at_us: int
) -> None:
    """Remember the fuse; every change of its state is audited by the database."""
    await tx.execute(
        "INSERT INTO trading.exchange_limits AS held (account, exchange_index, state, "
        "order_group_id, contracts_e2, reason, changed_at) VALUES (%s, %s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (account, exchange_index) DO UPDATE SET state = excluded.state, "
        "order_group_id = excluded.order_group_id, contracts_e2 = excluded.contracts_e2, "
        "reason = excluded.reason, changed_at = excluded.changed_at "
        "WHERE (held.state, held.order_group_id, held.contracts_e2, held.reason) IS DISTINCT FROM "
        "(excluded.state, excluded.order_group_id, excluded.contracts_e2, excluded.reason)",
        *(account, exchange_index, fuse.state, fuse.order_group_id, fuse.contracts_e2),
        *(fuse.reason, as_datetime(at_us)),
    )


async def write_cash(
    tx: Transaction,
    account: str,
    exchange_index: int,
    *,
    cash_usd_e6: int | None,
    elsewhere_usd_e6: int | None,
    at_us: int,
) -> None:
    """Write the cash on the shard and on the others (None: unknown), if it changed.

    Nothing is written without a fuse's row.
    """
    await tx.execute(
        "UPDATE trading.exchange_limits SET cash_usd_e6 = %s, elsewhere_usd_e6 = %s, read_at = %s "
        "WHERE account = %s AND exchange_index = %s "
        "AND (cash_usd_e6, elsewhere_usd_e6) IS DISTINCT FROM (%s::bigint, %s::bigint)",
        *(cash_usd_e6, elsewhere_usd_e6, as_datetime(at_us), account, exchange_index),
        *(cash_usd_e6, elsewhere_usd_e6),
    )
