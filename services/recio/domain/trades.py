"""The trade state machine. A trade is one position of ours in one market from entry to settlement.

One trade has many orders. Its figures come from fills by order id, never from the ticker's
aggregate position. The same table stands in ``trading.trade_transitions``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec

from recio.domain.errors import Broken


class TradeState(StrEnum):
    """Where a trade stands."""

    CREATED = "created"
    """Its entry order is durable and not yet sent."""
    ENTERING = "entering"
    """Its entry order is at, or may be at, the exchange; nothing filled yet."""
    OPEN = "open"
    CLOSING = "closing"
    """An exit order is in flight or was tried; still holding contracts."""
    CLOSED = "closed"
    """Sold to nothing before the close."""
    EXPIRED = "expired"
    """Held at the event's close; waiting for the exchange's result."""
    SETTLED = "settled"
    ABANDONED = "abandoned"
    """The entry ended without a fill."""


FINAL: Final = frozenset({TradeState.CLOSED, TradeState.SETTLED, TradeState.ABANDONED})
HOLDING: Final = frozenset({TradeState.OPEN, TradeState.CLOSING, TradeState.EXPIRED})

_S = TradeState
TRANSITIONS: Final[frozenset[tuple[TradeState, TradeState]]] = frozenset(
    {
        (_S.CREATED, _S.ENTERING),
        (_S.CREATED, _S.OPEN),
        (_S.CREATED, _S.ABANDONED),
        (_S.ENTERING, _S.OPEN),
        (_S.ENTERING, _S.ABANDONED),
        # A fill that was learned of after the order had ended empty: the fill is the truth.
        (_S.ABANDONED, _S.OPEN),
        (_S.OPEN, _S.CLOSING),
        (_S.OPEN, _S.EXPIRED),
        (_S.OPEN, _S.CLOSED),
        # A settlement row can arrive before our own timer has seen the close.
        (_S.OPEN, _S.SETTLED),
        (_S.CLOSING, _S.OPEN),
        (_S.CLOSING, _S.CLOSED),
        (_S.CLOSING, _S.EXPIRED),
        (_S.CLOSING, _S.SETTLED),
        (_S.EXPIRED, _S.SETTLED),
        # An exit's fill from before the close, learned of after it.
        (_S.EXPIRED, _S.CLOSED),
    }
)


def advance(trade_id: UUID, old: TradeState, new: TradeState) -> TradeState:
    """Return ``new`` if the trade may go there from ``old``; staying is always allowed.

    Raises:
        Broken: the table does not have this transition.
    """
    if old is not new and (old, new) not in TRANSITIONS:
        raise Broken(f"trade {trade_id}: no transition from {old} to {new}")
    return new


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """One trade as the stop engine, the gate and the page see it.

    ``side`` is yes or no; prices are on that side's scale. ``open_qty_e2`` is what is held now.
    ``entry_cost_usd_e6`` and ``exit_proceeds_usd_e6`` are sums over fills without fees.
    ``pnl_usd_e6`` is final and after fees once the trade is closed or settled, else None.
    """

    trade_id: UUID
    account: str
    number: int
    state: TradeState
    source: str
    strategy: str
    symbol: str
    event_ticker: str
    market_ticker: str
    strike_usd_e6: int | None
    side: str
    close_us: int
    wanted_qty_e2: int
    filled_qty_e2: int
    open_qty_e2: int
    entry_cost_usd_e6: int
    exit_proceeds_usd_e6: int
    fees_usd_e6: int
    pnl_usd_e6: int | None
    opened_at_us: int | None
    created_at_us: int
    p_entry_e6: int | None = None
    symbol_open_usd_e6: int | None = None
    symbol_close_usd_e6: int | None = None
    momentum_bucket: int | None = None
    close_reason: str = ""
