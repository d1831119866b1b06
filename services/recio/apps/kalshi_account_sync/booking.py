"""Book one fact of the exchange: whose it is, what it does to order and ledger, in one transaction.

A fact that cannot be so is not booked: it raises ``Contradiction``, and the transaction is left.
"""

from __future__ import annotations

from recio.adapters.kalshi.model import (
    ExchangeFill,
    ExchangeOrder,
    ExchangePosition,
    ExchangeSettlement,
)
from recio.adapters.postgres import disputes, external, facts, orders
from recio.adapters.postgres.orders import OrderRow
from recio.apps.kalshi_account_sync import checking
from recio.domain.disputes import Contradiction, Reason
from recio.domain.errors import InvalidValue
from recio.domain.ledger import Holding
from recio.domain.orders import later_of, reported_state
from recio.ports import Transaction

RESTING = "resting"


async def book_order(tx: Transaction, account: str, told: ExchangeOrder, *, now_us: int) -> bool:
    """Move an order of ours on to what the exchange tells; False for a foreign or unchanged order.

    Raises:
        Contradiction: it is not the order that was sent.
    """
    row = await external.our_order(tx, account, told.order_id, told.client_order_id)
    if row is None or told.status not in (RESTING, "canceled", "executed"):
        return False
    checking.check_order(told, row)
    state = reported_state(row.order.qty_e2, told.fill_qty_e2, is_resting=told.status == RESTING)
    state = later_of(row.order.state, state)
    if (
        state is row.order.state
        and told.fill_qty_e2 <= row.order.filled_qty_e2
        and row.order.exchange_order_id is not None
    ):
        return False
    return await orders.advance(
        tx,
        row,
        state,
        at_us=now_us,
        filled_qty_e2=told.fill_qty_e2,
        exchange_order_id=told.order_id,
        reason=told.reason or None,
    )


async def book_fill(
    tx: Transaction,
    account: str,
    told: ExchangeFill,
    *,
    client_order_id: str | None,
    now_us: int,
    is_accepted: bool = False,
) -> bool:
    """Book a fill; False if it is booked already, or part of the opening balance.

    A fill that closes one trade and then another (or opens a position by hand) is booked in parts:
    ``<id>``, ``<id>/2``, …, in this one transaction.

    Args:
        tx: an open transaction.
        account: whose it is.
        told: the fill.
        client_order_id: its order's, where the fill itself does not say.
        now_us: market time.
        is_accepted: a person says that it is to be booked although it contradicts what we hold.

    Raises:
        InvalidValue: not a fill: without a quantity, or at an impossible price.
        Contradiction: it cannot be so.
    """
    if told.qty_e2 <= 0:
        raise InvalidValue(f"fill {told.fill_id}: expected contracts, received {told.qty_e2} e-2")
    opened_us = await external.opening_us(tx, account)
    if opened_us is None:
        return False
    await facts.lock_totals(tx, account)
    booked = await facts.booked_fill(tx, account, told.fill_id)
    if booked:
        checking.check_same_fill(told, booked)
        return False
    row = await external.our_order(tx, account, told.order_id, client_order_id)
    at_us = told.at_us if told.at_us is not None else now_us
    if row is None and at_us <= opened_us:
        return False
    if await facts.booked_settlement(tx, account, told.ticker) is not None:
        raise Contradiction(
            Reason.FILL_AFTER_SETTLEMENT,
            told.fill_id,
            f"fill {told.fill_id} is of {told.ticker}, whose settlement is booked",
            told=checking.plain(told),
        )
    if is_accepted:
        row = row if row is not None and _fits(told, row) else None
    else:
        market = await disputes.known_market(tx, account, told.ticker)
        checking.check_fill(told, row, market, now_us=now_us)
    await _book_parts(tx, account, told, row, at_us=min(at_us, now_us), now_us=now_us)
    return True


def _fits(told: ExchangeFill, row: OrderRow) -> bool:
    """Return whether a fill can stand under an order of ours; else it is nobody's."""
    order = row.order
    return (
        (told.ticker, told.book_side) == (order.market_ticker, order.book_side)
        and row.booked_qty_e2 + told.qty_e2 <= order.qty_e2
        and order.state not in checking.UNSENT
    )


