"""What a backtest found, small enough to hold: trades, equity, counts. Decisions go to a sink.

Times are market time in microseconds, prices 1e-4 dollar on the trade's own side, quantities 1e-2
contract, money 1e-6 dollar, probabilities 1e-6. None means not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

import msgspec

from recio.engine.records import Record
from recio.research.tapes.tape import Coverage


class TradeLine(msgspec.Struct, frozen=True, kw_only=True):
    """One trade from its decision to its end; everything that a table or a plot asks for."""

    number: int
    symbol: str
    series_ticker: str
    event_ticker: str
    market_ticker: str
    side: str
    strike_usd_e6: int | None
    close_us: int
    state: str
    """closed, settled, abandoned (nothing was filled), or expired: its result is not on the tape."""
    decided_us: int
    opened_us: int | None
    ended_us: int | None
    wanted_qty_e2: int
    filled_qty_e2: int
    entry_price_e4: int | None
    """Mean price of the entry's fills."""
    exit_price_e4: int | None
    cost_usd_e6: int
    proceeds_usd_e6: int
    payout_usd_e6: int | None
    fees_usd_e6: int
    pnl_usd_e6: int | None
    """After fees; None while it is not known."""
    p_e6: int | None
    market_p_e6: int | None
    """Middle of bid and ask of its own side when it was decided."""
    ask_e4: int | None
    edge_e4: int | None
    seconds_to_close: int
    momentum_bucket: int | None
    close_reason: str
    decision_id: UUID

    @property
    def slippage_e4(self) -> int | None:
        """How much more than the ask seen was paid."""
        if self.entry_price_e4 is None or self.ask_e4 is None:
            return None
        return self.entry_price_e4 - self.ask_e4

    @property
    def is_won(self) -> bool | None:
        """Whether it earned something after fees."""
        return None if self.pnl_usd_e6 is None else self.pnl_usd_e6 > 0


class EquityPoint(msgspec.Struct, frozen=True, array_like=True):
    """Cash, and cash with open positions at cost, after something changed."""

    at_us: int
    cash_usd_e6: int
    equity_usd_e6: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one run found.

    ``gates`` counts looks at a strike by the first rule it failed (empty: a wish was made), and looks
    at a whole event as ``event:<gate>``; ``closest`` counts strikes of an event once, by the rule that
    the best of its looks failed. ``refusals`` counts wishes that the gate refused, by the reason's
    first words.
    """

    document: Mapping[str, Any]
    tape: str
    caveat: str
    is_synthetic: bool
    seed: int
    latency_ms: int
    model_version: str
    coverage: Coverage
    initial_cash_usd_e6: int
    trades: tuple[TradeLine, ...]
    equity: tuple[EquityPoint, ...]
    gates: Mapping[str, int]
    closest: Mapping[str, int]
    refusals: Mapping[str, int]
    events: int
    snapshots: int
    decisions: int
    orders: int
    cpu_seconds: float


class Sink(Protocol):
    """Takes decisions as they are made, so that memory does not grow with the history."""

    def decision(self, record: Record) -> None:
        """Keep one decision."""
        ...


class Nowhere:
    """A sink that keeps nothing."""

    def decision(self, record: Record) -> None:
        """Drop it."""
