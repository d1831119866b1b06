"""Portfolio reads: balance, positions, fills, settlements, orders. They may lag by design."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from recio.exchange_simulator.api import render_portfolio as render
from recio.exchange_simulator.api import wire
from recio.exchange_simulator.api.call import Call, Json, is_within, page
from recio.exchange_simulator.core.records import Account, Order, Position
from recio.exchange_simulator.core.refusals import invalid_parameter, not_found

_LIMITS: Final = (100, 1000)
_CASH_LIMITS: Final = (100, 500)
_ORDER_STATUSES: Final = ("resting", "canceled", "executed")
_MOST_EVENTS: Final = 10


def balance(call: Call) -> Json:
    """Give the cash that new orders may use, in all and by shard, and what positions are worth."""
    call.primary_only()
    shown = call.state.as_read(("account", call.account.account), call.account) or call.account
    shard = call.number("exchange_index")
    shards = [shard] if shard is not None else sorted(shown.cash_e6)
    total = sum(shown.available_e6(one) for one in shards)
    return {
        "balance": wire.cents(total),
        "balance_dollars": wire.money(total),
        "portfolio_value": wire.cents(_portfolio_value(call)),
        "updated_ts": wire.seconds(shown.updated_us),
        "balance_breakdown": [
            {"exchange_index": one, "balance": wire.money(shown.available_e6(one))}
            for one in shards
        ],
    }


def _portfolio_value(call: Call) -> int:
    total = 0
    for one in _positions(call):
        market = call.state.markets[one.ticker]
        (bid, _), (ask, _) = market.yes_bid(), market.yes_ask()
        total += one.position_e2 * bid if one.position_e2 > 0 else -one.position_e2 * (10_000 - ask)
    return total


def _positions(call: Call) -> Iterator[Position]:
    name = call.account.account
    for key, position in call.state.positions.items():
        if key[0] == name:
            shown = call.state.as_read(("position", *key), position)
            if shown is not None:
                yield shown


def positions(call: Call) -> Json:
    """List unsettled positions by market and by event."""
    call.primary_only()
    ticker, event = call.text("ticker"), call.text("event_ticker")
    shard, kind = call.number("exchange_index"), call.text("settlement_status") or "unsettled"
    if kind not in ("all", "settled", "unsettled"):
        raise invalid_parameter("settlement_status must be all, settled or unsettled")
    wanted = call.texts("count_filter")

    def is_shown(one: Position) -> bool:
        market = call.state.markets[one.ticker]
        is_settled = one.is_settled
        return (
            ticker in (None, one.ticker)
            and event in (None, market.event.spec.event_ticker)
            and shard in (None, one.exchange_index)
            and (kind == "all" or is_settled is (kind == "settled"))
            and ("position" not in wanted or one.position_e2 != 0)
            and ("total_traded" not in wanted or one.traded_e6 != 0)
        )

    found = [one for one in _positions(call) if is_shown(one)]
    numbers = call.state.markets
    shown, cursor = page(found, lambda one: numbers[one.ticker].number, call, _LIMITS)
    by_event: dict[str, list[Position]] = {}
    for one in shown:
        by_event.setdefault(numbers[one.ticker].event.spec.event_ticker, []).append(one)
    return {
        "market_positions": [render.position(one) for one in shown],
        "event_positions": [render.event_position(*pair) for pair in by_event.items()],
        "cursor": cursor,
    }


def fills(call: Call) -> Json:
    """List fills, newest first."""
    call.primary_only()
    ticker, order_id = call.text("ticker"), call.text("order_id")
    low, high = call.seconds("min_ts"), call.seconds("max_ts")
    shard, as_of = call.number("exchange_index"), call.state.as_of_us()
    found = (
        one
        for one in call.state.fills_of.get(call.account.account, [])
        if one.at_us <= as_of
        and ticker in (None, one.ticker)
        and order_id in (None, one.order_id)
        and shard in (None, one.exchange_index)
        and is_within(one.at_us, low, high)
    )
    shown, cursor = page(found, lambda one: one.number, call, _LIMITS)
    return {"fills": [render.fill(one) for one in shown], "cursor": cursor}


def settlements(call: Call) -> Json:
    """List settlements, newest first."""
    call.primary_only()
    ticker, event = call.text("ticker"), call.text("event_ticker")
    low, high = call.seconds("min_ts"), call.seconds("max_ts")
    as_of = call.state.as_of_us()
    found = (
        one
        for one in call.state.settlements_of.get(call.account.account, [])
        if one.at_us <= as_of
        and ticker in (None, one.ticker)
        and event in (None, one.event_ticker)
        and is_within(one.at_us, low, high)
    )
    shown, cursor = page(found, lambda one: one.number, call, _LIMITS)
    return {"settlements": [render.settlement(one) for one in shown], "cursor": cursor}


def _orders(call: Call, account: Account) -> Iterator[Order]:
    for order in call.state.orders_of.get(account.account, []):
        shown = call.state.as_read(("order", order.order_id), order)
        if shown is not None:
            yield shown


def orders(call: Call) -> Json:
    """List orders, newest first."""
    call.primary_only()
    ticker, events = call.text("ticker"), call.texts("event_ticker")
    status, shard = call.text("status"), call.number("exchange_index")
    low, high = call.seconds("min_ts"), call.seconds("max_ts")
    if status not in (None, *_ORDER_STATUSES):
        raise invalid_parameter("status must be resting, canceled or executed")
    if len(events) > _MOST_EVENTS:
        raise invalid_parameter(f"event_ticker may name at most {_MOST_EVENTS} events")

    def is_shown(one: Order) -> bool:
        event = call.state.markets[one.ticker].event.spec.event_ticker
        return (
            ticker in (None, one.ticker)
            and (not events or event in events)
            and status in (None, one.status)
            and shard in (None, one.exchange_index)
            and is_within(one.created_us, low, high)
        )

    account = call.account
    found = filter(is_shown, _orders(call, account))
    shown, cursor = page(found, lambda one: one.number, call, _LIMITS)
    return {"orders": [render.order(one, account) for one in shown], "cursor": cursor}


def _own_order(call: Call) -> Order:
    order = call.state.orders.get(call.params["order_id"])
    if order is None or order.account != call.account.account:
        raise not_found("order")
    return order


def order_one(call: Call) -> Json:
    """Give one order."""
    order = _own_order(call)
    shown = call.state.as_read(("order", order.order_id), order)
    if shown is None:
        raise not_found("order")
    return {"order": render.order(shown, call.account)}


def _ahead(call: Call, order: Order) -> str:
    book = call.state.markets[order.ticker].book
    level = book.side(is_bid=order.is_bid).levels.get(order.price_e4)
    return wire.count(level.ahead_of(order) if level else 0)


def queue_position(call: Call) -> Json:
    """Tell how many contracts stand in front of a resting order."""
    order = _own_order(call)
    if not order.is_resting:
        raise not_found("order")
    return {"queue_position_fp": _ahead(call, order)}


def queue_positions(call: Call) -> Json:
    """Tell the same for all resting orders of some markets or of an event."""
    call.primary_only()
    tickers, event = set(call.texts("market_tickers")), call.text("event_ticker")
    if not tickers and event is None:
        raise invalid_parameter("market_tickers or event_ticker is required")
    shown = [
        one
        for (name, ticker), own in call.state.resting_of.items()
        if name == call.account.account
        and (ticker in tickers or call.state.markets[ticker].event.spec.event_ticker == event)
        for one in own.values()
    ]
    return {
        "queue_positions": [
            {
                "order_id": one.order_id,
                "market_ticker": one.ticker,
                "queue_position_fp": _ahead(call, one),
            }
            for one in shown
        ]
    }


def resting_value(call: Call) -> Json:
    """Give the value of all resting orders."""
    held = call.account.held_e6
    return {
        "total_resting_order_value": wire.cents(sum(held.values())),
        "resting_order_value_breakdown": [
            {"exchange_index": shard, "balance": wire.money(value)}
            for shard, value in sorted(held.items())
        ],
    }


def deposits(call: Call) -> Json:
    """List deposits: opening cash is none."""
    call.limit(*_CASH_LIMITS)
    return {"deposits": [], "cursor": ""}


def withdrawals(call: Call) -> Json:
    """List withdrawals: there are none."""
    call.limit(*_CASH_LIMITS)
    return {"withdrawals": [], "cursor": ""}