async def _book_parts(
    tx: Transaction,
    account: str,
    told: ExchangeFill,
    row: OrderRow | None,
    *,
    at_us: int,
    now_us: int,
) -> None:
    if row is not None and row.order.exchange_order_id is None:
        await orders.advance(
            tx, row, row.order.state, at_us=now_us, exchange_order_id=told.order_id
        )
    parts = await external.shares(
        tx,
        account,
        None if row is None else row.order,
        market_ticker=told.ticker,
        book_side=told.book_side,
        qty_e2=told.qty_e2,
        at_us=at_us,
        fill_id=told.fill_id,
    )
    before_e2 = 0
    for number, part in enumerate(parts, start=1):
        after_e2 = before_e2 + part.qty_e2
        await facts.book_fill(
            tx,
            account,
            facts.Fill(
                fill_id=facts.part_id(told.fill_id, number),
                exchange_order_id=told.order_id,
                order_id=None if row is None else row.order.order_id,
                trade_id=part.trade_id,
                market_ticker=told.ticker,
                event_ticker=told.ticker.rpartition("-")[0],
                book_side=told.book_side,
                yes_price_e4=told.yes_price_e4,
                qty_e2=part.qty_e2,
                fee_usd_e6=_fee_up_to(told, after_e2) - _fee_up_to(told, before_e2),
                is_taker=told.is_taker,
                at_us=at_us,
            ),
            seen_us=now_us,
        )
        before_e2 = after_e2


def _fee_up_to(told: ExchangeFill, qty_e2: int) -> int:
    """Return the fee of a fill's first contracts; of all of them, all of it."""
    return told.fee_usd_e6 * qty_e2 // told.qty_e2


async def adopt_position(
    tx: Transaction, account: str, told: ExchangePosition, *, at_us: int
) -> None:
    """Book a position that was there before the first start, with an external trade for it."""
    trade_id = await external.external_trade(
        tx,
        account,
        told.ticker,
        side="yes" if told.qty_e2 > 0 else "no",
        qty_e2=abs(told.qty_e2),
        at_us=at_us,
        cause="opening",
    )
    await facts.open_position(
        tx,
        account,
        Holding(qty_e2=told.qty_e2, cost_usd_e6=told.exposure_usd_e6),
        trade_id=trade_id,
        ticker=told.ticker,
        event_ticker=told.ticker.rpartition("-")[0],
        at_us=at_us,
    )


async def book_settlement(
    tx: Transaction,
    account: str,
    told: ExchangeSettlement,
    *,
    now_us: int,
    is_accepted: bool = False,
) -> bool:
    """Book a settlement; False if it is booked already, or part of the opening balance.

    A settlement can be shown before the last fill of its market is. Booking it on a smaller
    position would leave that fill without a payout, so it waits until both sides agree.

    Raises:
        Contradiction: it cannot be so, or (``settlement_differs``) not yet.
    """
    opened_us = await external.opening_us(tx, account)
    if opened_us is None or told.settled_at_us <= opened_us:
        return False
    await facts.lock_totals(tx, account)
    booked = await facts.booked_settlement(tx, account, told.ticker)
    if booked is not None:
        checking.check_same_settlement(told, booked)
        return False
    if not is_accepted:
        market = await disputes.known_market(tx, account, told.ticker)
        checking.check_settlement(told, market, now_us=now_us)
    held = await facts.holding(tx, account, told.ticker)
    net_qty_e2 = told.yes_qty_e2 - told.no_qty_e2
    if held.qty_e2 != net_qty_e2:
        raise Contradiction(
            Reason.SETTLEMENT_DIFFERS,
            told.ticker,
            f"{told.ticker}: the exchange settled {net_qty_e2 / 100:g} contracts, "
            f"booked are {held.qty_e2 / 100:g}",
            told=checking.plain(told),
            held={"qty_e2": held.qty_e2},
        )
    return await facts.book_settlement(
        tx,
        account,
        facts.Settlement(
            market_ticker=told.ticker,
            event_ticker=told.event_ticker,
            result=told.result,
            yes_qty_e2=told.yes_qty_e2,
            no_qty_e2=told.no_qty_e2,
            revenue_usd_e6=told.revenue_usd_e6,
            fee_usd_e6=told.fee_usd_e6,
            settled_at_us=min(told.settled_at_us, now_us),
        ),
        seen_us=now_us,
    )
