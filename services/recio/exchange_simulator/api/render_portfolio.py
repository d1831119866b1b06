"""Orders, fills, positions and settlements as the exchange's JSON shows them."""

from __future__ import annotations

from typing import Any

from recio.exchange_simulator.api import wire
from recio.exchange_simulator.core.records import (
    Account,
    Fill,
    Order,
    OrderGroup,
    Position,
    Settlement,
)

Json = dict[str, Any]


def _direction(*, is_bid: bool) -> Json:
    # One book: live orders and fills all say side yes; outcome_side and book_side tell the truth.
    return {
        "side": "yes",
        "action": "buy" if is_bid else "sell",
        "outcome_side": "yes" if is_bid else "no",
        "book_side": "bid" if is_bid else "ask",
    }


def order(one: Order, account: Account) -> Json:
    """Return one order."""
    body = _direction(is_bid=one.is_bid) | {
        "order_id": one.order_id,
        "user_id": account.user_id,
        "client_order_id": one.client_order_id,
        "ticker": one.ticker,
        "type": "limit",
        "status": one.status,
        "yes_price_dollars": wire.price(one.price_e4),
        "no_price_dollars": wire.price(10_000 - one.price_e4),
        "fill_count_fp": wire.count(one.filled_e2),
        "remaining_count_fp": wire.count(one.remaining_e2),
        "initial_count_fp": wire.count(one.initial_e2),
        "taker_fill_cost_dollars": wire.money(one.taker_cost_e6),
        "maker_fill_cost_dollars": wire.money(one.maker_cost_e6),
        "taker_fees_dollars": wire.money(one.taker_fees_e6),
        "maker_fees_dollars": wire.money(one.maker_fees_e6),
        "created_time": wire.time(one.created_us),
        "last_update_time": wire.time(one.updated_us),
        "self_trade_prevention_type": one.self_trade,
        "cancel_order_on_pause": one.is_canceled_on_pause,
        "subaccount_number": 0,
        "exchange_index": one.exchange_index,
    }
    if one.expiration_us is not None:
        body["expiration_time"] = wire.time(one.expiration_us)
    if one.group_id:
        body["order_group_id"] = one.group_id
    return body


def fill(one: Fill) -> Json:
    """Return one fill; ``fee_cost`` is the net fee, rounding and rebate included."""
    return _direction(is_bid=one.is_bid) | {
        "fill_id": one.trade_id,
        "trade_id": one.trade_id,
        "order_id": one.order_id,
        "ticker": one.ticker,
        "market_ticker": one.ticker,
        "count_fp": wire.count(one.qty_e2),
        "yes_price_dollars": wire.price(one.price_e4),
        "no_price_dollars": wire.price(10_000 - one.price_e4),
        "is_taker": one.is_taker,
        "fee_cost": wire.money(one.fee_e6),
        "exchange_index": one.exchange_index,
        "created_time": wire.time(one.at_us),
        "subaccount_number": 0,
        "ts": wire.seconds(one.at_us),
    }


def position(one: Position) -> Json:
    """Return one market position."""
    return {
        "ticker": one.ticker,
        "exchange_index": one.exchange_index,
        "total_traded_dollars": wire.money(one.traded_e6),
        "position_fp": wire.count(one.position_e2),
        "market_exposure_dollars": wire.money(one.cost_e6),
        "realized_pnl_dollars": wire.money(one.realized_e6),
        "fees_paid_dollars": wire.money(one.fees_e6),
        "last_updated_ts": wire.time(one.updated_us),
    }


def event_position(event_ticker: str, members: list[Position]) -> Json:
    """Return the positions of one event, added up."""
    return {
        "event_ticker": event_ticker,
        "total_cost_dollars": wire.money(sum(one.traded_e6 for one in members)),
        "total_cost_shares_fp": wire.count(sum(one.volume_e2 for one in members)),
        "event_exposure_dollars": wire.money(sum(one.cost_e6 for one in members)),
        "realized_pnl_dollars": wire.money(sum(one.realized_e6 for one in members)),
        "fees_paid_dollars": wire.money(sum(one.fees_e6 for one in members)),
    }


def settlement(one: Settlement) -> Json:
    """Return one settlement."""
    return {
        "ticker": one.ticker,
        "exchange_index": one.exchange_index,
        "event_ticker": one.event_ticker,
        "market_result": one.result,
        "yes_count_fp": wire.count(one.yes_e2),
        "yes_total_cost_dollars": wire.money(one.yes_cost_e6),
        "no_count_fp": wire.count(one.no_e2),
        "no_total_cost_dollars": wire.money(one.no_cost_e6),
        "revenue": one.revenue_cents,
        "settled_time": wire.time(one.at_us),
        "fee_cost": wire.money(one.fee_e6),
        "value": one.payout_cents,
    }


def group(one: OrderGroup) -> Json:
    """Return one order group as lists show it."""
    body: Json = {
        "id": one.group_id,
        "is_auto_cancel_enabled": not one.is_triggered,
        "exchange_index": one.exchange_index,
    }
    if one.limit_e2 is not None:
        body["contracts_limit_fp"] = wire.count(one.limit_e2)
    return body
