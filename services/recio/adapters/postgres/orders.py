"""Orders in the database: claimed, answered and resolved by the executor, filled by account sync.

Every write of the executor carries its epoch and is refused when a newer one has been seen: the
update itself says ``WHERE`` the lease is still ours, so that there is no gap between check and act.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from recio.adapters.postgres import switches
from recio.domain.orders import BookSide, Order, OrderState
from recio.domain.switches import Effective, effective
from recio.domain.units import as_datetime, time_us
from recio.ports import Query, Transaction

_OVER: Final = "('executed', 'canceled', 'rejected', 'expired_unsent')"
"""``domain.orders.TERMINAL``, in the order of the partial index ``orders_live``."""
UNBOOKED_E2: Final = (
    f"(CASE WHEN state IN {_OVER} THEN filled_qty_e2 ELSE qty_e2 END) - booked_qty_e2"
)
"""SQL: what an order may still fill, or has filled and not booked, at its worst."""
MAY_BRING_FILLS: Final = f"(state NOT IN {_OVER} OR booked_qty_e2 < filled_qty_e2)"
"""SQL: whether an order is alive, or has fills that are not booked."""

_COLUMNS: Final = (
    "o.order_id, o.trade_id, o.account, o.intent_id, o.attempt, o.market_ticker, o.purpose, "
    "o.book_side, o.yes_price_e4, o.qty_e2, o.time_in_force, o.is_reduce_only, o.state, "
    "o.exchange_order_id, o.filled_qty_e2, o.reserved_usd_e6, o.created_at, o.claimed_wall_at, "
    "o.claimed_at, o.exchange_index, o.booked_qty_e2, o.valid_until, i.source, o.event_ticker"
)
_FROM: Final = "FROM trading.orders o JOIN trading.intents i USING (intent_id)"
_WAITING: Final = (
    "o.account = %s AND o.state = 'created' ORDER BY o.purpose DESC, o.created_at, o.order_id"
)
_OPEN: Final = (
    "o.account = %s AND o.state IN ('submitted', 'unknown', 'resting', 'partially_filled') "
    "ORDER BY o.created_at, o.order_id"
)


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """An order with what the executor and account sync need around it."""

    order: Order
    event_ticker: str
    booked_qty_e2: int
    valid_until_us: int
    claimed_market_us: int | None
    source: str


class Work(NamedTuple):
    """What the executor has to look at, read in one round trip."""

    waiting: list[OrderRow]
    held: list[OrderRow]
    switch: Effective


async def work(tx: Transaction, account: str) -> Work:
    """Return the orders that are to be sent, exits first; those out there; and the switch."""
    waiting, held, switch = await tx.fetch_many(
        Query(f"SELECT {_COLUMNS} {_FROM} WHERE {_WAITING}", (account,)),
        Query(f"SELECT {_COLUMNS} {_FROM} WHERE {_OPEN}", (account,)),
        switches.switches_query(account),
    )
    return Work(
        [_row(row) for row in waiting],
        [_row(row) for row in held],
        effective(switches.switches_of(switch)),
    )


async def open_orders(tx: Transaction, account: str) -> list[OrderRow]:
    """Return orders that are, or may be, at the exchange: submitted, unknown, resting."""
    return await _fetch(tx, _OPEN, account)


async def order_by_id(tx: Transaction, account: str, order_id: UUID) -> OrderRow | None:
    """Return one order of the account by our id, locked; None if it is not ours."""
    rows = await _fetch(tx, "o.account = %s AND o.order_id = %s FOR UPDATE OF o", account, order_id)
    return rows[0] if rows else None


async def order_by_exchange_id(
    tx: Transaction, account: str, exchange_order_id: str
) -> OrderRow | None:
    """Return one order of the account by the exchange's id, locked; None if we do not know it."""
    rows = await _fetch(
        tx,
        "o.account = %s AND o.exchange_order_id = %s FOR UPDATE OF o",
        account,
        exchange_order_id,
    )
    return rows[0] if rows else None


class Claim(NamedTuple):
    """A claim's outcome, and the switch as it was read just before in the same transaction.

    ``is_ours`` False: the order was taken, or the epoch is not ours any more.
    """

    is_ours: bool
    switch: Effective


async def claim(
    tx: Transaction,
    row: OrderRow,
    *,
    epoch: int,
    wall_us: int,
    at_us: int,
    order_group_id: str | None = None,
) -> Claim:
    """Read the switch and mark an order submitted under ``epoch``, in one round trip.

    The lease stays with its holder until the transaction ends: nobody takes over between the claim
    and its commit. If the switch forbids it the transaction must be rolled back.
    ``order_group_id`` is the fuse that the order goes out with.
    """
    order = row.order
    at = as_datetime(at_us)
    values = (epoch, as_datetime(wall_us), at, at, order_group_id)
    claiming = Query(
        "UPDATE trading.orders SET state = 'submitted', epoch = %s, claimed_wall_at = %s, "
        "claimed_at = %s, changed_at = %s, order_group_id = %s WHERE order_id = %s AND state = %s "
        "AND EXISTS (SELECT FROM trading.leases l WHERE l.account = orders.account "
        "            AND l.service = 'trade_executor' AND l.epoch = %s FOR SHARE) RETURNING 1",
        (*values, order.order_id, order.state.value, epoch),
    )
    switch, claimed = await tx.fetch_many(switches.switches_query(order.account), claiming)
    return Claim(bool(claimed), effective(switches.switches_of(switch)))


