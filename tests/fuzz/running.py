"""Feeds hostile inputs to a target and judges each result; a finding is kept with its input.

Inputs come in chunks; the generator of a chunk follows from the target's name and the chunk's
number alone, so that a run can stop and go on, and any input can be made again. A watchdog looks
twice a second whether the same input is still at work: longer than a second is a finding. A process
may grow by 2 GB: an input that wants more is a finding, too.
"""

import faulthandler
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random  # noqa: TID251  (seeded by target and chunk)

from tests.fuzz.oracle import Wrong, same
from tests.fuzz.targets import Target

CHUNK = 1000
MOST_FINDINGS = 20
MORE_BYTES = 2 * 2**30


class Hanging(BaseException):
    """An input takes longer than a second."""


@dataclass
class Finding:
    """An input, and what was wrong with what came of it."""

    target: str
    problem: str
    data: bytes


@dataclass
class Count:
    """What became of the inputs of one target."""

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    findings: list[Finding] = field(default_factory=list)


class _Watch:
    def __init__(self) -> None:
        self.number = 0
        self.seen = -1
        self.ticks = 0

    def look(self, _signal: int, _frame: object) -> None:
        """Raise if the same input is at work for the third time."""
        self.ticks = self.ticks + 1 if self.number == self.seen else 0
        self.seen = self.number
        faulthandler.dump_traceback_later(60, exit=True)
        if self.ticks >= 3 and self.number:
            self.ticks = 0
            raise Hanging


WATCH = _Watch()


def _used_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    return pages * resource.getpagesize()


@contextmanager
def watched() -> Iterator[None]:
    """Look twice a second whether the work goes on, and bound the memory."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, WATCH.look)
    signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
    resource.setrlimit(resource.RLIMIT_AS, (_used_bytes() + MORE_BYTES, before[1]))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        faulthandler.cancel_dump_traceback_later()
        resource.setrlimit(resource.RLIMIT_AS, before)
        WATCH.number = 0


def inputs(target: Target, chunk: int, number: int = CHUNK) -> Iterator[bytes]:
    """Yield the inputs of a chunk."""
    random = Random(f"{target.name}/{chunk}")
    for _ in range(number):
        yield target.maker.make(random)


def run_chunk(target: Target, chunk: int, count: Count, number: int = CHUNK) -> None:
    """Feed one chunk to a target."""
    if target.begin is not None:
        target.begin()
    decode, refusals = target.decode, target.refusals
    for data in inputs(target, chunk, number):
        WATCH.number += 1
        count.inputs += 1
        problem = ""
        try:
            value = decode(data)
        except refusals as error:
            count.refused += 1
            if target.is_twice and count.inputs % 16 == 0:
                problem = _refused_again(target, data, error)
        except Hanging:
            problem = "takes longer than a second"
        except MemoryError:
            problem = "wants more than 2 GB"
        except Exception as error:  # noqa: BLE001  (whatever else is what is looked for)
            problem = f"raised {type(error).__name__}: {str(error)[:200]}"
        else:
            count.accepted += 1
            problem = _judge(target, data, value)
        if problem:
            keep(count, Finding(target.name, problem, data))


def _judge(target: Target, data: bytes, value: object) -> str:
    try:
        target.check(value)
        if target.is_twice and not same(target.decode(data), value):
            return "decoded twice, it is another value"
        if target.again is not None:
            written = target.again(value)
            if not same(target.decode(written), value):
                return "written and read again, it is another value"
    except Wrong as error:
        return str(error)
    except Hanging:
        return "takes longer than a second"
    except Exception as error:  # noqa: BLE001  (the same)
        return f"accepted, then raised {type(error).__name__}: {str(error)[:200]}"
    return ""


def _refused_again(target: Target, data: bytes, first: Exception) -> str:
    try:
        target.decode(data)
    except target.refusals as second:
        kinds = {type(first), type(second)}
        # How deep a nesting is too deep depends on who calls.
        is_same = len(kinds) == 1 or RecursionError in kinds
        return "" if is_same else "refused twice in different ways"
    return "refused, then accepted"


def keep(count: Count, finding: Finding) -> None:
    """Keep a finding; of many alike the shortest."""
    head = finding.problem[:60]
    for place, held in enumerate(count.findings):
        if held.problem[:60] == head:
            if len(finding.data) < len(held.data):
                count.findings[place] = finding
            return
    if len(count.findings) < MOST_FINDINGS:
        count.findings.append(finding)
