"""Just enough of PostgreSQL's wire to number commits: messages, round trips, what each one writes.

The client's bytes are cut into round trips (all that goes up to a Sync or a simple Query), the
server's into answers (all that comes up to ReadyForQuery). Source: PostgreSQL documentation,
"Message Formats" of protocol 3.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

STARTUP = "connect"
_WRITES = re.compile(
    r"\b(INSERT)\s+INTO\s+([\w.]+)|\b(UPDATE)\s+([\w.]+)\s+SET\b|\b(DELETE)\s+FROM\s+([\w.]+)",
    re.IGNORECASE,
)
_READY, _NOTIFICATION = b"Z", b"A"
_HEAD = 5


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """What a client sends before it waits; ``commit`` names what it makes durable, if anything."""

    data: bytes
    commit: str = ""


class ClientWire:
    """Cuts one connection's bytes from the client into round trips."""

    def __init__(self) -> None:
        self._buffer = b""
        self._is_started = False
        self._statements: dict[bytes, str] = {}
        self._writes: list[str] = []
        self._sent = b""
        self._commit: str = ""

    def feed(self, data: bytes) -> list[RoundTrip]:
        """Take bytes; return the round trips that are whole now."""
        self._buffer += data
        made = []
        while (message := self._next()) is not None:
            self._sent += message
            if self._ends(message):
                made.append(RoundTrip(self._sent, self._commit))
                self._sent, self._commit = b"", ""
        return made

    def _next(self) -> bytes | None:
        start = 1 if self._is_started else 0
        if len(self._buffer) < start + 4:
            return None
        size = start + int.from_bytes(self._buffer[start : start + 4], "big")
        if len(self._buffer) < size:
            return None
        message, self._buffer = self._buffer[:size], self._buffer[size:]
        return message

    def _ends(self, message: bytes) -> bool:
        if not self._is_started:
            self._is_started = True
            return True
        kind, body = message[:1], message[_HEAD:]
        if kind == b"P":
            name, sql, _ = body.split(b"\0", 2)
            self._statements[name] = sql.decode(errors="replace")
        elif kind == b"B":
            name = body.split(b"\0", 2)[1]
            self._run(self._statements.get(name, ""))
        elif kind == b"Q":
            self._run(body.rstrip(b"\0").decode(errors="replace"))
        return kind in b"SQXp"

    def _run(self, sql: str) -> None:
        word = sql.lstrip().partition(" ")[0].upper().rstrip(";")
        if word in {"BEGIN", "ROLLBACK"}:
            self._writes = []
        elif word == "COMMIT":
            self._commit = " + ".join(dict.fromkeys(self._writes))
            self._writes = []
        else:
            self._writes += writes(sql)


def writes(sql: str) -> list[str]:
    """Return what a statement writes.

    >>> writes("UPDATE trading.orders SET state = $1")
    ['update orders']
    >>> writes("SELECT 1 FROM trading.orders FOR UPDATE")
    []
    """
    found = []
    for match in _WRITES.finditer(sql):
        verb, table = (part for part in match.groups() if part)
        found.append(f"{verb.lower()} {table.rpartition('.')[2]}")
    return found


class ServerWire:
    """Cuts one connection's bytes from the server into answers."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer = b""

    def feed(self, data: bytes) -> list[tuple[bytes, bool]]:
        """Take bytes; return what is whole: (bytes, whether they answer a round trip)."""
        self._buffer += data
        made: list[tuple[bytes, bool]] = []
        while len(self._buffer) >= _HEAD:
            size = 1 + int.from_bytes(self._buffer[1:_HEAD], "big")
            if len(self._buffer) < size:
                break
            message, self._buffer = self._buffer[:size], self._buffer[size:]
            if message[:1] == _NOTIFICATION and not self._answer:
                made.append((message, False))
                continue
            self._answer += message
            if message[:1] == _READY:
                made.append((self._answer, True))
                self._answer = b""
        return made

    def rest(self) -> bytes:
        """Return what came without an end: the last words of a server that hangs up."""
        return self._answer + self._buffer
