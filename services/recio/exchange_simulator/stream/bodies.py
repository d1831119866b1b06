"""The ``msg`` of every push, as JSON-ready values (docs.kalshi.com/asyncapi.yaml)."""

from __future__ import annotations

from typing import Any

import msgspec

from recio.exchange_simulator.api import render_markets, wire
from recio.exchange_simulator.core.index import Average, Index
from recio.exchange_simulator.core.records import (
    Account,
    Event,
    Fill,
    Market,
    Order,
    OrderGroup,
    Position,
    Trade,
)

Json = dict[str, Any]


def snapshot(market: Market, *, is_yes_scale: bool) -> Json:
    """Return the whole book; a side without levels has no key."""
    yes, no = render_markets.levels(market)
    if is_yes_scale:
        asks = market.book.asks
        no = [[wire.price(p), wire.count(asks.levels[p].total_e2)] for p in asks.prices]
    body: Json = {"market_ticker": market.ticker, "market_id": market.market_id}
    if yes:
        body["yes_dollars_fp"] = yes
    if no:
        body["no_dollars_fp"] = no
    return body


class DeltaWriter:
    """Writes changes of levels as JSON text by hand: most of all messages are these."""

    def __init__(self) -> None:
        self._heads: dict[str, bytes] = {}
        self._at_us = -1
        self._tail = b""

    def write(
        self, market: Market, level: tuple[str, str, str], at_us: int, order: Order | None
    ) -> bytes:
        """Return one change of a level, given as side, price and signed count.

        ``order`` is the receiver's own that caused it.
        """
        side, price, change = level
        head = self._heads.get(market.ticker)
        if head is None:
            names = {"market_ticker": market.ticker, "market_id": market.market_id}
            head = self._heads[market.ticker] = msgspec.json.encode(names)[:-1]
        if at_us != self._at_us:
            self._at_us = at_us
            self._tail = f',"ts":"{wire.time(at_us)}","ts_ms":{wire.millis(at_us)}'.encode()
        middle = f',"price_dollars":"{price}","delta_fp":"{change}","side":"{side}"'.encode()
        if order is None:
            return head + middle + self._tail + b"}"
        own = msgspec.json.encode({"client_order_id": order.client_order_id, "subaccount": 0})
        return head + middle + self._tail + b"," + own[1:]

    def forget(self, ticker: str) -> None:
        """Forget a market that is closed."""
        self._heads.pop(ticker, None)


Figures = tuple[int | None, ...]


def figures(market: Market) -> Figures:
    """Return what a ticker shows apart from its time."""
    return (
        *market.yes_bid(),
        *market.yes_ask(),
        market.last_price_e4,
        market.last_size_e2,
        market.volume_e2,
        market.open_interest_e2,
    )


def ticker(market: Market, at_us: int) -> Json:
    """Return top of book and figures."""
    (bid, bid_size), (ask, ask_size) = market.yes_bid(), market.yes_ask()
    return {
        "market_id": market.market_id,
        "market_ticker": market.ticker,
        "price_dollars": wire.price(market.last_price_e4 or 0),
        "yes_bid_dollars": wire.price(bid),
        "yes_ask_dollars": wire.price(ask),
        "yes_bid_size_fp": wire.count(bid_size),
        "yes_ask_size_fp": wire.count(ask_size),
        "last_trade_size_fp": wire.count(market.last_size_e2),
        "volume_fp": wire.count(market.volume_e2),
        "open_interest_fp": wire.count(market.open_interest_e2),
        # Recorded frames: both are half the count of contracts, cut off.
        "dollar_volume": market.volume_e2 // 200,
        "dollar_open_interest": market.open_interest_e2 // 200,
        "ts": wire.seconds(at_us),
        "ts_ms": wire.millis(at_us),
        "time": wire.time(at_us),
    }


