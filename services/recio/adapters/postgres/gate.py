"""What the gate reads and writes, all in its one transaction.

With the account's row locked, everything that a decision needs is read in one round trip, and what
it writes goes out with the commit.

Locks are always taken in the same order: the account's row, then the fleet's row. So two gates of
one account queue up, two accounts queue up on a shared limit, and nobody deadlocks.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from recio.adapters.postgres import config as configs
from recio.adapters.postgres import intents, switches, trades
from recio.adapters.postgres.orders import MAY_BRING_FILLS, UNBOOKED_E2
from recio.domain.account_config import AccountConfig, parse_fleet
from recio.domain.errors import InvalidValue
from recio.domain.intents import Intent
from recio.domain.messages import MarketInfo, PriceRange
from recio.domain.orders import BookSide, Order
from recio.domain.risk import Exposure, FleetTotals, Held, InFlight
from recio.domain.switches import effective
from recio.domain.tickers import new_york_day_start_us
from recio.domain.trade_book import opening_side
from recio.domain.units import MINUTE_US, as_datetime, time_us
from recio.engine.gate import EntryGround, ExitGround, MarketFacts
from recio.ports import Query, Transaction

_Rows = list[tuple[Any, ...]]


async def lock_account(tx: Transaction, account: str) -> str | None:
    """Lock the account's row; return its environment, or None if there is no such account."""
    row = await tx.fetch_one(
        "SELECT environment FROM trading.accounts "
        "WHERE account = %s AND retired_at IS NULL FOR NO KEY UPDATE",
        account,
    )
    return None if row is None else str(row[0])


async def entry_ground(
    tx: Transaction, intent: Intent, environment: str, *, now_us: int
) -> EntryGround | None:
    """Read what an entry is decided on; None if the intent was decided meanwhile.

    Call it with the account locked; it locks the fleet.
    """
    account, day_start_us = intent.account, new_york_day_start_us(now_us)
    (
        waiting,
        switch,
        market,
        config,
        in_flight,
        held,
        sums,
        fleet,
        live,
        number,
    ) = await tx.fetch_many(
        intents.waiting_query(intent.intent_id),
        switches.switches_query(account),
        _market_query(environment, intent.market_ticker),
        configs.config_query(account),
        *_exposure_queries(account, now_us, day_start_us),
        _fleet_query(now_us, day_start_us),
        trades.live_query(account),
        Query("SELECT last_trade_number + 1 FROM trading.accounts WHERE account = %s", (account,)),
    )
    if not waiting:
        return None
    return EntryGround(
        switch=effective(switches.switches_of(switch)),
        market=_market_facts(intent.market_ticker, market),
        config=_config(account, config),
        exposure=_exposure(in_flight, held, sums),
        fleet=_fleet_totals(fleet),
        live=[trades.trade(row) for row in live],
        trade_number=int(number[0][0]),
    )


async def exit_ground(tx: Transaction, intent: Intent, environment: str) -> ExitGround | None:
    """Read what an exit is decided on; None if the intent was decided meanwhile."""
    assert intent.trade_id is not None
    waiting, switch, market, trade, free = await tx.fetch_many(
        intents.waiting_query(intent.intent_id),
        switches.switches_query(intent.account),
        _market_query(environment, intent.market_ticker),
        trades.trade_query(intent.trade_id),
        _free_query(intent.trade_id, opening_side(intent.side)),
    )
    if not waiting:
        return None
    return ExitGround(
        switch=effective(switches.switches_of(switch)),
        market=_market_facts(intent.market_ticker, market),
        trade=trades.trade(trade[0]) if trade else None,
        free_qty_e2=int(free[0][0]),
    )


def _config(account: str, rows: _Rows) -> AccountConfig | InvalidValue:
    try:
        return configs.config_of(account, rows)
    except InvalidValue as error:
        return error


async def take_number(tx: Transaction, account: str, number: int) -> None:
    """Use a trade number up; the account's row must be locked since it was read."""
    await tx.execute_many(
        "UPDATE trading.accounts SET last_trade_number = %s WHERE account = %s",
        [(number, account)],
    )


async def exposure(tx: Transaction, account: str, *, now_us: int, day_start_us: int) -> Exposure:
    """Return what the account has at stake. Call it with the account locked.

    Facts are booked meanwhile. Each statement sees what was committed before it, so what is in
    flight is read before what is held: a fill between the two counts twice, never not at all.
    """
    return _exposure(*await tx.fetch_many(*_exposure_queries(account, now_us, day_start_us)))


