"""Spot venues' price feeds for the paper environment, on the exchange's own server, unsigned.

    /feeds/coinbase   Coinbase Exchange WebSocket: subscribe to ticker and heartbeat
                      (docs.cdp.coinbase.com/exchange/websocket-feed)
    /feeds/coinbase/products/BTC-USD/candles   rows [time, low, high, open, close, volume], newest
                      first, at most 300 (docs.cdp.coinbase.com/exchange/reference)
    /feeds/kraken     Kraken WebSocket v2 ticker (docs.kraken.com/api/docs/websocket-v2/ticker)
    /feeds/bitstamp   Bitstamp live_trades (bitstamp.net/websocket/v2)

The world sets prices through ``Exchange.set_spot``; each becomes one ticker or trade. Heartbeats go
out once a second of market time, when ``beat`` is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import msgspec

from recio.domain.units import MINUTE_US, SECOND_US, format_scaled, parse_time_us
from recio.exchange_simulator.api import wire
from recio.exchange_simulator.api.messages import Request, Response, reply
from recio.exchange_simulator.core.spot import SpotTrade
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.specs import Candle

PREFIX: Final = "/feeds/"
MOST_CANDLES: Final = 300
_SIZE: Final = "0.01000000"
_encode = msgspec.json.encode


def _dollars(usd_e6: int) -> str:
    return wire.money(usd_e6)[:-4]


class FeedSession(Protocol):
    """One client of one venue."""

    send: Callable[[Sequence[bytes]], None]
    venue: str

    def receive(self, text: str | bytes) -> None:
        """Do a client's message."""

    def trade(self, trade: SpotTrade) -> None:
        """Tell a trade of the session's venue, if it was asked for."""

    def beat(self, now_us: int) -> None:
        """Tell that the feed is alive, if that was asked for."""


class _Session:
    """What the venues' sessions share: whom they send to, and what was asked for."""

    venue = ""

    def __init__(self, send: Callable[[Sequence[bytes]], None], exchange: Exchange) -> None:
        self.send = send
        self.exchange = exchange
        self.wanted: set[str] = set()

    def receive(self, text: str | bytes) -> None:
        """Decode a message and do it; nonsense is answered with an error."""
        try:
            message = msgspec.json.decode(text)
        except (ValueError, RecursionError):
            message = None
        if isinstance(message, dict):
            self.command(message)
        else:
            self.push({"type": "error", "message": "Malformed JSON"})

    def command(self, message: dict[str, Any]) -> None:
        """Do a decoded message."""
        raise NotImplementedError

    def push(self, body: dict[str, Any]) -> None:
        """Send one JSON message."""
        self.send([_encode(body)])

    def beat(self, now_us: int) -> None:
        """Tell that the feed is alive."""


class CoinbaseSession(_Session):
    """A client of the Coinbase Exchange feed."""

    venue = "coinbase"

    def command(self, message: dict[str, Any]) -> None:
        """Subscribe or unsubscribe."""
        kind, products = message.get("type"), message.get("product_ids")
        channels = [one.get("name") if isinstance(one, dict) else one for one in _items(message)]
        if kind not in ("subscribe", "unsubscribe") or not isinstance(products, list):
            self.push({"type": "error", "message": "Failed to subscribe", "reason": "bad message"})
            return
        pairs = {f"{channel}:{product}" for channel in channels for product in products}
        self.wanted = self.wanted | pairs if kind == "subscribe" else self.wanted - pairs
        shown = [{"name": one, "product_ids": products, "account_ids": None} for one in channels]
        self.push({"type": "subscriptions", "channels": shown})
        for trade in list(self.exchange.spot.last.values()) if kind == "subscribe" else ():
            if trade.venue == self.venue:
                self.trade(trade)

    def trade(self, trade: SpotTrade) -> None:
        """Push a ticker."""
        product = f"{trade.symbol}-USD"
        if f"ticker:{product}" not in self.wanted:
            return
        half = trade.spread_usd_e6 // 2
        price = _dollars(trade.price_usd_e6)
        self.push(
            {
                "type": "ticker",
                "sequence": trade.sequence,
                "product_id": product,
                "price": price,
                "open_24h": price,
                "volume_24h": _SIZE,
                "low_24h": price,
                "high_24h": price,
                "volume_30d": _SIZE,
                "best_bid": _dollars(trade.price_usd_e6 - half),
                "best_bid_size": _SIZE,
                "best_ask": _dollars(trade.price_usd_e6 + half),
                "best_ask_size": _SIZE,
                "side": "buy" if trade.sequence % 2 else "sell",
                "time": wire.time(trade.at_us),
                "trade_id": trade.sequence,
                "last_size": _SIZE,
            }
        )

    def beat(self, now_us: int) -> None:
        """Push a heartbeat for each product that wants one."""
        for pair in sorted(self.wanted):
            channel, _, product = pair.partition(":")
            if channel == "heartbeat":
                sequence = self.exchange.spot.sequence
                self.push(
                    {
                        "type": "heartbeat",
                        "sequence": sequence,
                        "last_trade_id": sequence,
                        "product_id": product,
                        "time": wire.time(now_us),
                    }
                )


