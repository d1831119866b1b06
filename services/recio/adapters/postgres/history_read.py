"""Reads the history for research: what is there, what is missing, and the rows themselves.

Rows come through a server-side cursor or COPY, so that memory stays flat however long the stretch is.
Times are microseconds since 1970; minutes are named by their end, as they are stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import psycopg

from recio.adapters.postgres.history import connected, translated, us
from recio.domain.units import MINUTE_US, as_datetime

FETCHED: Final = 20_000

Connection = psycopg.Connection[Any]


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What the history holds of one kind from one source."""

    kind: str
    symbol: str
    source: str
    rows: int
    first_us: int
    last_us: int
    markets: int = 0


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch without rows: from the end of what is there to the beginning of what follows.

    ``missing`` is how many rows a stretch without a gap would have had there, None where nobody knows.
    """

    kind: str
    symbol: str
    source: str
    since_us: int
    until_us: int
    missing: int | None
    series: str = ""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of a table with all its partitions."""

    table: str
    partitions: int
    table_bytes: int
    index_bytes: int


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the log of imports."""

    import_id: int
    kind: str
    source: str
    symbol: str
    name: str
    state: str
    read: int
    stored: int
    known: int
    refused: dict[str, int]
    changed_us: int


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows are meant: ``since_us`` inclusive, ``until_us`` exclusive; "" is any source."""

    symbol: str = ""
    source: str = ""
    since_us: int = 0
    until_us: int = 4_102_444_800_000_000

    @property
    def params(self) -> tuple[object, ...]:
        """As the statements below take it."""
        return (
            self.symbol,
            self.symbol,
            self.source,
            self.source,
            as_datetime(self.since_us),
            as_datetime(self.until_us),
        )


def held(connection: Connection) -> list[Held]:
    """Return what is there, by kind, symbol and source."""
    found = []
    with translated():
        for kind, statement in _HELD.items():
            for symbol, source, channel, rows, first, last, markets in connection.execute(
                statement
            ):
                found.append(
                    Held(
                        kind=channel or kind,
                        symbol=symbol,
                        source=source,
                        rows=int(rows),
                        first_us=us(first) or 0,
                        last_us=us(last) or 0,
                        markets=markets,
                    )
                )
    return found


def minute_gaps(connection: Connection, stretch: Stretch) -> list[Gap]:
    """Return the stretches without minutes."""
    return _gaps(connection, "minutes", _MINUTE_GAPS, stretch, MINUTE_US)


def second_gaps(connection: Connection, stretch: Stretch) -> list[Gap]:
    """Return the stretches of more than a minute without a second."""
    return _gaps(connection, "seconds", _SECOND_GAPS, stretch, None)


def market_gaps(connection: Connection, stretch: Stretch) -> list[Gap]:
    """Return from which result to which there is none, by series; how many are missing is not told."""
    return _gaps(connection, "settlements", _MARKET_GAPS, stretch, None)


def recording_gaps(connection: Connection, stretch: Stretch) -> list[Gap]:
    """Return the stretches of more than a minute between recordings of any market."""
    return _gaps(connection, "", _RECORDING_GAPS, stretch, None)


def _gaps(
    connection: Connection, kind: str, statement: str, stretch: Stretch, step_us: int | None
) -> list[Gap]:
    with translated():
        rows = connection.execute(statement, stretch.params).fetchall()
    found = []
    for symbol, source, what, since, until in rows:
        since_us, until_us = us(since) or 0, us(until) or 0
        missing = None if step_us is None else (until_us - since_us) // step_us
        found.append(
            Gap(
                kind=kind or what,
                symbol=symbol,
                source=source,
                since_us=since_us,
                until_us=until_us,
                missing=missing,
                series=what if kind == "settlements" else "",
            )
        )
    return found


def sizes(connection: Connection) -> list[Size]:
    """Return how much room each table takes."""
    with translated():
        rows = connection.execute(_SIZES).fetchall()
    return [
        Size(table=name, partitions=count, table_bytes=int(table), index_bytes=int(index))
        for name, count, table, index in rows
    ]


def log(connection: Connection) -> list[Logged]:
    """Return the imports, the newest last."""
    with translated():
        rows = connection.execute(
            "SELECT import, kind, source, symbol, name, state, rows_read, rows_stored, rows_known,"
            " refused, changed_at FROM market.history_imports ORDER BY import"
        ).fetchall()
    return [
        Logged(
            import_id=row[0],
            kind=row[1],
            source=row[2],
            symbol=row[3],
            name=row[4],
            state=row[5],
            read=row[6],
            stored=row[7],
            known=row[8],
            refused=row[9],
            changed_us=us(row[10]) or 0,
        )
        for row in rows
    ]


