"""A shadow run: real decisions on what production displays, imagined fills, no order there.

Production is played by an exchange simulator on the recorded 15-minute market; the shadow reads it
with a key that can only read.
"""

from __future__ import annotations

import re
import subprocess
import time

import httpx
import psycopg
import pytest
import yaml
from tests.integration.runtime.runs import RECIO, Run, state_in

from recio.runtime.local.embedded import EmbeddedPostgres
from recio.runtime.local.options import EXAMPLE_FOLDER

WAIT_S = 150.0
WISH = {
    "account": "paper-15m",
    "purpose": "entry",
    "market_ticker": "KXBTC15M-26MAY130915-15",
    "qty_e2": 100,
    "slippage_e4": 2000,
}


@pytest.fixture
def state(servers_directory):
    """A state directory of its own with a short path."""
    return state_in(servers_directory)


def recio(*words):
    """Run a command to its end."""
    return subprocess.run(
        [*RECIO, *words], capture_output=True, text=True, timeout=240, check=False
    )


def sql(state, statement):
    """Ask the database of a run."""
    with psycopg.connect(f"postgresql://postgres@/recio?host={state}/postgres") as connection:
        return connection.execute(statement).fetchall()


def test_a_stepped_shadow_trades_settles_and_its_books_are_equal(state):
    """Rule: decide, be filled from the mirrored book, be paid by production's result; equal cash."""
    done = recio("up", "--state", str(state), "--shadow", "--recording", "--fast", "16m")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"paper-15m: [1-9]\d* trades, [1-9]\d* settled; .*: equal", done.stdout)
    assert re.search(r"production was asked [1-9]\d* times, only to be read", done.stdout)
    server = EmbeddedPostgres(state / "postgres")
    server.start()
    try:
        check_card(recio("card", "--state", str(state)).stdout)
    finally:
        server.stop()


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


def check_card(told):
    """Every number of the day's card is known: the decision, its ask and the result are kept."""
    assert "paper-15m (shadow)" in told
    (day,) = re.findall(r"2026-05-13 .*", told)
    assert " -  " not in day
    assert not day.endswith(" -")
    assert "0.2 h watched" in told or "0.3 h watched" in told
    assert "compared); too few to prove anything" in told


def buy(page, password, state):
    """Buy a contract of each side by hand until a trade is open: the market may be far or closed."""
    with httpx.Client(base_url=page, headers={"origin": page}, timeout=20) as client:
        login = {"username": "admin", "password": password}
        assert client.post("/api/auth/login", json=login).status_code == 200
        deadline = time.monotonic() + WAIT_S
        while not sql(state, "SELECT 1 FROM trading.trades WHERE filled_qty_e2 > 0"):
            assert time.monotonic() < deadline
            for side in ("yes", "no"):
                order(client, {**WISH, "side": side})
            time.sleep(0.5)


def order(client, wish):
    """Confirm what the preview shows, if it shows anything."""
    seen = client.post("/api/preview", json=wish)
    if seen.status_code == 200:
        shown = seen.json()
        client.post(
            "/api/intents",
            json={**wish, "limit_price_e4": shown["limit_price_e4"]},
            headers={"idempotency-key": shown["idempotency_key"]},
        )


@pytest.mark.timeout(540)
def test_real_processes_send_production_nothing_but_reads(state):
    """Rule: over real connections: a trade is settled, and every request to production was a GET."""
    run = Run(state, "--port", "0", "--shadow", "--recording", "--speed", "10")
    try:
        page = run.until(r"open (http://\S+)")[1]
        buy(page, run.until(r"password (\S+)")[1], state)
        deadline = time.monotonic() + WAIT_S
        while not sql(state, "SELECT 1 FROM trading.trades WHERE state = 'settled'"):
            assert time.monotonic() < deadline
            time.sleep(0.5)
        assert sql(state, "SELECT mode::text, environment FROM trading.accounts") == [
            ("shadow", "shadow")
        ]
        told = recio("card", "--state", str(state))
        assert "paper-15m (shadow)" in told.stdout
        assert re.search(r"2026-05-13 +\d+\.\d h +[1-9]", told.stdout), told.stdout + told.stderr
        assert run.end() == 0
    finally:
        run.kill()
    log = (state / "logs" / "production.jsonl").read_text()
    assert re.search(r"production was asked [1-9]\d* times, only to be read", log)
