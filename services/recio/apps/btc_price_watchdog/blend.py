"""What several sources say of one symbol, as one update: pure, fed with ticks, asked for the state.

Spot is the median of the venues heard within ``FRESH_US``. Of two that differ by more than
``APART_E6`` the one nearer to the index counts; without an index neither does, because nobody knows
which is wrong. Index and spot are None once they are older than ``FRESH_US``: unknown, not old.
A missing index second is counted as gap. Times are the market's.
"""

from __future__ import annotations

from typing import Final

from recio.adapters.kalshi.events import IndexSeen
from recio.adapters.postgres.market_history import MinuteRow, PriceRow
from recio.adapters.price_feeds.feed import FeedTick
from recio.domain.messages import PriceUpdate, SourceState
from recio.domain.units import MINUTE_US, SECOND_US

FRESH_US: Final = 10 * SECOND_US
APART_E6: Final = 5_000
"""Half a percent, in 1e-6; guessed: venues of one coin differ by a hundredth of it on a usual day."""
MINUTE_SLACK_US: Final = 5 * SECOND_US
FUTURE_US: Final = 5 * SECOND_US


class SymbolPrices:
    """The prices of one symbol. ``changed`` is set by what is taken and cleared by the caller."""

    def __init__(self, environment: str, symbol: str) -> None:
        self.symbol = symbol
        self.changed = False
        self.gaps = 0
        self.refused = 0
        self._environment = environment
        self._ticks: dict[str, FeedTick] = {}
        self._index: IndexSeen | None = None
        self._index_seen_us = 0
        self._last: tuple[int, int, str] | None = None
        self._seconds: dict[int, list[int | None]] = {}
        self._minutes: list[MinuteRow] = []

    def take_tick(self, tick: FeedTick) -> None:
        """Take a venue's price.

        One that is older than the venue's last, or lies in the future, is refused.
        """
        before = self._ticks.get(tick.source)
        is_old = before is not None and tick.at_us < before.at_us
        if is_old or tick.at_us > tick.seen_us + FUTURE_US:
            self.refused += 1
            return
        self._ticks[tick.source] = tick
        self.changed = True
        spot = self._spot(tick.seen_us)
        if spot is not None:
            self._second(tick.seen_us)[1] = spot
            if not self._is_index_fresh(tick.seen_us):
                self._observe(tick.seen_us, spot, "spot")

    def take_index(self, seen: IndexSeen, seen_us: int) -> bool:
        """Take an index value; return whether it was taken.

        One that is not newer than the last, or lies in the future, is refused.
        """
        before = self._index
        is_old = before is not None and seen.at_us <= before.at_us
        if is_old or seen.at_us > seen_us + FUTURE_US:
            self.refused += 1
            return False
        if before is not None:
            # Rounded to whole seconds: the index ticks once a second, a little late or early.
            steps = (seen.at_us - before.at_us + SECOND_US // 2) // SECOND_US
            self.gaps += max(steps - 1, 0)
        self._index = seen
        self._index_seen_us = seen_us
        self.changed = True
        self._second(seen.at_us)[0] = seen.value_usd_e6
        self._observe(seen.at_us, seen.value_usd_e6, "index")
        return True

    def update(self, now_us: int) -> PriceUpdate | None:
        """Return what is known now; None while nothing ever was."""
        index = self._index if self._is_index_fresh(now_us) else None
        states = tuple(self._state(tick, now_us) for tick in self._ticks.values())
        if self._index is None and not states:
            return None
        spot = self._spot(now_us)
        spot_at_us = max((state.at_us for state in states if state.is_fresh), default=None)
        return PriceUpdate(
            environment=self._environment,
            symbol=self.symbol,
            at_us=self._newest_us(now_us),
            seen_us=now_us,
            index_usd_e6=None if index is None else index.value_usd_e6,
            index_at_us=None if index is None else index.at_us,
            spot_usd_e6=spot,
            spot_at_us=None if spot is None else spot_at_us,
            basis_usd_e6=None if spot is None or index is None else spot - index.value_usd_e6,
            trailing_average_usd_e6=None if index is None else index.trailing_usd_e6,
            window_average_usd_e6=None if index is None else index.window_usd_e6,
            window_count=0 if index is None else index.window_count,
            window_close_us=None if index is None else index.window_close_us,
            sources=states,
            gap_count=self.gaps,
        )

    def drain_seconds(self, before_us: int) -> list[PriceRow]:
        """Return and forget the seconds before ``before_us``."""
        done = sorted(second for second in self._seconds if second < before_us)
        rows: list[PriceRow] = []
        for second in done:
            index, spot = self._seconds.pop(second)
            rows.append((self.symbol, second, index, spot))
        return rows

    def drain_minutes(self) -> list[MinuteRow]:
        """Return and forget the minute closes."""
        rows, self._minutes = self._minutes, []
        return rows

    def _spot(self, now_us: int) -> int | None:
        prices = sorted(
            tick.price_usd_e6 for tick in self._ticks.values() if _is_fresh(tick, now_us)
        )
        count = len(prices)
        if count == 2 and (prices[1] - prices[0]) * 1_000_000 > prices[0] * APART_E6:  # noqa: PLR2004
            return self._nearer(prices[0], prices[1], now_us)
        if not prices:
            return None
        low, high = prices[(count - 1) // 2], prices[count // 2]
        return (low + high) // 2

    def _nearer(self, low: int, high: int, now_us: int) -> int | None:
        if self._index is None or not self._is_index_fresh(now_us):
            return None
        value = self._index.value_usd_e6
        return low if abs(low - value) <= abs(high - value) else high

    def _is_index_fresh(self, now_us: int) -> bool:
        # By both times: the stream may be late, and the exchange may send an old value on time.
        oldest_us = now_us - FRESH_US
        index = self._index
        return index is not None and index.at_us >= oldest_us and self._index_seen_us >= oldest_us

    def _state(self, tick: FeedTick, now_us: int) -> SourceState:
        return SourceState(tick.source, tick.price_usd_e6, tick.at_us, _is_fresh(tick, now_us))

    def _newest_us(self, now_us: int) -> int:
        times = [tick.at_us for tick in self._ticks.values()]
        if self._index is not None:
            times.append(self._index.at_us)
        return min(max(times), now_us)

    def _second(self, at_us: int) -> list[int | None]:
        return self._seconds.setdefault(at_us // SECOND_US * SECOND_US, [None, None])

    def _observe(self, at_us: int, price: int, source: str) -> None:
        """Close the minute that ended between the last price and this one.

        A minute closes at the last price at or before its end; one without a price in its last
        five seconds has no close.
        """
        if self._last is not None:
            last_at_us, last_price, last_source = self._last
            end_us = -(-last_at_us // MINUTE_US) * MINUTE_US
            if last_at_us <= end_us < at_us and end_us - last_at_us <= MINUTE_SLACK_US:
                self._minutes.append((self.symbol, end_us, last_price, last_source))
            if at_us < last_at_us:
                return
        self._last = (at_us, price, source)


def _is_fresh(tick: FeedTick, now_us: int) -> bool:
    # A venue's first frame may tell of a trade long ago.
    return now_us - min(tick.at_us, tick.seen_us) <= FRESH_US
