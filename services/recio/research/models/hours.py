"""What every model states at set times before each full hour, and how the hour ended.

At T = 60, 30, 15, 10, 5, 3 and 2 minutes before every full hour of a range: the price is the close of
the minute that ends then, the strikes are the nine steps nearest to it, the settlement is the mean of
open, high, low and close of the hour's last minute. Only minutes that ended by then are used; the
volatility model is the product's own code, fed minute by minute.

* ``constant``: normal, the deviation of a minute's return over all minutes before the range, no
  averaging: the naive model.
* ``fingerprints``: tables, at T minutes as they were published (baseline, and by momentum), and
  through the product's formula (the effective horizon of the averaged settlement).
* ``twenty lines``: normal, variance of half-lives 30, 240 and 1440 minutes at .5, .3 and .2, averaging.
* ``volatility``: the product's model.

Refused: nothing; an hour whose last minute is missing is left out and counted.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, sqrt
from typing import Final, NamedTuple

import numpy as np

from recio.domain import momentum
from recio.domain.fingerprints import BASELINE, DOWN, UP, Curve, Fingerprints
from recio.domain.settlement import WINDOW_SAMPLES, effective_seconds
from recio.domain.units import MINUTE_US
from recio.domain.volatility import Volatility
from recio.domain.volatility_model import Spread, VolatilityModel
from recio.research.models.fingerprints import buckets_of
from recio.research.models.minutes import MINUTE_S, Floats, Minutes
from recio.research.models.scores import Cases

AHEAD: Final = (60, 30, 15, 10, 5, 3, 2)
SIDE: Final = 4
"""Strikes on each side of the nearest."""
STEPS_USD: Final = {"BTC": 250.0, "ETH": 15.0}
HALVES: Final = ((30, 0.5), (240, 0.3), (1440, 0.2))
WARM_MINUTES: Final = 40 * 1440
"""Minutes before the range that a model sees first."""

CONSTANT: Final = "constant volatility"
TWENTY: Final = "twenty lines"
VOLATILITY: Final = "volatility model"
AT_BASELINE: Final = ", baseline"
BY_MOMENTUM: Final = ", with momentum"
IN_PRODUCT: Final = ", in the product"
"""With momentum, through the effective horizon of the averaged settlement."""
_NO_BUCKET: Final = 2 * momentum.MAX_BUCKET + 1
_TOLD_EVERY: Final = 100_000


class Tables(NamedTuple):
    """Fingerprints to judge, under a name."""

    name: str
    prints: Fingerprints


class Judged(NamedTuple):
    """The statements, and what could not be judged."""

    cases: Cases
    hours: int
    left_out: int


class _Moment(NamedTuple):
    """One moment: price and seconds left, the spreads of models, the curves of tables."""

    price: float
    ahead: int
    spreads: dict[str, Spread | None]
    curves: dict[str, Curve | None]


class Twenty:
    """The baseline of twenty lines."""

    __slots__ = ("_kept", "_means")

    def __init__(self, variance: float) -> None:
        self._means = [variance for _ in HALVES]
        self._kept = [0.5 ** (1 / half) for half, _ in HALVES]

    def add(self, change: float) -> None:
        """Take a minute's log return in."""
        square = change * change
        self._means = [
            kept * mean + (1 - kept) * square
            for kept, mean in zip(self._kept, self._means, strict=True)
        ]

    def variance(self) -> float:
        """Return that of a minute."""
        return sum(mean * share for mean, (_, share) in zip(self._means, HALVES, strict=True))


def judge(
    minutes: Minutes,
    model: VolatilityModel,
    tables: tuple[Tables, ...],
    *,
    begin_s: int,
    deviation: float,
    progress: Callable[[int, int], None] | None = None,
) -> Judged:
    """Walk through the minutes; judge the hours that end after ``begin_s``.

    Args:
        minutes: those of the range, and some before it to begin with.
        model: the volatility model.
        tables: fingerprints to judge beside it.
        begin_s: the first second of the range.
        deviation: of a minute's log return before the range: the naive model's only number.
        progress: is told how many minutes of how many are done.
    """
    walk = _Walk(minutes, model, tables, (begin_s, deviation))
    for place in range(len(minutes.close)):
        walk.minute(place)
        if progress is not None and place % _TOLD_EVERY == 0:
            progress(place, len(minutes.close))
    return walk.found()


