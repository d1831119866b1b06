"""``recio up --fast``: a period of market time in one process, stepped, as fast as it goes.

The same services on the same state directory as a live local run, but with virtual time: it jumps
to the next timer whenever all are idle, transactions are atomic steps, the bus and the connections
to the exchange are in memory. At the end the exchange's cash is compared with our ledger. Services
that only show or watch (the page, the monitors) take no part.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TextIO
from urllib.parse import urlsplit

import msgspec

from recio.adapters.postgres.hints import Hints
from recio.adapters.postgres.stepped import SteppedDatabase
from recio.domain.errors import Broken, Rejected
from recio.domain.units import SECOND_US, as_datetime, format_scaled, format_time_us
from recio.engine.snapshot import EARLY_US
from recio.exchange_simulator.app import (
    build_mirror,
    build_simulator,
    mirror_service_of,
    service_of,
)
from recio.exchange_simulator.simulator import Simulator
from recio.manifest import Scope, ServiceRow
from recio.ports import Bus, Clock, Database, HttpTransport, Ids, WebSocketTransport
from recio.runtime import json_log
from recio.runtime.access import Transports
from recio.runtime.clock import SteppedClock
from recio.runtime.host import Host, Placement, entry
from recio.runtime.ids import SeededIds
from recio.runtime.local import prepare, production
from recio.runtime.local.environment import LocalEnvironment
from recio.runtime.local.ground import Ground, Store, lay, open_store
from recio.runtime.local.keys import ensure_keys, ensure_read_key
from recio.runtime.local.options import UpOptions
from recio.runtime.local.plan import SIMULATOR, PlannedProcess, plan
from recio.runtime.local.state import StateDirectory
from recio.runtime.process import DatabaseAddress, Process
from recio.runtime.service import Service, ServiceContext
from recio.runtime.stepped import SteppedLoop, cancel_all

NOTE_SECONDS: Final = 600
SPEED: Final = 5
"""Market seconds in a second of the loop: leases and polls take a fifth of the time they would."""
QUICK: Final = ("synchronous_commit=off",)
"""A stepped run that is cut is begun again from its last note of the time, or fresh."""
ADDRESS: Final = "http://127.0.0.1:9"
PRODUCTION_PORT: Final = 10
"""Never connected to: the transports are in memory."""

SETTINGS: Final = {
    # One second is the step of the recording: within it nothing more would be learned.
    "RECIO_EXCHANGE_SIMULATOR_IS_FINE": "false",
    "RECIO_UNIFIED_PRODUCTION_COORDINATOR_SNAPSHOTS_PER_SECOND": "1",
    # Nobody looks meanwhile: what is stored or told again for others' eyes may come in minutes.
    "RECIO_BTC_PRICE_WATCHDOG_WRITE_SECONDS": "60",
    "RECIO_KALSHI_API_WATCHDOG_WRITE_SECONDS": "60",
    "RECIO_KALSHI_API_WATCHDOG_STATUS_SECONDS": "60",
    "RECIO_KALSHI_API_WATCHDOG_AGAIN_SECONDS": "60",
    # The stream tells of every step of an event; reading it again is for what the stream lost.
    "RECIO_KALSHI_API_WATCHDOG_RETRY_SECONDS": "15",
}
"""What differs from a live run."""

Say = Callable[[str], None]


class MemoryTransports:
    """Connections within the process."""

    def __init__(self) -> None:
        self.simulator: Simulator | None = None
        self.production: Simulator | None = None

    def http(self, url: str) -> HttpTransport:
        """Return a transport to the exchange."""
        return self._made(url).http()

    def websocket(self, url: str) -> WebSocketTransport:
        """Return a transport to the exchange."""
        return self._made(url).websockets()

    def _made(self, url: str) -> Simulator:
        found = self.production if urlsplit(url).port == PRODUCTION_PORT else self.simulator
        if found is None:
            raise Broken(f"a stepped run has no network: {url}")
        return found


class SteppedWiring:
    """One process, virtual time, everything in memory but the database."""

    def __init__(self, loop: SteppedLoop, start_us: int, seed: str) -> None:
        from recio.testing.memory_bus import MemoryBus  # noqa: PLC0415 (needed here only)

        self.ids: Ids = SeededIds(seed)
        self.bus: Bus = MemoryBus()
        self.wide_bus: Bus = self.bus
        self.memory = MemoryTransports()
        self.transports: Transports = self.memory
        self.made_clock = SteppedClock(loop, start_us, speed=SPEED)
        self._hints = Hints()

    def database(self, address: DatabaseAddress, row: ServiceRow, account: str | None) -> Database:
        """Return a new stepped database port."""
        whose = f" {account}" if account else ""
        return SteppedDatabase(address.whole(), hints=self._hints, name=f"recio {row.name}{whose}")

    async def clock(self, _database: Database, _row: ServiceRow) -> Clock:
        """Return virtual time."""
        return self.made_clock

    async def close(self) -> None:
        """Do nothing: it is all in memory."""


@dataclass(slots=True, kw_only=True)
class FastRun:
    """One stepped run."""

    options: UpOptions
    ensure_admin: prepare.EnsureAdmin
    say: Say
    _loop: SteppedLoop = field(default_factory=SteppedLoop)

    def run(self) -> int:
        """Run the period; return 0 if the books are equal at its end."""
        seconds = self.options.fast_seconds or 0
        with ExitStack() as undo:
            ground = lay(self.options, undo, self.say)
            if ground.world.is_live:
                raise Rejected(f"--fast: the books in {ground.state.path} follow live prices")
            store = open_store(
                self.options,
                ground,
                undo,
                self.say,
                ensure_admin=self.ensure_admin,
                extra=QUICK,
            )
            json_log.set_up(level="WARNING", stream=undo.enter_context(_log(ground.state)))
            return self._step(ground, store, seconds)

    def _step(self, ground: Ground, store: Store, seconds: int) -> int:
        start_us = store.market_time.t0_us
        wiring = SteppedWiring(self._loop, start_us, f"{start_us}")
        stage = _Stage(_environment(self.options, ground, store), wiring, store.owner_url)
        began_s = time.monotonic()
        self.say(f"from {format_time_us(start_us)[:19]} on for {seconds} s of market time")
        gc.disable()
        try:
            status = self._loop.run_until_complete(stage.run(seconds, self.say))
        finally:
            gc.enable()
            cancel_all(self._loop)
        took_s = time.monotonic() - began_s
        self.say(f"{seconds} s of market time in {took_s:.1f} s, {self._loop.steps} steps")
        return status


class _Stage:
    """All services of the run, in one host without a server."""

    def __init__(
        self, environment: LocalEnvironment, wiring: SteppedWiring, owner_url: str
    ) -> None:
        self._environment = environment
        self._wiring = wiring
        self._playing: asyncio.Task[None] | None = None
        self._owner = SteppedDatabase(owner_url, name="recio up")
        planned = PlannedProcess("stepped", tuple(_taking_part(environment)), 0)
        values = {
            **environment.values(planned),
            **SETTINGS,
            **_early(environment),
        }
        self._process = Process(environment.settings(planned), values, wiring)
        self._host = Host(
            placements=planned.placements,
            make_context=self._process.context,
            metrics=self._process.metrics,
            build=self._build,
        )

    def _build(self, context: ServiceContext) -> Service:
        if context.row.name != SIMULATOR:
            return entry(context.row)(context)
        if context.access.is_mirrored:
            simulator, reading = build_mirror(context)
            service = mirror_service_of(simulator, reading)
        else:
            simulator = build_simulator(context)
            service = service_of(simulator)
        self._wiring.memory.simulator = simulator
        service.recover = partial(self._recover_exchange, service.recover)
        return service

    async def _recover_exchange(self, recover: Callable[[], Awaitable[None]] | None) -> None:
        simulator, environment = self._wiring.memory.simulator, self._environment
        assert simulator is not None
        assert recover is not None
        await recover()
        await ensure_keys(
            simulator.http(),
            environment.credentials,
            environment.balances(),
            has_reader=not environment.world.is_shadow,
        )

    async def _play_production(self) -> None:
        """Let an exchange of ours play the production that a shadow reads, for ever."""
        wiring, world = self._wiring, self._environment.world
        played = production.simulator_of(world, wiring.made_clock, wiring.ids, is_fine=False)
        wiring.memory.production = played
        await played.recover()
        await ensure_read_key(played.http(), self._environment.credentials)
        self._playing = asyncio.create_task(played.run(), name=production.NAME)

    async def run(self, seconds: int, say: Say) -> int:
        """Run so long in market time, stop, compare the books."""
        loop = asyncio.get_running_loop()
        if self._environment.world.has_stand_in:
            await self._play_production()
        running = asyncio.ensure_future(self._host.run_services())
        end_s = loop.time() + seconds / SPEED
        while loop.time() < end_s and not running.done():
            left_s = min(NOTE_SECONDS / SPEED, end_s - loop.time())
            await asyncio.wait([running], timeout=left_s)
            await self._note(ahead_us=NOTE_SECONDS * SECOND_US)
            say(f"  {format_time_us(self._wiring.made_clock.market_us())[:19]}")
        self._host.stop()
        await running
        await self._note(ahead_us=0)
        status = await self._compare(say)
        await self._process.close()
        await self._owner.close()
        return status

    async def _note(self, *, ahead_us: int) -> None:
        at_us = self._wiring.made_clock.market_us() + ahead_us
        async with self._owner.transaction() as tx:
            await tx.execute(
                "UPDATE ops.environments SET market_at = %s WHERE environment = %s",
                as_datetime(at_us),
                self._environment.world.environment,
            )

    async def _compare(self, say: Say) -> int:
        """Compare the exchange's cash with our ledger, to the micro-dollar."""
        is_equal = True
        for account in self._environment.accounts:
            theirs = await self._exchange_cash(account.name)
            async with self._owner.transaction() as tx:
                row = await tx.fetch_one(
                    "SELECT (SELECT cash_usd_e6 FROM trading.totals WHERE account = %s), "
                    "(SELECT count(*) FROM trading.trades WHERE account = %s), "
                    "(SELECT count(*) FROM trading.trades WHERE account = %s "
                    "AND state = 'settled')",
                    *(account.name, account.name, account.name),
                )
            ours, trades, settled = row or (None, 0, 0)
            is_equal = is_equal and ours == theirs
            verdict = "equal" if ours == theirs else "DIFFERENT"
            say(
                f"{account.name}: {trades} trades, {settled} settled; cash at the exchange "
                f"${format_scaled(theirs, 6)}, in our ledger "
                f"{'unknown' if ours is None else '$' + format_scaled(ours, 6)}: {verdict}"
            )
        return 0 if is_equal and self._was_only_read(say) else 1

    def _was_only_read(self, say: Say) -> bool:
        """Tell whether whoever plays production was asked for nothing but to be read."""
        played = self._wiring.memory.production
        if played is None:
            return True
        say(production.asked_words(played))
        return production.was_only_read(played)

    async def _exchange_cash(self, account: str) -> int:
        reply = await self._wiring.memory.http(ADDRESS).request(
            "GET", f"/admin/accounts/{account}", {}, timeout_s=5
        )
        truth = msgspec.json.decode(reply.body, type=dict[str, Any])
        return int(truth["cash_usd_e6"])


