"""JSON of order entry: what we send, and what the exchange answers at once.

A create reply carries no trade id; fills are facts of ``wire_portfolio``. What the exchange is
documented to refuse is refused before it is sent. Source: Kalshi OpenAPI 3.30, "Orders V2".
"""

from __future__ import annotations

import msgspec

from recio.adapters.kalshi import model, wire
from recio.domain.errors import InvalidValue
from recio.domain.units import PRICE_ONE_E4, SECOND_US


class _CreateBody(msgspec.Struct, omit_defaults=True):
    ticker: wire.Name
    side: str
    count: str
    price: str
    time_in_force: str
    self_trade_prevention_type: str
    client_order_id: str
    exchange_index: wire.Small | None = None
    expiration_time: int | None = None
    post_only: bool = False
    reduce_only: bool = False
    cancel_order_on_pause: bool = False
    order_group_id: wire.Label | None = None
    subaccount: wire.Small | None = None


def create_body(order: model.NewOrder) -> _CreateBody:
    """Return the body that creates ``order``.

    Raises:
        InvalidValue: a combination that the exchange is documented to refuse.
    """
    _check_new(order)
    expires_at_us = order.expires_at_us
    return _CreateBody(
        ticker=order.ticker,
        side=order.book_side.value,
        count=wire.count(order.qty_e2),
        price=wire.dollars(order.yes_price_e4),
        time_in_force=order.time_in_force.value,
        self_trade_prevention_type=order.self_trade.value,
        client_order_id=order.client_order_id,
        exchange_index=order.exchange_index,
        expiration_time=None if expires_at_us is None else expires_at_us // SECOND_US,
        post_only=order.is_post_only,
        reduce_only=order.is_reduce_only,
        cancel_order_on_pause=order.is_canceled_on_pause,
        order_group_id=order.order_group_id,
        subaccount=order.subaccount,
    )


def _check_new(order: model.NewOrder) -> None:
    who = f"order {order.client_order_id} on {order.ticker}"
    if not 0 < order.yes_price_e4 < PRICE_ONE_E4:
        raise InvalidValue(
            f"{who}: expected a price between 0 and 1, received {order.yes_price_e4}e-4"
        )
    if not 0 < order.qty_e2 < wire.MAX_QTY_E2:
        raise InvalidValue(f"{who}: expected a quantity above 0, received {order.qty_e2}e-2")
    if not order.client_order_id:
        raise InvalidValue(f"{who}: expected a client_order_id, received none")
    is_resting = order.time_in_force is model.TimeInForce.GOOD_TILL_CANCELED
    if order.expires_at_us is not None and not is_resting:
        raise InvalidValue(f"{who}: an expiration time goes only with good_till_canceled")
    if order.is_reduce_only and order.time_in_force is not model.TimeInForce.IMMEDIATE_OR_CANCEL:
        raise InvalidValue(f"{who}: reduce_only goes only with immediate_or_cancel")


class _OrderReply(msgspec.Struct):
    order_id: wire.Name
    client_order_id: str | None = None
    fill_count: str | None = None
    remaining_count: str | None = None
    average_fill_price: str | None = None
    average_fee_paid: str | None = None
    ts_ms: int | None = None


def order_reply(body: bytes) -> model.OrderReply:
    """Convert the answer to create or amend."""
    return _order_reply(wire.decode(body, _OrderReply))


def _order_reply(row: _OrderReply) -> model.OrderReply:
    return model.OrderReply(
        order_id=row.order_id,
        client_order_id=row.client_order_id,
        fill_qty_e2=wire.optional_qty_e2(row.fill_count),
        remaining_qty_e2=wire.optional_qty_e2(row.remaining_count),
        average_price_usd_e6=wire.optional_usd_e6(row.average_fill_price),
        average_fee_usd_e6=wire.optional_usd_e6(row.average_fee_paid),
        at_us=wire.millis_us(row.ts_ms),
    )


class _CancelReply(msgspec.Struct):
    order_id: wire.Name
    reduced_by: str
    client_order_id: str | None = None
    ts_ms: int | None = None


def cancel_reply(body: bytes) -> model.CancelReply:
    """Convert the answer to cancel."""
    row = wire.decode(body, _CancelReply)
    return model.CancelReply(
        order_id=row.order_id,
        client_order_id=row.client_order_id,
        reduced_qty_e2=wire.qty_e2(row.reduced_by),
        at_us=wire.millis_us(row.ts_ms),
    )


