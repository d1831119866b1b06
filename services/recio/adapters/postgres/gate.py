"""What the gate reads and writes, all in its one transaction.

Locks are always taken in the same order: the account's row, then the fleet's row. So two gates of
one account queue up, two accounts queue up on a shared limit, and nobody deadlocks.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from recio.domain.account_config import parse_fleet
from recio.domain.messages import MarketInfo, PriceRange
from recio.domain.orders import BookSide, Order
from recio.domain.risk import Exposure, FleetTotals, Held, InFlight
from recio.domain.units import MINUTE_US, as_datetime, time_us
from recio.ports import Transaction


class MarketFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate must know of a market; taken from ``market.markets``, never from the intent."""

    info: MarketInfo
    event_ticker: str
    symbol: str
    open_us: int
    close_us: int


async def lock_account(tx: Transaction, account: str) -> str | None:
    """Lock the account's row; return its environment, or None if there is no such account."""
    row = await tx.fetch_one(
        "SELECT environment FROM trading.accounts "
        "WHERE account = %s AND retired_at IS NULL FOR NO KEY UPDATE",
        account,
    )
    return None if row is None else str(row[0])


async def exposure(tx: Transaction, account: str, *, now_us: int, day_start_us: int) -> Exposure:
    """Return what the account has at stake. Call it with the account locked.

    Facts are booked meanwhile. Each statement sees what was committed before it, so what is in
    flight is read before what is held: a fill between the two counts twice, never not at all.
    """
    in_flight = await tx.fetch(
        "SELECT event_ticker, market_ticker, qty_e2, "
        "(CASE WHEN state IN ('executed', 'canceled', 'rejected', 'expired_unsent') "
        "      THEN filled_qty_e2 ELSE qty_e2 END) - booked_qty_e2, reserved_usd_e6 "
        "FROM trading.orders WHERE account = %s AND purpose = 'entry' "
        "AND (state NOT IN ('executed', 'canceled', 'rejected', 'expired_unsent') "
        "     OR booked_qty_e2 < filled_qty_e2)",
        account,
    )
    held = await tx.fetch(
        "SELECT event_ticker, market_ticker, abs(qty_e2), cost_usd_e6 FROM trading.positions "
        "WHERE account = %s AND qty_e2 <> 0",
        account,
    )
    sums = await tx.fetch_one(
        "SELECT (SELECT count(*) FROM trading.trades WHERE account = %s "
        "         AND state NOT IN ('closed', 'settled', 'abandoned')), "
        "       (SELECT count(*) FROM trading.orders WHERE account = %s AND created_at > %s), "
        "       (SELECT coalesce(-sum(p.amount_usd_e6), 0) FROM trading.ledger_transactions l "
        "          JOIN trading.ledger_postings p USING (transaction_id) "
        "         WHERE l.account = %s AND l.at >= %s AND p.book IN ('result', 'fees')), "
        "       t.cash_usd_e6, t.equity_usd_e6, t.equity_high_usd_e6 "
        "FROM (VALUES (1)) one LEFT JOIN trading.totals t ON t.account = %s",
        account,
        account,
        as_datetime(now_us - MINUTE_US),
        account,
        as_datetime(day_start_us),
        account,
    )
    assert sums is not None
    return Exposure(
        held=tuple(Held(*row) for row in held),
        in_flight=tuple(InFlight(*row) for row in in_flight),
        open_trades=sums[0],
        orders_in_minute=sums[1],
        result_today_usd_e6=int(sums[2]),
        cash_usd_e6=sums[3],
        equity_usd_e6=sums[4],
        equity_high_usd_e6=sums[5],
    )


async def fleet_totals(tx: Transaction, *, now_us: int, day_start_us: int) -> FleetTotals | None:
    """Lock the fleet's row and return what all accounts have at stake; None without a fleet."""
    row = await tx.fetch_one(
        "SELECT * FROM trading.lock_fleet_totals(%s, %s)",
        as_datetime(now_us - MINUTE_US),
        as_datetime(day_start_us),
    )
    if row is None or row[0] is None:
        return None
    document, open_trades, held, in_flight, orders, result_today = row
    return FleetTotals(
        limits=parse_fleet(document).risk,
        open_trades=open_trades,
        cost_usd_e6=int(held) + int(in_flight),
        orders_in_minute=orders,
        result_today_usd_e6=int(result_today),
    )


