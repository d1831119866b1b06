"""The whole product in virtual time: from price tick to settled trade, with real PostgreSQL.

Each test runs the command a person would run, and then looks into the database it left.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from recio.runtime.local.embedded import EmbeddedPostgres

ROOT = Path(__file__).resolve().parents[3]
EQUAL = re.compile(
    r"cash at the exchange \$(\d+\.\d{6}), in our ledger \$(\d+\.\d{6}): equal", re.MULTILINE
)


def up(state: Path, *options: str) -> str:
    """Run ``recio up`` to its end and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "recio", "up", "--state", str(state), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def books(state: Path) -> Iterator[psycopg.Connection]:
    """Open the database that a run left."""
    server = EmbeddedPostgres(state / "postgres")
    server.start()
    try:
        with psycopg.connect(server.url("recio")) as connection:
            yield connection
    finally:
        server.stop()


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with a path short enough for a Unix socket."""
    return tmp_path_factory.mktemp("s")


def test_an_hour_ends_with_settled_trades_and_equal_books(state: Path) -> None:
    """From tick to settlement; cash equals the exchange's to the last micro-dollar."""
    printed = up(state, "--fast", "20m")
    assert EQUAL.search(printed), printed
    with books(state) as connection:
        trades = connection.execute(
            "SELECT pnl_usd_e6, settlement_usd_e6 + exit_proceeds_usd_e6 - entry_cost_usd_e6 "
            "- fees_usd_e6 FROM trading.trades WHERE state = 'settled'"
        ).fetchall()
        assert trades, "no trade settled: " + printed
        assert all(pnl == recomputed for pnl, recomputed in trades)
        ledger, totals, exchange = connection.execute(
            "SELECT (SELECT sum(amount_usd_e6) FROM trading.ledger_postings WHERE book = 'cash'), "
            "(SELECT cash_usd_e6 FROM trading.totals), "
            "(SELECT exchange_usd_e6 FROM trading.balances ORDER BY at DESC LIMIT 1)"
        ).fetchone()
        assert ledger == totals == exchange


def test_a_run_in_two_parts_goes_on_where_it_stopped(state: Path) -> None:
    """A second start has the same books, exchange state and market time, and stays equal."""
    first = up(state, "--fast", "8m")
    with books(state) as connection:
        (stopped_at,) = connection.execute("SELECT market_at FROM ops.environments").fetchone()
        held = connection.execute("SELECT count(*) FROM trading.trades").fetchone()
    second = up(state, "--fast", "10m")
    assert f"from {stopped_at:%Y-%m-%dT%H:%M}" in second, first + second
    assert EQUAL.search(second), second
    with books(state) as connection:
        open_past_close = connection.execute(
            "SELECT count(*) FROM trading.trades t, ops.environments e "
            "WHERE t.state IN ('open', 'closing') AND t.close_at < e.market_at"
        ).fetchone()
        now_held = connection.execute("SELECT count(*) FROM trading.trades").fetchone()
        twice = connection.execute(
            "SELECT client_order_id FROM exchange_sim.orders GROUP BY client_order_id "
            "HAVING count(*) > 1"
        ).fetchall()
    assert open_past_close == (0,)
    assert now_held >= held
    assert twice == []


def test_the_recorded_market_runs_to_its_real_settlement(state: Path) -> None:
    """KXBTC15M-26MAY130915-15: strike 80193.52, settled at 80285.68, yes (recorded)."""
    printed = up(state, "--recording", "26MAY130915-15", "--fast", "20m")
    assert EQUAL.search(printed), printed
    with books(state) as connection:
        market = connection.execute(
            "SELECT strike_usd_e6, settlement_value_usd_e6, result FROM market.markets "
            "WHERE ticker = 'KXBTC15M-26MAY130915-15'"
        ).fetchone()
        settled = connection.execute(
            "SELECT side, settlement_usd_e6 = 10000 * filled_qty_e2 FROM trading.trades "
            "WHERE state = 'settled'"
        ).fetchall()
    assert market == (80_193_520_000, 80_285_680_000, "yes")
    assert settled == [("yes", True)]
