"""Kill real processes at every boundary of a recorded run, and compare what is left.

    python -m tests.crash --list                 name the boundaries
    python -m tests.crash --point "…" [--log]    kill at one of them
    python -m tests.crash --all                  kill at every one, results into docs/reliability
    python -m tests.crash --recovery             kill each of the fourteen services under recio up

``--all`` goes on where it was stopped, as long as the code is the same.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from tests.crash import recovery
from tests.crash.boundaries import Point
from tests.crash.killing import kill_at, kill_at_all, record, worlds
from tests.crash.results import DIFFERING, FILE, MISSED, Record, Result, code_digest
from tests.crash.world import COMPACT, PER_SERVICE

TOPOLOGIES = {"PerService": PER_SERVICE, "Compact": COMPACT}


def main() -> int:
    """Do what the arguments say."""
    arguments = _arguments()
    # As Ctrl-C, also in the background of a shell: the servers that were started are stopped.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        return _do(arguments)
    except KeyboardInterrupt:
        _say("stopped; --all goes on from here")
        return 130


def _do(arguments: argparse.Namespace) -> int:
    if arguments.recovery:
        return _recovery(arguments.out, arguments.rounds)
    if arguments.list:
        return asyncio.run(_list(arguments.topology))
    if arguments.point:
        point = Point.parse(arguments.point)
        return asyncio.run(_one(arguments.topology, point, is_logged=arguments.log))
    return asyncio.run(_all(arguments))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.crash",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="name the boundaries")
    what.add_argument("--point", metavar="NAME", help="kill at this boundary and compare")
    what.add_argument("--all", action="store_true", help="kill at every boundary")
    what.add_argument("--recovery", action="store_true", help="time each service's recovery")
    parser.add_argument("--topology", choices=TOPOLOGIES, default="PerService")
    parser.add_argument("--worlds", type=int, default=2, help="how many runs at once (2)")
    parser.add_argument(
        "--unsteady", action="store_true", help="also at those that only some clean runs have"
    )
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    parser.add_argument("--rounds", type=int, default=2, help="of --recovery (2)")
    parser.add_argument("--log", action="store_true", help="show what the processes wrote")
    parser.add_argument("--out", type=Path, default=FILE, help="the file of the results")
    return parser.parse_args()


async def _list(topology: str) -> int:
    async with worlds(1, TOPOLOGIES[topology]) as (world,):
        clean = await record(world)
    for point in clean.points:
        _say(point)
    _say(f"{len(clean.points)} boundaries, and {len(clean.unsteady)} that only some runs have")
    return 0


async def _one(topology: str, point: Point, *, is_logged: bool) -> int:
    async with worlds(1, TOPOLOGIES[topology]) as (world,):
        result = await kill_at(world, await record(world, 1), point)
        if is_logged:
            _say(world.log.read_text())
    _tell(result)
    return int(result.outcome == DIFFERING)


async def _all(arguments: argparse.Namespace) -> int:
    found = Record.load(arguments.out)
    series = found.begin(arguments.topology, code=code_digest(), is_fresh=arguments.fresh)
    async with worlds(arguments.worlds, TOPOLOGIES[arguments.topology]) as here:
        clean = await record(here[0])
        series.add(clean.points + (clean.unsteady if arguments.unsteady else []))
        series.unsteady = len(clean.unsteady)
        missing = series.missing()
        _say(f"{len(series.points)} boundaries, {len(missing)} to go")
        began_s, done = time.monotonic(), 0

        def tell(result: Result) -> None:
            nonlocal done
            done += 1
            series.results[result.point] = result
            found.save()
            if result.outcome in {DIFFERING, MISSED}:
                _tell(result)
            if done % 20 == 0:
                pace_s = (time.monotonic() - began_s) / done
                left_s = pace_s * (len(missing) - done)
                _say(f"{done}/{len(missing)}, {pace_s:.1f} s each, {left_s:.0f} s left")

        await kill_at_all(here, clean, missing, tell)
    document = series.document()
    _say({name: document[name] for name in ("points", "killed", "equal", "entry_died_unsent",
                                             "differing", "not_reached")})  # fmt: skip
    for service, row in document["recovery_seconds"].items():
        _say(f"{service}: killed {row['count']} times, ready again after {row['p50']} s, "
              f"at most {row['max']} s")  # fmt: skip
    return int(document["differing"] > 0)


def _recovery(path: Path, rounds: int) -> int:
    found = Record.load(path)
    found.recovery = recovery.measure(_say, rounds)
    found.save()
    return int(not found.recovery["is_within"])


def _tell(result: Result) -> None:
    after = "" if result.recovery_s is None else f" (ready again after {result.recovery_s} s)"
    _say(f"{result.point}: {result.outcome}{after}")
    if result.reason:
        _say(f"    {result.reason}")


def _say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
