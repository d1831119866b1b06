"""JSON of the public endpoints: exchange, series, events, markets, books, trades, candles.

A row of a list that does not convert is refused by itself and counted by the caller; the others
live on. Source: Kalshi OpenAPI 3.30 and the changelog (read 2026-11).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Annotated, Final, TypeVar

import msgspec

from recio.adapters.kalshi import model, wire
from recio.domain import units
from recio.domain.errors import InvalidValue
from recio.domain.messages import PriceRange
from recio.domain.orders import BookSide

T = TypeVar("T")

MARKET_STATUSES: Final = frozenset(
    {
        "initialized",
        "inactive",
        "active",
        "closed",
        "determined",
        "disputed",
        "amended",
        "finalized",
    }
)
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def convert_each(
    rows: Iterable[msgspec.Raw],
    convert: Callable[[msgspec.Raw], T],
    refused: Counter[str],
    kind: str,
) -> Iterator[T]:
    """Yield the rows that convert; count the others under ``kind``."""
    for row in rows:
        try:
            value = convert(row)
        except InvalidValue:
            refused[kind] += 1
        else:
            yield value


class RangeRow(msgspec.Struct):
    """One range of a price grid, as the exchange writes it."""

    start: str
    end: str
    step: str


class _Market(msgspec.Struct):
    ticker: wire.Name
    event_ticker: wire.Name
    title: str = ""
    yes_sub_title: str = ""
    status: str = ""
    result: str = ""
    open_time: str | None = None
    close_time: str | None = None
    strike_type: str | None = None
    floor_strike: Decimal | None = None
    cap_strike: Decimal | None = None
    price_ranges: list[RangeRow] | None = None
    exchange_index: wire.Small | None = None
    yes_bid_dollars: str | None = None
    yes_ask_dollars: str | None = None
    last_price_dollars: str | None = None
    volume_fp: str | None = None
    open_interest_fp: str | None = None
    settlement_timer_seconds: wire.Small | None = None
    expected_expiration_time: str | None = None
    expiration_value: str | None = None
    settlement_value_dollars: str | None = None
    settlement_ts: str | None = None
    can_close_early: bool = False
    updated_time: str | None = None
    fee_waiver_expiration_time: str | None = None


class MarketReply(msgspec.Struct):
    """GET /markets/{ticker}."""

    market: msgspec.Raw


class MarketsReply(msgspec.Struct):
    """GET /markets."""

    markets: list[msgspec.Raw]
    cursor: str | None = None


def market(body: bytes | msgspec.Raw) -> model.MarketRecord:
    """Convert one market."""
    row = wire.decode(body, _Market)
    if row.status and row.status not in MARKET_STATUSES:
        raise InvalidValue(f"market {row.ticker}: expected a known status, received {row.status!r}")
    return model.MarketRecord(
        ticker=row.ticker,
        event_ticker=row.event_ticker,
        title=row.yes_sub_title or row.title,
        status=row.status,
        result=row.result,
        open_us=wire.optional_time_us(row.open_time),
        close_us=wire.optional_time_us(row.close_time),
        strike_type=row.strike_type or "",
        floor_strike_usd_e6=wire.number_e6(row.floor_strike),
        cap_strike_usd_e6=wire.number_e6(row.cap_strike),
        price_ranges=price_ranges(row.price_ranges or ()),
        exchange_index=row.exchange_index,
        yes_bid_e4=wire.quote_e4(row.yes_bid_dollars),
        yes_ask_e4=wire.quote_e4(row.yes_ask_dollars),
        last_price_e4=wire.quote_e4(row.last_price_dollars),
        volume_e2=wire.optional_qty_e2(row.volume_fp),
        open_interest_e2=wire.optional_qty_e2(row.open_interest_fp),
        settlement_timer_s=row.settlement_timer_seconds,
        expected_expiration_us=wire.optional_time_us(row.expected_expiration_time),
        expiration_value_usd_e6=wire.index_usd_e6(row.expiration_value),
        payout_usd_e6=wire.payout_usd_e6(wire.optional_usd_e6(row.settlement_value_dollars)),
        settled_at_us=wire.optional_time_us(row.settlement_ts),
        can_close_early=row.can_close_early,
        updated_at_us=wire.optional_time_us(row.updated_time),
        fee_waived_until_us=wire.optional_time_us(row.fee_waiver_expiration_time),
    )


def price_ranges(rows: Iterable[RangeRow]) -> tuple[PriceRange, ...]:
    """Convert a price grid.

    Raises:
        InvalidValue: an empty range, or a step that is not positive.
    """
    ranges = tuple(
        PriceRange(
            units.parse_price_e4(row.start),
            units.parse_price_e4(row.end),
            units.parse_price_e4(row.step),
        )
        for row in rows
    )
    for row in ranges:
        if row.step_e4 <= 0 or row.start_e4 > row.end_e4:
            raise InvalidValue(f"expected a range of prices with a step above 0, received {row}")
    return ranges


class _Event(msgspec.Struct):
    event_ticker: wire.Name
    series_ticker: wire.Name
    title: str = ""
    sub_title: str = ""
    mutually_exclusive: bool = False
    fee_type_override: str | None = None
    fee_multiplier_override: Decimal | None = None
    strike_date: str | None = None
    exchange_index: wire.Small | None = None
    markets: list[msgspec.Raw] | None = None


class EventReply(msgspec.Struct):
    """GET /events/{event_ticker}; the top-level list is the deprecated place of the markets."""

    event: msgspec.Raw
    markets: list[msgspec.Raw] | None = None


class EventsReply(msgspec.Struct):
    """GET /events."""

    events: list[msgspec.Raw]
    cursor: str | None = None


def event(
    body: bytes | msgspec.Raw, refused: Counter[str], markets: list[msgspec.Raw] | None = None
) -> model.EventRecord:
    """Convert one event with the markets nested in it, or with those given."""
    row = wire.decode(body, _Event)
    rows = row.markets or markets or ()
    return model.EventRecord(
        event_ticker=row.event_ticker,
        series_ticker=row.series_ticker,
        title=row.title,
        sub_title=row.sub_title,
        is_mutually_exclusive=row.mutually_exclusive,
        fee_type_override=row.fee_type_override,
        fee_multiplier_override_e6=wire.multiplier_e6(row.fee_multiplier_override),
        strike_at_us=wire.optional_time_us(row.strike_date),
        exchange_index=row.exchange_index,
        markets=tuple(convert_each(rows, market, refused, "market")),
    )


class _Series(msgspec.Struct):
    ticker: wire.Name
    fee_type: str
    fee_multiplier: Decimal
    title: str = ""
    category: str = ""
    frequency: str = ""
    exchange_index: wire.Small | None = None


class SeriesReply(msgspec.Struct):
    """GET /series/{series_ticker}."""

    series: msgspec.Raw


class SeriesListReply(msgspec.Struct):
    """GET /series."""

    series: list[msgspec.Raw]


def series(body: bytes | msgspec.Raw) -> model.SeriesRecord:
    """Convert one series."""
    row = wire.decode(body, _Series)
    return model.SeriesRecord(
        ticker=row.ticker,
        title=row.title,
        category=row.category,
        frequency=row.frequency,
        fee_type=row.fee_type,
        fee_multiplier_e6=wire.multiplier_e6(row.fee_multiplier) or 0,
        exchange_index=row.exchange_index,
    )


class _FeeChange(msgspec.Struct):
    series_ticker: wire.Name
    fee_type: str
    fee_multiplier: Decimal
    scheduled_ts: str


class FeeChangesReply(msgspec.Struct):
    """GET /series/fee_changes."""

    series_fee_change_arr: list[msgspec.Raw]


def fee_change(body: bytes | msgspec.Raw) -> model.FeeChange:
    """Convert one announced fee change."""
    row = wire.decode(body, _FeeChange)
    return model.FeeChange(
        series_ticker=row.series_ticker,
        fee_type=row.fee_type,
        fee_multiplier_e6=wire.multiplier_e6(row.fee_multiplier) or 0,
        scheduled_us=wire.time_us(row.scheduled_ts),
    )


class _Levels(msgspec.Struct):
    yes_dollars: list[tuple[str, str]] | None = None
    no_dollars: list[tuple[str, str]] | None = None


class BookReply(msgspec.Struct):
    """GET /markets/{ticker}/orderbook."""

    orderbook_fp: _Levels


class _TickerBook(msgspec.Struct):
    ticker: wire.Name
    orderbook_fp: _Levels


class BooksReply(msgspec.Struct):
    """GET /markets/orderbooks."""

    orderbooks: list[_TickerBook]


def book(ticker: str, rows: _Levels) -> model.BookLevels:
    """Convert one order book."""
    return model.BookLevels(
        ticker=ticker, yes=levels(rows.yes_dollars or ()), no=levels(rows.no_dollars or ())
    )


def levels(rows: Iterable[tuple[str, str]]) -> tuple[tuple[int, int], ...]:
    """Convert price levels; those of no size are left out.

    Raises:
        InvalidValue: a price of 0 or 1, a negative size, or one price twice.
    """
    pairs = [(wire.price_e4(price), wire.qty_e2(qty)) for price, qty in rows]
    if len({price for price, _ in pairs}) != len(pairs):
        raise InvalidValue("expected each price once in a book, received one twice")
    return tuple(pair for pair in pairs if pair[1])


class _Trade(msgspec.Struct):
    trade_id: wire.Name
    ticker: wire.Name
    count_fp: str
    yes_price_dollars: str
    created_time: str
    taker_book_side: str | None = None
    taker_outcome_side: str | None = None
    taker_side: str | None = None
    is_block_trade: bool = False


class TradesReply(msgspec.Struct):
    """GET /markets/trades."""

    trades: list[msgspec.Raw]
    cursor: str | None = None


def trade(body: bytes | msgspec.Raw) -> model.PublicTrade:
    """Convert one public trade."""
    row = wire.decode(body, _Trade)
    return model.PublicTrade(
        trade_id=row.trade_id,
        ticker=row.ticker,
        yes_price_e4=wire.price_e4(row.yes_price_dollars),
        qty_e2=wire.qty_e2(row.count_fp),
        taker_side=taker_side(row.taker_book_side, row.taker_outcome_side or row.taker_side),
        at_us=wire.time_us(row.created_time),
        is_block=row.is_block_trade,
    )


def taker_side(side: str | None, outcome: str | None) -> BookSide | None:
    """Return the taker's side of the book; None if the exchange does not say."""
    try:
        return wire.book_side(side, outcome, None, None)
    except InvalidValue:
        return None


