"""A virtual-time event loop with processes: each can be killed or frozen between any two steps.

Every callback belongs to the simulated process whose context it runs in. At each step one process
that has something to do is picked by the seed and its oldest callback runs: within a process the
order is asyncio's own, between processes every interleaving can happen. A killed process's callbacks
are dropped and its tasks are kept from the garbage collector, so that no ``finally`` of theirs ever
acts; a frozen one's callbacks and timers wait until it is thawed.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import random  # noqa: TID251 (seeded: the same interleaving in each run)
import sys
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from recio.domain.errors import Broken
from recio.runtime.stepped import Deadlock, SteppedLoop

T = TypeVar("T")
_PRUNE_TASKS: Final = 256
MOST_STEPS: Final = 2_000_000
"""An hour takes some ten thousand; what takes so many will never end."""


class SimulatedProcess:
    """What can be scheduled, frozen and killed as one. ``skew_us`` is how wrong its clock is."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.queue: deque[events.Handle] = deque()
        self.is_frozen = False
        self.is_dead = False
        self.skew_us = 0
        self.tasks: list[asyncio.Task[Any]] = []
        self.context = contextvars.copy_context()
        self.context.run(_PROCESS.set, self)

    @property
    def is_runnable(self) -> bool:
        """Whether it may run and has something to do."""
        return bool(self.queue) and not (self.is_frozen or self.is_dead)


_PROCESS: Final[contextvars.ContextVar[SimulatedProcess]] = contextvars.ContextVar("process")


def current() -> SimulatedProcess:
    """Return the process that runs now."""
    return _PROCESS.get()


class SimulatedLoop(SteppedLoop):
    """A stepped loop whose steps are picked among processes by a seed."""

    def __init__(self, seed: str) -> None:
        super().__init__()
        self._draw = random.Random(seed).random  # noqa: S311 (repeatable on purpose)
        self._runnable: list[SimulatedProcess] = []
        self._due: list[tuple[int, int, events.TimerHandle, SimulatedProcess]] = []
        self.stage = SimulatedProcess("stage")
        self._processes = [self.stage]

    # Processes.

    def process(self, name: str) -> SimulatedProcess:
        """Return a new process."""
        made = SimulatedProcess(name)
        self._processes.append(made)
        return made

    def start(
        self, process: SimulatedProcess, work: Coroutine[Any, Any, T], *, name: str = ""
    ) -> asyncio.Task[T]:
        """Run a coroutine as a task of a process."""
        return self.create_task(work, name=name or None, context=process.context.copy())

    def kill(self, process: SimulatedProcess) -> None:
        """End a process like kill -9: nothing of it ever runs again."""
        process.is_dead = True
        process.queue.clear()
        if process in self._runnable:
            self._runnable.remove(process)

    def freeze(self, process: SimulatedProcess) -> None:
        """Stop a process like SIGSTOP."""
        process.is_frozen = True
        if process in self._runnable:
            self._runnable.remove(process)

    def thaw(self, process: SimulatedProcess) -> None:
        """Let a process go on like SIGCONT."""
        process.is_frozen = False
        if process.is_runnable and process not in self._runnable:
            self._runnable.append(process)

    def bury(self) -> None:
        """Forget all tasks when the run is over and nothing that they touch can matter any more."""
        for process in self._processes:
            for task in process.tasks:
                if not task.done():
                    task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001
                    with contextlib.suppress(Exception):
                        task.get_coro().close()
            process.tasks.clear()
            process.queue.clear()
        self._due.clear()

    # The schedule.

    def _enqueue(self, process: SimulatedProcess, handle: events.Handle) -> None:
        if process.is_dead:
            return
        if not process.queue and not process.is_frozen:
            self._runnable.append(process)
        process.queue.append(handle)

    def call_soon(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,  # noqa: ANN401 (the standard library's signature)
        context: contextvars.Context | None = None,
    ) -> events.Handle:
        """Queue the callback in its process."""
        process = _PROCESS.get(self.stage) if context is None else context.get(_PROCESS, self.stage)
        handle = events.Handle(callback, args, self, context)
        self._enqueue(process, handle)
        return handle

    def _set_timer(
        self,
        at_us: int,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
    ) -> events.TimerHandle:
        process = _PROCESS.get(self.stage) if context is None else context.get(_PROCESS, self.stage)
        handle = events.TimerHandle(at_us / 1e6, callback, args, self, context)
        heapq.heappush(self._due, (at_us, next(self._numbers), handle, process))
        return handle

    def run_forever(self) -> None:
        """Run until ``stop``; a generator that a dead task leaves behind is dropped unfinished."""
        before = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=None, finalizer=_drop)
        try:
            super().run_forever()
        finally:
            sys.set_asyncgen_hooks(*before)

    def _run(self) -> None:
        runnable, draw = self._runnable, self._draw
        while not self._is_stopping:
            count = len(runnable)
            if not count:
                self._advance()
                continue
            index = int(draw() * count) if count > 1 else 0
            process = runnable[index]
            handle = process.queue.popleft()
            if not process.queue:
                runnable[index] = runnable[-1]
                runnable.pop()
            if not handle._cancelled:  # noqa: SLF001
                handle._run()  # noqa: SLF001
                self.steps += 1
                if self.steps > MOST_STEPS:
                    self._failure = Broken(f"no end after {MOST_STEPS} steps: something spins")
                    self._is_stopping = True

    def _advance(self) -> None:
        due = self._due
        while due and (due[0][2]._cancelled or due[0][3].is_dead):  # noqa: SLF001
            heapq.heappop(due)
        if not due:
            self._failure = Deadlock("every process waits and no timer is set")
            self._is_stopping = True
            return
        self.now_us = max(self.now_us, due[0][0])
        while due and due[0][0] <= self.now_us:
            _, _, handle, process = heapq.heappop(due)
            if not handle._cancelled:  # noqa: SLF001
                self._enqueue(process, handle)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[T]:
        """Return a task of the process that it is made in; it is kept until the run is over."""
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        process = _PROCESS.get(self.stage) if context is None else context.get(_PROCESS, self.stage)
        tasks = process.tasks
        tasks.append(task)
        if len(tasks) > _PRUNE_TASKS and not process.is_dead:
            process.tasks = [one for one in tasks if not one.done()]
        return task


def _drop(_generator: object) -> None:
    """Do nothing: ``finally`` blocks of the dead do not run."""
