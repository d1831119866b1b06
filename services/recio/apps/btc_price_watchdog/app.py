"""btc_price_watchdog: feeds in, prices out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import msgspec

from recio.adapters.kalshi.events import Connected, Disconnected, Gap, IndexSeen
from recio.adapters.kalshi.stream import INDEX, Subscription
from recio.adapters.kalshi.websocket import KalshiStream
from recio.adapters.postgres import market_history
from recio.adapters.price_feeds.feed import PriceFeed
from recio.apps.btc_price_watchdog.blend import SymbolPrices
from recio.domain.errors import Rejected, Unavailable
from recio.domain.messages import PriceHistory, PriceUpdate
from recio.domain.tickers import series_of
from recio.domain.units import MINUTE_US, SECOND_US, format_scaled, format_time_us
from recio.runtime.service import HttpRequest, HttpResponse, Readiness, Service, ServiceContext
from recio.runtime.settings import load

INDEX_OF: Final = {"BTC": "BRTI", "ETH": "ETHUSD_RTI"}
"""The index that each symbol's events settle on. Source: CF Benchmarks names on the exchange."""
LATE_US: Final = 2 * SECOND_US
"""A second is stored when its index and its trades have surely been heard."""
BACKFILL_PAUSE_S: Final = 15.0
MOST_WAITING: Final = 100_000


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """``RECIO_BTC_PRICE_WATCHDOG_*``; times are market time.

    An index value is published at once; ``spot_seconds`` is the least time between two updates
    that only the venues caused, ``write_seconds`` that between two batches to the database.
    ``history_minutes`` of closes are loaded at the start (momentum looks back 30 minutes; the
    volatility is better for a day).
    """

    spot_seconds: float = 0.2
    write_seconds: float = 5.0
    history_minutes: int = 1440


