"""All services as containers run them, each process by itself, while what they stand on goes away.

Nothing prepares or restarts them: no process may end, and all must be at work again soon.
"""

from __future__ import annotations

import asyncio
import time

import psycopg
import pytest
from tests.integration.money.scene import document
from tests.integration.runtime.test_run_alone import Pod

from recio import manifest
from recio.adapters.postgres import config, status
from recio.adapters.postgres.database import PostgresDatabase
from recio.adapters.transport.client import HttpClient
from recio.domain.account_config import Mode
from recio.manifest import Scope
from recio.runtime.clock import AcceleratedClock, load_market_time
from recio.runtime.local.embedded import EmbeddedPostgres, EmbeddedRedis
from recio.runtime.local.keys import ensure_keys
from recio.runtime.preparing import EnvironmentSpec, prepare_release

ACCOUNT = "paper"
PATIENCE_S = 180.0
AWAY_S = 5.0
OTHERS = [row for row in manifest.SERVICES if row.scope is not Scope.PAPER]


class Release:
    """PostgreSQL, Redis, the exchange, and a process for each shared service and for the account."""

    def __init__(self, directory):
        self.directory = directory
        self.postgres = EmbeddedPostgres(directory / "pg", settings=("max_connections=100",))
        self.redis = EmbeddedRedis(directory / "redis")
        self.credentials = directory / "credentials"
        self.pods = {}

    @property
    def owner(self):
        """The owner's address."""
        return self.postgres.url("recio")

    def start(self):
        """Start everything; the account's services share one process."""
        self.credentials.mkdir()
        self.postgres.start()
        self.redis.start()
        with psycopg.connect(self.postgres.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE recio")
        environments = [EnvironmentSpec(name="paper", mode=Mode.PAPER)]
        prepare_release(self.owner, logins={}, environments=environments, say=print)
        exchange = self.run("exchange_simulator")
        exchange.until(200)
        url = f"http://127.0.0.1:{exchange.port}"
        asyncio.run(self._apply(url))
        told = {
            "credentials_dir": str(self.credentials),
            "exchange_rest_url": url,
            "exchange_websocket_url": url.replace("http", "ws", 1),
        }
        for row in OTHERS:
            if row.scope is not Scope.ACCOUNT:
                self.run(row.name, **told)
        mine = [row.name for row in OTHERS if row.scope is Scope.ACCOUNT]
        self.run(*mine, account=ACCOUNT, **told)

    def run(self, *names, **variables):
        """Start a process."""
        self.pods[names[0]] = Pod(
            *names,
            database_url=self.owner.replace("postgres@", ""),
            redis_url=self.redis.url,
            log=self.directory / f"{names[0]}.log",
            **variables,
        )
        return self.pods[names[0]]

    async def _apply(self, url):
        http, database = HttpClient(url), PostgresDatabase(self.owner)
        await ensure_keys(http, self.credentials, {ACCOUNT: 1000})
        clock = AcceleratedClock(await load_market_time(database, "paper"))
        async with database.transaction() as tx:
            await status.set_account_login(tx, ACCOUNT, None)
            await config.apply_account(
                tx,
                document(ACCOUNT),
                environment="paper",
                at_us=clock.market_us(),
                author="test",
            )
        await http.close()
        await database.close()

    def assert_all_ready(self):
        """Wait until every process is at work, and none has ended meanwhile."""
        deadline = time.monotonic() + PATIENCE_S
        while waiting := self.not_ready():
            self.assert_none_ended()
            assert time.monotonic() < deadline, waiting
            time.sleep(0.1)

    def not_ready(self):
        """Return what the probes of the others say."""
        found = {name: pod.ask("/readyz") for name, pod in self.pods.items()}
        return {name: said for name, said in found.items() if said is None or said[0] != 200}

    def assert_none_ended(self):
        """No process has ended."""
        for name, pod in self.pods.items():
            assert pod.process.poll() is None, (self.directory / f"{name}.log").read_text()[-3000:]

    def assert_all_alive(self):
        """No process has ended, and each answers."""
        self.assert_none_ended()
        assert {pod.ask("/healthz")[0] for pod in self.pods.values()} == {200}

    def stop(self):
        """End everything; return the statuses of the processes."""
        statuses = {name: pod.stop()[0] for name, pod in self.pods.items()}
        self.redis.stop()
        self.postgres.stop(is_immediate=True)
        return statuses


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A release that runs."""
    directory = tmp_path_factory.mktemp("release")
    for parent in (directory, *directory.parents[:2]):
        parent.chmod(0o755)
    made = Release(directory)
    try:
        made.start()
        made.assert_all_ready()
        yield made
    finally:
        statuses = made.stop()
    assert set(statuses.values()) == {0}, statuses


def test_a_failover_ends_no_process(release):
    """Every connection breaks at once; seconds later all are at work."""
    release.postgres.stop(is_immediate=True)
    release.postgres.start()
    release.assert_all_ready()


def test_a_database_that_is_away_is_waited_for(release):
    """Alive, not ready, and saying why."""
    release.postgres.stop(is_immediate=True)
    time.sleep(AWAY_S)
    release.assert_all_alive()
    said = str(release.not_ready())
    assert "cannot connect to PostgreSQL" in said
    release.postgres.start()
    release.assert_all_ready()


def test_a_redis_that_is_away_is_waited_for(release):
    """The account's services do not even mind."""
    release.redis.stop()
    time.sleep(AWAY_S)
    release.assert_all_alive()
    assert "cannot connect to Redis" in str(release.not_ready())
    release.redis.start()
    release.assert_all_ready()


def test_an_exchange_that_starts_anew_is_found_again(release):
    """With its books, its keys and its time as they were."""
    old = release.pods.pop("exchange_simulator")
    assert old.stop()[0] == 0
    time.sleep(1)
    release.assert_all_alive()
    again = release.run("exchange_simulator", port=old.port)
    again.until(200)
    release.assert_all_ready()
