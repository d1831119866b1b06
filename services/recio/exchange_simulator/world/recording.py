"""The recorded world: one real 15-minute market, from its first recorded frame to its settlement.

The recorded order-book frames drive the anonymous levels at the exchange's own times
(frames_book.py). A decrease that was traded is given to the exchange as a taker's order at that
price, so members' orders in front of the queue are filled first; then the level has its recorded
quantity. All other decreases leave from behind members' orders.

What a member took stays taken (followed.py). After a restart it is counted again from the members'
fills.

The index and Coinbase are the recorded Coinbase seconds; the index carries a second forward for at
most 3 s, else there is a gap. The market settles on the recorded settlement, not on a mean of these
seconds, at the recorded time. The recorder was off before 12:59:41, so the 15- and 30-minute
look-backs of momentum are missing here. The strike is known from the start, because the first frame
came after the window opened. At the end of the recording nothing more is published.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from recio import data
from recio.data import frames, seconds
from recio.domain import tickers
from recio.domain.errors import InvalidValue
from recio.domain.units import SECOND_US
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.specs import Candle, EventSpec
from recio.exchange_simulator.world import listings, members
from recio.exchange_simulator.world.followed import FollowedBook
from recio.exchange_simulator.world.frames_book import level_changes
from recio.exchange_simulator.world.prices import CENT_E6

CARRIED_S: Final = 3
_VENUE: Final = "coinbase"
_INDEX_ID: Final = "BRTI"
_SYMBOL: Final = "BTC"
_BEAT_US: Final = 10_000


class RecordedSeconds:
    """Recorded trades by second, in cents, from the piece without a long gap around a time."""

    def __init__(self, values: dict[int, int], around_s: int) -> None:
        ordered = sorted(values)
        here = bisect_right(ordered, around_s) - 1
        first = last = max(here, 0)
        while first > 0 and ordered[first] - ordered[first - 1] <= 60:
            first -= 1
        while last + 1 < len(ordered) and ordered[last + 1] - ordered[last] <= 60:
            last += 1
        self.start_s, self.end_s = ordered[first], ordered[last] + 1
        self._values = {second: values[second] for second in ordered[first : last + 1]}

    def trade(self, second: int) -> int | None:
        """Return the last trade in a second; None: it had none."""
        return self._values.get(second)

    def index(self, second: int) -> int | None:
        """Return the value of a second, carried forward at most 3 s."""
        for carried in range(CARRIED_S + 1):
            value = self._values.get(second - carried)
            if value is not None:
                return value
        return None

    def candles(self, before_s: int) -> list[Candle]:
        """Return the minutes that ended by ``before_s``; the first may be known in part only."""
        found = []
        for minute_s in range(self.start_s // 60 * 60, before_s // 60 * 60, 60):
            known = [v for s in range(minute_s, minute_s + 60) if (v := self._values.get(s))]
            if known:
                prices = (min(known), max(known), known[0], known[-1])
                low, high, opened, close = (price * CENT_E6 for price in prices)
                found.append(Candle(minute_s * SECOND_US, low, high, opened, close))
        return found


class RecordedWorld:
    """Plays one recorded market on an exchange, through ``step`` alone.

    ``is_fine`` tells how often ``next_event_us`` asks to be called: at every change, in steps of
    10 ms, or once a second; what happens is the same.
    """

    def __init__(
        self, exchange: Exchange, recording: str, prices: str, ticker: str, *, is_fine: bool = True
    ) -> None:
        self._exchange = exchange
        self._ticker = ticker
        self._is_fine = is_fine
        self._settled = data.settled(ticker)
        self._changes = level_changes(frames.load(recording), ticker)
        if not self._changes:
            raise InvalidValue(f"recording {recording} has no frame of {ticker}")
        self.start_us = self._changes[0].at_us // SECOND_US * SECOND_US
        self._seconds = RecordedSeconds(seconds.load(prices), self.start_us // SECOND_US)
        self._book = FollowedBook(exchange, ticker)
        exchange.on_taken(self._book.take)
        self._position = 0
        self._second: int | None = None

    def next_event_us(self) -> int | None:
        """Return when ``step`` has something to do next; None: never again."""
        if self._second is None:
            return self.start_us
        next_us = (self._second + 1) * SECOND_US
        if self._is_fine and self._position < len(self._changes):
            due_us = -(-self._changes[self._position].at_us // _BEAT_US) * _BEAT_US
            next_us = min(next_us, due_us)
        is_over = self._second >= self._seconds.end_s and next_us > self._end_us
        return None if is_over else next_us

    @property
    def _end_us(self) -> int:
        return self._settled.settled_us + 60 * SECOND_US

    def step(self, now_us: int) -> None:
        """Let everything happen that is due up to ``now_us``; earlier times change nothing."""
        if self._second is None:
            self._begin(now_us)
        assert self._second is not None
        while (self._second + 1) * SECOND_US <= now_us:
            self._run_changes((self._second + 1) * SECOND_US - 1)
            self._begin_second(self._second + 1)
        self._run_changes(now_us)

    def _begin(self, now_us: int) -> None:
        exchange = self._exchange
        for series in listings.SERIES:
            exchange.list_series(series)
        spec = self._spec()
        is_restart = exchange.has_event(spec.event_ticker)
        resumed_us = min(max(exchange.now_us if is_restart else 0, self.start_us), now_us)
        exchange.list_event(spec, spec.open_us)
        exchange.advance(resumed_us)
        self._rebuild(resumed_us)
        resumed_s = resumed_us // SECOND_US
        candles = self._seconds.candles(now_us // SECOND_US)
        exchange.set_spot_history(_VENUE, _SYMBOL, candles)
        for second in range(max(self._seconds.start_s, resumed_s - 120), resumed_s):
            self._publish(second)
        self._begin_second(resumed_s)

    def _spec(self) -> EventSpec:
        event = tickers.parse_market(self._ticker)
        return listings.window_spec(
            event.event_ticker, event.close_us, strike_cents=self._settled.strike_usd_e6 // CENT_E6
        )

    def _rebuild(self, resumed_us: int) -> None:
        """Take in what happened before a restart, members' fills included, in order."""
        takes = iter(members.taken(self._exchange, self._ticker))
        take = next(takes, None)
        while self._position < len(self._changes):
            change = self._changes[self._position]
            if change.at_us > resumed_us:
                break
            while take is not None and take.at_us < change.at_us:
                self._book.take(take)
                take = next(takes, None)
            self._book.note(change)
            self._position += 1
        for rest in [take, *takes] if take is not None else []:
            self._book.take(rest)
        self._book.tell_all(resumed_us)

    def _begin_second(self, second: int) -> None:
        self._second = second
        self._exchange.advance(second * SECOND_US)
        self._publish(second)
        if second * SECOND_US >= self._settled.settled_us - SECOND_US:
            self._determine(second * SECOND_US)

    def _run_changes(self, now_us: int) -> None:
        while self._position < len(self._changes):
            change = self._changes[self._position]
            if change.at_us > now_us:
                return
            self._position += 1
            if change.at_us < self._settled.close_us:
                self._book.apply(change)

    def _publish(self, second: int) -> None:
        at_us = second * SECOND_US
        value, trade = self._seconds.index(second), self._seconds.trade(second)
        if value is not None:
            self._exchange.set_index(_INDEX_ID, value * CENT_E6, at_us)
        if trade is not None:
            self._exchange.set_spot(_VENUE, _SYMBOL, trade * CENT_E6, at_us)

    def _determine(self, now_us: int) -> None:
        settled = self._settled
        event_ticker = tickers.parse_market(self._ticker).event_ticker
        if dict(self._exchange.event_status(event_ticker))[self._ticker] != "closed":
            return
        value_cents = settled.settlement_usd_e6 // CENT_E6
        self._exchange.determine(
            self._ticker,
            "yes" if settled.result == "yes" else "no",
            now_us,
            expiration_value=listings.value_words(value_cents),
        )
