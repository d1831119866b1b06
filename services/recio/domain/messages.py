"""Every message that crosses the bus: frozen, tagged, versioned by topic.

Each carries ``at_us`` (when it happened, on the market's clock) and ``seen_us`` (when we learned
it). None means unknown; unknown is a state and never a default number. The bus carries market data
only: money moves through PostgreSQL.
"""

from __future__ import annotations

from typing import Final

import msgspec


class SourceState(msgspec.Struct, frozen=True, array_like=True):
    """What one price source said last."""

    source: str
    price_usd_e6: int
    at_us: int
    is_fresh: bool


class PriceUpdate(msgspec.Struct, frozen=True, tag="price", kw_only=True):
    """The price of one symbol, from the index the exchange settles on and from the spot venues.

    ``index_*`` is the settlement index (BRTI for BTC), ``spot_*`` the cross-checked venue price,
    ``basis_usd_e6`` = spot - index. ``trailing_average_usd_e6`` is the mean of the last 60 index
    seconds; ``window_average_usd_e6`` the running settlement statistic inside the last minute
    before a close at ``window_close_us``, over ``window_count`` of its 60 seconds.
    """

    environment: str
    symbol: str
    at_us: int
    seen_us: int
    index_usd_e6: int | None = None
    index_at_us: int | None = None
    spot_usd_e6: int | None = None
    spot_at_us: int | None = None
    basis_usd_e6: int | None = None
    trailing_average_usd_e6: int | None = None
    window_average_usd_e6: int | None = None
    window_count: int = 0
    window_close_us: int | None = None
    sources: tuple[SourceState, ...] = ()
    gap_count: int = 0


class PriceHistory(msgspec.Struct, frozen=True, tag="price_history", kw_only=True):
    """Minute closes before the live stream began, so that momentum has its look-backs at once.

    ``minutes``: (at_us of the minute's end, price_usd_e6), ascending; missing minutes are absent.
    """

    environment: str
    symbol: str
    at_us: int
    seen_us: int
    source: str
    minutes: tuple[tuple[int, int], ...]


class PriceRange(msgspec.Struct, frozen=True, array_like=True):
    """Prices from start to end (inclusive) are valid in steps of ``step_e4``."""

    start_e4: int
    end_e4: int
    step_e4: int


class MarketInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One binary market.

    ``status`` is the exchange's word: initialized, active, inactive, closed,
    determined, disputed, amended, finalized. ``strike_usd_e6`` is the floor strike as the exchange
    gives it (119499.99 for "$119,500 or above"); None while it is not known: not tradable then.
    ``fee_multiplier_e6`` scales the 0.07 taker fee (1_000_000 = once).
    """

    ticker: str
    strike_usd_e6: int | None
    strike_type: str
    status: str
    price_ranges: tuple[PriceRange, ...]
    fee_type: str = "quadratic"
    fee_multiplier_e6: int = 1_000_000
    exchange_index: int | None = None
    result: str = ""
    settlement_value_usd_e6: int | None = None


class EventMarkets(msgspec.Struct, frozen=True, tag="markets", kw_only=True):
    """All markets of one live event: sent on each change, and again every 10 s of wall time."""

    environment: str
    symbol: str
    series_ticker: str
    event_ticker: str
    title: str
    open_us: int
    close_us: int
    markets: tuple[MarketInfo, ...]
    at_us: int
    seen_us: int


class MarketQuote(msgspec.Struct, frozen=True, array_like=True):
    """Top of one market's book on the YES scale.

    None: that side is empty. ``is_valid`` is False
    from a sequence gap (or a lost connection) until the book is whole again. ``volume_e2`` is the
    traded volume so far; None: not known.
    """

    ticker: str
    yes_bid_e4: int | None
    yes_bid_qty_e2: int
    yes_ask_e4: int | None
    yes_ask_qty_e2: int
    volume_e2: int | None
    at_us: int
    seq: int
    is_valid: bool


class BookUpdate(msgspec.Struct, frozen=True, tag="books", kw_only=True):
    """Tops of the books of one event that changed since the last update; ``is_full`` holds all.

    At most 10 a second for each event; a full one at least once a second.
    """

    environment: str
    event_ticker: str
    quotes: tuple[MarketQuote, ...]
    is_full: bool
    at_us: int
    seen_us: int


class ExchangeStatus(msgspec.Struct, frozen=True, tag="exchange_status", kw_only=True):
    """Whether the exchange trades. ``is_connected`` is our market-data connection to it."""

    environment: str
    is_exchange_active: bool | None
    is_trading_active: bool | None
    is_connected: bool
    resume_us: int | None
    at_us: int
    seen_us: int


class StrikeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One strike of a snapshot. Edges are per contract, after the taker fee, in 1e-4 dollar.

    ``p_yes_e6`` None: no probability, hence no trade; ``reason`` then says why.
    ``side`` is the side that wins if the price stays: yes for strikes below it, no at or above.
    A NO contract is bought at 10_000 - yes bid. ``buffer_usd_e6`` is the distance of price and strike,
    never negative. ``book_at_us`` is when this top was last known to be true. ``p_yes_e6`` is the
    environment's model; the two others let an account choose its own. Fees are per contract.
    """

    ticker: str
    strike_usd_e6: int
    buffer_usd_e6: int
    side: str
    p_yes_e6: int | None
    yes_bid_e4: int | None
    yes_ask_e4: int | None
    yes_bid_qty_e2: int
    yes_ask_qty_e2: int
    yes_edge_e4: int | None
    no_edge_e4: int | None
    volume_e2: int | None
    seq: int
    book_at_us: int
    is_valid: bool
    reason: str = ""
    p_fingerprints_e6: int | None = None
    p_volatility_e6: int | None = None
    yes_fee_e4: int | None = None
    no_fee_e4: int | None = None


