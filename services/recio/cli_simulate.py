"""Simulate trading hours under faults: the real services, a real PostgreSQL, virtual time.

Each seed is one market hour of two accounts with faults by chance; afterwards every invariant is
judged. The same seed is the same hour, to the byte. Nothing outside is contacted.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from recio.domain.errors import InvalidValue
from recio.simulation import catalogue
from recio.simulation.campaign import (
    Tally,
    Worker,
    command_for,
    played,
    read_results,
    shrink,
)
from recio.simulation.plan import Plan, make_plan
from recio.simulation.recording import record

EXAMPLES: Final = """examples:
  recio simulate --seeds 100
  recio simulate --seeds 20000 --results seeds.jsonl      (goes on where it was stopped)
  recio simulate --first-seed 4711 --seeds 1 --shrink
  recio simulate --plan failing.json
  recio simulate --seeds 50 --faults 'kill -9,PostgreSQL away'
"""
TELL_SECONDS: Final = 5.0
ENOUGH_SEEDS: Final = 5_000
"""From so many seeds on every fault must have met every order state that it can meet. Fewer leave
cells empty by chance alone, 300 some fifty."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="how many (20)")
    parser.add_argument("--first-seed", type=int, default=1, metavar="K", help="the first (1)")
    parser.add_argument(
        "--faults", default="all", metavar="NAMES", help="all, none, or names with commas between"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="workers (one for each processor)")
    parser.add_argument("--results", type=Path, metavar="FILE", help="append outcomes, resume")
    parser.add_argument("--record", type=Path, metavar="FILE", help="add the sums to this file")
    parser.add_argument("--shrink", action="store_true", help="make failing plans small")
    parser.add_argument("--plan", type=Path, metavar="FILE", help="play this plan instead")
    parser.add_argument("--table", action="store_true", help="print faults by order state")


def run(arguments: argparse.Namespace) -> int:
    """Play the seeds; return 0 if nothing was broken."""
    if arguments.plan is not None:
        return _play_file(arguments.plan)
    if arguments.seeds < 1 or arguments.first_seed < 0:
        raise InvalidValue("expected at least one seed, and no seed below 0")
    faults = _faults(arguments.faults)
    tally = Tally()
    wanted = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    for outcome in read_results(arguments.results) if arguments.results else ():
        if outcome.seed in wanted:
            tally.add(outcome)
    done = set(tally.outcomes)
    plans = (make_plan(seed, faults) for seed in wanted if seed not in done)
    left = len(wanted) - len(done)
    if left:
        jobs = min(arguments.jobs or os.cpu_count() or 1, left)
        _campaign(tally, plans, left, jobs, arguments.results)
    return _report(tally, faults, arguments)


def _faults(text: str) -> tuple[str, ...]:
    if text == "all":
        return catalogue.NAMES
    if text == "none":
        return ()
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in catalogue.NAMES:
            known = "\n  ".join(catalogue.NAMES)
            raise InvalidValue(f"--faults: there is no {name!r}; expected some of\n  {known}")
    return names


def _campaign(
    tally: Tally, plans: Iterator[Plan], left: int, jobs: int, results: Path | None
) -> None:
    began_s = told_s = time.monotonic()
    encoder = msgspec.json.Encoder()
    _say(f"starting {jobs} workers, each with a PostgreSQL of its own")
    for number, (plan, reply) in enumerate(played(plans, jobs), 1):
        if reply.outcome is None:
            tally.failed[plan.seed] = (reply.error,)
            continue
        tally.add(reply.outcome)
        if results is not None:
            with results.open("ab") as file:
                file.write(encoder.encode(reply.outcome) + b"\n")
        now_s = time.monotonic()
        if now_s - told_s > TELL_SECONDS or number == left:
            told_s = now_s
            rate = number / (now_s - began_s)
            eta_s = round((left - number) / rate)
            _say(
                f"{number}/{left} seeds, {rate:.2f} a second, {eta_s} s left, "
                f"{len(tally.failed)} failed"
            )


def _report(tally: Tally, faults: tuple[str, ...], arguments: argparse.Namespace) -> int:
    counts = ", ".join(f"{number} {name}" for name, number in tally.counts.items())
    print(f"{tally.seeds} hours: {counts}")
    empty = tally.empty_cells() if tally.seeds >= ENOUGH_SEEDS and faults == catalogue.NAMES else []
    if arguments.table or empty:
        print("\n".join(tally.table()))
    for seed, violations in sorted(tally.failed.items()):
        print(f"\nseed {seed} FAILED: {command_for(seed, faults)}")
        for what in violations[:10]:
            print(f"  {what}")
    if tally.failed and arguments.shrink:
        _shrink_first(min(tally.failed), faults)
    for cell in empty:
        print(f"never hit: {cell}")
    if arguments.record is not None:
        record(arguments.record, tally)
    print(f"{len(tally.failed)} of {tally.seeds} seeds broke an invariant")
    return 1 if tally.failed or empty else 0


def _shrink_first(seed: int, faults: tuple[str, ...]) -> None:
    _say(f"making seed {seed} small")
    with closing(Worker()) as worker:
        small = shrink(worker, make_plan(seed, faults), _say)
    path = Path(f"seed-{seed}.json")
    path.write_bytes(msgspec.json.format(msgspec.json.encode(small)))
    print(f"\n{len(small.acts)} acts are left: recio simulate --plan {path}")


def _play_file(path: Path) -> int:
    plan = msgspec.json.decode(path.read_bytes(), type=Plan)
    with closing(Worker()) as worker:
        reply = worker.play(plan)
    found = reply.outcome.violations if reply.outcome else (reply.error,)
    for what in found:
        print(what)
    print(f"{path}: {len(plan.acts)} acts, {len(found)} violations")
    return 1 if found else 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
