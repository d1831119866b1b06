"""Steady: an example of a strategy of your own, to copy and to change. It promises no profit.

The market's price is a good forecast, and a model that disagrees with it is more often wrong than
right. So the model is believed only in part: its probability is moved most of the way back to the
middle of bid and ask (``trust`` 30 of 100), and the likelier side is bought only if even that is worth
more than ask and fee. In restless minutes it stays out.

Parameters: ``trust`` (percent), ``edge`` (least edge in basis points of a dollar), ``calm`` (the most
momentum, in basis points), ``contracts``. The account's own rules and limits hold beside them.
"""

from collections.abc import Mapping

from recio.strategy import NO, YES, Proposal, Strike, View


class Steady:
    """Made once; asked about ten times a second while an event may be entered."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        """Read the parameters; what is wrong here is told before anything is asked."""
        self.trust = int(parameters.get("trust", "30"))
        self.edge_e4 = int(parameters.get("edge", "50"))
        self.calm = int(parameters.get("calm", "10"))
        self.contracts = int(parameters.get("contracts", "1"))

    def propose(self, view: View) -> list[Proposal]:
        """Return the one entry that is worth most, or none."""
        if view.momentum_bucket is None or abs(view.momentum_bucket) > self.calm:
            return []
        mine = {trade.market_ticker for trade in view.held}
        found = [
            proposal
            for strike in view.strikes
            if not strike.reason and strike.ticker not in mine
            for side in (YES, NO)
            if (proposal := self.judged(strike, side)) is not None
        ]
        return sorted(found, key=lambda one: (-one.p_e6, one.market_ticker))[:1]

    def judged(self, strike: Strike, side: str) -> Proposal | None:
        """Return a proposal for one side of a strike if it is worth its price."""
        p, ask, bid, fee = (
            strike.p_e6(side),
            strike.ask_e4(side),
            strike.bid_e4(side),
            strike.fee_e4(side),
        )
        if p is None or ask is None or bid is None or fee is None:
            return None  # not known is never a number
        market_e6 = (ask + bid) * 50
        own_e6 = market_e6 + (p - market_e6) * self.trust // 100
        edge_e4 = own_e6 // 100 - ask - fee
        if edge_e4 < self.edge_e4:
            return None
        return Proposal(
            market_ticker=strike.ticker,
            side=side,
            contracts=self.contracts,
            p_e6=own_e6,
            limit_price_e4=ask,
            reason=f"model {p / 10_000:.1f} %, market {market_e6 / 10_000:.1f} %",
        )
