"""The spot venues' feeds speak their venues' languages."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from tests.unit.exchange_simulator.builders import NOW_US, SECOND
from tests.unit.exchange_simulator.client import Stream, Venue

from recio.exchange_simulator.specs import Candle

PRICE = 90_123_450_000
MINUTE = 60 * SECOND


async def client(venue, name, *messages):
    """Connect to a venue and send messages; return the stream."""
    socket = await venue.websockets.connect(f"/feeds/{name}", {})
    for message in messages:
        await socket.send(msgspec.json.encode(message).decode())
    return Stream(socket)


def test_coinbase_ticker_and_heartbeat():
    """All numbers are strings; a heartbeat comes once a second."""

    async def main():
        venue = Venue()
        wish = {
            "type": "subscribe",
            "product_ids": ["BTC-USD"],
            "channels": ["ticker", "heartbeat"],
        }
        stream = await client(venue, "coinbase", wish)
        venue.exchange.set_spot("coinbase", "BTC", PRICE, NOW_US)
        venue.exchange.set_spot("kraken", "BTC", PRICE + 1, NOW_US)
        venue.feeds.beat(NOW_US)
        venue.feeds.beat(NOW_US + SECOND // 2)
        subscribed, ticker, heartbeat = stream.frames()
        assert subscribed["type"] == "subscriptions"
        assert (ticker["price"], ticker["product_id"]) == ("90123.45", "BTC-USD")
        assert float(ticker["best_bid"]) < 90123.45 < float(ticker["best_ask"]) + 0.01
        assert ticker["time"] == "2026-11-20T16:48:00.000000Z"
        assert (heartbeat["type"], heartbeat["last_trade_id"]) == ("heartbeat", 2)

    asyncio.run(main())


def test_kraken_ticker_is_a_snapshot_then_updates():
    """Prices are JSON numbers."""

    async def main():
        venue = Venue()
        venue.exchange.set_spot("kraken", "BTC", PRICE, NOW_US)
        wish = {"method": "subscribe", "params": {"channel": "ticker", "symbol": ["BTC/USD"]}}
        stream = await client(venue, "kraken", wish, {"method": "ping"})
        venue.exchange.set_spot("kraken", "BTC", PRICE + 1_000_000, NOW_US + SECOND)
        ack, snapshot, pong, update = stream.frames()
        assert ack["success"]
        assert pong["method"] == "pong"
        assert [snapshot["type"], update["type"]] == ["snapshot", "update"]
        assert update["data"][0]["last"] == 90124.45

    asyncio.run(main())


def test_bitstamp_trades():
    """A trade names its channel and its time in microseconds."""

    async def main():
        venue = Venue()
        wish = {"event": "bts:subscribe", "data": {"channel": "live_trades_btcusd"}}
        stream = await client(venue, "bitstamp", wish)
        venue.exchange.set_spot("bitstamp", "BTC", PRICE, NOW_US)
        venue.exchange.set_spot("bitstamp", "ETH", PRICE, NOW_US)
        ack, trade = stream.frames()
        assert ack["event"] == "bts:subscription_succeeded"
        assert (trade["event"], trade["channel"]) == ("trade", "live_trades_btcusd")
        assert trade["data"]["price"] == 90123.45
        assert trade["data"]["microtimestamp"] == str(NOW_US)

    asyncio.run(main())


@pytest.mark.parametrize("name", ["coinbase", "kraken", "bitstamp"])
def test_nonsense_is_answered_and_the_connection_goes_on(name):
    """No feed dies of a bad message."""

    async def main():
        venue = Venue()
        stream = await client(venue, name, [1], {}, {"type": "subscribe"})
        await stream.socket.send("nonsense")
        assert len(stream.frames()) == 4
        await stream.socket.close()
        assert venue.feeds.sessions == []

    asyncio.run(main())


def test_candles_are_coinbase_rows_newest_first():
    """[time, low, high, open, close, volume]; at most 300; bounds are inclusive."""

    async def main():
        venue = Venue()
        start = NOW_US // MINUTE * MINUTE
        past = [
            Candle(start - n * MINUTE, 1_000_000, 4_000_000, 2_000_000, 3_000_000, 150_000_000)
            for n in range(1, 350)
        ]
        venue.exchange.set_spot_history("coinbase", "BTC", past)
        for offset, price in ((0, 5), (1, 9), (2, 4), (3, 7)):
            venue.exchange.set_spot("coinbase", "BTC", price * 1_000_000, NOW_US + offset)
        path = "/feeds/coinbase/products/BTC-USD/candles?granularity=60"
        reply = await venue.http.request("GET", path, {}, timeout_s=1)
        rows = msgspec.json.decode(reply.body)
        assert len(rows) == 300
        assert rows[0] == [start // SECOND, 4, 9, 5, 7, 0]
        assert rows[1] == [start // SECOND - 60, 1, 4, 2, 3, 1.5]
        bounds = f"&start={start // SECOND - 120}&end={start // SECOND - 60}"
        reply = await venue.http.request("GET", path + bounds, {}, timeout_s=1)
        assert [row[0] for row in msgspec.json.decode(reply.body)] == [
            start // SECOND - 60,
            start // SECOND - 120,
        ]
        for bad in ("&start=0", "&start=soon"):
            reply = await venue.http.request("GET", path + bad, {}, timeout_s=1)
            assert reply.status == 400

    asyncio.run(main())
