"""Series, events, markets, order books, public trades and candlesticks."""

from __future__ import annotations

from typing import Final

from recio.domain.units import MINUTE_US
from recio.exchange_simulator.api import render_markets as render
from recio.exchange_simulator.api.call import Call, Json, is_within, page
from recio.exchange_simulator.core import candles
from recio.exchange_simulator.core.records import Event, Market, MarketStatus
from recio.exchange_simulator.core.refusals import invalid_parameter, not_found

_STATUS: Final[dict[str, tuple[MarketStatus, ...]]] = {
    "unopened": (MarketStatus.INITIALIZED,),
    "open": (MarketStatus.ACTIVE,),
    "paused": (MarketStatus.INACTIVE,),
    "closed": (MarketStatus.CLOSED, MarketStatus.DETERMINED),
    "settled": (MarketStatus.FINALIZED,),
}
_MOST_BOOKS: Final = 100
_MOST_CANDLES: Final = 10_000
_PERIODS: Final = (1, 60, 1440)


def _statuses(call: Call) -> tuple[MarketStatus, ...]:
    wanted = call.text("status")
    if wanted is None:
        return tuple(MarketStatus)
    if wanted not in _STATUS:
        raise invalid_parameter(f"status must be one of {', '.join(_STATUS)}")
    return _STATUS[wanted]


def series_list(call: Call) -> Json:
    """List series."""
    category, tags = call.text("category"), set(call.texts("tags"))
    return {
        "series": [
            render.series(one)
            for one in call.state.series.values()
            if category in (None, one.category) and (not tags or tags & set(one.tags))
        ]
    }


def series_one(call: Call) -> Json:
    """Give one series."""
    found = call.state.series.get(call.params["series_ticker"])
    if found is None:
        raise not_found("series")
    return {"series": render.series(found)}


def events_list(call: Call) -> Json:
    """List events, newest first."""
    statuses, wanted = _statuses(call), set(call.texts("tickers"))
    series, min_close = call.text("series_ticker"), call.seconds("min_close_ts")

    def is_shown(one: Event) -> bool:
        return (
            series in (None, one.spec.series_ticker)
            and (not wanted or one.spec.event_ticker in wanted)
            and is_within(one.spec.close_us, min_close, None)
            and any(market.status in statuses for market in one.markets)
        )

    events = filter(is_shown, call.state.events.values())
    shown, cursor = page(events, lambda one: one.number, call, (200, 200))
    nested = call.flag("with_nested_markets")
    rendered = [render.event(call.state, one, with_markets=nested) for one in shown]
    return {"events": rendered, "milestones": [], "cursor": cursor}


def _event(call: Call) -> Event:
    found = call.state.events.get(call.params["event_ticker"])
    if found is None:
        raise not_found("event")
    return found


def event_one(call: Call) -> Json:
    """Give one event; its markets stand beside it always (declared so), in it only if asked."""
    found, nested = _event(call), call.flag("with_nested_markets")
    return {
        "event": render.event(call.state, found, with_markets=nested),
        "markets": [render.market(one) for one in found.markets],
    }


def event_metadata(call: Call) -> Json:
    """Give an event's pictures and settlement sources."""
    found = _event(call)
    body = render.event(call.state, found, with_markets=False)
    return {
        "image_url": "",
        "market_details": [
            {"market_ticker": one.ticker, "image_url": "", "color_code": ""}
            for one in found.markets
        ],
        "settlement_sources": body["settlement_sources"],
    }


def multivariate_events(_call: Call) -> Json:
    """List multivariate events: there are none."""
    return {"events": [], "cursor": ""}


