"""One strike seen from one side: its probability, prices and edge, by the account's own model."""

from __future__ import annotations

from typing import NamedTuple

from recio.domain.account_config import Model
from recio.domain.messages import Snapshot, StrikeRow
from recio.domain.probability import choose
from recio.domain.units import P_ONE_E6, PRICE_ONE_E4

YES = "yes"
NO = "no"


class SideView(NamedTuple):
    """What holding or buying this side means now; prices on the side's own scale, None: not known."""

    p_e6: int | None
    ask_e4: int | None
    bid_e4: int | None
    fee_e4: int | None

    @property
    def edge_e4(self) -> int | None:
        """Probability minus ask minus fee, per contract; None if any is not known."""
        if self.p_e6 is None or self.ask_e4 is None or self.fee_e4 is None:
            return None
        return self.p_e6 // 100 - self.ask_e4 - self.fee_e4


def p_yes_e6(snapshot: Snapshot, row: StrikeRow, model: Model) -> int | None:
    """Return P(YES) by the account's model, whichever the environment shows."""
    if snapshot.model == model:
        return row.p_yes_e6
    return choose(model, row.p_fingerprints_e6, row.p_volatility_e6, row.p_blend_e6)


def view(snapshot: Snapshot, row: StrikeRow, side: str, model: Model) -> SideView:
    """Return a strike from one side."""
    p_yes = p_yes_e6(snapshot, row, model)
    bid, ask = row.yes_bid_e4, row.yes_ask_e4
    if side == YES:
        return SideView(p_yes, ask, bid, row.yes_fee_e4)
    return SideView(
        None if p_yes is None else P_ONE_E6 - p_yes,
        None if bid is None else PRICE_ONE_E4 - bid,
        None if ask is None else PRICE_ONE_E4 - ask,
        row.no_fee_e4,
    )


def row_of(snapshot: Snapshot, market_ticker: str) -> StrikeRow | None:
    """Return the strike of a market, None if it is not among the nearest."""
    for row in snapshot.rows:
        if row.ticker == market_ticker:
            return row
    return None
