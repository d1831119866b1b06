"""The exchange simulator's door: as a service of a paper environment, and alone for any client.

``build`` is what every app has. ``serve`` is behind ``recio exchange``: it runs the exchange on its
own ports, with its memory in a database or, without one, only in this process, and writes an API
key for whoever wants to trade there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
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
from recio.exchange_simulator.api.messages import Request, Response
from recio.exchange_simulator.control import Control
from recio.exchange_simulator.core.state import Config
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.server import ControlApp, uvicorn_config
from recio.exchange_simulator.simulator import Simulator
from recio.exchange_simulator.simulator import World as AnyWorld
from recio.exchange_simulator.store import DatabaseStore
from recio.exchange_simulator.world import (
    LiveSource,
    MinutesSource,
    RecordingSource,
    Source,
    attach,
)
from recio.exchange_simulator.world.live import LivePrices
from recio.exchange_simulator.world.regimes import RECORDED, regime_of
from recio.ports import Clock, Database, Ids
from recio.runtime import settings
from recio.runtime.service import Readiness, Service, ServiceContext

SERVICE: Final = "exchange_simulator"
HOST: Final = "127.0.0.1"
DEFAULT_DOLLARS: Final = 1000
LIVE_HISTORY_US: Final = 4 * HOUR_US


class ExchangeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``RECIO_EXCHANGE_SIMULATOR_…``.

    ``recording`` plays a recorded 15-minute market; otherwise ``minutes`` names the recorded
    minutes, from ``start_us`` on (0: their default start) with ``seed``; ``is_live`` takes prices
    from the public feeds instead. ``is_fine`` lets events happen in every tenth of a second; a
    stepped run does without. ``control_port`` 0: no fault injection. ``house_save_seconds`` is how
    long anonymous activity alone may wait for its save, in market time (0: 5, or 60 in a run that
    is not fine). ``read_lag_ms`` is how old portfolio reads are. ``tier`` sets the token buckets of
    new accounts. ``regime`` is what kind of market is simulated (world/regimes.py); a recorded market
    is what it was.
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
        attach=partial(_world, source=source, is_fine=own.is_fine),
        log=context.log,
        house_save_us=own.house_save_us(),
        admin_token=own.admin_token(),
    )


def _token(path: Path) -> str:
    """Return the token, or nothing, which opens nothing, while the file cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        logging.getLogger(__name__).warning("expected the token of the admin API in %s", path)
        return ""


def _world(exchange: Exchange, *, source: Source, is_fine: bool) -> AnyWorld:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Standalone:
    """What ``recio exchange`` was told. ``control_port`` None: no fault injection."""

    port: int = 0
    control_port: int | None = None
    key_out: Path | None = None
    account: str = "trader"
    dollars: int = DEFAULT_DOLLARS
    key_type: str = "rsa"
    own: ExchangeSettings = field(default_factory=ExchangeSettings)


async def serve(
    options: Standalone,
    *,
    clock: Callable[[int], Clock],
    ids: Ids,
    database: Database | None = None,
    say: Callable[[str], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Run the exchange alone until ``stop`` is set.

    Args:
        options: ports, key file, what to play.
        clock: makes the clock whose market time begins at the given microseconds: where the world
            begins, or where a stored exchange stopped.
        ids: where the secret of a generated key comes from.
        database: where the exchange keeps its memory; None: in this process only.
        say: prints one line for a person.
        stop: ends it.

    Raises:
        Broken: a port is in use.
    """
    simulator = await _alone(options, clock, ids, database)
    await simulator.recover()
    running = asyncio.create_task(simulator.run(), name="exchange")
    ending = asyncio.create_task((stop or asyncio.Event()).wait(), name="stop")
    try:
        async with contextlib.AsyncExitStack() as stack:
            port = await stack.enter_async_context(listening(simulator.asgi, options.port))
            say(f"REST       http://{HOST}:{port}/trade-api/v2")
            say(f"WebSocket  ws://{HOST}:{port}/trade-api/ws/v2")
            if options.control_port is not None:
                control = ControlApp(Control(simulator.gateway))
                opened = await stack.enter_async_context(listening(control, options.control_port))
                say(f"Control    http://{HOST}:{opened}/faults")
            if options.key_out is not None:
                await _write_key(simulator, options, options.key_out, say)
            await asyncio.wait([running, ending], return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
    finally:
        running.cancel()
        ending.cancel()
        await asyncio.gather(running, ending, return_exceptions=True)


async def _alone(
    options: Standalone, clock: Callable[[int], Clock], ids: Ids, database: Database | None
) -> Simulator:
    source = options.own.source()
    stopped_us = await DatabaseStore(database).stopped_us() if database is not None else None
    begins_us = attach(Exchange(), source).start_us if stopped_us is None else stopped_us
    return Simulator(
        config=options.own.config("standalone"),
        clock=clock(begins_us),
        fresh=ids.fresh,
        database=database,
        attach=partial(_world, source=source, is_fine=True),
        log=logging.getLogger(__name__),
    )


async def make_key(
    simulator: Simulator, account: str, dollars: int, key_type: str
) -> Mapping[str, str]:
    """Make an account with a generated key; gives ``api_key_id`` and ``private_key``."""
    body = {"account": account, "initial_balance_dollars": dollars, "key_type": key_type}
    request = Request("POST", "/admin/accounts", {}, msgspec.json.encode(body))
    answer = await simulator.gateway.request(request)
    if not isinstance(answer, Response) or answer.status != 201:
        raise Broken(f"the exchange did not make account {account!r}: {answer}")
    return msgspec.json.decode(answer.body, type=dict[str, Any])


async def _write_key(
    simulator: Simulator, options: Standalone, path: Path, say: Callable[[str], None]
) -> None:
    made = await make_key(simulator, options.account, options.dollars, options.key_type)
    text = f"Key-Id: {made['api_key_id']}\n\n{made['private_key']}"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise Broken(f"--key-out: cannot write {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    say(f"API key    {made['api_key_id']} with ${options.dollars}, private key in {path}")