def markets_list(call: Call) -> Json:
    """List markets, newest first."""
    statuses, tickers = _statuses(call), set(call.texts("tickers"))
    event, series = call.text("event_ticker"), call.text("series_ticker")
    bounds = {
        name: (call.seconds(f"min_{name}_ts"), call.seconds(f"max_{name}_ts"))
        for name in ("created", "close", "settled")
    }
    updated = call.seconds("min_updated_ts")

    def is_shown(one: Market) -> bool:
        spec = one.event.spec
        return (
            one.status in statuses
            and (not tickers or one.ticker in tickers)
            and event in (None, spec.event_ticker)
            and series in (None, spec.series_ticker)
            and is_within(one.created_us, *bounds["created"])
            and is_within(one.close_us, *bounds["close"])
            and (bounds["settled"] == (None, None) or _is_settled_in(one, bounds["settled"]))
            and is_within(one.updated_us, updated, None)
            and call.text("mve_filter") != "only"
        )

    markets = filter(is_shown, call.state.markets.values())
    shown, cursor = page(markets, lambda one: one.number, call, (100, 1000))
    return {"markets": [render.market(one) for one in shown], "cursor": cursor}


def _is_settled_in(one: Market, bounds: tuple[int | None, int | None]) -> bool:
    return one.settled_us is not None and is_within(one.settled_us, *bounds)


def market_one(call: Call) -> Json:
    """Give one market."""
    return {"market": render.market(call.state.market(call.params["ticker"]))}


def orderbook(call: Call) -> Json:
    """Give one order book: bids of both sides."""
    depth = call.number("depth") or 0
    if not 0 <= depth <= 100:
        raise invalid_parameter("depth must be between 0 and 100")
    return {"orderbook_fp": render.orderbook(call.state.market(call.params["ticker"]), depth)}


def orderbooks(call: Call) -> Json:
    """Give several order books."""
    tickers = call.texts("tickers")
    if not 1 <= len(tickers) <= _MOST_BOOKS:
        raise invalid_parameter(f"tickers must name 1 to {_MOST_BOOKS} markets")
    books = [call.state.market(ticker) for ticker in tickers]
    return {
        "orderbooks": [
            {"ticker": one.ticker, "orderbook_fp": render.orderbook(one)} for one in books
        ]
    }


def trades(call: Call) -> Json:
    """List recent public trades, newest first."""
    ticker = call.text("ticker")
    low, high = call.seconds("min_ts"), call.seconds("max_ts")
    if call.text("is_block_trade") == "true":
        return {"trades": [], "cursor": ""}
    found = (
        one
        for one in call.state.trades
        if ticker in (None, one.ticker) and is_within(one.at_us, low, high)
    )
    shown, cursor = page(found, lambda one: one.number, call, (100, 1000))
    return {"trades": [render.trade(one) for one in shown], "cursor": cursor}


def _candles(call: Call, market: Market) -> list[Json]:
    start, end = call.seconds("start_ts"), call.seconds("end_ts")
    period = call.number("period_interval")
    if start is None or end is None or period is None:
        raise invalid_parameter("start_ts, end_ts and period_interval are required")
    if period not in _PERIODS:
        return []
    minutes = market.candles.minutes
    grouped = minutes if period == 1 else candles.regroup(minutes, period * MINUTE_US)
    return [render.candle(one) for one in grouped if start <= one.end_us <= end][:_MOST_CANDLES]


def market_candles(call: Call) -> Json:
    """Give one market's candlesticks."""
    market = call.state.market(call.params["ticker"])
    return {"ticker": market.ticker, "candlesticks": _candles(call, market)}


def many_candles(call: Call) -> Json:
    """Give the candlesticks of several markets."""
    tickers = call.texts("market_tickers")
    if not 1 <= len(tickers) <= _MOST_BOOKS:
        raise invalid_parameter(f"market_tickers must name 1 to {_MOST_BOOKS} markets")
    markets = [call.state.market(ticker) for ticker in tickers]
    return {
        "markets": [
            {"market_ticker": one.ticker, "candlesticks": _candles(call, one)} for one in markets
        ]
    }


def event_candles(call: Call) -> Json:
    """Give the candlesticks of an event's markets."""
    event = _event(call)
    return {
        "market_tickers": [one.ticker for one in event.markets],
        "market_candlesticks": [_candles(call, one) for one in event.markets],
        "adjusted_end_ts": call.number("end_ts") or 0,
    }
