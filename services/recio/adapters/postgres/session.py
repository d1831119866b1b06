"""One PostgreSQL connection in libpq's pipeline mode: many statements, one round trip.

A round trip is a list of statements followed by a Sync; it ends with the Sync's own result, after
which the connection is in step again whatever went wrong in between. Statements are prepared at
their first use and kept under (text, parameter types). BEGIN rides with the first statement of a
transaction, so that a transaction of one statement costs two round trips instead of three.

Through a pooler a statement may meet a server connection that never saw its preparation, or, worse,
one where another client gave its name to another statement. There each statement goes as a whole,
unnamed: that works with every PgBouncer. One that follows prepared statements (1.21 or newer with
``max_prepared_statements``) may be given names, which saves parsing and planning; a name is made of
its statement, so that even one that does not follow could never run another statement than was meant.

Refused: statements while a round trip is under way; a session that was interrupted in the middle
is closed, never used again, because its answers could be taken for another's.

libpq's pipeline mode: https://www.postgresql.org/docs/current/libpq-pipeline-mode.html (read
November 2026). Waiting is not done here: the two subclasses of ``Session`` wait on the event loop
and on the socket.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import psycopg
from psycopg import adapt, pq
from psycopg.abc import AdaptContext
from psycopg.pq.abc import PGconn, PGresult
from psycopg.types.numeric import Int8BinaryDumper, Int8Dumper

from recio.adapters.postgres.failures import (
    DatabaseBroken,
    DatabaseUnavailable,
    ends_session,
    failure,
)
from recio.ports import Notification

PREPARED_MOST: Final = 500
"""Statements kept prepared on a connection; beyond it all are forgotten and made anew."""

SPINS: Final = 150
"""How often a blocking session looks for its answer before it sleeps: an answer takes some 100 µs,
being woken up costs as much again."""

_FATAL: Final = frozenset({"FATAL", "PANIC"})
_AUTO: Final = adapt.PyFormat.AUTO
_SYNC: Final = pq.ExecStatus.PIPELINE_SYNC
_FAILED: Final = pq.ExecStatus.FATAL_ERROR
_SKIPPED: Final = pq.ExecStatus.PIPELINE_ABORTED
_IDLE: Final = pq.TransactionStatus.IDLE


@dataclass(slots=True)
class Statement:
    """One statement of a round trip; ``result`` is set when its answer has come."""

    sql: str
    params: Sequence[object] = ()
    is_prepared: bool = True
    result: PGresult | None = None


@dataclass(slots=True)
class _Parse:
    """A preparation on its way; the server keeps the name of one that succeeded, whatever follows."""

    key: tuple[str, tuple[int, ...]]
    is_done: bool = False


@dataclass(slots=True)
class _Waiting:
    """Whose answers are awaited, in order; None stands for what nobody waits for."""

    queue: list[Statement | _Parse | None] = field(default_factory=list)
    done: int = 0
    error: PGresult | None = None
    culprit: Statement | None = None
    parses: list[_Parse] = field(default_factory=list)


class Session:
    """What both kinds of session share: sending, and taking answers in order."""

    def __init__(
        self,
        pgconn: PGconn,
        context: AdaptContext,
        *,
        is_pooled: bool = False,
        prepared_most: int = PREPARED_MOST,
    ) -> None:
        self._pgconn = pgconn
        self._is_pooled = is_pooled
        self._prepared_most = prepared_most
        self._context = context
        self._transformer = adapt.Transformer(context)
        self._prepared: dict[tuple[str, tuple[int, ...]], bytes] = {}
        self._texts: dict[str, bytes] = {}
        self._waiting: _Waiting | None = None
        self.is_open = True
        self.hears_others = True
        self.on_notification: Callable[[Notification], None] | None = None
        self.on_close: Callable[[], None] | None = None
        pgconn.nonblocking = 1
        pgconn.enter_pipeline_mode()

    @property
    def is_in_transaction(self) -> bool:
        """Whether the server holds a transaction open for us, failed or not."""
        return bool(self._pgconn.transaction_status != _IDLE)

    @property
    def backend_pid(self) -> int:
        """The server process of this connection."""
        return self._pgconn.backend_pid

    def rows(self, result: PGresult) -> list[tuple[Any, ...]]:
        """Return a result's rows as Python values."""
        if not result.ntuples:
            return []
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples, tuple)

    def _send(self, statements: Sequence[Statement]) -> _Waiting:
        if not self.is_open:
            raise DatabaseUnavailable("the connection to PostgreSQL is closed")
        if self._waiting is not None:
            raise DatabaseBroken(
                "a statement was started while another of the same transaction ran"
            )
        waiting = self._waiting = _Waiting()
        try:
            if len(self._prepared) > self._prepared_most and not self._is_pooled:
                self._forget_prepared(waiting)
            for statement in statements:
                self._send_one(statement, waiting)
            self._pgconn.pipeline_sync()
        except psycopg.OperationalError as error:
            raise self._lost(error) from error
        except (psycopg.Error, TypeError, ValueError, OverflowError) as error:
            # Half of a round trip may be in the buffer: it must not be sent with the next one.
            self.close()
            raise DatabaseBroken(f"a parameter cannot be sent: {error}") from error
        return waiting

    def _forget_prepared(self, waiting: _Waiting) -> None:
        self._prepared.clear()
        self._pgconn.send_query_params(b"DEALLOCATE ALL", None)
        waiting.queue.append(None)

    def _send_one(self, statement: Statement, waiting: _Waiting) -> None:
        text = self._text(statement.sql)
        if not statement.is_prepared:
            self._pgconn.send_query_params(text, None)
            waiting.queue.append(statement)
            return
        transformer = self._transformer
        values = transformer.dump_sequence(statement.params, [_AUTO] * len(statement.params))
        types = transformer.types or ()
        formats = list(transformer.formats or ())
        key = (statement.sql, tuple(types))
        name = self._prepared.get(key)
        if name is None and self._is_pooled and len(self._prepared) >= self._prepared_most:
            self._pgconn.send_query_params(text, values, list(types), formats)
            waiting.queue.append(statement)
            return
        if name is None:
            name = self._prepared[key] = _name_of(key)
            self._pgconn.send_prepare(name, text, list(types))
            parse = _Parse(key)
            waiting.queue.append(parse)
            waiting.parses.append(parse)
        self._pgconn.send_query_prepared(name, values, formats)
        waiting.queue.append(statement)

    def _text(self, sql: str) -> bytes:
        text = self._texts.get(sql)
        if text is None:
            text = self._texts[sql] = numbered(sql).encode()
        return text

    def _take(self, waiting: _Waiting) -> bool:
        """Take what has arrived; True once the round trip's Sync has."""
        pgconn = self._pgconn
        while not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                if waiting.done >= len(waiting.queue):
                    return False
                waiting.done += 1
                continue
            if result.status == _SYNC:
                self._waiting = None
                return True
            self._take_result(waiting, result)
        return False

    @staticmethod
    def _take_result(waiting: _Waiting, result: PGresult) -> None:
        entry = waiting.queue[waiting.done] if waiting.done < len(waiting.queue) else None
        if result.status == _FAILED:
            if waiting.error is None:
                about = waiting.queue[waiting.done : waiting.done + 2]
                waiting.error = result
                waiting.culprit = next((one for one in about if isinstance(one, Statement)), None)
        elif result.status == _SKIPPED:
            return
        elif isinstance(entry, _Parse):
            entry.is_done = True
        elif entry is not None:
            entry.result = result

    def _finish(self, waiting: _Waiting) -> None:
        if waiting.error is None:
            return
        for parse in waiting.parses:
            if not parse.is_done:
                self._prepared.pop(parse.key, None)
        raise self._failure(waiting.error, waiting.culprit)

    def _failure(self, result: PGresult, culprit: Statement | None) -> Exception:
        sqlstate = _field(result, pq.DiagnosticField.SQLSTATE)
        message = _field(result, pq.DiagnosticField.MESSAGE_PRIMARY)
        detail = _field(result, pq.DiagnosticField.MESSAGE_DETAIL)
        constraint = _field(result, pq.DiagnosticField.CONSTRAINT_NAME)
        is_fatal = _field(result, pq.DiagnosticField.SEVERITY) in _FATAL
        if is_fatal or ends_session(sqlstate, message):
            self.close()
        text = f"{message} ({detail})" if detail else message
        return failure(
            sqlstate,
            text,
            constraint=constraint,
            statement=culprit.sql if culprit else "",
            is_fatal=is_fatal,
        )

    def _lost(self, error: Exception) -> DatabaseUnavailable:
        said = self._pgconn.get_error_message() if self.is_open else ""
        if self._waiting is not None and self._waiting.error is not None:
            # Its last word: what follows is only that it hung up.
            said = _field(self._waiting.error, pq.DiagnosticField.MESSAGE_PRIMARY)
        self.close()
        return DatabaseUnavailable(f"the connection to PostgreSQL broke: {said or error}".strip())

    def _deliver_notifications(self) -> None:
        while (notify := self._pgconn.notifies()) is not None:
            is_wanted = self.hears_others or notify.be_pid == self._pgconn.backend_pid
            if self.on_notification is not None and is_wanted:
                self.on_notification(
                    Notification(notify.relname.decode(), notify.extra.decode(errors="replace"))
                )

    def close(self) -> None:
        """Close the connection at once; the server rolls back what was open."""
        if self.is_open:
            self.is_open = False
            self._waiting = None
            self._pgconn.finish()
            if self.on_close is not None:
                self.on_close()