class Momentum(msgspec.Struct, frozen=True, kw_only=True):
    """Weighted change of price over the look-backs.

    ``score_e6`` is in 1e-6 percent (0.043 % is
    43_000); ``bucket`` the fingerprints' hundredths of a percent, -30 … 30; both None without any
    look-back. ``deltas_e6`` follow LOOKBACK_MINUTES (1, 2, 3, 4, 15, 30); a missing one is None
    and makes ``is_complete`` False.
    """

    score_e6: int | None
    bucket: int | None
    deltas_e6: tuple[int | None, ...]
    is_complete: bool


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot", kw_only=True):
    """What the trader sees and what automation decides on: one immutable picture of one event.

    ``generation`` rises by one for each snapshot of an event's environment over restarts.
    ``rows`` ascend by strike, at most 21 nearest to the price. ``window_*`` is the running settlement
    mean of this event's last minute; ``volatility_e9`` the deviation of one second's return, 1e-9.
    """

    environment: str
    symbol: str
    series_ticker: str
    event_ticker: str
    title: str
    generation: int
    open_us: int
    close_us: int
    at_us: int
    seen_us: int
    price_usd_e6: int | None
    price_at_us: int | None
    spot_usd_e6: int | None
    basis_usd_e6: int | None
    momentum: Momentum
    model: str
    model_version: str
    is_trading_active: bool | None
    rows: tuple[StrikeRow, ...]
    reason: str = ""
    window_average_usd_e6: int | None = None
    window_count: int = 0
    volatility_e9: int | None = None


class Change(msgspec.Struct, frozen=True, tag="change", kw_only=True):
    """A row of the database changed: a hint for browsers. ``account`` is None for shared rows.

    ``row_id`` is ``*`` where several rows changed, or all may have (after a lost connection).
    """

    table: str
    account: str | None
    row_id: str
    at_us: int
    seen_us: int


class Health(msgspec.Struct, frozen=True, tag="health", kw_only=True):
    """What system_monitor measured of one service's process, or of the machine (``machine``).

    ``level`` is ok, warning, critical or unknown. ``cpu_permille`` is of one core for a process and
    of all cores for the machine; None: not measured.
    """

    service: str
    account: str | None
    is_ready: bool
    reason: str
    cpu_permille: int | None
    memory_bytes: int | None
    level: str
    at_us: int
    seen_us: int


Message = (
    PriceUpdate
    | PriceHistory
    | EventMarkets
    | BookUpdate
    | ExchangeStatus
    | Snapshot
    | Change
    | Health
)

TOPICS: Final[dict[str, tuple[type, ...]]] = {
    "prices": (PriceUpdate, PriceHistory),
    "markets": (EventMarkets,),
    "books": (BookUpdate,),
    "exchange_status": (ExchangeStatus,),
    "snapshots": (Snapshot,),
    "changes": (Change,),
    "health": (Health,),
}
"""Topic -> message types. Streams are named ``recio:<environment>:<topic>``; shared topics (changes,
health) use the environment ``shared``."""

SHARED_TOPICS: Final = frozenset({"changes", "health"})

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final[msgspec.msgpack.Decoder[Message]] = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """Return the message as MessagePack."""
    return _encoder.encode(message)


def decode(data: bytes) -> Message:
    """Return the message in ``data``.

    Raises:
        msgspec.DecodeError: not a message of ours; the receiver counts and drops it.
    """
    return _decoder.decode(data)
