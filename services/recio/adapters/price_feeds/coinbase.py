"""Coinbase Exchange: last trades from the ticker channel, minute closes from REST.

Subscribing within 5 s of connecting is required; heartbeats come once a second. Candles are
[start, low, high, open, close, volume], newest first, at most 300; a minute without trades is absent.
Source: docs.cdp.coinbase.com/exchange, "WebSocket Channels" and "Get product candles" (2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final
from urllib.parse import urlencode

import msgspec

from recio.adapters.price_feeds.feed import LATEST_US, Reconnect, decode, price_usd_e6, time_us
from recio.domain import units
from recio.domain.errors import InvalidValue, Unavailable
from recio.domain.units import MINUTE_US, SECOND_US
from recio.ports import HttpTransport

WEBSOCKET_URL: Final = "wss://ws-feed.exchange.coinbase.com"
REST_URL: Final = "https://api.exchange.coinbase.com"
SOURCE: Final = "coinbase"
PATH: Final = "/"

MOST_CANDLES: Final = 300
_OK: Final = 200
_TIMEOUT_S: Final = 10.0


class _Frame(msgspec.Struct):
    type: str
    product_id: str = ""
    price: str = ""
    time: str = ""
    message: str = ""
    reason: str = ""


class Coinbase:
    """The ticker channel of one product."""

    source = SOURCE
    stale_after_s = 6.0
    keep_alive = ""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self._product = product(symbol)

    def greeting(self) -> Sequence[str]:
        """Return the subscription."""
        request = {
            "type": "subscribe",
            "product_ids": [self._product],
            "channels": ["ticker", "heartbeat"],
        }
        return (msgspec.json.encode(request).decode(),)

    def prices(self, frame: bytes) -> Sequence[tuple[int, int | None]]:
        """Return the last trade of a ticker frame."""
        said = decode(frame, _Frame)
        if said.type == "error":
            raise Reconnect(f"coinbase refused: {said.message} {said.reason}")
        if said.type != "ticker" or said.product_id != self._product:
            return ()
        return ((price_usd_e6(said.price), time_us(said.time)),)


class CoinbaseCandles:
    """Minute closes of the past. ``prefix`` stands before the path of the documented endpoint."""

    source = SOURCE

    def __init__(self, http: HttpTransport, prefix: str = "") -> None:
        self._http = http
        self._prefix = prefix.rstrip("/")

    async def minutes(self, symbol: str, start_us: int, end_us: int) -> tuple[tuple[int, int], ...]:
        """Return (end of minute, close in usd_e6) of whole minutes between the times, ascending.

        Raises:
            Unavailable: no answer, or not a good one; a backfill may be tried again.
            InvalidValue: an answer that cannot be.
        """
        found: dict[int, int] = {}
        step_us = MOST_CANDLES * MINUTE_US
        for from_us in range(start_us, end_us, step_us):
            found |= await self._page(symbol, from_us, min(from_us + step_us, end_us))
        return tuple(sorted(item for item in found.items() if start_us < item[0] <= end_us))

    async def _page(self, symbol: str, start_us: int, end_us: int) -> dict[int, int]:
        query = urlencode(
            {
                "granularity": 60,
                "start": units.format_time_us(start_us),
                "end": units.format_time_us(end_us),
            }
        )
        target = f"{self._prefix}/products/{product(symbol)}/candles?{query}"
        reply = await self._http.request(
            "GET",
            target,
            {"Accept": "application/json", "User-Agent": "recio"},
            timeout_s=_TIMEOUT_S,
        )
        if reply.status != _OK:
            raise Unavailable(f"coinbase candles: {reply.status} {reply.body[:200]!r}")
        rows = decode(reply.body, list[list[Decimal]])
        return dict(_minute(row) for row in rows)


def product(symbol: str) -> str:
    """Return a symbol's product against the dollar."""
    return f"{symbol}-USD"


def _minute(row: list[Decimal]) -> tuple[int, int]:
    # Start, low, high, open, close.
    if len(row) < 5 or not _is_minute(row[0]):  # noqa: PLR2004
        raise InvalidValue(f"expected a candle of one minute, received {row!s:.200}")
    return int(row[0]) * SECOND_US + MINUTE_US, price_usd_e6(row[4])


def _is_minute(seconds: Decimal) -> bool:
    if not (seconds.is_finite() and 0 < seconds < LATEST_US // SECOND_US):
        return False
    whole = int(seconds)
    return whole == seconds and not whole % 60