class AsyncSession(Session):
    """A session that waits on the running event loop. The socket is registered once for its life."""

    def __init__(
        self,
        connection: psycopg.AsyncConnection[Any],
        *,
        timeout_s: float,
        is_pooled: bool = False,
        prepared_most: int = PREPARED_MOST,
    ) -> None:
        super().__init__(
            connection.pgconn, connection, is_pooled=is_pooled, prepared_most=prepared_most
        )
        self._connection = connection
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._socket = connection.pgconn.socket
        self._arrived: asyncio.Future[None] | None = None
        self._loop.add_reader(self._socket, self._on_readable)

    async def round_trip(self, statements: Sequence[Statement]) -> None:
        """Send the statements and wait for all their answers.

        Raises:
            DatabaseUnavailable: no answer; DatabaseRejected, DatabaseBroken: the server's error.
        """
        waiting = self._send(statements)
        self._arrived = self._loop.create_future()
        timer = self._loop.call_later(self._timeout_s, self._on_timeout)
        try:
            await self._flush()
            await self._arrived
        except BaseException:
            self.close()
            raise
        finally:
            timer.cancel()
            self._arrived = None
        self._finish(waiting)

    async def _flush(self) -> None:
        try:
            while self._pgconn.flush():
                await self._writable()
        except psycopg.OperationalError as error:
            raise self._lost(error) from error

    async def _writable(self) -> None:
        writable: asyncio.Future[None] = self._loop.create_future()

        def ready() -> None:
            if not writable.done():
                writable.set_result(None)

        self._loop.add_writer(self._socket, ready)
        try:
            await writable
        finally:
            if self.is_open:
                self._loop.remove_writer(self._socket)

    def _on_readable(self) -> None:
        try:
            self._pgconn.consume_input()
            is_done = self._waiting is not None and self._take(self._waiting)
            self._deliver_notifications()
        except psycopg.OperationalError as error:
            # Taken aside, so that closing does not answer for it with less than we know.
            arrived, self._arrived = self._arrived, None
            lost = self._lost(error)
            self._arrived = arrived
            self._fail(lost)
            return
        if is_done and self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def _on_timeout(self) -> None:
        self._fail(DatabaseUnavailable(f"no answer from PostgreSQL within {self._timeout_s} s"))
        self.close()

    def _fail(self, error: Exception) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_exception(error)

    def close(self) -> None:
        """Close the connection at once; a waiting caller gets ``Unavailable``."""
        if self.is_open:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
        super().close()
        self._fail(DatabaseUnavailable("the connection to PostgreSQL was closed"))


