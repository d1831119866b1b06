"""Chance as a function: the same key gives the same draws, in any process, at any time.

Nothing here keeps a state that matters: a restarted world draws what the world before it drew. Keys
are texts such as "12|index|1722361680"; the draws come from SHAKE-128 of the key (FIPS 202).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from hashlib import shake_128
from math import cos, erf, pi, sin, sqrt
from typing import Final

_QUANTILES: Final = 1024


def draw_bytes(key: str, count: int) -> bytes:
    """Return ``count`` uniform bytes that belong to ``key``."""
    return shake_128(key.encode()).digest(count)


def draw_words(key: str, count: int) -> array[int]:
    """Return ``count`` uniform integers 0 … 65535 that belong to ``key``."""
    raw = shake_128(key.encode()).digest(2 * count)
    return array("H", [low | high << 8 for low, high in zip(raw[::2], raw[1::2], strict=True)])


def draw_unit(key: str) -> float:
    """Return a uniform number in [0, 1) that belongs to ``key``."""
    return int.from_bytes(shake_128(key.encode()).digest(6), "little") / 2**48


def normal_cdf(x: float) -> float:
    """Return the standard normal distribution function at ``x``."""
    return 0.5 * (1.0 + erf(x / _SQRT_2))


def gaussian(word: int) -> float:
    """Return the standard normal quantile of a word 0 … 65535, in 1024 steps (at most ±3.3)."""
    return GAUSSIANS[word >> 6]


def quantile_table(points: Sequence[tuple[float, float]], size: int = 256) -> tuple[float, ...]:
    """Return ``size`` equally likely values of a positive quantity with the quantiles ``points``.

    ``points`` are (probability, value), ascending, from 0 to 1; between two of them the logarithm
    of the value is linear.
    """
    values = []
    for index in range(size):
        p = (index + 0.5) / size
        above = next(i for i, (probability, _) in enumerate(points) if p <= probability)
        (p0, v0), (p1, v1) = points[above - 1], points[above]
        values.append(v0 * (v1 / v0) ** ((p - p0) / (p1 - p0)))
    return tuple(values)


class Wander:
    """A standard normal process over time that forgets within ``period_s``: a function of its key.

    Independent normal values stand ``period_s`` apart; between two of them their cosine and sine
    mixture keeps the variance at one. Its autocorrelation is zero after two periods.
    """

    __slots__ = ("_cell", "_key", "_left", "_period_s", "_right")

    def __init__(self, key: str, period_s: int) -> None:
        self._key = key
        self._period_s = period_s
        self._cell: int | None = None
        self._left = self._right = 0.0

    def at(self, second: float) -> float:
        """Return the value at a time in seconds."""
        cell = int(second // self._period_s)
        if cell != self._cell:
            self._left, self._right = self._node(cell), self._node(cell + 1)
            self._cell = cell
        angle = (second - cell * self._period_s) / self._period_s * _QUARTER
        return self._left * cos(angle) + self._right * sin(angle)

    def _node(self, cell: int) -> float:
        return gaussian(draw_words(f"{self._key}|{cell}", 1)[0])


def _normal_quantile(p: float) -> float:
    low, high = -8.0, 8.0
    for _ in range(40):
        middle = (low + high) / 2
        if normal_cdf(middle) < p:
            low = middle
        else:
            high = middle
    return low


_SQRT_2: Final = sqrt(2.0)
_QUARTER: Final = pi / 2
_LOWER: Final = tuple(_normal_quantile((i + 0.5) / _QUANTILES) for i in range(_QUANTILES // 2))
GAUSSIANS: Final = _LOWER + tuple(-value for value in reversed(_LOWER))