def _exposure_queries(account: str, now_us: int, day_start_us: int) -> tuple[Query, Query, Query]:
    in_flight = Query(
        f"SELECT event_ticker, market_ticker, qty_e2, {UNBOOKED_E2}, "  # noqa: S608 - own text
        "reserved_usd_e6 FROM trading.orders WHERE account = %s AND purpose = 'entry' "
        f"AND {MAY_BRING_FILLS}",
        (account,),
    )
    held = Query(
        "SELECT event_ticker, market_ticker, abs(qty_e2), cost_usd_e6 FROM trading.positions "
        "WHERE account = %s AND qty_e2 <> 0",
        (account,),
    )
    minute = as_datetime(now_us - MINUTE_US)
    sums = Query(
        "SELECT (SELECT count(*) FROM trading.trades WHERE account = %s "
        "         AND state NOT IN ('closed', 'settled', 'abandoned')), "
        "       (SELECT count(*) FROM trading.orders WHERE account = %s AND created_at > %s), "
        "       (SELECT coalesce(-sum(amount_usd_e6), 0) FROM trading.ledger_postings "
        "         WHERE account = %s AND at >= %s AND book IN ('result', 'fees')), "
        "       t.cash_usd_e6, t.equity_usd_e6, t.equity_high_usd_e6 "
        "FROM (VALUES (1)) one LEFT JOIN trading.totals t ON t.account = %s",
        (account, account, minute, account, as_datetime(day_start_us), account),
    )
    return in_flight, held, sums


def _exposure(in_flight: _Rows, held: _Rows, summed: _Rows) -> Exposure:
    sums = summed[0]
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


def _fleet_query(now_us: int, day_start_us: int) -> Query:
    """Return what locks the fleet's row and tells what all accounts have at stake."""
    return Query(
        "SELECT * FROM trading.lock_fleet_totals(%s, %s)",
        (as_datetime(now_us - MINUTE_US), as_datetime(day_start_us)),
    )


def _fleet_totals(rows: _Rows) -> FleetTotals | None:
    """Return the totals in the rows of that query; None without a fleet."""
    if not rows or rows[0][0] is None:
        return None
    document, open_trades, held, in_flight, orders, result_today = rows[0]
    return FleetTotals(
        limits=parse_fleet(document).risk,
        open_trades=open_trades,
        cost_usd_e6=int(held) + int(in_flight),
        orders_in_minute=orders,
        result_today_usd_e6=int(result_today),
    )


def _market_query(environment: str, ticker: str) -> Query:
    return Query(
        "SELECT m.strike_usd_e6, m.strike_type, m.status, m.price_ranges, m.fee_type, "
        "m.fee_multiplier_e6, m.exchange_index, m.result, m.settlement_value_usd_e6, "
        "e.event_ticker, e.symbol, e.open_at, e.close_at "
        "FROM market.markets m JOIN market.events e USING (environment, event_ticker) "
        "WHERE m.environment = %s AND m.ticker = %s",
        (environment, ticker),
    )


def _market_facts(ticker: str, rows: _Rows) -> MarketFacts | None:
    """Return what the exchange told of a market; None if it never did."""
    if not rows:
        return None
    (strike, strike_type, status, ranges, fee_type, multiplier, index, result, value, event, symbol,
     open_at, close_at) = rows[0]  # fmt: skip
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


async def free_to_sell_e2(tx: Transaction, trade_id: UUID, side: str) -> int:
    """Return how much of a trade of this side can still be sold."""
    sql, params = _free_query(trade_id, opening_side(side))
    row = await tx.fetch_one(sql, *params)
    assert row is not None
    return int(row[0])


def _free_query(trade_id: UUID, opening: BookSide) -> Query:
    """Return what tells how much of a trade can still be sold.

    Booked fills less what exits may yet sell. One statement, so that a fill is either booked or in
    flight, never neither. The trade's own figures follow its fills only later and are not asked.
    """
    return Query(
        "SELECT (SELECT coalesce(sum(CASE WHEN book_side = %s THEN qty_e2 ELSE -qty_e2 END), 0) "  # noqa: S608 - own text
        "          FROM trading.fills WHERE trade_id = %s) - "
        f"       (SELECT coalesce(sum({UNBOOKED_E2}), 0) "
        "          FROM trading.orders WHERE trade_id = %s AND purpose = 'exit')",
        (opening.value, trade_id, trade_id),
    )


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
    await tx.execute_many(
        "INSERT INTO trading.orders (order_id, trade_id, intent_id, account, attempt, market_ticker, "
        "event_ticker, purpose, book_side, yes_price_e4, qty_e2, time_in_force, is_reduce_only, "
        "exchange_index, state, reserved_usd_e6, valid_until, created_at, changed_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [values],
    )
