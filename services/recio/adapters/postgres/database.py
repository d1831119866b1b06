"""The Database port: transactions and hints on PostgreSQL.

``PostgresDatabase`` is what services get; ``stepped.SteppedDatabase`` is the same behind the same
interface for a run in one process in virtual time.

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
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
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
        return [self._session.rows(result_of(statement)) for statement in statements]

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
        return result_of(statement)

    async def _round_trip(self, statements: list[Statement]) -> None:
        if self._failed is not None:
            raise self._failed
        sent = with_begin(self._waiting + statements, is_begun=self._is_begun)
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
        sent = with_begin([*self._waiting, commit_statement()], is_begun=self._is_begun)
        try:
            await self._session.round_trip(sent)
        except DatabaseUnavailable as error:
            if not self._session.is_open:
                raise commit_unknown(error) from error
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
        options = connection_options(dsn, self._name, is_pooled=is_pooled)
        if self._password is not None:
            options["password"] = self._password()
        try:
            connection = await psycopg.AsyncConnection.connect(
                dsn, autocommit=True, context=Adapters(), **options
            )
        except psycopg.Error as error:
            raise not_connected(dsn, error) from error
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


class Adapters:
    """Hands our type mapping to a new connection."""

    def __init__(self) -> None:
        self.adapters: adapt.AdaptersMap = _ADAPTERS
        self.connection: psycopg.BaseConnection[Any] | None = None


_ADAPTERS: Final = adapters()
_BEGIN: Final = "BEGIN"


def connection_options(dsn: str, name: str, *, is_pooled: bool = False) -> dict[str, Any]:
    """Return a connection's own options; what the address says goes before."""
    given = psycopg.conninfo.conninfo_to_dict(dsn)
    ours = {"application_name": name, **_CONNECTION}
    if not is_pooled:
        ours["options"] = _OPTIONS
    return {**ours, **{k: v for k, v in given.items() if v}}


def with_begin(statements: list[Statement], *, is_begun: bool) -> list[Statement]:
    """Return the statements, with BEGIN before them unless the transaction has begun."""
    return statements if is_begun else [Statement(_BEGIN, is_prepared=False), *statements]


def commit_statement() -> Statement:
    """Return the statement that ends a transaction well."""
    return Statement("COMMIT", is_prepared=False)


def result_of(statement: Statement) -> PGresult:
    """Return a statement's result; without one something in between failed."""
    if statement.result is None:
        raise DatabaseBroken(f"no result for: {statement.sql}")
    return statement.result


def listen_statement(channel: str) -> Statement:
    """Return the LISTEN of a channel."""
    quoted = '"' + channel.replace('"', '""') + '"'
    return Statement(f"LISTEN {quoted}", is_prepared=False)


def commit_unknown(error: DatabaseUnavailable) -> CommitUnknown:
    """Return the error for a commit whose answer never came."""
    return CommitUnknown(f"the commit's outcome is unknown: {error}", sqlstate=error.sqlstate)


def not_connected(dsn: str, error: psycopg.Error) -> DatabaseUnavailable:
    """Return the error for a connection that could not be made, without its password."""
    given = psycopg.conninfo.conninfo_to_dict(dsn)
    where = f"{given.get('user', '')}@{given.get('host', 'localhost')}/{given.get('dbname', '')}"
    return DatabaseUnavailable(
        f"cannot connect to PostgreSQL at {where}: {' '.join(str(error).split())}",
        sqlstate=error.sqlstate or "",
    )