def trade(one: Trade) -> Json:
    """Return a public trade."""
    side = "yes" if one.is_taker_bid else "no"
    return {
        "trade_id": one.trade_id,
        "market_ticker": one.ticker,
        "yes_price_dollars": wire.price(one.price_e4),
        "no_price_dollars": wire.price(10_000 - one.price_e4),
        "count_fp": wire.count(one.qty_e2),
        "taker_side": side,
        "taker_outcome_side": side,
        "taker_book_side": "bid" if one.is_taker_bid else "ask",
        "is_block_trade": False,
        "ts": wire.seconds(one.at_us),
        "ts_ms": wire.millis(one.at_us),
    }


def fill(one: Fill) -> Json:
    """Return a member's fill."""
    outcome = "yes" if one.is_bid else "no"
    body = {
        "trade_id": one.trade_id,
        "order_id": one.order_id,
        "market_ticker": one.ticker,
        "exchange_index": one.exchange_index,
        "is_taker": one.is_taker,
        "side": "yes",
        "yes_price_dollars": wire.price(one.price_e4),
        "count_fp": wire.count(one.qty_e2),
        "fee_cost": wire.money(one.fee_e6),
        "action": "buy" if one.is_bid else "sell",
        "outcome_side": outcome,
        "book_side": "bid" if one.is_bid else "ask",
        "ts": wire.seconds(one.at_us),
        "ts_ms": wire.millis(one.at_us),
        "post_position_fp": wire.count(one.position_e2),
        "purchased_side": outcome,
        "subaccount": 0,
    }
    if one.client_order_id:
        body["client_order_id"] = one.client_order_id
    return body


def user_order(one: Order, account: Account) -> Json:
    """Return a member's order after a change."""
    body = {
        "order_id": one.order_id,
        "user_id": account.user_id,
        "ticker": one.ticker,
        "exchange_index": one.exchange_index,
        "status": one.status,
        "side": "yes",
        "is_yes": True,
        "outcome_side": "yes" if one.is_bid else "no",
        "book_side": "bid" if one.is_bid else "ask",
        "yes_price_dollars": wire.price(one.price_e4),
        "fill_count_fp": wire.count(one.filled_e2),
        "remaining_count_fp": wire.count(one.remaining_e2),
        "initial_count_fp": wire.count(one.initial_e2),
        "taker_fill_cost_dollars": wire.money(one.taker_cost_e6),
        "maker_fill_cost_dollars": wire.money(one.maker_cost_e6),
        "taker_fees_dollars": wire.money(one.taker_fees_e6),
        "maker_fees_dollars": wire.money(one.maker_fees_e6),
        "client_order_id": one.client_order_id,
        "created_time": wire.time(one.created_us),
        "created_ts_ms": wire.millis(one.created_us),
        "last_update_time": wire.time(one.updated_us),
        "last_updated_ts_ms": wire.millis(one.updated_us),
        "self_trade_prevention_type": one.self_trade,
        "subaccount_number": 0,
    }
    if one.group_id:
        body["order_group_id"] = one.group_id
    if one.expiration_us is not None:
        body["expiration_time"] = wire.time(one.expiration_us)
        body["expiration_ts_ms"] = wire.millis(one.expiration_us)
    if one.reason:
        body["last_update_reason"] = str(one.reason)
    return body


def position(one: Position, account: Account) -> Json:
    """Return a member's position."""
    return {
        "user_id": account.user_id,
        "market_ticker": one.ticker,
        "position_fp": wire.count(one.position_e2),
        "position_cost_dollars": wire.money(one.cost_e6),
        "realized_pnl_dollars": wire.money(one.realized_e6),
        "fees_paid_dollars": wire.money(one.fees_e6),
        "position_fee_cost_dollars": wire.money(one.open_fees_e6),
        "volume_fp": wire.count(one.volume_e2),
        "subaccount": 0,
    }


