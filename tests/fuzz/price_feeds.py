"""Targets: the frames of the spot venues, and Coinbase's candles."""

from collections.abc import Callable
from typing import Any

import msgspec
from tests.fuzz.kalshi_rest import done
from tests.fuzz.mutators import Json
from tests.fuzz.oracle import between, time
from tests.fuzz.targets import Target

from recio.adapters.price_feeds.bitstamp import Bitstamp
from recio.adapters.price_feeds.coinbase import Coinbase, CoinbaseCandles
from recio.adapters.price_feeds.feed import MOST_USD_E6, Reconnect
from recio.adapters.price_feeds.kraken import Kraken
from recio.domain.errors import InvalidValue, Unavailable
from recio.domain.units import MINUTE_US
from recio.ports import HttpReply

REFUSALS = (InvalidValue, Reconnect)
_price = between(1, MOST_USD_E6 - 1)


def _prices(value: Any) -> None:
    for price_usd_e6, at_us in value:
        _price(price_usd_e6, "price_usd_e6")
        if at_us is not None:
            time(at_us, "at_us")


def _minutes(value: Any) -> None:
    for end_us, price_usd_e6 in value:
        time(end_us, "end_us")
        _price(price_usd_e6, "price_usd_e6")


def _target(
    name: str,
    decode: Callable[[bytes], Any],
    *frames: Any,
    check: Callable[[Any], None] = _prices,
    refusals: tuple[type[Exception], ...] = REFUSALS,
) -> Target:
    examples = [msgspec.json.encode(frame) for frame in frames]
    return Target(
        name=f"price feed {name}",
        decode=decode,
        maker=Json(examples),
        examples=examples,
        refusals=refusals,
        check=check,
        share=2,
    )


class _Http:
    body = b""

    async def request(self, *_: object, **__: object) -> HttpReply:
        """Answer with the input."""
        return HttpReply(200, {}, self.body)


_HTTP = _Http()
_FROM_US = 1_795_255_200_000_000 - 100 * MINUTE_US
_CANDLES = CoinbaseCandles(_HTTP)  # type: ignore[arg-type]


def _candles(data: bytes) -> Any:
    _HTTP.body = data
    return done(_CANDLES.minutes("BTC", _FROM_US, _FROM_US + 300 * MINUTE_US))


TARGETS = (
    _target(
        "coinbase", Coinbase("BTC").prices,
        {"type": "ticker", "sequence": 1, "product_id": "BTC-USD", "price": "90123.45",
         "time": "2026-11-21T10:00:00.123456Z", "last_size": "0.1"},
        {"type": "error", "message": "m", "reason": "r"},
        {"type": "heartbeat", "last_trade_id": 1, "product_id": "BTC-USD"}),
    _target(
        "kraken", Kraken("BTC").prices,
        {"channel": "ticker", "type": "update", "data": [{"symbol": "BTC/USD", "bid": 90123.4,
         "ask": 90123.5, "last": 90123.4, "timestamp": "2026-11-21T10:00:00.123456Z"}]},
        {"channel": "ticker", "data": [{"symbol": "BTC/USD", "bid": 2.5, "ask": 1.5, "last": 3}]},
        {"method": "subscribe", "success": False, "error": "no"}),
    _target(
        "bitstamp", Bitstamp("BTC").prices,
        {"event": "trade", "channel": "live_trades_btcusd", "data": {"id": 1, "price": 90123.0,
         "price_str": "90123", "timestamp": "1795255200", "microtimestamp": "1795255200123456"}},
        {"event": "trade", "channel": "live_trades_btcusd", "data": {"price": 90123.0,
         "timestamp": "1795255200"}},
        {"event": "bts:request_reconnect", "channel": "", "data": ""}),
    _target(
        "coinbase candles", _candles,
        [[1795255200, 1.5, 2.5, 2.0, 90123.45, 1.0], [1795255260, 1, 2, 2, 90124, 1]], check=_minutes,
        refusals=(InvalidValue, Unavailable)),
)  # fmt: skip
