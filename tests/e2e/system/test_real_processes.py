"""The real processes, PostgreSQL and Redis: every service killed -9 in the middle of a trade.

Market time runs twenty times as fast as the wall, so that a close comes within seconds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from tests.integration.runtime.runs import BY_DEFAULT, RECIO, STOP_S, kill_all

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 120.0


class System:
    """One ``recio up`` in the background and its database."""

    def __init__(self, state: Path, log: Path) -> None:
        self.log = log
        with log.open("w") as output:
            self._process = subprocess.Popen(
                [*BY_DEFAULT, *RECIO, "up", "--state", str(state), "--port", "0", "--speed", "20"],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._state = state
        self._url = f"postgresql://postgres@/recio?host={state}/postgres"

    def ask(self, sql: str) -> list[tuple]:
        """Return the rows of a query."""
        with psycopg.connect(self._url) as connection:
            return connection.execute(sql).fetchall()

    def wait(self, what: str, is_there: Callable[[], object]) -> None:
        """Wait until something holds; fail with what was printed if it does not in time."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self.log.read_text()
            try:
                if is_there():
                    return
            except psycopg.Error:
                pass  # The server is starting.
            # A wait on a real system of processes, not on virtual time.
            time.sleep(0.1)
        pytest.fail(f"no {what} within {PATIENCE_S} s:\n{self.log.read_text()}")

    def kill_services(self) -> int:
        """Kill every service process at once, as a lost machine would."""
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        services = [
            int(child)
            for child in children
            if Path(f"/proc/{child}/comm").read_text().strip() not in {"postgres", "redis-server"}
        ]
        for child in services:
            os.kill(child, signal.SIGKILL)
        return len(services)

    def end(self) -> None:
        """Press Ctrl-C."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            pytest.fail(f"recio up did not end within {STOP_S} s:\n{self.log.read_text()}")
        finally:
            kill_all(self._process, self._state)


@pytest.fixture
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A running system, ended afterwards."""
    directory = tmp_path_factory.mktemp("r")
    made = System(directory / "s", directory / "up.log")
    yield made
    made.end()


@pytest.mark.timeout(3 * PATIENCE_S + 2 * STOP_S)
def test_a_trade_survives_the_death_of_every_service(system: System) -> None:
    """Killed with a position open, all come back: it settles once, and the books are equal."""
    system.wait(
        "open trade", lambda: system.ask("SELECT 1 FROM trading.trades WHERE state = 'open'")
    )
    held = system.ask("SELECT trade_id FROM trading.trades WHERE state = 'open'")
    assert system.kill_services() >= 10
    system.wait(
        "settled trade",
        lambda: system.ask(
            f"SELECT 1 FROM trading.trades WHERE trade_id = '{held[0][0]}' "
            "AND state IN ('settled', 'closed')"
        ),
    )
    system.wait(
        "comparison of cash after the settlement",
        lambda: system.ask(
            "SELECT 1 FROM trading.balances WHERE exchange_usd_e6 = ledger_usd_e6 "
            "AND at > (SELECT max(at) FROM trading.ledger_transactions WHERE kind <> 'opening')"
        ),
    )
    assert (
        system.ask("SELECT client_order_id FROM exchange_sim.orders GROUP BY 1 HAVING count(*) > 1")
        == []
    )
    assert (
        system.ask(
            "SELECT o.order_id FROM trading.orders o WHERE o.state IN ('executed', 'canceled') "
            "AND o.booked_qty_e2 <> o.filled_qty_e2"
        )
        == []
    )
    assert system.ask("SELECT sum(amount_usd_e6) FROM trading.ledger_postings") == [(0,)]
