"""Many seeds over several workers: resumable, counted, and failing ones made small.

Each outcome is one line of the results file; a seed that stands there already is not played again.
Workers are processes of their own with a fixed hash seed, so that a seed is one history anywhere.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from recio.domain.errors import Broken
from recio.simulation import catalogue
from recio.simulation.plan import Plan
from recio.simulation.run import Outcome
from recio.simulation.worker import Reply

_decoder: Final = msgspec.json.Decoder(Reply)
_encoder: Final = msgspec.json.Encoder()
ANSWER_S: Final = 600.0
"""A plan takes a second or two; what has not come by then never comes."""
STOP_S: Final = 60.0
_COUNTED: Final = (
    "intents", "orders", "fills", "settlements", "commits", "requests", "steps",
)  # fmt: skip


class Worker:
    """One worker process. ``extra`` is added to its environment: where its code is, for one."""

    def __init__(self, extra: Mapping[str, str] = MappingProxyType({})) -> None:
        environment = {**os.environ, "PYTHONHASHSEED": "0", **extra}  # noqa: TID251 (a child's own)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "recio.simulation.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self._is_ready = False

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def play(self, plan: Plan) -> Reply:
        """Play a plan.

        Raises:
            Broken: the worker ended.
        """
        self.send(plan)
        return self.receive()

    def send(self, plan: Plan) -> None:
        """Begin to play a plan; ``receive`` gives its reply.

        Raises:
            Broken: the worker did not start, or ended.
        """
        if not self._is_ready and self._line() != b"ready":
            raise Broken("a worker did not start: see its message above")
        self._is_ready = True
        assert self._process.stdin is not None
        # One that has ended says so when its answer is wanted.
        with suppress(BrokenPipeError):
            self._process.stdin.write(_encoder.encode(plan) + b"\n")
            self._process.stdin.flush()

    def receive(self) -> Reply:
        """Return the reply to the plan that was sent.

        Raises:
            Broken: the worker ended.
        """
        return _decoder.decode(self._line())

    def fileno(self) -> int:
        """Return what becomes readable when the reply is there."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        if not select.select([self], (), (), ANSWER_S)[0]:
            self._process.terminate()
            raise Broken(f"a worker has not answered for {ANSWER_S:g} s and was ended")
        line = self._process.stdout.readline()
        if not line:
            raise Broken(f"a worker ended with status {self._process.wait()}")
        return line.rstrip()

    def close(self) -> None:
        """End it; its database goes with it."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            self._process.wait(STOP_S)
        if self._process.stdout is not None:
            self._process.stdout.close()


@dataclass(slots=True)
class Tally:
    """The sums over outcomes; a seed counts once."""

    outcomes: dict[int, Outcome] = field(default_factory=dict)
    failed: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Add one outcome."""
        self.outcomes[outcome.seed] = outcome
        if outcome.violations:
            self.failed[outcome.seed] = outcome.violations

    def without(self, seeds: set[int]) -> Tally:
        """Return the tally of all other seeds."""
        return Tally(
            {seed: one for seed, one in self.outcomes.items() if seed not in seeds},
            {seed: what for seed, what in self.failed.items() if seed not in seeds},
        )

    @property
    def seeds(self) -> int:
        """How many seeds were played."""
        return len(self.outcomes)

    @property
    def counts(self) -> dict[str, int]:
        """The sums of what happened."""
        return {
            name: sum(getattr(one, name) for one in self.outcomes.values()) for name in _COUNTED
        }

    @property
    def hits(self) -> Counter[str]:
        """How often each fault met each order state."""
        made: Counter[str] = Counter()
        for one in self.outcomes.values():
            made.update(one.hits)
        return made

    def empty_cells(self) -> list[str]:
        """Return every fault by order state that can happen and was not hit."""
        hits = self.hits
        return [cell for cell in catalogue.cells() if not hits[cell]]

    def table(self) -> list[str]:
        """Return hits of fault by order state as lines."""
        hits = self.hits
        names = [catalogue.SHORT.get(one, one) for one in catalogue.STATES]
        width = max(len(one) for one in catalogue.struck_names()) + 2
        lines = [" " * width + "".join(f"{name:>12}" for name in names)]
        for fault in catalogue.struck_names():
            cells = (_cell(hits, fault, state) for state in catalogue.STATES)
            lines.append(f"{fault:<{width}}" + "".join(f"{cell:>12}" for cell in cells))
        return lines


def _cell(hits: Counter[str], fault: str, state: str) -> str:
    number = hits[f"{fault} | {state}"]
    is_possible = state in catalogue.states_of(fault)
    return str(number) if number else ("EMPTY" if is_possible else "")


def played(plans: Iterable[Plan], jobs: int) -> Iterator[tuple[Plan, Reply]]:
    """Play plans over workers, each taking the next one when it is free; yield replies as they come.

    Raises:
        Broken: a worker ended.
    """
    left = iter(plans)
    with ExitStack() as stack:
        workers = [stack.enter_context(closing(Worker())) for _ in range(jobs)]
        playing = dict(zip(workers, left, strict=False))
        for worker, plan in playing.items():
            worker.send(plan)
        while playing:
            for worker in select.select(list(playing), (), ())[0]:
                done = playing.pop(worker)
                reply = worker.receive()
                following = next(left, None)
                if following is not None:
                    playing[worker] = following
                    worker.send(following)
                yield done, reply


def read_results(path: Path) -> Iterator[Outcome]:
    """Return the outcomes of a results file; a half-written last line is left out."""
    if not path.exists():
        return
    decoder = msgspec.json.Decoder(Outcome)
    for line in path.read_bytes().splitlines():
        try:
            yield decoder.decode(line)
        except msgspec.MsgspecError:
            continue


def shrink(worker: Worker, plan: Plan, tell: Callable[[str], None]) -> Plan:
    """Return a plan with as few acts as possible that still breaks something."""
    size = max(len(plan.acts) // 2, 1)
    while True:
        smaller = _without_some(worker, plan, size)
        if smaller is not None:
            plan = smaller
            tell(f"  {len(plan.acts)} acts still fail")
            size = min(size, max(len(plan.acts) // 2, 1))
        elif size > 1:
            size //= 2
        else:
            return plan


def _without_some(worker: Worker, plan: Plan, size: int) -> Plan | None:
    for start in range(0, len(plan.acts), size):
        acts = (*plan.acts[:start], *plan.acts[start + size :])
        candidate = msgspec.structs.replace(plan, acts=acts)
        reply = worker.play(candidate)
        if reply.error or (reply.outcome is not None and reply.outcome.violations):
            return candidate
    return None


def command_for(seed: int, faults: Sequence[str]) -> str:
    """Return the command that plays a seed again."""
    named = "" if tuple(faults) == catalogue.NAMES else f" --faults '{','.join(faults)}'"
    return f"recio simulate --first-seed {seed} --seeds 1{named}"
