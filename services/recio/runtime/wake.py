"""Wait for work: a database hint wakes at once, a slow poll backs it up.

Hints may be lost, so ``wait`` returns after the database port's ``poll_seconds`` of wall time in
any case; whoever waits then looks at the tables, which alone say what is to be done.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from recio.domain.errors import Rejected, Unavailable
from recio.ports import Database


class Wake:
    """Wakes one waiting loop when a row of its account changes.

    ``account`` None wakes for every account. Run ``listen`` as a task of the service. One commit on
    an order's way wakes half a dozen processes: those that only follow what happens are
    ``is_follower`` and wait a little longer, so that the order's next step has the processor and
    hints that come together cause one look.
    """

    def __init__(
        self, database: Database, *channels: str, account: str | None, is_follower: bool = False
    ) -> None:
        self._database = database
        self._channels = channels
        self._account = account
        self._is_follower = is_follower
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

    async def wait(self, at_most_s: float | None = None) -> bool:
        """Return at the next hint, after the poll interval, or after ``at_most_s`` wall seconds.

        The result tells whether there was a hint.
        """
        poll_s = self._database.poll_seconds
        limit_s = poll_s if at_most_s is None else min(poll_s, max(at_most_s, 0.0))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._event.wait()
        is_hinted = self._event.is_set()
        if is_hinted and self._is_follower and self._database.settle_seconds > 0:
            await asyncio.sleep(self._database.settle_seconds)
        self._event.clear()
        return is_hinted

    async def follow(
        self, read: Callable[[], Awaitable[None]], tell: Callable[[str], None]
    ) -> None:
        """Read again for ever, whenever something may have changed.

        ``tell`` is called after each look with what went wrong, empty if nothing did.
        """
        while True:
            await self.wait()
            try:
                await read()
                tell("")
            except (Unavailable, Rejected) as error:
                tell(str(error))
