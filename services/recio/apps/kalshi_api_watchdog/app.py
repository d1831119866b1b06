"""kalshi_api_watchdog: the exchange's public side in, markets, books and status out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import msgspec

from recio.adapters.kalshi.events import (
    BookChanged,
    Connected,
    Disconnected,
    Event,
    EventCreated,
    FeeOverride,
    Gap,
    LifecycleSeen,
    Refused,
    TickerSeen,
)
from recio.adapters.kalshi.model import StatusRecord
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.kalshi.stream import LIFECYCLE, ORDER_BOOK, TICKER, Subscription
from recio.adapters.kalshi.websocket import KalshiStream
from recio.adapters.postgres import market_history
from recio.apps.kalshi_api_watchdog.listing import Listing, LiveEvent
from recio.domain.book import OrderBook
from recio.domain.errors import Rejected, Unavailable
from recio.domain.messages import EventMarkets, ExchangeStatus, MarketQuote, Message
from recio.domain.units import MINUTE_US, SECOND_US
from recio.engine.quotes import EventQuotes
from recio.ports import Clock, Transaction
from recio.runtime.service import Readiness, Service, ServiceContext
from recio.runtime.settings import load

CLOSED_TOLD_US: Final = 5 * MINUTE_US
"""For so long a closed event is told again and again; later only when something changes."""
SLOW_RETRY_S: Final = 30.0
IDLE_S: Final = 60.0
LEAST_WAIT_US: Final = 1000
"""However late an update is, others get their turn."""
MOST_WAITING: Final = 100_000
HASTE_US: Final = 3 * MINUTE_US


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """``RECIO_KALSHI_API_WATCHDOG_*``; market time, but for ``again_seconds`` (wall).

    Tops of books leave at most once in ``book_seconds`` for each event, all of them once in
    ``full_seconds``; markets are told again every ``again_seconds``. ``status_seconds`` lie between
    two looks at the exchange's status, ``write_seconds`` between two batches to the database,
    ``tops_seconds`` between two stored tops of one book, ``retry_seconds`` between two reads of an
    event around its opening and its close.
    """

    book_seconds: float = 0.1
    full_seconds: float = 1.0
    again_seconds: float = 10.0
    status_seconds: float = 15.0
    write_seconds: float = 5.0
    tops_seconds: float = 60.0
    retry_seconds: float = 2.0


class MarketWatch:
    """Watches the markets of one environment's series."""

    def __init__(self, context: ServiceContext, settings: Settings) -> None:
        self._context = context
        self._settings = settings
        self._rest: KalshiRest = context.access.market_rest()
        self._stream: KalshiStream = context.access.market_stream()
        self.listing = Listing(context.access.series)
        self.status: ExchangeStatus | None = None
        self._exchange: StatusRecord | None = None
        self._quotes: dict[str, EventQuotes] = {}
        self._event_of: dict[str, LiveEvent] = {}
        self._followed: dict[str, tuple[str, ...]] = {}
        self._look = asyncio.Event()
        self._due = asyncio.Event()
        self._stored_us: dict[str, int] = {}
        self._tops: list[tuple[int, MarketQuote]] = []
        self._unwritten: dict[str, EventMarkets] = {}
        self._problem = "no live event has been read yet"
        counter = context.metrics.counter
        self._gaps = counter("recio_market_stream_gaps_total", "Lost frames.", "channel")
        self._lost = counter("recio_market_messages_lost_total", "Messages that no bus took.")
        self._reads_failed = counter("recio_market_reads_failed_total", "Reads without a result.")
        self._paused = context.metrics.gauge(
            "recio_exchange_paused", "1 while the exchange says that it does not trade."
        )

    # Which markets there are.

    async def recover(self) -> None:
        """Read fees, status and the live events once."""
        for series in self.listing.series:
            self.listing.take_series(await self._rest.series(series.ticker))
        self._exchange = await self._rest.status()
        await self._look_once()

    async def look(self) -> None:
        """Read what is unknown, at the calendar's times and when the stream says so, for ever."""
        clock = self._context.clock
        while True:
            now_us = clock.market_us()
            wait_s = min((self.listing.next_change_us(now_us) - now_us) / SECOND_US, IDLE_S)
            if unread := self.listing.unread(now_us):
                soon_s = self._settings.retry_seconds
                wait_s = min(wait_s, *(_retry_s(event, now_us, soon_s) for event in unread))
            await _sleep_or(self._look, self._context.clock, max(wait_s, 0.001))
            await self._look_once()

    async def _look_once(self) -> None:
        now_us = self._context.clock.market_us()
        self.listing.advance(now_us)
        for event in self.listing.unread(now_us):
            try:
                record = await self._rest.event(event.event_ticker)
            except Rejected as error:
                # It may not exist yet, or never have existed.
                event.is_missing = True
                self._reads_failed.inc()
                self._context.log.debug("event %s: %s", event.event_ticker, error)
            except Unavailable as error:
                self._reads_failed.inc()
                self._context.log.warning("event %s: %s", event.event_ticker, error)
            else:
                self.listing.take_event(record, self._context.clock.market_us())
        await self._follow_events()
        await self._tell_changed()

    async def _follow_events(self) -> None:
        """Make the subscriptions what the live events need."""
        now_us = self._context.clock.market_us()
        events = [event for event in self.listing.events.values() if event.is_tradable(now_us)]
        live = {event.event_ticker: tuple(event.markets) for event in events}
        self._event_of = {ticker: event for event in events for ticker in event.markets}
        for ticker in [ticker for ticker in self._followed if ticker not in live]:
            for market in self._followed.pop(ticker):
                self._stored_us.pop(market, None)
            self._quotes.pop(ticker, None)
            await self._stream.drop(f"{ORDER_BOOK} {ticker}")
            await self._stream.drop(f"{TICKER} {ticker}")
        for event_ticker, markets in live.items():
            if self._followed.get(event_ticker) != markets:
                self._followed[event_ticker] = markets
                self._quotes.setdefault(event_ticker, self._new_quotes(event_ticker))
                for channel in (ORDER_BOOK, TICKER):
                    key = f"{channel} {event_ticker}"
                    await self._stream.want(Subscription(key=key, channel=channel, tickers=markets))
        self._due.set()

    def _new_quotes(self, event_ticker: str) -> EventQuotes:
        return EventQuotes(
            self._context.environment,
            event_ticker,
            least_us=int(self._settings.book_seconds * SECOND_US),
            full_us=int(self._settings.full_seconds * SECOND_US),
        )

    # What the stream says.

    async def follow(self) -> None:
        """Take the exchange's stream for ever."""
        await self._stream.want(Subscription(key=LIFECYCLE, channel=LIFECYCLE))
        async for event in self._stream.events():
            if type(event) is BookChanged:  # Nearly all of them.
                self._touch(event.book.ticker)
            else:
                await self._take(event)

    def _touch(self, ticker: str) -> None:
        event = self._event_of.get(ticker)
        quotes = None if event is None else self._quotes.get(event.event_ticker)
        if quotes is not None and quotes.touch(ticker):
            self._due.set()

    async def _take(self, event: Event) -> None:
        if isinstance(event, TickerSeen):
            live = self._event_of.get(event.ticker)
            if live is not None and event.volume_e2 is not None:
                live.volumes_e2[event.ticker] = event.volume_e2
        elif isinstance(event, LifecycleSeen):
            live = self.listing.take_lifecycle(event)
            if live is not None:
                await self._tell_changed()
                if event.event_type in {"created", "determined", "settled"}:
                    self._look.set()
        elif isinstance(event, FeeOverride):
            self.listing.take_fee(event)
            await self._tell_changed()
        elif isinstance(event, EventCreated):
            if event.event_ticker in self.listing.events:
                self._look.set()
        else:
            await self._take_trouble(event)

    async def _take_trouble(self, event: Event) -> None:
        if isinstance(event, Gap):
            self._gaps.inc(event.missed, event.channel)
            if event.channel == LIFECYCLE:
                self._look.set()
            else:
                await self._tell_books(is_full=True)
        elif isinstance(event, Refused):
            self._context.log.warning(
                "%s is refused with %d: %s", event.key, event.code, event.message
            )
            if event_ticker := event.key.partition(" ")[2]:
                self._followed.pop(event_ticker, None)  # The next look subscribes again.
                await self._stream.drop(event.key)
        elif isinstance(event, Disconnected):
            self._context.log.warning("the exchange's stream is gone: %s", event.reason)
            await self._tell_books(is_full=True)
            await self._tell_status()
        elif isinstance(event, Connected):
            self._look.set()
            self._due.set()
            await self._tell_status()

    # What we say.

    async def release(self) -> None:
        """Tell tops of books when they are due, for ever."""
        clock = self._context.clock
        while True:
            if not self._quotes or not self._stream.heard_us:
                await _sleep_or(self._due, clock, IDLE_S)
                continue
            self._due.clear()
            await self._tell_books()
            due_us = min((each.due_us() for each in self._quotes.values()), default=0)
            wait_us = max(due_us - clock.market_us(), LEAST_WAIT_US)
            if any(each.has_changes for each in self._quotes.values()):
                await clock.sleep_market(wait_us / SECOND_US)
            else:
                await _sleep_or(self._due, clock, wait_us / SECOND_US)

    async def _tell_books(self, *, is_full: bool = False) -> None:
        if not self._stream.heard_us:
            return  # Never connected yet: nothing is known, not even that nothing is there.
        now_us = self._context.clock.market_us()
        for event_ticker, quotes in tuple(self._quotes.items()):
            event = self.listing.events.get(event_ticker)
            if event is None:
                del self._quotes[event_ticker]
                continue
            books = self._books(event)
            update = quotes.update(
                books,
                event.volumes_e2,
                now_us,
                heard_us=min(self._stream.heard_us, now_us),
                is_full=is_full,
            )
            if update is not None:
                await self._publish("books", update)

    def _books(self, event: LiveEvent) -> dict[str, OrderBook]:
        books = self._stream.books
        return {ticker: books[ticker] for ticker in event.markets if ticker in books}

    async def tell_again(self) -> None:
        """Tell the markets of all live events again and again, for those that come late."""
        while True:
            await self._context.clock.sleep_wall(self._settings.again_seconds)
            now_us = self._context.clock.market_us()
            for event in tuple(self.listing.events.values()):
                if event.is_known and now_us < event.close_us + CLOSED_TOLD_US:
                    await self._publish("markets", event.message(self._context.environment, now_us))
            await self._tell_status()

    async def _tell_changed(self) -> None:
        """Store, then publish: the gate must know a market before anybody can wish for it."""
        now_us = self._context.clock.market_us()
        messages = []
        for event in tuple(self.listing.events.values()):
            if event.changed:
                event.changed = False
                message = event.message(self._context.environment, now_us)
                self._unwritten[event.event_ticker] = message
                messages.append(message)
        if messages:
            await self._write_events()
        for message in messages:
            await self._publish("markets", message)

    async def watch_status(self) -> None:
        """Read the exchange's status for ever; no answer is unknown, not closed."""
        while True:
            await self._context.clock.sleep_market(self._settings.status_seconds)
            try:
                self._exchange = await self._rest.status()
            except (Unavailable, Rejected) as error:
                self._exchange = None
                self._context.log.warning("the exchange's status is unknown: %s", error)
            await self._tell_status(only_changes=True)

    async def _tell_status(self, *, only_changes: bool = False) -> None:
        now_us, said = self._context.clock.market_us(), self._exchange
        status = ExchangeStatus(
            environment=self._context.environment,
            is_exchange_active=None if said is None else said.is_exchange_active,
            is_trading_active=None if said is None else said.is_trading_active,
            is_connected=self._stream.is_connected,
            resume_us=None if said is None else said.resume_at_us,
            at_us=now_us,
            seen_us=now_us,
        )
        self._paused.set(status.is_trading_active is False)
        old, self.status = self.status, status
        if not only_changes or old is None or _state_of(old) != _state_of(status):
            await self._publish("exchange_status", status)

    async def _publish(self, topic: str, message: Message) -> None:
        try:
            await self._context.bus.publish(topic, message)
            self._problem = ""
        except Unavailable as error:
            self._lost.inc()
            self._problem = str(error)

    # What is stored.

    async def write(self) -> None:
        """Store events, markets and tops in batches; what cannot be stored now waits."""
        while True:
            await self._context.clock.sleep_market(self._settings.write_seconds)
            await self._write_batch()

    async def _write_events(self) -> bool:
        """Store every event that changed; False if the database is not there."""
        while self._unwritten:
            ticker, event = next(iter(self._unwritten.items()))
            if not await self._store(
                f"event {ticker}", partial(market_history.write_event, event=event)
            ):
                return False
            if self._unwritten.get(ticker) is event:
                del self._unwritten[ticker]
        return True

    async def _write_batch(self) -> None:
        self._take_tops()
        if not await self._write_events():
            return
        tops = self._tops[-MOST_WAITING:]
        environment = self._context.environment
        if tops and await self._store(
            f"{len(tops)} tops of books",
            partial(market_history.write_book_tops, environment=environment, rows=tops),
        ):
            self._tops = [top for top in self._tops if top[0] > tops[-1][0]]

    async def _store(self, what: str, write: Callable[[Transaction], Awaitable[None]]) -> bool:
        """Store something; return False if the database is not there, so that it waits.

        What the database refuses is told and given up: it would be refused again.
        """
        try:
            async with self._context.database.transaction() as tx:
                await write(tx)
        except Unavailable as error:
            self._context.log.warning("%s must wait for the database: %s", what, error)
            return False
        except Rejected as error:
            self._context.log.error("%s cannot be stored: %s", what, error)  # noqa: TRY400 (no fault of ours)
        return True

    def _take_tops(self) -> None:
        del self._tops[:-MOST_WAITING]
        now_us = self._context.clock.market_us()
        earliest_us = now_us - int(self._settings.tops_seconds * SECOND_US)
        for event in self.listing.events.values():
            if not event.open_us <= now_us < event.close_us:
                continue
            for ticker, book in self._books(event).items():
                if book.is_valid and self._stored_us.get(ticker, 0) <= earliest_us:
                    self._stored_us[ticker] = now_us
                    self._tops.append((now_us, book.quote(event.volumes_e2.get(ticker))))

    def readiness(self) -> Readiness:
        """Ready while connected, with a live event whose books are whole."""
        if self._problem:
            return Readiness(is_ready=False, reason=self._problem)
        if not self._stream.is_connected:
            return Readiness(is_ready=False, reason="not connected to the exchange's stream")
        now_us = self._context.clock.market_us()
        live = [event for event in self.listing.events.values() if event.is_tradable(now_us)]
        if not live:
            return Readiness(is_ready=False, reason="the exchange lists no live event")
        books = self._books(min(live, key=lambda event: event.close_us)).values()
        whole = sum(book.is_valid for book in books)
        reason = "" if whole == len(books) else f"{len(books) - whole} books are not whole"
        return Readiness(is_ready=whole > 0, reason=reason)

    def service(self) -> Service:
        """Return it as a service."""
        return Service(
            recover=self.recover,
            tasks=(
                self.look,
                self.follow,
                self.release,
                self.tell_again,
                self.watch_status,
                self.write,
            ),
            readiness=self.readiness,
            drain=self._write_batch,
        )


def _state_of(status: ExchangeStatus) -> tuple[object, ...]:
    return (
        status.is_exchange_active,
        status.is_trading_active,
        status.is_connected,
        status.resume_us,
    )


async def _sleep_or(event: asyncio.Event, clock: Clock, market_s: float) -> None:
    """Sleep for market seconds, or until the event is set, which is then cleared."""
    timer = asyncio.ensure_future(clock.sleep_market(market_s))
    asked = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((timer, asked), return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
        asked.cancel()
    event.clear()


def _retry_s(event: LiveEvent, now_us: int, soon_s: float) -> float:
    """Return how soon to read an event again: soon around its opening and its close."""
    near_us = min(abs(now_us - event.open_us), abs(now_us - event.close_us))
    is_waiting_to_exist = not event.is_known and now_us < event.open_us
    return SLOW_RETRY_S if is_waiting_to_exist or near_us > HASTE_US else soon_s


def build(context: ServiceContext) -> Service:
    """Build the market watchdog of the context's environment."""
    return MarketWatch(context, load(Settings, context.row.name, context.settings)).service()
