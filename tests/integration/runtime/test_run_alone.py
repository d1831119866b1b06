"""`recio run` with nothing but variables, as a container starts it: no local runner has prepared."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import psycopg
import pytest

START_S = 120.0
STOP_S = 90


def free_port():
    """Return a port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Pod:
    """One `recio run` process with variables of its own; ``log``: where it writes.

    It writes to a file in any case: nobody reads a pipe before the end, and a full one stops it.
    """

    def __init__(self, *services, port=0, log=None, **variables):
        self.port = port or free_port()
        self.log = log.open("w+") if log else tempfile.TemporaryFile("w+")  # noqa: SIM115
        values = {f"RECIO_{name.upper()}": value for name, value in variables.items()}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "recio", "run", *services],
            env={
                "PATH": "/usr/bin:/bin",
                "RECIO_ENVIRONMENT": "paper",
                "RECIO_MODE": "paper",
                "RECIO_HTTP_HOST": "127.0.0.1",
                "RECIO_HTTP_PORT": str(self.port),
                **values,
            },
            stdin=subprocess.DEVNULL,
            stderr=self.log,
        )

    def ask(self, path):
        """Return status and document of a probe; None while nobody listens."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as reply:
                return reply.status, json.load(reply)
        except HTTPError as error:
            return error.code, json.load(error)
        except (URLError, ConnectionError, TimeoutError):
            return None

    def until(self, status, word=""):
        """Wait until /readyz answers so, with a word in its reasons; return the answer."""
        deadline = time.monotonic() + START_S
        while True:
            found = self.ask("/readyz")
            if found is not None and found[0] == status and word in json.dumps(found[1]):
                return found[1]
            assert self.process.poll() is None, self._told()
            assert time.monotonic() < deadline, (
                f"no {status} {word!r} within {START_S:g} s: {found}"
            )
            time.sleep(0.05)

    def stop(self):
        """End it as a kubelet does; return its status and its log."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_S)
            raise AssertionError(f"not ended {STOP_S} s after SIGTERM:\n{self._told()}") from None
        told = self._told()
        self.log.close()
        return self.process.returncode, told

    def _told(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read()


@pytest.fixture
def pod(database_url, redis_url):
    """Start services as pods; the database's address names no user."""
    url = database_url.replace("postgres@", "")
    made = []

    def start(*services, **variables):
        given = {"database_url": url, "redis_url": redis_url, **variables}
        made.append(Pod(*services, **given))
        return made[-1]

    yield start
    for one in made:
        one.process.kill()
        if not one.log.closed:
            one.stop()


def test_the_exchange_begins_market_time_and_goes_on_after_a_restart(pod, database_url):
    """Whoever waits for market time is alive, not ready, and says so."""
    waiting = pod("db_poller")
    waiting.until(503, "has no clock yet")
    assert waiting.ask("/healthz")[0] == 200

    first = pod("exchange_simulator")
    first.until(200)
    waiting.until(200)
    assert first.stop()[0] == 0
    with psycopg.connect(database_url) as connection:
        line = connection.execute("SELECT t0_us, w0_us, speed FROM ops.environments").fetchall()
        seen = connection.execute("SELECT market_at FROM exchange_sim.exchange").fetchone()
    second = pod("exchange_simulator")
    second.until(200)
    assert second.stop()[0] == 0
    with psycopg.connect(database_url) as connection:
        again = connection.execute("SELECT t0_us, w0_us, speed FROM ops.environments").fetchall()
        later = connection.execute("SELECT market_at FROM exchange_sim.exchange").fetchone()
    assert line == again
    assert later > seen
    assert waiting.stop()[0] == 0


def test_a_missing_setting_is_one_clear_line(database_url):
    """Not a trace: what is missing, by the variable's name."""
    done = subprocess.run(
        [sys.executable, "-m", "recio", "run", "trade_manager"],
        env={"PATH": os.defpath, "RECIO_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "RECIO_ENVIRONMENT is missing" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_process_waits_for_a_database_that_is_away_and_ends_when_told(pod, tmp_path):
    """It neither gives up nor hangs."""
    nowhere = pod("trade_manager", account="paper", database_url=f"postgresql:///x?host={tmp_path}")
    nowhere.until(503, "cannot connect to PostgreSQL")
    status, log = nowhere.stop()
    assert status == 0
    assert log.count("cannot start yet") == 1
