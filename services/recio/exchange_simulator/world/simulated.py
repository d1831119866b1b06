"""The default world: recorded minutes drive the hourly ladder and the 15-minute markets.

Everything that happens is a function of (recording, seed, market time): prices, listings, strikes,
quotes, takers, determinations. So the world stores nothing. It starts at any time: a new exchange is
brought up from the beginning of the running hour, so that its markets have a history and a volume;
an exchange that was stopped goes on where it stopped, or at the beginning of the running hour if
that is later. Events that closed meanwhile are determined and paid. Quantities that members took
come back with the next size of their level (makers.py).

What is not a function of time is left to the exchange: queues, members' orders, money.

Outside of the recording nothing is published, listed or quoted, and an event that would close after
its end is not listed. An event whose last minute is missing in part settles on the seconds that
exist, and if none does, on the last value of the four hours before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from recio.domain import tickers
from recio.domain.units import SECOND_US
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.specs import Candle, EventSpec
from recio.exchange_simulator.world import listings, members
from recio.exchange_simulator.world.prices import CENT_E6, Prices
from recio.exchange_simulator.world.regimes import RECORDED, Regime
from recio.exchange_simulator.world.trading import BLOCK_S, RUN_UP_S, SLOTS_US, LiveEvent

_HOUR_S: Final = 3600
_QUARTER_S: Final = 900
_STRIKE_S: Final = listings.STRIKE_DELAY_US // SECOND_US
_SPOT_SLOT: Final = 1
_COARSE_SPOT_S: Final = 5
_CANDLE_HOURS: Final = 6
_OLDEST_VALUE_S: Final = 4 * 3600
TAKEN_S: Final = 48
_SECOND_SLOTS: Final = len(SLOTS_US)


class SimulatedWorld:
    """Drives an exchange from recorded minutes, through ``step`` alone.

    ``is_fine`` tells how often ``next_event_us`` asks to be called: in every slot of a second, or
    once a second; the books at whole seconds are the same. Spot venues, which no market settles on,
    then trade every fifth second only.
    """

    def __init__(
        self,
        exchange: Exchange,
        prices: Prices,
        *,
        start_us: int,
        seed: int = 0,
        is_fine: bool = True,
        regime: Regime = RECORDED,
    ) -> None:
        self.start_us = start_us
        self._exchange = exchange
        self._prices = prices
        self._seed = seed
        self._regime = regime
        self._is_fine = is_fine
        self._live: dict[str, LiveEvent] = {}
        self._closed: list[tuple[int, EventSpec]] = []
        self._next_slot = 0
        self._resumed_s = 0
        self._second: int | None = None
        """The second whose index is published; None before the first step."""

    def next_event_us(self) -> int | None:
        """Return when ``step`` has something to do next; None: never again."""
        if self._second is None:
            return self.start_us
        if self._second >= self._prices.end_s and not self._closed:
            return None
        if self._is_fine and self._next_slot < _SECOND_SLOTS:
            return self._second * SECOND_US + SLOTS_US[self._next_slot]
        return (self._second + 1) * SECOND_US

    def step(self, now_us: int) -> None:
        """Let everything happen that is due up to ``now_us``; earlier times change nothing."""
        if self._second is None:
            self._begin(now_us)
        while True:
            self._run_slots(now_us)
            assert self._second is not None
            if (self._second + 1) * SECOND_US > now_us:
                return
            self._begin_second(self._second + 1)

    def _begin(self, now_us: int) -> None:
        """Choose the second to start at, and publish what a visitor finds in the history."""
        exchange, now_s = self._exchange, now_us // SECOND_US
        hour_s = now_s // _HOUR_S * _HOUR_S
        for series in listings.SERIES:
            exchange.list_series(series)
        stopped_s = exchange.now_us // SECOND_US if exchange.open_events() else hour_s
        resumed_s = min(max(stopped_s, hour_s), now_s)
        first_s = max((resumed_s - RUN_UP_S) // BLOCK_S * BLOCK_S, hour_s)
        self._resumed_s = resumed_s
        self._publish_history(first_s, now_s)
        self._list_events(first_s)
        self._begin_second(first_s)

    def _publish_history(self, first_s: int, now_s: int) -> None:
        for second in range(first_s - 120, first_s):
            self._publish_index(second)
        minutes = range(now_s // 60 * 60 - _CANDLE_HOURS * _HOUR_S, now_s // 60 * 60, 60)
        for venue in self._prices.venues():
            candles = [found for s in minutes if (found := self._candle(venue, s))]
            self._exchange.set_spot_history(venue, self._prices.symbol, candles)

    def _candle(self, venue: str, minute_s: int) -> Candle | None:
        bar = self._prices.minute(venue, minute_s)
        if bar is None:
            return None
        opened, high, low, close = (value * CENT_E6 for value in bar)
        return Candle(
            start_us=minute_s * SECOND_US,
            low_usd_e6=low,
            high_usd_e6=high,
            open_usd_e6=opened,
            close_usd_e6=close,
        )

    def _begin_second(self, second: int) -> None:
        self._second, self._next_slot = second, 0
        self._exchange.advance(second * SECOND_US)
        if second % _QUARTER_S == 0:
            self._list_events(second)
        if second % _QUARTER_S in (0, _STRIKE_S) or not self._live:
            self._renew_live(second)
        self._determine(second * SECOND_US)
        self._publish_index(second)
        if second == self._resumed_s:
            self._take_away()
        for event in self._live.values():
            if self._is_open(second * SECOND_US):
                event.begin_second(second)
            else:
                event.withdraw(second * SECOND_US)

    def _run_slots(self, now_us: int) -> None:
        assert self._second is not None
        first, start_us = self._next_slot, self._second * SECOND_US
        last = first - 1
        while last + 1 < _SECOND_SLOTS and start_us + SLOTS_US[last + 1] <= now_us:
            last += 1
        if last < first:
            return
        self._next_slot = last + 1
        if first <= _SPOT_SLOT <= last and (self._is_fine or self._second % _COARSE_SPOT_S == 0):
            self._publish_spot(self._second)
        has_takers = self._second >= self._resumed_s
        for event in self._live.values():
            event.run_slots(first, last, has_takers=has_takers)

    @staticmethod
    def _is_open(at_us: int) -> bool:
        return not listings.is_paused(at_us)

    def _take_away(self) -> None:
        """Leave out of the rebuilt books what members took in the seconds before the stop."""
        since_us = (self._resumed_s - TAKEN_S) * SECOND_US
        for event in self._live.values():
            for market in event.spec.markets:
                for one in members.taken(self._exchange, market.ticker, since_us):
                    level = one.ticker, one.side, one.price_e4
                    left_e2 = self._exchange.external_level(*level) - one.qty_e2
                    at_us = self._resumed_s * SECOND_US
                    self._exchange.set_external_level(*level, max(left_e2, 0), at_us)

    def _list_events(self, second: int) -> None:
        for spec in self._events_due(second):
            self._exchange.list_event(spec, second * SECOND_US)

    def _events_due(self, second: int) -> Iterator[EventSpec]:
        for series, close_us in listings.closes_due(self._prices, second * SECOND_US):
            event_ticker = tickers.format_event(series, close_us)
            if not self._exchange.has_event(event_ticker):
                spec = listings.event_spec(series, self._prices, close_us)
                if spec is not None:
                    yield spec

    def _renew_live(self, second: int) -> None:
        """Start the events that opened, set their strikes, and note those that closed."""
        now_us = second * SECOND_US
        self._closed = []
        live: dict[str, LiveEvent] = {}
        for spec in self._exchange.open_events():
            if spec.close_us <= now_us:
                due_us = listings.determination_us(spec.event_ticker, spec.close_us, self._seed)
                self._closed.append((due_us, spec))
            elif spec.open_us <= now_us:
                event = self._live.get(spec.event_ticker) or self._open(spec, now_us)
                if event is not None:
                    live[spec.event_ticker] = event
        self._live = live

    def _open(self, spec: EventSpec, now_us: int) -> LiveEvent | None:
        if spec.series_ticker == listings.WINDOW:
            if now_us < spec.open_us + listings.STRIKE_DELAY_US:
                return None
            strike = self._window_strike(spec, now_us)
            if strike is None:
                return None
            strikes: tuple[int, ...] = (strike,)
        else:
            strikes = tuple((m.floor_strike_usd_e6 or 0) // CENT_E6 for m in spec.markets)
        return LiveEvent(
            self._exchange, self._prices, spec, strikes, seed=self._seed, regime=self._regime
        )

    def _window_strike(self, spec: EventSpec, now_us: int) -> int | None:
        """Return the strike in cents, told to the exchange if it has none; None: never known."""
        ticker = spec.markets[0].ticker
        known_usd_e6 = members.strike_usd_e6(self._exchange, ticker)
        if known_usd_e6 is not None:
            return known_usd_e6 // CENT_E6
        strike = listings.settlement_cents(self._prices, spec.open_us // SECOND_US)
        if strike is not None:
            words = listings.target_words(strike)
            self._exchange.set_strike(ticker, strike * CENT_E6, now_us, yes_sub_title=words)
        return strike

    def _determine(self, now_us: int) -> None:
        for due_us, spec in list(self._closed):
            if due_us <= now_us:
                self._closed.remove((due_us, spec))
                self._settle(spec, now_us)

    def _settle(self, spec: EventSpec, now_us: int) -> None:
        value = self._settlement(spec.close_us // SECOND_US)
        kind = "greater_or_equal" if spec.series_ticker == listings.WINDOW else "greater"
        for ticker, status in self._exchange.event_status(spec.event_ticker):
            floor_usd_e6 = members.strike_usd_e6(self._exchange, ticker)
            if status == "closed" and value is not None and floor_usd_e6 is not None:
                won = listings.is_yes(kind, floor_usd_e6, value)
                text = listings.value_words(value)
                self._exchange.determine(
                    ticker, "yes" if won else "no", now_us, expiration_value=text
                )

    def _settlement(self, close_s: int) -> int | None:
        value = listings.settlement_cents(self._prices, close_s)
        second = close_s
        while value is None and close_s - second < _OLDEST_VALUE_S:
            second -= 1
            value = self._prices.index(second)
        return value

    def _publish_index(self, second: int) -> None:
        value = self._prices.index(second)
        if value is not None:
            self._exchange.set_index(self._prices.index_id, value * CENT_E6, second * SECOND_US)

    def _publish_spot(self, second: int) -> None:
        at_us = second * SECOND_US + SLOTS_US[_SPOT_SLOT]
        for venue in self._prices.venues():
            price = self._prices.spot(venue, second)
            if price is not None:
                self._exchange.set_spot(venue, self._prices.symbol, price * CENT_E6, at_us)
