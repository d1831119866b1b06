"""unified_production_coordinator: bus in, snapshot fold, bus out."""

from __future__ import annotations

import asyncio
import hashlib
import lzma
from collections import Counter
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from recio import data
from recio.adapters.postgres import snapshots as latest
from recio.domain.account_config import Model
from recio.domain.errors import InvalidValue, Unavailable
from recio.domain.fingerprints import Fingerprints
from recio.domain.messages import (
    BookUpdate,
    EventMarkets,
    ExchangeStatus,
    PriceHistory,
    PriceUpdate,
    Snapshot,
)
from recio.domain.units import HOUR_US, MINUTE_US, SECOND_US
from recio.domain.volatility_model import VolatilityModel
from recio.engine import snapshot
from recio.engine.journal import SnapshotStarted
from recio.engine.snapshot import Event, State, Tick
from recio.ports import Database
from recio.runtime.journal import Journal
from recio.runtime.service import HttpRequest, HttpResponse, Readiness, Service, ServiceContext
from recio.runtime.settings import load

FRESH_US: Final = 15 * SECOND_US
LOOK_BACK_PAUSE_S: Final = 5.0
LOOK_BACK_TRIES: Final = 60
LOOK_BACK_US: Final = 24 * HOUR_US
LIVE_POLL_S: Final = 2.0
INPUTS: Final = (PriceUpdate, PriceHistory, EventMarkets, BookUpdate, ExchangeStatus)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """``RECIO_UNIFIED_PRODUCTION_COORDINATOR_*``.

    ``model`` makes the probability and edges that the page shows; an account's own choice decides
    what it trades on. ``fingerprints`` is a packaged name, or the path (with a ``/``) of tables that
    ``recio model build`` wrote; other symbols have packaged ones. ``latest_seconds`` of market time
    lie between two writes of the newest snapshots, ``snapshots_per_second`` is the most that an open
    event gets. ``early_seconds`` is the least time between two snapshots of an event that closes in
    more than 20 minutes; 0: no other.
    """

    model: Model = Model.FINGERPRINTS
    fingerprints: str = data.fingerprint_names()[0]
    latest_seconds: Annotated[float, Meta(ge=0.1, le=3600)] = 1.0
    snapshots_per_second: Annotated[int, Meta(ge=1, le=10)] = 10
    early_seconds: Annotated[int, Meta(ge=0, le=10)] = 0


def fingerprints(wanted: str) -> list[tuple[str, Fingerprints]]:
    """Return checksum and tables of what is wanted, and of each other symbol that is packaged.

    Raises:
        InvalidValue: no such name or file, or no tables in it.
    """
    found: dict[str, tuple[str, Fingerprints]] = {}
    for name in (wanted, *data.fingerprint_names()):
        if name.partition("_")[0].upper() not in found:
            content = _read(name) if "/" in name else data.fingerprints_bytes(name)
            prints = Fingerprints(content)
            found[prints.symbol] = hashlib.sha256(content).hexdigest(), prints
    return list(found.values())


def _read(path: str) -> bytes:
    try:
        content = Path(path).read_bytes()
        return lzma.decompress(content) if path.endswith(".xz") else content
    except (OSError, lzma.LZMAError, EOFError) as error:
        raise InvalidValue(f"fingerprints {path}: cannot be read: {error}") from error


