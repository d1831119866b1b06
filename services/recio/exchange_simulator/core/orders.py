"""Orders of members: create, cancel, decrease, amend, cancel everything; with every check.

Rules as in the exchange's API reference for V2 orders (docs.kalshi.com/api-reference/orders):
quotes are on the YES scale; an expiration belongs to good_till_canceled; reduce_only belongs to
immediate_or_cancel; an amendment keeps its place only when the size shrinks; after the close every
operation is refused, cancels included; during a trading pause only cancels work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from recio.exchange_simulator.core import accounts, grids, matching, preview, resting
from recio.exchange_simulator.core.records import (
    Account,
    Market,
    MarketStatus,
    Order,
    Reason,
    SelfTrade,
    TimeInForce,
)
from recio.exchange_simulator.core.refusals import (
    Refusal,
    invalid_order,
    invalid_parameter,
    market_inactive,
    market_not_found,
    not_found,
    order_already_exists,
)
from recio.exchange_simulator.core.state import State

AUTO_ROUTE: Final = -1
MOST_OPEN_ORDERS: Final = 200_000
"""Open orders a member may have (exchange changelog)."""

MOST_CONTRACTS_E2: Final = 10_000_000 * 100
"""Guessed: the largest order; the exchange's own limit is not published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """A create request whose fields have been parsed."""

    ticker: str
    is_bid: bool
    price_e4: int
    qty_e2: int
    time_in_force: TimeInForce
    self_trade: SelfTrade
    client_order_id: str = ""
    expiration_us: int | None = None
    is_post_only: bool = False
    is_reduce_only: bool = False
    is_canceled_on_pause: bool = False
    group_id: str = ""
    exchange_index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """An amend request whose fields have been parsed; ``qty_e2`` counts what is filled already."""

    ticker: str
    is_bid: bool
    price_e4: int
    qty_e2: int
    client_order_id: str | None = None
    updated_client_order_id: str | None = None
    exchange_index: int | None = None


def create(state: State, account: Account, new: NewOrder) -> Order:
    """Accept an order, trade it, and rest, cancel or finish what is left.

    Raises:
        Refusal: the order breaks a rule; nothing has changed then, except that a killed order has
            used up its client_order_id.
    """
    check_open_for_trading(state)
    market = _route(state, new.ticker, new.exchange_index)
    _check_active(market)
    _check_fields(state, market, new)
    _check_identity(state, account, new)
    _check_group(state, account, market, new)
    order = _draft(state, account, market, new)
    seen = preview.look(state, market, order)
    _check_crossing(state, order, seen)
    if order.time_in_force == "fill_or_kill" and seen.left_e2:
        raise _killed(state, order)
    capped = _cap_reduce_only(state, market, order)
    if order.remaining_e2 and not _is_post_only_cancel(order, seen):
        preview.check_money(state, account, market, order, preview.look(state, market, order))
    _enter(state, order)
    _run(state, market, order, seen, capped_e2=capped)
    return order


def cancel(state: State, account: Account, order_id: str, shard: int) -> tuple[Order, int]:
    """Cancel a resting order; return it and the quantity taken off.

    Raises:
        Refusal: not resting, not on that shard, or the market does not allow it.
    """
    check_exchange_open(state)
    order = find_resting(state, account, order_id, shard)
    _check_active(state.markets[order.ticker])
    return order, resting.cancel(state, order, Reason.NONE)


def decrease(
    state: State,
    account: Account,
    order_id: str,
    shard: int,
    *,
    by_e2: int | None,
    to_e2: int | None,
) -> Order:
    """Make a resting order smaller, by or to a quantity; it keeps its place.

    Raises:
        Refusal: not resting, or not smaller.
    """
    check_open_for_trading(state)
    order = find_resting(state, account, order_id, shard)
    market = state.markets[order.ticker]
    _check_active(market)
    target = to_e2 if to_e2 is not None else order.remaining_e2 - (by_e2 or 0)
    if by_e2 is not None and by_e2 <= 0:
        raise Refusal(400, "invalid_order_size", "reduce_by must be more than 0")
    target = max(target, 0)
    if target > order.remaining_e2:
        raise Refusal(400, "invalid_order_size", "a decrease cannot make an order larger")
    if target == 0:
        resting.cancel(state, order, Reason.DECREASE)
    elif target < order.remaining_e2:
        order.reason = Reason.DECREASE
        resting.shrink(state, market, order, order.remaining_e2 - target)
        state.touch_order(order)
    return order


def amend(state: State, account: Account, order_id: str, change: Amendment) -> Order:
    """Change price and size of a resting order.

    Raises:
        Refusal: not resting, fields do not belong to this order, or the money does not suffice.
    """
    check_open_for_trading(state)
    market = _route(state, change.ticker, change.exchange_index)
    order = find_resting(state, account, order_id, market.exchange_index)
    _check_active(market)
    _check_amendment(state, order, market, change)
    left_e2 = change.qty_e2 - order.filled_e2
    if change.price_e4 == order.price_e4 and left_e2 <= order.remaining_e2:
        _rename(state, order, change)
        order.initial_e2 = change.qty_e2
        order.reason = Reason.AMEND
        if left_e2 < order.remaining_e2:
            resting.shrink(state, market, order, order.remaining_e2 - left_e2)
        state.touch_order(order)
    else:
        _requeue(state, account, market, order, change)
    return order


