"""What a trader's own strategy sees, and what it may say: plain values and nothing else.

A strategy is a class. It is made once with the parameters of the account's document, and then asked
with a ``View`` whenever an entry would be allowed at this moment:

    class Mine:
        def __init__(self, parameters: Mapping[str, str]) -> None: ...
        def propose(self, view: View) -> Sequence[Proposal]: ...

It can only propose entries. What becomes of a proposal is decided by the same rules, limits and gate
as for our own strategy; exits are not its business. Units are in the names: prices 1e-4 dollar
(9500 is 95 cents), quantities 1e-2 contract, money 1e-6 dollar, probabilities 1e-6, times
microseconds since 1970 UTC. None means not known, never zero.

This module is imported inside the strategy's own process and imports nothing but msgspec.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

YES: Final = "yes"
NO: Final = "no"
MOST_PROPOSALS: Final = 32
"""More than a snapshot has strikes: a longer answer is a mistake."""

_Side = Annotated[str, Meta(pattern=r"^(yes|no)\Z")]


class Proposal(msgspec.Struct, frozen=True):
    """One entry that the strategy wishes for.

    ``contracts`` is a wish too: the account's sizing and limits may make it less, never more.
    ``p_e6`` is the strategy's own probability that this side wins. ``limit_price_e4`` is the most it
    pays, on the side's own scale; None: the ask that is seen.
    """

    market_ticker: Annotated[str, Meta(min_length=1, max_length=64)]
    side: _Side
    contracts: Annotated[int, Meta(ge=1, le=10_000)]
    p_e6: Annotated[int, Meta(ge=0, le=1_000_000)]
    limit_price_e4: Annotated[int, Meta(ge=1, le=9_999)] | None = None
    reason: Annotated[str, Meta(max_length=200)] = ""


Proposals = Annotated[tuple[Proposal, ...], Meta(max_length=MOST_PROPOSALS)]


class Strike(msgspec.Struct, frozen=True, array_like=True):
    """One market of the event. ``reason`` says why it cannot be judged now; empty: it can.

    ``p_yes_e6`` is the account's own model. Bid and ask are of YES; a NO is bought at
    10000 - ``yes_bid_e4``. Fees are the taker's, for one contract. ``volume_e2`` was traded so far.
    """

    ticker: str
    strike_usd_e6: int
    p_yes_e6: int | None
    yes_bid_e4: int | None
    yes_ask_e4: int | None
    yes_bid_qty_e2: int
    yes_ask_qty_e2: int
    yes_fee_e4: int | None
    no_fee_e4: int | None
    volume_e2: int | None
    book_at_us: int
    reason: str

    def p_e6(self, side: str) -> int | None:
        """Return the model's probability that this side wins."""
        if self.p_yes_e6 is None or side == YES:
            return self.p_yes_e6
        return 1_000_000 - self.p_yes_e6

    def ask_e4(self, side: str) -> int | None:
        """Return what a contract of this side costs now, before the fee."""
        if side == YES:
            return self.yes_ask_e4
        return None if self.yes_bid_e4 is None else 10_000 - self.yes_bid_e4

    def bid_e4(self, side: str) -> int | None:
        """Return what a contract of this side can be sold for now, before the fee."""
        if side == YES:
            return self.yes_bid_e4
        return None if self.yes_ask_e4 is None else 10_000 - self.yes_ask_e4

    def fee_e4(self, side: str) -> int | None:
        """Return the taker fee of one contract of this side at its ask."""
        return self.yes_fee_e4 if side == YES else self.no_fee_e4

    def edge_e4(self, side: str) -> int | None:
        """Return the model's probability less ask and fee; None if one of them is not known."""
        p, ask, fee = self.p_e6(side), self.ask_e4(side), self.fee_e4(side)
        return None if p is None or ask is None or fee is None else p // 100 - ask - fee


class HeldTrade(msgspec.Struct, frozen=True):
    """One live trade of the account, whoever opened it; an entry in flight counts whole."""

    event_ticker: str
    market_ticker: str
    side: str
    strike_usd_e6: int | None
    state: str
    qty_e2: int
    cost_usd_e6: int
    p_entry_e6: int | None
    opened_at_us: int | None


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The account's settings and limits that a proposal will be judged by."""

    allow_reentry: bool
    min_probability_permille: int
    min_net_edge_basis_points: int
    min_seconds_to_close: int
    max_seconds_to_close: int
    most_contracts: int
    max_open_trades: int
    min_price_cents: int
    max_price_cents: int


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One event as it is now, what the account holds, and the rules. ``strikes`` ascend.

    ``momentum_*``: weighted change over 1, 2, 3, 4, 15 and 30 minutes in 1e-6 percent; ``deltas``
    are the single ones. ``volatility_e9`` is the deviation of one second's return. ``window_*`` is the
    running mean of the event's last minute, over so many of its 60 seconds.
    """

    series_ticker: str
    event_ticker: str
    title: str
    symbol: str
    generation: int
    at_us: int
    open_us: int
    close_us: int
    price_usd_e6: int | None
    price_at_us: int | None
    spot_usd_e6: int | None
    basis_usd_e6: int | None
    momentum_score_e6: int | None
    momentum_bucket: int | None
    momentum_deltas_e6: tuple[int | None, ...]
    volatility_e9: int | None
    window_average_usd_e6: int | None
    window_count: int
    model: str
    model_version: str
    cash_usd_e6: int | None
    strikes: tuple[Strike, ...]
    held: tuple[HeldTrade, ...]
    rules: Rules

    @property
    def seconds_to_close(self) -> float:
        """Seconds until the event closes."""
        return (self.close_us - self.at_us) / 1_000_000

    def strike_of(self, market_ticker: str) -> Strike | None:
        """Return a market by its ticker, None if it is not in the picture."""
        return next((one for one in self.strikes if one.ticker == market_ticker), None)
