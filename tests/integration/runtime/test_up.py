"""`recio up` as a person runs it: start, page, restart of a killed service, stop, go on."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import psycopg
import pytest
from tests.integration.runtime.runs import RECIO, Run, TerminalRun, processes, state_in


@pytest.fixture
def state(servers_directory):
    """A state directory of its own with a short path."""
    return state_in(servers_directory)


@pytest.fixture
def up(state):
    """Start runs on one state directory; whatever a test leaves of them is ended."""
    runs = []

    def start(*words):
        runs.append(Run(state, "--port", "0", *words))
        return runs[-1]

    yield start
    for run in runs:
        run.kill()


def market_at(state):
    """Return where the environment's market time is stored to stand."""
    with psycopg.connect(f"postgresql://postgres@/recio?host={state}/postgres") as connection:
        return connection.execute("SELECT market_at FROM ops.environments").fetchone()[0]


def test_a_stranger_starts_stops_and_goes_on(up, state):
    """From nothing to a page; killed services come back; the second run has the same books."""
    first = up("--speed", "20")
    url = first.until(r"open (http://\S+)")[1]
    assert first.until(r"password (\S+)")[1]
    assert httpx.get(f"{url}/healthz").status_code == 200
    assert httpx.get(f"{url}/api/btc_price").json()["symbol"] == "BTC"
    doctor = subprocess.run(
        [*RECIO, "doctor", "--state", str(state)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert doctor.returncode == 0, doctor.stdout
    stopped_at = market_at(state)
    assert first.end() == 0
    assert processes(state) == []

    second = up("--speed", "20")
    second.until(r"open http")
    assert market_at(state) > stopped_at
    assert second.end() == 0
    assert not [line for line in second.said if "password" in line or "keys made" in line]


def test_a_killed_service_comes_back(up):
    """The others go on, and the page says so again within seconds."""
    run = up()
    run.until(r"open http")
    os.kill(services_of(run)[0], signal.SIGKILL)
    name = run.until(r"(\w+) ended \(signal SIGKILL\)")[1]
    run.until(rf"{name} is ready again")
    assert run.end() == 0


def test_a_closed_terminal_stops_everything(state):
    """SIGHUP is a stop like any other, though nobody can be told any more."""
    run = TerminalRun(state, "--port", "0")
    try:
        run.until("open http")
        assert processes(state)
        assert run.close_terminal() == 0
        assert processes(state) == []
    finally:
        run.kill()


def services_of(run):
    """Return the process ids of a run's services."""
    pid = run.pid
    listing = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    names = {int(child): Path(f"/proc/{child}/comm").read_text().strip() for child in listing}
    return [child for child, comm in names.items() if comm not in {"postgres", "redis-server"}]


def test_an_occupied_port_is_a_clear_error(up):
    """Before anything is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = up("--port", str(port))
        run.until(rf"cannot listen on 127\.0\.0\.1:{port}.*choose another port")
        assert run.status() == 1


def test_a_corrupted_database_directory_is_a_clear_error(up, state):
    """With the way out, and nothing is deleted."""
    data = state / "postgres/data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18")
    run = up()
    run.until(r"not a whole PostgreSQL data directory.*--fresh")
    assert run.status() == 1
    assert (data / "PG_VERSION").read_text() == "18"


def test_a_second_run_on_the_same_state_is_refused(up):
    """Two processes never write one account's books."""
    first = up()
    first.until("PostgreSQL")
    second = up()
    second.until("another `recio up` runs")
    assert second.status() == 1
    first.end()


def test_a_stepped_run_ends_with_equal_books(state):
    """A quarter of an hour, to settlement, in one process: cash equal to the micro-dollar."""
    done = subprocess.run(
        [*RECIO, "up", "--state", str(state), "--fast", "16m"],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"paper: [1-9]\d* trades, [1-9]\d* settled; .*: equal", done.stdout)