class _Ohlc(msgspec.Struct):
    open_dollars: str | None = None
    high_dollars: str | None = None
    low_dollars: str | None = None
    close_dollars: str | None = None


class _Candle(msgspec.Struct):
    end_period_ts: int
    yes_bid: _Ohlc | None = None
    yes_ask: _Ohlc | None = None
    price: _Ohlc | None = None
    volume_fp: str | None = None
    open_interest_fp: str | None = None


class CandlesReply(msgspec.Struct):
    """GET /series/{series_ticker}/markets/{ticker}/candlesticks."""

    candlesticks: list[msgspec.Raw]


def candle(body: bytes | msgspec.Raw) -> model.Candle:
    """Convert one candlestick."""
    row = wire.decode(body, _Candle)
    price, bid, ask = row.price or _Ohlc(), row.yes_bid or _Ohlc(), row.yes_ask or _Ohlc()
    return model.Candle(
        end_us=wire.seconds_us(row.end_period_ts) or 0,
        yes_bid_close_e4=wire.quote_e4(bid.close_dollars),
        yes_ask_close_e4=wire.quote_e4(ask.close_dollars),
        open_e4=wire.quote_e4(price.open_dollars),
        high_e4=wire.quote_e4(price.high_dollars),
        low_e4=wire.quote_e4(price.low_dollars),
        close_e4=wire.quote_e4(price.close_dollars),
        volume_e2=wire.optional_qty_e2(row.volume_fp),
        open_interest_e2=wire.optional_qty_e2(row.open_interest_fp),
    )


