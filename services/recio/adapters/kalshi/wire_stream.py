"""JSON of the WebSocket: frames, commands, and the bodies of every channel used.

The delta of an order book is decoded in one step into a typed frame, because it is nearly all of
the traffic; every other frame is an envelope first. Source: Kalshi AsyncAPI 2.0 (read 2026-11).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import msgspec

from recio.adapters.kalshi import events, wire, wire_markets, wire_portfolio
from recio.adapters.kalshi.model import PublicTrade
from recio.domain import units
from recio.domain.errors import InvalidValue

QUARTER_HOUR_US: Final = 900 * units.SECOND_US


LATEST_MS: Final = 4_102_444_800_000  # 2100-01-01: a later time is in another unit.
_Millis = Annotated[int, msgspec.Meta(ge=0, le=LATEST_MS)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class DeltaBody(msgspec.Struct, gc=False):
    """The body of an orderbook_delta; the price is on the scale of ``side``. 0 ms: not told."""

    market_ticker: wire.Name
    price_dollars: str
    delta_fp: str
    side: Literal["yes", "no"]
    ts_ms: _Millis = 0


class DeltaFrame(msgspec.Struct, gc=False, tag_field="type", tag="orderbook_delta"):
    """One change of one level."""

    sid: _Number
    seq: _Number
    msg: DeltaBody


class Frame(msgspec.Struct):
    """Any frame."""

    type: str
    id: _Number | None = None
    sid: _Number | None = None
    seq: _Number | None = None
    msg: msgspec.Raw = msgspec.Raw(b"{}")


class SnapshotBody(msgspec.Struct):
    """The body of an orderbook_snapshot; an empty side is absent."""

    market_ticker: wire.Name
    yes_dollars_fp: list[tuple[str, str]] | None = None
    no_dollars_fp: list[tuple[str, str]] | None = None
    ts_ms: int | None = None


class SubscribedBody(msgspec.Struct):
    """The body of a subscribed acknowledgement."""

    channel: str = ""
    sid: _Number | None = None


class ErrorBody(msgspec.Struct):
    """The body of an error."""

    code: wire.Small = 0
    msg: str = ""


class Params(msgspec.Struct, omit_defaults=True):
    """The parameters of a command; those that are None are not sent."""

    channels: list[str] | None = None
    sids: list[int] | None = None
    action: str | None = None
    market_tickers: list[str] | None = None
    index_ids: list[str] | None = None
    use_yes_price: bool | None = None
    send_initial_snapshot: bool | None = None


class Command(msgspec.Struct, omit_defaults=True):
    """A command of ours."""

    id: int
    cmd: str
    params: Params | None = None


_encoder: Final = msgspec.json.Encoder()


def command_text(command: Command) -> str:
    """Return a command as it goes onto the wire."""
    return _encoder.encode(command).decode()


class _Ticker(msgspec.Struct):
    market_ticker: wire.Name
    price_dollars: str | None = None
    yes_bid_dollars: str | None = None
    yes_ask_dollars: str | None = None
    volume_fp: str | None = None
    open_interest_fp: str | None = None
    ts_ms: int | None = None
    ts: int | None = None


def ticker(body: msgspec.Raw) -> events.TickerSeen:
    """Convert a ticker message."""
    row = wire.decode(body, _Ticker)
    return events.TickerSeen(
        ticker=row.market_ticker,
        yes_bid_e4=wire.quote_e4(row.yes_bid_dollars),
        yes_ask_e4=wire.quote_e4(row.yes_ask_dollars),
        last_price_e4=wire.quote_e4(row.price_dollars),
        volume_e2=wire.optional_qty_e2(row.volume_fp),
        open_interest_e2=wire.optional_qty_e2(row.open_interest_fp),
        at_us=wire.millis_us(row.ts_ms) or wire.seconds_us(row.ts),
    )


class _Trade(msgspec.Struct):
    trade_id: wire.Name
    market_ticker: wire.Name
    yes_price_dollars: str
    count_fp: str
    taker_side: str | None = None
    taker_outcome_side: str | None = None
    taker_book_side: str | None = None
    is_block_trade: bool = False
    ts: int | None = None
    ts_ms: int | None = None


def trade(body: msgspec.Raw) -> PublicTrade:
    """Convert a trade message."""
    row = wire.decode(body, _Trade)
    at_us = wire.millis_us(row.ts_ms) or wire.seconds_us(row.ts)
    if at_us is None:
        raise InvalidValue(f"trade {row.trade_id}: expected ts_ms or ts")
    return PublicTrade(
        trade_id=row.trade_id,
        ticker=row.market_ticker,
        yes_price_e4=wire.price_e4(row.yes_price_dollars),
        qty_e2=wire.qty_e2(row.count_fp),
        taker_side=wire_markets.taker_side(
            row.taker_book_side, row.taker_outcome_side or row.taker_side
        ),
        at_us=at_us,
        is_block=row.is_block_trade,
    )


class _Metadata(msgspec.Struct):
    event_ticker: wire.Label | None = None
    strike_type: str | None = None
    floor_strike: Decimal | None = None
    cap_strike: Decimal | None = None


class _Lifecycle(msgspec.Struct):
    market_ticker: wire.Name
    event_type: str
    open_ts: int | None = None
    close_ts: int | None = None
    determination_ts: int | None = None
    settled_ts: int | None = None
    result: str | None = None
    price_ranges: list[wire_markets.RangeRow] | None = None
    strike_type: str | None = None
    floor_strike: Decimal | None = None
    cap_strike: Decimal | None = None
    exchange_index: wire.Small | None = None
    additional_metadata: _Metadata | None = None


def lifecycle(body: msgspec.Raw) -> events.LifecycleSeen:
    """Convert a market_lifecycle_v2 message."""
    row = wire.decode(body, _Lifecycle)
    more = row.additional_metadata or _Metadata()
    floor = more.floor_strike if row.floor_strike is None else row.floor_strike
    cap = more.cap_strike if row.cap_strike is None else row.cap_strike
    return events.LifecycleSeen(
        ticker=row.market_ticker,
        event_type=row.event_type,
        event_ticker=more.event_ticker or None,
        open_us=wire.seconds_us(row.open_ts),
        close_us=wire.seconds_us(row.close_ts),
        result=row.result,
        strike_type=row.strike_type or more.strike_type,
        floor_strike_usd_e6=wire.number_e6(floor),
        cap_strike_usd_e6=wire.number_e6(cap),
        price_ranges=wire_markets.price_ranges(row.price_ranges or ()),
        determined_at_us=wire.seconds_us(row.determination_ts),
        settled_at_us=wire.seconds_us(row.settled_ts),
        exchange_index=row.exchange_index,
    )


class _EventLifecycle(msgspec.Struct):
    event_ticker: wire.Name
    series_ticker: str = ""
    title: str = ""
    exchange_index: wire.Small | None = None


def event_lifecycle(body: msgspec.Raw) -> events.EventCreated:
    """Convert an event_lifecycle message."""
    row = wire.decode(body, _EventLifecycle)
    return events.EventCreated(
        event_ticker=row.event_ticker,
        series_ticker=row.series_ticker,
        title=row.title,
        exchange_index=row.exchange_index,
    )


class _FeeUpdate(msgspec.Struct):
    event_ticker: wire.Name
    fee_type_override: str | None = None
    fee_multiplier_override: Decimal | None = None


def event_fee_update(body: msgspec.Raw) -> events.FeeOverride:
    """Convert an event_fee_update message."""
    row = wire.decode(body, _FeeUpdate)
    return events.FeeOverride(
        event_ticker=row.event_ticker,
        fee_type=row.fee_type_override,
        fee_multiplier_e6=wire.multiplier_e6(row.fee_multiplier_override),
    )


class _Group(msgspec.Struct):
    event_type: str
    order_group_id: wire.Name
    contracts_limit_fp: str | None = None
    ts_ms: int | None = None


def order_group(body: msgspec.Raw) -> events.GroupSeen:
    """Convert an order_group_updates message."""
    row = wire.decode(body, _Group)
    return events.GroupSeen(
        group_id=row.order_group_id,
        event_type=row.event_type,
        limit_qty_e2=wire.optional_qty_e2(row.contracts_limit_fp),
        at_us=wire.millis_us(row.ts_ms),
    )


class _Average(msgspec.Struct):
    value: str
    window_size: int


class _Index(msgspec.Struct):
    index_id: wire.Name
    data: str
    avg_60s_data: _Average | None = None
    last_60s_windowed_average_15min: _Average | None = None


class _Upstream(msgspec.Struct):
    value: str
    time: int


def index_value(body: msgspec.Raw) -> events.IndexSeen:
    """Convert a cfbenchmarks_value message; ``data`` is the index provider's JSON as a string."""
    row = wire.decode(body, _Index)
    upstream = wire.decode(row.data.encode(), _Upstream)
    at_us = wire.millis_us(upstream.time) or 0
    window = row.last_60s_windowed_average_15min
    return events.IndexSeen(
        index_id=row.index_id,
        value_usd_e6=_index_usd_e6(upstream.value),
        at_us=at_us,
        trailing_usd_e6=None if row.avg_60s_data is None else _index_usd_e6(row.avg_60s_data.value),
        window_usd_e6=None if window is None else _index_usd_e6(window.value),
        window_count=0 if window is None else _window_count(window.window_size),
        # The window is (close - 60 s, close]: the next quarter hour at or after the value's time.
        window_close_us=None if window is None else -(-at_us // QUARTER_HOUR_US) * QUARTER_HOUR_US,
    )


class _FastIndex(msgspec.Struct):
    index_id: wire.Name
    value_usd: str
    source_ts_ms: int


def fast_index_value(body: msgspec.Raw) -> events.IndexSeen:
    """Convert a cfbenchmarks_value_5hz message."""
    row = wire.decode(body, _FastIndex)
    return events.IndexSeen(
        index_id=row.index_id,
        value_usd_e6=_index_usd_e6(row.value_usd),
        at_us=wire.millis_us(row.source_ts_ms) or 0,
        trailing_usd_e6=None,
        window_usd_e6=None,
        window_count=0,
        window_close_us=None,
    )


def _index_usd_e6(text: str) -> int:
    value = units.round_usd_e6(text)
    if not 0 < value < wire.MAX_USD_E6:
        raise InvalidValue(f"expected an index value above 0, received {text!r}")
    return value


def _window_count(size: int) -> int:
    if not 0 <= size <= 60:  # noqa: PLR2004  (seconds of the settlement minute)
        raise InvalidValue(f"expected 0 … 60 values in the settlement window, received {size}")
    return size


CONVERTERS: Final[dict[str, Any]] = {
    "ticker": ticker,
    "trade": trade,
    "fill": wire_portfolio.fill,
    "user_order": wire_portfolio.order,
    "market_position": wire_portfolio.stream_position,
    "market_lifecycle_v2": lifecycle,
    "event_lifecycle": event_lifecycle,
    "event_fee_update": event_fee_update,
    "order_group_updates": order_group,
    "cfbenchmarks_value": index_value,
    "cfbenchmarks_value_5hz": fast_index_value,
}
"""Message type -> converter of its body into an event."""
