"""Live prices instead of a recording: what the public feeds say becomes the simulated index.

Whoever holds the connections tells each venue's price and the minutes of the past; the index of a
second is the median of the venues heard in it, carried forward at most 3 s, else a gap. Before the
first live second the index is drawn inside the known minutes (prices.bridge), so that events that were
listed or opened earlier, and settlements that were missed, have values. Market time is wall time then.

Spot venues are not published by this world: the feeds themselves are there for everybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from statistics import median_low
from typing import Final

from recio.data.minutes import MINUTE_S, Ohlc
from recio.exchange_simulator.world.prices import bridge
from recio.exchange_simulator.world.repeating import NEVER_S

CARRIED_S: Final = 3
_KEPT_S: Final = 4 * 3600


class LivePrices:
    """Index values by second, from what is told; forgets what is older than four hours.

    ``start_s`` is the first minute known.
    """

    def __init__(self, symbol: str = "BTC", index_id: str = "BRTI") -> None:
        self.symbol = symbol
        self.index_id = index_id
        self.start_s = self.end_s = NEVER_S
        self._heard: dict[int, dict[str, int]] = {}
        self._minutes: dict[int, Ohlc] = {}
        self._first_heard_s = NEVER_S
        self._path = lru_cache(maxsize=256)(self._draw_path)

    def tell(self, venue: str, price_cents: int, second: int) -> None:
        """Take a venue's last trade in a second; a later one in the same second replaces it."""
        self._heard.setdefault(second, {})[venue] = price_cents
        self._first_heard_s = min(self._first_heard_s, second)
        self.start_s = min(self.start_s, second // MINUTE_S * MINUTE_S)
        self._extend_minute(second)
        if second % MINUTE_S == 0:
            self._forget_before(second - _KEPT_S)

    def tell_minutes(self, bars: Iterable[tuple[int, Ohlc]]) -> None:
        """Take (second, bar in cents) of minutes before the live stream began."""
        for minute_s, bar in bars:
            self._minutes.setdefault(minute_s, bar)
            self.start_s = min(self.start_s, minute_s)
        self._path.cache_clear()

    def index(self, second: int) -> int | None:
        """Return the index of one second, in cents."""
        for carried in range(CARRIED_S + 1):
            heard = self._heard.get(second - carried)
            if heard:
                return median_low(heard.values())
        if second >= self._first_heard_s:
            return None
        path = self._path(second // MINUTE_S)
        return path[second % MINUTE_S] if path else None

    def bar(self, minute_s: int) -> Ohlc | None:
        """Return open, high, low and close of the index in one minute, as far as it is known."""
        return self._minutes.get(minute_s)

    def venues(self) -> tuple[str, ...]:
        """Return no venue: the live feeds are there for everybody."""
        return ()

    def spot(self, _venue: str, _second: int) -> int | None:
        """Return nothing."""
        return None

    def minute(self, _venue: str, _minute_s: int) -> Ohlc | None:
        """Return nothing."""
        return None

    def _extend_minute(self, second: int) -> None:
        minute_s = second // MINUTE_S * MINUTE_S
        value = median_low(self._heard[second].values())
        opened, high, low, _ = self._minutes.get(minute_s, (value, value, value, value))
        self._minutes[minute_s] = opened, max(high, value), min(low, value), value

    def _forget_before(self, oldest_s: int) -> None:
        self._heard = {s: heard for s, heard in self._heard.items() if s >= oldest_s}
        self._minutes = {s: bar for s, bar in self._minutes.items() if s >= oldest_s}

    def _draw_path(self, minute: int) -> tuple[int, ...]:
        bar = self._minutes.get(minute * MINUTE_S)
        return bridge(bar, f"live|{minute}") if bar else ()
