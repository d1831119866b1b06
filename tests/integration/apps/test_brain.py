"""Snapshots, entries and stops as services: one stepped process on a real database."""

import asyncio
import logging

import msgspec
import psycopg
import pytest

from recio import manifest
from recio.adapters.postgres import config as configs
from recio.adapters.postgres import status
from recio.adapters.postgres.hints import Hints
from recio.adapters.postgres.stepped import SteppedDatabase
from recio.adapters.postgres.switches import set_switch
from recio.apps.active_trade_supervisor import app as stops
from recio.apps.auto_entry_supervisor import app as entries
from recio.apps.unified_production_coordinator import app as coordinator
from recio.domain.account_config import Trading
from recio.domain.messages import (
    BookUpdate,
    EventMarkets,
    ExchangeStatus,
    MarketInfo,
    MarketQuote,
    PriceHistory,
    PriceRange,
    PriceUpdate,
)
from recio.domain.tickers import format_market, parse_event
from recio.domain.units import MINUTE_US, as_datetime
from recio.engine import records
from recio.runtime import stepped
from recio.runtime.clock import SteppedClock
from recio.runtime.ids import SeededIds
from recio.runtime.metrics import Metrics, ProcessMetrics
from recio.runtime.service import ServiceContext
from recio.testing.memory_bus import MemoryBus

EVENT = "KXBTCD-25AUG0122"
CLOSE_US = parse_event(EVENT).close_us
START_US = CLOSE_US - 10 * MINUTE_US
PRICE = 115_000_000_000
STRIKES = [PRICE + (place - 10) * 250_000_000 - 10_000 for place in range(21)]
BELOW = format_market(EVENT, STRIKES[7])
"""A market 750 dollars below the price: YES is nearly sure ten minutes before the close."""

DOCUMENT = {
    "apiVersion": "recio.io/v1alpha1",
    "kind": "TradingAccount",
    "metadata": {"name": "paper"},
    "spec": {
        "strategy": {
            "model": "Fingerprints",
            "autoEntry": {"enabled": True, "minVolumeContracts": 0},
            "autoStop": {"momentum": {"enabled": False}},
            "sizing": {"contracts": 5},
        }
    },
}