class BlockingSession(Session):
    """A session that blocks: a round trip is one step of a stepped run.

    ``may_stay_open``: a transaction that only read may be ended when the next one begins;
    ``is_left_open``: one is. ``spins``: how often it looks for an answer before it sleeps.
    """

    def __init__(self, connection: psycopg.Connection[Any], *, timeout_s: float) -> None:
        super().__init__(connection.pgconn, connection)
        self.may_stay_open = False
        self.is_left_open = False
        self.spins = SPINS
        self._connection = connection
        self._timeout_s = timeout_s
        self._socket = connection.pgconn.socket

    def stay_open(self) -> None:
        """Leave transactions that only read open until the next begins, for as long as that takes."""
        self.round_trip(
            [Statement("SET idle_in_transaction_session_timeout = 0", is_prepared=False)]
        )
        self.may_stay_open = True

    def end_reading(self) -> None:
        """End the transaction that was left open, if one was."""
        if self.is_open and self.is_left_open:
            self.is_left_open = False
            self.round_trip([Statement("COMMIT", is_prepared=False)])

    def round_trip(self, statements: Sequence[Statement]) -> None:
        """Send the statements and block until all their answers are here."""
        waiting = self._send(statements)
        try:
            self._exchange(waiting)
        except psycopg.OperationalError as error:
            raise self._lost(error) from error
        self._deliver_notifications()
        self._finish(waiting)

    def _exchange(self, waiting: _Waiting) -> None:
        pgconn = self._pgconn
        is_unsent = True
        spins = self.spins
        while not self._take(waiting):
            is_unsent = is_unsent and bool(pgconn.flush())
            if spins > 0:
                spins -= 1
            elif not self._wait(is_unsent=is_unsent):
                self.close()
                raise DatabaseUnavailable(f"no answer from PostgreSQL within {self._timeout_s} s")
            pgconn.consume_input()

    def _wait(self, *, is_unsent: bool) -> bool:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | (select.POLLOUT if is_unsent else 0))
        return bool(poll.poll(self._timeout_s * 1000))


