"""Retention: partitions by day are made ahead and dropped whole, never while somebody needs them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from recio.adapters.postgres import migrate, retention
from recio.adapters.postgres.database import PostgresDatabase
from recio.adapters.postgres.retention import Keep

DAY = datetime(2026, 3, 10, 12, tzinfo=UTC)
TABLES = ("market.journal", "trading.journal", "trading.decisions")


def account(connection: psycopg.Connection, name: str = "paper") -> None:
    """Make an account and its environment."""
    connection.execute(
        "INSERT INTO ops.environments (environment, t0_us, m0_ns, speed, boot_id, market_at) "
        "VALUES (%s, 0, 0, 1, '', 'epoch') ON CONFLICT DO NOTHING",
        [name],
    )
    connection.execute(
        "INSERT INTO trading.accounts (account, environment, mode, created_at) "
        "VALUES (%s, %s, 'paper', %s)",
        [name, name, DAY],
    )


def fill(connection: psycopg.Connection, day: int, name: str = "paper") -> None:
    """Write one row into each table, so many days after the first."""
    at, number = DAY + timedelta(days=day), day + 1000 * len(name)
    for table in TABLES[:2]:
        connection.execute(
            f"INSERT INTO {table} VALUES (%s, 'h', %s, 1, %s, 1, 1, sha256(''), '')",
            [name, UUID(int=number), at],
        )
    connection.execute(
        "INSERT INTO trading.decisions VALUES (%s, %s, 'entry', 'E', 1, %s, '')",
        [name, UUID(int=number), at],
    )


def days_left(connection: psycopg.Connection, table: str) -> list[int]:
    """Return which days still have rows."""
    column = "at" if table == "trading.decisions" else "first_at"
    rows = connection.execute(f"SELECT {column} FROM {table} ORDER BY 1").fetchall()
    return [(at - DAY).days for (at,) in rows]


def retain(connection: psycopg.Connection, keep_days: int, table: str) -> list[tuple[str, str]]:
    """Call the function as the service that may."""
    connection.execute("SET ROLE recio_system_monitor")
    rows = connection.execute("SELECT * FROM ops.retain(%s, %s)", [table, keep_days]).fetchall()
    connection.execute("RESET ROLE")
    return rows


@pytest.fixture
def owner(database_url: str):
    """The superuser's connection to a fresh database with one account."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        account(connection)
        yield connection


def pass_days(owner: psycopg.Connection, days: int, *, keep: int = 4) -> None:
    """Let the days go by, with a round of retention on each."""
    for day in range(days):
        fill(owner, day)
        for table in TABLES:
            retain(owner, keep, table)


@pytest.mark.parametrize("table", TABLES)
def test_days_are_dropped_whole_when_they_are_old(owner, table):
    """Four days before the newest row stay, to the day; the first days lay in the rest."""
    pass_days(owner, 12)
    assert days_left(owner, table) == [7, 8, 9, 10, 11]
    assert retain(owner, 4, table) == []


@pytest.mark.parametrize("table", TABLES)
def test_a_day_has_its_partition_before_it_comes(owner, table):
    """Only the day of the very first row lies in the rest."""
    fill(owner, 0)
    made = retain(owner, 4, table)
    assert [action for action, _ in made] == ["made"] * 2
    fill(owner, 1)
    name = made[0][1]
    rows = owner.execute(f"SELECT count(*) FROM {table} WHERE tableoid = %s::regclass", [name])
    assert rows.fetchone() == (1,)


@pytest.mark.parametrize("table", TABLES)
def test_what_an_open_trade_needs_stays(owner, table):
    """From an hour before it was made on, for as long as it is not over."""
    fill(owner, 0)
    owner.execute("SET session_replication_role = replica")
    owner.execute(
        "INSERT INTO trading.trades (trade_id, account, number, state, source, strategy, symbol, "
        "event_ticker, market_ticker, side, close_at, wanted_qty_e2, created_at, changed_at) "
        "VALUES (%s, 'paper', 1, 'open', 'auto_entry', 'HourlyHTC', 'BTC', 'E', 'E-T1', 'yes', "
        "%s, 100, %s, %s)",
        [UUID(int=7), DAY, DAY + timedelta(days=3), DAY],
    )
    owner.execute("SET session_replication_role = origin")
    for day in range(1, 12):
        fill(owner, day)
        retain(owner, 4, table)
    assert days_left(owner, table) == list(range(3, 12))
    owner.execute("SET session_replication_role = replica")
    owner.execute("DELETE FROM trading.trades")
    owner.execute("SET session_replication_role = origin")
    retain(owner, 4, table)
    assert days_left(owner, table) == [7, 8, 9, 10, 11]


