"""``recio up --live-prices``: the paper exchange lists and quotes markets around what venues say.

The venues are played by feeds that tell a price each second, as the adapters of the real ones do;
the exchange, its world and its database are the real ones, stepped.
"""

import asyncio
import logging
from types import SimpleNamespace

import msgspec

from recio import manifest
from recio.adapters.postgres.stepped import SteppedDatabase
from recio.adapters.price_feeds.feed import FeedTick
from recio.domain.units import MINUTE_US, SECOND_US, USD_E6
from recio.exchange_simulator import app
from recio.exchange_simulator.memory import MemoryHttp
from recio.runtime import stepped
from recio.runtime.clock import SteppedClock
from recio.runtime.ids import SeededIds
from recio.runtime.metrics import Metrics, ProcessMetrics
from recio.runtime.service import ServiceContext

START_US = 1_722_361_680_000_000
"""13:48 in New York on a Tuesday: twelve minutes before a close."""
PRICE_USD_E6 = 66_000 * USD_E6


class Venue:
    """A venue whose price rises a dollar a second."""

    def __init__(self, name, clock):
        self.name = name
        self.clock = clock

    async def ticks(self):
        """Yield a trade each second."""
        while True:
            now_us = self.clock.market_us()
            rise = (now_us - START_US) // SECOND_US * USD_E6
            yield FeedTick(self.name, "BTC", PRICE_USD_E6 + rise, now_us, now_us)
            await self.clock.sleep_market(1.0)


class Candles:
    """A lively past: up and down a hundred dollars from minute to minute."""

    async def minutes(self, _symbol, start_us, end_us):
        """Return a close for each minute."""
        ends = range(start_us, end_us + 1, MINUTE_US)
        return [(at_us, PRICE_USD_E6 - at_us // MINUTE_US % 2 * 100 * USD_E6) for at_us in ends]


def context_of(clock, database_url):
    """Return what the exchange is handed in a live-priced paper environment."""
    owner = database_url.partition("//")[2].partition("@")[0]
    login = database_url.replace(f"//{owner}@", "//recio_exchange_simulator@", 1)
    access = SimpleNamespace(
        is_mirrored=False,
        price_feeds=lambda _symbol: (Venue("coinbase", clock), Venue("kraken", clock)),
        candles=lambda _symbol: Candles(),
    )
    return ServiceContext(
        row=manifest.service("exchange_simulator"),
        environment="paper",
        account=None,
        clock=clock,
        ids=SeededIds("live"),
        database=SteppedDatabase(login),
        bus=None,
        access=access,
        metrics=Metrics(ProcessMetrics(), service="exchange_simulator", account=None),
        log=logging.LoggerAdapter(logging.getLogger("test"), {}),
        settings={
            "RECIO_EXCHANGE_SIMULATOR_IS_LIVE": "true",
            "RECIO_EXCHANGE_SIMULATOR_IS_FINE": "false",
        },
    )


def test_markets_are_listed_and_quoted_around_the_venues_price(database_url):
    """After a minute the ladder's strikes lie around the told price and both sides are quoted."""
    loop = stepped.SteppedLoop()
    clock = SteppedClock(loop, START_US)
    context = context_of(clock, database_url)

    async def scenario():
        service = app.build(context)
        await service.recover()
        tasks = [asyncio.create_task(task()) for task in service.tasks]
        await clock.sleep_market(60)
        assert not any(task.done() for task in tasks)
        markets = await listed(service)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await context.database.close()
        return markets

    markets = stepped.run(scenario(), loop=loop)
    near = [m for m in markets if abs(m["floor_strike"] - 66_060) < 500]
    assert near
    assert any(0 < float(m["yes_bid_dollars"]) < float(m["yes_ask_dollars"]) < 1 for m in near), (
        near
    )


async def listed(service):
    """Return the open hourly markets as the exchange lists them."""
    http = MemoryHttp(service.asgi.gateway, service.asgi.feeds)
    reply = await http.request(
        "GET",
        "/trade-api/v2/markets?series_ticker=KXBTCD&status=open&limit=200",
        {},
        timeout_s=1,
    )
    return msgspec.json.decode(reply.body)["markets"]
