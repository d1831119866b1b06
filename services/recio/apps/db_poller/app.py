"""db_poller: hands database changes on to the bus, at most 20 a second for each table.

The first change of a table goes out at once; what follows within the next 50 ms goes out together:
one row as itself, several rows as one change with the row id ``*``.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from recio import manifest
from recio.domain.errors import Unavailable
from recio.domain.messages import Change
from recio.runtime.service import Readiness, Service, ServiceContext
from recio.runtime.settings import load

CHANNEL: Final = "changes"
EVERY_ROW: Final = "*"
INTERVAL_S: Final = 0.05
RETRY_S: Final = 1.0


class Hint(msgspec.Struct, frozen=True):
    """The payload of a notification. ``account`` ``*`` or null: a row of all accounts."""

    table: str
    account: str | None = None
    id: str | None = None


_hints: Final = msgspec.json.Decoder(Hint)


class Settings(msgspec.Struct, frozen=True):
    """The change feed has no settings of its own: any variable in its name is an error."""


class Pending:
    """What is to be told, by table; several rows of a table become one entry."""

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._waiting: dict[str, Hint] = {}
        self._next_s: dict[str, float] = {}

    def add(self, hint: Hint) -> None:
        """Keep a hint; a second row of the same table widens it."""
        held = self._waiting.get(hint.table)
        if held is None:
            self._waiting[hint.table] = hint
        elif held != hint:
            account = hint.account if held.account == hint.account else None
            row_id = hint.id if held.id == hint.id else EVERY_ROW
            self._waiting[hint.table] = Hint(hint.table, account, row_id)

    def due(self, now_s: float) -> list[Hint]:
        """Take what may be told now."""
        tables = [table for table in self._waiting if self._next_s.get(table, now_s) <= now_s]
        for table in tables:
            self._next_s[table] = now_s + self._interval_s
        return [self._waiting.pop(table) for table in tables]

    def wait_s(self, now_s: float) -> float | None:
        """Return how long until something is due; None: nothing waits."""
        times = [self._next_s.get(table, now_s) for table in self._waiting]
        return max(0.0, min(times) - now_s) if times else None


class DbPoller:
    """The change feed."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._pending = Pending()
        self._wake = asyncio.Event()
        self._problem = "not connected to the database yet"
        self._dropped = context.metrics.counter(
            "recio_hints_dropped_total", "Database hints that were not understood."
        )
        self._told = context.metrics.counter(
            "recio_changes_told_total", "Changes handed to the bus.", "table"
        )

    async def listen(self) -> None:
        """Take hints for ever."""
        async for hint in self._context.database.listen(CHANNEL):
            if not hint.channel:
                self._tell_everything()
            else:
                self.take(hint.payload)
            self._wake.set()

    def take(self, payload: str) -> None:
        """Take one notification; one that is not understood is counted and dropped."""
        try:
            hint = _hints.decode(payload)
        except (ValueError, RecursionError) as error:
            self._dropped.inc()
            self._context.log.warning("dropped the hint %.200r: %s", payload, error)
            return
        self._pending.add(hint)

    def _tell_everything(self) -> None:
        self._problem = ""
        for table in TABLES:
            self._pending.add(Hint(table, None, EVERY_ROW))

    async def tell(self) -> None:
        """Hand on what is due, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            wait_s = self._pending.wait_s(loop.time())
            if wait_s is None:
                await self._wake.wait()
                self._wake.clear()
            elif wait_s > 0:
                await asyncio.sleep(wait_s)
            for hint in self._pending.due(loop.time()):
                await self._publish(hint)

    async def _publish(self, hint: Hint) -> None:
        now_us = self._context.clock.market_us()
        account = None if hint.account in (None, EVERY_ROW) else hint.account
        change = Change(
            table=hint.table,
            account=account,
            row_id=hint.id or EVERY_ROW,
            at_us=now_us,
            seen_us=now_us,
        )
        try:
            await self._context.bus.publish("changes", change)
        except Unavailable as error:
            # Kept and widened until the bus is back: then browsers read again what they missed.
            self._problem = f"the bus is gone: {error}"
            self._pending.add(hint)
            await self._context.clock.sleep_wall(RETRY_S)
        else:
            self._told.inc(1, hint.table)
            self._problem = ""

    def readiness(self) -> Readiness:
        """Whether changes are handed on."""
        return Readiness(is_ready=not self._problem, reason=self._problem)


TABLES: Final = tuple(
    sorted(
        {
            table
            for row in manifest.SERVICES
            for table in row.tables_written
            if table.startswith(("trading.", "ops."))
        }
    )
)
"""What browsers show: told as a whole after a lost connection."""


def build(context: ServiceContext) -> Service:
    """Build the change feed."""
    load(Settings, context.row.name, context.settings)
    feed = DbPoller(context)
    return Service(tasks=(feed.listen, feed.tell), readiness=feed.readiness)
