"""What is to be looked at again: one entry a key, few workers, patience with what fails.

A key that is added while it waits is there once; one that is added while it is worked on is worked
on again afterwards, never twice at the same time. What fails comes back after a pause that doubles
up to a cap, spread by chance, and is forgotten at the first success. Work may ask to be called
again in a while; an earlier reason to look comes first.

The worker's loop catches everything: a document must never stop the others' work.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from recio.domain.errors import RecioError

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 120.0
STUCK_S: Final = 180.0
"""Longer than any work takes whose requests all run into their time-outs."""

_log = logging.getLogger("recio.operator.queue")

K = TypeVar("K", bound=Hashable)


class Later(Exception):
    """Work was cut short for a reason that needs no alarm: look again in ``seconds``."""

    def __init__(self, seconds: float, reason: str) -> None:
        super().__init__(reason)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Worked:
    """How one piece of work went; ``result`` is ok, later, failed or crashed."""

    result: str
    seconds: float


class WorkQueue(Generic[K]):
    """Keys to work on, and the workers.

    Args:
        work: does the work for a key; returns after how many seconds to call it again, or None.
        workers: how many keys are worked on at the same time.
        jitter: numbers in [0, 1) that spread retries.
        on_worked: told after each piece of work.
    """

    def __init__(
        self,
        work: Callable[[K], Awaitable[float | None]],
        *,
        workers: int,
        jitter: Callable[[], float],
        on_worked: Callable[[K, Worked], None] = lambda _key, _worked: None,
    ) -> None:
        self._work = work
        self._workers = workers
        self._jitter = jitter
        self._on_worked = on_worked
        self._ready: dict[K, float] = {}
        self._later: dict[K, tuple[float, asyncio.TimerHandle]] = {}
        self._busy: dict[K, float] = {}
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._wake = asyncio.Event()
        self._is_closing = False
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, key: K) -> None:
        """Have a key worked on as soon as a worker is free."""
        self._forget_timer(key)
        if key in self._busy:
            self._again.add(key)
        elif key not in self._ready:
            self._ready[key] = asyncio.get_running_loop().time()
            self._wake.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Have a key worked on in a while, or earlier if that was asked for already."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        held = self._later.get(key)
        if key in self._ready or (held is not None and held[0] <= due):
            return
        self._forget_timer(key)
        self._later[key] = (due, loop.call_at(due, self.add, key))

    def drop(self, key: K) -> None:
        """Forget a key: what it stood for is gone."""
        self._forget_timer(key)
        self._ready.pop(key, None)
        self._again.discard(key)
        self._failures.pop(key, None)

    @property
    def depth(self) -> int:
        """How many keys wait for a worker."""
        return len(self._ready)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for a worker and none works."""
        return not self._ready and not self._busy

    def stuck(self) -> K | None:
        """Return a key that has waited or has been worked on for longer than can be right."""
        before = asyncio.get_running_loop().time() - STUCK_S
        waiting = self._busy if len(self._busy) < self._workers else {**self._ready, **self._busy}
        return next((key for key, since in waiting.items() if since < before), None)

    def start(self) -> None:
        """Start the workers."""
        self._tasks = [
            asyncio.create_task(self._run(), name=f"worker-{number}")
            for number in range(self._workers)
        ]

    async def close(self, *, patience_s: float) -> None:
        """Let each worker finish what it is at, then stop; cancel what takes longer."""
        self._is_closing = True
        self._wake.set()
        for _, timer in self._later.values():
            timer.cancel()
        self._later.clear()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=patience_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self) -> None:
        while (key := await self._next()) is not None:
            started = asyncio.get_running_loop().time()
            self._busy[key] = started
            result = await self._attempt(key)
            del self._busy[key]
            self._on_worked(key, Worked(result, asyncio.get_running_loop().time() - started))
            if key in self._again:
                self._again.discard(key)
                self.add(key)

    async def _next(self) -> K | None:
        while not self._is_closing:
            if self._ready:
                key = next(iter(self._ready))
                del self._ready[key]
                return key
            self._wake.clear()
            await self._wake.wait()
        return None

    async def _attempt(self, key: K) -> str:
        try:
            seconds = await self._work(key)
        except Later as reason:
            self._plan(key, reason.seconds)
            return "later"
        except RecioError as error:
            pause_s = self._retry(key)
            _log.warning("%s: %s; again in %.1f s", key, error, pause_s)
            return "failed"
        except Exception:  # noqa: BLE001 (the outermost loop: a document must not stop the rest)
            pause_s = self._retry(key)
            _log.exception("%s: our own mistake; again in %.1f s", key, pause_s)
            return "crashed"
        self._failures.pop(key, None)
        self._plan(key, seconds)
        return "ok"

    def _plan(self, key: K, seconds: float | None) -> None:
        if seconds is not None and not self._is_closing:
            self.add_after(key, seconds)

    def _retry(self, key: K) -> float:
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        most_s: float = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures, 20))
        pause_s = most_s * (0.5 + 0.5 * self._jitter())
        self._plan(key, pause_s)
        return pause_s

    def _forget_timer(self, key: K) -> None:
        held = self._later.pop(key, None)
        if held is not None:
            held[1].cancel()