class _DecreaseReply(msgspec.Struct):
    order_id: wire.Name
    remaining_count: str
    client_order_id: str | None = None
    ts_ms: int | None = None


def decrease_reply(body: bytes) -> model.DecreaseReply:
    """Convert the answer to decrease."""
    row = wire.decode(body, _DecreaseReply)
    return model.DecreaseReply(
        order_id=row.order_id,
        client_order_id=row.client_order_id,
        remaining_qty_e2=wire.qty_e2(row.remaining_count),
        at_us=wire.millis_us(row.ts_ms),
    )


class _ItemError(msgspec.Struct):
    code: str = ""
    message: str = ""
    details: str | None = None


class _CreatedItem(msgspec.Struct):
    order_id: wire.Label | None = None
    client_order_id: str | None = None
    fill_count: str | None = None
    remaining_count: str | None = None
    average_fill_price: str | None = None
    average_fee_paid: str | None = None
    ts_ms: int | None = None
    error: _ItemError | None = None


class _CreatedBatch(msgspec.Struct):
    orders: list[_CreatedItem]


def created_batch(body: bytes) -> tuple[model.CreatedItem, ...]:
    """Convert the answer to a batch create, in the order of the request."""
    return tuple(_created_item(row) for row in wire.decode(body, _CreatedBatch).orders)


def _created_item(row: _CreatedItem) -> model.CreatedItem:
    reply = None
    if row.error is None:
        if not row.order_id:
            raise InvalidValue("batch create: expected an order_id or an error, received neither")
        reply = _order_reply(
            _OrderReply(
                row.order_id,
                row.client_order_id,
                row.fill_count,
                row.remaining_count,
                row.average_fill_price,
                row.average_fee_paid,
                row.ts_ms,
            )
        )
    return model.CreatedItem(
        client_order_id=row.client_order_id, reply=reply, error=_item_error(row.error)
    )


def _item_error(row: _ItemError | None) -> model.ItemError | None:
    if row is None:
        return None
    return model.ItemError(code=row.code.lower(), message=row.message, details=row.details or "")


class _CanceledItem(msgspec.Struct):
    order_id: wire.Name
    client_order_id: str | None = None
    reduced_by: str | None = None
    ts_ms: int | None = None
    error: _ItemError | None = None


class _CanceledBatch(msgspec.Struct):
    orders: list[_CanceledItem]


def canceled_batch(body: bytes) -> tuple[model.CanceledItem, ...]:
    """Convert the answer to a batch cancel."""
    return tuple(_canceled_item(row) for row in wire.decode(body, _CanceledBatch).orders)


def _canceled_item(row: _CanceledItem) -> model.CanceledItem:
    reply = None
    if row.error is None:
        reply = model.CancelReply(
            order_id=row.order_id,
            client_order_id=row.client_order_id,
            reduced_qty_e2=wire.qty_e2(row.reduced_by or "0"),
            at_us=wire.millis_us(row.ts_ms),
        )
    return model.CanceledItem(order_id=row.order_id, reply=reply, error=_item_error(row.error))


class AmendBody(msgspec.Struct, omit_defaults=True):
    """POST /portfolio/events/orders/{order_id}/amend; count = filled so far + wanted remaining."""

    ticker: wire.Name
    side: str
    price: str
    count: str
    client_order_id: str | None = None
    updated_client_order_id: str | None = None
    exchange_index: wire.Small | None = None


class DecreaseBody(msgspec.Struct, omit_defaults=True):
    """POST /portfolio/events/orders/{order_id}/decrease; exactly one of the two counts."""

    reduce_by: str | None = None
    reduce_to: str | None = None
    market_ticker: wire.Label | None = None
    exchange_index: wire.Small | None = None


class _CancelItem(msgspec.Struct, omit_defaults=True):
    order_id: wire.Name
    market_ticker: wire.Label | None = None
    exchange_index: wire.Small | None = None
    subaccount: wire.Small | None = None


def cancel_item(order: model.OrderRef) -> _CancelItem:
    """Return one item of a batch cancel."""
    return _CancelItem(order.order_id, order.ticker, order.exchange_index, order.subaccount)