def _environment(options: UpOptions, ground: Ground, store: Store) -> LocalEnvironment:
    return LocalEnvironment(
        options=options,
        accounts=ground.accounts,
        database_url=store.url,
        passwords=store.passwords,
        redis_url="",
        credentials=ground.state.credentials,
        world=ground.world,
        exchange_port=9,
        production_port=PRODUCTION_PORT,
        processes=plan(ground.accounts, ui_port=0),
        ports={"stepped": 0},
    )


def _taking_part(environment: LocalEnvironment) -> list[Placement]:
    return [
        placed
        for process in environment.processes
        for placed in process.placements
        if placed.row.scope is not Scope.SHARED
    ]


def _early(environment: LocalEnvironment) -> dict[str, str]:
    """Return how rarely to look at events before anybody may enter them."""
    entries = [account.strategy.auto_entry for account in environment.accounts]
    is_late = all(one.max_seconds_to_close * SECOND_US <= EARLY_US for one in entries)
    return {"RECIO_UNIFIED_PRODUCTION_COORDINATOR_EARLY_SECONDS": "5"} if is_late else {}


def _log(state: StateDirectory) -> TextIO:
    return state.log_file("fast").open("a", encoding="utf-8")


def run_fast(options: UpOptions, *, ensure_admin: prepare.EnsureAdmin, say: Say) -> int:
    """Run a period stepped; return 0 if the books are equal at its end."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    return FastRun(options=options, ensure_admin=ensure_admin, say=say).run()
