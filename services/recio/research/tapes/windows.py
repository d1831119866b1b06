"""The running settlement mean along a tape of prices, as the exchange would state it.

A window is the 60 seconds before a close, the closing second included; closes come every quarter of
an hour. A price stands for the seconds after it, for as long as ``carried_s`` at most: a second
without a trade has the price of the last one. Longer silences are left out of the mean, whose
``samples`` then lag behind the seconds gone by, and the domain calls that window unknown.
"""

from __future__ import annotations

from typing import Final

from recio.domain.settlement import NO_MEAN, WINDOW_SAMPLES, RunningMean
from recio.domain.units import SECOND_US

CARRIED_S: Final = 5
_STEP_S: Final = 900


class RunningWindow:
    """Takes prices at whole seconds, ascending; ``mean`` is the window's so far."""

    __slots__ = ("_close_s", "_count", "_last_s", "_price", "_sum")

    def __init__(self) -> None:
        self._close_s = self._count = self._sum = self._price = 0
        self._last_s: int | None = None

    def add(self, at_s: int, usd_e6: int) -> RunningMean:
        """Take the price that was known at a second; return the running mean then."""
        last_s = self._last_s
        if last_s is not None and at_s > last_s + 1:
            for second in range(last_s + 1, min(at_s - 1, last_s + CARRIED_S) + 1):
                self._sample(second, self._price)
        if last_s is None or at_s > last_s:
            self._last_s = at_s
            self._sample(at_s, usd_e6)
        self._price = usd_e6
        return self.mean(at_s)

    def mean(self, at_s: int) -> RunningMean:
        """Return the mean of the window that runs at a second."""
        close_s = _close_of(at_s)
        if close_s - at_s >= WINDOW_SAMPLES or close_s != self._close_s or not self._count:
            return NO_MEAN
        average = (2 * self._sum + self._count) // (2 * self._count)
        return RunningMean(average, self._count, close_s * SECOND_US)

    def _sample(self, second: int, usd_e6: int) -> None:
        close_s = _close_of(second)
        if close_s - second >= WINDOW_SAMPLES:
            return
        if close_s != self._close_s:
            self._close_s, self._count, self._sum = close_s, 0, 0
        self._count += 1
        self._sum += usd_e6


def _close_of(second: int) -> int:
    return -(-second // _STEP_S) * _STEP_S
