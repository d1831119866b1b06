"""All boundaries of a topology: recorded in clean runs, then killed at, one run each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.crash.boundaries import Point
from tests.crash.ground import QUICK, make_template
from tests.crash.results import DIFFERING, EQUAL, MISSED, UNSENT, Result
from tests.crash.state import State, differences
from tests.crash.world import PER_SERVICE, Run, World

from recio.runtime.local.embedded import EmbeddedPostgres

CLEAN_RUNS = 4
TRIES = 3
"""A boundary that only a hint's chance brings may need another run to be reached; and a machine on
which a process stands still for seconds after a claim plays another script: the order is too old."""

Tell = Callable[[Result], None]


class Unclean(AssertionError):
    """A run without a kill did not end as it must; nothing can be compared with it."""


@dataclass(frozen=True, slots=True)
class Clean:
    """What clean runs agree on."""

    state: State
    points: list[Point]
    unsteady: list[Point] = field(default_factory=list)


@contextlib.contextmanager
def passable_directory() -> Iterator[Path]:
    """Give a short directory that PostgreSQL's user may pass through."""
    with TemporaryDirectory(prefix="recio-crash-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory


@contextlib.asynccontextmanager
async def worlds(
    number: int, topology: dict[str, tuple[str, ...]] = PER_SERVICE
) -> AsyncIterator[list[World]]:
    """Open worlds on one PostgreSQL while the block runs."""
    with passable_directory() as directory:
        postgres = EmbeddedPostgres(directory / "pg", settings=QUICK)
        postgres.start()
        try:
            await make_template(postgres)
            async with contextlib.AsyncExitStack() as stack:
                made = [World(f"w{n}", postgres, directory, topology) for n in range(number)]
                for world in made:
                    await stack.enter_async_context(world.open())
                yield made
        finally:
            postgres.stop(is_immediate=True)


async def record(world: World, runs: int = CLEAN_RUNS) -> Clean:
    """Play clean runs; return their common end and the boundaries that all of them have.

    Raises:
        Unclean: one did not end well, or two ended differently.
    """
    first = await _clean(world)
    assert first.state is not None
    common, some = dict.fromkeys(first.seen), set(first.seen)
    for _ in range(runs - 1):
        again = await _clean(world)
        assert again.state is not None
        wrong, unsent = differences(first.state, again.state)
        if wrong or unsent:
            raise Unclean(f"two clean runs differ: {wrong or unsent}")
        some |= set(again.seen)
        common = {point: None for point in common if point in set(again.seen)}
    return Clean(first.state, list(common), sorted(some - set(common)))


async def _clean(world: World) -> Run:
    run = await world.run()
    if run.problem or run.broken:
        said = world.log.read_text()[-2000:] if world.log.exists() else ""
        raise Unclean(f"a clean run: {run.problem or run.broken}\n{said}")
    return run


async def kill_at(world: World, clean: Clean, point: Point) -> Result:
    """Run, kill at a boundary, compare."""
    run = Run()
    for _ in range(TRIES):
        run = await world.run(point)
        if run.was_hit and not run.has_stalled:
            break
    return judge(clean, point, run)


def judge(clean: Clean, point: Point, run: Run) -> Result:
    """Say what came of a boundary."""
    made = Result(point=str(point), outcome=EQUAL)
    if run.recovery_s is not None:
        made.recovery_s = round(run.recovery_s, 2)
    if run.problem or run.state is None:
        made.outcome, made.reason = DIFFERING, run.problem
        return made
    wrong, unsent = differences(clean.state, run.state)
    if wrong or run.broken:
        made.outcome, made.reason = DIFFERING, "; ".join(wrong + run.broken + run.reasons)
    elif not run.was_hit:
        made.outcome = MISSED
    elif unsent:
        made.outcome, made.reason = UNSENT, ", ".join(unsent)
    return made


def _weight(point: Point) -> tuple[bool, bool]:
    """Order the boundaries: what is popped first hangs most on money and least on chance."""
    return (
        not point.what.startswith("GET"),
        point.phase not in {"start", "close"},
    )


async def kill_at_all(
    here: Sequence[World], clean: Clean, points: Sequence[Point], tell: Tell
) -> None:
    """Share the boundaries out among the worlds."""
    waiting = sorted(points, key=_weight)

    async def work(world: World) -> None:
        while waiting:
            tell(await kill_at(world, clean, waiting.pop()))

    async with asyncio.TaskGroup() as group:
        for world in here:
            group.create_task(work(world))
