"""The exception tree: three families, by what the caller does next.

    RecioError
    ├── Rejected     the other side said no, or sent nonsense: record it, go on
    ├── Unavailable  nobody's fault (network, restart, rate limit): retry within a budget
    └── Broken       an invariant of ours failed: stop this process; starting is recovery

Adapters translate library errors into these at their border and chain the cause. Messages say what
was expected, what was received, with the ids, and how to mend it.
"""

from __future__ import annotations


class RecioError(Exception):
    """Base of every error this package raises on purpose."""


class Rejected(RecioError):
    """The other side refused, or its data is not valid. Recorded and counted; the work goes on."""


class Unavailable(RecioError):
    """The other side cannot answer now. Retry with back-off within a budget."""


class NoAnswer(Unavailable):
    """A request got no answer.

    ``sent`` tells whether a byte of it may have left: if so its outcome is unknown, never "not done".
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class Broken(RecioError):
    """An invariant of ours does not hold. The process stops; a restart reconciles before it acts."""


class InvalidValue(Rejected, ValueError):
    """A value does not fit its type: wrong scale, out of range, not a number."""


class StrategyFailed(Rejected):
    """A strategy of one's own did not answer as it must.

    ``kind`` names how: not_loaded, raised, timeout, nonsense, too_long, ended.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
