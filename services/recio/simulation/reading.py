"""Makes a ``History`` of a run that stands still: reads our tables and the exchange's memory."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, TypeVar

import psycopg

from recio.adapters.postgres.config import effective_config
from recio.domain.units import CONTRACT_E2, USD_E6, time_us
from recio.exchange_simulator.api.limits import TIERS, capacity
from recio.exchange_simulator.exchange import Exchange
from recio.ports import Database, Transaction
from recio.simulation.history import (
    Bucket,
    Change,
    Fill,
    History,
    Intent,
    Ledger,
    Limits,
    Market,
    Order,
    Settlement,
    Trade,
    Venue,
    VenueFill,
    VenueOrder,
    VenueSettlement,
)
from recio.simulation.watching import POSTINGS, Watch, postings_of

_INTENTS: Final = (
    "SELECT intent_id::text, purpose::text, source, market_ticker, event_ticker, state::text, at, "
    "changed_at, price_at, book_at FROM trading.intents WHERE account = %s ORDER BY at, 1"
)
_ORDERS: Final = (
    "SELECT order_id::text, intent_id::text, trade_id::text, market_ticker, purpose::text, "
    "book_side::text, state::text, qty_e2, filled_qty_e2, booked_qty_e2, reserved_usd_e6, "
    "created_at FROM trading.orders WHERE account = %s ORDER BY created_at, 1"
)
_LIVES: Final = (
    "SELECT order_id::text, valid_until FROM trading.orders WHERE account = %s ORDER BY 1"
)
_TRADES: Final = (
    "SELECT trade_id::text, source, market_ticker, side::text, state::text, filled_qty_e2, "
    "exited_qty_e2, pnl_usd_e6 FROM trading.trades WHERE account = %s ORDER BY number"
)
_CHANGES: Final = (
    "SELECT subject, subject_id, version, coalesce(old_state, ''), new_state, author, at "
    "FROM trading.audit WHERE account IN (%s, '*') ORDER BY subject, subject_id, version"
)
_FILLS: Final = (
    "SELECT split_part(fill_id, '/', 1), market_ticker, book_side = 'bid', yes_price_e4, qty_e2, "
    "fee_usd_e6 FROM trading.fills WHERE account = %s ORDER BY fill_id"
)
_SETTLEMENTS: Final = (
    "SELECT market_ticker, yes_qty_e2 - no_qty_e2, revenue_usd_e6, fee_usd_e6 "
    "FROM trading.settlements WHERE account = %s ORDER BY market_ticker"
)
_POSITIONS: Final = (
    "SELECT market_ticker, qty_e2 FROM trading.positions WHERE account = %s AND qty_e2 <> 0 "
    "ORDER BY market_ticker"
)
_CENT_E6: Final = 10_000
T = TypeVar("T")


async def read_history(
    owner: Database,
    exchange: Exchange,
    watch: Watch,
    *,
    refusals: tuple[bool, bool],
    speed: int = 1,
) -> History:
    """Return the history of a watched account; nothing may run meanwhile.

    ``refusals``: whether the ledger refuses changes and deletions (``append_only``).
    """
    name = watch.account
    async with owner.transaction() as tx:
        tier = exchange.state.accounts[name].tier
        return History(
            limits=await _limits(tx, name),
            read_bucket=_bucket(tier, is_write=False),
            write_bucket=_bucket(tier, is_write=True),
            markets=_markets(exchange),
            venue=_venue(exchange, name),
            ledger=await _ledger(tx, name, refusals),
            sent=tuple(watch.sent),
            intents=tuple(_intent(row) for row in await tx.fetch(_INTENTS, name)),
            orders=tuple(_order(row) for row in await tx.fetch(_ORDERS, name)),
            trades=tuple(_made(Trade, row) for row in await tx.fetch(_TRADES, name)),
            changes=tuple(
                _made(Change, (*row[:6], time_us(row[6]))) for row in await tx.fetch(_CHANGES, name)
            ),
            samples=tuple(watch.samples),
            earlier_postings=tuple(watch.earlier_postings),
            strikes=tuple(watch.strikes),
            lives_until_us=tuple(
                (order, time_us(until)) for order, until in await tx.fetch(_LIVES, name)
            ),
            ended_us=exchange.now_us,
            speed=speed,
        )


def _made(kind: type[T], row: tuple[Any, ...]) -> T:
    names: tuple[str, ...] = kind.__slots__  # type: ignore[attr-defined]
    return kind(**dict(zip(names, row, strict=True)))


def _micros(value: datetime | None) -> int | None:
    return None if value is None else time_us(value)


def _intent(row: tuple[Any, ...]) -> Intent:
    made: Intent = _made(Intent, (*row[:6], *(_micros(value) for value in row[6:])))
    return made


def _order(row: tuple[Any, ...]) -> Order:
    made: Order = _made(Order, (*row[:11], time_us(row[11])))
    return made


async def _limits(tx: Transaction, name: str) -> Limits:
    risk = (await effective_config(tx, name)).risk
    return Limits(
        contracts_per_order_e2=risk.max_contracts_per_order * CONTRACT_E2,
        contracts_per_event_e2=risk.max_contracts_per_event * CONTRACT_E2,
        contracts_total_e2=risk.max_contracts_total * CONTRACT_E2,
        cost_per_event_usd_e6=risk.max_cost_per_event_dollars * USD_E6,
        cost_total_usd_e6=risk.max_cost_total_dollars * USD_E6,
        open_trades=risk.max_open_trades,
        orders_per_minute=risk.max_orders_per_minute,
        price_age_us=risk.max_price_age_milliseconds * 1000,
        book_age_us=risk.max_book_age_milliseconds * 1000,
    )


def _bucket(tier: str, *, is_write: bool) -> Bucket:
    return Bucket(refill_per_s=TIERS[tier][is_write], capacity=capacity(tier, is_write=is_write))


async def _ledger(tx: Transaction, name: str, refusals: tuple[bool, bool]) -> Ledger:
    total = await tx.fetch_one("SELECT cash_usd_e6 FROM trading.totals WHERE account = %s", name)
    return Ledger(
        cash_usd_e6=None if total is None else total[0],
        fills=tuple(_made(Fill, row) for row in await tx.fetch(_FILLS, name)),
        settlements=tuple(_made(Settlement, row) for row in await tx.fetch(_SETTLEMENTS, name)),
        postings=postings_of(await tx.fetch(POSTINGS, name)),
        positions_e2=tuple(await tx.fetch(_POSITIONS, name)),
        refuses_update=refusals[0],
        refuses_delete=refusals[1],
    )


def append_only(url: str) -> tuple[bool, bool]:
    """Try, as the owner of everything, to change and to delete ledger rows; return the refusals."""
    tries = (
        "UPDATE trading.ledger_postings SET amount_usd_e6 = amount_usd_e6 + 1",
        "DELETE FROM trading.ledger_postings",
    )
    update, delete = (_is_refused(url, sql) for sql in tries)
    return update, delete


def _is_refused(url: str, sql: str) -> bool:
    with psycopg.connect(url) as connection:
        try:
            connection.execute(sql)
        except psycopg.errors.CheckViolation:
            return True
        finally:
            connection.rollback()
    return False


def _markets(exchange: Exchange) -> tuple[Market, ...]:
    return tuple(
        Market(
            ticker=one.ticker,
            event_ticker=one.event.spec.event_ticker,
            open_us=one.open_us,
            close_us=one.close_us,
            grid=tuple((r.start_e4, r.end_e4, r.step_e4) for r in one.price_ranges),
        )
        for one in exchange.state.markets.values()
    )


def _venue(exchange: Exchange, name: str) -> Venue:
    state = exchange.state
    account = state.accounts[name]
    return Venue(
        opening_usd_e6=account.opening_e6,
        cash_usd_e6=sum(account.cash_e6.values()),
        orders=tuple(
            VenueOrder(**{field: getattr(one, field) for field in VenueOrder.__slots__})
            for one in state.orders_of.get(name, [])
        ),
        fills=tuple(
            VenueFill(
                trade_id=one.trade_id,
                order_id=one.order_id,
                ticker=one.ticker,
                is_bid=one.is_bid,
                price_e4=one.price_e4,
                qty_e2=one.qty_e2,
                fee_usd_e6=one.fee_e6,
                revenue_usd_e6=one.revenue_e6,
            )
            for one in state.fills_of.get(name, [])
        ),
        settlements=tuple(
            VenueSettlement(
                ticker=one.ticker,
                position_e2=one.yes_e2 - one.no_e2,
                revenue_usd_e6=one.revenue_cents * _CENT_E6,
            )
            for one in state.settlements_of.get(name, [])
        ),
        positions_e2=tuple(
            sorted(
                (ticker, one.position_e2)
                for (holder, ticker), one in state.positions.items()
                if holder == name and one.position_e2
            )
        ),
    )
