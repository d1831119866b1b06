"""JSON of the portfolio's facts: orders, fills, positions, settlements.

This is money: a row that does not convert refuses the whole reply, because a list with a hole in it
would look complete. Source: Kalshi OpenAPI 3.30 and AsyncAPI 2.0 (read 2026-11).
"""

from __future__ import annotations

import msgspec

from recio.adapters.kalshi import model, wire
from recio.domain.errors import InvalidValue
from recio.domain.units import PRICE_ONE_E4


class _Order(msgspec.Struct):
    order_id: wire.Name
    ticker: wire.Name
    status: str
    yes_price_dollars: str
    fill_count_fp: str
    remaining_count_fp: str
    initial_count_fp: str
    client_order_id: str = ""
    book_side: str | None = None
    outcome_side: str | None = None
    side: str | None = None
    action: str | None = None
    taker_fill_cost_dollars: str = "0"
    maker_fill_cost_dollars: str = "0"
    taker_fees_dollars: str = "0"
    maker_fees_dollars: str = "0"
    created_time: str | None = None
    last_update_time: str | None = None
    expiration_time: str | None = None
    created_ts_ms: int | None = None
    last_updated_ts_ms: int | None = None
    expiration_ts_ms: int | None = None
    order_group_id: wire.Label | None = None
    exchange_index: wire.Small | None = None
    subaccount_number: wire.Small | None = None
    last_update_reason: str | None = None


class OrderBody(msgspec.Struct):
    """GET /portfolio/orders/{order_id}."""

    order: msgspec.Raw


class OrdersReply(msgspec.Struct):
    """GET /portfolio/orders."""

    orders: list[msgspec.Raw]
    cursor: str | None = None


def order(body: bytes | msgspec.Raw) -> model.ExchangeOrder:
    """Convert one order, from REST or from the user_orders stream."""
    row = wire.decode(body, _Order)
    if row.status not in {"resting", "canceled", "executed", "unknown"}:
        raise InvalidValue(
            f"order {row.order_id}: expected a known status, received {row.status!r}"
        )
    return model.ExchangeOrder(
        order_id=row.order_id,
        client_order_id=row.client_order_id,
        ticker=row.ticker,
        book_side=wire.book_side(row.book_side, row.outcome_side, row.side, row.action),
        status=row.status,
        yes_price_e4=wire.price_e4(row.yes_price_dollars),
        initial_qty_e2=wire.qty_e2(row.initial_count_fp),
        fill_qty_e2=wire.qty_e2(row.fill_count_fp),
        remaining_qty_e2=wire.qty_e2(row.remaining_count_fp),
        taker_cost_usd_e6=wire.usd_e6(row.taker_fill_cost_dollars),
        maker_cost_usd_e6=wire.usd_e6(row.maker_fill_cost_dollars),
        taker_fees_usd_e6=wire.usd_e6(row.taker_fees_dollars),
        maker_fees_usd_e6=wire.usd_e6(row.maker_fees_dollars),
        created_at_us=_time(row.created_time, row.created_ts_ms),
        updated_at_us=_time(row.last_update_time, row.last_updated_ts_ms),
        expires_at_us=_time(row.expiration_time, row.expiration_ts_ms),
        order_group_id=row.order_group_id or None,
        exchange_index=row.exchange_index,
        subaccount=row.subaccount_number,
        reason=row.last_update_reason or "",
    )


def _time(text: str | None, millis: int | None) -> int | None:
    return wire.optional_time_us(text) or wire.millis_us(millis)


class _Fill(msgspec.Struct):
    order_id: wire.Name
    count_fp: str
    yes_price_dollars: str
    is_taker: bool
    fee_cost: str
    fill_id: wire.Label | None = None
    trade_id: wire.Label | None = None
    client_order_id: str | None = None
    ticker: wire.Label | None = None
    market_ticker: wire.Label | None = None
    no_price_dollars: str | None = None
    book_side: str | None = None
    outcome_side: str | None = None
    side: str | None = None
    action: str | None = None
    created_time: str | None = None
    ts: int | None = None
    ts_ms: int | None = None
    exchange_index: wire.Small | None = None
    subaccount_number: wire.Small | None = None
    subaccount: wire.Small | None = None
    post_position_fp: str | None = None


class FillsReply(msgspec.Struct):
    """GET /portfolio/fills."""

    fills: list[msgspec.Raw]
    cursor: str | None = None


