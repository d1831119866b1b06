"""The mirror beside a production that is played by an exchange of ours: equal books, honest gaps.

The recorded 15-minute market is production; the real adapter reads it through memory, with a key that
can only read, as a shadow process does.
"""

from __future__ import annotations

import asyncio
import logging

import pytest

from recio import manifest
from recio.domain.account_config import Mode
from recio.domain.errors import Broken
from recio.domain.units import SECOND_US
from recio.exchange_simulator import app
from recio.exchange_simulator.faults import ArmedRequest, RequestFault
from recio.runtime import stepped
from recio.runtime.access import Access
from recio.runtime.clock import SteppedClock
from recio.runtime.ids import SeededIds
from recio.runtime.local import production
from recio.runtime.local.keys import ensure_keys, ensure_read_key
from recio.runtime.local.start import World
from recio.runtime.metrics import Metrics, ProcessMetrics
from recio.runtime.service import ServiceContext
from recio.runtime.settings import ProcessSettings

EVENT = "KXBTC15M-26MAY130915"
TICKER = f"{EVENT}-15"
START_US = 1_778_677_235 * SECOND_US
"""13:00:35 UTC, when the recording's window has just opened."""
PLAYED = ("http://127.0.0.1:10", "ws://127.0.0.1:10")


class Rooms:
    """Production and its mirror, and the ways to them."""

    def __init__(self, keys):
        self.loop = stepped.SteppedLoop()
        self.clock = SteppedClock(self.loop, START_US)
        self.ids = SeededIds("mirror")
        self.keys = keys
        self.played = production.simulator_of(
            World(start_us=START_US, recording=TICKER, is_shadow=True), self.clock, self.ids
        )
        self.mirror = self.reading = self.access = None

    def http(self, _url):
        """Return the way to production."""
        return self.played.http()

    def websocket(self, _url):
        """Return the way to production."""
        return self.played.websockets()

    def play(self, script):
        """Run both beside a script."""

        async def whole():
            await self.played.recover()
            await ensure_read_key(self.played.http(), self.keys)
            service = self.build()
            tasks = [asyncio.create_task(self.played.run())]
            await service.recover()
            await ensure_keys(self.mirror.http(), self.keys, {"alice": 1000}, has_reader=False)
            tasks += [asyncio.create_task(task()) for task in service.tasks]
            await self.clock.sleep_market(3)
            try:
                return await script(self)
            finally:
                assert not any(task.done() for task in tasks)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await self.access.close()

        return stepped.run(whole(), loop=self.loop)

    def build(self):
        """Make the mirror's service as a process of mode shadow does."""
        settings = ProcessSettings(
            environment="shadow",
            mode=Mode.SHADOW,
            database_url="",
            redis_url="",
            credentials_dir=str(self.keys),
            series=("KXBTC15M",),
            exchange_rest_url="http://127.0.0.1:9",
            exchange_websocket_url="ws://127.0.0.1:9",
            market_rest_url=PLAYED[0],
            market_websocket_url=PLAYED[1],
        )
        self.access = Access(settings, clock=self.clock, ids=self.ids, transports=self)
        context = ServiceContext(
            row=manifest.service("exchange_simulator"),
            environment="shadow",
            account=None,
            clock=self.clock,
            ids=self.ids,
            database=None,
            bus=None,
            access=self.access,
            metrics=Metrics(ProcessMetrics(), service="exchange_simulator", account=None),
            log=logging.LoggerAdapter(logging.getLogger("test"), {}),
            settings={},
        )
        self.mirror, self.reading = app.build_mirror(context)
        return app.mirror_service_of(self.mirror, self.reading)

    def books(self):
        """Return production's book and the mirror's."""
        return tuple(one.exchange.external_levels(TICKER) for one in (self.played, self.mirror))


@pytest.fixture
def rooms(tmp_path):
    """Both, not yet running."""
    return Rooms(tmp_path)


def test_the_mirrors_book_is_productions_level_by_level(rooms):
    """Rule: the whole depth, the strike and the state, at any moment."""

    async def script(rooms):
        seen = []
        for _ in range(20):
            await rooms.clock.sleep_market(1.7)
            real, mirrored = rooms.books()
            assert mirrored == real
            seen.append(real)
        real, mirrored = (
            one.exchange.state.markets[TICKER] for one in (rooms.played, rooms.mirror)
        )
        assert mirrored.spec.floor_strike_usd_e6 == real.spec.floor_strike_usd_e6
        assert (mirrored.status, mirrored.close_us) == (real.status, real.close_us)
        assert mirrored.price_ranges == real.price_ranges
        return seen, rooms.reading.reason()

    seen, reason = rooms.play(script)
    assert sum(len(levels.yes) + len(levels.no) for levels in seen) > 100
    assert len({str(levels) for levels in seen}) > 10
    assert set(rooms.played.gateway.asked) == {"GET"}
    assert reason == ""


def test_a_lost_connection_leaves_nothing_to_take_until_it_is_back(rooms):
    """Rule: a book of the past is no book."""

    async def script(rooms):
        rooms.played.gateway.cut_all()
        await rooms.clock.sleep_market(0.1)
        lost = rooms.books()[1]
        reason = rooms.reading.reason()
        await rooms.clock.sleep_market(5)
        real, mirrored = rooms.books()
        assert mirrored == real
        return lost, reason

    lost, reason = rooms.play(script)
    assert (lost.yes, lost.no) == ((), ())
    assert reason == "not connected to the exchange's books"


def test_production_that_does_not_answer_is_told_and_asked_again(rooms):
    """Rule: the mirror says what it does not know, goes on with its books, and comes back."""

    async def script(rooms):
        plan = rooms.played.gateway.faults
        plan.arm_request(ArmedRequest(RequestFault.STATUS, count=1000, path="/exchange/status"))
        await rooms.clock.sleep_market(17)
        told = rooms.reading.reason()
        real, mirrored = rooms.books()
        assert mirrored == real
        plan.clear()
        await rooms.clock.sleep_market(60)
        return told, rooms.reading.reason()

    told, later = rooms.play(script)
    assert "cannot be read" in told
    assert later == ""


def test_the_mirror_settles_when_production_has(rooms):
    """Rule: same result, same value; the event is then read no more."""

    async def script(rooms):
        close_us = rooms.mirror.exchange.state.markets[TICKER].close_us
        await rooms.clock.sleep_market((close_us - rooms.clock.market_us()) / SECOND_US + 90)
        return [one.exchange.state.markets[TICKER] for one in (rooms.played, rooms.mirror)]

    real, mirrored = rooms.play(script)
    assert (real.status, mirrored.status) == ("finalized", "finalized")
    assert (mirrored.result, mirrored.expiration_value) == (real.result, real.expiration_value)
    assert not rooms.mirror.exchange.open_events()


def test_neither_the_key_nor_the_transport_lets_an_order_through(rooms):
    """Rule: two walls; the transport refuses before anything leaves, the read key could not anyway."""

    async def script(rooms):
        rest = rooms.access.market_rest()
        before = rooms.played.gateway.asked.total()
        with pytest.raises(Broken, match="only reads the real exchange"):
            await rest.cancel_all()
        return rooms.played.gateway.asked.total() - before

    assert rooms.play(script) == 0
