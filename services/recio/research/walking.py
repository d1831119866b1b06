"""Choosing among settings, honestly: on the earlier part of a tape, judged on the later one.

The setting that did best on a whole tape was chosen with knowledge of that tape; what it earned
there says little. Walking forward, each part of the tape is traded with the setting that was best on
all parts before it: that is what a person could have done. Events are parted by their close, in
equal numbers; a setting that did not trade an event earned nothing in it, and not to trade at all is
a choice like any other. Every run begins with its own balance and its limits last over the parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from recio.domain.errors import InvalidValue
from recio.research.running import EventLine, Found
from recio.research.significance import (
    Moments,
    deflated_sharpe,
    moments,
    permutation_p,
    reality_check_p,
)

BY: Final = ("profit", "sharpe")
_USD_E6: Final = 1e6
Settings = Mapping[str, int | bool | str]


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One setting and what it found."""

    settings: dict[str, int | bool | str]
    found: Found

    @property
    def pnl_usd_e6(self) -> int:
        """Profit after fees."""
        return sum(one.pnl_usd_e6 for one in self.found.events)

    @property
    def trades(self) -> int:
        """Trades with a known result."""
        return sum(one.trades for one in self.found.events)

    @property
    def qty_e2(self) -> int:
        """Contracts bought, in hundredths."""
        return sum(one.qty_e2 for one in self.found.events)


class Fold(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the tape, traded with the setting that was best before it."""

    since_us: int
    until_us: int
    events: int
    chosen: int
    """The number of the setting among those tried."""
    learned_usd_e6: int
    """What it had earned before, where it was chosen."""
    pnl_usd_e6: int
    trades: int
    won: int
    qty_e2: int
    best_usd_e6: int
    """What the best setting of this very part earned: known only afterwards."""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep comes to. None: too little to say."""

    by: str
    best: int
    """The number of the setting that did best on the whole tape."""
    events: int
    folds: tuple[Fold, ...]
    sharpe: float | None
    """Of the best setting, for an event, not annualised."""
    deflated: float | None
    reality_p: float | None
    permutation_p: float | None

    @property
    def forward_usd_e6(self) -> int:
        """What walking forward earned."""
        return sum(fold.pnl_usd_e6 for fold in self.folds)

    @property
    def forward_trades(self) -> int:
        """In how many trades."""
        return sum(fold.trades for fold in self.folds)


def judge(tried: Sequence[Tried], *, folds: int, by: str = BY[0], seed: int = 1) -> Judgement:
    """Return what the settings come to together.

    Raises:
        InvalidValue: nothing was tried, no folds, or a criterion that is not known.
    """
    if not tried or folds < 1 or by not in BY:
        raise InvalidValue(
            f"expected settings, folds from 1 and one of {BY}; received {folds}, {by}"
        )
    closes = _closes(tried)
    rows = [_row(one, closes) for one in tried]
    best = _best(rows, by)
    shapes = [moments(row) for row in rows]
    chosen = shapes[best]
    return Judgement(
        by=by,
        best=best,
        events=len(closes),
        folds=tuple(_folds(tried, closes, rows, folds, by)),
        sharpe=chosen.sharpe if chosen else None,
        deflated=_deflated(chosen, shapes),
        reality_p=reality_check_p(rows, seed=seed),
        permutation_p=permutation_p(rows, seed=seed),
    )


def _deflated(chosen: Moments | None, shapes: Sequence[Moments | None]) -> float | None:
    if chosen is None:
        return None
    # A setting that never traded was a trial too, with a ratio of nothing.
    return deflated_sharpe(chosen, [one.sharpe if one else 0.0 for one in shapes])


def _closes(tried: Sequence[Tried]) -> list[tuple[int, str]]:
    return sorted(
        {(line.close_us, line.event_ticker) for one in tried for line in one.found.events}
    )


def _row(one: Tried, closes: Sequence[tuple[int, str]]) -> list[float]:
    held = {line.event_ticker: line.pnl_usd_e6 / _USD_E6 for line in one.found.events}
    return [held.get(event, 0.0) for _, event in closes]


def _best(rows: Sequence[Sequence[float]], by: str) -> int:
    """Return the number of the best row; the first of equals."""
    score: Callable[[Sequence[float]], float] = math.fsum if by == BY[0] else _sharpe
    return max(range(len(rows)), key=lambda at: (round(score(rows[at]), 9), -at))


def _sharpe(row: Sequence[float]) -> float:
    shape = moments(row)
    return shape.sharpe if shape else 0.0


def _folds(
    tried: Sequence[Tried],
    closes: Sequence[tuple[int, str]],
    rows: Sequence[Sequence[float]],
    folds: int,
    by: str,
) -> list[Fold]:
    parts = folds + 1
    if len(closes) < 2 * parts:
        return []
    ends = [len(closes) * at // parts for at in range(parts + 1)]
    made = []
    for since, until in pairwise(ends[1:]):
        chosen = _best([row[:since] for row in rows], by)
        names = {event for _, event in closes[since:until]}
        lines = [line for line in tried[chosen].found.events if line.event_ticker in names]
        made.append(
            Fold(
                since_us=closes[since][0],
                until_us=closes[until - 1][0],
                events=until - since,
                chosen=chosen,
                learned_usd_e6=round(math.fsum(rows[chosen][:since]) * _USD_E6),
                best_usd_e6=round(max(math.fsum(row[since:until]) for row in rows) * _USD_E6),
                **_sums(lines),
            )
        )
    return made


def _sums(lines: Sequence[EventLine]) -> dict[str, int]:
    return {
        "pnl_usd_e6": sum(line.pnl_usd_e6 for line in lines),
        "trades": sum(line.trades for line in lines),
        "won": sum(line.won for line in lines),
        "qty_e2": sum(line.qty_e2 for line in lines),
    }