def _name_of(key: tuple[str, tuple[int, ...]]) -> bytes:
    return b"recio_" + sha256(repr(key).encode()).hexdigest()[:24].encode()


def numbered(sql: str) -> str:
    """Return the statement with ``%s`` as ``$1``, ``$2`` …, and ``%%`` as ``%``.

    >>> numbered("SELECT a FROM t WHERE b = %s AND c LIKE 'x%%' AND d = %s")
    "SELECT a FROM t WHERE b = $1 AND c LIKE 'x%' AND d = $2"

    Raises:
        DatabaseBroken: another ``%`` than these two.
    """
    parts = sql.split("%")
    text, count, index = [parts[0]], 0, 1
    while index < len(parts):
        part = parts[index]
        if part.startswith("s"):
            count += 1
            text.append(f"${count}{part[1:]}")
        elif not part and index + 1 < len(parts):
            text.append("%" + parts[index + 1])
            index += 1
        else:
            raise DatabaseBroken(f"expected %s or %% in a statement, received %{part[:5]!r}: {sql}")
        index += 1
    return "".join(text)


def adapters() -> adapt.AdaptersMap:
    """Return psycopg's type mapping with every int sent as bigint.

    By itself psycopg picks the smallest type for each value; then a product of a price and a
    quantity would be computed, and overflow, as smallint, and each statement would be prepared once
    for each combination of magnitudes.
    """
    mapping = adapt.AdaptersMap(psycopg.adapters)
    mapping.register_dumper(int, Int8Dumper)
    mapping.register_dumper(int, Int8BinaryDumper)
    return mapping


def _field(result: PGresult, code: pq.DiagnosticField) -> str:
    value = result.error_field(code)
    return value.decode(errors="replace") if value else ""
