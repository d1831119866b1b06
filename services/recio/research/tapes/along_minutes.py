"""A tape of made-up seconds and quotes along real minutes: for strategies, never for claims.

Real is, in the regimes ``recorded`` and ``thin``: every minute's open, high, low and close; the other
regimes reshape the minutes too (``exchange_simulator.world.regimes``). Made up, from a seed: the seconds
between them (a
Brownian bridge that touches high and low, ``exchange_simulator.world.prices``) and everything that the
exchange would say (``made_quotes``). The 60 values of a minute are known at its seconds 1 … 60, the
close at the end of the minute; markets settle on the mean of the last 60, as the exchange's do.

Full cadence, one price and one set of quotes a second, is kept in the entry window before a close
(``window_s``; prices begin four minutes earlier, for momentum's look-backs). Outside of it there is one
price and one set of quotes a minute, so that a month plays quickly. Trading pauses on Thursdays 03:00
to 05:00 New York time, as it does at the exchange.

A bridge is drawn when its minute is reached. The seconds before a minute's end lean towards a close
that the source knows; a strategy cannot see it, because the path up to any second is the path of a
random walk. Cut the source at the end of a minute and everything up to there stays the same.

A minute that is missing has no price and no quotes; an event whose last minute is missing has no result.
Memory does not grow with the period: a day of closes, one event.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from recio.domain import tickers
from recio.domain.errors import InvalidValue
from recio.domain.messages import BookUpdate, EventMarkets
from recio.domain.settlement import NO_MEAN, WINDOW_SAMPLES, RunningMean, result_of
from recio.domain.units import CENT_E6, SECOND_US
from recio.engine.tape import Event, Settled
from recio.exchange_simulator.world.belief import settlement_outlook
from recio.exchange_simulator.world.listings import is_paused
from recio.exchange_simulator.world.makers import LADDER_GRID, WINDOW_GRID
from recio.exchange_simulator.world.prices import bridge
from recio.exchange_simulator.world.regimes import Regime, regime_of
from recio.research.tapes import messages
from recio.research.tapes.bars import Bar
from recio.research.tapes.made_quotes import LAG_US, Belief, MadeQuotes
from recio.research.tapes.reading import NEWEST_S
from recio.research.tapes.shaping import shaped
from recio.research.tapes.tally import Tally, Track
from recio.research.tapes.tape import Coverage
from recio.research.tapes.windows import RunningWindow

STRIKES: Final = 30
LEAD_S: Final = 240
WARM_S: Final = 86_400
_MINUTE_S: Final = 60
_STEPS: Final = ((4_000_000, 25_000), (1_500_000, 10_000), (500_000, 5_000), (0, 2_000))
"""(price from, strike step) in cents: $250 from $40,000 on, as recorded; the others are assumed."""
_SETTLED_AFTER_US: Final = {3600: 71 * SECOND_US, 900: 15 * SECOND_US}
"""Time from close to result by cadence, as recorded in August 2025 and May 2026."""
_SILENCE_US: Final = 65 * SECOND_US


class Bars(Protocol):
    """A source of minutes."""

    def read(self, since_s: int, until_s: int, tally: Tally) -> Iterator[Bar]:
        """Yield the bars that open in a period, ascending."""
        ...


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is played: times in seconds since 1970 (None: all there is), ``edge_e4`` as in ``made_quotes``."""

    series: str
    since_s: int | None = None
    until_s: int | None = None
    regime: str = "recorded"
    edge_e4: int = 0
    window_s: int = 1200
    seed: int = 1


class MinutesTape:
    """See the module; ``events`` reads the source anew each time."""

    is_synthetic = True

    def __init__(self, name: str, bars: Bars, plan: Plan) -> None:
        if plan.until_s is not None and plan.until_s <= (plan.since_s or 0):
            raise InvalidValue(f"{name}: expected a period, received an end before its start")
        regime_of(plan.regime)
        tickers.series_of(plan.series)
        self.name = name
        self.caveat = (
            "Seconds between minutes and every quote are made up "
            f"(regime {plan.regime}, seed {plan.seed}): profit here says nothing about the exchange."
        )
        if plan.edge_e4:
            self.caveat += f" A mistake of {plan.edge_e4} e-4 dollar is planted in the quotes."
        self._bars = bars
        self._plan = plan
        self._tally = _new_tally()

    def events(self) -> Iterator[Event]:
        """Yield everything in order.

        Raises:
            InvalidValue: no minute of the period can be used.
        """
        self._tally = _new_tally()
        return _Player(self._plan, self._bars, self._tally, self.name).play()

    def coverage(self) -> Coverage:
        """Return what was there."""
        return self._tally.coverage()


