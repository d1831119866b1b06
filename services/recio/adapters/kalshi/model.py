"""What the exchange says, in our units: the vocabulary between this adapter and everybody else.

Integers only: ``*_e4`` prices on the YES scale, ``*_e2`` contracts, ``*_usd_e6`` dollars, ``*_us``
microseconds since 1970 UTC on the exchange's clock. None means that the exchange did not say.
Nothing here decodes or decides; ``wire`` and ``stream`` make these, services consume them.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from recio.domain.messages import PriceRange
from recio.domain.orders import BookSide


class TimeInForce(StrEnum):
    """How long an order lives."""

    GOOD_TILL_CANCELED = "good_till_canceled"
    IMMEDIATE_OR_CANCEL = "immediate_or_cancel"
    FILL_OR_KILL = "fill_or_kill"


class SelfTrade(StrEnum):
    """Which order goes when two of ours would meet: the incoming one, or the resting one."""

    TAKER_AT_CROSS = "taker_at_cross"
    MAKER = "maker"


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A create request. ``client_order_id`` is used up for ever, whatever becomes of the order.

    ``reduce_only`` is accepted only with immediate_or_cancel; ``expires_at_us`` only with
    good_till_canceled (sent in whole seconds, rounded down).
    """

    ticker: str
    book_side: BookSide
    qty_e2: int
    yes_price_e4: int
    client_order_id: str
    time_in_force: TimeInForce
    exchange_index: int | None
    self_trade: SelfTrade = SelfTrade.TAKER_AT_CROSS
    is_reduce_only: bool = False
    is_post_only: bool = False
    is_canceled_on_pause: bool = False
    expires_at_us: int | None = None
    order_group_id: str | None = None
    subaccount: int | None = None


class OrderRef(msgspec.Struct, frozen=True, kw_only=True):
    """Names one order for a cancel, a decrease or an amend.

    Without ticker and index the exchange looks on shard 0 only and answers 404 for crypto orders.
    """

    order_id: str
    ticker: str | None
    exchange_index: int | None
    subaccount: int | None = None


class OrderReply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to create and amend. It names no trades: a fill is booked from ``ExchangeFill`` only.

    ``average_price_usd_e6`` and ``average_fee_usd_e6`` are per contract; None if nothing filled.
    """

    order_id: str
    client_order_id: str | None
    fill_qty_e2: int | None
    remaining_qty_e2: int | None
    average_price_usd_e6: int | None
    average_fee_usd_e6: int | None
    at_us: int | None


class CancelReply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to cancel. ``reduced_qty_e2`` contracts were taken out of the book."""

    order_id: str
    client_order_id: str | None
    reduced_qty_e2: int
    at_us: int | None


class DecreaseReply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to decrease."""

    order_id: str
    client_order_id: str | None
    remaining_qty_e2: int
    at_us: int | None


class ItemError(msgspec.Struct, frozen=True, kw_only=True):
    """Why one item of a batch was refused."""

    code: str
    message: str
    details: str = ""


class CreatedItem(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a batch create: a reply or an error."""

    client_order_id: str | None
    reply: OrderReply | None
    error: ItemError | None


