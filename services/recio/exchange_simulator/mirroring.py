"""Reads a real exchange for the mirror: its events by REST, its books by one WebSocket. Reads only.

Which events there are follows from the calendar of the series. An event is read every half minute,
and every two seconds where something is about to happen: it opens, its strike is awaited, or it has
closed and is not paid. Times are market time.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from typing import Any, Final, Protocol

from recio.domain import tickers
from recio.domain.errors import InvalidValue, Rejected, Unavailable
from recio.domain.units import HOUR_US, MINUTE_US, SECOND_US
from recio.exchange_simulator.simulator import Simulator
from recio.exchange_simulator.world.mirror import EventSeen, Mirror, SeriesSeen
from recio.ports import Clock

LOOK_S: Final = 1.0
HASTY_US: Final = 2 * SECOND_US
CALM_US: Final = 30 * SECOND_US
STATUS_US: Final = 15 * SECOND_US
AHEAD_US: Final = 5 * MINUTE_US
NEAR_US: Final = 30 * SECOND_US
QUARTER_US: Final = HOUR_US // 4

Log = logging.Logger | logging.LoggerAdapter[Any]


class StatusSeen(Protocol):
    """Whether the real exchange trades."""

    @property
    def is_exchange_active(self) -> bool:
        """Whether it is up."""

    @property
    def is_trading_active(self) -> bool:
        """Whether it trades."""


class Reads(Protocol):
    """What is read of the real exchange by REST."""

    async def series(self, ticker: str) -> SeriesSeen:
        """Read a series."""

    async def event(self, event_ticker: str) -> EventSeen:
        """Read an event with its markets."""

    async def status(self) -> StatusSeen:
        """Read whether it trades."""


class SideSeen(Protocol):
    """One side of a book."""

    levels: dict[int, int]


class BookSeen(Protocol):
    """A book of the real exchange."""

    ticker: str
    is_valid: bool

    @property
    def yes(self) -> SideSeen:
        """The bids for YES."""

    @property
    def no(self) -> SideSeen:
        """The bids for NO."""


class Books(Protocol):
    """The real exchange's books as they change."""

    @property
    def is_connected(self) -> bool:
        """Whether a connection is open."""

    async def want(self, name: str, tickers: Sequence[str]) -> None:
        """Follow some markets."""

    async def drop(self, name: str) -> None:
        """Follow them no longer."""

    def books(self) -> AsyncGenerator[BookSeen | None, None]:
        """Yield each that changed; None: none is known."""


