"""Series, events, markets, books, trades and candles as the exchange's JSON shows them."""

from __future__ import annotations

from typing import Any

from recio.domain.units import HOUR_US
from recio.exchange_simulator.api import wire
from recio.exchange_simulator.core.candles import MarketCandle, Range
from recio.exchange_simulator.core.records import Event, Market, Trade
from recio.exchange_simulator.core.state import State
from recio.exchange_simulator.specs import PriceRange, SeriesSpec

Json = dict[str, Any]

_SETTLEMENT_TAIL_US = 7 * 24 * HOUR_US
_EXPECTED_TAIL_US = HOUR_US // 12


def strike(usd_e6: int) -> float | int:
    """Return a strike as the JSON number that the exchange uses for it (never money of ours)."""
    return usd_e6 / 1_000_000 if usd_e6 % 1_000_000 else usd_e6 // 1_000_000


def series(spec: SeriesSpec) -> Json:
    """Return one series."""
    return {
        "ticker": spec.ticker,
        "frequency": spec.frequency,
        "title": spec.title,
        "category": spec.category,
        "categories": [spec.category],
        "tags": list(spec.tags),
        "settlement_sources": _sources(spec),
        "contract_url": "",
        "contract_terms_url": "",
        "fee_type": spec.fee_type,
        "fee_multiplier": strike(spec.fee_multiplier_e6),
        "additional_prohibitions": [],
        "product_metadata": dict(spec.product_metadata),
        "exchange_index": spec.exchange_index,
    }


def _sources(spec: SeriesSpec | None) -> list[Json]:
    return [{"name": n, "url": u} for n, u in spec.settlement_sources] if spec else []


def event(state: State, one: Event, *, with_markets: bool) -> Json:
    """Return one event, with its markets nested if wanted."""
    spec = one.spec
    known = state.series.get(spec.series_ticker)
    body: Json = {
        "event_ticker": spec.event_ticker,
        "series_ticker": spec.series_ticker,
        "title": spec.title,
        "sub_title": spec.sub_title,
        "collateral_return_type": spec.collateral_return_type,
        "mutually_exclusive": spec.mutually_exclusive,
        "settlement_sources": _sources(known),
        "category": known.category if known else "",
        "strike_date": wire.time(spec.close_us),
        "strike_period": known.frequency if known else "",
        "product_metadata": dict(spec.product_metadata),
        "last_updated_ts": wire.time(one.updated_us),
        "exchange_index": one.exchange_index,
    }
    if with_markets:
        body["markets"] = [market(each) for each in one.markets]
    return body


def price_ranges(ranges: tuple[PriceRange, ...]) -> list[Json]:
    """Return a price grid."""
    return [
        {
            "start": wire.price(one.start_e4),
            "end": wire.price(one.end_e4),
            "step": wire.price(one.step_e4),
        }
        for one in ranges
    ]


def expected_expiration_us(one: Market) -> int:
    """Return when a market is expected to be settled."""
    return one.event.spec.expected_expiration_us or one.close_us + _EXPECTED_TAIL_US


def market(one: Market) -> Json:
    """Return one market."""
    spec, event_spec = one.spec, one.event.spec
    latest = event_spec.latest_expiration_us or one.close_us + _SETTLEMENT_TAIL_US
    body: Json = {
        "ticker": spec.ticker,
        "event_ticker": event_spec.event_ticker,
        "market_type": "binary",
        "title": spec.title or event_spec.title,
        "subtitle": "",
        "yes_sub_title": spec.yes_sub_title,
        "no_sub_title": spec.no_sub_title,
        "created_time": wire.time(one.created_us),
        "updated_time": wire.time(one.updated_us),
        "open_time": wire.time(one.open_us),
        "close_time": wire.time(one.close_us),
        "expiration_time": wire.time(latest),
        "latest_expiration_time": wire.time(latest),
        "expected_expiration_time": wire.time(expected_expiration_us(one)),
        "settlement_timer_seconds": event_spec.settlement_timer_seconds,
        "status": str(one.status),
        "result": one.result,
        "can_close_early": event_spec.can_close_early,
        "notional_value_dollars": "1.0000",
        "liquidity_dollars": "0.0000",
        "expiration_value": one.expiration_value,
        "rules_primary": spec.rules_primary,
        "rules_secondary": spec.rules_secondary,
        "price_level_structure": one.price_level_structure,
        "price_ranges": price_ranges(one.price_ranges),
        "exchange_index": one.exchange_index,
    }
    return body | _figures(one) | _strikes(one) | _outcome(one)


