"""Hosts services in one process: recover, run, answer probes, drain.

Order: the HTTP server first (alive, not ready), then each service is built and recovers, then the
tasks of all start, then the process is ready. It stops when it is told to (SIGTERM, Ctrl-C): each
service drains in its time, then everything is cancelled; or when anything fails. This is the one
place that catches everything, because stopping is safe: starting is recovery.

A start waits without limit for what is away (database, exchange, market time): alive, not ready, and
saying what it waits for. A restart would find it no sooner.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import uvicorn

from recio.domain.errors import Broken, Unavailable
from recio.manifest import ServiceRow
from recio.runtime.http_server import Hosted, ProcessApp, listening_socket
from recio.runtime.metrics import ProcessMetrics
from recio.runtime.service import AsgiApp, Service, ServiceContext

RECOVERY_PAUSE_S: Final = 0.5
RECOVERY_PAUSE_MOST_S: Final = 5.0
TELL_S: Final = 30.0
"""How often the log says again what a start waits for."""

_log = logging.getLogger("recio.host")

Build = Callable[[ServiceContext], Service]
MakeContext = Callable[[ServiceRow, str | None], Awaitable[ServiceContext]]


@dataclass(frozen=True, slots=True)
class Placement:
    """One service to host; ``account`` for those that work for one."""

    row: ServiceRow
    account: str | None


@dataclass(slots=True, kw_only=True)
class Host:
    """One process.

    ``make_context`` hands a service its ports (runtime.process). ``build`` stands in for the door of
    each app (a stepped run keeps the exchange in its hands). ``on_ready`` is called once, when every
    service has recovered and its tasks run.
    """

    placements: Sequence[Placement]
    make_context: MakeContext
    metrics: ProcessMetrics
    build: Build | None = None
    http_host: str = "127.0.0.1"
    http_port: int = 0
    on_ready: Callable[[], None] | None = None
    app: ProcessApp = field(init=False)
    port: int = field(init=False, default=0)
    _stop: asyncio.Event = field(init=False, default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Prepare what the probes show."""
        hosted = [Hosted(placed.row.name, placed.account) for placed in self.placements]
        self.app = ProcessApp(self.metrics, hosted)

    def stop(self) -> None:
        """Drain and end."""
        self._stop.set()

    async def run(self) -> int:
        """Host the services until told to stop; return the process's exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        try:
            async with http_server(
                self.app,
                self.http_host,
                self.http_port,
                websockets=next(
                    (_WEBSOCKETS[n] for n in self._names() if n in _WEBSOCKETS), "none"
                ),
            ) as self.port:
                await self.run_services()
        except asyncio.CancelledError:
            raise
        except Exception:  # noqa: BLE001 (the one place; see the module's docstring)
            _log.exception("the process stops: starting again is recovery")
            return 1
        return 0

    def _names(self) -> list[str]:
        return [placed.row.name for placed in self.placements]

    async def run_services(self) -> None:
        """Recover, run the tasks until told to stop or one ends, drain."""
        for placed, hosted in zip(self.placements, self.app.hosted, strict=True):
            if not await self._patiently(hosted, partial(self._build, placed, hosted)):
                return
            recover = hosted.service.recover if hosted.service else None
            if recover is not None and not await self._patiently(hosted, recover):
                return
        tasks = [
            asyncio.create_task(_as_coroutine(task), name=f"{hosted.name}: {_name(task)}")
            for hosted in self.app.hosted
            for task in (hosted.service.tasks if hosted.service else ())
        ]
        for hosted in self.app.hosted:
            hosted.is_started = True
        # What was made until now lives to the end: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        if self.on_ready is not None:
            self.on_ready()
        try:
            await self._until_stopped(tasks)
        finally:
            await _cancel(tasks)

    async def _build(self, placed: Placement, hosted: Hosted) -> None:
        context = await self.make_context(placed.row, placed.account)
        hosted.service = (self.build or entry(placed.row))(context)

    async def _patiently(self, hosted: Hosted, step: Callable[[], Awaitable[None]]) -> bool:
        """Take a step of the start as often as it needs; tell whether it came to its end."""
        clock = asyncio.get_running_loop().time
        told_s, pause_s = -TELL_S, RECOVERY_PAUSE_S
        while not self._stop.is_set():
            try:
                if not await self._unless_stopped(step):
                    return False
            except Unavailable as error:
                hosted.waiting_for = str(error)
                if clock() >= told_s + TELL_S:
                    told_s = clock()
                    _log.warning("%s cannot start yet: %s", hosted.name, error)
                await self._pause(pause_s)
                pause_s = min(2 * pause_s, RECOVERY_PAUSE_MOST_S)
            else:
                hosted.waiting_for = "waits for the other services of the process"
                return True
        return False

    async def _unless_stopped(self, step: Callable[[], Awaitable[None]]) -> bool:
        """Take a step to its end, and tell whether it came to it: a stop cuts it."""
        stepping = asyncio.create_task(_as_coroutine(step), name="start")
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        try:
            await asyncio.wait([stepping, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not stepping.done():
                return False
            await stepping
            return True
        finally:
            await _cancel([stepping, stopping])

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    async def _until_stopped(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        try:
            await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        ended = [task for task in tasks if task.done()]
        if ended and not self._stop.is_set():
            _raise_ended(ended[0])
        # Together: a process that hosts many ends within the time of one.
        await asyncio.gather(*(_drain(hosted) for hosted in self.app.hosted))


_WEBSOCKETS: Final = {
    "main_app": "websockets-sansio",
    "exchange_simulator": "recio.exchange_simulator.server:HeartbeatProtocol",
}
"""Which services speak WebSocket, and uvicorn's protocol for it."""

PING_SECONDS: Final = 10.0


def entry(row: ServiceRow) -> Build:
    """Return a service's ``build`` function.

    Raises:
        Broken: the module or the function is not there.
    """
    module, _, function = row.entry.partition(":")
    try:
        found: Build = getattr(importlib.import_module(module), function)
    except (ModuleNotFoundError, AttributeError) as error:
        raise Broken(f"service {row.name}: expected {row.entry}: {error}") from error
    return found


def _raise_ended(task: asyncio.Task[None]) -> None:
    error = task.exception() if not task.cancelled() else None
    message = f"{task.get_name()} ended, but must run for ever"
    raise Broken(f"{message}: {error}" if error else message) from error


async def _drain(hosted: Hosted) -> None:
    service = hosted.service
    if service is None or service.drain is None:
        return
    try:
        async with asyncio.timeout(service.drain_seconds):
            await service.drain()
    except (TimeoutError, Unavailable) as error:
        _log.warning("%s was not drained: %s", hosted.name, str(error) or "its time was up")


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _as_coroutine(task: Callable[[], Awaitable[None]]) -> None:
    await task()


def _name(task: Callable[..., object]) -> str:
    return getattr(task, "__qualname__", repr(task))


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers and without waking ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the host."""
        yield

    async def main_loop(self) -> None:
        """Wait until told to end."""
        await self._ending.wait()

    def end(self) -> None:
        """Stop accepting and finish what is under way."""
        self.should_exit = True
        self._ending.set()


@contextlib.asynccontextmanager
async def http_server(
    app: AsgiApp, host: str, port: int, *, websockets: str = "none"
) -> AsyncIterator[int]:
    """Serve ``app`` while the block runs; gives the port it listens on.

    Raises:
        Broken: the port is in use.
    """
    listener = listening_socket(host, port)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws=websockets,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=2 * PING_SECONDS,
        http="httptools",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    try:
        yield listener.getsockname()[1]
    finally:
        server.end()
        await serving
