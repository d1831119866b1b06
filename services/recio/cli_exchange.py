"""Run the simulated exchange alone: Kalshi's REST and WebSocket for anybody's client.

It prints its addresses and, with --key-out, writes the private key (PEM) of a new account. Without
a database it forgets everything at its end. Fault injection (--control-port) is off unless asked
for. It is a simulation: no real market, no real money.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path
from typing import Final

import uvloop

from recio.adapters.postgres.database import PostgresDatabase
from recio.domain.errors import InvalidValue
from recio.domain.units import parse_time_us
from recio.exchange_simulator.app import ExchangeSettings
from recio.exchange_simulator.standalone import DEFAULT_DOLLARS, Standalone, serve
from recio.exchange_simulator.world.regimes import RECORDED, REGIMES
from recio.ports import Clock
from recio.runtime import json_log
from recio.runtime.clock import SPEED_MOST, AcceleratedClock, MarketTime, monotonic_ns
from recio.runtime.ids import SystemIds

EXAMPLES: Final = """examples:
  recio exchange --port 8014 --key-out key.pem
  recio exchange --port 8014 --control-port 8015 --key-out key.pem --speed 10
  recio exchange --recording 26MAY130915-15 --port 0
  recio exchange --regime thin                        a tenth of the depth, wide quotes
"""
PORT: Final = 8014


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--port", type=int, default=PORT, help=f"0 takes any ({PORT})")
    parser.add_argument("--control-port", type=int, help="serve fault injection there")
    parser.add_argument("--key-out", type=Path, metavar="FILE", help="write a new key's PEM")
    parser.add_argument("--key-type", choices=["rsa", "ed25519"], default="rsa")
    parser.add_argument("--account", default="trader", help="whose key it is (trader)")
    parser.add_argument("--balance-dollars", type=int, default=DEFAULT_DOLLARS, metavar="N")
    parser.add_argument("--start", metavar="TIME", help="market time, RFC 3339")
    parser.add_argument("--recording", default="", metavar="MARKET", help="a recorded market")
    parser.add_argument("--regime", choices=[*REGIMES], default=RECORDED.name, help=_regimes())
    parser.add_argument("--speed", type=int, default=1, help=f"1 to {SPEED_MOST}")
    parser.add_argument("--database-url", help="keep accounts, orders and markets there")


def _regimes() -> str:
    told = "; ".join(f"{one.name}: {one.summary}" for one in REGIMES.values())
    return f"kind of market ({told})"


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    if not 1 <= arguments.speed <= SPEED_MOST:
        raise InvalidValue(f"--speed: expected 1 to {SPEED_MOST}, received {arguments.speed}")
    json_log.set_up(level="WARNING")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(arguments))
    return 0


async def _serve(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    database = None
    if arguments.database_url:
        database = PostgresDatabase(arguments.database_url, name="recio exchange")
    try:
        await serve(
            options(arguments),
            clock=lambda begins_us: _clock(begins_us, arguments.speed),
            ids=SystemIds(),
            database=database,
            say=lambda line: print(line, flush=True),
            stop=stop,
        )
    finally:
        if database is not None:
            await database.close()


def options(arguments: argparse.Namespace) -> Standalone:
    """Return the options as the exchange takes them."""
    start_us = parse_time_us(arguments.start) if arguments.start else 0
    own = ExchangeSettings(
        recording=arguments.recording, start_us=start_us, regime=arguments.regime
    )
    return Standalone(
        port=arguments.port,
        control_port=arguments.control_port,
        key_out=arguments.key_out,
        account=arguments.account,
        dollars=arguments.balance_dollars,
        key_type=arguments.key_type,
        own=own,
    )


def _clock(begins_us: int, speed: int) -> Clock:
    return AcceleratedClock(MarketTime(begins_us, monotonic_ns(), speed))
