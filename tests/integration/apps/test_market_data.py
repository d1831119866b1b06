"""Both market-data services on the simulated exchange, stepped, on a real database, with faults."""

import asyncio
import json
import logging
from types import SimpleNamespace

import msgspec
import psycopg
import pytest

from recio import manifest
from recio.adapters.kalshi.budget import Budget
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.kalshi.signing import RequestSigner
from recio.adapters.kalshi.websocket import KalshiStream
from recio.adapters.postgres.hints import Hints
from recio.adapters.postgres.stepped import SteppedDatabase
from recio.adapters.price_feeds import bitstamp, coinbase, kraken
from recio.adapters.price_feeds.feed import VenueFeed
from recio.apps.btc_price_watchdog import app as prices
from recio.apps.kalshi_api_watchdog import app as markets
from recio.domain.messages import (
    BookUpdate,
    EventMarkets,
    ExchangeStatus,
    PriceHistory,
    PriceUpdate,
)
from recio.domain.units import MINUTE_US, SECOND_US
from recio.exchange_simulator import world
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.faults import ArmedFrame, ArmedRequest, FrameFault, RequestFault
from recio.exchange_simulator.feeds import Feeds
from recio.exchange_simulator.gateway import Gateway
from recio.exchange_simulator.memory import MemoryHttp, MemoryWebSockets
from recio.runtime import stepped
from recio.runtime.clock import SteppedClock
from recio.runtime.ids import SeededIds
from recio.runtime.metrics import Metrics, ProcessMetrics
from recio.runtime.service import ServiceContext
from recio.testing.memory_bus import MemoryBus

LADDER = "KXBTCD-24JUL3014"
RECORDED = "KXBTC15M-26MAY130915"


class Access:
    """The doors to an exchange in memory."""

    def __init__(self, scene, series):
        self.scene = scene
        self.series = series

    def market_rest(self):
        """Return the exchange's REST API."""
        return KalshiRest(
            self.scene.http, self.scene.signer, self.scene.clock, Budget(self.scene.clock)
        )

    def market_stream(self):
        """Return the exchange's stream."""
        return KalshiStream(self.scene.sockets, self.scene.signer, self.scene.clock, self.scene.ids)

    def price_feeds(self, symbol):
        """Return the venues' feeds."""
        return tuple(
            VenueFeed(
                venue(symbol),
                self.scene.sockets,
                self.scene.clock,
                self.scene.ids,
                f"/feeds/{venue.source}",
            )
            for venue in (coinbase.Coinbase, kraken.Kraken, bitstamp.Bitstamp)
        )

    def candles(self, _symbol):
        """Return where minutes of the past are."""
        return coinbase.CoinbaseCandles(self.scene.http, "/feeds/coinbase")


