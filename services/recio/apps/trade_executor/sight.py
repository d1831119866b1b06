"""The database port of the executor, and how long it has not answered.

A transaction that hangs says nothing for as long as it hangs; so what counts is when the last one
ended well. The lease is renewed every three seconds: a database that is there is heard that often.
Silence is counted in looks, never by the clock: a clock that jumps and a process that stood still
are no silence of the database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from recio.ports import Database, Notification, Transaction


class SeenDatabase:
    """Passes everything on and counts the answers."""

    def __init__(self, inner: Database) -> None:
        self._inner = inner
        self.poll_seconds = inner.poll_seconds
        self.settle_seconds = inner.settle_seconds
        self._answers = 0
        self._answers_seen = 0
        self._looks_in_vain = 0

    @property
    def session_pid(self) -> int | None:
        """The server process of the connection that lasts."""
        return self._inner.session_pid

    def look(self) -> int:
        """Return how many looks in a row, this one included, saw no transaction end well."""
        self._looks_in_vain = self._looks_in_vain + 1 if self._answers == self._answers_seen else 0
        self._answers_seen = self._answers
        return self._looks_in_vain

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a transaction."""
        async with self._inner.transaction() as tx:
            yield tx
        self._answers += 1

    def listen(self, *channels: str) -> AsyncIterator[Notification]:
        """Pass hints on."""
        return self._inner.listen(*channels)

    async def close(self) -> None:
        """Close it."""
        await self._inner.close()
