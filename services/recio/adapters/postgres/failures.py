"""PostgreSQL's errors as the three families, with what a caller may decide on.

By SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html): what a constraint, a
policy, a trigger or a bad value refuses is ``Rejected``; what passes by itself (connection, restart,
lock, deadlock, resources) is ``Unavailable``; a statement that can never be right is ``Broken``. An
error that ended the connection (FATAL) is ``Unavailable`` whatever its code: PgBouncer gives 08P01
to all of its own.
"""

from __future__ import annotations

from typing import Final

from recio.domain.errors import Broken, Rejected, Unavailable

UNIQUE_VIOLATION: Final = "23505"
FOREIGN_KEY_VIOLATION: Final = "23503"
CHECK_VIOLATION: Final = "23514"
INSUFFICIENT_PRIVILEGE: Final = "42501"

_CACHED_PLAN: Final = "cached plan must not change result type"

_UNAVAILABLE_CLASSES: Final = frozenset({"08", "40", "53", "55", "57", "58"})
_UNAVAILABLE_STATES: Final = frozenset(
    {
        "25P03",  # idle_in_transaction_session_timeout
        "25P04",  # transaction_timeout
        "25006",  # read only: we are on a standby that is about to be promoted, or a demoted primary
        "26000",  # the pooler gave us another server connection: the statement is prepared anew
        "42P05",  # the same, told by the other side: somebody has prepared it there already
        "28000",  # login refused: credentials rotate, roles are made by a migration still running
        "28P01",
        "3D000",  # the database is not there yet
    }
)
_REJECTED_CLASSES: Final = frozenset({"22", "23", "44", "P0"})

_PROTOCOL_VIOLATION: Final = "08P01"
"""In class 08, but what it tells of is a wrong number of parameters."""

_GONE_CLASSES: Final = frozenset({"08", "57", "58"})
_GONE_STATES: Final = frozenset({"25P03", "25P04", "25006", "26000", "42P05"})


class DatabaseRejected(Rejected):
    """A constraint, a policy, a trigger or a value's type refused. ``constraint`` may be empty."""

    def __init__(self, message: str, *, sqlstate: str, constraint: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.constraint = constraint


class DatabaseUnavailable(Unavailable):
    """The server cannot do it now; nothing of the transaction was kept."""

    def __init__(self, message: str, *, sqlstate: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class CommitUnknown(DatabaseUnavailable):
    """The connection broke while the commit was on its way: it may or may not have been kept.

    Whoever gets this reads back before doing it again.
    """


class DatabaseBroken(Broken):
    """The statement cannot be right: wrong syntax, unknown table, wrong type, misused port."""

    def __init__(self, message: str, *, sqlstate: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


def failure(
    sqlstate: str,
    message: str,
    *,
    constraint: str = "",
    statement: str = "",
    is_fatal: bool = False,
) -> DatabaseRejected | DatabaseUnavailable | DatabaseBroken:
    """Return the exception for a server error."""
    about = f" in: {_shortened(statement)}" if statement else ""
    text = f"PostgreSQL {sqlstate}: {message}{about}"
    if is_fatal:
        return DatabaseUnavailable(text, sqlstate=sqlstate)
    if _is_rejected(sqlstate):
        return DatabaseRejected(text, sqlstate=sqlstate, constraint=constraint)
    if _is_unavailable(sqlstate, message):
        return DatabaseUnavailable(text, sqlstate=sqlstate)
    return DatabaseBroken(text, sqlstate=sqlstate)


def ends_session(sqlstate: str, message: str) -> bool:
    """Whether the connection is of no further use after this error."""
    is_gone = sqlstate[:2] in _GONE_CLASSES and sqlstate != "57014"
    return is_gone or sqlstate in _GONE_STATES or _CACHED_PLAN in message


def _is_rejected(sqlstate: str) -> bool:
    # Classes from I to Z, except XX (internal error), are for applications: our triggers' own words.
    is_ours = "I" <= sqlstate[:1] <= "Z" and sqlstate[:2] not in {"XX", "P0"}
    return sqlstate[:2] in _REJECTED_CLASSES or sqlstate == INSUFFICIENT_PRIVILEGE or is_ours


def _is_unavailable(sqlstate: str, message: str) -> bool:
    if sqlstate == _PROTOCOL_VIOLATION:
        return False
    is_passing = sqlstate[:2] in _UNAVAILABLE_CLASSES or sqlstate in _UNAVAILABLE_STATES
    return is_passing or not sqlstate or _CACHED_PLAN in message


def _shortened(statement: str) -> str:
    return " ".join(statement.split())[:200]
