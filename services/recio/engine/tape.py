"""What a backtest is played from: a tape of everything the market said, in order.

Beside the messages of the bus a tape holds what a recording knows better: whole books and their
changes, public trades, results. ``BookUpdate`` is for sources that know tops only; a market of which
books are on the tape gets its tops from them, as live.

``at_us`` never falls along a tape. Prices are 1e-4 dollar, sizes 1e-2 contract, money 1e-6 dollar.
"""

from __future__ import annotations

from typing import Final

import msgspec

from recio.domain.messages import (
    BookUpdate,
    EventMarkets,
    ExchangeStatus,
    PriceHistory,
    PriceUpdate,
)

ENVIRONMENT: Final = "backtest"
"""The environment of every message on a tape."""

Levels = tuple[tuple[int, int], ...]
"""(price_e4, qty_e2), each side on its own scale, in any order."""


class Loaded(msgspec.Struct, frozen=True, tag="loaded"):
    """A market's whole book."""

    ticker: str
    yes: Levels
    no: Levels
    at_us: int


class Changed(msgspec.Struct, frozen=True, tag="changed"):
    """One level of a book changed by ``delta_e2``."""

    ticker: str
    is_yes: bool
    price_e4: int
    delta_e2: int
    at_us: int


class Lost(msgspec.Struct, frozen=True, tag="lost"):
    """From here on the market's book is not known, until it is loaded again."""

    ticker: str
    reason: str
    at_us: int


class Traded(msgspec.Struct, frozen=True, tag="traded"):
    """A public trade, or how much had been traded when only that is known (``volume_e2``)."""

    ticker: str
    at_us: int
    yes_price_e4: int | None = None
    qty_e2: int = 0
    is_taker_yes: bool | None = None
    volume_e2: int | None = None


class Settled(msgspec.Struct, frozen=True, tag="settled"):
    """The exchange's result of a market: yes, no, or another word with the value of a YES."""

    ticker: str
    event_ticker: str
    result: str
    at_us: int
    settlement_value_usd_e6: int | None = None
    yes_value_e4: int | None = None


Event = (
    PriceUpdate
    | PriceHistory
    | EventMarkets
    | BookUpdate
    | ExchangeStatus
    | Loaded
    | Changed
    | Lost
    | Traded
    | Settled
)
