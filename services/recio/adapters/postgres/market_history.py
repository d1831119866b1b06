"""Writes market history: seconds of prices, minute closes, events, markets, tops of books.

Facts only, in batches; a row that is already there is left alone (history) or brought up to date
(events and markets), so that a batch may be written twice. Grants let only the two watchdogs write.
"""

from __future__ import annotations

from collections.abc import Iterable

from psycopg.types.json import Jsonb

from recio.domain.messages import EventMarkets, MarketQuote
from recio.domain.units import as_datetime
from recio.ports import Transaction

PriceRow = tuple[str, int, int | None, int | None]
"""Symbol, second (at_us), index_usd_e6, spot_usd_e6."""
MinuteRow = tuple[str, int, int, str]
"""Symbol, end of minute (at_us), close_usd_e6, source."""


async def write_prices(tx: Transaction, environment: str, rows: Iterable[PriceRow]) -> None:
    """Store seconds that had a price."""
    await tx.execute_many(
        "INSERT INTO market.prices (environment, symbol, at, index_usd_e6, spot_usd_e6)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [
            (environment, symbol, as_datetime(at_us), index, spot)
            for symbol, at_us, index, spot in rows
        ],
    )


async def write_minutes(tx: Transaction, environment: str, rows: Iterable[MinuteRow]) -> None:
    """Store minute closes; what is there already stays."""
    await tx.execute_many(
        "INSERT INTO market.minutes (environment, symbol, at, close_usd_e6, source)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [
            (environment, symbol, as_datetime(at_us), close, source)
            for symbol, at_us, close, source in rows
        ],
    )


async def write_event(tx: Transaction, event: EventMarkets) -> None:
    """Store an event and its markets as they are now."""
    changed_at = as_datetime(event.at_us)
    await tx.execute(
        "INSERT INTO market.events (environment, event_ticker, series_ticker, symbol, title,"
        " open_at, close_at, changed_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (environment, event_ticker) DO UPDATE SET title = excluded.title,"
        " open_at = excluded.open_at, close_at = excluded.close_at,"
        " changed_at = excluded.changed_at",
        event.environment,
        event.event_ticker,
        event.series_ticker,
        event.symbol,
        event.title,
        as_datetime(event.open_us),
        as_datetime(event.close_us),
        changed_at,
    )
    await tx.execute_many(
        "INSERT INTO market.markets (environment, ticker, event_ticker, strike_usd_e6, strike_type,"
        " status, price_ranges, fee_type, fee_multiplier_e6, exchange_index, result,"
        " settlement_value_usd_e6, changed_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (environment, ticker) DO UPDATE SET strike_usd_e6 = excluded.strike_usd_e6,"
        " strike_type = excluded.strike_type, status = excluded.status,"
        " price_ranges = excluded.price_ranges, fee_type = excluded.fee_type,"
        " fee_multiplier_e6 = excluded.fee_multiplier_e6, exchange_index = excluded.exchange_index,"
        " result = excluded.result, settlement_value_usd_e6 = excluded.settlement_value_usd_e6,"
        " changed_at = excluded.changed_at",
        [
            (
                event.environment,
                market.ticker,
                event.event_ticker,
                market.strike_usd_e6,
                market.strike_type,
                market.status,
                Jsonb([[row.start_e4, row.end_e4, row.step_e4] for row in market.price_ranges]),
                market.fee_type,
                market.fee_multiplier_e6,
                market.exchange_index,
                market.result,
                market.settlement_value_usd_e6,
                changed_at,
            )
            for market in event.markets
        ],
    )


async def write_book_tops(
    tx: Transaction, environment: str, rows: Iterable[tuple[int, MarketQuote]]
) -> None:
    """Store tops of books as they were at a time (at_us)."""
    await tx.execute_many(
        "INSERT INTO market.book_tops (environment, ticker, at, yes_bid_e4, yes_bid_qty_e2,"
        " yes_ask_e4, yes_ask_qty_e2, volume_e2) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        [
            (
                environment,
                quote.ticker,
                as_datetime(at_us),
                quote.yes_bid_e4,
                quote.yes_bid_qty_e2,
                quote.yes_ask_e4,
                quote.yes_ask_qty_e2,
                quote.volume_e2,
            )
            for at_us, quote in rows
        ],
    )