class PriceWatch:
    """Watches the prices of one environment's symbols."""

    def __init__(self, context: ServiceContext, settings: Settings) -> None:
        self._context = context
        self._settings = settings
        symbols = sorted({series_of(ticker).symbol for ticker in context.access.series})
        self.prices = {each: SymbolPrices(context.environment, each) for each in symbols}
        self.latest: dict[str, PriceUpdate] = {}
        self._by_index = {INDEX_OF[symbol]: self.prices[symbol] for symbol in symbols}
        self._feeds: list[PriceFeed] = [
            feed for symbol in symbols for feed in context.access.price_feeds(symbol)
        ]
        self._stream: KalshiStream = context.access.market_stream()
        self._published_us = 0
        self._dirty = asyncio.Event()
        self._waiting: list[market_history.PriceRow] = []
        self._minutes: list[market_history.MinuteRow] = []
        self._problem = ""
        self._index_problem = "the index stream is not connected yet"
        counter = context.metrics.counter
        self._ticks = counter("recio_price_ticks_total", "Prices heard.", "source")
        self._lost = counter("recio_price_updates_lost_total", "Updates that no bus took.")
        self._stream_gaps = counter("recio_price_stream_gaps_total", "Lost index frames.")

    # Inputs.

    async def follow_feed(self, feed: PriceFeed) -> None:
        """Take a venue's prices for ever."""
        prices = self.prices[feed.symbol]
        async for tick in feed.ticks():
            prices.take_tick(tick)
            self._ticks.inc(1, feed.source)
            self._dirty.set()

    async def follow_index(self) -> None:
        """Take the settlement index for ever."""
        wanted = Subscription(key=INDEX, channel=INDEX, index_ids=tuple(self._by_index))
        await self._stream.want(wanted)
        async for event in self._stream.events():
            if isinstance(event, IndexSeen):
                await self._take_index(event)
            elif isinstance(event, Connected):
                self._index_problem = ""
            elif isinstance(event, Disconnected):
                self._index_problem = event.reason
                self._context.log.warning("the index stream is gone: %s", event.reason)
            elif isinstance(event, Gap):
                self._stream_gaps.inc(event.missed)

    async def _take_index(self, event: IndexSeen) -> None:
        prices = self._by_index.get(event.index_id)
        if prices is None:
            return
        self._ticks.inc(1, event.index_id)
        if prices.take_index(event, self._context.clock.market_us()):
            await self._publish(prices)

    async def backfill(self, symbol: str) -> None:
        """Load the minute closes of the past once, trying until it works."""
        clock = self._context.clock
        while True:
            end_us = clock.market_us() // MINUTE_US * MINUTE_US
            start_us = end_us - self._settings.history_minutes * MINUTE_US
            try:
                source = self._context.access.candles(symbol)
                minutes = await source.minutes(symbol, start_us, end_us)
                await self._publish_history(symbol, source.source, minutes)
            except (Unavailable, Rejected) as error:
                self._context.log.warning("no minutes of the past for %s yet: %s", symbol, error)
                await clock.sleep_wall(BACKFILL_PAUSE_S)
            else:
                break
        await asyncio.Event().wait()

    async def _publish_history(
        self, symbol: str, source: str, minutes: tuple[tuple[int, int], ...]
    ) -> None:
        now_us = self._context.clock.market_us()
        self._minutes += [(symbol, at_us, close, source) for at_us, close in minutes]
        history = PriceHistory(
            environment=self._context.environment,
            symbol=symbol,
            at_us=minutes[-1][0] if minutes else now_us,
            seen_us=now_us,
            source=source,
            minutes=minutes,
        )
        await self._context.bus.publish("prices", history)
        self._context.log.info("loaded %d minutes of %s from %s", len(minutes), symbol, source)

    # Outputs.

    async def release(self) -> None:
        """Publish what only venues changed, and at least once a second how old everything is."""
        clock, least_us = self._context.clock, int(self._settings.spot_seconds * SECOND_US)
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            for prices in self.prices.values():
                due_us = self._seen_us(prices.symbol) + least_us
                wait_us = due_us - clock.market_us()
                if wait_us > 0:
                    await clock.sleep_market(wait_us / SECOND_US)
                if prices.changed:
                    await self._publish(prices)

    async def tick(self) -> None:
        """Let ages be seen when nothing is heard."""
        clock = self._context.clock
        while True:
            await clock.sleep_market(1.0)
            for prices in self.prices.values():
                if clock.market_us() - self._seen_us(prices.symbol) >= 2 * SECOND_US:
                    await self._publish(prices)

    def _seen_us(self, symbol: str) -> int:
        latest = self.latest.get(symbol)
        return 0 if latest is None else latest.seen_us

    async def _publish(self, prices: SymbolPrices) -> None:
        update = prices.update(self._context.clock.market_us())
        prices.changed = False
        if update is None:
            return
        self.latest[prices.symbol] = update
        try:
            await self._context.bus.publish("prices", update)
            self._problem = ""
        except Unavailable as error:
            self._lost.inc()
            self._problem = str(error)

    async def write(self) -> None:
        """Store seconds and minutes in batches; what cannot be stored now waits."""
        clock = self._context.clock
        while True:
            await clock.sleep_market(self._settings.write_seconds)
            await self._write_batch(clock.market_us() - LATE_US)

    async def drain(self) -> None:
        """Store what is left."""
        await self._write_batch(self._context.clock.market_us() + MINUTE_US)

    async def _write_batch(self, before_us: int) -> None:
        for prices in self.prices.values():
            self._waiting += prices.drain_seconds(before_us)
            self._minutes += prices.drain_minutes()
        del self._waiting[:-MOST_WAITING]
        seconds, minutes = self._waiting[:], self._minutes[:]
        if not seconds and not minutes:
            return
        environment = self._context.environment
        try:
            async with self._context.database.transaction() as tx:
                if seconds:
                    await market_history.write_prices(tx, environment, seconds)
                if minutes:
                    await market_history.write_minutes(tx, environment, minutes)
        except Unavailable as error:
            self._context.log.warning("%d seconds wait for the database: %s", len(seconds), error)
            return
        except Rejected as error:
            # Refused once, refused for ever: told and given up.
            self._context.log.error(  # noqa: TRY400 (no fault of ours)
                "%d seconds cannot be stored: %s", len(seconds), error
            )
        del self._waiting[: len(seconds)]
        del self._minutes[: len(minutes)]

    # What people and probes see.

    def readiness(self) -> Readiness:
        """Ready while every symbol has a fresh index value."""
        if self._problem:
            return Readiness(is_ready=False, reason=self._problem)
        now_us = self._context.clock.market_us()
        for symbol, prices in self.prices.items():
            update = prices.update(now_us)
            if update is None or (update.index_usd_e6 is None and update.spot_usd_e6 is None):
                return Readiness(is_ready=False, reason=self._index_problem or f"no {symbol} price")
            if update.index_usd_e6 is None:
                reason = self._index_problem or f"no fresh index value of {symbol}"
                return Readiness(is_ready=False, reason=reason)
        return Readiness(is_ready=True)

    async def btc_price(self, request: HttpRequest) -> HttpResponse:
        """Answer with the newest price: the index, or the spot where there is no index."""
        symbol = request.query.get("symbol", "BTC").upper()
        update = self.latest.get(symbol)
        body = None if update is None else price_body(update, self._context.clock.market_us())
        if body is None:
            return HttpResponse(503, msgspec.json.encode({"detail": f"no {symbol} price yet"}))
        return HttpResponse(200, body)

    def service(self) -> Service:
        """Return it as a service."""
        tasks: list[Callable[[], Awaitable[None]]] = [
            self.follow_index,
            self.release,
            self.tick,
            self.write,
        ]
        tasks += [partial(self.follow_feed, feed) for feed in self._feeds]
        tasks += [partial(self.backfill, symbol) for symbol in self.prices]
        return Service(
            tasks=tasks,
            readiness=self.readiness,
            routes={("GET", "/api/btc_price"): self.btc_price},
            drain=self.drain,
        )


def price_body(update: PriceUpdate, now_us: int) -> bytes | None:
    """Return the answer of /api/btc_price; None when no price is known."""
    is_index = update.index_usd_e6 is not None
    price = update.index_usd_e6 if is_index else update.spot_usd_e6
    at_us = update.index_at_us if is_index else update.spot_at_us
    if price is None or at_us is None:
        return None
    source = "index" if is_index else "spot"
    age_ms = max(now_us - at_us, 0) // 1000
    return (
        f'{{"price":{format_scaled(price, 6)},"source":"{source}","at":"{format_time_us(at_us)}",'
        f'"age_ms":{age_ms},"price_usd_e6":{price},"at_us":{at_us},"symbol":"{update.symbol}"}}'
    ).encode()


def build(context: ServiceContext) -> Service:
    """Build the price watchdog of the context's environment."""
    return PriceWatch(context, load(Settings, context.row.name, context.settings)).service()
