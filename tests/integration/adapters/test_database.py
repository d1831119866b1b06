"""The Database port on a real PostgreSQL, live and stepped."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

import psycopg
import pytest

from recio.adapters.postgres.database import PostgresDatabase
from recio.adapters.postgres.failures import (
    CommitUnknown,
    DatabaseBroken,
    DatabaseRejected,
    DatabaseUnavailable,
)
from recio.adapters.postgres.stepped import SteppedDatabase
from recio.ports import Notification

NUMBER = UUID("80853845-8c14-8675-9318-9b640133675b")
MOMENT = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


class Colour(StrEnum):
    """Something that the database knows as an enum."""

    RED = "red"


@pytest.fixture(scope="module")
def address(postgres):
    """A database with one table, shared by the tests of this module."""
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE port_tests")
    url = postgres.url("port_tests")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TYPE colour AS ENUM ('red', 'green');"
            "CREATE TABLE things (id bigint PRIMARY KEY, small integer CHECK (small > 0), "
            "colour colour, at timestamptz, name uuid, data jsonb)"
        )
    return url


@pytest.fixture(params=["live", "stepped"])
def port(request, address, runner):
    """The port, both kinds."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("TRUNCATE things")
    made = PostgresDatabase(address) if request.param == "live" else SteppedDatabase(address)
    yield made
    runner.run(made.close())


async def count(port):
    """Return the number of rows."""
    async with port.transaction() as tx:
        row = await tx.fetch_one("SELECT count(*) FROM things")
    return row[0]


def test_values_come_back_as_they_went_in(port, runner):
    """Numbers, enums, times, identifiers, lists and NULL survive the way there and back."""

    async def scenario():
        async with port.transaction() as tx:
            touched = await tx.execute(
                "INSERT INTO things VALUES (%s, %s, %s, %s, %s, %s)",
                *(1, 2, Colour.RED, MOMENT, NUMBER, '{"a": [1, "100%"]}'),
            )
            rows = await tx.fetch(
                "SELECT small, colour, at, name, data, %s::text, 'x%%', %s FROM things "
                "WHERE id = ANY(%s)",
                *(None, 5_600, [1, 7]),
            )
        return touched, rows

    touched, rows = runner.run(scenario())
    expected = (2, "red", MOMENT, NUMBER, {"a": [1, "100%"]}, None, "x%", 5_600)
    assert touched == 1
    assert rows == [expected]


def test_numbers_are_computed_as_bigint(port, runner):
    """A price times a quantity does not overflow because both are small."""

    async def scenario():
        async with port.transaction() as tx:
            return await tx.fetch_one("SELECT %s * %s", 5_600, 10_000)

    assert runner.run(scenario()) == (56_000_000,)


def test_a_block_that_raises_is_rolled_back(port, runner):
    """Nothing of a transaction that failed is kept."""

    async def scenario():
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 (the whole block is meant)
            async with port.transaction() as tx:
                await tx.execute("INSERT INTO things (id) VALUES (1)")
                _ = 1 // 0
        return await count(port)

    assert runner.run(scenario()) == 0


def test_a_refused_row_names_its_constraint(port, runner):
    """A caller can tell which rule refused, and the connection is of use afterwards."""

    async def scenario():
        with pytest.raises(DatabaseRejected) as caught:
            async with port.transaction() as tx:
                await tx.execute("INSERT INTO things (id, small) VALUES (1, -1)")
        return caught.value, await count(port)

    error, rows = runner.run(scenario())
    assert (error.sqlstate, error.constraint, rows) == ("23514", "things_small_check", 0)


def test_a_statement_that_was_refused_at_its_first_use_works_at_its_second(port, runner):
    """The server keeps what it has prepared although running it failed; nothing is prepared twice."""
    sql = "INSERT INTO things (id, small) VALUES (%s, %s)"

    async def insert(small):
        async with port.transaction() as tx:
            await tx.execute(sql, 1, small)

    async def refused(statement):
        async with port.transaction() as tx:
            await tx.fetch("SELECT 1")
            await tx.fetch(statement)

    async def main():
        with pytest.raises(DatabaseRejected):
            await insert(0)
        # One that cannot even be prepared leaves no name behind.
        for _ in range(2):
            with pytest.raises(DatabaseBroken, match="nothing_such"):
                await refused("SELECT nothing_such FROM things")
        await insert(1)
        return await count(port)

    assert runner.run(main()) == 1


