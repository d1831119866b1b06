"""Wait for work: a database hint wakes at once, a slow poll backs it up.

Hints may be lost, so ``wait`` returns after ``poll_seconds`` of wall time in any case; whoever
waits then looks at the tables, which alone say what is to be done.
"""

from __future__ import annotations

import asyncio
from typing import Final

from recio.ports import Database

POLL_SECONDS: Final = 2.0


class Wake:
    """Wakes one waiting loop when a row of its account changes.

    ``account`` None wakes for every account. Run ``listen`` as a task of the service.
    """

    def __init__(
        self,
        database: Database,
        *channels: str,
        account: str | None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._database = database
        self._channels = channels
        self._account = account
        self._poll_seconds = poll_seconds
        self._event = asyncio.Event()

    async def listen(self) -> None:
        """Take hints for ever."""
        async for hint in self._database.listen(*self._channels):
            scope = hint.payload.partition(" ")[0]
            if not hint.channel or self._account is None or scope in (self._account, "*"):
                self._event.set()

    def now(self) -> None:
        """Wake the waiting loop."""
        self._event.set()

    async def wait(self) -> None:
        """Return at the next hint, or after the poll interval."""
        try:
            async with asyncio.timeout(self._poll_seconds):
                await self._event.wait()
        except TimeoutError:
            pass
        self._event.clear()
