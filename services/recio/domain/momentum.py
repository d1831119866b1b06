"""Momentum: the weighted change of price over six look-backs.

    delta_k  = (P_now - P_k) / P_k                     k = 1, 2, 3, 4, 15, 30 minutes
    score    = sum(w_k x delta_k) / sum(w_k)           over the k that exist
    bucket   = clamp(round(score in hundredths of a percent), -30, +30)

Weights 0.30, 0.25, 0.20, 0.15, 0.05, 0.05. The score is in 1e-6 percent (0.043 % is 43_000, bucket
4). P_k is the last price at or before now - k; one that is older than that by more than a quarter
of the look-back (60 s at most) does not count: the look-back is missing, which is flagged and
never filled in.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from recio.domain.messages import Momentum
from recio.domain.units import MINUTE_US, SECOND_US

LOOKBACK_MINUTES: Final = (1, 2, 3, 4, 15, 30)
WEIGHTS: Final = (30, 25, 20, 15, 5, 5)
MAX_BUCKET: Final = 30
KEEP_US: Final = 32 * MINUTE_US
SAMPLE_US: Final = SECOND_US
BUCKET_E6: Final = 10_000
NOTHING: Final = Momentum(score_e6=None, bucket=None, deltas_e6=(None,) * 6, is_complete=False)

_PERCENT_E6: Final = 100_000_000
_TRIM_AT: Final = 4096


class PriceSeries:
    """Prices of one symbol of the last half hour, ascending in time, at most one a second.

    A later price of the same second replaces the earlier one, so that the last price of a second
    is the one kept. Prices that are not newer than the newest are ignored.
    """

    __slots__ = ("_prices", "_times")

    def __init__(self) -> None:
        self._times = array("q")
        self._prices = array("q")

    def __len__(self) -> int:
        return len(self._times)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield (at_us, price_usd_e6), ascending."""
        return zip(self._times, self._prices, strict=True)

    @property
    def newest_at_us(self) -> int | None:
        """When the newest price was; None: there is none."""
        return self._times[-1] if self._times else None

    def add(self, at_us: int, price_usd_e6: int) -> bool:
        """Append a price; return whether it was newer than the newest and positive."""
        times = self._times
        if price_usd_e6 <= 0 or (times and at_us <= times[-1]):
            return False
        if times and times[-1] // SAMPLE_US == at_us // SAMPLE_US:
            times[-1], self._prices[-1] = at_us, price_usd_e6
            return True
        times.append(at_us)
        self._prices.append(price_usd_e6)
        if len(times) > _TRIM_AT:
            self._trim(at_us - KEEP_US)
        return True

    def add_history(self, minutes: tuple[tuple[int, int], ...]) -> None:
        """Put minute closes before the oldest price held; later ones are already known better."""
        oldest = self._times[0] if self._times else None
        kept = [
            (at_us, price)
            for at_us, price in sorted(minutes)
            if price > 0 and (oldest is None or at_us < oldest)
        ]
        self._times = array("q", (at_us for at_us, _ in kept)) + self._times
        self._prices = array("q", (price for _, price in kept)) + self._prices

    def at_or_before(self, at_us: int, max_age_us: int) -> int | None:
        """Return the last price at or before ``at_us``, None if older than ``max_age_us`` then."""
        index = bisect_right(self._times, at_us) - 1
        if index < 0 or at_us - self._times[index] > max_age_us:
            return None
        return self._prices[index]

    def _trim(self, before_us: int) -> None:
        cut = bisect_right(self._times, before_us)
        del self._times[:cut]
        del self._prices[:cut]


def max_staleness_us(minutes: int) -> int:
    """Return by how much the price of a look-back may be older than wanted."""
    return min(minutes * MINUTE_US // 4, MINUTE_US)


_LOOKBACKS: Final = tuple((k * MINUTE_US, max_staleness_us(k)) for k in LOOKBACK_MINUTES)


def measure(series: PriceSeries, now_us: int, price_usd_e6: int) -> Momentum:
    """Return the momentum of ``price_usd_e6`` at ``now_us`` against the series."""
    deltas = tuple(
        None if past is None else divide((price_usd_e6 - past) * _PERCENT_E6, past)
        for past in (series.at_or_before(now_us - ago, stale) for ago, stale in _LOOKBACKS)
    )
    return combine(deltas)


def combine(deltas_e6: tuple[int | None, ...]) -> Momentum:
    """Return the weighted mean of the deltas (1e-6 percent) that exist.

    >>> combine((43_000, 43_000, None, None, None, None)).bucket
    4
    """
    total = weight = 0
    for delta, share in zip(deltas_e6, WEIGHTS, strict=True):
        if delta is not None:
            total += share * delta
            weight += share
    if not weight:
        return NOTHING
    score = divide(total, weight)
    return Momentum(
        score_e6=score,
        bucket=bucket_of(score),
        deltas_e6=deltas_e6,
        is_complete=None not in deltas_e6,
    )


def bucket_of(score_e6: int) -> int:
    """Return the fingerprints' bucket of a score: hundredths of a percent, -30 … 30."""
    return max(-MAX_BUCKET, min(MAX_BUCKET, divide(score_e6, BUCKET_E6)))


def divide(numerator: int, denominator: int) -> int:
    """Return the nearest integer to the quotient, ties to even; ``denominator`` is positive."""
    quotient, rest = divmod(numerator, denominator)
    if 2 * rest > denominator or (2 * rest == denominator and quotient % 2):
        quotient += 1
    return quotient
