"""What each switch lets through. One table, read by the gate and again by the executor.

| switch       | create             | reduce            | cancel          | amend      |
|--------------|--------------------|-------------------|-----------------|------------|
| Active       | yes                | yes               | yes             | yes        |
| NoNewEntries | no new position    | yes               | yes             | exits only |
| ReduceOnly   | no                 | yes               | yes             | exits only |
| Halted       | no                 | by a person       | all, at once    | no         |
| Flatten      | no                 | at once           | yes             | exits only |

Each source has its own latched row; the strictest wins; a source releases only its own.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from recio.domain.account_config import Trading, strictest
from recio.domain.intents import Purpose, Source


class SwitchRow(msgspec.Struct, frozen=True, kw_only=True):
    """One source's word. ``scope`` is an account or ``*`` for all."""

    scope: str
    source: str
    state: Trading
    reason: str
    changed_at_us: int


class Effective(msgspec.Struct, frozen=True, kw_only=True):
    """The strictest state, and every row that is not Active."""

    state: Trading
    rows: tuple[SwitchRow, ...]

    @property
    def reason(self) -> str:
        """Who set it and why, for a person."""
        strictest = (row for row in self.rows if row.state is self.state)
        return "; ".join(f"{row.source} ({row.scope}): {row.reason}" for row in strictest)


def effective(rows: Iterable[SwitchRow]) -> Effective:
    """Return the strictest of the rows; no row at all means Active."""
    held = tuple(row for row in rows if row.state is not Trading.ACTIVE)
    return Effective(state=strictest(*(row.state for row in held)), rows=held)


def allows(state: Trading, purpose: Purpose, source: Source) -> bool:
    """Return whether an order of this purpose and source may be created or sent."""
    if purpose is Purpose.ENTRY:
        return state is Trading.ACTIVE
    if state is Trading.HALTED:
        return source in (Source.FLATTEN, Source.PANIC, Source.MANUAL)
    return True


def cancels_resting(state: Trading) -> bool:
    """Return whether everything that rests must be cancelled at once."""
    return state in (Trading.HALTED, Trading.FLATTEN)
