"""What an order would do, without doing it: its fills, and whether the account can pay them."""

from __future__ import annotations

from dataclasses import dataclass, field

from recio.exchange_simulator.core import accounts, fees, groups
from recio.exchange_simulator.core.book import Entry
from recio.exchange_simulator.core.records import Account, Market, Order
from recio.exchange_simulator.core.refusals import Refusal
from recio.exchange_simulator.core.state import State


@dataclass(slots=True)
class Preview:
    """Fills as (price_e4, qty_e2); own orders that would be canceled; whether it stops at one."""

    fills: list[tuple[int, int]] = field(default_factory=list)
    canceled: list[Order] = field(default_factory=list)
    is_self_crossed: bool = False
    left_e2: int = 0

    @property
    def filled_e2(self) -> int:
        """Return the quantity that would be filled."""
        return sum(qty for _, qty in self.fills)


def look(state: State, market: Market, order: Order) -> Preview:
    """Walk the book as ``matching.sweep`` would."""
    found = Preview(left_e2=order.remaining_e2)
    allowance = groups.allowance_e2(state, order.group_id)
    wanted = order.remaining_e2 if allowance is None else min(allowance, order.remaining_e2)
    for level in market.book.side(is_bid=not order.is_bid).reachable(order.price_e4):
        for entry in level.entries:
            if wanted == 0 or found.is_self_crossed:
                return found
            qty_e2 = _meet(found, order, entry, wanted)
            if qty_e2:
                found.fills.append((level.price_e4, qty_e2))
                wanted -= qty_e2
                found.left_e2 -= qty_e2
    return found


def _meet(found: Preview, order: Order, entry: Entry, wanted_e2: int) -> int:
    maker = entry.order
    if maker is None or maker.account != order.account:
        return min(wanted_e2, entry.qty_e2)
    if maker.order_id == order.order_id:
        return 0
    if order.self_trade == "taker_at_cross":
        found.is_self_crossed = True
    else:
        found.canceled.append(maker)
    return 0


def check_money(
    state: State, account: Account, market: Market, order: Order, seen: Preview
) -> None:
    """Refuse an order that the account's cash on the shard cannot pay in full.

    An order that only reduces the position is always allowed.

    Raises:
        Refusal: not enough money on the shard.
    """
    shard, key = market.exchange_index, (account.account, market.ticker)
    position = state.position_e2(account.account, market.ticker)
    rest_e2 = 0 if order.time_in_force != "good_till_canceled" else seen.left_e2
    wanted = seen.filled_e2 + rest_e2
    if accounts.closing_e2(position, wanted, is_bid=order.is_bid) == wanted:
        return
    cash, position = _after_fills(
        state, market, order, (account.cash_e6.get(shard, 0), position), seen
    )
    gone = {order.order_id} | {one.order_id for one in seen.canceled}
    others = [
        (one.is_bid, one.price_e4, one.remaining_e2)
        for one in state.resting_of.get(key, {}).values()
        if one.order_id not in gone
    ]
    held = account.held_e6.get(shard, 0) - state.held_in.get(key, 0)
    held += accounts.collateral_e6([*others, (order.is_bid, order.price_e4, rest_e2)], position)
    if cash < held:
        raise _refusal(account, shard, held - cash)


def _after_fills(
    state: State, market: Market, order: Order, before: tuple[int, int], seen: Preview
) -> tuple[int, int]:
    cash, position = before
    accumulator = order.accumulator_e6
    for price_e4, qty_e2 in seen.fills:
        revenue = accounts.revenue_e6(position, price_e4, qty_e2, is_bid=order.is_bid)
        trade_fee = fees.trade_fee_e6(price_e4, qty_e2, market.fee_terms, is_taker=True)
        one = fees.charge(revenue, trade_fee, accumulator, state.config.balance_precision_e6)
        accumulator = one.accumulator_e6
        cash += revenue - one.net_e6
        position += qty_e2 if order.is_bid else -qty_e2
    return cash, position


def _refusal(account: Account, shard: int, missing_e6: int) -> Refusal:
    elsewhere = sum(account.available_e6(other) for other in account.cash_e6 if other != shard)
    if elsewhere >= missing_e6:
        return Refusal(404, "insufficient_shard_balance", f"not enough money on shard {shard}")
    return Refusal(400, "insufficient_balance", "available balance is too low for this order")
