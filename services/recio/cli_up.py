"""Run the whole system on this machine in paper mode: database, exchange, services, web page.

State is kept in a directory (.state); a second run goes on with the same books, the same exchange
and the same market time. Nothing is sent to a real exchange.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from recio.apps.main_app.users import ensure_admin
from recio.domain.account_config import Topology
from recio.domain.errors import InvalidValue
from recio.domain.units import format_time_us, parse_time_us
from recio.exchange_simulator.world.regimes import RECORDED, REGIMES
from recio.runtime.clock import SPEED_MOST, wall_us
from recio.runtime.local.options import (
    EXAMPLE_FILE,
    EXAMPLE_FOLDER,
    RECORDING_FILE,
    UI_PORT,
    UpOptions,
)

EXAMPLES: Final = """examples:
  recio up                                     about 12 minutes before an hourly close
  recio up --speed 10                          market time runs ten times faster
  recio up --fresh --start 2024-03-04T14:48:00Z   another hour of the recording, a new account
  recio up --recording 26MAY130915-15          the recorded 15-minute market to its settlement
  recio up --fast 24h                          a day, stepped, as fast as it goes, then stop
  recio up --fresh --regime jumpy              a market that jumps, with wider quotes
  recio up --live-prices                       real prices of now instead of the recording
  recio up --fresh --shadow --read-key ~/kalshi   real decisions on production's books, no order
  recio up --fresh --shadow --recording        a rehearsal of it: a recording plays production
  recio up --accounts 3 --topology Pooled      three accounts in one process
"""
RECORDING_DEFAULT: Final = "26MAY130915-15"

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--fresh", action="store_true", help="start a new account and market time")
    parser.add_argument("--speed", type=int, default=1, help=f"1 to {SPEED_MOST} (default 1)")
    parser.add_argument("--fast", metavar="PERIOD", help="run 15m, 24h, 7d … stepped, then stop")
    parser.add_argument("--start", metavar="TIME", help="market time of a fresh start, RFC 3339")
    parser.add_argument(
        "--recording",
        nargs="?",
        const=RECORDING_DEFAULT,
        metavar="MARKET",
        help="play a recorded 15-minute market",
    )
    parser.add_argument(
        "--regime",
        choices=[*REGIMES],
        help="kind of market at a fresh start (recorded): "
        + "; ".join(f"{one.name}: {one.summary}" for one in REGIMES.values()),
    )
    parser.add_argument(
        "--shadow",
        action="store_true",
        help="trade imagined money on a mirror of what is read; any account document becomes a shadow",
    )
    parser.add_argument(
        "--read-key",
        type=Path,
        metavar="PATH",
        help="with --shadow: read production with this key, a directory with key-id and private-key "
        "(a key that can only read will do); without it the simulated market plays production",
    )
    parser.add_argument("--live-prices", action="store_true", help="prices of the venues, now")
    parser.add_argument("--accounts", type=int, default=1, metavar="N", help="number of accounts")
    parser.add_argument(
        "--topology", choices=[str(one) for one in Topology], help="of all accounts"
    )
    parser.add_argument(
        "--account-file",
        type=Path,
        help=f"TradingAccount document (default {EXAMPLE_FOLDER / EXAMPLE_FILE}, "
        f"for a recorded market {RECORDING_FILE})",
    )
    parser.add_argument("--state", type=Path, default=Path(".state"), help="directory (.state)")
    parser.add_argument("--port", type=int, default=UI_PORT, help=f"of the page ({UI_PORT})")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--database-url", help="a PostgreSQL of your own instead of the embedded")
    parser.add_argument("--redis-url", help="a Redis of your own instead of the embedded one")


def run(arguments: argparse.Namespace) -> int:
    """Run until Ctrl-C."""
    chosen = options(arguments)
    if chosen.fast_seconds is not None:
        from recio.runtime.local.fast import run_fast  # noqa: PLC0415 (not needed otherwise)

        return run_fast(chosen, ensure_admin=ensure_admin, say=say)
    from recio.runtime.local.runner import Runner  # noqa: PLC0415

    return Runner(options=chosen, ensure_admin=ensure_admin, say=say).run()


def options(arguments: argparse.Namespace) -> UpOptions:
    """Return the options as the runner takes them.

    Raises:
        InvalidValue: one of them cannot be, or two contradict each other.
    """
    if not 1 <= arguments.speed <= SPEED_MOST:
        raise InvalidValue(f"--speed: expected 1 to {SPEED_MOST}, received {arguments.speed}")
    if arguments.live_prices and (arguments.speed != 1 or arguments.fast or arguments.recording):
        raise InvalidValue("--live-prices: real prices come at their own pace, from now on only")
    if arguments.live_prices and arguments.start:
        raise InvalidValue("--start: live prices have one time, the present")
    if arguments.recording and arguments.regime not in {None, RECORDED.name}:
        raise InvalidValue("--regime: a recorded market is what it was")
    if arguments.read_key and not arguments.shadow:
        raise InvalidValue("--read-key: only --shadow reads production; paper needs no key")
    if arguments.read_key and (
        arguments.speed != 1 or arguments.fast or arguments.recording or arguments.start
    ):
        raise InvalidValue("--read-key: production has its own pace and time, from now on only")
    if arguments.shadow and arguments.live_prices:
        raise InvalidValue("--live-prices: a shadow of production reads them anyway (--read-key)")
    return UpOptions(
        state=arguments.state,
        account_file=arguments.account_file,
        accounts=arguments.accounts,
        speed=arguments.speed,
        start_us=_start_us(arguments.start),
        topology=Topology(arguments.topology) if arguments.topology else None,
        is_fresh=arguments.fresh,
        is_live=arguments.live_prices,
        recording=arguments.recording,
        regime=arguments.regime,
        is_shadow=arguments.shadow,
        read_key=arguments.read_key,
        fast_seconds=period_seconds(arguments.fast) if arguments.fast else None,
        database_url=arguments.database_url,
        redis_url=arguments.redis_url,
        port=arguments.port,
        host=arguments.host,
    )


def _start_us(text: str | None) -> int | None:
    try:
        return parse_time_us(text) if text else None
    except InvalidValue as error:
        raise InvalidValue(f"--start: {error}, such as 2024-07-30T17:48:00Z") from error


def period_seconds(text: str) -> int:
    """Return a period such as 90s, 15m, 24h or 7d in seconds.

    >>> period_seconds("15m"), period_seconds("24h")
    (900, 86400)

    Raises:
        InvalidValue: no such period.
    """
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit()) or unit not in _UNITS or int(number) == 0:
        raise InvalidValue(f"--fast: expected a period such as 15m, 24h or 7d, received {text!r}")
    return int(number) * _UNITS[unit]


def say(line: str) -> None:
    """Print one line of progress with the time of day; a closed terminal stops nothing halfway."""
    try:
        print(f"{format_time_us(wall_us())[11:19]} {line}", flush=True)
    except OSError:
        # What could not be written would be tried again at the end, and fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
