"""What happened in one simulated run: both sides' books, the wire between them, and every step.

Plain values of whole numbers, so that a check of them is a pure function and a history can be made
by hand. ``L`` is what our database says, ``V`` what the exchange says of itself; neither was asked
what the other says. ``reading`` makes one of a stopped run, ``watching`` notes its steps.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The account's limits, in the units of what they limit."""

    contracts_per_order_e2: int
    contracts_per_event_e2: int
    contracts_total_e2: int
    cost_per_event_usd_e6: int
    cost_total_usd_e6: int
    open_trades: int
    orders_per_minute: int
    price_age_us: int
    book_age_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetLimits:
    """The limits of all accounts together."""

    cost_total_usd_e6: int
    open_trades: int
    orders_per_minute: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """The exchange's token bucket of one kind: tokens a second and at most."""

    refill_per_s: int
    capacity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """A market's terms at the exchange; ``grid`` is (first, last, step) of prices."""

    ticker: str
    event_ticker: str
    open_us: int
    close_us: int
    grid: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """V: an order that lives or lived at the exchange."""

    order_id: str
    client_order_id: str
    ticker: str
    is_bid: bool
    price_e4: int
    initial_e2: int
    filled_e2: int
    remaining_e2: int
    status: str
    created_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueFill:
    """V: our part of a trade."""

    trade_id: str
    order_id: str
    ticker: str
    is_bid: bool
    price_e4: int
    qty_e2: int
    fee_usd_e6: int
    revenue_usd_e6: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSettlement:
    """V: what a market paid."""

    ticker: str
    position_e2: int
    revenue_usd_e6: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """V: the account as the exchange keeps it."""

    opening_usd_e6: int
    cash_usd_e6: int
    orders: tuple[VenueOrder, ...] = ()
    fills: tuple[VenueFill, ...] = ()
    settlements: tuple[VenueSettlement, ...] = ()
    positions_e2: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Durable:
    """What the database held for certain when a create's first byte left; "" and 0: nothing."""

    intent_state: str = ""
    order_state: str = ""
    ticker: str = ""
    book_side: str = ""
    price_e4: int = 0
    qty_e2: int = 0
    is_reduce_only: bool = False
    purpose: str = ""
    source: str = ""
    trade_id: str = ""
    epoch: int = 0
    lease_epoch: int = 0
    claimed_us: int = 0
    sellable_e2: int = 0
    """For an exit: what our orders bought and did not sell, less what its other exits may yet sell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One request as it left, in the order of the wire; ``status`` 0: no answer came."""

    at_us: int
    wall_us: int
    kind: str
    """create, cancel, other."""
    billing: str
    shard: int
    cost: int
    is_handled: bool
    status: int
    client_order_id: str = ""
    ticker: str = ""
    book_side: str = ""
    price_e4: int = 0
    qty_e2: int = 0
    is_reduce_only: bool = False
    is_foreign: bool = False
    """Sent by hand, past our services."""
    signed_us: int | None = None
    """Wall time in its signature, by its sender's clock; the exchange goes by it. None: as it left."""
    durable: Durable = Durable()


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """L: a wish; None: the age is not known."""

    intent_id: str
    purpose: str
    source: str
    ticker: str
    event_ticker: str
    state: str
    at_us: int
    decided_us: int
    price_at_us: int | None
    book_at_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """L: an order as it ended."""

    order_id: str
    intent_id: str
    trade_id: str
    ticker: str
    purpose: str
    book_side: str
    state: str
    qty_e2: int
    filled_e2: int
    booked_e2: int
    reserved_usd_e6: int
    created_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """L: one row of the audit; ``old`` is "" for the first."""

    subject: str
    subject_id: str
    version: int
    old: str
    new: str
    author: str
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """L: a booked fill; ``trade_id`` is the exchange's id of the trade."""

    trade_id: str
    ticker: str
    is_bid: bool
    price_e4: int
    qty_e2: int
    fee_usd_e6: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """L: one line of the ledger, with its transaction's kind and fact."""

    transaction_id: str
    line: int
    kind: str
    fact_id: str
    book: str
    ticker: str
    amount_usd_e6: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """L: a booked settlement."""

    ticker: str
    position_e2: int
    revenue_usd_e6: int
    fee_usd_e6: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """L: a trade as it ended."""

    trade_id: str
    source: str
    ticker: str
    side: str
    state: str
    filled_e2: int
    exited_e2: int
    pnl_usd_e6: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """L: the account's books."""

    cash_usd_e6: int | None
    fills: tuple[Fill, ...] = ()
    settlements: tuple[Settlement, ...] = ()
    postings: tuple[Posting, ...] = ()
    positions_e2: tuple[tuple[str, int], ...] = ()
    refuses_update: bool = True
    refuses_delete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSample:
    """An order at one step. ``is_live`` and ``unbooked`` are left to the checks."""

    order_id: str
    purpose: str
    event_ticker: str
    state: str
    qty_e2: int
    filled_e2: int
    booked_e2: int
    reserved_usd_e6: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldSample:
    """A booked position at one step: unsigned quantity and cost."""

    event_ticker: str
    qty_e2: int
    cost_usd_e6: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """L right after one commit; ``counted`` is what the gate's own query counts."""

    at_us: int
    orders: tuple[OrderSample, ...]
    held: tuple[HeldSample, ...]
    counted_contracts_e2: int
    counted_usd_e6: int
    open_trades: int
    orders_in_minute: int
    switch: str
    postings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """An injected fault as it struck, and the states of the orders that it may have touched."""

    at_us: int
    fault: str
    states: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One account's run."""

    limits: Limits
    read_bucket: Bucket
    write_bucket: Bucket
    markets: tuple[Market, ...]
    venue: Venue
    ledger: Ledger
    sent: tuple[Sent, ...] = ()
    intents: tuple[Intent, ...] = ()
    orders: tuple[Order, ...] = ()
    trades: tuple[Trade, ...] = ()
    changes: tuple[Change, ...] = ()
    samples: tuple[Sample, ...] = ()
    earlier_postings: tuple[tuple[Posting, ...], ...] = ()
    """The whole ledger as it stood at earlier moments."""
    strikes: tuple[Strike, ...] = ()
    lives_until_us: tuple[tuple[str, int], ...] = ()
    """When each order is too old to be sent, by its id."""
    ended_us: int = 0
    speed: int = 1
    """Market seconds in a second of wall time."""

    def market(self, ticker: str) -> Market | None:
        """Return a market's terms, None if the exchange has no such market."""
        return next((one for one in self.markets if one.ticker == ticker), None)