def _items(message: dict[str, Any]) -> list[Any]:
    channels = message.get("channels")
    return channels if isinstance(channels, list) else []


class KrakenSession(_Session):
    """A client of the Kraken v2 feed."""

    venue = "kraken"

    def command(self, message: dict[str, Any]) -> None:
        """Subscribe, unsubscribe or answer a ping."""
        method, params = message.get("method"), message.get("params")
        if method == "ping":
            self.push({"method": "pong"})
            return
        symbols = params.get("symbol") if isinstance(params, dict) else None
        if method not in ("subscribe", "unsubscribe") or not isinstance(symbols, list):
            self.push({"method": method, "success": False, "error": "Malformed request"})
            return
        for symbol in symbols:
            result = {"channel": "ticker", "symbol": symbol, "snapshot": True}
            self.push({"method": method, "result": result, "success": True})
            if method == "subscribe":
                self.wanted.add(str(symbol))
            else:
                self.wanted.discard(str(symbol))
        for trade in list(self.exchange.spot.last.values()) if method == "subscribe" else ():
            if trade.venue == self.venue:
                self._push_ticker(trade, "snapshot")

    def trade(self, trade: SpotTrade) -> None:
        """Push an update."""
        self._push_ticker(trade, "update")

    def _push_ticker(self, trade: SpotTrade, kind: str) -> None:
        symbol = f"{trade.symbol}/USD"
        if symbol not in self.wanted:
            return
        half = trade.spread_usd_e6 // 2
        numbers = {
            "bid": trade.price_usd_e6 - half,
            "ask": trade.price_usd_e6 + half,
            "last": trade.price_usd_e6,
            "vwap": trade.price_usd_e6,
            "low": trade.price_usd_e6,
            "high": trade.price_usd_e6,
        }
        # Kraken writes prices as JSON numbers.
        data: dict[str, Any] = {n: msgspec.Raw(_dollars(v).encode()) for n, v in numbers.items()}
        data |= {
            "symbol": symbol,
            "bid_qty": 0.01,
            "ask_qty": 0.01,
            "volume": 0.01,
            "change": 0.0,
            "change_pct": 0.0,
            "timestamp": wire.time(trade.at_us),
        }
        self.push({"channel": "ticker", "type": kind, "data": [data]})

    def beat(self, now_us: int) -> None:  # noqa: ARG002 - Kraken's heartbeat carries no time
        """Push the heartbeat that every subscribed client gets."""
        if self.wanted:
            self.push({"channel": "heartbeat"})


class BitstampSession(_Session):
    """A client of the Bitstamp feed."""

    venue = "bitstamp"

    def command(self, message: dict[str, Any]) -> None:
        """Subscribe, unsubscribe or answer a heartbeat."""
        event, data = message.get("event"), message.get("data")
        channel = data.get("channel") if isinstance(data, dict) else None
        if event == "bts:heartbeat":
            self.push({"event": "bts:heartbeat", "channel": "", "data": {"status": "success"}})
        elif event in ("bts:subscribe", "bts:unsubscribe") and isinstance(channel, str):
            if event == "bts:subscribe":
                self.wanted.add(channel)
                self.push({"event": "bts:subscription_succeeded", "channel": channel, "data": {}})
            else:
                self.wanted.discard(channel)
                self.push({"event": "bts:unsubscription_succeeded", "channel": channel, "data": {}})
        else:
            bad = {"code": None, "message": "Bad subscription string."}
            self.push({"event": "bts:error", "channel": "", "data": bad})

    def trade(self, trade: SpotTrade) -> None:
        """Push a trade."""
        channel = f"live_trades_{trade.symbol.lower()}usd"
        if channel not in self.wanted:
            return
        price = msgspec.Raw(_dollars(trade.price_usd_e6).encode())
        data = {
            "id": trade.sequence,
            "timestamp": str(wire.seconds(trade.at_us)),
            "amount": 0.01,
            "amount_str": _SIZE,
            "price": price,
            "price_str": _dollars(trade.price_usd_e6),
            "type": trade.sequence % 2,
            "microtimestamp": str(trade.at_us),
            "buy_order_id": trade.sequence * 2,
            "sell_order_id": trade.sequence * 2 + 1,
        }
        self.push({"data": data, "channel": channel, "event": "trade"})


