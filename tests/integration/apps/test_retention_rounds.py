"""system_monitor's rounds of retention, with its own login on a real database."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest

from recio.apps.system_monitor.retention import Retention
from recio.apps.system_monitor.settings import Settings


@pytest.fixture
def retention(make_context, database_url):
    """Retention of one day on a database with two old decisions, each in a partition of its own."""
    with psycopg.connect(database_url) as owner:
        owner.execute(
            "INSERT INTO trading.accounts (account, environment, mode, created_at) "
            "VALUES ('paper', 'paper', 'paper', '2026-03-01Z')"
        )
        for day in (10, 11, 15):
            owner.execute(
                "INSERT INTO trading.decisions VALUES "
                "('paper', %s, 'entry', 'E', 1, %s::timestamptz, '')",
                [UUID(int=day), f"2026-03-{day}T12:00:00Z"],
            )
            owner.execute("SELECT * FROM ops.retain('trading.decisions', 300)")
    return Retention(make_context("system_monitor"), Settings(journal_days=1, decision_days=1))


def left(database_url):
    """Return how many decisions are left."""
    with psycopg.connect(database_url) as owner:
        return owner.execute("SELECT count(*) FROM trading.decisions").fetchone()[0]


def test_a_round_drops_what_is_old(retention, runner, database_url):
    """With the rights of the monitor and no others."""
    assert runner.run(retention.round())
    # The newest row lies in the rest: nobody had made its day when it came.
    assert left(database_url) == 2


def test_a_round_that_meets_a_lock_comes_again_soon(retention, runner, database_url):
    """It waits for nobody, and the measuring goes on."""
    with psycopg.connect(database_url) as writer:
        writer.execute("LOCK TABLE trading.decisions IN ROW EXCLUSIVE MODE")
        assert not runner.run(retention.round())
    assert left(database_url) == 3
    assert runner.run(retention.round())


def test_a_round_without_its_rights_is_told_and_not_repeated_at_once(
    retention, runner, database_url, caplog
):
    """A database of an older version: the next round is a whole pause later."""
    with psycopg.connect(database_url) as owner:
        owner.execute("DROP FUNCTION ops.retain")
    assert runner.run(retention.round())
    assert "cannot be kept to their days" in caplog.text
