"""Parts of the invariants that are sums: over what is at stake, over all trades, over all accounts."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

from recio.simulation.history import FleetLimits, History, OrderSample, Sample

OVER: Final = frozenset({"executed", "canceled", "rejected", "expired_unsent"})
ENDED: Final = frozenset({"closed", "settled", "abandoned"})
"""Trades that are over."""
MINUTE_US: Final = 60_000_000


def unbooked_e2(order: OrderSample) -> int:
    """Return what an order may still add to the books, at its worst."""
    reach = order.filled_e2 if order.state in OVER else order.qty_e2
    return reach - order.booked_e2


def worst_usd_e6(order: OrderSample) -> int:
    """Return what that can cost, rounded up."""
    return -(-order.reserved_usd_e6 * unbooked_e2(order) // order.qty_e2)


def entries_of(sample: Sample) -> list[OrderSample]:
    """Return the entries among a sample's orders."""
    return [one for one in sample.orders if one.purpose == "entry"]


def results(history: History) -> Iterator[str]:
    """When everything is over, all trades together earned what the account earned."""
    if history.ledger.positions_e2 or any(one.state not in ENDED for one in history.trades):
        return
    earned = sum(one.pnl_usd_e6 or 0 for one in history.trades)
    cash = history.venue.cash_usd_e6 - history.venue.opening_usd_e6
    if earned != cash:
        yield f"all trades together made {earned}, the account {cash}"


def invariant_08_over_all_accounts(
    histories: Sequence[History], limits: FleetLimits
) -> Iterator[str]:
    """At every instant at which an entry appears, all accounts together are within their limits."""
    made_us = sorted(one.created_us for history in histories for one in history.orders)
    for history in histories:
        others = [_Stakes(other) for other in histories if other is not history]
        created_us = {one.order_id: one.created_us for one in history.orders}
        known: set[str] = set()
        for sample in history.samples:
            new = {one.order_id for one in entries_of(sample)} - known
            known |= new
            if new:
                at_us = max(created_us[one] for one in new)
                yield from _beyond(sample, others, limits, _orders_in_minute(made_us, at_us))


def _beyond(
    sample: Sample, others: Sequence[_Stakes], limits: FleetLimits, in_minute: int
) -> Iterator[str]:
    stakes = [_stake(sample), *(other.at(sample.at_us) for other in others)]
    figures = (
        ("cost", sum(cost for cost, _ in stakes), limits.cost_total_usd_e6),
        ("open trades", sum(trades for _, trades in stakes), limits.open_trades),
        ("orders in a minute", in_minute, limits.orders_per_minute),
    )
    for name, value, most in figures:
        if value > most:
            yield f"an entry at {sample.at_us} brings {name} to {value}, at most {most}"


def _orders_in_minute(made_us: Sequence[int], at_us: int) -> int:
    return bisect_right(made_us, at_us) - bisect_right(made_us, at_us - MINUTE_US)


def _stake(sample: Sample) -> tuple[int, int]:
    """Return the cost at its worst, and the open trades."""
    cost = sum(map(worst_usd_e6, entries_of(sample))) + sum(one.cost_usd_e6 for one in sample.held)
    return cost, sample.open_trades


class _Stakes:
    """What an account has at stake at any instant, by its samples."""

    def __init__(self, history: History) -> None:
        self._samples = history.samples
        self._at_us = [one.at_us for one in history.samples]

    def at(self, at_us: int) -> tuple[int, int]:
        """Return cost and open trades; at the very instant of a change the smaller ones."""
        first, last = bisect_left(self._at_us, at_us), bisect_right(self._at_us, at_us)
        stakes = [_stake(one) for one in self._samples[max(first - 1, 0) : last]] or [(0, 0)]
        return min(cost for cost, _ in stakes), min(trades for _, trades in stakes)


def wrong_sides(history: History) -> Iterator[str]:
    """An entry buys its trade's side, an exit sells it; wire and row could agree on the other."""
    side_of = {one.trade_id: one.side for one in history.trades}
    for one in history.orders:
        side = side_of.get(one.trade_id)
        is_bid = (side == "yes") == (one.purpose == "entry")
        if side is not None and (one.book_side == "bid") != is_bid:
            yield f"{one.purpose} {one.order_id} is a {one.book_side} for a trade of {side}"
