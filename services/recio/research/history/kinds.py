"""What a file holds, told by the names of its columns.

minutes      time, open, high, low, close (and volume) of one symbol
seconds      time and price of one symbol
trades       public trades: ticker, time, price of YES, count, who took
quotes       tops of books: ticker, time, best bid and best ask of YES (and sizes, volume, strike)
settlements  results: ticker, result (and close, strike, value, when)
books        whole books and their changes as the exchange's WebSocket sent them, JSON lines

Names are compared in lower case; the first known one of each role counts. Refused: columns that fit
no kind, or not the kind that was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from recio.domain.errors import InvalidValue

KINDS: Final = ("minutes", "seconds", "trades", "quotes", "settlements", "books")
WITH_SYMBOL: Final = frozenset({"minutes", "seconds"})
"""Kinds whose rows name no market: the symbol has to be told."""

_TIMES: Final = (
    "at_us", "ts_us", "ts_ms", "ts", "timestamp", "time", "open_time", "unix", "start",
    "created_time", "datetime", "date", "recv_ms",
)  # fmt: skip
_TICKERS: Final = ("ticker", "market_ticker")

ROLES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "settlements": {
        "ticker": _TICKERS,
        "result": ("result",),
        "close?": ("close_ts", "close_time", "close_at"),
        "strike?": ("strike", "floor_strike"),
        "value?": ("settlement_price", "settlement_value", "expiration_value", "value"),
        "settled?": ("settlement_ts", "settlement_time", "settled_at", "settled_time"),
    },
    "quotes": {
        "ticker": _TICKERS,
        "time": _TIMES,
        "bid": ("yes_bid_dollars", "yes_bid_cents", "yes_bid"),
        "ask": ("yes_ask_dollars", "yes_ask_cents", "yes_ask"),
        "bid_qty?": ("yes_bid_size_fp", "yes_bid_size", "yes_bid_qty"),
        "ask_qty?": ("yes_ask_size_fp", "yes_ask_size", "yes_ask_qty"),
        "volume?": ("volume_fp", "volume"),
        "strike?": ("floor_strike", "strike"),
    },
    "trades": {
        "ticker": _TICKERS,
        "time": _TIMES,
        "price": ("yes_price_dollars", "yes_price_cents", "yes_price"),
        "count": ("count_fp", "count", "quantity", "qty", "size"),
        "taker?": ("taker", "taker_side", "taker_outcome_side"),
        "id?": ("trade_id", "id"),
    },
    "minutes": {
        "time": _TIMES,
        "open": ("open",),
        "high": ("high",),
        "low": ("low",),
        "close": ("close",),
        "volume?": ("volume", "volume_btc", "volume_eth"),
    },
    "seconds": {"time": _TIMES, "price": ("price", "close", "last")},
}
"""Roles of each kind, most telling kind first; a question mark: may be absent."""


class Plan(msgspec.Struct, frozen=True):
    """A kind, and in which column each role stands (absent ones are missing here)."""

    kind: str
    places: Mapping[str, int]
    columns: tuple[str, ...]

    def name(self, role: str) -> str:
        """Return the name of a role's column."""
        return self.columns[self.places[role]]

    def place(self, role: str) -> int:
        """Return the column of a role, -1 if the file has none."""
        return self.places.get(role, -1)


def plan_of(columns: Sequence[str], kind: str = "auto") -> Plan:
    """Return the kind that the columns fit, or the one that was asked for.

    Raises:
        InvalidValue: they do not fit.
    """
    wanted = list(ROLES) if kind == "auto" else [kind]
    missing: list[str] = []
    for name in wanted:
        places, missing = _placed(ROLES[name], columns)
        if not missing:
            return Plan(name, places, tuple(columns))
    if kind != "auto":
        raise InvalidValue(
            f"{kind} need columns for {', '.join(missing)}; there are {', '.join(columns)}"
        )
    raise InvalidValue(f"columns {', '.join(columns)} fit none of: {', '.join(KINDS)}")


def _placed(
    roles: Mapping[str, tuple[str, ...]], columns: Sequence[str]
) -> tuple[dict[str, int], list[str]]:
    places: dict[str, int] = {}
    missing: list[str] = []
    for role, names in roles.items():
        found = next((name for name in names if name in columns), None)
        if found is not None:
            places[role.removesuffix("?")] = columns.index(found)
        elif not role.endswith("?"):
            missing.append(f"{role} ({names[0]} …)")
    return places, missing
