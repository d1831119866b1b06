"""What the world hands to the exchange: series, events, markets, quotes taken, candles.

Frozen values in integer units (prices 1e-4 dollar, quantities 1e-2 contract, money 1e-6 dollar,
times in microseconds of market time). The exchange keeps its own mutable records; nothing here
changes after it was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Side = Literal["yes", "no"]
Result = Literal["yes", "no", "scalar"]
StrikeType = Literal["greater", "greater_or_equal", "less", "less_or_equal", "between"]

CRYPTO_SHARD = 2
"""Crypto events live on shard 2 (docs.kalshi.com, "Exchange sharding")."""


@dataclass(frozen=True, slots=True)
class PriceRange:
    """Prices from ``start_e4`` to ``end_e4`` are valid in steps of ``step_e4``."""

    start_e4: int
    end_e4: int
    step_e4: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSpec:
    """A series, such as KXBTCD. ``fee_multiplier_e6`` scales the fee formula (1_000_000 = once)."""

    ticker: str
    title: str
    frequency: str = "hourly"
    category: str = "Crypto"
    tags: tuple[str, ...] = ("BTC",)
    fee_type: str = "quadratic"
    fee_multiplier_e6: int = 1_000_000
    exchange_index: int = CRYPTO_SHARD
    settlement_sources: tuple[tuple[str, str], ...] = ()
    product_metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSpec:
    """One binary market of an event.

    ``floor_strike_usd_e6`` None: not known yet (the 15-minute market before its window opens);
    ``strike_type`` is then None as well, until ``Exchange.set_strike``.
    """

    ticker: str
    yes_sub_title: str
    no_sub_title: str
    strike_type: StrikeType | None = None
    floor_strike_usd_e6: int | None = None
    cap_strike_usd_e6: int | None = None
    custom_strike: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    rules_primary: str = ""
    rules_secondary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSpec:
    """An event with all its markets. Markets trade in [open_us, close_us)."""

    event_ticker: str
    series_ticker: str
    title: str
    sub_title: str
    open_us: int
    close_us: int
    markets: tuple[MarketSpec, ...]
    price_level_structure: str = "linear_cent"
    settlement_timer_seconds: int = 60
    mutually_exclusive: bool = False
    collateral_return_type: str = "DIRECNET"
    can_close_early: bool = True
    expected_expiration_us: int | None = None
    latest_expiration_us: int | None = None
    product_metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Taken:
    """Anonymous liquidity that a member's order took.

    ``side`` and ``price_e4`` name the level as ``Exchange.set_external_level`` does (a bid of that
    side, on that side's own price scale); ``left_e2`` is the anonymous quantity still there.
    """

    ticker: str
    side: Side
    price_e4: int
    qty_e2: int
    left_e2: int
    at_us: int


@dataclass(frozen=True, slots=True)
class Candle:
    """Prices of a spot venue over one minute from ``start_us`` on; volume in base units, 1e-8."""

    start_us: int
    low_usd_e6: int
    high_usd_e6: int
    open_usd_e6: int
    close_usd_e6: int
    volume_e8: int = 0


@dataclass(frozen=True, slots=True)
class Levels:
    """One side of a book as (price_e4, anonymous qty_e2), ascending, on that side's own scale."""

    yes: tuple[tuple[int, int], ...]
    no: tuple[tuple[int, int], ...]
