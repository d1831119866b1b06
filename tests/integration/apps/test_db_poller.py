"""The change feed on a real database."""

import asyncio

import psycopg
import pytest

from recio.apps.db_poller.app import TABLES, Hint, Pending, build
from recio.domain.errors import Unavailable

NOTIFY = "SELECT pg_notify('changes', %s)"


async def changes(context, count):
    """Return the next changes that are no retelling of everything."""
    found = []
    async for _, change in context.bus.subscribe("changes"):
        if change.row_id != "*" or change.table not in TABLES or change.account:
            found.append(change)
        if len(found) == count:
            return found
    return found


def test_a_committed_change_reaches_the_bus(make_context, run_tasks, database_url):
    """NOTIFY becomes a message with table, account and row."""
    context = make_context("db_poller")
    service = build(context)

    async def work():
        waiting = asyncio.create_task(changes(context, 1))
        while not service.readiness().is_ready:
            await asyncio.sleep(0.01)
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            await connection.execute(
                NOTIFY, ['{"table": "trading.trades", "account": "paper", "id": "7"}']
            )
        return await waiting

    (change,) = run_tasks(service, work)
    assert (change.table, change.account, change.row_id) == ("trading.trades", "paper", "7")
    assert change.at_us > 0


def test_a_start_tells_every_table_once(make_context, run_tasks):
    """Hints may have been lost while nobody listened."""
    context = make_context("db_poller")

    async def work():
        found = set()
        async for _, change in context.bus.subscribe("changes"):
            assert change.row_id == "*"
            found.add(change.table)
            if len(found) == len(TABLES):
                return found
        return found

    assert run_tasks(build(context), work) == set(TABLES)
    assert "trading.trades" in TABLES
    assert "ops.health" in TABLES


@pytest.mark.parametrize("payload", ["", "nonsense", "[]", '{"account": "x"}', '{"table": 5}'])
def test_a_hint_that_is_not_understood_is_dropped(make_context, run_tasks, database_url, payload):
    """The service goes on after any payload."""
    context = make_context("db_poller")
    service = build(context)

    async def work():
        waiting = asyncio.create_task(changes(context, 1))
        while not service.readiness().is_ready:
            await asyncio.sleep(0.01)
        async with await psycopg.AsyncConnection.connect(
            database_url, autocommit=True
        ) as connection:
            await connection.execute(NOTIFY, [payload])
            await connection.execute(NOTIFY, ['{"table": "x.y", "account": "*", "id": "1"}'])
        return await waiting

    (change,) = run_tasks(service, work)
    assert (change.table, change.account) == ("x.y", None)


def test_nothing_is_lost_while_the_bus_is_away(make_context, run_tasks):
    """What could not be told is kept and told when the bus is back."""
    context = make_context("db_poller")
    publish, failures = context.bus.publish, [1, 1]

    async def failing(topic, message):
        if failures:
            failures.pop()
            raise Unavailable("the bus is gone")
        await publish(topic, message)

    context.bus.publish = failing

    async def work():
        found = set()
        async for _, change in context.bus.subscribe("changes"):
            found.add(change.table)
            if len(found) == len(TABLES):
                return found
        return found

    assert run_tasks(build(context), work) == set(TABLES)


def test_many_rows_of_a_table_become_one_change():
    """At most 20 a second for each table: the first at once, the rest together."""
    pending = Pending(0.05)
    pending.add(Hint("t", "a", "1"))
    assert pending.due(10.0) == [Hint("t", "a", "1")]
    pending.add(Hint("t", "a", "2"))
    pending.add(Hint("t", "a", "2"))
    pending.add(Hint("u", "a", "9"))
    assert pending.due(10.01) == [Hint("u", "a", "9")]
    pending.add(Hint("t", "b", "3"))
    assert pending.wait_s(10.01) == pytest.approx(0.04)
    assert pending.due(10.05) == [Hint("t", None, "*")]
    assert pending.wait_s(10.06) is None
