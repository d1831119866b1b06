"""Realised volatility of the index: how far the price moves in a second, from what it just did.

Squared log returns over about five seconds (one-second values of an index are smoothed and would
show too little movement) enter two exponentially weighted means, with half-lives of 5 and 60
minutes; the estimate is the mean of the two variances, so that it follows a burst and comes back.
Minute closes of the time before the stream began enter the same means. Until a quarter of an hour
has been seen the volatility is unknown; a gap of more than ten minutes starts it anew.

The two half-lives and their equal weight are guesses in the spirit of Corsi's HAR model, not fits.
"""

from __future__ import annotations

from math import exp, log, sqrt
from typing import Final

from recio.domain.units import SECOND_US

SAMPLE_US: Final = 5 * SECOND_US
WARM_SECONDS: Final = 900.0
MAX_GAP_US: Final = 600 * SECOND_US
HALF_LIVES_S: Final = (300.0, 3600.0)

_RATES: Final = tuple(log(2) / half for half in HALF_LIVES_S)


class Volatility:
    """The running estimate for one symbol."""

    __slots__ = ("_at_us", "_price", "_seen_s", "_sums", "_weights")

    def __init__(self) -> None:
        self._at_us: int | None = None
        self._price = 0
        self._reset()

    def add(self, at_us: int, price_usd_e6: int) -> None:
        """Take a price in; prices closer than five seconds to the last one used are left out."""
        if price_usd_e6 <= 0:
            return
        if self._at_us is None:
            self._at_us, self._price = at_us, price_usd_e6
            return
        gap_us = at_us - self._at_us
        if gap_us < SAMPLE_US:
            return
        if gap_us > MAX_GAP_US:
            self._reset()
        else:
            self._fold(log(price_usd_e6 / self._price), gap_us / SECOND_US)
        self._at_us, self._price = at_us, price_usd_e6

    def per_second(self) -> float | None:
        """Return the deviation of one second's log return; None while it is not known."""
        if self._seen_s < WARM_SECONDS:
            return None
        means = [total / weight for total, weight in zip(self._sums, self._weights, strict=True)]
        variance = sum(means) / len(means)
        return sqrt(variance) if variance > 0 else None

    def _fold(self, change: float, seconds: float) -> None:
        # Each second of the return counts alike; the weights' sum corrects for the short past.
        for index, rate in enumerate(_RATES):
            kept = exp(-rate * seconds)
            self._sums[index] = self._sums[index] * kept + (1 - kept) * change * change / seconds
            self._weights[index] = self._weights[index] * kept + (1 - kept)
        self._seen_s += seconds

    def _reset(self) -> None:
        self._seen_s = 0.0
        self._sums = [0.0, 0.0]
        self._weights = [0.0, 0.0]
