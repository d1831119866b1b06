"""Plants a bug in a copy of the product and plays seeds until an invariant is broken."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
from tests.simulation.planted.bugs import DIES, Bug

from recio.simulation import catalogue
from recio.simulation.campaign import Worker
from recio.simulation.plan import Move, Plan, make_plan

ROOT = Path(__file__).resolve().parents[3]
COPIED = ("services/recio", "migrations")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "static")
_NUMBER = re.compile(r"invariant (\d+): ")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The first seed that shows a bug: which invariants it breaks, and the first thing that it says."""

    seed: int
    seeds: int
    breaks: tuple[int, ...]
    says: str


class Garden:
    """A copy of the product in which one bug at a time is planted."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._writes = 0
        for name in COPIED:
            shutil.copytree(ROOT / name, place / name, ignore=_LEFT_OUT)

    @contextmanager
    def planted(self, bug: Bug | None) -> Iterator[Worker]:
        """Return a worker that runs the copy with a bug in it; None: without one."""
        path = self.place / (bug.file if bug else "")
        text = path.read_text("utf-8") if bug else ""
        if bug:
            self._write(path, changed(text, bug))
        try:
            with closing(Worker({"PYTHONPATH": str(self.place / "services")})) as worker:
                yield worker
        finally:
            if bug:
                self._write(path, text)

    def _write(self, path: Path, text: str) -> None:
        """Write a file with a time of its own: compiled modules are told apart by it."""
        path.write_text(text, "utf-8")
        self._writes += 1
        moment = path.stat().st_mtime_ns + self._writes * 10**9
        os.utime(path, ns=(moment, moment))


def changed(text: str, bug: Bug) -> str:
    """Return a module's text with a bug in it.

    Raises:
        ValueError: its place is not there, or there twice.
    """
    if text.count(bug.old) != 1:
        raise ValueError(
            f"{bug.name!r}: expected its old text once in {bug.file}, found {text.count(bug.old)}"
        )
    return text.replace(bug.old, bug.new)


def plan_of(bug: Bug | None, seed: int) -> Plan:
    """Return the plan of a seed, as a bug needs it."""
    if bug is None:
        return make_plan(seed)
    plan = make_plan(seed, bug.faults or catalogue.NAMES, count=bug.count)
    own = [act for act in plan.acts if isinstance(act, Move) or not bug.is_bare]
    acts = sorted([*own, *bug.script], key=lambda act: act.at_s)
    return msgspec.structs.replace(plan, acts=tuple(acts), speed=bug.speed or plan.speed)


def hunt(
    garden: Garden, bug: Bug, seeds: int, tell: Callable[[int], None] = lambda _: None
) -> Found | None:
    """Play seeds 1, 2, … with a bug until something is broken; None: it was not found."""
    with garden.planted(bug) as worker:
        for seed in range(1, seeds + 1):
            tell(seed)
            said = played(worker, plan_of(bug, seed), is_repeated=bug.is_repeated)
            if said:
                breaks = sorted({_number(what) for what in said})
                return Found(seed=seed, seeds=seed, breaks=tuple(breaks), says=said[0])
    return None


def played(worker: Worker, plan: Plan, *, is_repeated: bool = False) -> list[str]:
    """Play a plan; return what is wrong."""
    reply = worker.play(plan)
    if reply.outcome is None:
        return [f"the run ended: {reply.error}"]
    said = list(reply.outcome.violations)
    if is_repeated:
        again = worker.play(plan).outcome
        if again is None or again.digest != reply.outcome.digest:
            said.append("invariant 16: the second run of the seed gave another history")
    return said


def _number(what: str) -> int:
    found = _NUMBER.search(what)
    return int(found[1]) if found else DIES
