"""Invariants 15 and 16: two runs compared."""

from __future__ import annotations

from collections import Counter

from recio.simulation.history import History

Found = list[str]


def invariant_15_a_restart_changes_nothing(clean: History, other: History) -> Found:
    """A run with kills ends as the clean one did; an entry not yet sent may have expired."""
    spared = {
        one.ticker
        for one in other.orders
        if (one.purpose, one.state) == ("entry", "expired_unsent")
    }
    ours, theirs = _ends(clean, spared), _ends(other, spared)
    found = [
        f"wish {key} ended as {theirs.get(key, 'nothing')}, in the clean run as "
        f"{ours.get(key, 'nothing')}"
        for key in sorted({*ours, *theirs})
        if ours.get(key) != theirs.get(key)
    ]
    if not spared and clean.ledger.cash_usd_e6 != other.ledger.cash_usd_e6:
        found.append(
            f"cash ended at {other.ledger.cash_usd_e6}, in the clean run at "
            f"{clean.ledger.cash_usd_e6}"
        )
    told, wanted = _told(other, spared), _told(clean, spared)
    return found if told == wanted else [*found, f"trades ended as {told}, not as {wanted}"]


def _ends(history: History, spared: set[str]) -> dict[tuple[str, str, int], tuple[str, str, int]]:
    """How each wish ended, by purpose, market and which one of these it was."""
    order_of = {order.intent_id: order for order in history.orders}
    seen: Counter[tuple[str, str]] = Counter()
    ends = {}
    for one in sorted(history.intents, key=lambda one: one.at_us):
        if one.ticker in spared:
            continue
        order = order_of.get(one.intent_id)
        state, filled = (order.state, order.filled_e2) if order else ("", 0)
        seen[one.purpose, one.ticker] += 1
        number = seen[one.purpose, one.ticker]
        ends[one.purpose, one.ticker, number] = (one.state, state, filled)
    return ends


def _told(history: History, spared: set[str]) -> list[tuple[str, str, str, int | None]]:
    return sorted(
        (one.source, one.ticker, one.state, one.pnl_usd_e6)
        for one in history.trades
        if one.ticker not in spared
    )


def invariant_16_the_same_seed_gives_the_same_history(first: History, second: History) -> Found:
    """Two runs of one seed are the same to the last byte."""
    left, right = lines(first), lines(second)
    if left == right:
        return []
    at = next(
        (n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b),
        min(len(left), len(right)),
    )
    return [f"line {at} differs: {left[at : at + 1]} and {right[at : at + 1]}"]


def lines(history: History) -> list[str]:
    """Return a history as lines, one for each thing that happened."""
    found: list[str] = []
    for name in history.__slots__:
        value = getattr(history, name)
        found += [f"{name} {one!r}" for one in value] if isinstance(value, tuple) else [repr(value)]
    return found