class CanceledItem(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a batch cancel: a reply or an error."""

    order_id: str
    reply: CancelReply | None
    error: ItemError | None


class ExchangeOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One order as the exchange holds it, from REST or from the user_orders stream.

    ``status``: resting, canceled, executed, or unknown (stream only). ``reason`` is the stream's
    last_update_reason ("" from REST): Trade, Amend, Decrease, ExpiryCancel, CloseCancel, ….
    """

    order_id: str
    client_order_id: str
    ticker: str
    book_side: BookSide
    status: str
    yes_price_e4: int
    initial_qty_e2: int
    fill_qty_e2: int
    remaining_qty_e2: int
    taker_cost_usd_e6: int
    maker_cost_usd_e6: int
    taker_fees_usd_e6: int
    maker_fees_usd_e6: int
    created_at_us: int | None
    updated_at_us: int | None
    expires_at_us: int | None
    order_group_id: str | None
    exchange_index: int | None
    subaccount: int | None
    reason: str = ""

    @property
    def fees_usd_e6(self) -> int:
        """All fees of the order so far."""
        return self.taker_fees_usd_e6 + self.maker_fees_usd_e6


class ExchangeFill(msgspec.Struct, frozen=True, kw_only=True):
    """One fill of ours; ``fill_id`` is the trade's id and the same on REST and stream.

    ``yes_price_e4`` is on the YES scale for both book sides. REST gives no ``client_order_id`` and
    no ``post_position_e2`` (the signed position after the fill, YES positive): the stream does.
    """

    fill_id: str
    order_id: str
    client_order_id: str | None
    ticker: str
    book_side: BookSide
    qty_e2: int
    yes_price_e4: int
    is_taker: bool
    fee_usd_e6: int
    at_us: int | None
    exchange_index: int | None
    subaccount: int | None
    post_position_e2: int | None = None


class ExchangePosition(msgspec.Struct, frozen=True, kw_only=True):
    """The net position in one market; ``qty_e2`` is signed: + YES, - NO."""

    ticker: str
    qty_e2: int
    exposure_usd_e6: int
    traded_usd_e6: int | None
    realized_pnl_usd_e6: int
    fees_usd_e6: int
    updated_at_us: int | None
    exchange_index: int | None
    subaccount: int | None = None


class ExchangeSettlement(msgspec.Struct, frozen=True, kw_only=True):
    """The settlement of one market for us. Revenue is in whole cents there.

    ``payout_usd_e6`` is what one YES contract paid (1_000_000, 0, or between for scalar).
    """

    ticker: str
    event_ticker: str
    result: str
    yes_qty_e2: int
    yes_cost_usd_e6: int
    no_qty_e2: int
    no_cost_usd_e6: int
    revenue_usd_e6: int
    fee_usd_e6: int
    payout_usd_e6: int | None
    settled_at_us: int
    exchange_index: int | None


class ShardBalance(msgspec.Struct, frozen=True, kw_only=True):
    """Cash on one shard."""

    exchange_index: int
    cash_usd_e6: int


class ExchangeBalance(msgspec.Struct, frozen=True, kw_only=True):
    """Cash and the value of positions. ``shards`` is empty where the exchange does not split."""

    cash_usd_e6: int
    positions_usd_e6: int | None
    updated_at_us: int
    shards: tuple[ShardBalance, ...] = ()

    def on_shard(self, exchange_index: int) -> int | None:
        """Return the cash of one shard; None if the reply did not name it."""
        for shard in self.shards:
            if shard.exchange_index == exchange_index:
                return shard.cash_usd_e6
        return None


class CashMovement(msgspec.Struct, frozen=True, kw_only=True):
    """One deposit or withdrawal; ``status``: pending, applied, failed, returned."""

    movement_id: str
    kind: str
    status: str
    method: str
    amount_usd_e6: int
    fee_usd_e6: int
    created_at_us: int
    finalized_at_us: int | None


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """A move of cash between shards; ``status``: pending, complete, "" if the exchange gave none."""

    transfer_id: str
    status: str
    amount_usd_e6: int | None
    source_shard: int | None
    destination_shard: int | None
    created_at_us: int | None


class QueuePosition(msgspec.Struct, frozen=True, kw_only=True):
    """Contracts ahead of a resting order."""

    order_id: str
    ticker: str
    ahead_qty_e2: int


class OrderGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A fuse: matching more than ``limit_qty_e2`` within 15 s cancels its orders until reset."""

    group_id: str
    limit_qty_e2: int | None
    is_auto_cancel_enabled: bool | None
    exchange_index: int | None
    order_ids: tuple[str, ...] = ()


class BucketLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A token bucket: tokens per second, and how many it holds."""

    refill_per_s: int
    capacity: int


class AccountLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The account's rate budget."""

    tier: str
    read: BucketLimit
    write: BucketLimit


class EndpointCost(msgspec.Struct, frozen=True, kw_only=True):
    """What one call of an endpoint costs, where it is not the default."""

    method: str
    path: str
    cost: int


class EndpointCosts(msgspec.Struct, frozen=True, kw_only=True):
    """The price list of the rate budget."""

    default_cost: int
    costs: tuple[EndpointCost, ...]


class ShardStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one shard is up and trades."""

    exchange_index: int
    is_exchange_active: bool
    is_trading_active: bool


class StatusRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the exchange is up and trades."""

    is_exchange_active: bool
    is_trading_active: bool
    resume_at_us: int | None
    shards: tuple[ShardStatus, ...] = ()


class OpenHours(msgspec.Struct, frozen=True, kw_only=True):
    """Trading hours of one weekday (0 = Monday) in US Eastern wall time, "HH:MM"."""

    weekday: int
    opens: str
    closes: str


class MaintenanceWindow(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which the exchange does not trade."""

    start_us: int
    end_us: int


class ScheduleRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Standard hours and announced maintenance."""

    hours: tuple[OpenHours, ...]
    maintenance: tuple[MaintenanceWindow, ...]


class SeriesRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One series. ``fee_multiplier_e6`` scales the fee formula (1_000_000 = once)."""

    ticker: str
    title: str
    category: str
    frequency: str
    fee_type: str
    fee_multiplier_e6: int
    exchange_index: int | None


class EventRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One event; fee overrides are None where the series' own hold."""

    event_ticker: str
    series_ticker: str
    title: str
    sub_title: str
    is_mutually_exclusive: bool
    fee_type_override: str | None
    fee_multiplier_override_e6: int | None
    strike_at_us: int | None
    exchange_index: int | None
    markets: tuple[MarketRecord, ...] = ()


class MarketRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One market.

    ``status``: initialized, inactive, active, closed, determined, disputed, amended, finalized.
    ``result``: yes, no, scalar, or "" while open. Quotes are what the exchange's list says; the book
    is the truth. ``expiration_value_usd_e6`` is the index value it settled on, if it is a number.
    """

    ticker: str
    event_ticker: str
    title: str
    status: str
    result: str
    open_us: int | None
    close_us: int | None
    strike_type: str
    floor_strike_usd_e6: int | None
    cap_strike_usd_e6: int | None
    price_ranges: tuple[PriceRange, ...]
    exchange_index: int | None
    yes_bid_e4: int | None
    yes_ask_e4: int | None
    last_price_e4: int | None
    volume_e2: int | None
    open_interest_e2: int | None
    settlement_timer_s: int | None
    expected_expiration_us: int | None
    expiration_value_usd_e6: int | None
    payout_usd_e6: int | None
    settled_at_us: int | None
    can_close_early: bool
    updated_at_us: int | None
    fee_waived_until_us: int | None


class BookLevels(msgspec.Struct, frozen=True, kw_only=True):
    """A whole book: bids only, (price_e4 on the side's own scale, qty_e2), any order."""

    ticker: str
    yes: tuple[tuple[int, int], ...]
    no: tuple[tuple[int, int], ...]


class PublicTrade(msgspec.Struct, frozen=True, kw_only=True):
    """One trade of anybody."""

    trade_id: str
    ticker: str
    yes_price_e4: int
    qty_e2: int
    taker_side: BookSide | None
    at_us: int
    is_block: bool = False


class Candle(msgspec.Struct, frozen=True, kw_only=True):
    """One candle of a market, ending at ``end_us`` inclusive; None where nothing was quoted or traded."""

    end_us: int
    yes_bid_close_e4: int | None
    yes_ask_close_e4: int | None
    open_e4: int | None
    high_e4: int | None
    low_e4: int | None
    close_e4: int | None
    volume_e2: int | None
    open_interest_e2: int | None


class HistoricalCutoff(msgspec.Struct, frozen=True, kw_only=True):
    """What is older than these times is served by the historical tier only."""

    market_settled_us: int
    trades_created_us: int
    orders_updated_us: int


class FeeChange(msgspec.Struct, frozen=True, kw_only=True):
    """An announced change of a series' fee."""

    series_ticker: str
    fee_type: str
    fee_multiplier_e6: int
    scheduled_us: int


class ApiKeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One API key of the account and what it may do."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    subaccount: int | None