def lifecycle(market: Market, event_type: str) -> Json:
    """Return a step of a market's life."""
    body: Json = {"market_ticker": market.ticker, "event_type": event_type}
    if event_type == "metadata_updated":
        return body | _metadata(market)
    body["exchange_index"] = market.exchange_index
    if event_type == "created":
        body |= {
            "open_ts": wire.seconds(market.open_us),
            "close_ts": wire.seconds(market.close_us),
            "price_level_structure": market.price_level_structure,
            "price_ranges": render_markets.price_ranges(market.price_ranges),
            "additional_metadata": _additional(market),
        }
    elif event_type == "close_date_updated":
        body["close_ts"] = wire.seconds(market.close_us)
    elif event_type in ("activated", "deactivated"):
        body["is_deactivated"] = event_type == "deactivated"
    return body | _outcome(market, event_type)


def _outcome(market: Market, event_type: str) -> Json:
    body: Json = {}
    if event_type == "determined" and market.determined_us and market.payout_cents is not None:
        body["determination_ts"] = wire.seconds(market.determined_us)
        body["result"] = market.result
        body["settlement_value"] = wire.price(market.payout_cents * 100)
    if event_type == "settled" and market.settled_us:
        body["settled_ts"] = wire.seconds(market.settled_us)
    return body


def _metadata(market: Market) -> Json:
    spec = market.spec
    body: Json = {"yes_sub_title": spec.yes_sub_title}
    if spec.strike_type is not None:
        body["strike_type"] = spec.strike_type
    if spec.floor_strike_usd_e6 is not None:
        body["floor_strike"] = render_markets.strike(spec.floor_strike_usd_e6)
    if spec.cap_strike_usd_e6 is not None:
        body["cap_strike"] = render_markets.strike(spec.cap_strike_usd_e6)
    if spec.custom_strike:
        body["custom_strike"] = dict(spec.custom_strike)
    return body


def _additional(market: Market) -> Json:
    spec, event = market.spec, market.event.spec
    return _metadata(market) | {
        "name": spec.yes_sub_title,
        "title": spec.title or event.title,
        "no_sub_title": spec.no_sub_title,
        "rules_primary": spec.rules_primary,
        "rules_secondary": spec.rules_secondary,
        "can_close_early": event.can_close_early,
        "event_ticker": event.event_ticker,
        "expected_expiration_ts": wire.seconds(render_markets.expected_expiration_us(market)),
    }


def event_lifecycle(one: Event) -> Json:
    """Return a listed event."""
    spec = one.spec
    return {
        "event_ticker": spec.event_ticker,
        "exchange_index": one.exchange_index,
        "title": spec.title,
        "subtitle": spec.sub_title,
        "collateral_return_type": spec.collateral_return_type,
        "series_ticker": spec.series_ticker,
        "strike_date": wire.seconds(spec.close_us),
    }


def group(one: OrderGroup, event_type: str, at_us: int) -> Json:
    """Return a change of an order group."""
    body: Json = {
        "event_type": event_type,
        "order_group_id": one.group_id,
        "ts_ms": wire.millis(at_us),
    }
    if one.limit_e2 is not None and event_type in ("created", "limit_updated"):
        body["contracts_limit_fp"] = wire.count(one.limit_e2)
    return body


def index(index_id: str, one: Index, value_usd_e6: int, at_us: int) -> Json:
    """Return an index value with its averages; ``data`` is the upstream message as text."""
    upstream = {
        "type": "value",
        "id": index_id,
        "time": wire.millis(at_us),
        "value": _index_text(value_usd_e6),
    }
    body: Json = {
        "index_id": index_id,
        "received_at": wire.millis(at_us),
        "data": msgspec.json.encode(upstream).decode(),
        "avg_60s_data": _average(one.trailing(at_us)),
    }
    window = one.window(at_us)
    if window is not None:
        body["last_60s_windowed_average_15min"] = _average(window)
    return body


def _index_text(value_usd_e6: int) -> str:
    text = wire.money(value_usd_e6)
    return text[:-4] + text[-4:].rstrip("0")


def _average(one: Average) -> Json:
    return {
        "value": wire.money8(one.value_e8),
        "window_size": one.count,
        "window_start_ts_ms": wire.millis(one.start_us),
        "window_end_ts_exclusive": wire.millis(one.end_us),
    }
