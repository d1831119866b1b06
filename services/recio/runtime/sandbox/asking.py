"""Asks a strategy in the live service: nothing waits for it but its own answer.

Of several questions for one event only the newest is put. A strategy that fails is killed and started
anew after a pause that doubles from one second to a minute; until then every question is answered
with the failure. Changed source (a ConfigMap that was edited) is taken up when the account holds
nothing; until then the text that was loaded goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from recio.domain.errors import StrategyFailed
from recio.engine.entry_state import Ask, Proposed
from recio.runtime.metrics import Metrics
from recio.runtime.sandbox import wire
from recio.runtime.sandbox.child import Child, Limits, Source, read_source
from recio.runtime.sandbox.client import waited

PAUSE_FIRST_S: Final = 1.0
PAUSE_MOST_S: Final = 60.0
LOOK_S: Final = 10.0
"""How often the file is read again."""


class Place:
    """Which class of which file, with which parameters."""

    def __init__(self, file: Path, class_name: str, parameters: Mapping[str, str]) -> None:
        self.file = file
        self.class_name = class_name
        self.parameters = dict(parameters)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.file, self.class_name))

    def read(self) -> Source:
        """Read it. Raises ``StrategyFailed``."""
        return read_source(self.file, self.class_name, self.parameters)


class Asking:
    """One account's strategy. ``is_flat`` tells whether another source may be taken up."""

    def __init__(
        self,
        limits: Limits,
        is_flat: Callable[[], bool],
        *,
        metrics: Metrics,
        log: logging.LoggerAdapter[Any],
    ) -> None:
        self._limits = limits
        self._is_flat = is_flat
        self._log = log
        self._asked = asyncio.Event()
        self._newest: dict[str, Ask] = {}
        self._place: Place | None = None
        self._source: Source | None = None
        self._child: Child | None = None
        self._failure = ""
        self._pause_s = PAUSE_FIRST_S
        self._not_before_s = 0.0
        self._looked_s = -LOOK_S
        self._answers = metrics.counter(
            "recio_strategy_answers_total", "Answers of the account's own strategy.", "outcome"
        )

    def follow(self, place: Place | None) -> None:
        """Go on with this class of this file; None: there is none."""
        if place != self._place:
            self.close()
            self._place, self._source = place, None
            self._pause_s, self._not_before_s, self._failure = PAUSE_FIRST_S, 0.0, ""

    def put(self, ask: Ask) -> None:
        """Keep a question until the strategy is free; an older one of the same event goes."""
        self._newest[ask.event_ticker] = ask
        self._asked.set()

    async def next(self) -> Proposed:
        """Wait for a question and return its answer."""
        while not self._newest:
            self._asked.clear()
            await self._asked.wait()
        ask = self._newest.pop(next(iter(self._newest)))
        try:
            answer = await self._ask(ask)
        except StrategyFailed as error:
            self._fail(error)
            return self._told(ask, failure=str(error))
        self._pause_s, self._failure = PAUSE_FIRST_S, ""
        self._answers.inc(1, "answered")
        return self._told(ask, answer)

    def _told(self, ask: Ask, answer: wire.Answer | None = None, failure: str = "") -> Proposed:
        return Proposed(
            event_ticker=ask.event_ticker,
            generation=ask.generation,
            at_us=ask.at_us,
            strategy="" if self._source is None else self._source.name,
            proposals=() if answer is None else answer.proposals,
            failure=failure,
        )

    async def _ask(self, ask: Ask) -> wire.Answer:
        now_s = asyncio.get_running_loop().time()
        if now_s < self._not_before_s:
            raise _StillFailing(self._failure)
        self._look(now_s)
        if self._child is None:
            assert self._source is not None
            self._child = Child(self._source, self._limits)
            await _answer(self._child, self._limits.start_seconds)
            self._log.info(
                "strategy %s runs behind: %s", self._source.name, ", ".join(self._child.walls)
            )
        self._child.ask(ask.view)
        return await _answer(self._child, self._limits.answer_seconds)

    def _look(self, now_s: float) -> None:
        """Read the file if it is time, and take it up if nothing is held by what it was."""
        if self._source is not None and now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        if self._place is None:
            raise StrategyFailed("not_loaded", "the account names no strategy of its own")
        if self._source is not None and not self._is_flat():
            return
        found = self._place.read()
        if found != self._source:
            self.close()
            self._source = found
            self._log.info("strategy %s read from %s", found.name, self._place.file)

    def _fail(self, error: StrategyFailed) -> None:
        if isinstance(error, _StillFailing):
            self._answers.inc(1, "paused")
            return
        self.close()
        self._failure = str(error)
        self._not_before_s = asyncio.get_running_loop().time() + self._pause_s
        self._answers.inc(1, error.kind)
        self._log.warning("the strategy failed, next try in %g s: %s", self._pause_s, error)
        self._pause_s = min(2 * self._pause_s, PAUSE_MOST_S)

    def close(self) -> None:
        """End the process."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()


class _StillFailing(StrategyFailed):
    """The pause after a failure is not over."""

    def __init__(self, failure: str) -> None:
        kind, _, message = failure.partition(": ")
        super().__init__(kind, message)


async def _answer(child: Child, seconds: float) -> wire.Answer:
    """Wait for a process's next answer.

    Raises:
        StrategyFailed: none came in time, or none that counts.
    """
    try:
        async with asyncio.timeout(seconds):
            while (answer := child.take()) is None:
                await _readable(child.answers)
    except TimeoutError as error:
        raise StrategyFailed("timeout", f"no answer within {seconds:g} s") from error
    except NotImplementedError:
        # A stepped run has no descriptors to wait for, and no time passes while it computes.
        return waited(child, seconds)
    return answer


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(descriptor, _set, ready)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