def cancel_all(state: State, account: Account) -> int:
    """Cancel every resting order of an account whose market allows it; return how many."""
    check_exchange_open(state)
    orders = [order for order in state.orders_of.get(account.account, []) if order.is_resting]
    active = [one for one in orders if state.markets[one.ticker].status is MarketStatus.ACTIVE]
    for order in active:
        resting.cancel(state, order, Reason.NONE)
    return len(active)


def find_resting(state: State, account: Account, order_id: str, shard: int) -> Order:
    """Return a resting order of an account on a shard.

    Raises:
        Refusal: unknown, finished, or on another shard: the exchange says 404 to all of them.
    """
    order = state.orders.get(order_id)
    is_own = order is not None and order.account == account.account and order.is_resting
    if order is None or not is_own or order.exchange_index != shard:
        raise not_found("order")
    return order


def check_exchange_open(state: State) -> None:
    """Refuse everything while the exchange is paused."""
    if state.pauses.is_exchange_paused:
        raise Refusal(503, "exchange_unavailable", "the exchange is paused")


def check_open_for_trading(state: State) -> None:
    """Refuse what may trade while trading is paused."""
    check_exchange_open(state)
    if state.pauses.is_trading_paused or state.pauses.is_weekly:
        raise Refusal(400, "trading_is_paused", "trading is paused")


def _route(state: State, ticker: str, exchange_index: int | None) -> Market:
    market = state.market(ticker)
    if exchange_index not in (None, AUTO_ROUTE, market.exchange_index):
        raise market_not_found(ticker)
    return market


def _check_active(market: Market) -> None:
    if market.status is not MarketStatus.ACTIVE:
        raise market_inactive(market.ticker)


def _check_fields(state: State, market: Market, new: NewOrder) -> None:
    if not grids.is_on_grid(market.price_ranges, new.price_e4):
        raise Refusal(400, "invalid_price", "price is not on the market's price grid")
    if not 0 < new.qty_e2 <= MOST_CONTRACTS_E2:
        raise Refusal(400, "invalid_order_size", "count must be more than 0 and not absurd")
    is_resting_kind = new.time_in_force == "good_till_canceled"
    if new.expiration_us is not None and not is_resting_kind:
        raise invalid_order("expiration_time is allowed only with good_till_canceled")
    if new.expiration_us is not None and new.expiration_us <= state.now_us:
        raise invalid_order("expiration_time is in the past")
    if new.is_post_only and not is_resting_kind:
        raise invalid_order("post_only is allowed only with good_till_canceled")
    if new.is_reduce_only and new.time_in_force != "immediate_or_cancel":
        raise invalid_order("reduce_only is allowed only with immediate_or_cancel")


def _check_identity(state: State, account: Account, new: NewOrder) -> None:
    used = (account.account, new.client_order_id)
    if new.client_order_id and used in state.client_order_ids:
        raise order_already_exists(new.client_order_id)
    held = (len(orders) for (name, _), orders in state.resting_of.items() if name == used[0])
    if sum(held) >= MOST_OPEN_ORDERS:
        raise invalid_order("too many open orders")


def _check_group(state: State, account: Account, market: Market, new: NewOrder) -> None:
    if not new.group_id:
        return
    group = state.groups.get(new.group_id)
    is_there = group is not None and group.account == account.account
    if group is None or not is_there or group.exchange_index != market.exchange_index:
        raise Refusal(404, "order_group_not_found", f"order group {new.group_id} not found")
    if group.is_triggered:
        raise Refusal(400, "order_group_cancel", "the order group is triggered; reset it first")


def _draft(state: State, account: Account, market: Market, new: NewOrder) -> Order:
    number = state.counter + 1
    return Order(
        order_id=state.new_id("order", number),
        account=account.account,
        client_order_id=new.client_order_id,
        ticker=new.ticker,
        is_bid=new.is_bid,
        price_e4=new.price_e4,
        initial_e2=new.qty_e2,
        remaining_e2=new.qty_e2,
        time_in_force=new.time_in_force,
        self_trade=new.self_trade,
        exchange_index=market.exchange_index,
        created_us=state.now_us,
        updated_us=state.now_us,
        number=number,
        queue=number,
        is_post_only=new.is_post_only,
        is_reduce_only=new.is_reduce_only,
        is_canceled_on_pause=new.is_canceled_on_pause,
        expiration_us=new.expiration_us,
        group_id=new.group_id,
    )


def _check_crossing(state: State, order: Order, seen: preview.Preview) -> None:
    crosses = bool(seen.fills or seen.is_self_crossed or seen.canceled)
    if order.is_post_only and crosses and state.config.is_post_only_rejected:
        raise invalid_order("order would cross", details="post only cross")


