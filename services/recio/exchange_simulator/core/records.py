"""What the exchange remembers: members, keys, orders, fills, positions, markets, groups.

Mutable records in integer units; only the modules of ``core`` change them, and whoever changes one
says so to ``State.changes``, from which the store takes what to write.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from recio.exchange_simulator.core.book import Book
from recio.exchange_simulator.core.candles import Candles
from recio.exchange_simulator.core.fees import FeeTerms
from recio.exchange_simulator.specs import EventSpec, MarketSpec, PriceRange

OrderStatus = Literal["resting", "canceled", "executed"]
TimeInForce = Literal["good_till_canceled", "immediate_or_cancel", "fill_or_kill"]
SelfTrade = Literal["taker_at_cross", "maker"]


class MarketStatus(StrEnum):
    """The exchange's words for a market's life (docs.kalshi.com, "Market lifecycle")."""

    INITIALIZED = "initialized"
    ACTIVE = "active"
    INACTIVE = "inactive"
    CLOSED = "closed"
    DETERMINED = "determined"
    FINALIZED = "finalized"


class Reason(StrEnum):
    """Why an order changed last (``last_update_reason`` of the user_orders channel)."""

    NONE = ""
    DECREASE = "Decrease"
    AMEND = "Amend"
    MARGIN_CANCEL = "MarginCancel"
    SELF_TRADE_CANCEL = "SelfTradeCancel"
    EXPIRY_CANCEL = "ExpiryCancel"
    CLOSE_CANCEL = "CloseCancel"
    HALT_CANCEL = "HaltCancel"
    TRADE = "Trade"
    POST_ONLY_CROSS_CANCEL = "PostOnlyCrossCancel"
    REDUCE_ONLY_CANCEL = "ReduceOnlyCancel"


@dataclass(slots=True, kw_only=True, eq=False)
class Order:
    """One order on the YES scale. ``queue`` orders resting orders of one level: smaller is first."""

    order_id: str
    account: str
    client_order_id: str
    ticker: str
    is_bid: bool
    price_e4: int
    initial_e2: int
    remaining_e2: int
    time_in_force: TimeInForce
    self_trade: SelfTrade
    exchange_index: int
    created_us: int
    updated_us: int
    number: int
    queue: int
    filled_e2: int = 0
    status: OrderStatus = "resting"
    is_post_only: bool = False
    is_reduce_only: bool = False
    is_canceled_on_pause: bool = False
    expiration_us: int | None = None
    group_id: str = ""
    reason: Reason = Reason.NONE
    taker_cost_e6: int = 0
    maker_cost_e6: int = 0
    taker_fees_e6: int = 0
    maker_fees_e6: int = 0
    accumulator_e6: int = 0

    @property
    def is_resting(self) -> bool:
        """Tell whether it stands in the book."""
        return self.status == "resting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """A member's part of a trade. ``position_e2`` is the signed position after it."""

    trade_id: str
    number: int
    order_id: str
    client_order_id: str
    account: str
    ticker: str
    exchange_index: int
    is_bid: bool
    is_taker: bool
    price_e4: int
    qty_e2: int
    fee_e6: int
    revenue_e6: int
    position_e2: int
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A public trade. ``is_taker_bid``: the taker bought YES."""

    trade_id: str
    number: int
    ticker: str
    price_e4: int
    qty_e2: int
    is_taker_bid: bool
    at_us: int


@dataclass(slots=True, kw_only=True)
class Position:
    """One signed position (+ YES, - NO) of an account in a market, with its money.

    ``cost_e6`` is what the open position cost, ``traded_e6`` all money spent on opening,
    ``fees_e6`` all fees of fills here.
    """

    account: str
    ticker: str
    exchange_index: int
    position_e2: int = 0
    cost_e6: int = 0
    traded_e6: int = 0
    realized_e6: int = 0
    fees_e6: int = 0
    open_fees_e6: int = 0
    volume_e2: int = 0
    updated_us: int = 0
    is_settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What a finalized market paid to one account."""

    number: int
    account: str
    ticker: str
    event_ticker: str
    exchange_index: int
    result: str
    yes_e2: int
    yes_cost_e6: int
    no_e2: int
    no_cost_e6: int
    revenue_cents: int
    payout_cents: int
    fee_e6: int
    at_us: int


@dataclass(slots=True, kw_only=True)
class Account:
    """A member. ``cash_e6`` is total cash by shard, ``held_e6`` what resting orders reserve of it."""

    account: str
    user_id: str
    number: int
    tier: str
    created_us: int
    opening_e6: int = 0
    cash_e6: dict[int, int] = field(default_factory=dict)
    held_e6: dict[int, int] = field(default_factory=dict)
    updated_us: int = 0

    def available_e6(self, shard: int) -> int:
        """Return what new orders may use on a shard."""
        return self.cash_e6.get(shard, 0) - self.held_e6.get(shard, 0)


@dataclass(slots=True, kw_only=True)
class ApiKey:
    """A registered public key (PEM) and what it may do."""

    key_id: str
    account: str
    name: str
    public_pem: str
    scopes: tuple[str, ...]
    created_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Money moved between two shards of one account."""

    transfer_id: str
    number: int
    account: str
    source: int
    destination: int
    amount_e6: int
    at_us: int


@dataclass(slots=True, kw_only=True)
class OrderGroup:
    """A fuse: at most ``limit_e2`` contracts matched in any rolling 15 s, then all is canceled."""

    group_id: str
    number: int
    account: str
    exchange_index: int
    limit_e2: int | None
    is_triggered: bool = False
    matched: deque[tuple[int, int]] = field(default_factory=deque)
    orders: dict[str, Order] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True, eq=False)
class Market:
    """A market with its book and its figures."""

    spec: MarketSpec
    event: Event
    market_id: str
    number: int
    exchange_index: int
    price_level_structure: str
    price_ranges: tuple[PriceRange, ...]
    open_us: int
    close_us: int
    created_us: int
    updated_us: int
    book: Book = field(default_factory=Book)
    status: MarketStatus = MarketStatus.INITIALIZED
    volume_e2: int = 0
    open_interest_e2: int = 0
    last_price_e4: int | None = None
    last_size_e2: int = 0
    result: str = ""
    expiration_value: str = ""
    payout_cents: int | None = None
    determined_us: int | None = None
    settled_us: int | None = None
    resting: dict[str, Order] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    candles: Candles = field(default_factory=Candles)

    @property
    def ticker(self) -> str:
        """Return the market's ticker."""
        return self.spec.ticker

    def yes_bid(self) -> tuple[int, int]:
        """Return price and quantity of the best YES bid; (0, 0) without one."""
        best = self.book.bids.best()
        return (best.price_e4, best.total_e2) if best else (0, 0)

    def yes_ask(self) -> tuple[int, int]:
        """Return price and quantity of the best YES ask; (10_000, 0) without one."""
        best = self.book.asks.best()
        return (best.price_e4, best.total_e2) if best else (10_000, 0)

    @property
    def fee_terms(self) -> FeeTerms:
        """Return the fee terms, those of the event before those of the series."""
        return self.event.fee_terms


@dataclass(slots=True, kw_only=True, eq=False)
class Event:
    """A listed event and its markets, in listing order."""

    spec: EventSpec
    exchange_index: int
    fee_terms: FeeTerms
    number: int
    created_us: int
    updated_us: int
    markets: list[Market] = field(default_factory=list)
