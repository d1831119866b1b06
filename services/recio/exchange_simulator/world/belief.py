"""What the market makers believe: volatility and the chance that a market settles YES.

It is not the trader's model. Makers know neither momentum nor the published move tables; they take
realised volatility from the index (two exponential averages of squared one-minute returns, half
lives 15 and 120 minutes, 7 : 3), and a mixture of two normal distributions (deviations 0.75 and
1.4213 of the whole, weights 7 : 3, so that the variance is one) for its fat tails. They know that
the settlement is the mean of the last 60 one-second values: for such a mean of a random walk the
variance left is s²(t - 39.5) when t >= 60 seconds are left, and with k values known and m to come
(S s / 60)² m(m+1)(2m+1)/6 around (sum + m S) / 60.

What is measured (nine recordings of KXBTC15M, 11-14 May 2026, with Coinbase seconds beside them):
the middle of the book follows spot within a second (correlation of one-second changes 0.57 in the
same second, 0.13 one second later, nothing after); beside a normal model with the best constant
volatility it is off by 0.03 … 0.15 standard deviations, which fade within 20 to 60 seconds. The
errors below stand for that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log, sqrt
from typing import Final

from recio.data.minutes import MINUTE_S, Ohlc
from recio.exchange_simulator.world.chance import Wander, normal_cdf

Bar = Callable[[int], Ohlc | None]

SETTLEMENT_S: Final = 60
FAR_DEVIATIONS: Final = 8.0
_WINDOW_MINUTES: Final = 240
_HALF_LIVES: Final = ((15, 0.7), (120, 0.3))
_FLOOR_VARIANCE: Final = 1e-8
"""Of a one-minute return: 7 % a year, below anything in the recordings."""

_EVENT_ERRORS: Final = ((0.06, 45), (0.04, 600))
_VOLATILITY_ERROR: Final = (0.05, 1800)


def realised_variance(bar: Bar, before_s: int) -> float | None:
    """Return the makers' variance of a one-second return from the minutes that ended by ``before_s``.

    None: no two neighbouring minutes of the last four hours are known.
    """
    closes: list[int | None] = []
    last_s = before_s // MINUTE_S * MINUTE_S - MINUTE_S
    for passed in range(_WINDOW_MINUTES + 1):
        found = bar(last_s - passed * MINUTE_S)
        closes.append(found[3] if found else None)
    total = weight_sum = 0.0
    for newer, older, weight in zip(closes, closes[1:], _WEIGHTS, strict=False):
        if newer is not None and older is not None:
            total += weight * log(newer / older) ** 2
            weight_sum += weight
    if not weight_sum:
        return None
    return max(total / weight_sum, _FLOOR_VARIANCE) / MINUTE_S


def mixture_cdf(x: float) -> float:
    """Return the distribution function of the makers' fat-tailed normal mixture."""
    return 0.7 * normal_cdf(x / 0.75) + 0.3 * normal_cdf(x / 1.4213)


def settlement_outlook(
    index: float, deviation: float, left_s: float, known_sum: float, known_count: int
) -> tuple[float, float]:
    """Return (expected settlement value, its standard deviation), in the unit of ``index``.

    ``deviation`` is of a one-second return; ``known_sum`` and ``known_count`` are the values of the
    settlement window that are already known.
    """
    if left_s >= SETTLEMENT_S or known_count == 0:
        return index, index * deviation * sqrt(max(left_s - 39.5, 20.5))
    to_come = SETTLEMENT_S - known_count
    mean = (known_sum + to_come * index) / SETTLEMENT_S
    squares = to_come * (to_come + 1) * (2 * to_come + 1) / 6
    return mean, index * deviation / SETTLEMENT_S * sqrt(squares)


class Errors:
    """By how much the makers of one event are wrong, as functions of time."""

    def __init__(self, key: str) -> None:
        self._distance = [
            (size, Wander(f"{key}|{period_s}", period_s)) for size, period_s in _EVENT_ERRORS
        ]
        size, period_s = _VOLATILITY_ERROR
        self._volatility = size, Wander(f"{key}|volatility", period_s)

    def distance(self, second: float) -> float:
        """Return the error of the distance to a strike, in standard deviations."""
        return sum(size * wander.at(second) for size, wander in self._distance)

    def volatility_factor(self, second: float) -> float:
        """Return the factor by which the volatility is misjudged."""
        size, wander = self._volatility
        return 1.0 + size * wander.at(second)


def _weights() -> Sequence[float]:
    rows = []
    for half_life, share in _HALF_LIVES:
        raw = [0.5 ** (passed / half_life) for passed in range(_WINDOW_MINUTES)]
        rows.append([share * weight / sum(raw) for weight in raw])
    return [fast + slow for fast, slow in zip(*rows, strict=True)]


_WEIGHTS: Final = _weights()