def _killed(state: State, order: Order) -> Refusal:
    # Kept as a canceled order: that is how its client_order_id stays used, also after a restart.
    _enter(state, order)
    resting.cancel(state, order, Reason.NONE)
    return Refusal(
        409,
        "fill_or_kill_insufficient_resting_volume",
        "there is not enough resting volume to fill the order completely",
    )


def _is_post_only_cancel(order: Order, seen: preview.Preview) -> bool:
    return order.is_post_only and bool(seen.fills or seen.is_self_crossed or seen.canceled)


def _cap_reduce_only(state: State, market: Market, order: Order) -> int:
    if not order.is_reduce_only:
        return 0
    held = state.position_e2(order.account, market.ticker)
    allowed = accounts.closing_e2(held, order.remaining_e2, is_bid=order.is_bid)
    capped = order.remaining_e2 - allowed
    order.remaining_e2 = allowed
    return capped


def _enter(state: State, order: Order) -> None:
    state.counter = order.number
    state.orders[order.order_id] = order
    state.orders_of.setdefault(order.account, []).append(order)
    if order.client_order_id:
        state.client_order_ids[order.account, order.client_order_id] = order.order_id


def _run(
    state: State, market: Market, order: Order, seen: preview.Preview, *, capped_e2: int
) -> None:
    if _is_post_only_cancel(order, seen):
        resting.cancel(state, order, Reason.POST_ONLY_CROSS_CANCEL)
        return
    taker = matching.Taker(order, order.is_bid, order.price_e4, order.remaining_e2)
    matching.sweep(state, market, taker)
    _finish(state, market, order, taker, capped_e2=capped_e2)


def _finish(
    state: State, market: Market, order: Order, taker: matching.Taker, *, capped_e2: int
) -> None:
    group = state.groups.get(order.group_id)
    if taker.is_self_crossed:
        resting.cancel(state, order, Reason.SELF_TRADE_CANCEL)
    elif order.remaining_e2 == 0 and capped_e2:
        resting.cancel(state, order, Reason.REDUCE_ONLY_CANCEL)
    elif order.remaining_e2 == 0:
        resting.release_client_order_id(state, order)
        state.touch_order(order)
    elif order.time_in_force != "good_till_canceled" or (group and group.is_triggered):
        resting.cancel(state, order, Reason.NONE)
    else:
        resting.join(state, market, order)
        state.touch_order(order)


def _check_amendment(state: State, order: Order, market: Market, change: Amendment) -> None:
    if change.ticker != order.ticker:
        raise Refusal(400, "order_ticker_mismatch", "the order is in another market")
    if change.is_bid is not order.is_bid:
        raise Refusal(400, "order_side_mismatch", "the order is on the other side")
    if change.client_order_id not in (None, order.client_order_id):
        raise Refusal(
            400, "order_id_and_client_order_id_mismatch", "client_order_id belongs to another order"
        )
    renamed = change.updated_client_order_id
    is_new_name = renamed is not None and renamed != order.client_order_id
    if is_new_name and (order.account, renamed or "") in state.client_order_ids:
        raise order_already_exists(renamed or "")
    if not grids.is_on_grid(market.price_ranges, change.price_e4):
        raise Refusal(400, "invalid_price", "price is not on the market's price grid")
    if change.qty_e2 > MOST_CONTRACTS_E2:
        raise Refusal(400, "invalid_order_size", "count is absurd")
    if change.qty_e2 <= order.filled_e2:
        raise Refusal(
            400, "invalid_amend_qty_for_order", "count must be more than what is filled already"
        )


def _rename(state: State, order: Order, change: Amendment) -> None:
    renamed = change.updated_client_order_id
    if renamed:
        order.client_order_id = renamed
        state.client_order_ids[order.account, renamed] = order.order_id


def _requeue(
    state: State, account: Account, market: Market, order: Order, change: Amendment
) -> None:
    before = (order.price_e4, order.remaining_e2)
    order.price_e4, order.remaining_e2 = change.price_e4, change.qty_e2 - order.filled_e2
    try:
        seen = preview.look(state, market, order)
        _check_crossing(state, order, seen)
        preview.check_money(state, account, market, order, seen)
    finally:
        order.price_e4, order.remaining_e2 = before
    resting.shrink(state, market, order, order.remaining_e2)
    _rename(state, order, change)
    order.price_e4, order.remaining_e2 = change.price_e4, change.qty_e2 - order.filled_e2
    order.initial_e2, order.queue = change.qty_e2, state.next_number()
    order.reason = Reason.AMEND
    _run(state, market, order, seen, capped_e2=0)


def check_expiration(expiration_us: int | None) -> None:
    """Refuse an expiration before 1970 or absurdly far away."""
    if expiration_us is not None and not 0 < expiration_us < 2**53:
        raise invalid_parameter("expiration_time must be Unix seconds")
