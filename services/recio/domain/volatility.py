"""The running state of the volatility model: what the price did lately, in O(1) memory and work.

The past is taken minute by minute: each minute's log return, over the root of the minute's seasonal
factor, enters exponentially weighted means of its size, its square and its sign, with half-lives
from minutes to days; sizes of moves over 5, 15 and 60 minutes enter others. The weights are
corrected for a short past, so an hour of closes gives an estimate and three days a better one. Only
closes are used: minute closes of the time before the stream and one-second values of the index fold
in alike. A minute closes with the last price at or before its end.

Between two ends of minutes the running minute counts with the share of it that has gone by, from
five seconds on and every five seconds anew, so a burst is seen at once and not at the next minute.

Unknown until a quarter of an hour was seen, and for another quarter after a gap of more than ten
minutes; over a shorter gap the move is spread evenly. Older means fade over a gap as over any other
time. A price that never moved has no volatility: zero would be certainty.
"""

from __future__ import annotations

from collections import deque
from math import cos, log, pi, sin, sqrt
from typing import Final

from recio.domain import seasonality
from recio.domain.units import MINUTE_US, SECOND_US
from recio.domain.volatility_model import Spread, VolatilityModel

WARM_MINUTES: Final = 15
MAX_GAP_MINUTES: Final = 10
STEP_US: Final = 5 * SECOND_US
WINDOW_MINUTES: Final = 1.0
"""The last minute, over which the settlement is averaged."""
FAR_MINUTES: Final = 3 * seasonality.DAY_MINUTES
"""Closes that are further away are seen without seasons."""

_STEPS: Final = MINUTE_US // STEP_US
_SIZE_FLOOR: Final = 1e-6
_SQUARE_FLOOR: Final = 1e-9
_DRIFT_FLOOR: Final = 0.3
_MOST_DRIFT: Final = 4.0
_HARMONICS: Final = (1, 2, 3, 4)
_MONDAY: Final = 0
_FRIDAY: Final = 4
_SATURDAY: Final = 5


