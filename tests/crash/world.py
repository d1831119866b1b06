"""One run of the script with real processes, and the killing at one boundary of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote

from tests.crash import judging, state
from tests.crash.boundaries import Boundaries, Point, Side
from tests.crash.ground import Life, Nursery, begin_time, copied, settings_of, soon
from tests.crash.market import AFTER_US, FrozenMarket, Venue
from tests.crash.proxy import ExchangeProxy, PostgresProxy, listening
from tests.crash.script import PHASES, Desk, NotAtRest, Phase

from recio.adapters.postgres.database import PostgresDatabase
from recio.runtime.local.children import PAUSE_FIRST_S
from recio.runtime.local.embedded import POSTGRES_PORT, EmbeddedPostgres

PER_SERVICE = {
    name: (name,)
    for name in ("kalshi_account_sync", "trade_executor", "trade_initiator", "trade_manager")
}
COMPACT = {"compact": tuple(PER_SERVICE)}
RUN_S = 240.0
"""Twenty times what a run takes: whatever waits for ever in it is a finding of its phase."""
LATE_S = 0.5
"""How long after the new process is ready the late bytes arrive: its look-up is over by then."""
PROBE_S = 0.01
PROBE_MOST_S = 10.0
SILENCE_S = 0.08
"""Longer than followers wait before they look (settle_seconds), shorter than any poll."""


@dataclass(slots=True, kw_only=True)
class Run:
    """What came of one run."""

    state: state.State | None = None
    seen: list[Point] = field(default_factory=list)
    was_hit: bool = False
    broken: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    recovery_s: float | None = None
    problem: str = ""

    @property
    def has_stalled(self) -> bool:
        """Whether an order ended because its sender stood still for longer than a signature lives."""
        return any("rejected not sent: signed" in reason for reason in self.reasons)


class World:
    """A place for runs, one after the other: proxies, an exchange's port and a nursery."""

    def __init__(
        self,
        name: str,
        postgres: EmbeddedPostgres,
        directory: Path,
        topology: dict[str, tuple[str, ...]] = PER_SERVICE,
    ) -> None:
        self.name = name
        self.topology = topology
        self._postgres = postgres
        self._directory = directory / name
        self._nursery = Nursery()
        self._venue = Venue()
        self._boundaries = Boundaries()
        self._ports: dict[str, tuple[int, int]] = {}
        self._http_ports = {service: free_port() for service in topology}
        self._lives: dict[str, Life] = {}

    @property
    def log(self) -> Path:
        """Where the processes of the last run wrote."""
        return self._directory / "services.log"

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Open everything that lasts longer than a run."""
        self._directory.mkdir(parents=True, exist_ok=True)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._nursery.open())
            await stack.enter_async_context(self._venue.open())
            for service in self.topology:
                here = lambda: self._boundaries  # noqa: E731 (each run has its own)
                database = PostgresProxy(service, self._to_postgres, here)
                exchange = ExchangeProxy(service, self._to_exchange, here)
                self._ports[service] = (
                    await stack.enter_async_context(listening(database)),
                    await stack.enter_async_context(listening(exchange)),
                )
            yield

    async def _to_postgres(self):
        return await asyncio.open_unix_connection(
            str(self._postgres.sockets / f".s.PGSQL.{POSTGRES_PORT}")
        )

    async def _to_exchange(self):
        return await asyncio.open_connection("127.0.0.1", self._venue.port)

    async def run(self, point: Point | None = None) -> Run:
        """Play the script once, and kill at a boundary of it."""
        self.log.unlink(missing_ok=True)
        self._boundaries = Boundaries(armed=point)
        run = Run(seen=self._boundaries.seen)
        with copied(self._postgres, f"crash_{self.name}") as url:
            owner = PostgresDatabase(url, connections=2, name="desk")
            try:
                async with asyncio.timeout(RUN_S):
                    await self._play(owner, url, run, point)
            except (NotAtRest, TimeoutError) as error:
                said = str(error) or f"not over after {RUN_S:g} s"
                run.problem = f"in phase {self._boundaries.phase!r}: {said}"
            finally:
                await self._end(owner)
        return run

    async def trade_over_a_kill(self, service: str) -> float:
        """Kill a service, wish at that moment; return the seconds until the trade is open."""
        self._boundaries = Boundaries()
        with copied(self._postgres, f"crash_{self.name}") as url:
            owner = PostgresDatabase(url, connections=2, name="desk")
            market = FrozenMarket(await begin_time(owner))
            await market.open_account(self._directory)
            try:
                async with self._venue.plays(market):
                    return await self._trade(Desk(owner, market), service)
            finally:
                await self._end(owner)

    async def _trade(self, desk: Desk, service: str) -> float:
        for name in self.topology:
            await self._start(name)
        for name in self.topology:
            await self._ready(name)
        await desk.wait(partial(self._unrest, desk, asyncio.get_running_loop().create_future()))
        victim = self._lives[service]
        os.kill(victim.pid, signal.SIGKILL)
        killed_s = time.monotonic()
        await PHASES[1].act(desk)
        await self._nursery.end([victim])
        await asyncio.sleep(PAUSE_FIRST_S)
        await self._start(service)
        await desk.wait(desk.no_open_trade)
        return time.monotonic() - killed_s

    async def _end(self, owner: PostgresDatabase) -> None:
        self._boundaries.decide(lets_through=False)
        await self._nursery.end(list(self._lives.values()))
        self._lives.clear()
        await owner.close()

    async def _play(self, owner: PostgresDatabase, url: str, run: Run, point: Point | None) -> None:
        market = FrozenMarket(await begin_time(owner))
        await market.open_account(self._directory)
        desk = Desk(owner, market)
        async with self._venue.plays(market):
            killing = asyncio.create_task(self._kill(run, point))
            try:
                for service in self.topology:
                    await self._start(service)
                for phase in PHASES:
                    if phase.is_after_close:
                        await self._let_close(desk)
                    await self._pass(phase, desk, killing)
                await desk.wait(desk.uncompared)
            finally:
                killing.cancel()
                await asyncio.gather(killing, return_exceptions=True)
            run.state = await state.read(owner, market)
            run.reasons = await desk.reasons()
            run.broken = await judging.broken(owner, url, market)

    async def _pass(self, phase: Phase, desk: Desk, killing: asyncio.Future[None]) -> None:
        self._boundaries.phase = phase.name
        await phase.act(desk)
        await desk.wait(partial(self._unrest, desk, killing))

    async def _let_close(self, desk: Desk) -> None:
        await self._nursery.end(list(self._lives.values()))
        self._boundaries.phase = "close"
        desk.market.follow(await begin_time(desk.owner, AFTER_US))
        for service in self.topology:
            await self._start(service)

    async def _unrest(self, desk: Desk, killing: asyncio.Future[None]) -> list[str]:
        if killing.done():
            killing.result()
        if self._boundaries.hit.is_set() and not killing.done():
            return ["a process is being killed and started again"]
        if waiting := [name for name, life in self._lives.items() if not life.ready.is_set()]:
            return [f"{', '.join(waiting)} not ready yet"]
        if ended := [name for name, life in self._lives.items() if life.gone.is_set()]:
            return [f"{', '.join(ended)} ended by itself"]
        # What a phase stirred up belongs to it: so the next one begins alike in every run. Asked
        # first, because it costs nothing.
        if self._boundaries.silent_s() < SILENCE_S:
            return ["it was not silent yet"]
        return await desk.unrest()

    async def _start(self, service: str) -> None:
        database_port, exchange_port = self._ports[service]
        # The database's name is in the address, the login is the account's own.
        url = (
            f"postgresql://127.0.0.1:{database_port}/{quote(f'crash_{self.name}')}"
            "?sslmode=disable&gssencmode=disable"
        )
        self._lives[service] = await self._nursery.start(
            service,
            self.topology[service],
            settings_of(
                database_url=url,
                exchange_port=exchange_port,
                credentials=self._directory,
                http_port=self._http_ports[service],
            ),
            self.log,
        )

    async def _kill(self, run: Run, point: Point | None) -> None:
        if point is None:
            return
        await self._boundaries.hit.wait()
        run.was_hit = True
        victim = self._lives[point.service]
        killed_s = time.monotonic()
        await self._nursery.end([victim])
        if point.side != Side.LATE:
            self._boundaries.decide(lets_through=False)
        # As the local runner does; a kubelet's first restart is as quick.
        await asyncio.sleep(PAUSE_FIRST_S)
        await self._start(point.service)
        await soon(self._ready(point.service), f"{point.service} ready again")
        run.recovery_s = time.monotonic() - killed_s
        if point.side == Side.LATE:
            await asyncio.sleep(LATE_S)
            self._boundaries.decide(lets_through=True)

    async def _ready(self, service: str) -> None:
        """Wait until the process says that it can do its job: its recovery is over."""
        await self._lives[service].ready.wait()
        while not await _says_ready(self._http_ports[service]):
            await asyncio.sleep(PROBE_S)


async def _says_ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    try:
        async with asyncio.timeout(PROBE_MOST_S):
            return (await reader.readline()).split(b" ")[1:2] == [b"200"]
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()


def free_port() -> int:
    """Return a port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