class Scene:
    """An exchange with its world, and the two services."""

    def __init__(self, database_url, source, series):
        self.loop = stepped.SteppedLoop()
        self.exchange = Exchange()
        self.exchange.fresh = SeededIds("keys").fresh
        self.world = world.attach(self.exchange, source, is_fine=False)
        self.clock = SteppedClock(self.loop, self.world.start_us)
        self.ids = SeededIds("test")
        self.gateway = Gateway(self.exchange, self.clock)
        self.feeds = Feeds(self.exchange)
        self.http = MemoryHttp(self.gateway, self.feeds)
        self.sockets = MemoryWebSockets(self.gateway, self.feeds)
        self.bus = MemoryBus()
        self.database_url = database_url
        self.series = series
        self.heard = []
        self.ports = []
        self.signer = None

    def context(self, service):
        """Return what a service is handed, logged in as itself: what it may not do fails."""
        owner = self.database_url.partition("//")[2].partition("@")[0]
        url = self.database_url.replace(f"//{owner}@", f"//recio_{service}@", 1)
        port = SteppedDatabase(url, hints=Hints())
        self.ports.append(port)
        return ServiceContext(
            row=manifest.service(service),
            environment="paper",
            account=None,
            clock=self.clock,
            ids=self.ids,
            database=port,
            bus=self.bus,
            access=Access(self, self.series),
            metrics=Metrics(ProcessMetrics(), service=service, account=None),
            log=logging.LoggerAdapter(logging.getLogger("test"), {}),
            settings={},
        )

    async def drive(self):
        """Let the world happen."""
        while True:
            now_us = self.clock.market_us()
            self.world.step(now_us)
            self.feeds.beat(now_us)
            await self.gateway.commit()
            await self.clock.sleep_market(1.0)

    async def listen(self):
        """Remember every message."""
        topics = ("prices", "markets", "books", "exchange_status")
        async for _, message in self.bus.subscribe(*topics):
            self.heard.append(message)

    async def start(self):
        """Open a key, start the world and the services."""
        self.world.step(self.world.start_us)
        account = {"account": "market", "initial_balance_dollars": "1", "key_type": "ed25519"}
        reply = await self.http.request(
            "POST", "/admin/accounts", {}, msgspec.json.encode(account), timeout_s=1
        )
        key = msgspec.json.decode(reply.body)
        self.signer = RequestSigner(key["api_key_id"], key["private_key"])
        self.prices = prices.build(self.context("btc_price_watchdog"))
        self.markets = markets.build(self.context("kalshi_api_watchdog"))
        await self.markets.recover()
        self.tasks = [
            asyncio.create_task(task())
            for task in (self.drive, self.listen, *self.prices.tasks, *self.markets.tasks)
        ]

    async def stop(self):
        """Stop all; a task that ended by itself fails the test."""
        for service in (self.prices, self.markets):
            await service.drain()
        for task in self.tasks:
            assert not task.done(), task
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for port in self.ports:
            await port.close()

    def of(self, kind):
        """Return the messages of one kind."""
        return [message for message in self.heard if isinstance(message, kind)]


@pytest.fixture
def play(database_url):
    """Run a scenario on a scene in virtual time and return the scene."""

    def run(scenario, source=None, series=("KXBTCD", "KXBTC15M")):
        scene = Scene(database_url, source or world.MinutesSource(), series)

        async def main():
            await scene.start()
            try:
                await scenario(scene)
            finally:
                await scene.stop()

        stepped.run(main(), loop=scene.loop)
        return scene

    return run


def rows(database_url, sql):
    """Read the database as its owner."""
    with psycopg.connect(database_url) as connection:
        return connection.execute(sql).fetchall()


def test_from_the_opening_bell_to_results(play, database_url):
    """Prices every second, whole books, the ladder's close and its results, all stored."""

    async def scenario(scene):
        await asyncio.sleep(60)
        assert scene.prices.readiness().is_ready
        assert scene.markets.readiness().is_ready
        await asyncio.sleep(15 * 60)

    scene = play(scenario)
    (history,) = scene.of(PriceHistory)
    assert len(history.minutes) == 360
    updates = scene.of(PriceUpdate)
    assert updates[-1].gap_count == 0
    assert updates[-1].index_usd_e6 is not None
    assert len(updates[-1].sources) == 3
    windows = [one for one in updates if one.window_count == 59]
    assert {one.window_close_us % (15 * MINUTE_US) for one in windows} == {0}
    last = [one for one in scene.of(EventMarkets) if one.event_ticker == LADDER][-1]
    assert {market.status for market in last.markets} == {"finalized"}
    results = [market.result for market in last.markets]
    assert results == sorted(results, reverse=True)  # Low strikes yes, high ones no.
    assert len({market.settlement_value_usd_e6 for market in last.markets}) == 1
    full = [one for one in scene.of(BookUpdate) if one.event_ticker == LADDER and one.is_full]
    assert {len(one.quotes) for one in full} == {40}
    stored = rows(
        database_url,
        "SELECT count(*), count(DISTINCT settlement_value_usd_e6) FROM market.markets "
        f"WHERE event_ticker = '{LADDER}' AND status = 'finalized' AND result IN ('yes', 'no')",
    )
    assert stored == [(40, 1)]
    seconds = rows(database_url, "SELECT count(*) FROM market.prices WHERE index_usd_e6 > 0")
    assert seconds[0][0] >= 15 * 60
    minutes = rows(database_url, "SELECT count(*), count(DISTINCT at) FROM market.minutes")
    assert minutes[0][0] == minutes[0][1] >= 60 + 14
    tops = rows(database_url, "SELECT count(DISTINCT ticker) FROM market.book_tops")
    assert tops[0][0] >= 41