class Volatility:
    """The running estimate for one symbol."""

    __slots__ = (
        "_at_us", "_close", "_closed", "_decays", "_drift", "_halves", "_levels", "_model", "_price",
        "_season", "_seen", "_shift", "_since_us", "_step", "_sums", "_walk", "_weights",
    )  # fmt: skip

    def __init__(self, model: VolatilityModel) -> None:
        read = model.parameters
        self._model = model
        self._season = seasonality.Season(read.season)
        self._halves = (*read.absolute, *read.squared, *(half for half, _ in read.drifts))
        self._halves += tuple(half for _, half in read.moves)
        self._decays = [
            tuple(0.5 ** (step / _STEPS / half) for half in self._halves)
            for step in range(_STEPS + 1)
        ]
        self._sums = [0.0] * len(self._halves)
        self._weights = [0.0] * len(self._halves)
        self._walk: deque[float] = deque([0.0], maxlen=1 + max(length for length, _ in read.moves))
        self._at_us = self._price = 0
        self._since_us: int | None = None
        self._close = self._closed = self._seen = self._step = 0
        self._levels: tuple[float, ...] = ()
        self._shift = self._drift = 0.0

    @property
    def name(self) -> str:
        """Of the artefact."""
        return self._model.name

    @property
    def since_us(self) -> int | None:
        """When the first price was; None: there was none."""
        return self._since_us

    @property
    def is_known(self) -> bool:
        """Whether enough was seen."""
        return self._seen >= WARM_MINUTES and bool(self._levels)

    def add(self, at_us: int, price_usd_e6: int) -> None:
        """Take a price in; older ones than the newest, and impossible ones, are left out."""
        if price_usd_e6 <= 0 or at_us < self._at_us:
            return
        if self._since_us is None:
            self._since_us = at_us
        ended = (at_us - 1) // MINUTE_US  # the last end of a minute before this moment
        last = -(-self._at_us // MINUTE_US)
        if self._price and self._closed < last <= ended:
            self._finish(last, self._price)
        self._at_us, self._price = at_us, price_usd_e6
        end, into_us = divmod(at_us, MINUTE_US)
        if into_us == 0 and end > self._closed:
            self._finish(end, price_usd_e6)
        elif ended == self._closed:
            self._look((at_us - ended * MINUTE_US) // STEP_US)

    def spread(self, at_us: int, close_us: int, seconds: float) -> Spread | None:
        """Return the distribution of the settlement's log return; None while it is not known.

        Args:
            at_us: the moment from which the settlement is foretold.
            close_us: when the last minute ends.
            seconds: the effective horizon of ``settlement.outlook``.
        """
        if not self.is_known or close_us <= at_us:
            return None
        return self._model.spread(
            self._levels,
            freedom_shift=self._shift,
            drift=self._drift,
            minutes_left=(close_us - at_us) / MINUTE_US,
            seasonal_minutes=self._seasonal(at_us, close_us, seconds),
        )

    def _seasonal(self, at_us: int, close_us: int, seconds: float) -> float:
        """Return the minutes to come, each times its factor, the last one by its seconds."""
        ahead_us, last = close_us - at_us, (close_us - 1) // MINUTE_US
        if ahead_us <= MINUTE_US:
            return seconds / 60 * self._season.of(last)
        before_us = ahead_us - MINUTE_US
        in_last = seconds / 60 - before_us / MINUTE_US
        if ahead_us > FAR_MINUTES * MINUTE_US:
            return seconds / 60
        now = at_us // MINUTE_US
        gone = (at_us - now * MINUTE_US) / MINUTE_US
        until, rest_us = divmod(close_us - MINUTE_US, MINUTE_US)
        total = self._season.total(now, until) - gone * self._season.of(now)
        return total + (in_last + rest_us / MINUTE_US) * self._season.of(last)

    def _finish(self, end: int, price_usd_e6: int) -> None:
        """Fold the minutes up to ``end``, which closed at this price; the first end only begins."""
        if not self._closed:
            self._closed, self._close = end, price_usd_e6
            return
        span, change = end - self._closed, log(price_usd_e6 / self._close)
        decays = tuple(decay**span for decay in self._decays[_STEPS])
        if span > MAX_GAP_MINUTES:
            self._sums = [a * b for a, b in zip(self._sums, decays, strict=True)]
            self._weights = [a * b for a, b in zip(self._weights, decays, strict=True)]
            self._walk.clear()
            self._walk.append(0.0)
            self._seen = 0
        else:
            z = change / sqrt(self._season.total(self._closed, end))
            self._sums, self._weights = self._folded(z, span, decays)
            for _ in range(span):
                self._walk.append(self._walk[-1] + z / sqrt(span))
                self._fold_moves()
            self._seen += span
        self._closed, self._close, self._step = end, price_usd_e6, -1
        self._look(0)

    def _folded(
        self, z: float, span: float, decays: tuple[float, ...]
    ) -> tuple[list[float], list[float]]:
        """Return sums and weights with one more move, over ``span`` minutes; the moves' stay."""
        read = self._model.parameters
        size, square, sign = abs(z), z * z, z / sqrt(span)
        values = [size] * len(read.absolute) + [square] * len(read.squared)
        values += [sign] * len(read.drifts)
        count = len(values)
        sums = [
            old * kept + (1 - kept) * x
            for old, kept, x in zip(self._sums, decays, values, strict=False)
        ]
        weights = [
            old * kept + (1 - kept)
            for old, kept in zip(self._weights[:count], decays, strict=False)
        ]
        return sums + self._sums[count:], weights + self._weights[count:]

    def _fold_moves(self) -> None:
        moves = self._model.parameters.moves
        first = len(self._halves) - len(moves)
        for index, (length, _) in enumerate(moves, first):
            kept = self._decays[_STEPS][index]
            if len(self._walk) > length:
                size = abs(self._walk[-1] - self._walk[-1 - length]) / sqrt(length)
                self._sums[index] = self._sums[index] * kept + (1 - kept) * size
                self._weights[index] = self._weights[index] * kept + (1 - kept)

    def _look(self, step: int) -> None:
        """Make the levels anew when another five seconds of the running minute are over."""
        if step == self._step:
            return
        self._step = step
        if self._seen < WARM_MINUTES:
            self._levels = ()
            return
        sums, weights = self._sums, self._weights
        if step:
            span = step / _STEPS
            z = log(self._price / self._close) / sqrt(span * self._season.of(self._closed))
            sums, weights = self._folded(z, span, self._decays[step])
        if sums[0] <= 0:
            self._levels = ()
            return
        features = self._features(sums, weights)
        self._levels = self._model.levels(features)
        self._shift = self._model.freedom_shift(features)

    def _features(self, sums: list[float], weights: list[float]) -> list[float]:
        """Return the features in the model's order, and note the drift."""
        read = self._model.parameters
        means = [a / b if b else 0.0 for a, b in zip(sums, weights, strict=True)]
        sizes, squares = len(read.absolute), len(read.squared)
        found = [2 * log(mean + _SIZE_FLOOR) for mean in means[:sizes]]
        found += [log(mean + _SQUARE_FLOOR) for mean in means[sizes : sizes + squares]]
        # Before a long move was ever seen, the mean size of a minute stands for it.
        found += [
            2 * log((mean or means[sizes - 1]) + _SIZE_FLOOR)
            for mean in means[len(means) - len(read.moves) :]
        ]
        for place, (half, by) in enumerate(read.drifts):
            index = sizes + squares + place
            drift = _drift(sums[index], weights[index], half) / (means[by] * sqrt(pi / 2) + 1e-9)
            found.append(log(drift * drift + _DRIFT_FLOOR))
            if place == read.reversion_of:
                self._drift = min(max(drift, -_MOST_DRIFT), _MOST_DRIFT)
        return found + self._clock_features()

    def _clock_features(self) -> list[float]:
        season, minute = self._season, self._closed
        found = [
            log(season.of(minute)),
            log(season.total(minute, minute + 15) / 15),
            log(season.total(minute, minute + 60) / 60),
            log(season.total(minute - 60, minute) / 60),
        ]
        at = seasonality.moment(minute)
        for clock in (at.ny_minute, at.utc_minute):
            angle = 2 * pi * clock / seasonality.DAY_MINUTES
            for k in _HARMONICS:
                found += (sin(k * angle), cos(k * angle))
        found += (at.ny_day >= _SATURDAY, at.ny_day == _MONDAY, at.ny_day == _FRIDAY)
        return found


def _drift(total: float, weight: float, half: int) -> float:
    """Return a mean of signs as a multiple of what a walk of unit steps would give."""
    gain = 1 - 0.5 ** (1 / half)
    return total / sqrt(max(gain / (2 - gain) * (1 - (1 - weight) ** 2), 1e-12))
