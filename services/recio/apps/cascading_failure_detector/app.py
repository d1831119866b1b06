"""cascading_failure_detector: folds health into breakers and writes them as switches."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from recio import manifest
from recio.adapters.postgres import operations, switches
from recio.domain.account_config import Trading
from recio.domain.errors import Unavailable
from recio.domain.messages import Health
from recio.engine import breakers
from recio.engine.breakers import Command, Report, Rules, State, Subject, Tick, Trip
from recio.manifest import Scope, ServiceRow
from recio.runtime import settings as runtime_settings
from recio.runtime.service import Readiness, Service, ServiceContext

TICK_S: Final = 5.0
RETRY_S: Final = 1.0

NOT_GUARDING: Final = frozenset({"auto_entry_supervisor", "trade_initiator"})
"""Without these two there is no entry at all, so there is nothing to block."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Variables ``RECIO_CASCADING_FAILURE_DETECTOR_*``: how long and how often."""

    trip_after_seconds: Annotated[int, Meta(ge=5, le=3600)] = 30
    starting_seconds: Annotated[int, Meta(ge=5, le=3600)] = 120
    release_after_seconds: Annotated[int, Meta(ge=5, le=3600)] = 30
    stale_after_seconds: Annotated[int, Meta(ge=5, le=3600)] = 30
    trips_per_hour: Annotated[int, Meta(ge=1, le=60)] = 4


def dependencies(rows: Iterable[ServiceRow]) -> dict[str, frozenset[str]]:
    """Return what each service cannot work without: writers of what it reads, and the exchange.

    Feedback is left out: it is read, but not waited for.
    """
    rows = tuple(rows)
    writers = {topic: row.name for row in rows for topic in row.writes}
    exchanges = {row.name for row in rows if row.scope is Scope.PAPER}
    return {
        row.name: frozenset(
            {writers[topic] for topic in row.reads if topic in writers}
            | (exchanges if "exchange" in row.egress else set())
        )
        for row in rows
    }


def guards(rows: Iterable[ServiceRow]) -> frozenset[str]:
    """Return the services without which an entry would be unsafe: all that watch price or money."""
    return frozenset(row.name for row in rows if row.scope is not Scope.SHARED) - NOT_GUARDING


class CascadingFailureDetector:
    """The breakers of the release."""

    def __init__(self, context: ServiceContext, settings: Settings) -> None:
        self._context = context
        self._rules = Rules(
            depends_on=dependencies(manifest.SERVICES),
            guards=guards(manifest.SERVICES),
            trip_after_s=settings.trip_after_seconds,
            starting_s=settings.starting_seconds,
            release_after_s=settings.release_after_seconds,
            stale_after_s=settings.stale_after_seconds,
            trips_per_hour=settings.trips_per_hour,
        )
        self._state = State(rules=self._rules)
        self._unwritten: deque[Command] = deque()
        self._problem = "has not read the open breakers yet"
        self._tripped = context.metrics.counter(
            "recio_breakers_tripped_total", "Breakers that tripped.", "root_cause"
        )
        self._open = context.metrics.gauge("recio_breakers_open", "Breakers that are open.")

    async def recover(self) -> None:
        """Take up the breakers that are open."""
        async with self._context.database.transaction() as tx:
            found = await operations.open_breakers(tx)
        # Stored in market time; a trip before this start counts from this start in wall time.
        now_us = self._context.clock.wall_us()
        self._state = breakers.start(self._rules, [(subject, now_us) for subject, _ in found])
        self._open.set(len(found))
        self._problem = ""

    async def hear(self) -> None:
        """Fold what the monitor says, for ever."""
        async for _, message in self._context.bus.subscribe("health"):
            if isinstance(message, Health) and message.service in manifest.BY_NAME:
                self._fold(
                    Report(
                        Subject(message.service, message.account or ""),
                        message.is_ready,
                        message.reason,
                        self._context.clock.wall_us(),
                    )
                )

    async def tick(self) -> None:
        """Let time pass and write what is to be written, for ever."""
        while True:
            self._fold(Tick(self._context.clock.wall_us()))
            await self.write()
            await self._context.clock.sleep_wall(RETRY_S if self._unwritten else TICK_S)

    def _fold(self, event: Report | Tick) -> None:
        self._state, commands = breakers.step(self._state, event)
        self._unwritten.extend(commands)

    async def write(self) -> None:
        """Write the switches; one that cannot be written now is written later, in order."""
        while self._unwritten:
            command = self._unwritten[0]
            try:
                await self._write(command)
            except Unavailable as error:
                self._problem = f"a breaker could not be written: {error}"
                self._context.log.warning("%s", self._problem)
                return
            self._unwritten.popleft()
            self._tell(command)
        self._problem = ""

    async def _write(self, command: Command) -> None:
        # The breaker's own times are wall time; what is stored is market time like every row.
        at_us = self._context.clock.market_us()
        stored = msgspec.structs.replace(command, at_us=at_us)
        async with self._context.database.transaction() as tx:
            await operations.write_breaker(tx, stored)
            await switches.set_switch(
                tx,
                command.subject.scope,
                f"breaker:{command.subject.service}",
                Trading.NO_NEW_ENTRIES if isinstance(command, Trip) else Trading.ACTIVE,
                reason=operations.breaker_reason(command),
                author=self._context.row.name,
                at_us=at_us,
            )

    def _tell(self, command: Command) -> None:
        self._open.set(len(self._state.open))
        if isinstance(command, Trip):
            self._tripped.inc(1, command.subject.service)
        self._context.log.warning("%s", operations.breaker_reason(command))

    def readiness(self) -> Readiness:
        """Whether breakers can be written."""
        return Readiness(is_ready=not self._problem, reason=self._problem)


def build(context: ServiceContext) -> Service:
    """Build the detector."""
    settings = runtime_settings.load(Settings, context.row.name, context.settings)
    detector = CascadingFailureDetector(context, settings)
    return Service(
        recover=detector.recover,
        tasks=(detector.hear, detector.tick),
        readiness=detector.readiness,
    )
