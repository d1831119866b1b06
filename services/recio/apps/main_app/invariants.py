"""Counts once a minute what breaks the money path's invariants, for every account, as metrics.

Here because this login may read every account's rows and is on nobody's way to an order. All series
exist from the first look on, at zero; ``recio_invariants_looks_total`` shows that it looks.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from recio.adapters.postgres import invariants
from recio.apps.main_app import reads
from recio.apps.main_app.desk import Desk
from recio.domain.errors import Unavailable
from recio.domain.units import SECOND_US
from recio.ports import Clock
from recio.runtime.metrics import Metrics

LOOK_S: Final = 60.0


class InvariantWatch:
    """The counts of all accounts."""

    def __init__(self, desk: Desk, metrics: Metrics, log: logging.LoggerAdapter[Any]) -> None:
        self._desk = desk
        self._log = log
        self._broken = metrics.gauge(
            "recio_invariant_violations",
            "What breaks an invariant of the money path now or did in the last quarter of an hour.",
            "invariant",
            "of_account",
        )
        self._doubt = metrics.gauge(
            "recio_oldest_doubt_seconds",
            "Market time since the claim of the oldest order without a known end.",
            "of_account",
        )
        self._looks = metrics.counter(
            "recio_invariants_looks_total", "Looks at the invariants, over all accounts."
        )

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                await self.look()
            except Unavailable as error:
                self._log.warning("the invariants are not looked at: %s", error)
            await self._desk.clock.sleep_wall(LOOK_S)

    async def look(self) -> None:
        """Look once at every account."""
        async with self._desk.database.transaction() as tx:
            accounts = await reads.accounts(tx)
        for row in accounts:
            await self._look_at(row["account"], self._desk.clock_of(row["environment"]))
        self._looks.inc()

    async def _look_at(self, account: str, clock: Clock) -> None:
        now_us = clock.market_us()
        async with self._desk.database.transaction() as tx:
            found = await invariants.broken(tx, account, now_us=now_us)
            doubt_us = await invariants.oldest_doubt_us(tx, account)
        for number, times in found.items():
            self._broken.set(times, number, account)
            if times:
                self._log.error("invariant %s of %s is broken %d times", number, account, times)
        self._doubt.set(0 if doubt_us is None else (now_us - doubt_us) / SECOND_US, account)
