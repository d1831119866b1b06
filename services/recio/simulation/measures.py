"""What a history shows of limits and of safety, in numbers: pure, for reports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from recio.simulation.history import Change, History, OrderSample, Sample

OVER: Final = frozenset({"executed", "canceled", "rejected", "expired_unsent"})
_HARD: Final = frozenset({"Halted", "Flatten"})


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """The most that a limit was used, worst case of what was in flight included, of what it allows."""

    limit: str
    most: int
    allowed: int
    unit: str


class Halt(msgspec.Struct, frozen=True, kw_only=True):
    """One halt: how long after its commit the last create left, in microseconds of wall time; 0: none."""

    account: str
    last_create_us: int


def reached(history: History) -> tuple[Reached, ...]:
    """Return how far each limit was used whenever the gate let an entry in.

    What a person trades by hand may go beyond; no limit can hold that back, only what follows.
    """
    limits = history.limits
    figures = [_figures(sample) for sample in _at_entries(history)]
    most = [max(column, default=0) for column in zip(*figures, strict=True)] or [0] * 6
    order = max(
        (one.qty_e2 for one in history.sent if one.kind == "create" and not one.is_foreign),
        default=0,
    )
    rows = (
        ("maxContractsPerOrder", order, limits.contracts_per_order_e2, "1e-2 contract"),
        ("maxContractsPerEvent", most[0], limits.contracts_per_event_e2, "1e-2 contract"),
        ("maxContractsTotal", most[1], limits.contracts_total_e2, "1e-2 contract"),
        ("maxCostPerEventDollars", most[2], limits.cost_per_event_usd_e6, "1e-6 dollar"),
        ("maxCostTotalDollars", most[3], limits.cost_total_usd_e6, "1e-6 dollar"),
        ("maxOpenTrades", most[4], limits.open_trades, "trades"),
        ("maxOrdersPerMinute", most[5], limits.orders_per_minute, "orders"),
    )
    return tuple(
        Reached(limit=name, most=value, allowed=allowed, unit=unit)
        for name, value, allowed, unit in rows
    )


def _at_entries(history: History) -> Iterator[Sample]:
    known: set[str] = set()
    for sample in history.samples:
        entries = {one.order_id for one in sample.orders if one.purpose == "entry"}
        if entries - known:
            yield sample
        known |= entries


def _figures(sample: Sample) -> tuple[int, ...]:
    entries = [one for one in sample.orders if one.purpose == "entry"]
    events = {one.event_ticker for one in entries} | {one.event_ticker for one in sample.held}
    by_event = [
        (
            sum(_open_e2(one) for one in entries if one.event_ticker == event)
            + sum(one.qty_e2 for one in sample.held if one.event_ticker == event),
            sum(_cost_usd_e6(one) for one in entries if one.event_ticker == event)
            + sum(one.cost_usd_e6 for one in sample.held if one.event_ticker == event),
        )
        for event in sorted(events)
    ]
    return (
        max((contracts for contracts, _ in by_event), default=0),
        sum(contracts for contracts, _ in by_event),
        max((cost for _, cost in by_event), default=0),
        sum(cost for _, cost in by_event),
        sample.open_trades,
        sample.orders_in_minute,
    )


def _open_e2(order: OrderSample) -> int:
    """Return what an order may still bring, or has brought and is not booked, at its worst."""
    most = order.filled_e2 if order.state in OVER else order.qty_e2
    return most - order.booked_e2


def _cost_usd_e6(order: OrderSample) -> int:
    return -(-order.reserved_usd_e6 * _open_e2(order) // order.qty_e2)


def halts(account: str, history: History) -> tuple[Halt, ...]:
    """Return every halt of the history, until it was released or the run ended."""
    return tuple(
        Halt(account=account, last_create_us=_last_create_us(history, begun, end_us))
        for begun, end_us in _halted(history)
    )


def _halted(history: History) -> Iterator[tuple[Change, int]]:
    switches = [one for one in history.changes if one.subject == "switches"]
    for number, change in enumerate(switches):
        if change.new not in _HARD or change.old in _HARD:
            continue
        later = (one.at_us for one in switches[number + 1 :] if one.subject_id == change.subject_id)
        yield change, next(later, history.ended_us)


def _last_create_us(history: History, begun: Change, end_us: int) -> int:
    after = [
        one.at_us - begun.at_us
        for one in history.sent
        if one.kind == "create"
        and not one.is_foreign
        and one.durable.source not in {"manual", "flatten", "panic"}
        and begun.at_us < one.at_us < end_us
    ]
    return max(after, default=0) // history.speed