class _Walk:
    def __init__(
        self,
        minutes: Minutes,
        model: VolatilityModel,
        tables: tuple[Tables, ...],
        naive: tuple[int, float],
    ) -> None:
        self._minutes, self._tables = minutes, tables
        self._begin_s, self._deviation = naive
        self._closes: list[float] = minutes.close.tolist()
        self._buckets: list[int] = buckets_of(minutes.close).tolist()
        self._ends: list[float] = (
            (minutes.opened + minutes.high + minutes.low + minutes.close) / 4
        ).tolist()
        self._ours, self._twenty = Volatility(model), Twenty(self._deviation**2)
        self._step = STEPS_USD[minutes.symbol]
        self._before = float("nan")
        self._rows: list[tuple[int, int, float, bool]] = []
        self._stated: dict[str, list[float]] = {}
        self._hours: set[int] = set()
        self._left_out = 0

    def minute(self, place: int) -> None:
        """Take one minute in, and state what is to be stated at its end."""
        close, end_s = self._closes[place], self._minutes.start_s + MINUTE_S * (place + 1)
        ahead = 60 - end_s // MINUTE_S % 60
        last, hour = place + ahead, (end_s + ahead * MINUTE_S) // 3600
        # An hour that ends after the range is not judged.
        is_moment = ahead in AHEAD and hour * 3600 > self._begin_s and last < len(self._ends)
        if close > 0:
            self._ours.add(end_s * 1_000_000, round(close * 1e6))
            if self._before > 0:
                self._twenty.add(log(close / self._before))
            self._before = close
        if is_moment and close > 0 and self._ends[last] > 0:
            self._hours.add(hour)
            self._state(self._moment(place, end_s, ahead), hour, self._ends[last])
        elif is_moment:  # NaN: one of the two minutes is missing
            self._left_out += 1

    def _moment(self, place: int, end_s: int, ahead: int) -> _Moment:
        at_us, left_us = end_s * 1_000_000, ahead * MINUTE_US
        seconds = effective_seconds(WINDOW_SAMPLES, left_us)
        spreads = {
            CONSTANT: Spread(self._deviation * sqrt(ahead)),
            TWENTY: Spread(sqrt(self._twenty.variance() * seconds / 60)),
            VOLATILITY: self._ours.spread(at_us, at_us + left_us, seconds),
        }
        bucket = self._buckets[place]
        curves: dict[str, Curve | None] = {}
        for name, prints in self._tables:
            momentum_of = None if bucket == _NO_BUCKET else bucket - momentum.MAX_BUCKET
            curves[f"{name}{AT_BASELINE}"] = prints.curve(BASELINE, ahead * 60.0)
            for kind, horizon in ((BY_MOMENTUM, ahead * 60.0), (IN_PRODUCT, seconds)):
                known = momentum_of is not None
                curve = prints.curve(momentum_of or 0, horizon) if known else None
                curves[f"{name}{kind}"] = curve
        return _Moment(self._closes[place], ahead, spreads, curves)

    def _state(self, at: _Moment, hour: int, settled: float) -> None:
        middle = round(at.price / self._step)
        spread_of_all = self._deviation * sqrt(at.ahead)
        for k in range(-SIDE, SIDE + 1):
            strike = self._step * (middle + k)
            ratio = at.price / strike
            self._rows.append((hour, at.ahead, abs(log(ratio)) / spread_of_all, settled > strike))
            for name, spread in at.spreads.items():
                p = float("nan") if spread is None else spread.above(ratio)
                self._stated.setdefault(name, []).append(p)
            for name, curve in at.curves.items():
                p = float("nan") if curve is None else above(curve, at.price, strike)
                self._stated.setdefault(name, []).append(p)

    def found(self) -> Judged:
        """Return everything that was stated, in columns."""
        event, ahead, distance, is_yes = (
            np.array(column) for column in zip(*self._rows, strict=True)
        )
        stated = {name: np.array(column) for name, column in self._stated.items()}
        cases = Cases(event, ahead.astype(np.float64), distance, is_yes, stated)
        return Judged(cases, len(self._hours), self._left_out)


def above(curve: Curve, price: float, strike: float) -> float:
    """Return P(settlement above the strike) by a table."""
    move = (strike - price) * 100 / price
    if move > 0:
        return curve.share(move, UP) / 10_000
    return 1 - curve.share(-move, DOWN) / 10_000


def deviation_of(minutes: Minutes) -> float:
    """Return the deviation of a minute's log return."""
    changes: Floats = np.diff(np.log(minutes.close))
    return float(np.sqrt(np.nanmean(changes**2)))
