"""Index values once a second, and the averages that the exchange publishes of them.

``trailing``: mean of the values in [source - 60 s, source), prior ticks only; with none, the current
value. ``window``: only in the last minute before :00, :15, :30 and :45, mean of the values in
(close - 60 s, close]; with 60 values it is what settles a market closing then (docs.kalshi.com,
"CF Benchmarks value"). Money is in 1e-6 dollar; the published averages have eight decimals.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from recio.domain.units import MINUTE_US

QUARTER_US: Final = 15 * MINUTE_US
KEPT_US: Final = 3 * MINUTE_US
_E8_PER_E6: Final = 100


@dataclass(frozen=True, slots=True)
class Average:
    """A mean in 1e-8 dollar over ``count`` values in a window of time."""

    value_e8: int
    count: int
    start_us: int
    end_us: int


@dataclass(slots=True)
class Index:
    """One index: its recent values, ascending, at most one for each source time."""

    values: deque[tuple[int, int]] = field(default_factory=deque)

    def publish(self, value_usd_e6: int, at_us: int) -> bool:
        """Take a value; tell whether it is newer than the last."""
        if self.values and at_us <= self.values[-1][0]:
            return False
        self.values.append((at_us, value_usd_e6))
        while self.values[0][0] < at_us - KEPT_US:
            self.values.popleft()
        return True

    def window_sum(self, after_us: int, until_us: int) -> tuple[int, int]:
        """Return (sum, count) of the values in (after, until]."""
        chosen = [value for at_us, value in self.values if after_us < at_us <= until_us]
        return sum(chosen), len(chosen)

    def trailing(self, at_us: int) -> Average:
        """Return the trailing minute's average before ``at_us``."""
        start = at_us - MINUTE_US
        total, count = self.window_sum(start - 1, at_us - 1)
        if count == 0:
            total, count = self.values[-1][1], 1
        return Average(_mean_e8(total, count), count, start, at_us)

    def window(self, at_us: int) -> Average | None:
        """Return the closing minute's running average, or None outside of it."""
        close_us = -(-at_us // QUARTER_US) * QUARTER_US
        start = close_us - MINUTE_US
        if at_us <= start:
            return None
        total, count = self.window_sum(start, at_us)
        return Average(_mean_e8(total, count), count, start, close_us)


def _mean_e8(total_e6: int, count: int) -> int:
    return (2 * total_e6 * _E8_PER_E6 + count) // (2 * count)
