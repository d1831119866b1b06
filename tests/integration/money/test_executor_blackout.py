"""PostgreSQL is away: nothing goes out, what rests is canceled from memory, its return reconciles first."""

from __future__ import annotations

import asyncio
import time
from itertools import count
from uuid import UUID

import pytest
from tests.conftest import QUICK
from tests.integration.money.scene import Scene, context, login_url
from tests.integration.money.venue import COPIES, Venue

from recio.adapters.postgres import config
from recio.adapters.postgres.database import PostgresDatabase
from recio.adapters.postgres.migrate import migrate
from recio.apps.trade_executor.app import Executor
from recio.runtime.local.embedded import EmbeddedPostgres

_numbers = count(1)
CREATE = ("POST", "/portfolio/events/orders")


@pytest.fixture
def venue(module_database_url):
    """An account at the paper exchange, in virtual time."""
    return Venue(module_database_url, f"away-{next(_numbers)}")


def since(venue, at_us):
    """Return how long after a moment the last order was canceled at the exchange, in seconds."""
    ended = [order.updated_us for order in venue.own if order.status == "canceled"]
    return (max(ended) - at_us) / 1e6


@pytest.mark.parametrize("is_silent", [False, True], ids=["refusing", "silent"])
@pytest.mark.parametrize("wait_s", [0.0, 0.7, 1.4, 2.1, 2.8])
def test_what_rests_is_canceled_within_five_seconds(venue, wait_s, is_silent):
    """Whenever it happens in the rhythm of renewals, and however it is gone."""

    async def script():
        venue.process()
        await venue.rest_orders(6)
        await venue.by_hand(2)
        await asyncio.sleep(5 + wait_s)
        assert len(venue.resting()) == 8
        at_us = venue.clock.market_us()
        venue.lose_database(is_silent=is_silent)
        await asyncio.sleep(8)
        return at_us

    at_us = venue.play(script)

    assert venue.resting() == []
    assert since(venue, at_us) <= 5.0


@pytest.mark.parametrize("is_silent", [False, True], ids=["refusing", "silent"])
def test_nothing_goes_out_until_it_has_reconciled(venue, is_silent):
    """Of the first things that it does when the database is back, the last is to send."""

    async def script():
        process = venue.process()
        await venue.rest_orders(3)
        await asyncio.sleep(3)
        (first,) = await venue.scene.one(
            "SELECT order_id FROM trading.orders WHERE account = %s AND attempt = 1",
            venue.scene.account,
        )
        venue.lose_database(is_silent=is_silent)
        async with venue.scene.owner.transaction() as tx:
            await tx.execute(COPIES, 90, 90, first)
        venue.executor_wakes()
        await asyncio.sleep(20)
        said = process.service.readiness()
        sent = venue.wire.times(*CREATE)
        venue.wire.log.clear()
        venue.bring_database_back()
        await asyncio.sleep(45)
        return said, sent, await venue.scene.rows(
            "SELECT state::text, count(*) FROM trading.orders WHERE account = %s AND attempt > 1 "
            "GROUP BY 1 ORDER BY 1",
            venue.scene.account,
        )  # fmt: skip

    said, sent, states = venue.play(script)

    assert (said.is_ready, sent) == (False, 4)
    assert states == [("canceled", 3), ("resting", 1)]
    asked = [(method, path) for method, path, _ in venue.wire.log]
    assert asked.index(("GET", "/portfolio/orders")) < asked.index(CREATE)


def test_a_short_absence_cancels_nothing(venue):
    """A restart of two seconds is no reason to leave the book."""

    async def script():
        venue.process()
        await venue.rest_orders(3)
        await asyncio.sleep(3)
        for _ in range(3):
            venue.lose_database()
            await asyncio.sleep(2)
            venue.bring_database_back()
            await asyncio.sleep(4)

    venue.play(script)

    assert len(venue.resting()) == 3


def test_a_clock_that_jumps_and_a_process_that_stood_still_are_no_absence(venue):
    """The database was there all the time: what a person placed stays."""

    async def script():
        _, ice, _ = venue.process_on_ice()
        await venue.by_hand(2)
        await asyncio.sleep(5)
        ice.is_frozen = True
        await asyncio.sleep(15)
        ice.thaw()
        await asyncio.sleep(10)
        wall_us = venue.clock.wall_us
        venue.clock.wall_us = lambda: wall_us() + 3_600_000_000
        await asyncio.sleep(10)

    venue.play(script)

    assert len(venue.resting()) == 2


