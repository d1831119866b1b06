"""Order mutations on the V2 paths; the V1 paths answer 410."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from recio.domain.errors import InvalidValue
from recio.domain.units import parse_price_e4, parse_qty_e2
from recio.exchange_simulator.api import wire
from recio.exchange_simulator.api.call import Call, Json
from recio.exchange_simulator.core import orders
from recio.exchange_simulator.core.orders import AUTO_ROUTE, Amendment, NewOrder
from recio.exchange_simulator.core.records import Order
from recio.exchange_simulator.core.refusals import Refusal, invalid_parameter

_MOST_BATCH: Final = 60
"""Guessed: items of a batch; the exchange scales it with the write budget."""


class CreateBody(msgspec.Struct, kw_only=True):
    """The body of a create request."""

    ticker: str
    side: Literal["bid", "ask"]
    count: str
    price: str
    time_in_force: Literal["good_till_canceled", "immediate_or_cancel", "fill_or_kill"]
    self_trade_prevention_type: Literal["taker_at_cross", "maker"]
    client_order_id: str | None = None
    expiration_time: int | None = None
    post_only: bool | None = None
    reduce_only: bool | None = None
    cancel_order_on_pause: bool | None = None
    order_group_id: str | None = None
    subaccount: int | None = None
    exchange_index: int | None = None


class AmendBody(msgspec.Struct, kw_only=True):
    """The body of an amend request."""

    ticker: str
    side: Literal["bid", "ask"]
    price: str
    count: str
    client_order_id: str | None = None
    updated_client_order_id: str | None = None
    exchange_index: int | None = None


class DecreaseBody(msgspec.Struct, kw_only=True):
    """The body of a decrease request."""

    reduce_by: str | None = None
    reduce_to: str | None = None
    market_ticker: str | None = None
    exchange_index: int | None = None


class CancelItem(msgspec.Struct, kw_only=True):
    """One order of a batch cancel."""

    order_id: str
    subaccount: int | None = None
    exchange_index: int | None = None
    market_ticker: str | None = None


def _count(text: str, name: str = "count") -> int:
    try:
        return parse_qty_e2(text)
    except InvalidValue as error:
        raise invalid_parameter(f"{name} must be a count with at most two decimals") from error


def _price(text: str) -> int:
    try:
        return parse_price_e4(text)
    except InvalidValue as error:
        raise Refusal(
            400, "invalid_price", "price must be dollars with at most 4 decimals"
        ) from error


def _new_order(body: CreateBody) -> NewOrder:
    expires = body.expiration_time
    orders.check_expiration(expires)
    return NewOrder(
        ticker=body.ticker,
        is_bid=body.side == "bid",
        price_e4=_price(body.price),
        qty_e2=_count(body.count),
        time_in_force=body.time_in_force,
        self_trade=body.self_trade_prevention_type,
        client_order_id=body.client_order_id or "",
        expiration_us=None if expires is None else expires * 1_000_000,
        is_post_only=bool(body.post_only),
        is_reduce_only=bool(body.reduce_only),
        is_canceled_on_pause=bool(body.cancel_order_on_pause),
        group_id=body.order_group_id or "",
        exchange_index=body.exchange_index,
    )


def shard_of(call: Call, ticker: str | None, index: int | None) -> int:
    """Return the shard that an operation on an existing order goes to.

    Without an index and without a ticker that is shard 0, where crypto orders are not.

    Raises:
        Refusal: automatic routing is asked for without a ticker, or the market is unknown.
    """
    if index is not None and index != AUTO_ROUTE:
        return index
    if ticker:
        return call.state.market(ticker).exchange_index
    if index == AUTO_ROUTE:
        raise invalid_parameter("exchange_index -1 needs market_ticker")
    return 0


def _created(call: Call, body: CreateBody) -> Json:
    call.primary_only(body.subaccount)
    return _result(call, orders.create(call.state, call.account, _new_order(body)))


def _result(call: Call, order: Order) -> Json:
    body: Json = {
        "order_id": order.order_id,
        "fill_count": wire.count(order.filled_e2),
        "remaining_count": wire.count(order.remaining_e2),
        "ts_ms": wire.millis(call.state.now_us),
    }
    if order.client_order_id:
        body["client_order_id"] = order.client_order_id
    return body | _averages(order)


def _averages(order: Order) -> Json:
    if order.filled_e2 == 0:
        return {}
    cost = order.taker_cost_e6 + order.maker_cost_e6
    yes_cost = cost if order.is_bid else order.filled_e2 * 10_000 - cost
    fees = order.taker_fees_e6 + order.maker_fees_e6
    return {
        "average_fill_price": wire.money(yes_cost * 100 // order.filled_e2)[:-2],
        "average_fee_paid": wire.money(fees * 100 // order.filled_e2),
    }


def create(call: Call) -> Json:
    """Create an order."""
    return _created(call, call.decoded(CreateBody))


def create_batch(call: Call) -> Json:
    """Create several orders, each on its own."""
    results: list[Json] = []
    for item in _items(call):
        one = Call(call.exchange, call.request, call.now, {}, {}, item, call.key)
        try:
            results.append(create(one))
        except Refusal as refusal:
            name = item.get("client_order_id") if isinstance(item, dict) else None
            results.append({"client_order_id": name, "error": _flat(refusal)})
    return {"orders": results}


def _items(call: Call) -> list[Any]:
    items = call.body.get("orders") if isinstance(call.body, dict) else None
    if not isinstance(items, list) or not 1 <= len(items) <= _MOST_BATCH:
        raise invalid_parameter(f"orders must hold 1 to {_MOST_BATCH} items")
    return items


def _flat(refusal: Refusal) -> Json:
    return {"code": refusal.code, "message": refusal.message, "details": refusal.details}


def _canceled(call: Call, order_id: str, shard: int) -> Json:
    order, reduced = orders.cancel(call.state, call.account, order_id, shard)
    body: Json = {
        "order_id": order.order_id,
        "reduced_by": wire.count(reduced),
        "ts_ms": wire.millis(call.state.now_us),
    }
    if order.client_order_id:
        body["client_order_id"] = order.client_order_id
    return body


def cancel(call: Call) -> Json:
    """Cancel one order."""
    call.primary_only()
    shard = shard_of(call, call.text("market_ticker"), call.number("exchange_index"))
    return _canceled(call, call.params["order_id"], shard)


def cancel_batch(call: Call) -> Json:
    """Cancel several orders, each on its own."""
    results: list[Json] = []
    for item in _items(call):
        one = Call(call.exchange, call.request, call.now, {}, {}, item, call.key)
        wanted = one.decoded(CancelItem)
        try:
            call.primary_only(wanted.subaccount or 0)
            shard = shard_of(call, wanted.market_ticker, wanted.exchange_index)
            results.append(_canceled(call, wanted.order_id, shard))
        except Refusal as refusal:
            failed = {"order_id": wanted.order_id, "reduced_by": "0.00", "error": _flat(refusal)}
            results.append(failed)
    return {"orders": results}


def cancel_all(call: Call) -> None:
    """Cancel every order of the account, on all shards."""
    call.primary_only()
    orders.cancel_all(call.state, call.account)


def amend(call: Call) -> Json:
    """Change an order's price and size."""
    call.primary_only()
    body = call.decoded(AmendBody)
    change = Amendment(
        ticker=body.ticker,
        is_bid=body.side == "bid",
        price_e4=_price(body.price),
        qty_e2=_count(body.count),
        client_order_id=body.client_order_id,
        updated_client_order_id=body.updated_client_order_id,
        exchange_index=body.exchange_index,
    )
    return _result(call, orders.amend(call.state, call.account, call.params["order_id"], change))


def decrease(call: Call) -> Json:
    """Make an order smaller."""
    call.primary_only()
    body = call.decoded(DecreaseBody)
    if (body.reduce_by is None) is (body.reduce_to is None):
        raise invalid_parameter("exactly one of reduce_by and reduce_to is needed")
    order = orders.decrease(
        call.state,
        call.account,
        call.params["order_id"],
        shard_of(call, body.market_ticker, body.exchange_index),
        by_e2=None if body.reduce_by is None else _count(body.reduce_by, "reduce_by"),
        to_e2=None if body.reduce_to is None else _count(body.reduce_to, "reduce_to"),
    )
    reply = _result(call, order)
    wanted = ("order_id", "client_order_id", "remaining_count", "ts_ms")
    return {name: reply[name] for name in wanted if name in reply}


def gone(_call: Call) -> Json:
    """Answer a V1 mutation."""
    raise Refusal(
        410,
        "deprecated_v1_order_endpoint",
        "use the V2 endpoints under /portfolio/events/orders",
    )
