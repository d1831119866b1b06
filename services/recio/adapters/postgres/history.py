"""Writes the history for research: batches laid down in a temporary table, then compared and kept.

One transaction a batch holds the rows and how far the import has come, so that a run that was cut off
goes on exactly behind its last row, and a file that comes twice changes nothing. What is stored stays:
a row that says otherwise is counted, never written over; a market's unknown facts may be filled in.
Only one import of a source runs at a time (an advisory lock). Everything is done as recio_research,
whoever logs in, so that no more can be written than that role may.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Self

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from recio.adapters.postgres.failures import DatabaseUnavailable, failure
from recio.adapters.postgres.history_shapes import SHAPES, Shape
from recio.domain.errors import RecioError, Rejected
from recio.domain.units import as_datetime, time_us

ROLE: Final = "recio_research"
TIMEOUT_MS: Final = 600_000
CONNECT_TIMEOUT_S: Final = 10
LOCK_SPACE: Final = 0x7265_6369
"""Any number that nobody else takes: "reci"."""

Rows = Sequence[tuple[Any, ...]]
Examples = tuple[str, int, str]
"""Reason, count, first example."""


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """What makes two imports the same one."""

    kind: str
    source: str
    symbol: str
    options: str
    sha256: str


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """An import as the log has it."""

    import_id: int
    is_complete: bool
    done: int
    read: int
    stored: int
    known: int
    refused: Mapping[str, int]
    first_us: int | None
    last_us: int | None


class Stored(msgspec.Struct, kw_only=True):
    """What became of a batch."""

    new: int = 0
    known: int = 0
    strikes: int = 0
    """Markets that came along with rows of another kind and were new, or told something new."""
    refused: list[Examples] = []

    def add(self, other: Stored) -> None:
        """Add what became of another one."""
        self.new += other.new
        self.known += other.known
        self.strikes += other.strikes
        self.refused += other.refused


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """How far an import is: for the log."""

    done: int
    read: int
    refused: Mapping[str, int]
    first_us: int | None
    last_us: int | None
    at_us: int
    is_complete: bool = False
    is_about_markets: bool = False


class HistoryStore:
    """A connection that writes history, as a context manager."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: psycopg.Connection[Any] | None = None
        self._feeds: dict[tuple[str, str], int] = {}
        self._staged: set[str] = set()

    def __enter__(self) -> Self:
        """Connect and take the role."""
        self._connection = connected(self._dsn)
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()

    @property
    def connection(self) -> psycopg.Connection[Any]:
        """The connection, which is open inside the block only."""
        if self._connection is None:
            raise DatabaseUnavailable("expected an open connection: use the store in a with block")
        return self._connection

    def lock(self, source: str) -> None:
        """Keep every other import of a source out until we hang up.

        Raises:
            Rejected: somebody else is importing it.
        """
        with translated():
            row = self.connection.execute(
                "SELECT pg_try_advisory_lock(%s::int, hashtext(%s))", (LOCK_SPACE, source)
            ).fetchone()
        if row is None or not row[0]:
            raise Rejected(f"another import of {source!r} is under way: wait for its end")

    def feed(self, source: str, symbol: str) -> int:
        """Return the number of a feed, made when it is new."""
        if (source, symbol) not in self._feeds:
            with translated(), self._numbering():
                self.connection.execute(
                    "INSERT INTO market.history_feeds (feed, source, symbol)"
                    " SELECT coalesce(max(feed), 0) + 1, %s, %s FROM market.history_feeds"
                    " HAVING count(*) FILTER (WHERE (source, symbol) = (%s, %s)) = 0",
                    (source, symbol, source, symbol),
                )
                row = self.connection.execute(
                    "SELECT feed FROM market.history_feeds WHERE (source, symbol) = (%s, %s)",
                    (source, symbol),
                ).fetchone()
            self._feeds[source, symbol] = row[0] if row else 0
        return self._feeds[source, symbol]

    def begin(self, key: Key, *, name: str, size_bytes: int, at_us: int) -> Begun:
        """Return the import of a file: a new one, or the one that was begun or done before."""
        columns = (key.kind, key.source, key.symbol, key.options, key.sha256)
        at = as_datetime(at_us)
        with translated(), self._numbering():
            self.connection.execute(
                "INSERT INTO market.history_imports AS i (import, kind, source, symbol, options, sha256,"
                " name, size_bytes, state, started_at, changed_at)"
                " SELECT coalesce(max(import), 0) + 1, %s, %s, %s, %s, %s, %s, %s, 'running', %s, %s"
                " FROM market.history_imports"
                " ON CONFLICT (sha256, kind, source, symbol, options) DO UPDATE SET state = 'running',"
                " done = 0, rows_stored = 0, rows_known = 0, started_at = excluded.started_at"
                " WHERE i.state = 'forgotten'",
                (*columns, name, size_bytes, at, at),
            )
            row = self.connection.execute(
                "SELECT import, state = 'complete', done, rows_read, rows_stored, rows_known,"
                " refused, first_at, last_at"
                " FROM market.history_imports"
                " WHERE (kind, source, symbol, options, sha256) = (%s, %s, %s, %s, %s)",
                columns,
            ).fetchone()
        if row is None:
            raise DatabaseUnavailable("the import's row is gone: run it again")
        return Begun(
            import_id=row[0],
            is_complete=row[1],
            done=row[2],
            read=row[3],
            stored=row[4],
            known=row[5],
            refused=row[6],
            first_us=us(row[7]),
            last_us=us(row[8]),
        )

    @contextmanager
    def _numbering(self) -> Iterator[None]:
        """Hold the lock under which the next number of a feed or an import is taken."""
        with self.connection.transaction():
            self.connection.execute("SELECT pg_advisory_xact_lock(%s::int, 0)", (LOCK_SPACE,))
            yield

    def write(self, import_id: int, batch: Mapping[str, Rows], told: Told) -> Stored:
        """Keep a batch and how far we are, both or neither.

        ``batch`` maps minutes, seconds, markets and recordings to rows: the columns of the table
        without the import, the feed first.
        """
        result = Stored(refused=[])
        with translated(), self.connection.transaction():
            for table, rows in batch.items():
                if rows:
                    one = self._write_rows(table, rows, import_id)
                    if table == "markets" and not told.is_about_markets:
                        one = Stored(strikes=one.new, refused=one.refused)
                    result.add(one)
            self.connection.execute(
                "UPDATE market.history_imports SET done = %s, rows_read = %s,"
                " rows_stored = rows_stored + %s, rows_known = rows_known + %s, rows_refused = %s,"
                " refused = %s, first_at = %s, last_at = %s, changed_at = %s, state = %s"
                " WHERE import = %s",
                (
                    told.done,
                    told.read,
                    result.new,
                    result.known,
                    sum(told.refused.values()),
                    Jsonb(dict(told.refused)),
                    None if told.first_us is None else as_datetime(told.first_us),
                    None if told.last_us is None else as_datetime(told.last_us),
                    as_datetime(told.at_us),
                    "complete" if told.is_complete else "running",
                    import_id,
                ),
            )
        return result

    def nearest_price(self, symbol: str, at_us: int) -> tuple[int, str] | None:
        """Return the stored minute's close nearest to a time, within a day, and its source."""
        with translated():
            row = self.connection.execute(
                "SELECT close_usd_e6, source FROM market.history_minutes"
                " JOIN market.history_feeds USING (feed) WHERE symbol = %s"
                " AND at BETWEEN %s::timestamptz - interval '1 day' AND %s::timestamptz + interval '1 day'"
                " ORDER BY abs(extract(epoch FROM at - %s)) LIMIT 1",
                (symbol, *(as_datetime(at_us),) * 3),
            ).fetchone()
        return None if row is None else (row[0], row[1])

    def forget(self, import_id: int, at_us: int) -> int:
        """Take the rows of an import back and return how many; the log keeps its line.

        Raises:
            Rejected: there is no such import.
        """
        with translated(), self.connection.transaction():
            known = self.connection.execute(
                "UPDATE market.history_imports SET state = 'forgotten', changed_at = %s"
                " WHERE import = %s",
                (as_datetime(at_us), import_id),
            )
            if not known.rowcount:
                raise Rejected(f"no import has the number {import_id}: see recio history log")
            return sum(
                self.connection.execute(
                    f"DELETE FROM market.history_{table} WHERE import = %s",  # noqa: S608
                    (import_id,),
                ).rowcount
                for table in (*SHAPES, "recordings")
            )

    def _write_rows(self, table: str, rows: Rows, import_id: int) -> Stored:
        if table == "recordings":
            return self._write_blocks(rows, import_id)
        shape = SHAPES[table]
        times = [row[1] for row in rows]
        self._prepare(table, min(times), max(times))
        self._stage(shape, rows)
        refused = self._contradictions(shape)
        written = self.connection.execute(shape.insert, (import_id,)).rowcount
        known = len(rows) - written - _count(refused)
        return Stored(new=written, known=known, refused=refused)

    def _prepare(self, table: str, first_us: int, last_us: int) -> None:
        self.connection.execute(
            "SELECT market.prepare_history(%s, %s, %s)",
            (table, as_datetime(first_us), as_datetime(last_us)),
        )

    def _stage(self, shape: Shape, rows: Rows) -> None:
        if shape.stage in self._staged:
            self.connection.execute(f"TRUNCATE {shape.stage}")
        else:
            self.connection.execute(
                f"CREATE TEMPORARY TABLE IF NOT EXISTS {shape.stage} ({shape.columns})"
            )
            self._staged.add(shape.stage)
        line = "\t".join(["%s"] * len(rows[0])) + "\n"
        with self.connection.cursor().copy(f"COPY {shape.stage} FROM STDIN (NULL 'None')") as copy:
            copy.write("".join([line % row for row in rows]))

    def _contradictions(self, shape: Shape) -> list[Examples]:
        row = self.connection.execute(shape.contradictions).fetchone()
        if row is None or not row[0]:
            return []
        return [
            ("contradicts what is stored", row[0], f"at {row[1]:%Y-%m-%d %H:%M:%S}, stored stays")
        ]

    def _write_blocks(self, rows: Rows, import_id: int) -> Stored:
        result = Stored(refused=[])
        times = [row[1] for row in rows]
        self._prepare("recordings", min(times), max(times))
        for feed, first_us, last_us, channel, ticker, count, format_, digest, body in rows:
            first, last = as_datetime(first_us), as_datetime(last_us)
            there = self.connection.execute(
                "SELECT digest FROM market.history_recordings WHERE (feed, channel, ticker) ="
                " (%s, %s, %s) AND first_at <= %s AND last_at >= %s",
                (feed, channel, ticker, last, first),
            ).fetchall()
            if not there:
                self.connection.execute(
                    "INSERT INTO market.history_recordings (feed, first_at, last_at, channel, ticker,"
                    " count, format, digest, body, import)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    (feed, first, last, channel, ticker, count, format_, digest, body, import_id),
                )
                result.new += count
            elif any(bytes(one) == digest for (one,) in there):
                result.known += count
            else:
                example = f"{ticker} from {first:%Y-%m-%d %H:%M:%S}"
                result.refused.append((_OVERLAPS, count, example))
        return result


