"""Applies migrations/NNNN_{pre|post}_what.sql, each file once, in one transaction, in order.

*pre* files go in before the new code starts and must leave the previous code working; *post* files
go in when the old code is gone. What was applied is recorded in ``ops.migrations`` with the file's
checksum. Refused: a file that was changed or removed after it was applied, one that is older than
an applied one, a gap or a doubled number, two runs at once (they wait for an advisory lock).
A file that cannot get a lock within 4 seconds fails and is left out whole: it may be run again.

A database that is ahead of this code is refused, too, unless the caller goes back on purpose: then
unknown *pre* files are no hindrance, because the code before them is what they were written for.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

from recio.adapters.postgres.failures import DatabaseBroken, DatabaseUnavailable, failure
from recio.domain.errors import Broken

LOCK_TIMEOUT_MS: Final = 4_000
STATEMENT_TIMEOUT_MS: Final = 600_000
LOCK_PATIENCE_S: Final = 600.0
LOCK_PAUSE_S: Final = 0.2
TELL_S: Final = 5.0
ADVISORY_LOCK: Final = 0x7265_6369_6F01
"""Any number that nobody else takes: "recio" and 1."""
OLDEST_SERVER: Final = 150_000

_PRE: Final = "pre"
_NAME: Final = re.compile(r"(\d{4})_(pre|post)_([a-z0-9_]+)\.sql", re.ASCII)

_TABLE: Final = """
CREATE SCHEMA IF NOT EXISTS ops;
CREATE TABLE IF NOT EXISTS ops.migrations (
    number integer PRIMARY KEY,
    name text NOT NULL UNIQUE,
    phase text NOT NULL CHECK (phase IN ('pre', 'post')),
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL
);
COMMENT ON TABLE ops.migrations IS 'Which migration files were applied, with their checksums.';
"""


class MigrationRefused(Broken):
    """The files and what was applied do not fit together."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    number: int
    phase: str
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Checksum of the text as applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def directory() -> Path:
    """Return where the files are: in the package when installed, else in the repository."""
    here = Path(__file__).resolve()
    installed = here.parents[2] / "migrations"
    return installed if installed.is_dir() else here.parents[4] / "migrations"


def read(folder: Path) -> list[Migration]:
    """Return the migrations of a folder in order.

    Raises:
        MigrationRefused: a file is called otherwise, a number is missing or given twice.
    """
    found = [_read_one(path) for path in sorted(folder.glob("*.sql"))]
    numbers = [migration.number for migration in found]
    if numbers != list(range(1, len(found) + 1)):
        raise MigrationRefused(
            f"expected migrations numbered 0001 to {len(found):04d} without gaps in {folder}, "
            f"received {', '.join(f'{number:04d}' for number in numbers) or 'none'}"
        )
    return found


def _read_one(path: Path) -> Migration:
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise MigrationRefused(f"expected a name like 0001_pre_what.sql, received {path.name}")
    return Migration(int(match[1]), match[2], path.name, path.read_text(encoding="utf-8"))


def migrate(
    dsn: str,
    *,
    folder: Path | None = None,
    is_pre_only: bool = False,
    is_rollback: bool = False,
    say: Callable[[str], None] = lambda _line: None,
) -> list[str]:
    """Apply what is missing and return the names of the files applied now.

    ``is_pre_only`` leaves out the post files that are not followed by an applied file.
    ``is_rollback`` allows a database that is ahead of us by pre files.

    Raises:
        MigrationRefused: the files do not fit what was applied.
        DatabaseUnavailable: no connection, or a lock was not to be had in time.
    """
    migrations = read(folder or directory())
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
            return migrate_over(
                connection, migrations, is_pre_only=is_pre_only, is_rollback=is_rollback, say=say
            )
    except psycopg.Error as error:
        if error.sqlstate:
            raise failure(error.sqlstate, str(error)) from error
        raise DatabaseUnavailable(f"cannot migrate: {error}") from error


def missing_from(dsn: str, *, folder: Path | None = None) -> list[str]:
    """Return the names of the pre files that this code needs and the database lacks.

    Any login of ours may ask. A database that is ahead of us by pre files lacks nothing.

    Raises:
        MigrationRefused: the database does not fit this code, now or ever.
        DatabaseUnavailable: it does not answer, or does not let us in yet.
    """
    migrations = read(folder or directory())
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
            applied = _applied(connection)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
        applied = {}
    except psycopg.Error as error:
        said = " ".join(str(error).split())
        raise DatabaseUnavailable(f"the database does not answer: {said}") from error
    missing = pending(migrations, applied, is_pre_only=False, is_rollback=True)
    return [migration.name for migration in missing if migration.phase == _PRE]