def _figures(one: Market) -> Json:
    (bid, bid_size), (ask, ask_size) = one.yes_bid(), one.yes_ask()
    last = one.last_price_e4 or 0
    return {
        "yes_bid_dollars": wire.price(bid),
        "yes_bid_size_fp": wire.count(bid_size),
        "yes_ask_dollars": wire.price(ask),
        "yes_ask_size_fp": wire.count(ask_size),
        "no_bid_dollars": wire.price(10_000 - ask),
        "no_ask_dollars": wire.price(10_000 - bid),
        "last_price_dollars": wire.price(last),
        "previous_yes_bid_dollars": "0.0000",
        "previous_yes_ask_dollars": "0.0000",
        "previous_price_dollars": "0.0000",
        "volume_fp": wire.count(one.volume_e2),
        "volume_24h_fp": wire.count(one.volume_e2),
        "open_interest_fp": wire.count(one.open_interest_e2),
    }


def _strikes(one: Market) -> Json:
    spec = one.spec
    body: Json = {}
    if spec.strike_type is not None:
        body["strike_type"] = spec.strike_type
    if spec.floor_strike_usd_e6 is not None:
        body["floor_strike"] = strike(spec.floor_strike_usd_e6)
    if spec.cap_strike_usd_e6 is not None:
        body["cap_strike"] = strike(spec.cap_strike_usd_e6)
    if spec.custom_strike:
        body["custom_strike"] = dict(spec.custom_strike)
    return body


def _outcome(one: Market) -> Json:
    body: Json = {}
    if one.payout_cents is not None:
        body["settlement_value_dollars"] = wire.price(one.payout_cents * 100)
    if one.settled_us is not None:
        body["settlement_ts"] = wire.time(one.settled_us)
    return body


def levels(one: Market, depth: int = 0) -> tuple[list[list[str]], list[list[str]]]:
    """Return YES and NO bids as [price, count], ascending, each on its own scale."""
    bids, asks = one.book.bids, one.book.asks
    yes = [[wire.price(p), wire.count(bids.levels[p].total_e2)] for p in bids.prices[-depth:]]
    nearest = asks.prices[:depth] if depth else asks.prices
    no = [[wire.price(10_000 - p), wire.count(asks.levels[p].total_e2)] for p in reversed(nearest)]
    return yes, no


def orderbook(one: Market, depth: int = 0) -> Json:
    """Return a book as ``orderbook_fp``."""
    yes, no = levels(one, depth)
    return {"yes_dollars": yes, "no_dollars": no}


def trade(one: Trade) -> Json:
    """Return a public trade."""
    side = "yes" if one.is_taker_bid else "no"
    return {
        "trade_id": one.trade_id,
        "ticker": one.ticker,
        "count_fp": wire.count(one.qty_e2),
        "yes_price_dollars": wire.price(one.price_e4),
        "no_price_dollars": wire.price(10_000 - one.price_e4),
        "taker_outcome_side": side,
        "taker_book_side": "bid" if one.is_taker_bid else "ask",
        "taker_side": side,
        "created_time": wire.time(one.at_us),
        "is_block_trade": False,
    }


def candle(one: MarketCandle) -> Json:
    """Return a candlestick."""
    traded = _ohlc(one.price) if one.price else {}
    if one.volume_e2:
        traded["mean_dollars"] = wire.price(one.turnover_e6 // one.volume_e2)
    if one.previous_e4 is not None:
        traded["previous_dollars"] = wire.price(one.previous_e4)
    return {
        "end_period_ts": wire.seconds(one.end_us),
        "yes_bid": _ohlc(one.bid),
        "yes_ask": _ohlc(one.ask),
        "price": traded,
        "volume_fp": wire.count(one.volume_e2),
        "open_interest_fp": wire.count(one.open_interest_e2),
    }


def _ohlc(one: Range) -> dict[str, str]:
    return {
        "open_dollars": wire.price(one.open),
        "low_dollars": wire.price(one.low),
        "high_dollars": wire.price(one.high),
        "close_dollars": wire.price(one.close),
    }
