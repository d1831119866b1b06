"""Every message that crosses the bus: frozen, tagged, versioned by topic.

Each carries ``at_us`` (when it happened, on the market's clock) and ``seen_us`` (when we learned
it). None means unknown; unknown is a state and never a default number. The bus carries market data
only: money moves through PostgreSQL. A number outside of what its unit can mean (a price above a
dollar, a time before 1970) makes the whole message one that is not ours.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

_Time = Annotated[int, msgspec.Meta(ge=0, le=4_102_444_800_000_000)]
_Price = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
_Edge = Annotated[int, msgspec.Meta(ge=-(10**7), le=10**7)]
_Fee = Annotated[int, msgspec.Meta(ge=0, le=10**7)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=10**13)]
_Usd = Annotated[int, msgspec.Meta(ge=-(10**18), le=10**18)]
_Chance = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Change = Annotated[int, msgspec.Meta(ge=-(10**12), le=10**12)]
_Samples = Annotated[int, msgspec.Meta(ge=0, le=60)]
_Multiplier = Annotated[int, msgspec.Meta(ge=0, le=10**9)]
_Shard = Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class SourceState(msgspec.Struct, frozen=True, array_like=True):
    """What one price source said last."""

    source: _Name
    price_usd_e6: _Usd
    at_us: _Time
    is_fresh: bool


class PriceUpdate(msgspec.Struct, frozen=True, tag="price", kw_only=True):
    """The price of one symbol, from the index the exchange settles on and from the spot venues.

    ``index_*`` is the settlement index (BRTI for BTC), ``spot_*`` the cross-checked venue price,
    ``basis_usd_e6`` = spot - index. ``trailing_average_usd_e6`` is the mean of the last 60 index
    seconds; ``window_average_usd_e6`` the running settlement statistic inside the last minute
    before a close at ``window_close_us``, over ``window_count`` of its 60 seconds.
    """

    environment: _Name
    symbol: _Name
    at_us: _Time
    seen_us: _Time
    index_usd_e6: _Usd | None = None
    index_at_us: _Time | None = None
    spot_usd_e6: _Usd | None = None
    spot_at_us: _Time | None = None
    basis_usd_e6: _Usd | None = None
    trailing_average_usd_e6: _Usd | None = None
    window_average_usd_e6: _Usd | None = None
    window_count: _Samples = 0
    window_close_us: _Time | None = None
    sources: tuple[SourceState, ...] = ()
    gap_count: _Number = 0


class PriceHistory(msgspec.Struct, frozen=True, tag="price_history", kw_only=True):
    """Minute closes before the live stream began, so that momentum has its look-backs at once.

    ``minutes``: (at_us of the minute's end, price_usd_e6), ascending; missing minutes are absent.
    """

    environment: _Name
    symbol: _Name
    at_us: _Time
    seen_us: _Time
    source: _Name
    minutes: tuple[tuple[_Time, _Usd], ...]


class PriceRange(msgspec.Struct, frozen=True, array_like=True):
    """Prices from start to end (inclusive) are valid in steps of ``step_e4``."""

    start_e4: _Price
    end_e4: _Price
    step_e4: Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class MarketInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One binary market.

    ``status`` is the exchange's word: initialized, active, inactive, closed,
    determined, disputed, amended, finalized. ``strike_usd_e6`` is the floor strike as the exchange
    gives it (119499.99 for "$119,500 or above"); None while it is not known: not tradable then.
    ``fee_multiplier_e6`` scales the 0.07 taker fee (1_000_000 = once).
    """

    ticker: _Name
    strike_usd_e6: _Usd | None
    strike_type: str
    status: str
    price_ranges: tuple[PriceRange, ...]
    fee_type: str = "quadratic"
    fee_multiplier_e6: _Multiplier = 1_000_000
    exchange_index: _Shard | None = None
    result: str = ""
    settlement_value_usd_e6: _Usd | None = None


class EventMarkets(msgspec.Struct, frozen=True, tag="markets", kw_only=True):
    """All markets of one live event: sent on each change, and again every 10 s of wall time."""

    environment: _Name
    symbol: _Name
    series_ticker: _Name
    event_ticker: _Name
    title: str
    open_us: _Time
    close_us: _Time
    markets: tuple[MarketInfo, ...]
    at_us: _Time
    seen_us: _Time


class MarketQuote(msgspec.Struct, frozen=True, array_like=True):
    """Top of one market's book on the YES scale.

    None: that side is empty. ``is_valid`` is False
    from a sequence gap (or a lost connection) until the book is whole again. ``volume_e2`` is the
    traded volume so far; None: not known.
    """

    ticker: _Name
    yes_bid_e4: _Price | None
    yes_bid_qty_e2: _Count
    yes_ask_e4: _Price | None
    yes_ask_qty_e2: _Count
    volume_e2: _Count | None
    at_us: _Time
    seq: _Number
    is_valid: bool


class BookUpdate(msgspec.Struct, frozen=True, tag="books", kw_only=True):
    """Tops of the books of one event that changed since the last update; ``is_full`` holds all.

    At most 10 a second for each event; a full one at least once a second.
    """

    environment: _Name
    event_ticker: _Name
    quotes: tuple[MarketQuote, ...]
    is_full: bool
    at_us: _Time
    seen_us: _Time


class ExchangeStatus(msgspec.Struct, frozen=True, tag="exchange_status", kw_only=True):
    """Whether the exchange trades. ``is_connected`` is our market-data connection to it."""

    environment: _Name
    is_exchange_active: bool | None
    is_trading_active: bool | None
    is_connected: bool
    resume_us: _Time | None
    at_us: _Time
    seen_us: _Time


class StrikeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One strike of a snapshot. Edges are per contract, after the taker fee, in 1e-4 dollar.

    ``p_yes_e6`` None: no probability, hence no trade; ``reason`` then says why.
    ``side`` is the side that wins if the price stays: yes for strikes below it, no at or above.
    A NO contract is bought at 10_000 - yes bid. ``buffer_usd_e6`` is the distance of price and strike,
    never negative. ``book_at_us`` is when this top was last known to be true. ``p_yes_e6`` is the
    environment's model; the three others let an account choose its own. Fees are per contract.
    """

    ticker: _Name
    strike_usd_e6: _Usd
    buffer_usd_e6: _Usd
    side: str
    p_yes_e6: _Chance | None
    yes_bid_e4: _Price | None
    yes_ask_e4: _Price | None
    yes_bid_qty_e2: _Count
    yes_ask_qty_e2: _Count
    yes_edge_e4: _Edge | None
    no_edge_e4: _Edge | None
    volume_e2: _Count | None
    seq: _Number
    book_at_us: _Time
    is_valid: bool
    reason: str = ""
    p_fingerprints_e6: _Chance | None = None
    p_volatility_e6: _Chance | None = None
    yes_fee_e4: _Fee | None = None
    no_fee_e4: _Fee | None = None
    p_blend_e6: _Chance | None = None


class Momentum(msgspec.Struct, frozen=True, kw_only=True):
    """Weighted change of price over the look-backs.

    ``score_e6`` is in 1e-6 percent (0.043 % is
    43_000); ``bucket`` the fingerprints' hundredths of a percent, -30 … 30; both None without any
    look-back. ``deltas_e6`` follow LOOKBACK_MINUTES (1, 2, 3, 4, 15, 30); a missing one is None
    and makes ``is_complete`` False.
    """

    score_e6: _Change | None
    bucket: _Change | None
    deltas_e6: tuple[_Change | None, ...]
    is_complete: bool


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot", kw_only=True):
    """What the trader sees and what automation decides on: one immutable picture of one event.

    ``generation`` rises by one for each snapshot of an event's environment over restarts.
    ``rows`` ascend by strike, at most 21 nearest to the price. ``window_*`` is the running settlement
    mean of this event's last minute; ``volatility_e9`` the deviation of one second's return, 1e-9.
    """

    environment: _Name
    symbol: _Name
    series_ticker: _Name
    event_ticker: _Name
    title: str
    generation: _Number
    open_us: _Time
    close_us: _Time
    at_us: _Time
    seen_us: _Time
    price_usd_e6: _Usd | None
    price_at_us: _Time | None
    spot_usd_e6: _Usd | None
    basis_usd_e6: _Usd | None
    momentum: Momentum
    model: str
    model_version: str
    is_trading_active: bool | None
    rows: tuple[StrikeRow, ...]
    reason: str = ""
    window_average_usd_e6: _Usd | None = None
    window_count: _Samples = 0
    volatility_e9: _Number | None = None


class Change(msgspec.Struct, frozen=True, tag="change", kw_only=True):
    """A row of the database changed: a hint for browsers. ``account`` is None for shared rows.

    ``row_id`` is ``*`` where several rows changed, or all may have (after a lost connection).
    """

    table: _Name
    account: _Name | None
    row_id: _Name
    at_us: _Time
    seen_us: _Time


class Health(msgspec.Struct, frozen=True, tag="health", kw_only=True):
    """What system_monitor measured of one service's process, or of the machine (``machine``).

    ``level`` is ok, warning, critical or unknown. ``cpu_permille`` is of one core for a process and
    of all cores for the machine; None: not measured.
    """

    service: _Name
    account: _Name | None
    is_ready: bool
    reason: str
    cpu_permille: _Number | None
    memory_bytes: _Number | None
    level: str
    at_us: _Time
    seen_us: _Time


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
    try:
        return _decoder.decode(data)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(f"not a message: {error}") from error