class Scene:
    """The three services, their bus, and a feed that is moved by hand."""

    def __init__(self, database_url):
        self.loop = stepped.SteppedLoop()
        self.clock = SteppedClock(self.loop, START_US)
        self.bus = MemoryBus()
        self.hints = Hints()
        self.database_url = database_url
        self.price = PRICE
        self.asks = {BELOW: 9_500}
        self.ports = []

    def context(self, service, account=None):
        """Return what a service is handed, logged in as itself."""
        login = f"recio_account_{account}" if account else f"recio_{service}"
        owner = self.database_url.partition("//")[2].partition("@")[0]
        url = self.database_url.replace(f"//{owner}@", f"//{login}@", 1)
        port = SteppedDatabase(url, hints=self.hints)
        port.poll_seconds = 2.0  # as live: rows that back something up are written each second
        self.ports.append(port)
        return ServiceContext(
            row=manifest.service(service),
            environment="paper",
            account=account,
            clock=self.clock,
            ids=SeededIds("test"),
            database=port,
            bus=self.bus,
            access=None,
            metrics=Metrics(ProcessMetrics(), service=service, account=account),
            log=logging.LoggerAdapter(logging.getLogger("test"), {}),
            settings={},
        )

    async def start(self, *services):
        """Recover the services and start their tasks."""
        for service in services:
            await service.recover()
        tasks = [asyncio.create_task(task()) for service in services for task in service.tasks]
        await asyncio.sleep(0.01)
        return tasks

    async def feed(self, seconds, *, is_bus_open=True):
        """Let seconds pass, each with an index tick and a whole book."""
        for _ in range(seconds):
            if is_bus_open:
                await self.publish()
            await asyncio.sleep(1)

    async def publish(self):
        """Send one tick and one whole book."""
        now_us = self.clock.market_us()
        await self.bus.publish(
            "prices",
            PriceUpdate(
                environment="paper", symbol="BTC", at_us=now_us, seen_us=now_us,
                index_usd_e6=self.price, index_at_us=now_us,
            ),
        )  # fmt: skip
        quotes = tuple(self.quote(strike, now_us) for strike in STRIKES)
        await self.bus.publish(
            "books",
            BookUpdate(
                environment="paper", event_ticker=EVENT, quotes=quotes, is_full=True,
                at_us=now_us, seen_us=now_us,
            ),
        )  # fmt: skip

    def quote(self, strike, now_us):
        """Return the top of one book, two cents wide."""
        ticker = format_market(EVENT, strike)
        ask = self.asks.get(ticker, 9_990 if strike < PRICE else 200)
        bid = max(ask - 200, 100)
        return MarketQuote(ticker, bid, 5_000, ask, 5_000, 100_000, now_us, 1, is_valid=True)

    async def open_market(self):
        """Send half an hour of history, the ladder and the status."""
        now_us = self.clock.market_us()
        minutes = tuple((now_us - k * MINUTE_US, PRICE) for k in range(40))
        await self.bus.publish(
            "prices",
            PriceHistory(
                environment="paper", symbol="BTC", at_us=now_us, seen_us=now_us, source="test",
                minutes=minutes,
            ),
        )  # fmt: skip
        markets = tuple(
            MarketInfo(
                ticker=format_market(EVENT, strike), strike_usd_e6=strike, strike_type="greater",
                status="active", price_ranges=(PriceRange(100, 9900, 100),),
            )
            for strike in STRIKES
        )  # fmt: skip
        await self.bus.publish(
            "markets",
            EventMarkets(
                environment="paper", symbol="BTC", series_ticker="KXBTCD", event_ticker=EVENT,
                title="BTC price today at 10pm?", open_us=CLOSE_US - 60 * MINUTE_US,
                close_us=CLOSE_US, markets=markets, at_us=now_us, seen_us=now_us,
            ),
        )  # fmt: skip
        await self.bus.publish(
            "exchange_status",
            ExchangeStatus(
                environment="paper", is_exchange_active=True, is_trading_active=True,
                is_connected=True, resume_us=None, at_us=now_us, seen_us=now_us,
            ),
        )  # fmt: skip


@pytest.fixture
def scene(database_url):
    """A database with one account, and the services' surroundings."""
    made = Scene(database_url)

    async def prepare():
        port = SteppedDatabase(database_url, hints=made.hints)
        async with port.transaction() as tx:
            await status.set_account_login(tx, "paper", None)
        async with port.transaction() as tx:
            await configs.apply_account(
                tx, DOCUMENT, environment="paper", at_us=START_US, author="test"
            )
        await port.close()

    stepped.run(prepare())
    return made


def rows(database_url, sql, *parameters):
    """Read rows as the owner."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        return connection.execute(sql, parameters).fetchall()


def play(scene, script):
    """Run a script with the services it wants, in virtual time."""

    async def main():
        try:
            return await script()
        finally:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            for port in scene.ports:
                await port.close()

    return stepped.run(main(), loop=scene.loop)


def open_trade(database_url):
    """Write an open YES trade of five contracts, bought at 95 cents."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO trading.trades (trade_id, account, number, state, source, strategy, symbol, "
            "event_ticker, market_ticker, strike_usd_e6, side, close_at, wanted_qty_e2, "
            "filled_qty_e2, entry_cost_usd_e6, opened_at, created_at, changed_at) VALUES "
            "('80853845-8c14-8675-9318-9b640133675b', 'paper', 1, 'open', 'manual', 'HourlyHTC', "
            "'BTC', %s, %s, %s, 'yes', %s, 500, 500, 4750000, %s, %s, %s)",
            (EVENT, BELOW, STRIKES[7], as_datetime(CLOSE_US), *[as_datetime(START_US)] * 3),
        )