@pytest.mark.parametrize("table", TABLES)
def test_an_environment_of_another_time_keeps_its_own_days(owner, table):
    """A recording of years ago beside live trading: each counts from its own newest row."""
    account(owner, "older")
    for day in range(8):
        fill(owner, day - 400, "older")
        fill(owner, day)
        retain(owner, 4, table)
    assert days_left(owner, table) == [*range(-397, -392), *range(3, 8)]


@pytest.mark.parametrize("table", TABLES)
def test_a_lock_that_is_held_is_not_waited_for(owner, database_url, table):
    """Exits write decisions: nobody may stand in their way for long. The next round goes on."""
    pass_days(owner, 5, keep=30)
    with psycopg.connect(database_url) as writer:
        fill(writer, 5)
        told = retain(owner, 2, table)
        assert told
        assert {action for action, _ in told} == {"busy"}
        assert days_left(owner, table) == [0, 1, 2, 3, 4]
    assert "dropped" in {action for action, _ in retain(owner, 2, table)}


def test_only_the_monitor_may_call_it(owner):
    """And only for these tables, with at least a day."""
    for role in ("recio_account", "recio_main_app"):
        owner.execute(f"SET ROLE {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner.execute("SELECT * FROM ops.retain('market.journal', 1)")
        owner.execute("RESET ROLE")
    for table, days in (("trading.trades", 5), ("market.journal", 0)):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="expected market"):
            retain(owner, days, table)


def test_new_partitions_show_an_account_only_its_own_rows(owner):
    """Nobody is granted a partition itself, and row security holds through the parent."""
    account(owner, "retained")
    pass_days(owner, 3)
    owner.execute("CREATE ROLE recio_account_retained LOGIN")
    owner.execute("GRANT recio_account TO recio_account_retained")
    owner.execute("SET SESSION AUTHORIZATION recio_account_retained")
    assert days_left(owner, "trading.decisions") == days_left(owner, "trading.journal") == []
    for table in ("trading.decisions", "trading.journal", "market.journal"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner.execute(f"SELECT * FROM {table}_20260311")
    owner.execute("RESET SESSION AUTHORIZATION")


def test_the_adapter_keeps_each_table_as_long_as_it_is_told(owner, database_url):
    """Journals for some days, decisions for more; what was done comes back."""
    for day in range(9):
        fill(owner, day)
        for table in TABLES:
            retain(owner, 30, table)

    async def work() -> list[retention.Done]:
        database = PostgresDatabase(database_url)
        try:
            return await retention.retain(database, Keep(journal_days=2, decision_days=5))
        finally:
            await database.close()

    done = asyncio.run(work())
    assert {one.action for one in done} == {"dropped"}
    assert [len(days_left(owner, table)) for table in TABLES] == [3, 3, 6]


def test_an_upgrade_keeps_what_is_there(postgres, tmp_path):
    """Rows of before stay readable; the code of before writes on; they are dropped when old."""
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE retention_upgrade")
    url = postgres.url("retention_upgrade")
    before = tmp_path / "before"
    before.mkdir()
    for path in migrate.directory().glob("00*.sql"):
        if path.name < "0011":
            Path(before / path.name).write_bytes(path.read_bytes())
    migrate.migrate(url, folder=before)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        account(connection)
        fill(connection, 0)
        migrate.migrate(url)
        for table in TABLES:
            assert days_left(connection, table) == [0]
        for day in range(1, 12):
            fill(connection, day)
            for table in TABLES:
                retain(connection, 4, table)
        for table in TABLES:
            assert days_left(connection, table) == [7, 8, 9, 10, 11]
