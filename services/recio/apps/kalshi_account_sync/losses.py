"""What happens when a loss limit is broken: the switch that ``risk.onBreach`` names is set.

The gate refuses entries by these limits anyway; the switch is what the document asks for beyond
that (Halted, Flatten). It is this watch's own latched row, and it releases it itself once no limit
is broken any more: at the next New York midnight, or when somebody has changed the limits.
"""

from __future__ import annotations

from typing import Final

from recio.adapters.postgres import config as configs
from recio.adapters.postgres import gate, switches
from recio.domain import risk
from recio.domain.account_config import Trading
from recio.domain.errors import InvalidValue
from recio.domain.tickers import new_york_day_start_us
from recio.runtime.service import ServiceContext

BREAKER: Final = "breaker:losses"
WITHIN: Final = "losses are within their limits again"


class LossWatch:
    """Compares the day's result and the drawdown with the account's limits."""

    def __init__(self, context: ServiceContext, account: str) -> None:
        self._context = context
        self._account = account

    async def look(self) -> None:
        """Set or release the switch by what is booked now."""
        now_us = self._context.clock.market_us()
        async with self._context.database.transaction() as tx:
            try:
                limits = (await configs.effective_config(tx, self._account)).risk
            except InvalidValue as error:
                self._context.log.warning("losses are not watched: %s", error)
                return
            at_stake = await gate.exposure(
                tx, self._account, now_us=now_us, day_start_us=new_york_day_start_us(now_us)
            )
            broken = risk.breaches(limits, at_stake)
            rows = await switches.switch_rows(tx, self._account)
            if not broken and all(row.source != BREAKER for row in rows):
                return
            is_changed = await switches.set_switch(
                tx,
                self._account,
                BREAKER,
                Trading(limits.on_breach.value) if broken else Trading.ACTIVE,
                reason="; ".join(broken) or WITHIN,
                author=self._context.row.name,
                at_us=now_us,
            )
        if is_changed:
            self._context.log.warning("loss limits: %s", "; ".join(broken) or WITHIN)
