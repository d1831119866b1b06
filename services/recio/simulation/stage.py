"""One run's stage: the exchange, two accounts, their services in processes that can die.

The services are built by their own ``build`` and hosted as their host does it: recover as often as
it takes, run the tasks, and when one ends, end the process; it is started again a second later. What
a service may touch here is what the simulated world gives it, and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from recio import manifest
from recio.adapters.kalshi.budget import Budget
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.kalshi.signing import RequestSigner
from recio.adapters.postgres.config import account_login
from recio.domain.account_config import Mode
from recio.domain.errors import Unavailable
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.gateway import Gateway
from recio.ports import Clock, Ids
from recio.runtime.access import Access
from recio.runtime.host import entry
from recio.runtime.ids import SeededIds
from recio.runtime.metrics import Metrics, ProcessMetrics
from recio.runtime.service import Service, ServiceContext
from recio.runtime.settings import ProcessSettings
from recio.simulation import world
from recio.simulation.database import Server
from recio.simulation.loop import SimulatedLoop, SimulatedProcess
from recio.simulation.market_plane import SimulatedBus
from recio.simulation.network import Network, SimulatedTransports

RECOVER_SECONDS: Final = 0.5
RESTART_SECONDS: Final = 1.0
SETTINGS: Final = ProcessSettings(
    environment=world.ENVIRONMENT,
    mode=Mode.PAPER,
    database_url="",
    redis_url="",
    exchange_rest_url="http://exchange.invalid",
    exchange_websocket_url="ws://exchange.invalid",
)


class SimulatedClock:
    """Virtual time as a process sees it: market time ``speed`` times faster, both off by its skew."""

    def __init__(self, loop: SimulatedLoop, process: SimulatedProcess, speed: int) -> None:
        self._loop = loop
        self._process = process
        self._speed = speed
        self._last_us = 0

    def market_us(self) -> int:
        """Microseconds since 1970 UTC on the market's clock; never runs backwards."""
        now_us = world.START_US + self._loop.now_us * self._speed + self._process.skew_us
        self._last_us = max(self._last_us, now_us)
        return self._last_us

    def wall_us(self) -> int:
        """Microseconds since 1970 UTC on the wall."""
        return world.START_US + self._loop.now_us + self._process.skew_us

    async def sleep_market(self, seconds: float) -> None:
        """Sleep for seconds of market time, never less."""
        await asyncio.sleep(-(-seconds * 1_000_000 // self._speed) / 1_000_000)

    async def sleep_wall(self, seconds: float) -> None:
        """Sleep for seconds of wall time."""
        await asyncio.sleep(seconds)


class SimulatedAccess(Access):
    """The doors to the simulated exchange; keys come from memory."""

    def __init__(
        self, network: Network, clock: Clock, ids: Ids, signers: dict[str, RequestSigner]
    ) -> None:
        super().__init__(SETTINGS, clock=clock, ids=ids, transports=SimulatedTransports(network))
        self._signers = signers

    def _signer(self, owner: str) -> RequestSigner:
        return self._signers[owner]


@dataclass(slots=True)
class Slot:
    """One place where services of an account run; ``starts`` counts its processes."""

    account: str
    services: tuple[str, ...]
    process: SimulatedProcess
    starts: int = 0
    is_ready: bool = False
    is_down: bool = True


@dataclass(slots=True, kw_only=True)
class Stage:
    """Everything of one run that services touch, and what can be done to them."""

    loop: SimulatedLoop
    exchange: Exchange
    gateway: Gateway
    network: Network
    server: Server
    signers: dict[str, RequestSigner]
    seed: int
    speed: int
    clock: SimulatedClock
    bus: SimulatedBus = field(default_factory=SimulatedBus)
    slots: list[Slot] = field(default_factory=list)
    died: list[str] = field(default_factory=list)

    def open(self, accounts: Iterable[str], names: tuple[str, ...], topology: str) -> None:
        """Start services for all accounts."""
        for account in accounts:
            parts = [names] if topology == "Compact" else [(one,) for one in names]
            for services in parts:
                slot = Slot(account, services, self.loop.stage)
                self.slots.append(slot)
                self.start(slot)

    def slot(self, account: str, service: str) -> Slot:
        """Return where a service of an account runs."""
        return next(one for one in self.slots if one.account == account and service in one.services)

    def start(self, slot: Slot) -> None:
        """Start a slot's process anew."""
        slot.starts += 1
        slot.is_ready = slot.is_down = False
        name = f"{slot.account}/{'+'.join(slot.services)}#{slot.starts}"
        slot.process = self.loop.process(name)
        self.loop.start(slot.process, self._host(slot, slot.process), name=name)

    def kill(self, slot: Slot) -> None:
        """End a slot's process like kill -9; its connections end with it."""
        process = slot.process
        slot.is_ready, slot.is_down = False, True
        self.loop.kill(process)
        self.network.cut(process)
        self.server.forget(process)

    def restart(self, slot: Slot, after_s: float = RESTART_SECONDS) -> None:
        """Kill a slot's process and start it again a little later, unless it is down already."""
        if slot.is_down:
            return
        self.kill(slot)
        self.loop.call_later(after_s, self.start, slot, context=self.loop.stage.context.copy())

    def rest(self, process: SimulatedProcess, account: str) -> KalshiRest:
        """Return a person's own client of the exchange, past our services."""
        clock = SimulatedClock(self.loop, process, self.speed)
        http = SimulatedTransports(self.network).http("")
        return KalshiRest(http, self.signers[account], clock, Budget(clock))

    @property
    def is_ready(self) -> bool:
        """Whether every service has recovered."""
        return all(slot.is_ready for slot in self.slots)

    async def _host(self, slot: Slot, process: SimulatedProcess) -> None:
        """Host a slot's services until one of their tasks ends, then end the process."""
        metrics = ProcessMetrics()
        context_of = self._contexts(slot, process, metrics)
        tasks: list[asyncio.Task[None]] = []
        try:
            built = [entry(manifest.service(name))(context_of(name)) for name in slot.services]
            for service in built:
                await self._recovered(service)
            tasks = [asyncio.create_task(_run(task)) for one in built for task in one.tasks]
            slot.is_ready = True
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            error = next(iter(done)).exception()
        except Exception as raised:  # noqa: BLE001 (the process's outermost loop)
            error = raised
        self.died.append(f"{process.name} died: {type(error).__name__}: {error}")
        self.loop.call_soon(self.restart, slot, context=self.loop.stage.context.copy())

    async def _recovered(self, service: Service) -> None:
        while service.recover is not None:
            try:
                await service.recover()
            except Unavailable:
                await asyncio.sleep(RECOVER_SECONDS)
            else:
                return

    def _contexts(
        self, slot: Slot, process: SimulatedProcess, metrics: ProcessMetrics
    ) -> Callable[[str], ServiceContext]:
        clock = SimulatedClock(self.loop, process, self.speed)
        ids = SeededIds(f"{self.seed} {process.name}")
        access = SimulatedAccess(self.network, clock, ids, self.signers)
        login = account_login(slot.account)

        def make(service: str) -> ServiceContext:
            return ServiceContext(
                row=manifest.service(service),
                environment=world.ENVIRONMENT,
                account=slot.account,
                clock=clock,
                ids=ids,
                database=self.server.port(process, login, slot.account),
                bus=self.bus,
                access=access,
                metrics=Metrics(metrics, service=service, account=slot.account),
                log=_LOG,
                settings={},
            )

        return make


async def _run(task: Callable[[], Any]) -> None:
    await task()


_LOG: Final = logging.LoggerAdapter(logging.getLogger("recio.simulation.services"), {})
