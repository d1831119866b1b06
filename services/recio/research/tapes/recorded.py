"""Tapes of recorded order books: 15-minute markets as the exchange's WebSocket sent them.

Beside the books stand one-second prices and results. Time is the exchange's own where it is sent, and
never falls: what is stamped earlier than what was heard before counts as simultaneous.

A book is whole from a snapshot on. A gap in ``seq``, a level below nothing, or a time far from that of
receipt makes it ``Lost`` until the next snapshot; deltas in between are counted, not used. When a
recording ends, all its books are lost and the connection is down until the next one begins.

The index was not recorded: the last trade of each second stands for it, known at the second's end. A
second without a trade has no price of its own; the running settlement mean carries the last trade for
5 seconds at most; a longer silence is a hole. Prices start with the minute closes of the day before.

A result is the exchange's own where it was recorded; otherwise the strike of the following window, which
is the settlement value of this one, from the moment at which the recorder noted it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from recio.data.frames import DeltaFrame, Frame, MarketFrame, SnapshotFrame, TickerFrame
from recio.domain import tickers
from recio.domain.errors import InvalidValue
from recio.domain.settlement import result_of
from recio.domain.units import HOUR_US, MINUTE_US, SECOND_US
from recio.engine.tape import Changed, Event, Loaded, Lost, Settled, Traded
from recio.research.tapes import messages
from recio.research.tapes.closes import Closes
from recio.research.tapes.results import Result
from recio.research.tapes.spot import Seconds, spot_events
from recio.research.tapes.tally import Tally, Track
from recio.research.tapes.tape import Coverage
from recio.research.tapes.windows import CARRIED_S

Session = Callable[[Tally], Iterator[Frame]]
"""One recording without interruption, in order of receipt."""

_SILENCE_US: Final = 30 * SECOND_US
_FAR_US: Final = MINUTE_US
_WARM_US: Final = 31 * MINUTE_US
_CAVEAT: Final = (
    "Real order books; trades were not recorded, only the volume so far. The settlement index was not "
    "recorded either: Coinbase's last trade of each second stands for it, some basis points off. "
    "A few hours of one week say nothing about other days."
)


class RecordedTape:
    """See the module. ``sessions`` are in order of time."""

    is_synthetic = False
    caveat = _CAVEAT

    def __init__(
        self,
        name: str,
        sessions: Sequence[Session],
        seconds: Callable[[Tally], Seconds],
        results: Callable[[Tally], Iterable[Result]],
    ) -> None:
        self.name = name
        self._sessions = tuple(sessions)
        self._seconds = seconds
        self._results = results
        self._tally = _new_tally()

    def events(self) -> Iterator[Event]:
        """Yield everything in order.

        Raises:
            InvalidValue: no frame of the recordings can be used.
        """
        tally = self._tally = _new_tally()
        first = next(self._frames(), None)
        if first is None:
            tally.expect_rows(self.name, tally.rows)
            return
        self._tally = tally = _new_tally()
        first_us = first.received_ms * 1000
        closes = Closes(tally)
        results = sorted(self._results(tally), key=lambda result: result.at_us)
        books = _Books(tally, closes, {result.ticker for result in results})
        streams = (
            spot_events("BTC", self._seconds(tally), tally, closes, since_us=first_us - _WARM_US),
            books.events(self._sessions),
            (_settled(result) for result in results if result.at_us >= first_us),
        )
        tally.span(first_us)
        for event in heapq.merge(*streams, key=_at_us):
            if books.is_over and event.at_us > tally.last_us + HOUR_US:
                break
            if isinstance(event, Settled) and not closes.settle(event.ticker):
                continue
            if event.at_us >= first_us - _WARM_US:
                yield event
        closes.finish()

    def _frames(self) -> Iterator[Frame]:
        for session in self._sessions:
            yield from session(self._tally)

    def coverage(self) -> Coverage:
        """Return what was there."""
        return self._tally.coverage()


class _Market:
    """What is known of one market's book while it is read."""

    __slots__ = ("close_us", "is_whole", "levels", "seq", "strike_usd_e6", "ticker")

    def __init__(self, ticker: str) -> None:
        self.ticker = ticker
        self.close_us = tickers.parse_market(ticker).close_us
        self.strike_usd_e6: int | None = None
        self.is_whole = False
        self.seq = 0
        self.levels: dict[tuple[bool, int], int] = {}


