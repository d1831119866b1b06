"""The database port of the executor, and how long it has not answered.

A transaction that hangs says nothing for as long as it hangs; so what counts is when the last one
ended well. The lease is renewed every three seconds: a database that is there is heard that often.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from recio.domain.units import SECOND_US
from recio.ports import Clock, Database, Notification, Transaction


class SeenDatabase:
    """Passes everything on and remembers the last answer."""

    def __init__(self, inner: Database, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock
        self.poll_seconds = inner.poll_seconds
        self.settle_seconds = inner.settle_seconds
        self._answered_wall_us = clock.wall_us()

    @property
    def session_pid(self) -> int | None:
        """The server process of the connection that lasts."""
        return self._inner.session_pid

    @property
    def silent_seconds(self) -> float:
        """How long ago the last transaction ended well, in wall time."""
        return max(self._clock.wall_us() - self._answered_wall_us, 0) / SECOND_US

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a transaction."""
        async with self._inner.transaction() as tx:
            yield tx
        self._answered_wall_us = self._clock.wall_us()

    def listen(self, *channels: str) -> AsyncIterator[Notification]:
        """Pass hints on."""
        return self._inner.listen(*channels)

    async def close(self) -> None:
        """Close it."""
        await self._inner.close()
