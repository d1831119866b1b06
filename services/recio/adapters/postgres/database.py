"""The Database port: transactions and hints on PostgreSQL, live and stepped.

``PostgresDatabase`` is what services get. ``SteppedDatabase`` is the same behind the same interface
for a run in one process in virtual time: a transaction never yields to the event loop, so it is one
atomic step, and hints are handed out after each commit, in order.

Guarantees: a block that ends normally is committed when ``transaction()`` returns, one that raises
is rolled back; ``CommitUnknown`` is the only case between. A statement that was refused cannot be
swallowed inside the block: the commit raises it again. What ``execute_many`` is given goes out with
the next statement or with the commit, and is refused there. Numbers are sent as bigint, texts without a
type, so that enums and dates can be given as text; times come back in UTC.

Transactions may go through a pooler that hands out a server connection for each (PgBouncer,
``pool_mode = transaction``); ``listen_dsn`` is then the direct address. Over a pooler nothing is sent
that it could refuse or lose: no startup options (the logins' own settings stand in for them, see
migration 0006) and no statement is kept prepared unless it follows them (see ``session``).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache
from typing import Any, Final

import psycopg
from psycopg import adapt
from psycopg.pq.abc import PGresult

from recio.adapters.postgres.failures import (
    CommitUnknown,
    DatabaseBroken,
    DatabaseUnavailable,
)
from recio.adapters.postgres.hints import Hints
from recio.adapters.postgres.session import (
    PREPARED_MOST,
    AsyncSession,
    BlockingSession,
    Statement,
    adapters,
)
from recio.domain.errors import RecioError
from recio.ports import Notification, Query

STATEMENT_TIMEOUT_S: Final = 30.0
WAITING_MOST: Final = 500
"""Statements of ``execute_many`` that wait for company before they go out by themselves."""
CONNECT_TIMEOUT_S: Final = 5
BACKOFF_FIRST_S: Final = 0.05
BACKOFF_MOST_S: Final = 2.0
"""Short, because nothing trades while the database is away and a connection attempt is cheap."""

_CONNECTION: Final[dict[str, Any]] = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_OPTIONS: Final = "-c timezone=UTC -c idle_in_transaction_session_timeout=15000"


def _half() -> float:
    return 0.5


class Backoff:
    """Waiting times that double up to a bound, spread by ``jitter`` over half to whole."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._next_s = BACKOFF_FIRST_S

    def reset(self) -> None:
        """Start again from the shortest."""
        self._next_s = BACKOFF_FIRST_S

    def next_s(self) -> float:
        """Return how long to wait before the next attempt, in seconds."""
        wait_s = self._next_s * (0.5 + 0.5 * self._jitter())
        self._next_s = min(2 * self._next_s, BACKOFF_MOST_S)
        return wait_s


class _AsyncTransaction:
    """A transaction on an AsyncSession; BEGIN goes out with its first statement."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self._is_begun = False
        self._waiting: list[Statement] = []
        self._failed: RecioError | None = None

    async def fetch(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        """Run one statement and return all rows."""
        return self._session.rows(await self._run(sql, params))

    async def fetch_one(self, sql: str, *params: object) -> tuple[Any, ...] | None:
        """Run one statement and return its first row, or None."""
        rows = self._session.rows(await self._run(sql, params))
        return rows[0] if rows else None

    async def fetch_many(self, *queries: Query) -> list[list[tuple[Any, ...]]]:
        """Run statements one after the other in one round trip; return the rows of each."""
        statements = [Statement(query.sql, query.params) for query in queries]
        await self._round_trip(statements)
        return [self._session.rows(_result(statement)) for statement in statements]

    async def execute(self, sql: str, *params: object) -> int:
        """Run one statement and return the number of rows it touched."""
        return (await self._run(sql, params)).command_tuples or 0

    async def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run one statement for each row; it rides with the next statement or with the commit."""
        self._waiting += [Statement(sql, row) for row in rows]
        if len(self._waiting) > WAITING_MOST:
            await self._round_trip([])

    async def _run(self, sql: str, params: Sequence[object]) -> PGresult:
        statement = Statement(sql, params)
        await self._round_trip([statement])
        return _result(statement)

    async def _round_trip(self, statements: list[Statement]) -> None:
        if self._failed is not None:
            raise self._failed
        sent = _begun(self._waiting + statements, is_begun=self._is_begun)
        self._waiting = []
        try:
            await self._session.round_trip(sent)
            self._is_begun = True
        except RecioError as error:
            self._failed = error
            raise

    async def commit(self) -> None:
        """End it well, or raise what failed before."""
        if self._failed is not None:
            raise self._failed
        if not self._is_begun and not self._waiting:
            return
        sent = _begun([*self._waiting, _commit()], is_begun=self._is_begun)
        try:
            await self._session.round_trip(sent)
        except DatabaseUnavailable as error:
            if not self._session.is_open:
                raise _unknown(error) from error
            raise

    async def roll_back(self) -> None:
        """Undo it; a broken connection has undone it already."""
        if self._session.is_open and self._session.is_in_transaction:
            try:
                await self._session.round_trip([Statement("ROLLBACK", is_prepared=False)])
            except RecioError:
                self._session.close()