class Mirroring:
    """Keeps the mirror of one environment at its exchange's side."""

    def __init__(
        self,
        simulator: Simulator,
        mirror: Mirror,
        reads: Reads,
        books: Books,
        *,
        clock: Clock,
        series: Sequence[str],
        log: Log,
    ) -> None:
        self._simulator = simulator
        self._mirror = mirror
        self._reads = reads
        self._books = books
        self._clock = clock
        self._series = tuple(series)
        self._log = log
        self._read_us: dict[str, int] = {}
        self._followed: set[str] = set()
        self._status_due_us = 0
        self._told: Mapping[str, str] = {}
        self._problems: dict[str, str] = {}
        self._is_read = False

    async def recover(self) -> None:
        """Restore our exchange, then read fees, status and the live events once.

        Raises:
            Unavailable: the database or the real exchange does not answer; try again.
        """
        if not self._simulator.is_recovered:
            await self._simulator.recover()
        for ticker in self._series:
            self._mirror.take_series(await self._reads.series(ticker))
        await self._look()

    async def look(self) -> None:
        """Read events and status when they are due, for ever."""
        while True:
            await self._clock.sleep_market(LOOK_S)
            await self._look()

    async def follow(self) -> None:
        """Pass the books on, for ever."""
        mirror, clock = self._mirror, self._clock
        async for book in self._books.books():
            now_us = clock.market_us()
            if book is None:
                mirror.lose_all(now_us)
            elif book.is_valid:
                mirror.follow(book.ticker, book.yes.levels, book.no.levels, now_us)
            else:
                mirror.lose(book.ticker, now_us)
            if self._simulator.exchange.state.changes.is_urgent:
                await self._commit()

    async def _look(self) -> None:
        now_us = self._clock.market_us()
        if now_us >= self._status_due_us:
            await self._unless_away("status", self._read_status(now_us))
        for event_ticker in self._due(now_us):
            await self._unless_away(event_ticker, self._read(event_ticker))
        self._is_read = True
        await self._follow_live()
        self._tell_refused()
        await self._commit()

    async def _unless_away(self, name: str, reading: Awaitable[None]) -> None:
        """Read something, or keep why it could not be read until it can."""
        try:
            await reading
        except Unavailable as error:
            if name not in self._problems:
                self._log.warning("%s cannot be read: %s", name, error)
            self._problems[name] = str(error)
        else:
            self._problems.pop(name, None)

    async def _read_status(self, now_us: int) -> None:
        self._status_due_us = now_us + HASTY_US
        seen = await self._reads.status()
        self._status_due_us = now_us + STATUS_US
        is_trading = seen.is_exchange_active and seen.is_trading_active
        self._mirror.take_status(is_trading=is_trading, now_us=self._clock.market_us())

    def _due(self, now_us: int) -> list[str]:
        """Return the events to be read now: those of the calendar, and ours that are not paid."""
        names = dict.fromkeys(spec.event_ticker for spec in self._simulator.exchange.open_events())
        for series in self._series:
            cadence_us = tickers.series_of(series).cadence_seconds * SECOND_US
            for close_us in tickers.closes_between(series, now_us, now_us + cadence_us + AHEAD_US):
                try:
                    names[tickers.format_event(series, close_us)] = None
                except InvalidValue:
                    continue  # An hour without a name is not traded.
        known = set(names)
        self._read_us = {name: at for name, at in self._read_us.items() if name in known}
        for name in self._problems.keys() - known - {"status"}:
            del self._problems[name]
        return [
            name
            for name in names
            if now_us - self._read_us.get(name, 0) >= self._period_us(name, now_us)
        ]

    def _period_us(self, name: str, now_us: int) -> int:
        event = tickers.parse_event(name, now_us)
        is_near = abs(now_us - tickers.open_us_of(event)) <= NEAR_US
        if now_us >= event.close_us or is_near:
            return HASTY_US
        if not self._simulator.exchange.has_event(name) or now_us < tickers.open_us_of(event):
            return CALM_US
        return HASTY_US if self._mirror.wants_strike(name) else CALM_US

    async def _read(self, event_ticker: str) -> None:
        self._read_us[event_ticker] = self._clock.market_us()
        try:
            seen = await self._reads.event(event_ticker)
        except Rejected as error:
            self._log.debug("event %s: %s", event_ticker, error)  # It may not be listed yet.
            return
        self._mirror.take_event(seen, self._clock.market_us())

    async def _follow_live(self) -> None:
        """Follow the books of the events that trade or soon will, and no others."""
        now_us = self._clock.market_us()
        live = {
            spec.event_ticker: [market.ticker for market in spec.markets]
            for spec in self._simulator.exchange.open_events()
            if spec.open_us - AHEAD_US <= now_us < spec.close_us
        }
        for name in self._followed - live.keys():
            await self._books.drop(name)
        for name in sorted(live.keys() - self._followed):
            await self._books.want(name, live[name])
        self._followed = set(live)

    def _tell_refused(self) -> None:
        for name, reason in self._mirror.refused.items():
            if self._told.get(name) != reason:
                self._log.warning("%s is not mirrored: %s", name, reason)
        self._mirror.forget_refused(self._read_us)
        self._told = dict(self._mirror.refused)

    async def _commit(self) -> None:
        try:
            await self._simulator.gateway.commit()
        except Unavailable as error:
            self._log.warning("the mirror is not saved: %s; it goes on in memory", error)

    def reason(self) -> str:
        """Return what keeps the mirror from being one; nothing if all is well."""
        if not self._is_read:
            return "the exchange's events have not been read yet"
        for name, problem in self._problems.items():
            return f"{name} cannot be read: {problem}"
        return "" if self._books.is_connected else "not connected to the exchange's books"