def migrate_over(
    connection: psycopg.Connection[Any],
    migrations: Sequence[Migration],
    *,
    is_pre_only: bool = False,
    is_rollback: bool = False,
    say: Callable[[str], None],
) -> list[str]:
    """Do the same over a connection, which then holds the lock until it is closed."""
    if connection.info.server_version < OLDEST_SERVER:
        raise MigrationRefused(
            f"expected PostgreSQL 15 or newer, received {connection.info.server_version // 10_000}"
        )
    _lock(connection, say)
    if _scalar(connection, "SELECT to_regclass('ops.migrations') IS NULL"):
        connection.execute(_TABLE)
    applied = _applied(connection)
    missing = pending(migrations, applied, is_pre_only=is_pre_only, is_rollback=is_rollback)
    for migration in missing:
        say(f"applying {migration.name}")
        _apply(connection, migration)
    return [migration.name for migration in missing]


def _lock(connection: psycopg.Connection[Any], say: Callable[[str], None]) -> None:
    began_s = time.monotonic()
    told_s = began_s - TELL_S
    while not _scalar(connection, f"SELECT pg_try_advisory_lock({ADVISORY_LOCK}::bigint)"):
        now_s = time.monotonic()
        if now_s > began_s + LOCK_PATIENCE_S:
            raise DatabaseUnavailable(
                f"somebody else has been migrating for {LOCK_PATIENCE_S:g} s: see what waits in "
                "pg_stat_activity"
            )
        if now_s > told_s + TELL_S:
            told_s = now_s
            say("somebody else is migrating this database: waiting for the end of it")
        time.sleep(LOCK_PAUSE_S)


def pending(
    migrations: Sequence[Migration],
    applied: dict[int, tuple[str, str]],
    *,
    is_pre_only: bool,
    is_rollback: bool = False,
) -> list[Migration]:
    """Return what is to be applied; ``applied`` maps number to (name, sha256).

    Raises:
        MigrationRefused: an applied file was changed or is gone.
    """
    by_number = {migration.number: migration for migration in migrations}
    for number, (name, sha256) in sorted(applied.items()):
        known = by_number.get(number)
        if known is None and is_rollback and f"_{_PRE}_" in name:
            continue
        if known is None:
            raise MigrationRefused(
                f"the database has migration {name}, which this version does not know: "
                "start the version that it was made by, or a newer one"
            )
        if (known.name, known.sha256) != (name, sha256):
            raise MigrationRefused(
                f"migration {name} was changed after it was applied: expected sha256 {sha256}, "
                f"received {known.name} with {known.sha256}; write a new migration instead"
            )
    missing = [migration for migration in migrations if migration.number not in applied]
    if is_pre_only:
        missing = _before_first_post(missing)
    return missing


def _before_first_post(missing: Sequence[Migration]) -> list[Migration]:
    kept: list[Migration] = []
    for migration in missing:
        if migration.phase == "post":
            break
        kept.append(migration)
    return kept


def _applied(connection: psycopg.Connection[Any]) -> dict[int, tuple[str, str]]:
    rows = connection.execute("SELECT number, name, sha256 FROM ops.migrations").fetchall()
    return {number: (name, sha256) for number, name, sha256 in rows}


def _apply(connection: psycopg.Connection[Any], migration: Migration) -> None:
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
            connection.execute(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}")
            connection.execute(migration.sql.encode())
            # A file may work under another role; the record belongs to whoever runs us.
            connection.execute("RESET ROLE")
            connection.execute(
                # The wall's time: when an operator applied it, nothing a market knows of.
                "INSERT INTO ops.migrations VALUES (%s, %s, %s, %s, clock_timestamp())",
                (migration.number, migration.name, migration.phase, migration.sha256),
            )
    except psycopg.errors.LockNotAvailable as error:
        raise DatabaseUnavailable(
            f"{migration.name}: no lock within {LOCK_TIMEOUT_MS} ms; nothing of it was applied, "
            "run it again when less is going on"
        ) from error
    except psycopg.Error as error:
        raise DatabaseBroken(
            f"{migration.name} failed and was left out whole: {_where(error, migration)}",
            sqlstate=error.sqlstate or "",
        ) from error


def _where(error: psycopg.Error, migration: Migration) -> str:
    position = error.diag.statement_position
    line = migration.sql[: int(position)].count("\n") + 1 if position else None
    message = error.diag.message_primary or str(error)
    return f"line {line}: {message}" if line else message


def _scalar(connection: psycopg.Connection[Any], sql: str) -> object:
    row = connection.execute(sql).fetchone()
    return row[0] if row else None
