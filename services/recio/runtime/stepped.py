"""An event loop in virtual time: when nothing is ready, time jumps to the next timer.

There is no selector and there are no sockets, signals or threads; what needs one raises. Time is
counted in whole microseconds, timers with the same time run in the order in which they were set,
so a run is repeatable to the last step. A run in which nothing is ready and no timer is set can
never go on: that is ``Deadlock``.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
from asyncio import events
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Final, NoReturn, TypeVar

from recio.domain.errors import Broken

SECOND_US: Final = 1_000_000
T = TypeVar("T")


class Deadlock(Broken):
    """Everything waits and no timer is set: virtual time has nowhere to go."""


class SteppedLoop(asyncio.BaseEventLoop):
    """Runs callbacks in order; ``now_us`` is its time."""

    def __init__(self) -> None:
        super().__init__()
        self.now_us = 0
        self.steps = 0
        self._ready: deque[events.Handle] = deque()
        self._timers: list[tuple[int, int, events.TimerHandle]] = []
        self._numbers = itertools.count()
        self._is_running = False
        self._is_closed = False
        self._is_stopping = False
        self._handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None = None
        self._failure: BaseException | None = None

    # The schedule.

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self.now_us / SECOND_US

    def call_soon(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,  # noqa: ANN401 (the standard library's signature)
        context: contextvars.Context | None = None,
    ) -> events.Handle:
        """Run the callback in this step's queue."""
        handle = events.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,  # noqa: ANN401
        context: contextvars.Context | None = None,
    ) -> events.TimerHandle:
        """Run the callback after ``delay`` virtual seconds."""
        return self._set_timer(self.now_us + round(delay * SECOND_US), callback, args, context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,  # noqa: ANN401
        context: contextvars.Context | None = None,
    ) -> events.TimerHandle:
        """Run the callback at virtual time ``when``."""
        return self._set_timer(round(when * SECOND_US), callback, args, context)

    def _set_timer(
        self,
        at_us: int,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
    ) -> events.TimerHandle:
        handle = events.TimerHandle(at_us / SECOND_US, callback, args, self, context)
        heapq.heappush(self._timers, (at_us, next(self._numbers), handle))
        return handle

    def _timer_handle_cancelled(self, handle: events.TimerHandle) -> None:
        # Cancelled timers are dropped when their time comes.
        pass

    def call_soon_threadsafe(  # type: ignore[override]
        self,
        *_args: Any,  # noqa: ANN401
        **_kwargs: Any,  # noqa: ANN401
    ) -> NoReturn:
        """Refuse: there is one thread."""
        raise Broken("a stepped run has no threads")

    def run_in_executor(  # type: ignore[override]
        self,
        *_args: Any,  # noqa: ANN401
    ) -> NoReturn:
        """Refuse: there is one thread."""
        raise Broken("a stepped run has no threads")

    # Running.

    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        """Run until the future is done and return its result.

        Raises:
            Deadlock: nothing can ever happen again and the future is not done.
        """
        task: asyncio.Future[T] = asyncio.ensure_future(future, loop=self)  # type: ignore[arg-type]
        task.add_done_callback(self._on_done)
        try:
            self.run_forever()
        finally:
            task.remove_done_callback(self._on_done)
        if not task.done():
            task.cancel()
            raise self._failure or Deadlock("the loop was stopped before its work was done")
        return task.result()

    def _on_done(self, _future: asyncio.Future[Any]) -> None:
        self._is_stopping = True

    def run_forever(self) -> None:
        """Run until ``stop``."""
        if self._is_running or self._is_closed:
            raise RuntimeError("the loop is running or closed")
        self._is_running = True
        self._is_stopping = False
        events._set_running_loop(self)  # noqa: SLF001 (as every loop outside of asyncio does)
        try:
            self._run()
        finally:
            self._is_running = False
            events._set_running_loop(None)  # noqa: SLF001

    def _run(self) -> None:
        ready = self._ready
        while not self._is_stopping:
            if not ready:
                self._advance()
            for _ in range(len(ready)):
                handle = ready.popleft()
                if not handle._cancelled:  # noqa: SLF001
                    handle._run()  # noqa: SLF001
                    self.steps += 1

    def _advance(self) -> None:
        """Go to the next timer's time and make ready everything due then."""
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not timers:
            self._failure = Deadlock("every task waits and no timer is set")
            self._is_stopping = True
            return
        self.now_us = max(self.now_us, timers[0][0])
        while timers and timers[0][0] <= self.now_us:
            self._ready.append(heapq.heappop(timers)[2])

    def stop(self) -> None:
        """Stop after the callbacks that are ready now."""
        self._is_stopping = True

    def is_running(self) -> bool:
        """Whether it runs."""
        return self._is_running

    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._is_closed

    def close(self) -> None:
        """Forget everything."""
        self._is_closed = True
        self._ready.clear()
        self._timers.clear()

    async def shutdown_asyncgens(self) -> None:
        """Do nothing: generators are closed where they are used."""

    async def shutdown_default_executor(self) -> None:
        """Do nothing: there is no executor."""

    # Futures, tasks, errors.

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[T]:
        """Return a task that runs the coroutine."""
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def get_debug(self) -> bool:
        """Return False: debugging costs more than the run."""
        return False

    def set_debug(self, enabled: bool) -> None:  # noqa: ARG002, FBT001 (the library's signature)
        """Ignore it."""
        self._debug = False

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Stop the run: what nobody handled must not be lost."""
        self._failure = context.get("exception") or Broken(str(context.get("message")))
        self._is_stopping = True

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Tell of an error that nobody took."""
        if self._handler is not None:
            self._handler(self, context)
        else:
            self.default_exception_handler(context)

    def set_exception_handler(
        self, handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None
    ) -> None:
        """Set who is told of errors that nobody took."""
        self._handler = handler

    def get_exception_handler(
        self,
    ) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None:
        """Return who is told of errors that nobody took."""
        return self._handler


def run(main: Coroutine[Any, Any, T], *, loop: SteppedLoop | None = None) -> T:
    """Run the coroutine in virtual time, cancel what it left behind, and return its result."""
    own = loop or SteppedLoop()
    try:
        return own.run_until_complete(main)
    finally:
        cancel_all(own)
        own.close()


def cancel_all(loop: SteppedLoop) -> None:
    """Cancel every task that is left and wait for it."""
    left = [task for task in asyncio.all_tasks(loop) if not task.done()]
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(_gathered(left))


async def _gathered(tasks: list[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
