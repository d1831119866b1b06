"""Each door while the others' support is gone. No operator runs here at all: all of it works so.

| away            | page and API | command | documents | breakers | `recio panic` |
|-----------------|--------------|---------|-----------|----------|---------------|
| the operator    | yes          | yes     | no        | yes      | yes           |
| Redis           | yes          | yes     | yes       | stay     | yes           |
| main_app        | no           | yes     | yes       | yes      | yes           |
| PostgreSQL      | no           | no      | no        | no       | yes           |
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from tests.kill_switch.release import ONE, PATIENCE_S, TWO, a_release

from recio.domain.intents import Source


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A release whose exchange does not stand on our database."""
    yield from a_release(tmp_path_factory, has_own_database=True)


@pytest.fixture
def no_redis(release):
    """Redis is away for a test."""
    release.redis.stop()
    yield
    release.redis.start()
    release.until_ready()


@pytest.mark.usefixtures("no_redis")
def test_without_redis_every_door_works(release):
    """Money and switches go through PostgreSQL only: refused, canceled and sold as ever."""
    trade = release.trade(ONE)
    release.rest(ONE, trade)
    release.by_api(ONE, "Halted")
    assert "person (one)" in release.answer(ONE)
    release.until_nothing_rests(ONE)
    release.by_command(ONE, "ReduceOnly")
    assert release.answer(ONE, trade=trade, source=Source.AUTO_STOP) == ""
    release.by_account(ONE, "NoNewEntries")
    release.by_fleet("*", "Flatten")
    release.until_flat(ONE)
    assert "fleet (*)" in release.answer(TWO)


def test_without_the_page_the_command_works(release):
    """main_app is killed -9: the command, the documents and the breakers need none of it."""
    trade = release.trade(ONE)
    release.kill("main_app")
    assert "in force is Halted" in release.by_command("*", "Halted", reason="the page is dead")
    assert "person (*): the page is dead" in release.answer(ONE)
    assert "person (*): the page is dead" in release.answer(TWO)
    release.by_account(ONE, "ReduceOnly")
    assert "released" not in release.by_command("*", "Active")
    assert release.held(ONE) == "ReduceOnly"
    assert release.answer(ONE, trade=trade, source=Source.AUTO_STOP) == ""
    release.start_again()


def test_with_everything_but_the_account_dead_a_halt_holds(release):
    """No page, no market data, no watchers, no Redis: the command halts and the executor cancels."""
    release.rest(ONE, release.trade(ONE))
    release.kill("main_app", "btc_price_watchdog", "system_monitor")
    release.redis.stop()
    release.by_command("*", "Halted")
    assert "Halted" in release.answer(ONE)
    release.until_nothing_rests(ONE)
    release.redis.start()
    release.by_command("*", "Active")
    release.start_again()


def test_panic_needs_nothing_but_the_key(release):
    """PostgreSQL and Redis are dead, orders rest, positions are held: one command ends it all.

    The services run on and know nothing of it. When the database is back they learn of the sales as
    facts, and the books are the exchange's to the micro-dollar.
    """
    for account in (ONE, TWO):
        release.rest(account, release.trade(account))
        assert release.positions(account)
    release.redis.stop()
    release.postgres.stop(is_immediate=True)
    # Within its bound the executor cancels by itself, from memory.
    release.until_nothing_rests(ONE)
    journals = panics(release, ONE, TWO)
    for account in (ONE, TWO):
        assert release.positions(account) == {}
        assert release.resting(account) == ()
    assert {"cancel all", "send", "reply"} <= {line["what"] for line in journals[0]}

    release.redis.start()
    release.start_postgres()
    release.until_ready()
    for account, journal in zip((ONE, TWO), journals, strict=True):
        release.until_flat(account)
        release.until_equal(account)
        sold = [line["client_order_id"] for line in journal if line["what"] == "send"]
        assert sold
        assert release.ask(
            "SELECT close_reason FROM trading.trades WHERE account = %s AND state = 'closed' "
            "ORDER BY number DESC LIMIT 1",
            account,
        ) == [("external: sold outside this system",)]


def panics(release, *accounts):
    """Run the command for each account as persons do, with nothing around; return the journals."""
    runs = [started(release, account) for account in accounts]
    try:
        for _, running in runs:
            said, _ = running.communicate(timeout=PATIENCE_S)
            assert running.returncode == 0, said
    finally:
        for running in (one for _, one in runs if one.poll() is None):
            running.kill()
            running.communicate(timeout=PATIENCE_S)
    return [[json.loads(line) for line in path.read_text().splitlines()] for path, _ in runs]


def started(release, account):
    """Start the command for an account; return its journal's path and the process."""
    journal = release.directory / f"{account}-{time.monotonic_ns()}.jsonl"
    key = str(release.credentials / account)
    words = ["panic", key, "--yes", "--url", release.exchange_url, "--journal", str(journal)]
    return journal, subprocess.Popen(
        [sys.executable, "-m", "recio", *words],
        env={"PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