def copied(connection: Connection, kind: str, stretch: Stretch) -> Iterator[bytes]:
    """Yield the rows of a kind as CSV with a header, in pieces: what an import takes again."""
    text = f"COPY ({_EXPORTS[kind]}) TO STDOUT (FORMAT csv, HEADER)"
    with translated(), connection.cursor().copy(text, stretch.params) as copy:
        for data in copy:
            yield bytes(data)


def fetched(
    connection: Connection, kind: str, stretch: Stretch
) -> Iterator[tuple[tuple[str, ...], list[tuple[Any, ...]]]]:
    """Yield the same rows as values, with the names of the columns, batch by batch."""
    statement = _EXPORTS[kind]
    with translated(), connection.transaction(), connection.cursor(name="history") as cursor:
        cursor.execute(statement, stretch.params)
        names = tuple(column.name for column in cursor.description or ())
        while rows := cursor.fetchmany(FETCHED):
            yield names, rows


def stored(connection: Connection, kind: str, stretch: Stretch) -> Iterator[tuple[Any, ...]]:
    """Yield rows in order of time as they are stored, times in microseconds.

    minutes: end, open, high, low, close, volume_e8 · seconds: second, price · settlements: symbol,
    close, ticker, strike, value, settled, result · trades, quotes, books: symbol, ticker, first,
    last, format, digest, body
    """
    statement = _STORED[kind]
    params = (*stretch.params, kind) if kind in {"trades", "quotes", "books"} else stretch.params
    with translated(), connection.transaction(), connection.cursor(name="history") as cursor:
        cursor.itersize = FETCHED if kind in {"minutes", "seconds", "settlements"} else 50
        cursor.execute(statement, params)
        yield from cursor


def listed(connection: Connection, kind: str, stretch: Stretch) -> list[tuple[Any, ...]]:
    """Return the same rows at once: for stretches that are short enough to hold."""
    params = (*stretch.params, kind) if kind in {"trades", "quotes", "books"} else stretch.params
    with translated():
        return connection.execute(_STORED[kind], params).fetchall()


def recorded_tickers(connection: Connection, channel: str, stretch: Stretch) -> set[str]:
    """Return the markets of which something is stored in a channel."""
    with translated():
        rows = connection.execute(
            f"SELECT DISTINCT ticker FROM market.history_recordings{_FEEDS}"  # noqa: S608
            " AND first_at >= %s AND first_at < %s AND channel = %s",
            (*stretch.params, channel),
        ).fetchall()
    return {ticker for (ticker,) in rows}


def opened(dsn: str) -> Connection:
    """Return a connection that may read all of the history."""
    return connected(dsn)


_FEEDS: Final = (
    " JOIN market.history_feeds f USING (feed) WHERE (%s = '' OR symbol = %s)"
    " AND (%s = '' OR source = %s)"
)

