"""The exchange simulator's door: a service of a paper or a shadow environment.

``build`` is what every app has: the exchange of a paper environment, or of a shadow environment the
mirror of the real one (world/mirror.py). ``standalone`` serves the first alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import uvicorn

from recio.data.minutes import Ohlc
from recio.domain.errors import Broken, InvalidValue
from recio.domain.units import CENT_E6, HOUR_US, MINUTE_US, SECOND_US
from recio.exchange_simulator.api.admin import Token
from recio.exchange_simulator.control import Control
from recio.exchange_simulator.core.state import Config
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.mirroring import Mirroring
from recio.exchange_simulator.server import ControlApp, uvicorn_config
from recio.exchange_simulator.simulator import Simulator
from recio.exchange_simulator.simulator import World as AnyWorld
from recio.exchange_simulator.world import (
    LiveSource,
    MinutesSource,
    RecordingSource,
    Source,
    attach,
)
from recio.exchange_simulator.world.live import LivePrices
from recio.exchange_simulator.world.mirror import Mirror
from recio.exchange_simulator.world.regimes import RECORDED, regime_of
from recio.runtime import settings
from recio.runtime.service import Readiness, Service, ServiceContext

SERVICE: Final = "exchange_simulator"
MILLISECOND_US: Final = 1_000
HOST: Final = "127.0.0.1"
LIVE_HISTORY_US: Final = 4 * HOUR_US
MIRROR_LATENCY_MS: Final = 150


class ExchangeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``RECIO_EXCHANGE_SIMULATOR_…``.

    ``recording`` plays a recorded 15-minute market; otherwise ``minutes`` names the recorded
    minutes, from ``start_us`` on (0: their default start) with ``seed``; ``is_live`` takes prices
    from the public feeds instead. ``is_fine`` lets events happen in every tenth of a second; a
    stepped run does without. ``control_port`` 0: no fault injection. ``house_save_seconds`` is how
    long anonymous activity alone may wait for its save, in market time (0: 5, or 60 in a run that
    is not fine). ``read_lag_ms`` is how old portfolio reads are. ``tier`` sets the token buckets of
    new accounts. ``regime`` is what kind of market is simulated (world/regimes.py); a recorded market
    is what it was. ``order_latency_ms`` is how much later than it came an order arrives (0: at once, or
    150 in the mirror of a shadow environment, about what the way to the exchange takes).
    """

    recording: str = ""
    minutes: str = "2024q3"
    start_us: int = 0
    seed: int = 0
    is_live: bool = False
    regime: str = RECORDED.name
    is_fine: bool = True
    control_port: int = 0
    house_save_seconds: int = 0
    read_lag_ms: int = 0
    order_latency_ms: int = 0
    tier: str = "Advanced"
    admin_token_file: str = ""

    def admin_token(self) -> Token | None:
        """Return what reads the token of the admin API; None: there is none."""
        return partial(_token, Path(self.admin_token_file)) if self.admin_token_file else None

    def source(self) -> Source:
        """Return what the world plays."""
        if self.recording:
            if regime_of(self.regime) is not RECORDED:
                raise InvalidValue(f"regime {self.regime}: a recorded market is what it was")
            return RecordingSource(self.recording)
        return MinutesSource(
            name=self.minutes,
            start_us=self.start_us or None,
            seed=self.seed,
            regime=self.regime,
        )

    def house_save_us(self) -> int:
        """Return how long anonymous activity alone may wait for its save."""
        return (self.house_save_seconds or (5 if self.is_fine else 60)) * SECOND_US

    def config(self, namespace: str) -> Config:
        """Return how the exchange behaves."""
        return Config(namespace=namespace, read_lag_ms=self.read_lag_ms, tier=self.tier)


def world_start_us(values: Mapping[str, str]) -> int | None:
    """Return where market time begins in the world that ``RECIO_EXCHANGE_SIMULATOR_…`` names.

    None: it is wall time.
    """
    own = settings.load(ExchangeSettings, SERVICE, values)
    return None if own.is_live else attach(Exchange(), own.source()).start_us


def build_simulator(context: ServiceContext) -> Simulator:
    """Return the exchange of a paper environment, not yet recovered."""
    own = settings.load(ExchangeSettings, SERVICE, context.settings)
    return _simulator(context, own, own.source())


def _simulator(context: ServiceContext, own: ExchangeSettings, source: Source) -> Simulator:
    return Simulator(
        config=own.config(context.environment),
        clock=context.clock,
        fresh=context.ids.fresh,
        database=context.database,
        attach=partial(world_of, source=source, is_fine=own.is_fine),
        log=context.log,
        house_save_us=own.house_save_us(),
        admin_token=own.admin_token(),
        order_latency_us=own.order_latency_ms * MILLISECOND_US,
    )


def build_mirror(context: ServiceContext) -> tuple[Simulator, Mirroring]:
    """Return the exchange of a shadow environment, and what keeps it at the real one's side."""
    own = settings.load(ExchangeSettings, SERVICE, context.settings)
    made: list[Mirror] = []

    def mirrored(exchange: Exchange) -> AnyWorld:
        made.append(Mirror(exchange, context.clock.market_us()))
        return made[0]

    simulator = Simulator(
        config=own.config(context.environment),
        clock=context.clock,
        fresh=context.ids.fresh,
        database=context.database,
        attach=mirrored,
        log=context.log,
        house_save_us=own.house_save_us(),
        admin_token=own.admin_token(),
        order_latency_us=(own.order_latency_ms or MIRROR_LATENCY_MS) * MILLISECOND_US,
    )
    access = context.access
    reading = Mirroring(
        simulator,
        made[0],
        access.market_rest(),
        access.market_books(),
        clock=context.clock,
        series=access.series,
        log=context.log,
    )
    return simulator, reading