class PostgresDatabase:
    """A few connections to one database under one login, made when first needed.

    ``jitter`` gives numbers in [0, 1) that spread reconnections (the Ids port has one).
    ``listen_dsn`` is the direct address where ``dsn`` is a pooler's; ``pooler_prepares`` says that
    this pooler follows prepared statements. ``password`` is asked at each
    connection, so that a changed one is found.
    """

    poll_seconds = 2.0
    """Hints cross a connection that can break."""
    settle_seconds = 0.02
    """Longer than an order takes from one commit to the next, shorter than a person sees."""

    def __init__(
        self,
        dsn: str,
        *,
        connections: int = 1,
        name: str = "recio",
        jitter: Callable[[], float] = _half,
        timeout_s: float = STATEMENT_TIMEOUT_S,
        listen_dsn: str = "",
        password: Callable[[], str] | None = None,
        pooler_prepares: bool = False,
    ) -> None:
        self._dsn = dsn
        self._pooler_prepares = pooler_prepares
        self._is_pooled = bool(listen_dsn) and listen_dsn != dsn
        self._listen_dsn = listen_dsn or dsn
        self._password = password
        self._listening: AsyncSession | None = None
        self._name = name
        self._timeout_s = timeout_s
        self._connections = connections
        self._free: asyncio.Semaphore | None = None
        self._idle: list[AsyncSession] = []
        self._all: set[AsyncSession] = set()
        self._jitter = jitter
        self._backoff = Backoff(jitter)
        self._not_before: float = 0.0
        self._hints = Hints()
        self._listener: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def session_pid(self) -> int | None:
        """The server process of the one connection that lasts; 0 while there is none.

        None: every connection of this port lasts, the one of a transaction can be asked.
        """
        if not self._is_pooled:
            return None
        session = self._listening
        return session.backend_pid if session is not None and session.is_open else 0

    def transaction(self) -> AbstractAsyncContextManager[_AsyncTransaction]:
        """Open a transaction: committed at the end of the block, rolled back on an exception."""
        return self._transaction()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[_AsyncTransaction]:
        if self._free is None:
            self._free = asyncio.Semaphore(self._connections)
        async with self._free:
            session = await self._take()
            transaction = _AsyncTransaction(session)
            try:
                yield transaction
                await transaction.commit()
            except BaseException:
                await transaction.roll_back()
                raise
            finally:
                self._give_back(session)

    async def _take(self) -> AsyncSession:
        while self._idle:
            session = self._idle.pop()
            if session.is_open:
                return session
            self._all.discard(session)
        if self._is_closed:
            raise DatabaseUnavailable("the database port was closed")
        loop = asyncio.get_running_loop()
        if (wait_s := self._not_before - loop.time()) > 0:
            await asyncio.sleep(wait_s)
        try:
            session = await self._connect(self._dsn, is_pooled=self._is_pooled)
        except DatabaseUnavailable:
            self._not_before = loop.time() + self._backoff.next_s()
            raise
        self._backoff.reset()
        return session

    def _give_back(self, session: AsyncSession) -> None:
        # Still in a transaction means that the roll-back did not work either.
        if not session.is_open or session.is_in_transaction or self._is_closed:
            session.close()
            self._all.discard(session)
        else:
            self._idle.append(session)

    async def _connect(self, dsn: str, *, is_pooled: bool = False) -> AsyncSession:
        options = _options(dsn, self._name, is_pooled=is_pooled)
        if self._password is not None:
            options["password"] = self._password()
        try:
            connection = await psycopg.AsyncConnection.connect(
                dsn, autocommit=True, context=_Context(), **options
            )
        except psycopg.Error as error:
            raise _not_connected(dsn, error) from error
        session = AsyncSession(
            connection,
            timeout_s=self._timeout_s,
            is_pooled=is_pooled,
            prepared_most=PREPARED_MOST if self._pooler_prepares or not is_pooled else 0,
        )
        self._all.add(session)
        return session

    async def listen(self, *channels: str) -> AsyncIterator[Notification]:
        """Yield hints of the channels for ever, over one direct connection that reconnects.

        The first hint has an empty channel, as after each reconnection. Hints that nobody has
        taken yet are kept once each.
        """
        with self._hints.subscribed(channels) as inbox:
            self._start_listener()
            while True:
                yield await inbox.take()

    def _start_listener(self) -> None:
        if self._listener is None or self._listener.done():
            self._listener = asyncio.create_task(self._listen(), name="database-listen")
        self._hints.changed.set()

    async def _listen(self) -> None:
        backoff = Backoff(self._jitter)
        while True:
            try:
                session = self._listening = await self._connect(self._listen_dsn)
            except DatabaseUnavailable:
                await asyncio.sleep(backoff.next_s())
                continue
            backoff.reset()
            try:
                await self._follow(session)
            except DatabaseUnavailable:
                await asyncio.sleep(backoff.next_s())
            finally:
                self._hints.disconnected()
                session.close()
                self._all.discard(session)

    async def _follow(self, session: AsyncSession) -> None:
        changed = self._hints.changed
        session.on_notification = self._hints.deliver
        session.on_close = changed.set
        listening: set[str] = set()
        while session.is_open:
            changed.clear()
            missing = sorted(self._hints.channels() - listening)
            if missing:
                await session.round_trip([listen_statement(channel) for channel in missing])
                listening.update(missing)
            self._hints.connected(listening)
            await changed.wait()

    async def close(self) -> None:
        """Give the connections back."""
        self._is_closed = True
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        for session in list(self._all):
            session.close()
        self._all.clear()
        self._idle.clear()


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
        return [self._session.rows(_result(statement)) for statement in statements]

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
        return _result(statement)

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
            self._session.round_trip(self._begun([*self._waiting, _commit()]))
        except DatabaseUnavailable as error:
            if not self._session.is_open:
                raise _unknown(error) from error
            raise

    def _begun(self, statements: list[Statement]) -> list[Statement]:
        sent = _begun(statements, is_begun=self._is_begun)
        if not self._is_begun and self._session.is_left_open:
            self._session.is_left_open = False
            sent.insert(0, _commit())
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
            dsn, autocommit=True, context=_Context(), **_options(dsn, name)
        )
    except psycopg.Error as error:
        raise _not_connected(dsn, error) from error
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