async def is_holder(tx: Transaction, account: str, epoch: int) -> bool:
    """Whether ``epoch`` still holds the executor's lease, and goes on to until the transaction ends."""
    row = await tx.fetch_one(
        "SELECT 1 FROM trading.leases WHERE account = %s AND service = 'trade_executor' "
        "AND epoch = %s FOR SHARE",
        *(account, epoch),
    )
    return row is not None


async def left_to_sell_e2(tx: Transaction, row: OrderRow) -> int:
    """Return what an exit's trade still holds that no other exit may sell, with the account locked.

    The lock is the gate's: until the transaction ends no other exit is accepted.
    """
    order = row.order
    await tx.fetch_one(
        "SELECT 1 FROM trading.accounts WHERE account = %s FOR NO KEY UPDATE", order.account
    )
    # One statement, so that a fill of another exit is either booked or in flight, never neither.
    left = await tx.fetch_one(
        "SELECT (SELECT coalesce(sum(CASE WHEN book_side = %s THEN -qty_e2 ELSE qty_e2 END), 0) "  # noqa: S608 - own text
        "          FROM trading.fills WHERE trade_id = %s) - "
        f"       (SELECT coalesce(sum({UNBOOKED_E2}), 0) FROM trading.orders "
        "         WHERE trade_id = %s AND purpose = 'exit' AND order_id <> %s)",
        *(order.book_side.value, order.trade_id, order.trade_id, order.order_id),
    )
    assert left is not None
    return int(left[0])


async def advance(
    tx: Transaction,
    row: OrderRow,
    state: OrderState,
    *,
    at_us: int,
    epoch: int | None = None,
    filled_qty_e2: int | None = None,
    exchange_order_id: str | None = None,
    reason: str | None = None,
) -> bool:
    """Move an order on; the database refuses a transition that the table does not have.

    With ``epoch`` (the executor's) nothing is written once a newer epoch holds the lease; the
    result tells. Account sync writes what the exchange's own stream says and has none.
    """
    changed = await tx.execute(
        "UPDATE trading.orders SET state = %s, filled_qty_e2 = greatest(filled_qty_e2, %s), "
        "exchange_order_id = coalesce(exchange_order_id, %s), reason = coalesce(%s, reason), "
        "changed_at = %s WHERE order_id = %s AND (%s::bigint IS NULL OR EXISTS "
        "(SELECT FROM trading.leases l WHERE l.account = orders.account "
        " AND l.service = 'trade_executor' AND l.epoch = %s FOR SHARE))",
        state.value,
        filled_qty_e2 or 0,
        exchange_order_id,
        reason,
        as_datetime(at_us),
        row.order.order_id,
        epoch,
        epoch,
    )
    return changed == 1


async def record_event(
    tx: Transaction,
    row: OrderRow,
    kind: str,
    body: dict[str, Any],
    *,
    epoch: int | None,
    at_us: int,
    wall_us: int,
) -> None:
    """Append what was done with an order, or told of it."""
    values = (
        row.order.account,
        row.order.order_id,
        kind,
        epoch,
        as_datetime(at_us),
        as_datetime(wall_us),
        msgspec.json.encode(body).decode(),
        row.order.order_id,
    )
    await tx.execute_many(
        "INSERT INTO trading.order_events (account, order_id, seq, kind, epoch, at, wall_at, body) "
        "SELECT %s, %s, coalesce(max(seq), 0) + 1, %s, %s, %s, %s, %s::jsonb "
        "FROM trading.order_events WHERE order_id = %s",
        [values],
    )


async def _fetch(tx: Transaction, where: str, *params: object) -> list[OrderRow]:
    sql = f"SELECT {_COLUMNS} {_FROM} WHERE {where}"
    return [_row(row) for row in await tx.fetch(sql, *params)]


def _row(row: tuple[Any, ...]) -> OrderRow:
    (order_id, trade_id, account, intent_id, attempt, market, purpose, book_side, price, qty, tif,
     reduce_only, state, exchange_order_id, filled, reserved, created_at, claimed, claimed_at, index,
     booked, valid_until, source, event) = row  # fmt: skip
    return OrderRow(
        order=Order(
            order_id=order_id,
            trade_id=trade_id,
            account=account,
            intent_id=intent_id,
            attempt=attempt,
            market_ticker=market,
            purpose=purpose,
            book_side=BookSide(book_side),
            yes_price_e4=price,
            qty_e2=qty,
            time_in_force=tif,
            is_reduce_only=reduce_only,
            state=OrderState(state),
            exchange_order_id=exchange_order_id,
            filled_qty_e2=filled,
            reserved_usd_e6=reserved,
            created_at_us=time_us(created_at),
            claimed_at_us=None if claimed is None else time_us(claimed),
            exchange_index=index,
        ),
        event_ticker=event,
        booked_qty_e2=booked,
        valid_until_us=time_us(valid_until),
        claimed_market_us=None if claimed_at is None else time_us(claimed_at),
        source=source,
    )
