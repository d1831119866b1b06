"""The Database port of runs in one process in virtual time: a transaction never yields, so it is one step.

Same statements, same server, same guarantees as ``database.PostgresDatabase``; hints are handed out
after each commit, in order, within the process.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache
from typing import Any, Final

import psycopg
from psycopg.pq.abc import PGresult

from recio.adapters.postgres.database import (
    STATEMENT_TIMEOUT_S,
    WAITING_MOST,
    Adapters,
    commit_statement,
    commit_unknown,
    connection_options,
    listen_statement,
    not_connected,
    result_of,
    with_begin,
)
from recio.adapters.postgres.failures import DatabaseBroken, DatabaseUnavailable
from recio.adapters.postgres.hints import Hints
from recio.adapters.postgres.session import BlockingSession, Statement
from recio.domain.errors import RecioError
from recio.ports import Notification, Query


class SteppedTransaction:
    """A transaction on a BlockingSession: its coroutines never wait.

    Where the session may stay open, one that neither wrote nor locked is ended together with the
    beginning of the next one, which saves it a round trip.
    """

    def __init__(self, session: BlockingSession) -> None:
        self._session = session
        self._is_begun = False
        self._waiting: list[Statement] = []
        self._failed: RecioError | None = None
        self._has_written = False
        self._has_locked = False

    @property
    def has_written(self) -> bool:
        """Whether the commit would change anything."""
        return self._has_written or bool(self._waiting)

    async def fetch(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        """Run one statement and return all rows."""
        return self._session.rows(self._run(sql, params))

    async def fetch_one(self, sql: str, *params: object) -> tuple[Any, ...] | None:
        """Run one statement and return its first row, or None."""
        rows = self._session.rows(self._run(sql, params))
        return rows[0] if rows else None

    async def fetch_many(self, *queries: Query) -> list[list[tuple[Any, ...]]]:
        """Run statements one after the other in one round trip; return the rows of each."""
        statements = [Statement(query.sql, query.params) for query in queries]
        self._round_trip(statements)
        return [self._session.rows(result_of(statement)) for statement in statements]

    async def execute(self, sql: str, *params: object) -> int:
        """Run one statement and return the number of rows it touched."""
        return self._run(sql, params).command_tuples or 0

    async def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run one statement for each row; it rides with the next statement or with the commit."""
        self._waiting += [Statement(sql, row) for row in rows]
        if len(self._waiting) > WAITING_MOST:
            self._round_trip([])

    def _run(self, sql: str, params: Sequence[object]) -> PGresult:
        statement = Statement(sql, params)
        self._round_trip([statement])
        return result_of(statement)

    def _round_trip(self, statements: list[Statement]) -> None:
        if self._failed is not None:
            raise self._failed
        sent = self._begun(self._waiting + statements)
        self._waiting = []
        try:
            self._session.round_trip(sent)
            self._is_begun = True
            self._has_written = self._has_written or any(map(_is_write, sent))
            self._has_locked = self._has_locked or any(_may_lock(one.sql) for one in sent)
        except RecioError as error:
            self._failed = error
            raise

    def commit(self) -> None:
        """End it well, or raise what failed before."""
        if self._failed is not None:
            raise self._failed
        if not self._is_begun and not self._waiting:
            return
        if self._session.may_stay_open and not (self.has_written or self._has_locked):
            self._session.is_left_open = True
            return
        try:
            self._session.round_trip(self._begun([*self._waiting, commit_statement()]))
        except DatabaseUnavailable as error:
            if not self._session.is_open:
                raise commit_unknown(error) from error
            raise

    def _begun(self, statements: list[Statement]) -> list[Statement]:
        sent = with_begin(statements, is_begun=self._is_begun)
        if not self._is_begun and self._session.is_left_open:
            self._session.is_left_open = False
            sent.insert(0, commit_statement())
        return sent

    def roll_back(self) -> None:
        """Undo it."""
        self._session.is_left_open = False
        if self._session.is_open and self._session.is_in_transaction:
            try:
                self._session.round_trip([Statement("ROLLBACK", is_prepared=False)])
            except RecioError:
                self._session.close()


