"""Order groups: a fuse on the contracts matched in any rolling 15 seconds.

At the limit matching stops, every order of the group is canceled and new ones are refused until
the group is reset (docs.kalshi.com, "Order groups"). Groups live on one shard.
"""

from __future__ import annotations

from typing import Final

from recio.domain.units import SECOND_US
from recio.exchange_simulator.core import resting
from recio.exchange_simulator.core.records import Account, OrderGroup, Reason
from recio.exchange_simulator.core.refusals import Refusal, invalid_parameter
from recio.exchange_simulator.core.state import State

WINDOW_US: Final = 15 * SECOND_US
MOST_CONTRACTS_E2: Final = 1_000_000 * 100


def create(state: State, account: Account, limit_e2: int, shard: int) -> OrderGroup:
    """Make a group with a limit in 1e-2 contract."""
    check_limit(limit_e2)
    number = state.next_number()
    group = OrderGroup(
        group_id=state.new_id("group", number),
        number=number,
        account=account.account,
        exchange_index=shard,
        limit_e2=limit_e2,
    )
    state.groups[group.group_id] = group
    _tell(state, group, "created")
    return group


def check_limit(limit_e2: int) -> None:
    """Refuse a limit outside 1 … 1,000,000 contracts."""
    if not 100 <= limit_e2 <= MOST_CONTRACTS_E2:
        raise invalid_parameter("contracts_limit must be between 1 and 1000000 contracts")


def find(state: State, account: Account, group_id: str, shard: int | None) -> OrderGroup:
    """Return an account's group on a shard.

    Raises:
        Refusal: there is no such group there.
    """
    group = state.groups.get(group_id)
    is_there = group is not None and group.account == account.account
    if group is None or not is_there or (shard is not None and group.exchange_index != shard):
        raise Refusal(404, "order_group_not_found", f"order group {group_id} not found")
    return group


def allowance_e2(state: State, group_id: str) -> int | None:
    """Return how much a group may still match now; None: no limit."""
    group = state.groups.get(group_id)
    if group is None or group.limit_e2 is None:
        return None
    _forget_old(state, group)
    return max(group.limit_e2 - sum(qty for _, qty in group.matched), 0)


def matched(state: State, group_id: str, qty_e2: int) -> None:
    """Count matched quantity; at the limit cancel the whole group."""
    group = state.groups.get(group_id)
    if group is None:
        return
    group.matched.append((state.now_us, qty_e2))
    state.changes.groups[group.group_id] = group
    if allowance_e2(state, group_id) == 0:
        trigger(state, group)


def trigger(state: State, group: OrderGroup) -> None:
    """Cancel every order of the group and refuse new ones until it is reset."""
    if not group.is_triggered:
        group.is_triggered = True
        _tell(state, group, "triggered")
    _cancel_members(state, group)


def reset(state: State, group: OrderGroup) -> None:
    """Let the group trade again, from nothing matched."""
    group.is_triggered = False
    group.matched.clear()
    _tell(state, group, "reset")


def set_limit(state: State, group: OrderGroup, limit_e2: int) -> None:
    """Change the limit; one that is already passed triggers the group."""
    check_limit(limit_e2)
    group.limit_e2 = limit_e2
    _tell(state, group, "limit_updated")
    if allowance_e2(state, group.group_id) == 0:
        trigger(state, group)


def delete(state: State, group: OrderGroup) -> None:
    """Remove a group and cancel its orders."""
    _cancel_members(state, group)
    del state.groups[group.group_id]
    state.changes.groups.pop(group.group_id, None)
    state.changes.removed_groups.add(group.group_id)
    state.listener.group_changed(group, "deleted")


def _cancel_members(state: State, group: OrderGroup) -> None:
    for order in list(group.orders.values()):
        resting.cancel(state, order, Reason.NONE)


def _forget_old(state: State, group: OrderGroup) -> None:
    while group.matched and group.matched[0][0] <= state.now_us - WINDOW_US:
        group.matched.popleft()


def _tell(state: State, group: OrderGroup, event_type: str) -> None:
    state.changes.groups[group.group_id] = group
    state.changes.is_urgent = True
    state.listener.group_changed(group, event_type)
