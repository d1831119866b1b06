"""A Database port whose every statement is a step that somebody else decides on.

A coroutine of the product runs until it wants a statement; then it waits, and whoever drives it
sends the statement over a real connection of its own, sees the answer come or sees that it waits
for a lock, and lets it go on. Statements that live traffic sends together go out one by one: the
server runs them one by one too, each with a snapshot of its own.
"""

from __future__ import annotations

import select
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg

from recio.adapters.postgres.database import Adapters
from recio.adapters.postgres.failures import CommitUnknown, DatabaseUnavailable
from recio.adapters.postgres.session import Session, Statement
from recio.domain.errors import RecioError
from recio.ports import Query

COMMIT: Final = "COMMIT"
PATIENCE_S: Final = 60.0
_SPINS: Final = 60
_LOOK_MS: Final = 2.0
"""How long an answer may take before it is asked whether it waits for a lock."""


class Line(Session):
    """One real connection; the answer to what was sent is looked for, never waited for."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.Connection.connect(
            url,
            autocommit=True,
            context=Adapters(),
            options="-c timezone=UTC",
        )
        super().__init__(self._connection.pgconn, self._connection)
        self._sent: Any = None
        self._poll = select.poll()
        self._poll.register(self._pgconn.socket, select.POLLIN)

    def send(self, statements: Sequence[Statement]) -> None:
        """Send statements."""
        self._sent = self._send(statements)
        while self._pgconn.flush():
            pass

    def is_answered(self, timeout_ms: float) -> bool:
        """Tell whether the whole answer is here, having looked for so long."""
        spins = _SPINS
        while not self._take(self._sent):
            if spins > 0:
                spins -= 1
            elif not self._poll.poll(timeout_ms):
                return False
            self._pgconn.consume_input()
        return True

    def finish(self) -> None:
        """Raise what the server answered, if it was an error."""
        self._finish(self._sent)

    def run(self, *texts: str) -> None:
        """Run statements of which none can wait."""
        self.send([Statement(text, is_prepared=False) for text in texts])
        assert self.is_answered(PATIENCE_S * 1000), f"no answer: {texts}"
        self.finish()


class Step:
    """One statement that a coroutine waits for."""

    def __init__(self, line: Line, statement: Statement, *, begins: bool) -> None:
        self.line = line
        self.statement = statement
        self.begins = begins

    @property
    def sql(self) -> str:
        """Its text."""
        return self.statement.sql

    @property
    def is_commit(self) -> bool:
        """Whether it ends its transaction."""
        return self.sql == COMMIT

    def __await__(self) -> Generator[Step, None, None]:
        yield self


class SteppedTransaction:
    """A transaction of single steps; begins with its first statement, as the product's does."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._is_begun = False
        self._waiting: list[Statement] = []
        self._failed: RecioError | None = None

    async def fetch(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        """Run one statement and return all rows."""
        return self._line.rows((await self._run(sql, params)).result)  # type: ignore[arg-type]

    async def fetch_one(self, sql: str, *params: object) -> tuple[Any, ...] | None:
        """Run one statement and return its first row, or None."""
        rows = await self.fetch(sql, *params)
        return rows[0] if rows else None

    async def fetch_many(self, *queries: Query) -> list[list[tuple[Any, ...]]]:
        """Run statements one after the other."""
        return [await self.fetch(query.sql, *query.params) for query in queries]

    async def execute(self, sql: str, *params: object) -> int:
        """Run one statement and return the number of rows it touched."""
        result = (await self._run(sql, params)).result
        assert result is not None
        return result.command_tuples or 0

    async def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run one statement for each row, with the next one or with the commit."""
        self._waiting += [Statement(sql, row) for row in rows]

    async def _run(self, sql: str, params: Sequence[object]) -> Statement:
        statement = Statement(sql, params)
        await self._steps(statement)
        return statement

    async def _steps(self, *statements: Statement) -> None:
        if self._failed is not None:
            raise self._failed
        sent, self._waiting = [*self._waiting, *statements], []
        try:
            for statement in sent:
                begins, self._is_begun = not self._is_begun, True
                await Step(self._line, statement, begins=begins)
        except RecioError as error:
            self._failed = error
            raise

    async def commit(self) -> None:
        """End it well, or raise what failed before."""
        if self._failed is not None:
            raise self._failed
        if self._is_begun or self._waiting:
            await self._steps(Statement(COMMIT, is_prepared=False))

    def roll_back(self) -> None:
        """Undo it; a closed connection has undone it already."""
        if self._line.is_open and self._line.is_in_transaction:
            self._line.run("ROLLBACK")


class SteppedPort:
    """The Database port of one player: one line, one transaction at a time."""

    poll_seconds = 60.0
    settle_seconds = 0.0
    session_pid = None

    def __init__(self, line: Line) -> None:
        self._line = line

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SteppedTransaction]:
        """Open a transaction."""
        if not self._line.is_open:
            raise DatabaseUnavailable("the connection to PostgreSQL is closed")
        transaction = SteppedTransaction(self._line)
        try:
            yield transaction
            await transaction.commit()
        except BaseException:
            transaction.roll_back()
            raise

    def listen(self, *_channels: str) -> AsyncIterator[Any]:
        """Refuse: what is tried here looks by itself."""
        raise NotImplementedError

    async def close(self) -> None:
        """Leave the line to its owner."""


class Player:
    """One coroutine, driven step by step."""

    def __init__(
        self, line: Line, script: Callable[[SteppedPort], Coroutine[Any, Any, Any]]
    ) -> None:
        self.line = line
        self.pid = line.backend_pid
        self.step: Step | None = None
        self.is_parked = False
        self.error: BaseException | None = None
        self.result: Any = None
        self._script = script(SteppedPort(line))
        self._resume(None)

    @property
    def is_done(self) -> bool:
        """Whether it has come to its end."""
        return self.step is None

    def _resume(self, error: BaseException | None) -> None:
        try:
            self.step = self._script.throw(error) if error else self._script.send(None)
        except StopIteration as end:
            self.step, self.result = None, end.value
        except RecioError as failed:
            self.step, self.error = None, failed

    def go(self, is_waiting: Callable[[int], bool]) -> None:
        """Send its statement; afterwards it is answered, or parked behind a lock."""
        assert self.step is not None
        sent = [self.step.statement]
        if self.step.begins:
            sent.insert(0, Statement("BEGIN", is_prepared=False))
        self.line.send(sent)
        self.is_parked = False
        deadline = time.monotonic() + PATIENCE_S
        while not self.line.is_answered(_LOOK_MS):
            assert time.monotonic() < deadline, f"neither an answer nor a lock: {self.step.sql}"
            if is_waiting(self.pid):
                self.is_parked = True
                return
        self._take()

    def look(self, is_waiting: Callable[[int], bool]) -> None:
        """Take the answer if the lock that it waited for is free now."""
        if is_waiting(self.pid):
            return
        self.is_parked = False
        assert self.step is not None
        assert self.line.is_answered(PATIENCE_S * 1000), f"no answer: {self.step.sql}"
        self._take()

    def _take(self) -> None:
        try:
            self.line.finish()
        except RecioError as error:
            self._resume(error)
        else:
            self._resume(None)

    def die(self) -> None:
        """End like kill -9: the connection is gone, and nothing more is done."""
        self.line.close()
        self._script.close()
        self.step, self.is_parked = None, False

    def lose_commit(self, *, is_kept: bool) -> None:
        """Let the connection break while the commit is on its way; nobody knows whether it arrived."""
        assert self.step is not None
        assert self.step.is_commit
        if is_kept:
            self.line.run(COMMIT)
        self.line.close()
        self._resume(CommitUnknown("the commit's outcome is unknown"))
