"""Feeds and candles over the ports: reconnects, silence, backfill."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from itertools import pairwise

import pytest
from tests.unit.adapters.clock import START_US, HandClock
from websockets.asyncio.server import serve

from recio.adapters.price_feeds.bitstamp import Bitstamp
from recio.adapters.price_feeds.coinbase import Coinbase, CoinbaseCandles
from recio.adapters.price_feeds.feed import FeedTick, VenueFeed
from recio.adapters.transport.websocket import WebSocketClient
from recio.domain.errors import InvalidValue, Unavailable
from recio.domain.units import MINUTE_US
from recio.ports import HttpReply
from recio.runtime.clock import SteppedClock
from recio.runtime.ids import SeededIds
from recio.runtime.stepped import SteppedLoop, run


def ticker(price):
    """Return a Coinbase ticker."""
    return json.dumps(
        {
            "type": "ticker",
            "product_id": "BTC-USD",
            "price": price,
            "time": "2026-05-13T13:00:35Z",
        }
    )


async def first(feed, count):
    """Return the first ticks of a feed."""
    found = []
    async with aclosing(feed.ticks()) as ticks:
        async for tick in ticks:
            found.append(tick)
            if len(found) == count:
                return found
    return found


def test_a_feed_reconnects_and_subscribes_again():
    """Each connection gets the greeting; a bad frame is counted and the feed goes on."""
    greetings = []

    async def venue(connection):
        greetings.append(json.loads(await connection.recv())["type"])
        await connection.send("not json")
        await connection.send(ticker("80193.52"))

    async def main():
        async with serve(venue, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            transport = WebSocketClient(f"ws://127.0.0.1:{port}")
            feed = VenueFeed(Coinbase("BTC"), transport, HandClock(), SeededIds("s"), "/")
            return await first(feed, 3), feed

    ticks, feed = asyncio.run(main())
    assert ticks[0] == FeedTick(
        "coinbase", "BTC", 80_193_520_000, 1_778_677_235_000_000, ticks[0].seen_us
    )
    assert greetings == ["subscribe"] * 3
    assert feed.refused == {"frame": 3}
    assert feed.reconnects == 2


class Socket:
    """A WebSocketConnection that plays (seconds to wait, frame); then it is silent."""

    def __init__(self, loop_clock, script):
        self.clock = loop_clock
        self.script = list(script)
        self.sent = []
        self.closed = asyncio.Event()

    async def send(self, text):
        """Note what is sent."""
        self.sent.append(text)

    async def receive(self):
        """Give the next frame of the script."""
        if self.script:
            seconds, frame = self.script.pop(0)
            await self.clock.sleep_wall(seconds)
            return frame.encode()
        await self.closed.wait()
        raise Unavailable("closed")

    async def close(self):
        """End the connection."""
        self.closed.set()


class Sockets:
    """A WebSocketTransport that hands out sockets, then refuses."""

    def __init__(self, *sockets):
        self.sockets = list(sockets)
        self.at_us = []

    def on(self, clock):
        """Tell time by the clock."""
        self.clock = clock
        return self

    async def connect(self, _target, _headers):
        """Open the next connection."""
        self.at_us.append(self.clock.wall_us())
        if not self.sockets:
            raise Unavailable("nobody there")
        return self.sockets.pop(0)


def stepped(scenario):
    """Run a scenario in virtual time."""
    loop = SteppedLoop()
    clock = SteppedClock(loop, START_US)
    return run(scenario(clock), loop=loop)


def test_a_silent_venue_is_left():
    """Coinbase sends heartbeats every second; six seconds of nothing are a dead connection."""

    async def scenario(clock):
        silent = Socket(clock, [(0.5, ticker("1"))])
        lively = Socket(clock, [(0.5, ticker("2"))])
        feed = VenueFeed(
            Coinbase("BTC"), Sockets(silent, lively).on(clock), clock, SeededIds("s"), "/"
        )
        ticks = await first(feed, 2)
        return [tick.price_usd_e6 for tick in ticks], (ticks[1].seen_us - START_US) / 1e6

    found, after_s = stepped(scenario)
    assert found == [1_000_000, 2_000_000]
    assert 6 <= after_s <= 12


def test_a_quiet_venue_is_asked_whether_it_lives():
    """Bitstamp answers heartbeats instead of sending them."""

    async def scenario(clock):
        socket = Socket(clock, [(9.0, ticker("1"))])
        feed = VenueFeed(Bitstamp("BTC"), Sockets(socket).on(clock), clock, SeededIds("s"), "/")
        task = asyncio.create_task(first(feed, 1))
        await clock.sleep_wall(8.5)
        task.cancel()
        await asyncio.wait([task])
        return socket.sent[1:]

    assert stepped(scenario) == ['{"event":"bts:heartbeat"}'] * 4


def test_reconnects_back_off():
    """A venue that is down is not hammered."""

    async def scenario(clock):
        sockets = Sockets().on(clock)
        feed = VenueFeed(Coinbase("BTC"), sockets, clock, SeededIds("s"), "/")
        task = asyncio.create_task(first(feed, 1))
        await clock.sleep_wall(120)
        task.cancel()
        await asyncio.wait([task])
        return sockets.at_us

    at_us = stepped(scenario)
    pauses = [(later - sooner) / 1e6 for sooner, later in pairwise(at_us)]
    assert pauses[0] <= 1
    assert all(pause <= 30 for pause in pauses)
    assert pauses[-1] >= 15


class Candles:
    """An HttpTransport that answers as Coinbase does."""

    def __init__(self, status=200, missing=(), rows=None):
        self.status = status
        self.missing = missing
        self.rows = rows
        self.targets = []

    async def request(self, _method, target, _headers, _body=b"", *, timeout_s):
        """Answer with candles."""
        del timeout_s
        self.targets.append(target)
        start_s = START_US // MINUTE_US * 60
        rows = self.rows or [
            [start_s + 60 * number, 1, 3, 2, 80_000 + number, 0.5]
            for number in reversed(range(40))
            if number not in self.missing
        ]
        return HttpReply(self.status, {}, json.dumps(rows).encode())

    async def close(self):
        """End the connection."""


def minutes(candles, count):
    """Read minutes."""
    start_us = START_US // MINUTE_US * MINUTE_US
    source = CoinbaseCandles(candles, "/feeds/coinbase/")
    return asyncio.run(source.minutes("BTC", start_us, start_us + count * MINUTE_US)), start_us


def test_minutes_ascend_end_where_they_close_and_keep_their_holes():
    """A candle is named by its start; a minute without trades is absent, never filled."""
    candles = Candles(missing=(3,))
    found, start_us = minutes(candles, 10)
    assert [(at_us - start_us) // MINUTE_US for at_us, _ in found] == [1, 2, 3, 5, 6, 7, 8, 9, 10]
    assert found[0][1] == 80_000_000_000
    assert candles.targets[0].startswith(
        "/feeds/coinbase/products/BTC-USD/candles?granularity=60&start=2026-"
    )


def test_long_pasts_are_read_in_pages():
    """At most 300 candles come at once."""
    candles = Candles()
    minutes(candles, 700)
    assert len(candles.targets) == 3


def test_a_bad_answer_is_told():
    """Rate limits and nonsense."""
    with pytest.raises(Unavailable, match="429"):
        minutes(Candles(status=429), 1)
    for rows in ([[1, 2, 3]], [[61, 1, 1, 1, 1]], [[60, 1, 1, 1, -5]], [["x"]]):
        with pytest.raises(InvalidValue):
            minutes(Candles(rows=rows), 1)
