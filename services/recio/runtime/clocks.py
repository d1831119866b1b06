"""The clocks of all environments of a release, for services that show more than their own.

An environment whose market time is its own has a row in ``ops.environments``; without one it is wall
time, or has not begun: ``refresh`` looks again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from recio.domain.errors import Broken
from recio.ports import Clock, Database
from recio.runtime.clock import AcceleratedClock, NoMarketTime, WallClock, load_market_time

_log = logging.getLogger("recio.clocks")


class Clocks:
    """Clocks by environment; ``own`` is the process's own environment, whose clock is ``clock``."""

    def __init__(
        self, own: str, clock: Clock, database: Database, environments: Sequence[str]
    ) -> None:
        self._own = clock
        self._wall = WallClock()
        self._known: dict[str, Clock] = {own: clock}
        self._database = database
        self._environments = tuple(environments)

    def of(self, environment: str) -> Clock:
        """Return the clock of an environment; of none, the process's own."""
        return self._known.get(environment, self._wall) if environment else self._own

    async def refresh(self) -> None:
        """Read the market time of the environments that had none.

        Raises:
            Unavailable: the database is away.
        """
        for environment in self._environments:
            if environment in self._known:
                continue
            try:
                line = await load_market_time(self._database, environment)
            except NoMarketTime:
                continue
            except Broken as error:
                _log.warning("%s", error)
                continue
            self._known[environment] = AcceleratedClock(line)