def test_an_order_whose_reply_could_not_be_written_is_canceled_too(venue):
    """It rests without a row that says so: the reply is remembered."""

    async def script():
        venue.process()
        first = await venue.enter()
        await asyncio.sleep(2)
        async with venue.scene.owner.transaction() as tx:
            await tx.execute(COPIES, 2, 2, first)
        venue.executor_wakes()
        await asyncio.sleep(0.03)
        venue.lose_database()
        await asyncio.sleep(2)
        rested = len(venue.resting())
        await asyncio.sleep(5)
        left = len(venue.resting())
        venue.bring_database_back()
        await asyncio.sleep(10)
        order_id = UUID(next(one.client_order_id for one in venue.own[1:]))
        return rested, left, await venue.outcome(order_id), await venue.events(order_id)

    rested, left, outcome, events = venue.play(script)

    assert (rested, left) == (1, 0)
    assert outcome == ("canceled", 0)
    assert [kind for kind, _ in events] == ["submitted", "unknown", "found"]


def test_a_passive_copy_cancels_nothing(venue):
    """It knows nothing of what rests and is not responsible for it."""

    async def script():
        first = venue.process()
        second = venue.process()
        await venue.by_hand(2)
        await asyncio.sleep(5)
        await first.kill()
        second.executor._epoch = None
        venue.lose_database()
        await asyncio.sleep(30)

    venue.play(script)

    assert len(venue.resting()) == 2


class Running:
    """Real time, market and wall alike, from the exchange's moment on."""

    def __init__(self, start_us):
        self._start_us = start_us
        self._begun_ns = time.monotonic_ns()

    def market_us(self):
        """Return the time."""
        return self._start_us + (time.monotonic_ns() - self._begun_ns) // 1000

    wall_us = market_us

    async def sleep_market(self, seconds):
        """Sleep."""
        await asyncio.sleep(seconds)

    sleep_wall = sleep_market


def test_a_real_server_that_is_stopped_and_started(servers_directory):
    """Stopped like a crash, with the executor on real connections in real time."""
    server = EmbeddedPostgres(servers_directory / "stopped", version=18, settings=QUICK)
    server.start()
    try:
        migrate(server.url())
        venue = Venue(server.url(), "stopped")
        at_us, states = asyncio.run(stopped_and_started(server, venue))
    finally:
        server.stop(is_immediate=True)

    assert venue.resting() == []
    assert since(venue, at_us) <= 5.0
    assert states == [("canceled", 4)]


async def stopped_and_started(server, venue):
    """Let an executor rest orders, stop the server, start it, and return what the rows say."""
    clock = Running(venue.clock.market_us())
    venue.loop.close()
    venue.clock = venue.gateway.clock = clock
    owner = PostgresDatabase(server.url(), connections=2)
    ours = PostgresDatabase(login_url(server.url(), config.account_login("stopped")), connections=4)
    venue.scene = Scene(owner, ours, "stopped")
    venue.scene.clock = clock
    await venue.open()
    port = PostgresDatabase(login_url(server.url(), config.account_login("stopped")), connections=4)
    made = context("trade_executor", port, clock, "stopped")
    service = Executor(made, "stopped", venue.client()).service()
    tasks = [asyncio.create_task(task()) for task in service.tasks]
    try:
        await venue.rest_orders(4)
        await until(lambda: len(venue.resting()) == 4)
        at_us = clock.market_us()
        await asyncio.to_thread(server.stop, is_immediate=True)
        await until(lambda: not venue.resting())
        await asyncio.to_thread(server.start)
        await until(lambda: service.readiness().is_ready)
        states = await venue.scene.rows(
            "SELECT state::text, count(*) FROM trading.orders WHERE attempt > 1 GROUP BY 1"
        )
        assert [task for task in tasks if task.done()] == []
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in (owner, ours, port):
            await one.close()
    return at_us, states


async def until(is_true):
    """Wait until something is so, at most a minute and a half."""
    async with asyncio.timeout(90):
        while not is_true():
            await asyncio.sleep(0.05)