def blocking_session(
    dsn: str, name: str, *, timeout_s: float = STATEMENT_TIMEOUT_S
) -> BlockingSession:
    """Connect; the session hears of its own commits only, at once: others' arrive when they may.

    Raises:
        DatabaseUnavailable: the server cannot be reached, or refuses the login.
    """
    try:
        connection = psycopg.Connection.connect(
            dsn, autocommit=True, context=Adapters(), **connection_options(dsn, name)
        )
    except psycopg.Error as error:
        raise not_connected(dsn, error) from error
    session = BlockingSession(connection, timeout_s=timeout_s)
    session.hears_others = False
    return session


class SteppedDatabase:
    """The Database port of a stepped run: one blocking connection, one transaction at a time.

    Databases of several logins that share ``hints`` hear each other's commits at once and in order,
    which the server itself does not promise between connections.
    """

    poll_seconds = 60.0
    """Hints are handed out in the same process and cannot be lost."""
    settle_seconds = 0.0
    """One thing happens at a time: there is nobody to let go first."""
    session_pid = None
    """Its one connection lasts."""

    def __init__(
        self,
        dsn: str,
        *,
        hints: Hints | None = None,
        name: str = "recio",
        timeout_s: float = STATEMENT_TIMEOUT_S,
    ) -> None:
        self._dsn = dsn
        self._name = name
        self._timeout_s = timeout_s
        self.hints = hints or Hints()
        self._session: BlockingSession | None = None
        self._listening: set[str] = set()
        self.may_stay_open = False
        self._is_busy = False
        self._heard: list[Notification] = []

    def transaction(self) -> AbstractAsyncContextManager[SteppedTransaction]:
        """Open a transaction: committed at the end of the block, rolled back on an exception."""
        return self._transaction()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[SteppedTransaction]:
        if self._is_busy:
            raise DatabaseBroken("a transaction is open already: something else was awaited in it")
        self._is_busy = True
        try:
            transaction = SteppedTransaction(self._ready_session())
            try:
                yield transaction
                transaction.commit()
            except BaseException:
                transaction.roll_back()
                raise
        finally:
            self._is_busy = False
        self._hand_out()

    def end_reading(self) -> None:
        """End the transaction that was left open, if one was: it keeps tables from being altered."""
        if self._session is not None:
            self._session.end_reading()

    def _ready_session(self) -> BlockingSession:
        session = self._session
        if session is None or not session.is_open:
            session = self._session = self._connect()
            self._listening.clear()
        missing = sorted(self.hints.channels() - self._listening)
        if missing:
            session.round_trip([listen_statement(channel) for channel in missing])
            self._listening.update(missing)
        return session

    def _connect(self) -> BlockingSession:
        session = blocking_session(self._dsn, self._name, timeout_s=self._timeout_s)
        if self.may_stay_open:
            session.stay_open()
        session.on_notification = self._heard.append
        return session

    def _hand_out(self) -> None:
        for hint in self._heard:
            self.hints.deliver(hint)
        self._heard.clear()

    async def listen(self, *channels: str) -> AsyncIterator[Notification]:
        """Yield hints of the channels for ever; the first has an empty channel."""
        with self.hints.subscribed(channels) as inbox:
            self.hints.connected(self.hints.channels())
            while True:
                yield await inbox.take()

    async def close(self) -> None:
        """Give the connection back."""
        if self._session is not None:
            self._session.close()
            self._session = None


_LOCKS: Final = re.compile(r"FOR (UPDATE|NO KEY|SHARE|KEY)|lock|(trading|ops|market)\.\w+\s*\(")
"""Locks, and functions of ours: what they do cannot be seen from outside."""


@lru_cache(maxsize=2_000)
def _may_lock(sql: str) -> bool:
    return _LOCKS.search(sql) is not None


def _is_write(statement: Statement) -> bool:
    status = statement.result.command_status if statement.result is not None else None
    return status is not None and status[:6] in {b"INSERT", b"UPDATE", b"DELETE"}