class _Context:
    """Hands our type mapping to a new connection."""

    def __init__(self) -> None:
        self.adapters: adapt.AdaptersMap = _ADAPTERS
        self.connection: psycopg.BaseConnection[Any] | None = None


_ADAPTERS: Final = adapters()
_BEGIN: Final = "BEGIN"


def _options(dsn: str, name: str, *, is_pooled: bool = False) -> dict[str, Any]:
    given = psycopg.conninfo.conninfo_to_dict(dsn)
    ours = {"application_name": name, **_CONNECTION}
    if not is_pooled:
        ours["options"] = _OPTIONS
    return {**ours, **{k: v for k, v in given.items() if v}}


def _begun(statements: list[Statement], *, is_begun: bool) -> list[Statement]:
    return statements if is_begun else [Statement(_BEGIN, is_prepared=False), *statements]


def _commit() -> Statement:
    return Statement("COMMIT", is_prepared=False)


_LOCKS: Final = re.compile(r"FOR (UPDATE|NO KEY|SHARE|KEY)|lock|(trading|ops|market)\.\w+\s*\(")
"""Locks, and functions of ours: what they do cannot be seen from outside."""


@lru_cache(maxsize=2_000)
def _may_lock(sql: str) -> bool:
    return _LOCKS.search(sql) is not None


def _is_write(statement: Statement) -> bool:
    status = statement.result.command_status if statement.result is not None else None
    return status is not None and status[:6] in {b"INSERT", b"UPDATE", b"DELETE"}


def _result(statement: Statement) -> PGresult:
    if statement.result is None:
        raise DatabaseBroken(f"no result for: {statement.sql}")
    return statement.result


def listen_statement(channel: str) -> Statement:
    """Return the LISTEN of a channel."""
    quoted = '"' + channel.replace('"', '""') + '"'
    return Statement(f"LISTEN {quoted}", is_prepared=False)


def _unknown(error: DatabaseUnavailable) -> CommitUnknown:
    return CommitUnknown(f"the commit's outcome is unknown: {error}", sqlstate=error.sqlstate)


def _not_connected(dsn: str, error: psycopg.Error) -> DatabaseUnavailable:
    given = psycopg.conninfo.conninfo_to_dict(dsn)
    where = f"{given.get('user', '')}@{given.get('host', 'localhost')}/{given.get('dbname', '')}"
    return DatabaseUnavailable(
        f"cannot connect to PostgreSQL at {where}: {' '.join(str(error).split())}",
        sqlstate=error.sqlstate or "",
    )
