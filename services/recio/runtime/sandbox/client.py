"""Asks a strategy and waits for the answer: for backtests, checks and tests.

    with Sandbox(Path("mine.py"), "Mine", {}) as sandbox:
        proposals = sandbox.ask(view)

A strategy that fails is killed and started anew by the next question. ``answer`` never raises: it
tells the fold. After a failure it lets 1, 2, 4 … questions pass unasked, so that a strategy that
hangs does not hold up a month for weeks; counted in questions, this is the same in every run.
"""

from __future__ import annotations

import select
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from recio.domain.errors import StrategyFailed
from recio.domain.messages import Snapshot
from recio.domain.proposals import Proposal, View
from recio.engine.entry_state import Ask, Known, Proposed
from recio.engine.proposing import view_of
from recio.runtime.sandbox import wire
from recio.runtime.sandbox.child import Child, Limits, Source, read_source

MOST_PASSED: Final = 1024
DEFAULTS: Final = Limits()


class Sandbox:
    """One strategy in its own process. ``failures`` counts what it did wrong so far."""

    def __init__(
        self,
        file: Path,
        class_name: str,
        parameters: Mapping[str, str],
        *,
        limits: Limits = DEFAULTS,
        hash_seed: int = 0,
    ) -> None:
        """Read the file; the process is started by the first question.

        Raises:
            StrategyFailed: the file cannot be read.
        """
        self.source: Source = read_source(file, class_name, parameters)
        self.failures = 0
        self._limits = limits
        self._hash_seed = hash_seed
        self._child: Child | None = None
        self._failure = ""
        self._passed = 0
        self._to_pass = 0

    @property
    def walls(self) -> tuple[str, ...]:
        """What holds the process, by name; nothing while it does not run."""
        return () if self._child is None else self._child.walls

    def start(self) -> None:
        """Start the process and load the class, if it does not run.

        Raises:
            StrategyFailed: it cannot be loaded.
        """
        if self._child is None:
            self._child = Child(self.source, self._limits, hash_seed=self._hash_seed)
            self._answer(self._limits.start_seconds)

    def ask(self, view: View) -> tuple[Proposal, ...]:
        """Return what the strategy proposes.

        Raises:
            StrategyFailed: it did not answer as it must; its process is gone.
        """
        self.start()
        assert self._child is not None
        try:
            self._child.ask(view)
        except StrategyFailed:
            self._fail()
            raise
        return self._answer(self._limits.answer_seconds).proposals

    def answer(self, ask: Ask) -> Proposed:
        """Return the answer as an event of the entry fold, failures too."""
        if self._passed < self._to_pass:
            self._passed += 1
            return self._told(ask, failure=self._failure)
        try:
            proposals = self.ask(ask.view)
        except StrategyFailed as error:
            self._failure = str(error)
            self._passed, self._to_pass = 0, min(max(2 * self._to_pass, 1), MOST_PASSED)
            return self._told(ask, failure=self._failure)
        self._passed = self._to_pass = 0
        return self._told(ask, proposals=proposals)

    def _told(
        self, ask: Ask, *, proposals: tuple[Proposal, ...] = (), failure: str = ""
    ) -> Proposed:
        return Proposed(
            event_ticker=ask.event_ticker,
            generation=ask.generation,
            at_us=ask.at_us,
            strategy=self.source.name,
            proposals=proposals,
            failure=failure,
        )

    def _answer(self, seconds: float) -> wire.Answer:
        assert self._child is not None
        try:
            return waited(self._child, seconds)
        except StrategyFailed:
            self._fail()
            raise

    def _fail(self) -> None:
        self.failures += 1
        self.close()

    def close(self) -> None:
        """End the process."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def waited(child: Child, seconds: float) -> wire.Answer:
    """Wait for a process's next answer.

    Raises:
        StrategyFailed: none came in time, or none that counts.
    """
    poll = select.poll()
    poll.register(child.answers, select.POLLIN | select.POLLHUP)
    deadline = time.monotonic() + seconds
    while (left_s := deadline - time.monotonic()) > 0:
        if poll.poll(left_s * 1000) and (answer := child.take()) is not None:
            return answer
    raise StrategyFailed("timeout", f"no answer within {seconds:g} s")


def answer(sandbox: Sandbox, ask: Ask) -> Proposed:
    """Return a strategy's answer to what the entry fold asks."""
    return sandbox.answer(ask)


def propose(sandbox: Sandbox, snapshot: Snapshot, known: Known) -> Proposed:
    """Return a strategy's answer to a snapshot, whether or not the fold would ask."""
    view = view_of(snapshot, known)
    return sandbox.answer(Ask(snapshot.event_ticker, snapshot.generation, snapshot.at_us, view))