class Coordinator:
    """Makes the snapshots of one environment."""

    def __init__(self, context: ServiceContext, settings: Settings) -> None:
        self._context = context
        self._settings = settings
        tables = fingerprints(settings.fingerprints)
        self._tables_sha256 = tuple(digest for digest, _ in tables)
        models = [data.volatility_bytes(name) for name in data.volatility_names()]
        self._models_sha256 = tuple(hashlib.sha256(each).hexdigest() for each in models)
        read = [VolatilityModel(each) for each in models]
        self.state = State(
            context.environment,
            fingerprints={prints.symbol: prints for _, prints in tables},
            volatility={each.symbol: each for each in read},
            model=settings.model,
            open_interval_us=SECOND_US // settings.snapshots_per_second,
            early_interval_us=settings.early_seconds * SECOND_US,
        )
        self._journal = Journal(context, generation=lambda: self.state.generation)
        self._newest: dict[str, Snapshot] = {}
        self._unwritten: dict[str, Snapshot] = {}
        self._order = asyncio.Lock()
        self._held_back = asyncio.Event()
        self._problem = "has not seen a live event yet"
        self._counted: Counter[str] = Counter()
        self._made = context.metrics.counter("recio_snapshots_total", "Snapshots made.")
        self._refused = context.metrics.counter(
            "recio_snapshot_inputs_refused_total", "Messages that were refused.", "reason"
        )

    async def recover(self) -> None:
        """Go on above the last generation, and load the look-backs."""
        now_us = self._context.clock.market_us()
        async with self._context.database.transaction() as tx:
            stored = await latest.newest_generation(tx, self._context.environment)
        # A hundred a second is more than is ever made, so the clock alone keeps generations rising
        # when the row is lost: it lies in an unlogged table.
        self.state.generation = max(stored + 1000, now_us // (SECOND_US // 100))
        self._journal.append(
            SnapshotStarted(
                at_us=now_us,
                environment=self.state.environment,
                model=self.state.model,
                generation=self.state.generation,
                open_interval_us=self.state.open_interval_us,
                early_interval_us=self.state.early_interval_us,
                fingerprints=self._tables_sha256,
                volatility=self._models_sha256,
            )
        )
        await self._look_back()

    async def look_back(self) -> None:
        """Read stored minutes again until momentum is whole: their message may have been missed."""
        for _ in range(LOOK_BACK_TRIES):
            await self._context.clock.sleep_wall(LOOK_BACK_PAUSE_S)
            symbols = self.state.symbols.values()
            if not symbols or any(not symbol.momentum.is_complete for symbol in symbols):
                try:
                    await self._look_back()
                except Unavailable as error:
                    self._context.log.warning("the past is not read: %s", error)
        await asyncio.Event().wait()

    async def _look_back(self) -> None:
        now_us, environment = self._context.clock.market_us(), self._context.environment
        async with self._context.database.transaction() as tx:
            minutes = await latest.recent_minutes(tx, environment, since_us=now_us - LOOK_BACK_US)
        for symbol, closes in minutes.items():
            await self._take(
                PriceHistory(
                    environment=environment,
                    symbol=symbol,
                    at_us=now_us,
                    seen_us=now_us,
                    source="market.minutes",
                    minutes=closes,
                )
            )

    async def read_bus(self) -> None:
        """Fold every message for ever."""
        topics = ("prices", "books", "markets", "exchange_status")
        async for _topic, message in self._context.bus.subscribe(*topics):
            if isinstance(message, INPUTS):
                await self._take(message)

    async def tick(self) -> None:
        """Let time pass, so that a picture without news shows growing ages."""
        while True:
            await self._context.clock.sleep_market(1.0)
            await self._take(Tick(self._context.clock.market_us()))

    async def release(self) -> None:
        """Bring out changes that were held back as soon as they may come."""
        while True:
            due_us = snapshot.next_due_us(self.state)
            if due_us is None:
                self._held_back.clear()
                await self._held_back.wait()
                continue
            wait_us = due_us - self._context.clock.market_us()
            await self._context.clock.sleep_market(max(wait_us, 1000) / SECOND_US)
            await self._take(Tick(self._context.clock.market_us()))

    async def write_latest(self) -> None:
        """Write the newest snapshots of all events, and drop closed ones once a minute."""
        cleaned_us = 0
        pause_s = self._settings.latest_seconds * backup_factor(self._context.database)
        while True:
            await self._context.clock.sleep_market(pause_s)
            now_us = self._context.clock.market_us()
            is_cleaning = now_us - cleaned_us > MINUTE_US
            waiting, self._unwritten = self._unwritten, {}
            if not waiting and not is_cleaning:
                continue
            try:
                async with self._context.database.transaction() as tx:
                    await latest.write_latest(tx, waiting.values())
                    if is_cleaning:
                        cleaned_us = now_us
                        environment = self._context.environment
                        before_us = now_us - HOUR_US
                        await latest.forget_closed(tx, environment, closed_before_us=before_us)
            except Unavailable as error:
                self._unwritten = {**waiting, **self._unwritten}
                self._context.log.warning("the newest snapshots are not written: %s", error)

    async def _take(self, event: Event) -> None:
        # Two tasks fold and publish; generations must leave in the order in which they were made.
        async with self._order:
            if self._journal.is_closed:
                return
            self._journal.append(event)
            _, made = snapshot.step(self.state, event)
            for one in made:
                self._newest[one.event_ticker] = self._unwritten[one.event_ticker] = one
                await self._publish(one)
        if self.state.refused:
            self._count_refused()
        if not self._held_back.is_set() and snapshot.next_due_us(self.state) is not None:
            self._held_back.set()

    async def _publish(self, made: Snapshot) -> None:
        self._made.inc()
        try:
            await self._context.bus.publish("snapshots", made)
            self._problem = ""
        except Unavailable as error:
            self._problem = str(error)

    def _count_refused(self) -> None:
        for reason, count in self.state.refused.items():
            fresh = count - self._counted[reason]
            if fresh:
                self._refused.inc(fresh, reason)
                self._counted[reason] = count

    def readiness(self) -> Readiness:
        """Ready while snapshots with a fresh price leave."""
        now_us = self._context.clock.market_us()
        live = [one for one in self._newest.values() if one.close_us > now_us]
        if self._problem or not live:
            return Readiness(is_ready=False, reason=self._problem or "no live event")
        newest = max(live, key=lambda one: one.at_us)
        if now_us - newest.at_us > FRESH_US:
            return Readiness(is_ready=False, reason="no snapshot for 15 seconds")
        is_known = newest.price_at_us is not None and now_us - newest.price_at_us <= FRESH_US
        return Readiness(is_ready=is_known, reason="" if is_known else "no fresh index price")

    async def strike_tables(self, request: HttpRequest) -> HttpResponse:
        """Answer with the newest snapshot of each live event."""
        now_us = self._context.clock.market_us()
        live = [one for one in self._newest.values() if one.close_us > now_us]
        symbol = request.query.get("symbol")
        wanted = [one for one in live if symbol in (None, one.symbol)]
        return HttpResponse(200, msgspec.json.encode(wanted))

    def service(self) -> Service:
        """Return it as a service."""
        return Service(
            recover=self.recover,
            tasks=(
                self.read_bus,
                self.tick,
                self.release,
                self.look_back,
                self.write_latest,
                self._journal.write,
            ),
            readiness=self.readiness,
            routes={("GET", "/api/strike_table"): self.strike_tables},
            drain=self._journal.close,
        )


def backup_factor(database: Database) -> float:
    """Return how much rarer than live what only backs up is done: nothing is lost when stepped."""
    return max(database.poll_seconds / LIVE_POLL_S, 1.0)


def build(context: ServiceContext) -> Service:
    """Build the coordinator of the context's environment."""
    return Coordinator(context, load(Settings, context.row.name, context.settings)).service()