def test_a_refusal_cannot_be_swallowed_inside_the_block(port, runner):
    """A transaction with a refused statement is never reported as committed."""

    async def scenario():
        with pytest.raises(DatabaseRejected):  # noqa: PT012 (the commit is what raises)
            async with port.transaction() as tx:
                await tx.execute("INSERT INTO things (id) VALUES (1)")
                with pytest.raises(DatabaseRejected):
                    await tx.execute("INSERT INTO things (id) VALUES (1)")
        return await count(port)

    assert runner.run(scenario()) == 0


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ("SELEKT 1", ()),
        ("SELECT * FROM nowhere", ()),
        ("SELECT %s", ()),
        ("SELECT %s", (object(),)),
        ("SELECT %d", (1,)),
    ],
)
def test_a_statement_that_cannot_be_right_is_broken(port, runner, sql, params):
    """Mistakes of ours stop the process instead of being retried; the port survives them."""

    async def scenario():
        with pytest.raises(DatabaseBroken):
            async with port.transaction() as tx:
                await tx.fetch(sql, *params)
        return await count(port)

    assert runner.run(scenario()) == 0


def test_many_rows_are_one_round_trip(port, runner):
    """A batch larger than the socket's buffers goes through, and fails as a whole."""
    rows = [(number, number, "x" * 2_000) for number in range(1, 3_001)]
    insert = "INSERT INTO things (id, small, data) VALUES (%s, %s, to_jsonb(%s::text))"

    async def scenario():
        async with port.transaction() as tx:
            await tx.execute_many(insert, rows)
        with pytest.raises(DatabaseRejected):
            async with port.transaction() as tx:
                await tx.execute_many(insert, [(9_999, 1, ""), rows[0]])
        return await count(port)

    assert runner.run(scenario()) == 3_000


def test_a_killed_connection_is_unavailable_and_made_anew(port, runner, address):
    """When the server cuts a session the caller learns it, and the next transaction works."""

    async def scenario():
        with pytest.raises(DatabaseUnavailable):  # noqa: PT012 (the second statement raises)
            async with port.transaction() as tx:
                row = await tx.fetch_one("SELECT pg_backend_pid()")
                with psycopg.connect(address, autocommit=True) as other:
                    other.execute("SELECT pg_terminate_backend(%s)", row)
                await tx.execute("INSERT INTO things (id) VALUES (1)")
        return await count(port)

    assert runner.run(scenario()) == 0


def test_a_commit_without_an_answer_is_unknown(port, runner, address):
    """Nobody may take a commit that was not confirmed for one that failed."""

    async def scenario():
        with pytest.raises(CommitUnknown):  # noqa: PT012 (the commit is what raises)
            async with port.transaction() as tx:
                await tx.execute("INSERT INTO things (id) VALUES (1)")
                row = await tx.fetch_one("SELECT pg_backend_pid()")
                with psycopg.connect(address, autocommit=True) as other:
                    other.execute("SELECT pg_terminate_backend(%s)", row)

    runner.run(scenario())


def test_a_server_that_is_not_there_is_unavailable(runner, tmp_path):
    """The message says where it looked."""
    port = PostgresDatabase(f"postgresql://nobody@/none?host={tmp_path}")

    async def scenario():
        async with port.transaction():
            pass

    with pytest.raises(DatabaseUnavailable, match=str(tmp_path)):
        runner.run(scenario())


def test_a_cancelled_statement_leaves_the_port_usable(address, runner):
    """An answer that nobody waited for is never taken for another statement's."""

    async def scenario():
        port = PostgresDatabase(address)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), port.transaction() as tx:
                await tx.fetch("SELECT pg_sleep(5)")
        async with port.transaction() as tx:
            row = await tx.fetch_one("SELECT 7")
        await port.close()
        return row

    assert runner.run(scenario()) == (7,)


