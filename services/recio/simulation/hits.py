"""Counts which fault met an order in which state, over all runs of a test session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from recio.simulation.history import Strike

COLUMNS = (
    "none live", "created", "submitted", "unknown", "resting", "partially_filled", "executed",
    "canceled", "rejected", "by hand",
)  # fmt: skip
_SHORT = {"partially_filled": "partial"}
_counted: Counter[tuple[str, str]] = Counter()
_runs: Counter[str] = Counter()


def count(strikes: Iterable[Strike]) -> None:
    """Add the faults of one run."""
    _runs["runs"] += 1
    for one in strikes:
        _counted.update((one.fault, state) for state in one.states)


def table() -> list[str]:
    """Return the table as lines; none without a run."""
    if not _runs:
        return []
    faults = sorted({fault for fault, _ in _counted})
    names = [_SHORT.get(name, name) for name in COLUMNS]
    lines = [f"{'':36}" + "".join(f"{name:>11}" for name in names)]
    for fault in faults:
        cells = (_counted[fault, state] for state in COLUMNS)
        lines.append(f"{fault:36}" + "".join(f"{cell or '.':>11}" for cell in cells))
    return [*lines, f"{_runs['runs']} runs, {sum(_counted.values())} strikes by state"]