class _Books:
    """Turns the frames of all sessions into events."""

    def __init__(self, tally: Tally, closes: Closes, with_result: set[str]) -> None:
        self._tally = tally
        self._closes = closes
        self._with_result = with_result
        self._markets: dict[str, _Market] = {}
        self._now_us = 0
        self.is_over = False

    def events(self, sessions: Sequence[Session]) -> Iterator[Event]:
        """Yield what the exchange said, session by session."""
        for session in sessions:
            is_up = False
            for frame in session(self._tally):
                self._pass_time(frame)
                if not is_up:
                    yield messages.status(self._now_us)
                    is_up = True
                self._tally.quotes.hear(self._now_us)
                self._tally.span(self._now_us)
                yield from self._frame(frame)
            if is_up:
                yield from self._end_session()
        self.is_over = True

    def _pass_time(self, frame: Frame) -> None:
        at_us = frame.received_ms * 1000
        if isinstance(frame, DeltaFrame | TickerFrame) and abs(frame.at_us - at_us) <= _FAR_US:
            at_us = frame.at_us
        self._now_us = max(self._now_us, at_us)

    def _end_session(self) -> Iterator[Event]:
        yield messages.status(self._now_us, is_connected=False)
        for market in self._markets.values():
            if market.is_whole:
                yield self._lose(market, "the recording ended")
        self._markets.clear()
        self._tally.quotes.fall_silent(self._now_us)

    def _frame(self, frame: Frame) -> Iterator[Event]:
        market = self._markets.get(frame.market)
        if market is None:
            market = self._new_market(frame.market)
            if market is None:
                return
            yield messages.window_event(market.ticker, None, self._now_us)
        if self._now_us < market.close_us:
            self._closes.quoted(market.ticker, market.close_us, self._now_us)
        if isinstance(frame, DeltaFrame):
            yield from self._delta(market, frame)
        elif isinstance(frame, TickerFrame):
            yield Traded(
                ticker=market.ticker,
                at_us=self._now_us,
                yes_price_e4=frame.price_e4,
                volume_e2=frame.volume_e2,
            )
        elif isinstance(frame, SnapshotFrame):
            yield self._snapshot(market, frame)
        else:
            yield from self._meta(market, frame)

    def _new_market(self, ticker: str) -> _Market | None:
        try:
            market = _Market(ticker)
        except InvalidValue:
            self._tally.refuse("frame of a market that is not a 15-minute one")
            return None
        if tickers.series_of(ticker).has_ladder:
            self._tally.refuse("frame of a market that is not a 15-minute one")
            return None
        self._markets[ticker] = market
        return market

    def _delta(self, market: _Market, frame: DeltaFrame) -> Iterator[Event]:
        if not market.is_whole:
            self._tally.refuse("delta of a book that is not whole")
            return
        if frame.seq <= market.seq:
            self._tally.refuse("repeated delta")
            return
        if frame.seq != market.seq + 1:
            self._tally.refuse("delta after a gap in seq")
            yield self._lose(market, f"gap in seq: expected {market.seq + 1}, got {frame.seq}")
            return
        market.seq = frame.seq
        level = frame.is_yes, frame.price_e4
        left_e2 = market.levels.get(level, 0) + frame.change_e2
        if left_e2 < 0 or abs(frame.at_us - frame.received_ms * 1000) > _FAR_US:
            self._tally.refuse("delta that cannot be")
            yield self._lose(market, f"delta {frame.seq} cannot be")
            return
        market.levels[level] = left_e2
        yield Changed(market.ticker, frame.is_yes, frame.price_e4, frame.change_e2, self._now_us)

    def _snapshot(self, market: _Market, frame: SnapshotFrame) -> Event:
        market.seq, market.is_whole = frame.seq, True
        market.levels = {(True, price): qty for price, qty in frame.yes}
        market.levels |= {(False, price): qty for price, qty in frame.no}
        return Loaded(market.ticker, frame.yes, frame.no, self._now_us)

    def _lose(self, market: _Market, reason: str) -> Event:
        market.is_whole = False
        return Lost(market.ticker, reason, self._now_us)

    def _meta(self, market: _Market, frame: MarketFrame) -> Iterator[Event]:
        if frame.close_us != market.close_us:
            self._tally.refuse("note of a close that does not fit the ticker")
            return
        strike = frame.strike_usd_e6
        if strike is None or strike == market.strike_usd_e6:
            return
        market.strike_usd_e6 = strike
        self._closes.strike(market.ticker, strike)
        yield messages.window_event(market.ticker, strike, self._now_us)
        yield from self._result_before(market, strike)

    def _result_before(self, market: _Market, strike: int) -> Iterator[Event]:
        """Settle the window before this one, if its result was not recorded by itself."""
        cadence_us = tickers.series_of(market.ticker).cadence_seconds * SECOND_US
        before = tickers.format_event(
            tickers.series_of(market.ticker).ticker, market.close_us - cadence_us
        )
        ticker = tickers.format_market(before)
        known = self._closes.strike_of(ticker)
        if known is None or ticker in self._with_result:
            return
        result = result_of(strike, known, "greater_or_equal")
        yield Settled(ticker, before, result, self._now_us, strike)


def _settled(result: Result) -> Settled:
    event_ticker = tickers.parse_market(result.ticker).event_ticker
    return Settled(
        result.ticker, event_ticker, result.result, result.at_us, result.settlement_usd_e6
    )


def _at_us(event: Event) -> int:
    return event.at_us


def _new_tally() -> Tally:
    return Tally(
        Track(_SILENCE_US, "no order book was recorded"),
        Track((CARRIED_S + 1) * SECOND_US, "no prices were recorded"),
    )
