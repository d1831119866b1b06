"""Members' money: cash by shard, positions, netting, and what resting orders hold.

Invariants: the cash of all members and of the house adds up to what was paid in; the positions of a
market add up to zero; a resting order's collateral is held for the part that does not reduce the
position (docs.kalshi.com: opposite purchases net at once, a YES and a NO together are worth $1).
The exchange's relief across markets of one event is not published and not given here.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter

from recio.exchange_simulator.core.records import Account, Market, Position
from recio.exchange_simulator.core.state import State

_CENT_E6 = 10_000
_ROUNDING_RESERVE_E6 = 2 * _CENT_E6
_ONE_E4 = 10_000


def closing_e2(position_e2: int, qty_e2: int, *, is_bid: bool) -> int:
    """Return how much of a fill reduces the position."""
    against = -position_e2 if is_bid else position_e2
    return min(qty_e2, max(against, 0))


def unit_cost_e4(price_e4: int, *, is_bid: bool) -> int:
    """Return what opening one contract costs: the YES price for a bid, the NO price for an ask."""
    return price_e4 if is_bid else _ONE_E4 - price_e4


def revenue_e6(position_e2: int, price_e4: int, qty_e2: int, *, is_bid: bool) -> int:
    """Return a fill's signed cash flow before fees.

    >>> revenue_e6(0, 5600, 300, is_bid=True), revenue_e6(300, 6000, 300, is_bid=False)
    (-1680000, 1800000)
    >>> revenue_e6(0, 5600, 300, is_bid=False), revenue_e6(-300, 5600, 300, is_bid=True)
    (-1320000, 1320000)
    """
    closing = closing_e2(position_e2, qty_e2, is_bid=is_bid)
    cost_e4 = unit_cost_e4(price_e4, is_bid=is_bid)
    return closing * (_ONE_E4 - cost_e4) - (qty_e2 - closing) * cost_e4


def apply_to_position(position: Position, price_e4: int, qty_e2: int, *, is_bid: bool) -> None:
    """Book a fill's quantity, cost and realized profit (fees apart)."""
    closing = closing_e2(position.position_e2, qty_e2, is_bid=is_bid)
    cost_e4 = unit_cost_e4(price_e4, is_bid=is_bid)
    if closing:
        held = abs(position.position_e2)
        cost = position.cost_e6 * closing // held
        position.open_fees_e6 -= position.open_fees_e6 * closing // held
        position.cost_e6 -= cost
        position.realized_e6 += closing * (_ONE_E4 - cost_e4) - cost
    opening_cost = (qty_e2 - closing) * cost_e4
    position.cost_e6 += opening_cost
    position.traded_e6 += opening_cost
    position.volume_e2 += qty_e2
    position.position_e2 += qty_e2 if is_bid else -qty_e2


Resting = tuple[bool, int, int]
"""A resting order as (is_bid, price_e4, remaining_e2)."""


def collateral_e6(orders: Iterable[Resting], position_e2: int) -> int:
    """Return what resting orders of one account in one market hold.

    Orders that reduce the position hold nothing for that part, the best prices first, because they
    fill first.
    """
    total, listed = 0, list(orders)
    for is_bid in (True, False):
        free = max(-position_e2 if is_bid else position_e2, 0)
        side = sorted(
            (one for one in listed if one[0] is is_bid), key=itemgetter(1), reverse=is_bid
        )
        for _, price_e4, remaining_e2 in side:
            closing = min(free, remaining_e2)
            free -= closing
            total += _held_e6(price_e4, remaining_e2 - closing, is_bid=is_bid)
    return total


def _held_e6(price_e4: int, qty_e2: int, *, is_bid: bool) -> int:
    if qty_e2 == 0:
        return 0
    cost = unit_cost_e4(price_e4, is_bid=is_bid) * qty_e2
    # Rounding to whole cents at each fill can cost up to two cents more over an order's life.
    return cost if price_e4 % 100 == 0 and qty_e2 % 100 == 0 else cost + _ROUNDING_RESERVE_E6


def resting(state: State, account: str, ticker: str) -> list[Resting]:
    """Return an account's resting orders in a market."""
    orders = state.resting_of.get((account, ticker), {})
    return [(one.is_bid, one.price_e4, one.remaining_e2) for one in orders.values()]


def hold(state: State, account: Account, market: Market) -> None:
    """Bring the held collateral of an account up to date after a change in one market."""
    key = (account.account, market.ticker)
    orders = resting(state, *key)
    needed = collateral_e6(orders, state.position_e2(*key))
    before = state.held_in.get(key, 0)
    if needed != before:
        shard = market.exchange_index
        account.held_e6[shard] = account.held_e6.get(shard, 0) + needed - before
        state.held_in[key] = needed
        state.touch_account(account)


def pay(state: State, account: Account, shard: int, amount_e6: int) -> None:
    """Add signed money to an account's cash on a shard."""
    account.cash_e6[shard] = account.cash_e6.get(shard, 0) + amount_e6
    state.touch_account(account)


def open_account(state: State, name: str, cash_e6: int, shard: int, at_us: int) -> Account:
    """Make an account with opening cash, or return the one that exists unchanged."""
    found = state.accounts.get(name)
    if found is not None:
        return found
    now = state.at(at_us)
    number = state.next_number()
    account = Account(
        account=name,
        user_id=state.new_id("user", number),
        number=number,
        tier=state.config.tier,
        created_us=now,
        opening_e6=cash_e6,
        cash_e6={shard: cash_e6},
    )
    state.accounts[name] = account
    state.touch_account(account)
    return account
