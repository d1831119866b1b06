"""Breakers on a real database, with the detector's own login."""

import asyncio
import dataclasses

import psycopg
import pytest

from recio.apps.cascading_failure_detector.app import CascadingFailureDetector, Settings
from recio.domain.errors import Unavailable
from recio.domain.messages import Health
from recio.domain.units import SECOND_US

READ_SWITCHES = "SELECT scope, source, state::text, author FROM trading.switches ORDER BY 1, 2"
READ_BREAKERS = "SELECT name, is_open, root_cause FROM ops.breakers ORDER BY 1"


class Hand:
    """A wall clock that a test moves."""

    def __init__(self):
        self.now_us = 1_800_000_000 * SECOND_US

    def market_us(self):
        """Market time is the same."""
        return self.now_us

    def wall_us(self):
        """Return the hand's position."""
        return self.now_us


@pytest.fixture
def detector(make_context):
    """A detector whose clock the test moves."""
    context = make_context("cascading_failure_detector")
    context = dataclasses.replace(context, clock=Hand())
    return CascadingFailureDetector(context, Settings())


def health(service, *, is_ready, account=None, reason="no fresh price"):
    """Return what the monitor says."""
    return Health(
        service=service,
        account=account,
        is_ready=is_ready,
        reason=reason,
        cpu_permille=None,
        memory_bytes=None,
        level="ok" if is_ready else "critical",
        at_us=0,
        seen_us=0,
    )


async def say(detector, rows, seconds):
    """Report the same for a while and let the detector write."""
    context = detector._context
    hearing = asyncio.create_task(detector.hear())
    for _ in range(0, seconds, 5):
        context.clock.now_us += 5 * SECOND_US
        for row in rows:
            await context.bus.publish("health", row)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await detector.write()
    hearing.cancel()
    await asyncio.gather(hearing, return_exceptions=True)


def rows(database_url, sql):
    """Return what the database holds."""
    with psycopg.connect(database_url) as connection:
        return connection.execute(sql).fetchall()


def test_a_lasting_failure_blocks_entries_and_is_released(detector, runner, database_url):
    """The switch and the breaker are one transaction, and only this source is touched."""
    watchdog = "btc_price_watchdog"

    async def scenario():
        await detector.recover()
        await say(detector, [health(watchdog, is_ready=True)], 10)
        await say(detector, [health(watchdog, is_ready=False)], 60)

    runner.run(scenario())
    source = f"breaker:{watchdog}"
    author = "cascading_failure_detector"
    assert rows(database_url, READ_SWITCHES) == [("*", source, "NoNewEntries", author)]
    assert rows(database_url, READ_BREAKERS) == [(watchdog, True, watchdog)]
    runner.run(say(detector, [health(watchdog, is_ready=True)], 60))
    assert rows(database_url, READ_SWITCHES) == [("*", source, "Active", author)]
    assert rows(database_url, READ_BREAKERS) == [(watchdog, False, watchdog)]


def test_an_open_breaker_survives_a_restart(detector, runner, database_url):
    """The next start takes up what is open and releases it only after a recovery."""

    async def scenario():
        await detector.recover()
        rows_ = [health("trade_executor", account="a", is_ready=False, reason="no lease")]
        await say(detector, rows_, 150)

    runner.run(scenario())
    assert rows(database_url, READ_BREAKERS) == [("trade_executor/a", True, "trade_executor/a")]
    assert rows(database_url, READ_SWITCHES)[0][:2] == ("a", "breaker:trade_executor")
    again = CascadingFailureDetector(detector._context, Settings())

    async def second():
        await again.recover()
        await say(again, [health("trade_executor", account="a", is_ready=True)], 60)

    runner.run(second())
    assert rows(database_url, READ_BREAKERS)[0][1] is False


def test_what_cannot_be_written_is_written_later(detector, runner, database_url):
    """The database is away when a breaker trips: the command waits, in order."""
    database = detector._context.database
    transaction = database.transaction

    def gone():
        raise Unavailable("the database is gone")

    async def scenario():
        await detector.recover()
        database.transaction = gone
        await say(detector, [health("trade_manager", account="a", is_ready=False)], 150)
        assert not detector.readiness().is_ready
        database.transaction = transaction
        await detector.write()

    runner.run(scenario())
    assert detector.readiness().is_ready
    assert rows(database_url, READ_BREAKERS) == [("trade_manager/a", True, "trade_manager/a")]


def test_what_is_no_service_is_passed_over(detector, runner, database_url):
    """The machine may be full and a name unknown: entries are not blocked by it."""

    async def scenario():
        await detector.recover()
        strange = [health("machine", is_ready=False), health("nobody", is_ready=False)]
        await say(detector, strange, 300)

    runner.run(scenario())
    assert rows(database_url, READ_SWITCHES) == []
