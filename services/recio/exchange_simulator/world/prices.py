"""The settlement index and the spot venues, second by second, from recorded minutes.

The recording's calendar time is the market time. Each minute becomes 60 values, one a second: the
first is the minute's open, the last its close, one in between its high and one its low, all to the
cent. The high comes before the low, or after it, whichever makes the shorter way in three of four
minutes; their seconds are drawn evenly. Between these fixed points runs a Brownian bridge whose
standard deviation a second is (high - low) / (1.596 * sqrt(60)), because 1.596 * s * sqrt(T) is
the expected range of a random walk (Feller 1951, "The asymptotic distribution of the range of sums
of independent random variables"); it is reflected at the high and at the low, so neither is ever
exceeded. The draws belong to the seed and the minute: any process computes the same path.

The index stands for BRTI and is that path (the exchange's index is a median of order books, which
no public file records second by second). A spot venue is the index some seconds ago, times a basis:
a level, a slow part and a fast part, in basis points. Coinbase BTC-USD stood 2-4 under Binance
BTCUSDT in May 2026 with 1 of standard deviation within a day; the other venues are assumed to be
alike, with lags of their own.

A minute that was not recorded is a gap: None, never a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import Final, Protocol

from recio.data.minutes import MINUTE_S, Ohlc
from recio.exchange_simulator.world.chance import GAUSSIANS, Wander, draw_words
from recio.exchange_simulator.world.regimes import MinuteSource

CENT_E6: Final = 10_000
_RANGE_OF_WALK: Final = 1.596 * sqrt(MINUTE_S)
_STEP_SD: Final = tuple(sqrt((left - 1) / left) if left else 0.0 for left in range(MINUTE_S + 1))
_SHORTER_FIRST: Final = 3 * 65536 // 4
_KEPT_MINUTES: Final = 128


class Prices(Protocol):
    """Index and spot prices in cents by second since 1970; None where there is a gap."""

    symbol: str
    index_id: str
    start_s: int
    end_s: int

    def bar(self, minute_s: int) -> Ohlc | None:
        """Return open, high, low and close of the index in one minute."""
        ...

    def index(self, second: int) -> int | None:
        """Return the index of one second."""
        ...

    def venues(self) -> tuple[str, ...]:
        """Return the names of the spot venues."""
        ...

    def spot(self, venue: str, second: int) -> int | None:
        """Return the last trade of a venue at one second."""
        ...

    def minute(self, venue: str, minute_s: int) -> Ohlc | None:
        """Return a venue's open, high, low and close of one minute."""
        ...


@dataclass(frozen=True, slots=True)
class Venue:
    """How a spot venue differs from the index: basis in 1e-4, its parts' deviations, its lag."""

    name: str
    lag_s: int
    level_bp: float
    slow_bp: float = 0.9
    fast_bp: float = 0.4


VENUES: Final = (
    Venue("coinbase", 0, -2.5),
    Venue("kraken", 1, -2.0),
    Venue("bitstamp", 2, -3.0),
)
_SLOW_S: Final = 900
_FAST_S: Final = 12


def bridge(bar: Ohlc, key: str) -> tuple[int, ...]:
    """Return the 60 values in cents of a minute with these open, high, low and close.

    ``key`` names the minute: the same key draws the same path.
    """
    opened, high, low, _ = bar
    words = draw_words(key, MINUTE_S + 4)
    deviation = (high - low) / _RANGE_OF_WALK
    values = [opened]
    here_s, here = 0, opened
    for there_s, there in _fixed_points(bar, words):
        value = float(here)
        for second in range(here_s + 1, there_s):
            left = there_s - second + 1
            noise = GAUSSIANS[words[second] >> 6] * deviation * _STEP_SD[left]
            value += (there - value) / left + noise
            if value > high:
                value = max(2 * high - value, low)
            elif value < low:
                value = min(2 * low - value, high)
            values.append(round(value))
        values.append(there)
        here_s, here = there_s, there
    return tuple(values)


def _fixed_points(bar: Ohlc, words: Sequence[int]) -> list[tuple[int, int]]:
    """Return (second, value) of what the path must hit after the open; the close is the last."""
    opened, high, low, close = bar
    last_s = MINUTE_S - 1
    wanted = [value for value in (high, low) if value not in (opened, close)]
    if len(wanted) == 2:
        # A falling minute is shorter by way of its high, a rising one by way of its low.
        is_high_first = close <= opened
        if (words[MINUTE_S] < _SHORTER_FIRST) is not is_high_first:
            wanted.reverse()
    seconds = sorted({1 + words[MINUTE_S + 1 + i] % (last_s - 1) for i in range(len(wanted))})
    if len(seconds) < len(wanted):
        # Both drew the same second: the second point takes the next one, inside the minute.
        seconds = [min(seconds[0], last_s - 2), min(seconds[0], last_s - 2) + 1]
    return [*zip(seconds, wanted, strict=True), (last_s, close)]


class _VenueBasis:
    def __init__(self, venue: Venue, seed: int) -> None:
        self.lag_s = venue.lag_s
        self._venue = venue
        self._slow = Wander(f"{seed}|{venue.name}|slow", _SLOW_S)
        self._fast = Wander(f"{seed}|{venue.name}|fast", _FAST_S)

    def factor(self, second: int) -> float:
        venue = self._venue
        basis_bp = venue.level_bp + venue.slow_bp * self._slow.at(second)
        return 1.0 + (basis_bp + venue.fast_bp * self._fast.at(second)) * 1e-4


class SimulatedPrices:
    """Prices of one symbol from recorded minutes; ``seed`` selects one of many equal pasts."""

    def __init__(self, minutes: MinuteSource, *, seed: int = 0, index_id: str = "BRTI") -> None:
        self.symbol = minutes.symbol
        self.index_id = index_id
        self.start_s, self.end_s = minutes.start_s, minutes.end_s
        self._minutes = minutes
        self._seed = seed
        self._venues = {venue.name: _VenueBasis(venue, seed) for venue in VENUES}
        self._path = lru_cache(maxsize=_KEPT_MINUTES)(self._draw_path)

    def index(self, second: int) -> int | None:
        """Return the index of one second, in cents."""
        path = self._path(second // MINUTE_S)
        return path[second % MINUTE_S] if path else None

    def venues(self) -> tuple[str, ...]:
        """Return the names of the spot venues."""
        return tuple(self._venues)

    def spot(self, venue: str, second: int) -> int | None:
        """Return a venue's price: the index its lag ago, with its basis."""
        basis = self._venues[venue]
        value = self.index(second - basis.lag_s)
        return None if value is None else round(value * basis.factor(second))

    def bar(self, minute_s: int) -> Ohlc | None:
        """Return open, high, low and close of the index in one minute."""
        return self._minutes.at(minute_s)

    def minute(self, venue: str, minute_s: int) -> Ohlc | None:
        """Return a venue's bar: the index's, with the venue's basis in the middle of the minute."""
        bar = self._minutes.at(minute_s)
        if bar is None:
            return None
        factor = self._venues[venue].factor(minute_s + MINUTE_S // 2)
        opened, high, low, close = (round(value * factor) for value in bar)
        return opened, high, low, close

    def _draw_path(self, minute: int) -> tuple[int, ...]:
        bar = self._minutes.at(minute * MINUTE_S)
        return bridge(bar, f"{self._seed}|index|{minute}") if bar else ()
