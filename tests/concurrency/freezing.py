"""Tasks that stand still like a process after SIGSTOP, and go on where they stood after SIGCONT."""

from __future__ import annotations

import asyncio
import contextvars
import types
from collections.abc import Coroutine, Generator
from typing import Any, Final

from recio.runtime.stepped import SteppedLoop

_PROCESS: Final = contextvars.ContextVar["Frost | None"]("process", default=None)


class Frost:
    """What is frozen and thawed as one: every task that one of its tasks starts belongs to it."""

    def __init__(self, loop: FreezingLoop) -> None:
        self._loop = loop
        self._thawed: asyncio.Future[None] | None = None
        self._is_over = False
        self.tasks: list[asyncio.Task[Any]] = []
        self._context = contextvars.copy_context()
        self._context.run(_PROCESS.set, self)

    @property
    def is_frozen(self) -> bool:
        """Whether nothing of it runs."""
        return self._thawed is not None

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine as a task of it."""
        return self._context.copy().run(self._loop.create_task, work)

    def freeze(self) -> None:
        """Stop all of it where it stands."""
        self._thawed = self._loop.create_future()

    def thaw(self) -> None:
        """Let it go on."""
        thawed, self._thawed = self._thawed, None
        assert thawed is not None
        thawed.set_result(None)

    def end(self) -> None:
        """Let its tasks be cancelled although they are frozen: the run is over."""
        self._is_over = True

    @types.coroutine
    def run(self, work: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Run a coroutine, holding it while frozen; what wakes or cancels it meanwhile is kept."""
        value: Any = None
        error: BaseException | None = None
        while True:
            while self._thawed is not None:
                try:
                    yield from asyncio.shield(self._thawed)
                except asyncio.CancelledError as cancelled:
                    error = cancelled
                    if self._is_over:
                        break
            try:
                awaited = work.throw(error) if error is not None else work.send(value)
            except StopIteration as end:
                return end.value
            value = error = None
            try:
                value = yield awaited
            except BaseException as raised:  # noqa: BLE001 (handed on to whom it belongs)
                error = raised


class FreezingLoop(SteppedLoop):
    """A stepped loop whose tasks belong to who started them."""

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], **options: Any
    ) -> asyncio.Task[Any]:
        """Return a task of the process that it is made in."""
        process = _PROCESS.get()
        if process is None:
            return super().create_task(coro, **options)
        task = super().create_task(process.run(coro), **options)
        process.tasks.append(task)
        return task
