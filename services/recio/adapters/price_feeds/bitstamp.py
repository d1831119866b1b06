"""Bitstamp: live trades. Heartbeats are answered when asked for; a connection lives 90 days at most.

``bts:request_reconnect`` is obeyed at once. Source: bitstamp.net/websocket/v2 (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from recio.adapters.price_feeds.feed import Reconnect, believable_us, decode, price_usd_e6
from recio.domain.errors import InvalidValue
from recio.domain.units import SECOND_US

WEBSOCKET_URL: Final = "wss://ws.bitstamp.net"
SOURCE: Final = "bitstamp"
PATH: Final = "/"

_DIGITS: Final = 17


class _Trade(msgspec.Struct):
    price_str: str = ""
    price: Decimal | None = None
    microtimestamp: str = ""
    timestamp: str = ""


class _Frame(msgspec.Struct):
    event: str
    channel: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")


class Bitstamp:
    """The trades of one pair."""

    source = SOURCE
    stale_after_s = 20.0
    keep_alive = '{"event":"bts:heartbeat"}'

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self._channel = f"live_trades_{symbol.lower()}usd"

    def greeting(self) -> Sequence[str]:
        """Return the subscription."""
        request = {"event": "bts:subscribe", "data": {"channel": self._channel}}
        return (msgspec.json.encode(request).decode(),)

    def prices(self, frame: bytes) -> Sequence[tuple[int, int | None]]:
        """Return the price of a trade frame."""
        said = decode(frame, _Frame)
        if said.event in {"bts:request_reconnect", "bts:error"}:
            raise Reconnect(f"bitstamp: {said.event} {bytes(said.data)[:200]!r}")
        if said.event != "trade" or said.channel != self._channel:
            return ()
        trade = decode(bytes(said.data), _Trade)
        price = trade.price_str or trade.price
        if not price:
            raise InvalidValue("bitstamp: expected a trade with a price")
        return ((price_usd_e6(price), _at_us(trade)),)


def _at_us(trade: _Trade) -> int | None:
    micros, seconds = trade.microtimestamp, trade.timestamp
    if micros.isdecimal() and micros.isascii() and len(micros) <= _DIGITS:
        return believable_us(int(micros))
    if seconds.isdecimal() and seconds.isascii() and len(seconds) <= _DIGITS:
        return believable_us(int(seconds) * SECOND_US)
    return None
