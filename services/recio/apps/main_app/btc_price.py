"""``GET /api/btc_price``: the newest price, from memory and before any framework.

The body is made when a price arrives, so that a request costs two sends. ``price`` is a JSON
number in dollars, written from the integer: the original's clients read it. Before the first price
the answer is 503 and says so; an old price carries its time, and whoever reads it judges its age.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from recio.domain.messages import PriceUpdate
from recio.domain.units import format_scaled, format_time_us

SYMBOL: Final = "BTC"
_Headers = list[tuple[bytes, bytes]]


class PriceAnswer:
    """The answer to the next request."""

    def __init__(self) -> None:
        self._status = 503
        self._body = b'{"detail":"no price has arrived yet"}'
        self._headers = _headers(self._body)

    def update(self, message: PriceUpdate) -> None:
        """Take the newest price; a message of another symbol or without a price changes nothing."""
        if message.symbol != SYMBOL:
            return
        is_index = message.index_usd_e6 is not None
        price = message.index_usd_e6 if is_index else message.spot_usd_e6
        if price is None:
            return
        at_us = message.index_at_us if is_index else message.spot_at_us
        at_us = message.at_us if at_us is None else at_us
        source = "index" if is_index else "spot"
        self._status = 200
        self._body = (
            f'{{"price":{format_scaled(price, 6)},"source":"{source}","price_usd_e6":{price},'
            f'"at_us":{at_us},"at":"{format_time_us(at_us)}","symbol":"{SYMBOL}"}}'
        ).encode()
        self._headers = _headers(self._body)

    async def answer(
        self,
        scope: MutableMapping[str, Any],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Send it; anything but GET and HEAD is 405."""
        if scope["method"] not in {"GET", "HEAD"}:
            await send(
                {"type": "http.response.start", "status": 405, "headers": [(b"allow", b"GET")]}
            )
            await send({"type": "http.response.body", "body": b""})
            return
        body = self._body if scope["method"] == "GET" else b""
        await send(
            {"type": "http.response.start", "status": self._status, "headers": self._headers}
        )
        await send({"type": "http.response.body", "body": body})


def _headers(body: bytes) -> _Headers:
    return [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