_HELD: Final = {
    "minutes": "SELECT symbol, source, '', n, first, last, 0 FROM (SELECT feed, count(*) n, min(at)"
    " first, max(at) last FROM market.history_minutes GROUP BY feed) h"
    " JOIN market.history_feeds USING (feed) ORDER BY 1, 2",
    "seconds": "SELECT symbol, source, '', n, first, last, 0 FROM (SELECT feed, count(*) n, min(at)"
    " first, max(at) last FROM market.history_seconds GROUP BY feed) h"
    " JOIN market.history_feeds USING (feed) ORDER BY 1, 2",
    "settlements": "SELECT symbol, source, '', n, first, last, markets FROM (SELECT feed,"
    " count(result) n, min(close_at) first, max(close_at) last, count(*) markets"
    " FROM market.history_markets GROUP BY feed) h"
    " JOIN market.history_feeds USING (feed) ORDER BY 1, 2",
    "recordings": "SELECT symbol, source, channel, n, first, last, markets FROM (SELECT feed, channel,"
    " sum(count) n, min(first_at) first, max(last_at) last, count(DISTINCT ticker) markets"
    " FROM market.history_recordings GROUP BY feed, channel) h"
    " JOIN market.history_feeds USING (feed) ORDER BY 3, 1, 2",
}
_MINUTE_GAPS: Final = (
    "SELECT symbol, source, '', at, next - interval '1 minute' FROM (SELECT symbol, source, at,"  # noqa: S608
    " lead(at) OVER (PARTITION BY feed ORDER BY at) AS next FROM market.history_minutes"
    f"{_FEEDS} AND at > %s AND at <= %s) g WHERE next - at > interval '1 minute' ORDER BY 1, 2, 4"
)
_SECOND_GAPS: Final = (
    "SELECT symbol, source, '', at, next FROM (SELECT symbol, source, at,"  # noqa: S608
    " lead(at) OVER (PARTITION BY feed ORDER BY at) AS next FROM market.history_seconds"
    f"{_FEEDS} AND at >= %s AND at < %s) g WHERE next - at > interval '1 minute' ORDER BY 1, 2, 4"
)
_MARKET_GAPS: Final = (
    "SELECT symbol, source, series, close_at, next FROM (SELECT symbol, source, series, close_at,"  # noqa: S608
    " lead(close_at) OVER (PARTITION BY feed, series ORDER BY close_at) AS next FROM"
    " (SELECT DISTINCT feed, symbol, source, split_part(ticker, '-', 1) AS series, close_at"
    f" FROM market.history_markets{_FEEDS} AND close_at >= %s AND close_at < %s"
    " AND result IS NOT NULL) d) g WHERE next - close_at > CASE WHEN series LIKE '%%15M'"
    " THEN interval '15 minutes' ELSE interval '1 hour' END ORDER BY 1, 2, 3, 4"
)
_RECORDING_GAPS: Final = (
    "SELECT symbol, source, channel, until, first_at FROM (SELECT symbol, source, channel, first_at,"  # noqa: S608
    " max(last_at) OVER (PARTITION BY feed, channel ORDER BY first_at"
    " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS until FROM market.history_recordings"
    f"{_FEEDS} AND first_at >= %s AND first_at < %s) g"
    " WHERE first_at - until > interval '1 minute' ORDER BY 3, 1, 2, 4"
)
_SIZES: Final = (
    "SELECT c.relname, count(i.inhrelid)::int, coalesce(sum(pg_table_size(i.inhrelid)), 0),"
    " coalesce(sum(pg_indexes_size(i.inhrelid)), 0) FROM pg_class c"
    " LEFT JOIN pg_inherits i ON i.inhparent = c.oid WHERE c.relkind = 'p'"
    " AND c.relnamespace = 'market'::regnamespace AND c.relname LIKE 'history%' GROUP BY 1 ORDER BY 1"
)
_EXPORTS: Final = {
    "minutes": "SELECT extract(epoch FROM at - interval '1 minute')::bigint AS ts,"  # noqa: S608
    " trim_scale(open_usd_e6 / 1000000.0) AS open, trim_scale(high_usd_e6 / 1000000.0) AS high,"
    " trim_scale(low_usd_e6 / 1000000.0) AS low, trim_scale(close_usd_e6 / 1000000.0) AS close,"
    f" trim_scale(volume_e8 / 100000000.0) AS volume FROM market.history_minutes{_FEEDS}"
    " AND at > %s AND at <= %s ORDER BY at",
    "seconds": "SELECT extract(epoch FROM at)::bigint AS ts,"  # noqa: S608
    f" trim_scale(price_usd_e6 / 1000000.0) AS price FROM market.history_seconds{_FEEDS}"
    " AND at >= %s AND at < %s ORDER BY at",
    "settlements": "SELECT ticker, extract(epoch FROM close_at)::bigint AS close_ts,"  # noqa: S608
    " trim_scale(strike_usd_e6 / 1000000.0) AS strike,"
    " trim_scale(value_usd_e6 / 1000000.0) AS settlement_price, result,"
    " extract(epoch FROM settled_at)::bigint AS settlement_ts, source"
    f" FROM market.history_markets{_FEEDS} AND close_at >= %s AND close_at < %s"
    " AND result IS NOT NULL ORDER BY close_at, ticker",
}
_MICROS: Final = "(date_part('epoch', {}) * 1000000)::bigint"
"""Exact: a double holds the seconds of our age to a quarter of a microsecond, and the cast rounds."""
_STORED: Final = {
    "minutes": f"SELECT {_MICROS.format('at')}, open_usd_e6, high_usd_e6, low_usd_e6, close_usd_e6,"  # noqa: S608
    f" volume_e8 FROM market.history_minutes{_FEEDS} AND at > %s AND at <= %s ORDER BY at",
    "seconds": f"SELECT {_MICROS.format('at')}, price_usd_e6 FROM market.history_seconds{_FEEDS}"  # noqa: S608
    " AND at >= %s AND at < %s ORDER BY at",
    "settlements": f"SELECT symbol, {_MICROS.format('close_at')}, ticker, strike_usd_e6, value_usd_e6,"  # noqa: S608
    f" {_MICROS.format('settled_at')}, result FROM market.history_markets{_FEEDS}"
    " AND close_at >= %s AND close_at < %s ORDER BY close_at, ticker",
    **dict.fromkeys(
        ("trades", "quotes", "books"),
        f"SELECT symbol, ticker, {_MICROS.format('first_at')}, {_MICROS.format('last_at')}, format,"  # noqa: S608
        f" digest, body FROM market.history_recordings{_FEEDS} AND first_at >= %s AND first_at < %s"
        " AND channel = %s ORDER BY first_at, ticker",
    ),
}
