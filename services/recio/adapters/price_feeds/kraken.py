"""Kraken spot, WebSocket v2: the middle of best bid and ask, at each change of either.

Prices are JSON numbers. The middle is used because a quoted book moves between trades, as the
settlement index does. Heartbeats come about once a second without being asked for.
Source: docs.kraken.com/api, "WebSocket v2: Ticker (Level 1)" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from recio.adapters.price_feeds.feed import Reconnect, decode, price_usd_e6, time_us

WEBSOCKET_URL: Final = "wss://ws.kraken.com"
SOURCE: Final = "kraken"
PATH: Final = "/v2"


class _Row(msgspec.Struct):
    symbol: str
    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    timestamp: str = ""


class _Frame(msgspec.Struct):
    channel: str = ""
    method: str = ""
    success: bool = True
    error: str = ""
    data: msgspec.Raw = msgspec.Raw(b"[]")


class Kraken:
    """The ticker channel of one pair."""

    source = SOURCE
    stale_after_s = 6.0
    keep_alive = '{"method":"ping"}'

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self._pair = f"{symbol}/USD"

    def greeting(self) -> Sequence[str]:
        """Return the subscription."""
        params = {
            "channel": "ticker",
            "symbol": [self._pair],
            "event_trigger": "bbo",
            "snapshot": True,
        }
        return (msgspec.json.encode({"method": "subscribe", "params": params}).decode(),)

    def prices(self, frame: bytes) -> Sequence[tuple[int, int | None]]:
        """Return the price of a ticker frame."""
        said = decode(frame, _Frame)
        if said.method == "subscribe" and not said.success:
            raise Reconnect(f"kraken refused: {said.error}")
        if said.channel != "ticker":
            return ()
        rows = decode(bytes(said.data), list[_Row])
        return [found for row in rows if row.symbol == self._pair for found in _price(row)]


def _price(row: _Row) -> Sequence[tuple[int, int | None]]:
    at_us = time_us(row.timestamp)
    if row.bid and row.ask:
        bid, ask = price_usd_e6(row.bid), price_usd_e6(row.ask)
        if bid <= ask:
            return (((bid + ask) // 2, at_us),)
    # A crossed or one-sided quote says nothing; the last trade is at least a fact.
    return ((price_usd_e6(row.last), at_us),) if row.last else ()
