"""A shadow run: real decisions on what production displays, imagined fills, no order there.

Production is played by an exchange simulator on the recorded 15-minute market; the shadow reads it
with a key that can only read.
"""

from __future__ import annotations

import re
import subprocess
import time

import psycopg
import pytest
import yaml
from tests.integration.runtime.runs import RECIO, Run, state_in

from recio.runtime.local.options import EXAMPLE_FOLDER

WAIT_S = 150.0


@pytest.fixture
def state(servers_directory):
    """A state directory of its own with a short path."""
    return state_in(servers_directory)


def recio(*words):
    """Run a command to its end."""
    return subprocess.run(
        [*RECIO, *words], capture_output=True, text=True, timeout=240, check=False
    )


def settled(state):
    """Return how many trades are settled, and the mode and environment of their account."""
    where = f"postgresql://postgres@/recio?host={state}/postgres"
    with psycopg.connect(where) as connection:
        return connection.execute(
            "SELECT count(*) FILTER (WHERE t.state = 'settled'), min(a.mode::text), "
            "min(a.environment) FROM trading.accounts a LEFT JOIN trading.trades t USING (account)"
        ).fetchone()


def test_a_stepped_shadow_trades_settles_and_its_books_are_equal(state):
    """Rule: decide, be filled from the mirrored book, be paid by production's result; equal cash."""
    done = recio("up", "--state", str(state), "--shadow", "--recording", "--fast", "16m")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"paper-15m: [1-9]\d* trades, [1-9]\d* settled; .*: equal", done.stdout)
    assert re.search(r"production was asked [1-9]\d* times, only to be read", done.stdout)


def test_any_document_becomes_a_shadow_and_stays_one(state, tmp_path):
    """Rule: the strategy that is to trade money is tried as it is, without its arming or key."""
    document = yaml.safe_load((EXAMPLE_FOLDER / "prod-account.yaml").read_text())
    path = tmp_path / "prod.yaml"
    path.write_text(yaml.safe_dump(document))
    words = ("up", "--state", str(state), "--account-file", str(path))
    refused = recio(*words, "--fast", "1m")
    assert refused.returncode == 1
    assert "with --shadow it runs any document as a shadow" in refused.stderr
    done = recio(*words, "--shadow", "--fast", "1m")
    assert done.returncode == 0, done.stdout + done.stderr


def test_real_processes_send_production_nothing_but_reads(state):
    """Rule: over real connections: a trade is settled, and every request to production was a GET."""
    run = Run(state, "--port", "0", "--shadow", "--recording", "--speed", "20")
    try:
        run.until("open http")
        deadline = time.monotonic() + WAIT_S
        while not (found := settled(state))[0]:
            assert time.monotonic() < deadline, found
            time.sleep(0.5)
        assert found[1:] == ("shadow", "shadow")
        assert run.end() == 0
    finally:
        run.kill()
    log = (state / "logs" / "production.jsonl").read_text()
    assert re.search(r"production was asked [1-9]\d* times, only to be read", log)