async def market_facts(tx: Transaction, environment: str, ticker: str) -> MarketFacts | None:
    """Return what the exchange told of a market; None if it never did."""
    row = await tx.fetch_one(
        "SELECT m.strike_usd_e6, m.strike_type, m.status, m.price_ranges, m.fee_type, "
        "m.fee_multiplier_e6, m.exchange_index, m.result, m.settlement_value_usd_e6, "
        "e.event_ticker, e.symbol, e.open_at, e.close_at "
        "FROM market.markets m JOIN market.events e USING (environment, event_ticker) "
        "WHERE m.environment = %s AND m.ticker = %s",
        environment,
        ticker,
    )
    if row is None:
        return None
    (strike, strike_type, status, ranges, fee_type, multiplier, index, result, value, event, symbol,
     open_at, close_at) = row  # fmt: skip
    return MarketFacts(
        info=MarketInfo(
            ticker=ticker,
            strike_usd_e6=strike,
            strike_type=strike_type,
            status=status,
            price_ranges=tuple(PriceRange(*entry) for entry in ranges),
            fee_type=fee_type,
            fee_multiplier_e6=multiplier,
            exchange_index=index,
            result=result,
            settlement_value_usd_e6=value,
        ),
        event_ticker=event,
        symbol=symbol,
        open_us=time_us(open_at),
        close_us=time_us(close_at),
    )


async def exits_in_flight_e2(tx: Transaction, trade_id: UUID) -> int:
    """Return how much of a trade is being sold, or sold and not booked yet."""
    row = await tx.fetch_one(
        "SELECT coalesce(sum((CASE WHEN state IN ('executed', 'canceled', 'rejected', "
        "'expired_unsent') THEN filled_qty_e2 ELSE qty_e2 END) - booked_qty_e2), 0) "
        "FROM trading.orders WHERE trade_id = %s AND purpose = 'exit'",
        trade_id,
    )
    assert row is not None
    return int(row[0])


async def free_qty_e2(tx: Transaction, trade_id: UUID, opening_side: BookSide) -> int:
    """Return how much of a trade can still be sold: booked fills less what exits may yet sell.

    One statement, so that a fill is either booked or in flight, never neither. The trade's own
    figures follow its fills only later and are not asked.
    """
    row = await tx.fetch_one(
        "SELECT (SELECT coalesce(sum(CASE WHEN book_side = %s THEN qty_e2 ELSE -qty_e2 END), 0) "
        "          FROM trading.fills WHERE trade_id = %s) - "
        "       (SELECT coalesce(sum((CASE WHEN state IN ('executed', 'canceled', 'rejected', "
        "               'expired_unsent') THEN filled_qty_e2 ELSE qty_e2 END) - booked_qty_e2), 0) "
        "          FROM trading.orders WHERE trade_id = %s AND purpose = 'exit')",
        opening_side.value,
        trade_id,
        trade_id,
    )
    assert row is not None
    return int(row[0])


async def insert_order(
    tx: Transaction, order: Order, *, event_ticker: str, valid_until_us: int
) -> None:
    """Write a new order for the executor to send."""
    at = as_datetime(order.created_at_us)
    values: tuple[Any, ...] = (
        order.order_id, order.trade_id, order.intent_id, order.account, order.attempt,
        order.market_ticker, event_ticker, order.purpose, order.book_side.value, order.yes_price_e4,
        order.qty_e2, order.time_in_force, order.is_reduce_only, order.exchange_index,
        order.state.value, order.reserved_usd_e6, as_datetime(valid_until_us), at, at,
    )  # fmt: skip
    await tx.execute(
        "INSERT INTO trading.orders (order_id, trade_id, intent_id, account, attempt, market_ticker, "
        "event_ticker, purpose, book_side, yes_price_e4, qty_e2, time_in_force, is_reduce_only, "
        "exchange_index, state, reserved_usd_e6, valid_until, created_at, changed_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        *values,
    )
