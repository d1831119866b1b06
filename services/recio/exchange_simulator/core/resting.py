"""Orders that stand in the book: joining, shrinking, leaving; with what they hold and their group."""

from __future__ import annotations

from recio.exchange_simulator.core import accounts
from recio.exchange_simulator.core.records import Account, Market, Order, Reason
from recio.exchange_simulator.core.state import State


def join(state: State, market: Market, order: Order) -> None:
    """Put an order at the back of its level."""
    market.book.side(is_bid=order.is_bid).level(order.price_e4).join(order, order.remaining_e2)
    remember(state, market, order)
    _tell(state, market, order, order.remaining_e2)
    accounts.hold(state, state.accounts[order.account], market)


def remember(state: State, market: Market, order: Order) -> None:
    """Enter a resting order into the indexes and set its expiry."""
    market.resting[order.order_id] = order
    state.resting_of.setdefault((order.account, market.ticker), {})[order.order_id] = order
    if order.expiration_us is not None:
        state.set_timer(order.expiration_us, "expire", order.order_id)
    group = state.groups.get(order.group_id)
    if group is not None:
        group.orders[order.order_id] = order


def forget(state: State, market: Market, order: Order) -> None:
    """Take an order out of the indexes; the book has let it go already."""
    market.resting.pop(order.order_id, None)
    key = (order.account, market.ticker)
    own = state.resting_of.get(key, {})
    own.pop(order.order_id, None)
    if not own:
        state.resting_of.pop(key, None)
    group = state.groups.get(order.group_id)
    if group is not None:
        group.orders.pop(order.order_id, None)


def shrink(state: State, market: Market, order: Order, qty_e2: int) -> None:
    """Take quantity off a resting order; it keeps its place."""
    side = market.book.side(is_bid=order.is_bid)
    level = side.level(order.price_e4)
    level.reduce(level.entry_of(order), qty_e2)
    side.drop_if_empty(level)
    order.remaining_e2 -= qty_e2
    if order.remaining_e2 == 0:
        forget(state, market, order)
    _tell(state, market, order, -qty_e2)
    accounts.hold(state, state.accounts[order.account], market)


def cancel(state: State, order: Order, reason: Reason) -> int:
    """Take an order out of the market; return the quantity that was left of it."""
    left = order.remaining_e2
    market = state.markets[order.ticker]
    order.status = "canceled"
    order.reason = reason
    if order.order_id in market.resting:
        shrink(state, market, order, left)
    order.remaining_e2 = 0
    release_client_order_id(state, order)
    state.touch_order(order)
    return left


def enforce_margin(state: State, account: Account, shard: int) -> None:
    """Cancel an account's newest resting orders on a shard until its cash covers the others."""
    while account.available_e6(shard) < 0:
        held = [
            order
            for (name, ticker), orders in state.resting_of.items()
            if name == account.account and state.held_in.get((name, ticker), 0) > 0
            for order in orders.values()
            if order.exchange_index == shard
        ]
        if not held:
            return
        cancel(state, max(held, key=lambda order: order.queue), Reason.MARGIN_CANCEL)


def release_client_order_id(state: State, order: Order) -> None:
    """Free a finished order's client_order_id, if this exchange does that."""
    if not state.config.is_client_order_id_used_forever:
        state.client_order_ids.pop((order.account, order.client_order_id), None)


def _tell(state: State, market: Market, order: Order, delta_e2: int) -> None:
    state.listener.book_changed(market, order.price_e4, delta_e2, order, is_bid=order.is_bid)
    state.touch_top(market)