_OVERLAPS: Final = "overlaps another recording of the same market and source"


def _count(refused: Sequence[Examples]) -> int:
    return sum(count for _, count, _ in refused)


def connected(dsn: str) -> psycopg.Connection[Any]:
    """Return a connection that may do what research may.

    Raises:
        DatabaseUnavailable: no connection.
        DatabaseRejected: the login may not take the role.
    """
    with translated():
        connection = psycopg.connect(
            dsn,
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name="recio history",
        )
    try:
        with translated():
            _take_role(connection)
            connection.execute(f"SET statement_timeout = {TIMEOUT_MS}")
            connection.execute("SET timezone = 'UTC'")
    except RecioError:
        connection.close()
        raise
    return connection


def _take_role(connection: psycopg.Connection[Any]) -> None:
    try:
        connection.execute(f"SET ROLE {ROLE}")
    except psycopg.errors.InvalidParameterValue as error:
        raise Rejected("this database has no history yet: run `recio migrate` first") from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise Rejected(
            f"{connection.info.user} may not work as {ROLE}: log in as it, or as the owner"
        ) from error


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into ours."""
    try:
        yield
    except psycopg.Error as error:
        if not error.sqlstate:
            raise DatabaseUnavailable(f"the database does not answer: {error}") from error
        raise failure(
            error.sqlstate,
            error.diag.message_primary or str(error),
            constraint=error.diag.constraint_name or "",
        ) from error


def us(moment: Any) -> int | None:  # noqa: ANN401
    """Return a time of the database in microseconds, None for none."""
    return None if moment is None else time_us(moment)