_VENUES: Final[dict[str, type[CoinbaseSession | KrakenSession | BitstampSession]]] = {
    PREFIX + "coinbase": CoinbaseSession,
    PREFIX + "kraken": KrakenSession,
    PREFIX + "bitstamp": BitstampSession,
}


class Feeds:
    """All clients of all venues."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.sessions: list[FeedSession] = []
        self._beaten_us = 0
        exchange.spot.listeners.append(self._trade)

    @staticmethod
    def owns(path: str) -> bool:
        """Tell whether a path belongs to the feeds."""
        return path.startswith(PREFIX)

    def connect(self, path: str, send: Callable[[Sequence[bytes]], None]) -> FeedSession | None:
        """Open a client's session, or None if no venue lives at the path."""
        kind = _VENUES.get(path.rstrip("/"))
        if kind is None:
            return None
        session = kind(send, self.exchange)
        self.sessions.append(session)
        return session

    def leave(self, session: FeedSession) -> None:
        """Forget a client."""
        if session in self.sessions:
            self.sessions.remove(session)

    def beat(self, now_us: int) -> None:
        """Send heartbeats, once a second of market time."""
        if now_us - self._beaten_us >= SECOND_US:
            self._beaten_us = now_us
            for session in list(self.sessions):
                session.beat(now_us)

    def _trade(self, trade: SpotTrade) -> None:
        for session in self.sessions:
            if session.venue == trade.venue:
                session.trade(trade)

    def handle(self, request: Request) -> Response:
        """Answer the candle endpoint of Coinbase."""
        parts = request.path.removeprefix(PREFIX).split("/")
        is_candles = len(parts) == 4 and parts[0] == "coinbase" and parts[3] == "candles"
        if not is_candles or request.method != "GET":
            return reply({"message": "NotFound"}, 404)
        return self._candles(parts[2], request.query())

    def _candles(self, product: str, query: dict[str, list[str]]) -> Response:
        if query.get("granularity", ["60"])[-1] != "60":
            return reply({"message": "Unsupported granularity"}, 400)
        symbol = product.removesuffix("-USD")
        own = self.exchange.spot.candles.get(("coinbase", symbol), {})
        latest = self.exchange.now_us // MINUTE_US * MINUTE_US
        try:
            start = _bound(query.get("start"), latest - MOST_CANDLES * MINUTE_US)
            end = _bound(query.get("end"), latest)
        except ValueError:
            return reply({"message": "Invalid start or end"}, 400)
        if (end - start) // MINUTE_US > MOST_CANDLES:
            text = "granularity too small for the requested time range. Count of aggregations"
            return reply({"message": f"{text} requested exceeds {MOST_CANDLES}"}, 400)
        chosen = [own[at] for at in sorted(own, reverse=True) if start <= at <= end]
        return reply([_row(one) for one in chosen[:MOST_CANDLES]])


def _bound(values: list[str] | None, default: int) -> int:
    if not values:
        return default
    text = values[-1]
    return int(text) * SECOND_US if text.isdigit() else parse_time_us(text)


def _row(one: Candle) -> list[int | msgspec.Raw]:
    prices = (one.low_usd_e6, one.high_usd_e6, one.open_usd_e6, one.close_usd_e6)
    numbers = [msgspec.Raw(_dollars(price).encode()) for price in prices]
    volume = msgspec.Raw(format_scaled(one.volume_e8, 8).encode())
    return [wire.seconds(one.start_us), *numbers, volume]