def fill(body: bytes | msgspec.Raw) -> model.ExchangeFill:
    """Convert one fill, from REST or from the fill stream."""
    row = wire.decode(body, _Fill)
    fill_id, ticker = row.trade_id or row.fill_id, row.ticker or row.market_ticker
    if not fill_id or not ticker:
        raise InvalidValue(f"fill of order {row.order_id}: expected its trade_id and ticker")
    price, qty = wire.price_e4(row.yes_price_dollars), wire.qty_e2(row.count_fp)
    if qty == 0:
        raise InvalidValue(f"fill {fill_id}: expected a count above 0")
    if row.no_price_dollars and wire.price_e4(row.no_price_dollars) != PRICE_ONE_E4 - price:
        raise InvalidValue(f"fill {fill_id}: expected prices of yes and no that sum to 1 dollar")
    return model.ExchangeFill(
        fill_id=fill_id,
        order_id=row.order_id,
        client_order_id=row.client_order_id or None,
        ticker=ticker,
        book_side=wire.book_side(row.book_side, row.outcome_side, row.side, row.action),
        qty_e2=qty,
        yes_price_e4=price,
        is_taker=row.is_taker,
        fee_usd_e6=wire.usd_e6(row.fee_cost),
        at_us=_time(row.created_time, row.ts_ms) or wire.seconds_us(row.ts),
        exchange_index=row.exchange_index,
        subaccount=row.subaccount_number if row.subaccount is None else row.subaccount,
        post_position_e2=_optional_signed(row.post_position_fp),
    )


def _optional_signed(text: str | None) -> int | None:
    return wire.signed_qty_e2(text) if text else None


class _Position(msgspec.Struct):
    ticker: wire.Name
    position_fp: str
    market_exposure_dollars: str
    realized_pnl_dollars: str
    fees_paid_dollars: str
    total_traded_dollars: str | None = None
    last_updated_ts: str | None = None
    exchange_index: wire.Small | None = None


class PositionsReply(msgspec.Struct):
    """GET /portfolio/positions."""

    market_positions: list[msgspec.Raw]
    cursor: str | None = None


def position(body: bytes | msgspec.Raw) -> model.ExchangePosition:
    """Convert one market position from REST."""
    row = wire.decode(body, _Position)
    return model.ExchangePosition(
        ticker=row.ticker,
        qty_e2=wire.signed_qty_e2(row.position_fp),
        exposure_usd_e6=wire.usd_e6(row.market_exposure_dollars),
        traded_usd_e6=wire.optional_usd_e6(row.total_traded_dollars),
        realized_pnl_usd_e6=wire.usd_e6(row.realized_pnl_dollars),
        fees_usd_e6=wire.usd_e6(row.fees_paid_dollars),
        updated_at_us=wire.optional_time_us(row.last_updated_ts),
        exchange_index=row.exchange_index,
    )


class _StreamPosition(msgspec.Struct):
    market_ticker: wire.Name
    position_fp: str
    position_cost_dollars: str
    realized_pnl_dollars: str
    fees_paid_dollars: str
    subaccount: wire.Small | None = None


def stream_position(body: bytes | msgspec.Raw) -> model.ExchangePosition:
    """Convert one position from the market_positions stream."""
    row = wire.decode(body, _StreamPosition)
    return model.ExchangePosition(
        ticker=row.market_ticker,
        qty_e2=wire.signed_qty_e2(row.position_fp),
        exposure_usd_e6=wire.usd_e6(row.position_cost_dollars),
        traded_usd_e6=None,
        realized_pnl_usd_e6=wire.usd_e6(row.realized_pnl_dollars),
        fees_usd_e6=wire.usd_e6(row.fees_paid_dollars),
        updated_at_us=None,
        exchange_index=None,
        subaccount=row.subaccount,
    )


class _Settlement(msgspec.Struct):
    ticker: wire.Name
    market_result: str
    yes_count_fp: str
    yes_total_cost_dollars: str
    no_count_fp: str
    no_total_cost_dollars: str
    revenue: int
    settled_time: str
    fee_cost: str
    event_ticker: str = ""
    value: int | None = None
    exchange_index: wire.Small | None = None


class SettlementsReply(msgspec.Struct):
    """GET /portfolio/settlements."""

    settlements: list[msgspec.Raw]
    cursor: str | None = None


def settlement(body: bytes | msgspec.Raw) -> model.ExchangeSettlement:
    """Convert one settlement."""
    row = wire.decode(body, _Settlement)
    if row.market_result not in {"yes", "no", "scalar", "void"}:
        raise InvalidValue(f"settlement of {row.ticker}: unknown result {row.market_result!r}")
    if row.revenue < 0:
        raise InvalidValue(f"settlement of {row.ticker}: expected a revenue of 0 or more cents")
    return model.ExchangeSettlement(
        ticker=row.ticker,
        event_ticker=row.event_ticker,
        result=row.market_result,
        yes_qty_e2=wire.qty_e2(row.yes_count_fp),
        yes_cost_usd_e6=wire.usd_e6(row.yes_total_cost_dollars),
        no_qty_e2=wire.qty_e2(row.no_count_fp),
        no_cost_usd_e6=wire.usd_e6(row.no_total_cost_dollars),
        revenue_usd_e6=wire.cents_usd_e6(row.revenue),
        fee_usd_e6=wire.usd_e6(row.fee_cost),
        payout_usd_e6=wire.payout_usd_e6(_optional_cents(row.value)),
        settled_at_us=wire.time_us(row.settled_time),
        exchange_index=row.exchange_index,
    )


def _optional_cents(cents: int | None) -> int | None:
    return None if cents is None else wire.cents_usd_e6(cents)
