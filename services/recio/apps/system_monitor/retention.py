"""Keeps journals and decisions to their days: a round every few minutes of the wall.

The disk is watched here, so what fills it is removed here. A round that fails is told and comes again;
it never stops the measuring. What is dropped is told by its name.
"""

from __future__ import annotations

from recio.adapters.postgres import retention
from recio.adapters.postgres.retention import Done, Keep
from recio.apps.system_monitor.settings import Settings
from recio.domain.errors import RecioError, Unavailable
from recio.runtime.service import ServiceContext

SOON_S = 20.0
"""After a round in which a partition was busy."""


class Retention:
    """Makes partitions ahead and drops the old ones."""

    def __init__(self, context: ServiceContext, settings: Settings) -> None:
        self._context = context
        self._pause_s = settings.retention_minutes * 60.0
        self._keep = Keep(journal_days=settings.journal_days, decision_days=settings.decision_days)
        self._partitions = context.metrics.counter(
            "recio_partitions_total", "Partitions of journals and decisions.", "action"
        )

    async def run(self) -> None:
        """Do a round, again and again."""
        while True:
            is_whole = await self.round()
            await self._context.clock.sleep_wall(self._pause_s if is_whole else SOON_S)

    async def round(self) -> bool:
        """Make and drop what is due; return False if some of it could not be done now."""
        try:
            done = await retention.retain(self._context.database, self._keep)
        except Unavailable as error:
            self._context.log.warning("journals are not kept to their days now: %s", error)
            return False
        except RecioError:
            self._context.log.exception("journals cannot be kept to their days")
            return True
        for one in done:
            self._tell(one)
        return not any(one.action == "busy" for one in done)

    def _tell(self, one: Done) -> None:
        self._partitions.inc(1, one.action)
        if one.action == "dropped":
            self._context.log.info("old partition dropped: %s", one.partition)