def test_lost_frames_and_cut_connections_are_told_and_mended(play):
    """While books are not whole they are told as invalid; afterwards they are the exchange's."""

    async def scenario(scene):
        await asyncio.sleep(20)
        plan = scene.gateway.faults
        for fault in (FrameFault.LOSE, FrameFault.DUPLICATE, FrameFault.REORDER):
            plan.arm_frame(ArmedFrame(fault, count=3, type="orderbook_delta"))
            await asyncio.sleep(20)
        plan.arm_frame(ArmedFrame(FrameFault.CUT, count=2, type="orderbook_delta"))
        plan.arm_request(ArmedRequest(RequestFault.STATUS, count=3))
        await asyncio.sleep(90)
        assert plan.struck == 14
        assert scene.markets.readiness().is_ready
        (newest,) = [one for one in scene.of(BookUpdate) if one.event_ticker == LADDER][-1:]
        for quote in newest.quotes:
            reply = await scene.http.request(
                "GET", f"/trade-api/v2/markets/{quote.ticker}/orderbook", {}, timeout_s=1
            )
            levels = json.loads(reply.body)["orderbook_fp"]["yes_dollars"]
            best = max((round(float(price) * 10_000) for price, _ in levels), default=None)
            assert quote.yes_bid_e4 == best

    scene = play(scenario)
    states = [one.is_connected for one in scene.of(ExchangeStatus)]
    assert False in states
    assert states[-1]
    invalid = [one for one in scene.of(BookUpdate) for quote in one.quotes if not quote.is_valid]
    assert invalid


def test_a_silent_index_is_told_as_silent(play):
    """The price becomes unknown, not old."""

    async def scenario(scene):
        await asyncio.sleep(5)
        plan = scene.gateway.faults
        plan.arm_frame(ArmedFrame(FrameFault.LOSE, count=60, type="cfbenchmarks_value"))
        await asyncio.sleep(30)
        assert scene.of(PriceUpdate)[-1].index_usd_e6 is None
        assert scene.of(PriceUpdate)[-1].spot_usd_e6 is not None
        assert not scene.prices.readiness().is_ready
        request = SimpleNamespace(query={})
        answer = await scene.prices.routes["GET", "/api/btc_price"](request)
        assert json.loads(answer.body)["source"] == "spot"
        await asyncio.sleep(60)
        assert scene.prices.readiness().is_ready
        assert scene.of(PriceUpdate)[-1].gap_count >= 60

    play(scenario)


def test_the_recorded_market_runs_to_its_real_settlement(play, database_url):
    """KXBTC15M-26MAY130915-15: strike 80193.52, settled at 80285.68, yes."""

    async def scenario(_scene):
        await asyncio.sleep(16 * 60)

    scene = play(scenario, world.RecordingSource(), ("KXBTC15M",))
    last = [one for one in scene.of(EventMarkets) if one.event_ticker == RECORDED][-1]
    (market,) = last.markets
    assert market.strike_usd_e6 == 80_193_520_000
    assert (market.status, market.result) == ("finalized", "yes")
    assert market.settlement_value_usd_e6 == 80_285_680_000
    invalid = [q for one in scene.of(BookUpdate) for q in one.quotes if not q.is_valid]
    assert len(invalid) < 5
    late = [one for one in scene.of(PriceUpdate) if one.index_at_us is not None]
    assert all(one.seen_us - one.index_at_us <= 10 * SECOND_US for one in late)
    stored = rows(database_url, "SELECT result FROM market.markets")
    assert stored == [("yes",)]
