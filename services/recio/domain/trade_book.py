"""What a trade is worth and where it stands, recomputed from its fills, orders and settlement.

Recomputing the whole is what makes the fold idempotent: a fact told twice changes nothing. A fill
on the trade's opening side is an entry, on the other side an exit, whoever ordered it: a position
closed by hand at the exchange closes our trade too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from recio.domain import orders
from recio.domain.errors import Broken
from recio.domain.intents import Purpose
from recio.domain.orders import BookSide, OrderState
from recio.domain.trades import FINAL, TRANSITIONS, TradeState
from recio.domain.units import PRICE_ONE_E4


class FillFact(msgspec.Struct, frozen=True, array_like=True):
    """One booked fill of a trade, price on the YES scale."""

    book_side: BookSide
    yes_price_e4: int
    qty_e2: int
    fee_usd_e6: int
    at_us: int


class OrderFact(msgspec.Struct, frozen=True, array_like=True):
    """Where one order of a trade stands."""

    purpose: Purpose
    state: OrderState
    filled_qty_e2: int
    booked_qty_e2: int

    @property
    def is_alive(self) -> bool:
        """Whether it may still bring fills."""
        return self.state not in orders.TERMINAL or self.booked_qty_e2 < self.filled_qty_e2


class SettlementFact(msgspec.Struct, frozen=True, array_like=True):
    """The exchange's payout of a market: for the account's net position, + YES, - NO."""

    result: str
    net_qty_e2: int
    revenue_usd_e6: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over a trade's fills, on the trade's own side; without settlement."""

    filled_qty_e2: int = 0
    exited_qty_e2: int = 0
    entry_cost_usd_e6: int = 0
    exit_proceeds_usd_e6: int = 0
    fees_usd_e6: int = 0
    opened_at_us: int | None = None
    last_exit_at_us: int | None = None

    @property
    def open_qty_e2(self) -> int:
        """Contracts held."""
        return self.filled_qty_e2 - self.exited_qty_e2


def opening_side(side: str) -> BookSide:
    """Return the book side that opens a position of this side: bid for yes, ask for no."""
    return BookSide.BID if side == "yes" else BookSide.ASK


def own_price_e4(side: str, yes_price_e4: int) -> int:
    """Return a YES price on the scale of ``side``; its own inverse."""
    return yes_price_e4 if side == "yes" else PRICE_ONE_E4 - yes_price_e4


def figures(side: str, fills: Sequence[FillFact]) -> Figures:
    """Return the sums over a trade's fills.

    >>> figures("no", [FillFact(BookSide.ASK, 400, 1000, 26_900, 7)]).entry_cost_usd_e6
    9600000
    """
    opening = opening_side(side)
    entries = [fill for fill in fills if fill.book_side is opening]
    exits = [fill for fill in fills if fill.book_side is not opening]
    return Figures(
        filled_qty_e2=sum(fill.qty_e2 for fill in entries),
        exited_qty_e2=sum(fill.qty_e2 for fill in exits),
        entry_cost_usd_e6=sum(own_price_e4(side, f.yes_price_e4) * f.qty_e2 for f in entries),
        exit_proceeds_usd_e6=sum(own_price_e4(side, f.yes_price_e4) * f.qty_e2 for f in exits),
        fees_usd_e6=sum(fill.fee_usd_e6 for fill in (*entries, *exits)),
        opened_at_us=min((fill.at_us for fill in entries), default=None),
        last_exit_at_us=max((fill.at_us for fill in exits), default=None),
    )


def state(
    sums: Figures,
    facts: Sequence[OrderFact],
    *,
    is_past_close: bool,
    is_settled: bool,
) -> TradeState:
    """Return where a trade stands by its facts alone."""
    entry_alive = any(fact.is_alive for fact in facts if fact.purpose is Purpose.ENTRY)
    if sums.filled_qty_e2 == 0:
        if not entry_alive:
            return TradeState.ABANDONED
        unsent = all(fact.state is OrderState.CREATED for fact in facts)
        return TradeState.CREATED if unsent else TradeState.ENTERING
    if sums.open_qty_e2 <= 0 and not entry_alive:
        return TradeState.CLOSED
    if is_settled:
        return TradeState.SETTLED
    if is_past_close:
        return TradeState.EXPIRED
    exit_alive = any(fact.is_alive for fact in facts if fact.purpose is Purpose.EXIT)
    return TradeState.CLOSING if exit_alive else TradeState.OPEN


def payout_usd_e6(side: str, open_qty_e2: int, fact: SettlementFact) -> int:
    """Return what a settlement pays for a trade's open contracts.

    The exchange pays whole cents for the net position. A trade that is that position gets just
    this; where several trades share a market (one was opened by hand), each gets a dollar for a
    winning contract, or its share by contracts of a result that is neither yes nor no.
    """
    own_net_e2 = fact.net_qty_e2 if side == "yes" else -fact.net_qty_e2
    if own_net_e2 == open_qty_e2:
        return fact.revenue_usd_e6
    if fact.result in ("yes", "no"):
        return PRICE_ONE_E4 * open_qty_e2 if fact.result == side else 0
    net_e2 = abs(fact.net_qty_e2)
    return fact.revenue_usd_e6 * open_qty_e2 // net_e2 if net_e2 else 0


def pnl_usd_e6(sums: Figures, settlement_usd_e6: int | None) -> int:
    """Return the final result after fees."""
    paid_out = settlement_usd_e6 or 0
    return sums.exit_proceeds_usd_e6 + paid_out - sums.entry_cost_usd_e6 - sums.fees_usd_e6


def path(old: TradeState, new: TradeState) -> tuple[TradeState, ...]:
    """Return the states to go through from ``old`` to ``new``, ``new`` last; empty if it stays.

    Facts can arrive in a heap (a fill and its exit between two folds); each step is still a legal
    one and leaves its own audit row.

    Raises:
        Broken: the table has no way there.
    """
    if old is new:
        return ()
    queue: deque[tuple[TradeState, ...]] = deque([(old,)])
    seen = {old}
    while queue:
        way = queue.popleft()
        for start, end in sorted(TRANSITIONS):
            if start is way[-1] and end not in seen:
                if end is new:
                    return (*way[1:], end)
                seen.add(end)
                queue.append((*way, end))
    raise Broken(f"no way from {old} to {new} in the trade table; finals are {sorted(FINAL)}")