def test_transactions_share_the_connections(address, runner):
    """More transactions than connections wait for their turn and all are kept."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("TRUNCATE things")
    port = PostgresDatabase(address, connections=2)

    async def insert(number):
        async with port.transaction() as tx:
            await tx.execute("INSERT INTO things (id) VALUES (%s)", number)

    async def scenario():
        await asyncio.gather(*(insert(number) for number in range(20)))
        rows = await count(port)
        await port.close()
        return rows

    assert runner.run(scenario()) == 20


def test_hints_arrive_after_the_commit_and_once(port, runner):
    """A listener first hears that everything may have changed, then each hint once."""

    async def scenario():
        hints = port.listen("orders", "trades")
        heard = [await anext(hints)]
        async with port.transaction() as tx:
            await tx.execute("SELECT pg_notify('orders', 'paper'), pg_notify('facts', 'paper')")
            await tx.execute("SELECT pg_notify('orders', 'paper')")
            await tx.execute("SELECT pg_notify('trades', 'paper')")
        async with asyncio.timeout(60):
            heard += [await anext(hints), await anext(hints)]
        await hints.aclose()
        return heard

    assert runner.run(scenario()) == [
        Notification("", ""),
        Notification("orders", "paper"),
        Notification("trades", "paper"),
    ]


def test_a_rolled_back_transaction_gives_no_hint(port, runner):
    """Hints follow commits only."""

    async def scenario():
        hints = port.listen("orders")
        await anext(hints)
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 (the whole block is meant)
            async with port.transaction() as tx:
                await tx.execute("SELECT pg_notify('orders', 'undone')")
                _ = 1 // 0
        async with port.transaction() as tx:
            await tx.execute("SELECT pg_notify('orders', 'kept')")
        async with asyncio.timeout(60):
            heard = await anext(hints)
        await hints.aclose()
        return heard

    assert runner.run(scenario()) == Notification("orders", "kept")


def test_a_listener_hears_of_its_own_reconnection(address, runner):
    """After a cut connection everything may have changed."""

    async def scenario():
        port = PostgresDatabase(address, name="listener-test")
        hints = port.listen("orders")
        await anext(hints)
        with psycopg.connect(address, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'listener-test'"
            )
        async with asyncio.timeout(60):
            heard = await anext(hints)
        await hints.aclose()
        await port.close()
        return heard

    assert runner.run(scenario()) == Notification("", "")


def test_a_later_listener_shares_the_connection_and_starts_fresh(address, runner):
    """Each listener of a process is told at its start, whatever others heard before."""

    async def scenario():
        port = PostgresDatabase(address)
        first, second = port.listen("orders"), port.listen("trades")
        await anext(first)
        async with asyncio.timeout(60):
            heard = await anext(second)
        await first.aclose()
        await second.aclose()
        await port.close()
        return heard

    assert runner.run(scenario()) == Notification("", "")


def test_a_stepped_transaction_refuses_another_inside(address, runner):
    """Waiting for something else in a transaction would make a step that is not atomic."""
    port = SteppedDatabase(address)

    async def scenario():
        async with port.transaction():
            await count(port)

    with pytest.raises(DatabaseBroken):
        runner.run(scenario())
    runner.run(port.close())


def test_stepped_databases_of_several_logins_hear_each_other(address, runner):
    """In a stepped run a commit's hints reach every service at once, in order."""
    first = SteppedDatabase(address)
    second = SteppedDatabase(address, hints=first.hints)

    async def scenario():
        heard = second.listen("orders")
        await anext(heard)
        async with first.transaction() as tx:
            await tx.execute("SELECT pg_notify('orders', 'paper')")
        hint = await anext(heard)
        await heard.aclose()
        return hint

    assert runner.run(scenario()) == Notification("orders", "paper")
    runner.run(first.close())
    runner.run(second.close())
