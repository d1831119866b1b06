"""An exchange simulator that plays production, so that a shadow run can be rehearsed without a key.

It has no database: what happens there is a function of the market time (the world's), and nobody but
the market reader has a key, which can read only.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import uvloop

from recio.exchange_simulator.app import SERVICE, ExchangeSettings, listening, world_of
from recio.exchange_simulator.simulator import Simulator
from recio.ports import Clock, Ids
from recio.runtime import json_log, settings
from recio.runtime.clock import AcceleratedClock, MarketTime
from recio.runtime.ids import SystemIds
from recio.runtime.local.environment import world_values
from recio.runtime.local.keys import ensure_read_key
from recio.runtime.local.start import World

NAME: Final = "production"
PORT: Final = 8114


def simulator_of(world: World, clock: Clock, ids: Ids, *, is_fine: bool = True) -> Simulator:
    """Return the exchange that plays production, not yet recovered."""
    own = settings.load(ExchangeSettings, SERVICE, world_values(world))
    return Simulator(
        config=own.config(NAME),
        clock=clock,
        fresh=ids.fresh,
        database=None,
        attach=partial(world_of, source=own.source(), is_fine=is_fine),
        log=logging.getLogger(NAME),
    )


def was_only_read(played: Simulator) -> bool:
    """Tell whether nobody asked it for anything but to read."""
    return set(played.gateway.asked) <= {"GET"}


def asked_words(played: Simulator) -> str:
    """Return what it was asked for, in words."""
    count = played.gateway.asked.total()
    if was_only_read(played):
        return f"production was asked {count} times, only to be read"
    return f"production was asked for more than to be read: {dict(played.gateway.asked)}"


def body(
    world: World, market_time: MarketTime, port: int, keys: Path
) -> Callable[[Callable[[], None]], int]:
    """Return what the process that plays production does."""

    def run(tell_ready: Callable[[], None]) -> int:
        json_log.set_up(level="INFO")
        clock = AcceleratedClock(market_time)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(simulator_of(world, clock, SystemIds()), port, keys, tell_ready))
        return 0

    return run


async def _serve(
    simulator: Simulator, port: int, keys: Path, tell_ready: Callable[[], None]
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await simulator.recover()
    await ensure_read_key(simulator.http(), keys)
    moving = asyncio.create_task(simulator.run(), name=NAME)
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        async with listening(simulator.asgi, port):
            tell_ready()
            await asyncio.wait([moving, stopping], return_when=asyncio.FIRST_COMPLETED)
            if moving.done():
                moving.result()
    finally:
        moving.cancel()
        stopping.cancel()
        await asyncio.gather(moving, stopping, return_exceptions=True)
        logging.getLogger(NAME).info("%s", asked_words(simulator))