class _ShardStatus(msgspec.Struct):
    exchange_index: wire.Small
    exchange_active: bool
    trading_active: bool


class StatusReply(msgspec.Struct):
    """GET /exchange/status; also the body of its 500, 503 and 504."""

    exchange_active: bool
    trading_active: bool
    exchange_estimated_resume_time: str | None = None
    exchange_index_statuses: list[_ShardStatus] | None = None


def status(body: bytes) -> model.StatusRecord:
    """Convert the exchange's status."""
    row = wire.decode(body, StatusReply)
    return model.StatusRecord(
        is_exchange_active=row.exchange_active,
        is_trading_active=row.trading_active,
        resume_at_us=wire.optional_time_us(row.exchange_estimated_resume_time),
        shards=tuple(
            model.ShardStatus(
                exchange_index=shard.exchange_index,
                is_exchange_active=shard.exchange_active,
                is_trading_active=shard.trading_active,
            )
            for shard in row.exchange_index_statuses or ()
        ),
    )


_HourMinute = Annotated[str, msgspec.Meta(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)\Z")]


class _Hours(msgspec.Struct):
    open_time: _HourMinute
    close_time: _HourMinute


class _Window(msgspec.Struct):
    start_datetime: str
    end_datetime: str


class _Schedule(msgspec.Struct):
    standard_hours: list[dict[str, msgspec.Raw]]
    maintenance_windows: list[_Window] | None = None


class ScheduleReply(msgspec.Struct):
    """GET /exchange/schedule."""

    schedule: _Schedule


def schedule(body: bytes) -> model.ScheduleRecord:
    """Convert the exchange's schedule."""
    row = wire.decode(body, ScheduleReply).schedule
    hours = [
        model.OpenHours(weekday=weekday, opens=each.open_time, closes=each.close_time)
        for week in row.standard_hours
        for weekday, day in enumerate(_WEEKDAYS)
        for each in wire.decode(week.get(day, msgspec.Raw(b"[]")), list[_Hours])
    ]
    windows = [
        model.MaintenanceWindow(
            start_us=wire.time_us(each.start_datetime), end_us=wire.time_us(each.end_datetime)
        )
        for each in row.maintenance_windows or ()
    ]
    return model.ScheduleRecord(hours=tuple(hours), maintenance=tuple(windows))


class CutoffReply(msgspec.Struct):
    """GET /historical/cutoff."""

    market_settled_ts: str
    trades_created_ts: str
    orders_updated_ts: str


def cutoff(body: bytes) -> model.HistoricalCutoff:
    """Convert the border of the historical tier."""
    row = wire.decode(body, CutoffReply)
    return model.HistoricalCutoff(
        market_settled_us=wire.time_us(row.market_settled_ts),
        trades_created_us=wire.time_us(row.trades_created_ts),
        orders_updated_us=wire.time_us(row.orders_updated_ts),
    )