class _Running:
    """An event from its opening to its close."""

    __slots__ = ("close_s", "event", "is_whole", "quotes", "window_from")

    def __init__(self, event: EventMarkets, plan: Plan, regime: Regime) -> None:
        self.event = event
        self.close_s = event.close_us // SECOND_US
        self.window_from = self.close_s - plan.window_s
        self.is_whole = True
        self.quotes = MadeQuotes(
            [market.ticker for market in event.markets],
            [(market.strike_usd_e6 or 0) // CENT_E6 for market in event.markets],
            grid=LADDER_GRID if tickers.SERIES[plan.series].has_ladder else WINDOW_GRID,
            regime=regime,
            key=f"{plan.seed}|{event.event_ticker}",
            edge_e4=plan.edge_e4,
        )


class _Player:
    """One reading of the tape."""

    def __init__(self, plan: Plan, bars: Bars, tally: Tally, name: str) -> None:
        self._plan = plan
        self._tally = tally
        self._name = name
        self._regime = regime_of(plan.regime)
        self._leave_s = self._regime.leave_s
        self._series = tickers.SERIES[plan.series]
        from_s = 0 if plan.since_s is None else plan.since_s - WARM_S
        self._until_s = NEWEST_S if plan.until_s is None else plan.until_s
        read = bars.read(from_s, self._until_s, tally)
        self._bars = shaped(read, self._regime, plan.seed)
        self._next: Bar | None = next(self._bars, None)
        self._since_s = plan.since_s or self._first_hour()
        self._belief = Belief()
        self._mean = RunningWindow()
        self._running: _Running | None = None
        self._settling: deque[Settled] = deque()
        self._close: int | None = None
        self._is_paused = False
        self._window: RunningMean = NO_MEAN

    def play(self) -> Iterator[Event]:
        """Yield everything in order."""
        tally = self._tally
        warm = self._warm_up()
        if self._next is None:
            tally.expect_rows(self._name, len(warm))
        first_us = self._since_s * SECOND_US
        tally.span(first_us)
        yield messages.status(first_us)
        if warm:
            yield messages.history(self._series.symbol, first_us, warm, "minutes")
        for start_s in range(self._since_s, self._until_s, _MINUTE_S):
            yield from self._minute(start_s)
            if self._next is None and self._running is None:
                break
        if self._plan.until_s is not None:
            tally.span(self._plan.until_s * SECOND_US)
        yield from self._settled(self._tally.last_us + 3600 * SECOND_US)

    def _first_hour(self) -> int:
        """Return the first full hour of which the minutes are there."""
        return 0 if self._next is None else -(-self._next.start_s // 3600) * 3600

    def _warm_up(self) -> list[tuple[int, int]]:
        """Take in the day before the period: for the model of the trader and for the makers."""
        closes: list[tuple[int, int]] = []
        bar_before: Bar | None = None
        while self._next is not None and self._next.start_s < self._since_s:
            bar = self._next
            if bar_before is not None and bar.start_s != bar_before.start_s + _MINUTE_S:
                self._belief.add(None)
            self._belief.add(bar.close)
            closes.append(((bar.start_s + _MINUTE_S) * SECOND_US, bar.close * CENT_E6))
            self._next = next(self._bars, None)
            bar_before = bar
        if bar_before is not None and bar_before.start_s == self._since_s - _MINUTE_S:
            self._close = bar_before.close
            for at_s, cents in enumerate(self._path(bar_before), bar_before.start_s + 1):
                self._window = self._mean.add(at_s, cents * CENT_E6)
        return closes

    def _minute(self, start_s: int) -> Iterator[Event]:
        yield from self._pause(start_s)
        if start_s % self._series.cadence_seconds == 0:
            yield from self._begin_event(start_s)
        running = self._running
        bar = self._next if self._next and self._next.start_s == start_s else None
        if bar is None:
            yield from self._without(start_s)
        else:
            self._next = next(self._bars, None)
            if running is None or start_s < running.window_from - LEAD_S:
                yield from self._coarse(start_s, bar)
            else:
                yield from self._fine(start_s, bar)
        self._belief.add(self._close)
        end_s = start_s + _MINUTE_S
        self._tally.span(end_s * SECOND_US)
        if running is not None and running.close_s == end_s:
            self._end_event(running)

    def _pause(self, start_s: int) -> Iterator[Event]:
        is_paused_now = is_paused(start_s * SECOND_US)
        if is_paused_now is not self._is_paused:
            self._is_paused = is_paused_now
            yield messages.status(start_s * SECOND_US, is_trading=not is_paused_now)
            self._tally.quotes.hear(start_s * SECOND_US)
        elif is_paused_now:
            self._tally.quotes.hear(start_s * SECOND_US)

    def _begin_event(self, start_s: int) -> Iterator[Event]:
        close_us = (start_s + self._series.cadence_seconds) * SECOND_US
        if close_us > self._until_s * SECOND_US:
            return
        try:
            event_ticker = tickers.format_event(self._series.ticker, close_us)
        except InvalidValue:
            return  # the repeated hour of an autumn night has no name
        at_us = start_s * SECOND_US
        strikes = self._strikes()
        if strikes is None:
            self._tally.close(is_whole=False)
            return
        if self._series.has_ladder:
            event = messages.ladder_event(event_ticker, strikes, at_us)
        else:
            ticker = tickers.format_market(event_ticker)
            event = messages.window_event(ticker, strikes[0], at_us)
        self._running = _Running(event, self._plan, self._regime)
        yield event

    def _strikes(self) -> list[int] | None:
        """Return the floors of an event that opens now; None: they cannot be known."""
        if not self._series.has_ladder:
            mean, count, _ = self._window
            return [_to_cents(mean)] if mean is not None and count == WINDOW_SAMPLES else None
        if self._close is None:
            return None
        step = next(step for least, step in _STEPS if self._close >= least)
        low = max(round(self._close / step) - STRIKES // 2, 1)
        return [(step * (low + place) - 1) * CENT_E6 for place in range(STRIKES)]

    def _without(self, start_s: int) -> Iterator[Event]:
        """Let a minute pass of which nothing is known."""
        running = self._running
        if running is not None:
            if start_s >= running.window_from:
                running.is_whole = False
            if self._close is not None:
                at_us = start_s * SECOND_US + LAG_US
                yield messages.books(running.event.event_ticker, (), at_us)
        yield from self._settled((start_s + _MINUTE_S) * SECOND_US)
        self._close = None
        self._window = NO_MEAN

    def _coarse(self, start_s: int, bar: Bar) -> Iterator[Event]:
        end_s = start_s + _MINUTE_S
        if not self._series.has_ladder and end_s % self._series.cadence_seconds == 0:
            yield from self._fine(start_s, bar)
            return
        self._close = bar.close
        at_us = end_s * SECOND_US
        yield from self._settled(at_us)
        self._window = NO_MEAN
        yield messages.price(self._series.symbol, at_us, bar.close * CENT_E6)
        self._tally.prices.hear(at_us)
        books = self._books(end_s, bar.close)
        if books is not None:
            yield books

    def _fine(self, start_s: int, bar: Bar) -> Iterator[Event]:
        symbol, running = self._series.symbol, self._running
        quoted_from = running.window_from if running is not None else self._until_s
        for at_s, cents in enumerate(self._path(bar), start_s + 1):
            at_us, usd_e6 = at_s * SECOND_US, cents * CENT_E6
            if self._settling:
                yield from self._settled(at_us)
            self._window = self._mean.add(at_s, usd_e6)
            yield messages.price(symbol, at_us, usd_e6, self._window)
            if at_s >= quoted_from or at_s % _MINUTE_S == 0:
                books = self._books(at_s, cents)
                if books is not None:
                    yield books
        self._close = bar.close
        self._tally.prices.hear((start_s + _MINUTE_S) * SECOND_US)

    def _path(self, bar: Bar) -> tuple[int, ...]:
        """Return the 60 values of a minute, of its seconds 1 … 60."""
        return bridge(bar[1:], f"{self._plan.seed}|index|{bar.start_s // _MINUTE_S}")

    def _books(self, at_s: int, cents: int) -> BookUpdate | None:
        running, deviation = self._running, self._belief.deviation
        if running is None or deviation is None or self._is_paused:
            return None
        if at_s >= running.close_s - self._leave_s:
            return self._left(running, at_s)
        at_us = at_s * SECOND_US + LAG_US
        ticker, quotes = running.event.event_ticker, running.quotes
        self._tally.quotes.hear(at_us)
        deviation *= quotes.volatility_factor(at_s)
        count = self._window.samples
        known = (self._window.average_usd_e6 or 0) / CENT_E6 * count
        mean, off = settlement_outlook(cents, deviation, running.close_s - at_s, known, count)
        return messages.books(ticker, quotes.at(at_s, at_us, mean, off), at_us)

    def _left(self, running: _Running, at_s: int) -> BookUpdate | None:
        """Return the empty books that makers leave behind some time before the close."""
        if at_s >= running.close_s:
            return None
        at_us = at_s * SECOND_US + LAG_US
        self._tally.quotes.hear(at_us)
        return messages.books(running.event.event_ticker, (), at_us)

    def _end_event(self, running: _Running) -> None:
        """Note the results of the event that closes now; they are told when they are stated."""
        event, (average, count, close_us) = running.event, self._window
        is_known = average is not None and count == WINDOW_SAMPLES and close_us == event.close_us
        self._tally.close(is_whole=is_known and running.is_whole)
        self._running = None
        if average is None or not is_known:
            return
        value = _to_cents(average)
        stated_us = event.close_us + _SETTLED_AFTER_US[self._series.cadence_seconds]
        for market in event.markets:
            result = result_of(value, market.strike_usd_e6 or 0, market.strike_type)
            self._settling.append(
                Settled(market.ticker, event.event_ticker, result, stated_us, value)
            )

    def _settled(self, at_us: int) -> Iterator[Event]:
        while self._settling and self._settling[0].at_us <= at_us:
            yield self._settling.popleft()


def _to_cents(usd_e6: int) -> int:
    """Return a value rounded to the cent, halves up, as it is published."""
    return (2 * usd_e6 + CENT_E6) // (2 * CENT_E6) * CENT_E6


def _new_tally() -> Tally:
    return Tally(
        Track(_SILENCE_US, "no quotes: no event could be made"),
        Track(_SILENCE_US, "no minutes"),
    )