def test_a_cheap_sure_strike_is_entered_once(scene):
    """From bus messages to one committed intent, its record and the indicator."""

    async def script():
        await scene.start(
            coordinator.build(scene.context("unified_production_coordinator")),
            entries.build(scene.context("auto_entry_supervisor", "paper")),
        )
        await scene.open_market()
        await scene.feed(8)

    play(scene, script)

    found = rows(
        scene.database_url,
        "SELECT market_ticker, side::text, qty_e2, limit_price_e4, state::text, p_e6, decision_id "
        "FROM trading.intents",
    )
    assert [row[:5] for row in found] == [(BELOW, "yes", 500, 9_500, "proposed")]
    assert found[0][5] > 980_000
    ((body,),) = rows(
        scene.database_url, "SELECT body FROM trading.decisions WHERE decision_id = %s", found[0][6]
    )
    decision = records.read_entry(bytes(body))
    gates = {strike.ticker: strike.gate for strike in decision.strikes}
    assert decision.gate == ""
    assert gates[BELOW] == ""
    assert all(gate for ticker, gate in gates.items() if ticker != BELOW)
    assert rows(scene.database_url, "SELECT status FROM trading.automation") == [("ACTIVE",)]
    newest = rows(scene.database_url, "SELECT event_ticker FROM market.snapshot_latest")
    assert newest == [(EVENT,)]


def test_a_restart_does_not_enter_again(scene):
    """The second process finds the wish of the first, which the gate has not decided yet."""

    async def script():
        for _ in range(2):
            tasks = await scene.start(
                coordinator.build(scene.context("unified_production_coordinator")),
                entries.build(scene.context("auto_entry_supervisor", "paper")),
            )
            await scene.open_market()
            await scene.feed(5)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    play(scene, script)

    assert rows(scene.database_url, "SELECT count(*) FROM trading.intents") == [(1,)]


def test_a_trade_that_turns_is_closed_after_verification(scene):
    """Fifteen seconds below 40 %, then exits in steps; the stop is durable."""
    open_trade(scene.database_url)

    async def script():
        await scene.start(
            coordinator.build(scene.context("unified_production_coordinator")),
            stops.build(scene.context("active_trade_supervisor", "paper")),
        )
        await scene.open_market()
        await scene.feed(3)
        scene.price = PRICE - 1_500_000_000
        scene.asks[BELOW] = 2_500
        await scene.feed(10)
        assert rows(scene.database_url, "SELECT count(*) FROM trading.intents") == [(0,)]
        await scene.feed(10)

    play(scene, script)

    found = rows(
        scene.database_url,
        "SELECT source, purpose::text, side::text, qty_e2, limit_price_e4 FROM trading.intents "
        "ORDER BY at",
    )
    assert found[0][1:] == ("exit", "yes", 500, 2_300)
    assert {row[0] for row in found} == {"auto_stop"}
    assert [row[4] for row in found] == sorted((row[4] for row in found), reverse=True)
    ((state,),) = rows(scene.database_url, "SELECT body FROM trading.stops")
    assert state["attempts"] == len(found)


def test_flatten_works_without_the_bus_and_without_snapshots(scene):
    """Everything is closed although no market data comes at all."""
    open_trade(scene.database_url)

    async def script():
        await scene.start(stops.build(scene.context("active_trade_supervisor", "paper")))
        await scene.feed(2, is_bus_open=False)
        port = SteppedDatabase(scene.database_url, hints=scene.hints)
        scene.ports.append(port)
        async with port.transaction() as tx:
            await set_switch(
                tx, "paper", "person", Trading.FLATTEN,
                reason="test", author="test", at_us=scene.clock.market_us(),
            )  # fmt: skip
        await scene.feed(4, is_bus_open=False)

    play(scene, script)

    found = rows(scene.database_url, "SELECT source, limit_price_e4 FROM trading.intents")
    assert set(found) == {("flatten", 100)}


def test_without_the_bus_the_snapshot_row_is_read(scene):
    """The stop's view goes on from market.snapshot_latest when Redis is gone."""
    open_trade(scene.database_url)

    async def script():
        await scene.start(coordinator.build(scene.context("unified_production_coordinator")))
        shared, scene.bus = scene.bus, MemoryBus()
        service = stops.build(scene.context("active_trade_supervisor", "paper"))
        await scene.start(service)
        scene.bus = shared
        await scene.open_market()
        await scene.feed(6)
        reply = await service.routes[("GET", "/api/active_trades")](None)
        return msgspec.json.decode(reply.body)

    (view,) = play(scene, script)

    assert view["market_ticker"] == BELOW
    assert view["bid_e4"] == 9_300
    assert view["pnl_usd_e6"] == 500 * 9_300 - 4_750_000
    assert view["p_e6"] > 980_000
