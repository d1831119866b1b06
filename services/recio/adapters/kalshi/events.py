"""What a stream tells its consumer, in order of arrival. All times are the exchange's, in us.

Channels with a sequence (books, public trades, lifecycle, index values) announce what was lost as
``Gap``. The private ones (fills, orders, positions) and ``ticker`` have none: after ``Connected``
and from time to time the consumer reads REST, because a loss there cannot be seen. What has a type
in ``model`` (a fill, an order, a position, a public trade) is yielded as it is.
"""

from __future__ import annotations

import msgspec

from recio.adapters.kalshi.model import ExchangeFill, ExchangeOrder, ExchangePosition, PublicTrade
from recio.domain.book import OrderBook
from recio.domain.messages import PriceRange


class Connected(msgspec.Struct, frozen=True):
    """A connection is open and the subscriptions are asked for. What came before may be lost."""


class Disconnected(msgspec.Struct, frozen=True):
    """The connection is gone, all books are invalid; another one is tried after a pause."""

    reason: str


class Gap(msgspec.Struct, frozen=True):
    """``missed`` frames of one subscription were lost. Its books are invalid and asked for anew."""

    key: str
    channel: str
    missed: int
    tickers: tuple[str, ...]


class Refused(msgspec.Struct, frozen=True):
    """The exchange refused a command; the subscription is not tried again on this connection."""

    key: str
    code: int
    message: str


class BookChanged(msgspec.Struct, frozen=True):
    """A book has changed. One object a book: it is yielded again and again, the book is live."""

    book: OrderBook


class TickerSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The exchange's own summary of a market."""

    ticker: str
    yes_bid_e4: int | None
    yes_ask_e4: int | None
    last_price_e4: int | None
    volume_e2: int | None
    open_interest_e2: int | None
    at_us: int | None


class LifecycleSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A step in a market's life; None: this message does not say.

    ``event_type``: created, activated, deactivated, close_date_updated, determined, settled,
    price_level_structure_updated, metadata_updated. Opening and closing on time are not announced.
    """

    ticker: str
    event_type: str
    event_ticker: str | None
    open_us: int | None
    close_us: int | None
    result: str | None
    strike_type: str | None
    floor_strike_usd_e6: int | None
    cap_strike_usd_e6: int | None
    price_ranges: tuple[PriceRange, ...]
    determined_at_us: int | None
    settled_at_us: int | None
    exchange_index: int | None


class EventCreated(msgspec.Struct, frozen=True, kw_only=True):
    """A new event."""

    event_ticker: str
    series_ticker: str
    title: str
    exchange_index: int | None


class FeeOverride(msgspec.Struct, frozen=True, kw_only=True):
    """An event's fee differs from its series' from now on; None: no longer."""

    event_ticker: str
    fee_type: str | None
    fee_multiplier_e6: int | None


class GroupSeen(msgspec.Struct, frozen=True, kw_only=True):
    """An order group was created, triggered, reset, deleted or limit_updated."""

    group_id: str
    event_type: str
    limit_qty_e2: int | None
    at_us: int | None


class IndexSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a settlement index (BRTI for Bitcoin).

    ``trailing_usd_e6`` is the mean of the 60 s before it. In the last minute before a quarter hour
    ``window_usd_e6`` is the running settlement statistic over ``window_count`` of its 60 values,
    for a close at ``window_close_us``.
    """

    index_id: str
    value_usd_e6: int
    at_us: int
    trailing_usd_e6: int | None
    window_usd_e6: int | None
    window_count: int
    window_close_us: int | None


Event = (
    Connected
    | Disconnected
    | Gap
    | Refused
    | BookChanged
    | TickerSeen
    | PublicTrade
    | ExchangeFill
    | ExchangeOrder
    | ExchangePosition
    | LifecycleSeen
    | EventCreated
    | FeeOverride
    | GroupSeen
    | IndexSeen
)
