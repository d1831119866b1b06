"""The exchange's REST API as one object: public reads, the account's facts, orders.

``KalshiRest(http, signer, clock, budget, base_path)``. Without a signer only public reads work.
"""

from __future__ import annotations

from recio.adapters.kalshi.rest_markets import MarketReads
from recio.adapters.kalshi.rest_orders import OrderCalls
from recio.adapters.kalshi.rest_portfolio import PortfolioReads


class KalshiRest(OrderCalls, PortfolioReads, MarketReads):
    """All REST calls for one key, or for none."""

    async def adopt_limits(self) -> None:
        """Read the account's real rate budget and keep to it from now on."""
        self.budget.configure(await self.limits())