def mirror_service_of(simulator: Simulator, reading: Mirroring) -> Service:
    """Return a mirror as a service; also used by a stepped run, which keeps the simulator."""
    service = service_of(simulator)
    service.recover = reading.recover
    service.tasks = [*service.tasks, reading.look, reading.follow]
    service.readiness = partial(_mirror_readiness, simulator, reading)
    return service


def mirror_service(context: ServiceContext) -> Service:
    """Return the mirror of a shadow environment as a service."""
    return mirror_service_of(*build_mirror(context))


def _mirror_readiness(simulator: Simulator, reading: Mirroring) -> Readiness:
    ours, reason = _readiness(simulator), reading.reason()
    return ours if not ours.is_ready else Readiness(is_ready=not reason, reason=reason)


def _token(path: Path) -> str:
    """Return the token, or nothing, which opens nothing, while the file cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        logging.getLogger(__name__).warning("expected the token of the admin API in %s", path)
        return ""


def world_of(exchange: Exchange, *, source: Source, is_fine: bool) -> AnyWorld:
    """Return a world beside an exchange, as a simulator takes it."""
    return attach(exchange, source, is_fine=is_fine)


def service_of(simulator: Simulator, *, control_port: int = 0) -> Service:
    """Return a simulator as a service; also used by a stepped run, which keeps the simulator."""
    tasks: list[Callable[[], Awaitable[None]]] = [simulator.run]
    if control_port:
        control = Control(simulator.gateway)
        tasks.append(partial(_serve_control, control, control_port))
    return Service(
        tasks=tasks,
        readiness=partial(_readiness, simulator),
        recover=simulator.recover,
        asgi=simulator.asgi,
        drain=simulator.gateway.commit,
    )


def build(context: ServiceContext) -> Service:
    """Return the service."""
    own = settings.load(ExchangeSettings, SERVICE, context.settings)
    if context.access.is_mirrored:
        return mirror_service(context)
    if own.is_live:
        return _live_service(context, own)
    return service_of(build_simulator(context), control_port=own.control_port)


def _live_service(context: ServiceContext, own: ExchangeSettings) -> Service:
    prices = LivePrices()
    simulator = _simulator(
        context, own, LiveSource(prices, context.clock.market_us(), own.seed, own.regime)
    )
    service = service_of(simulator, control_port=own.control_port)

    async def recover() -> None:
        await _load_minutes(context, prices)
        await simulator.recover()

    feeds = context.access.price_feeds(prices.symbol)
    service.recover = recover
    service.tasks = [*service.tasks, *(partial(_follow, feed, prices) for feed in feeds)]
    return service


async def _load_minutes(context: ServiceContext, prices: LivePrices) -> None:
    """Tell the world the minutes of the past, as far as closes tell them."""
    end_us = context.clock.market_us() // MINUTE_US * MINUTE_US
    source = context.access.candles(prices.symbol)
    minutes = await source.minutes(prices.symbol, end_us - LIVE_HISTORY_US, end_us)
    bars: list[tuple[int, Ohlc]] = []
    for (_, opened_e6), (closed_us, close_e6) in pairwise(minutes):
        opened, close = opened_e6 // CENT_E6, close_e6 // CENT_E6
        begins_s = (closed_us - MINUTE_US) // SECOND_US
        bars.append((begins_s, (opened, max(opened, close), min(opened, close), close)))
    prices.tell_minutes(bars)


class Tick(Protocol):
    """One price of a venue."""

    @property
    def source(self) -> str:
        """Name the venue."""

    @property
    def price_usd_e6(self) -> int:
        """Tell the price."""

    @property
    def seen_us(self) -> int:
        """Tell when it was heard."""


class Feed(Protocol):
    """A venue's prices, for ever."""

    def ticks(self) -> AsyncIterator[Tick]:
        """Yield prices as they come."""


async def _follow(feed: Feed, prices: LivePrices) -> None:
    async for tick in feed.ticks():
        prices.tell(tick.source, tick.price_usd_e6 // CENT_E6, tick.seen_us // SECOND_US)


def _readiness(simulator: Simulator) -> Readiness:
    if not simulator.is_recovered:
        return Readiness(is_ready=False, reason="restoring accounts, orders and markets")
    if not simulator.gateway.is_saved:
        return Readiness(is_ready=False, reason="the database does not take the exchange's state")
    return Readiness(is_ready=True)


async def _serve_control(control: Control, port: int) -> None:
    async with listening(ControlApp(control), port):
        await asyncio.Event().wait()


class _Server(uvicorn.Server):
    """uvicorn that leaves signals alone and ends when told."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:  # noqa: ANN401 - a context manager
        """Leave the signals to the caller."""
        yield


@contextlib.asynccontextmanager
async def listening(app: Any, port: int, host: str = HOST) -> AsyncIterator[int]:  # noqa: ANN401
    """Serve an ASGI application while the block runs; gives the port.

    Raises:
        Broken: the port is in use.
    """
    # Named as TCP, so that asyncio switches Nagle's algorithm off: it held answers back for 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OverflowError as error:
        listener.close()
        raise Broken(f"expected a port from 0 (any) to 65535, received {port}") from error
    except OSError as error:
        listener.close()
        raise Broken(f"port {port} on {host} is not free: {error}; choose another") from error
    listener.listen(128)
    server = _Server(uvicorn_config(app))
    serving = asyncio.create_task(server.serve(sockets=[listener]), name=f"http-{port}")
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await serving
