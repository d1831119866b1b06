"""`recio up` on somebody's own PostgreSQL and Redis: it works there, or says what is missing.

Each topology comes up, is halted or asked, and ends by another signal; the books stay.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from contextlib import suppress
from itertools import count
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from tests.conftest import QUICK
from tests.integration.runtime.runs import RECIO, Run, processes

from recio.adapters.postgres import intents
from recio.adapters.postgres.database import PostgresDatabase
from recio.domain.intents import Intent, Purpose, Source
from recio.runtime.local.embedded import EmbeddedPostgres

DECISION_S = 60
NEEDS_ADMIN = 160_000
_numbers = count(1)


class Own:
    """A server cluster of the test's own, a database in it, and runs on one state directory."""

    def __init__(self, server, redis_url, state):
        self.server = server
        self.redis_url = redis_url
        self.state = state
        self.login, self.name = "boss", f"shop_{next(_numbers)}"
        self.runs = []

    @property
    def url(self):
        """The owner's address; the owner is no superuser."""
        return self.server.url(self.name).replace("postgres@", f"{self.login}@")

    def prepare(self):
        """Make the database."""
        login, name = sql.Identifier(self.login), sql.Identifier(self.name)
        self.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, login))

    def execute(self, statement):
        """Run one statement as the superuser."""
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            connection.execute(statement)

    def rows(self, query, *values):
        """Return what the owner reads."""
        with psycopg.connect(self.server.url(self.name)) as connection:
            return connection.execute(query, values).fetchall()

    def up(self, *words):
        """Start a run."""
        servers = ("--database-url", self.url, "--redis-url", self.redis_url)
        self.runs.append(Run(self.state, "--port", "0", *servers, *words))
        return self.runs[-1]

    def halt(self, *words):
        """Run `recio halt` as a person does; return what it said."""
        done = subprocess.run(
            [*RECIO, "halt", *words, "--database-url", self.url],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ask_for_an_entry(self):
        """Propose an entry as a service does; return what the running gate says to it."""
        ((ticker, at),) = self.rows(
            "SELECT ticker, extract(epoch FROM market_at) * 1000000 FROM market.markets "
            "JOIN market.events USING (environment, event_ticker) "
            "JOIN ops.environments USING (environment) "
            "WHERE close_at > market_at ORDER BY close_at LIMIT 1"
        )
        wish = Intent(
            intent_id=UUID(int=next(_numbers)),
            account="paper",
            purpose=Purpose.ENTRY,
            source=Source.AUTO_ENTRY,
            market_ticker=ticker,
            event_ticker=ticker.rpartition("-")[0],
            side="yes",
            qty_e2=100,
            limit_price_e4=5_000,
            at_us=int(at),
            valid_until_us=int(at) + 60_000_000,
            price_at_us=int(at),
            book_at_us=int(at),
        )
        return asyncio.run(self._decided(wish))

    async def _decided(self, wish):
        database = PostgresDatabase(self.server.url(self.name))
        try:
            async with database.transaction() as tx:
                await intents.propose(tx, wish)
            async with asyncio.timeout(DECISION_S):
                while True:
                    async with database.transaction() as tx:
                        rows = await tx.fetch(
                            "SELECT refusal FROM trading.intents "
                            "WHERE intent_id = %s AND state <> 'proposed'",
                            wish.intent_id,
                        )
                    if rows:
                        return rows[0][0]
                    await asyncio.sleep(0.05)
        finally:
            await database.close()

    def clear(self):
        """End what still runs."""
        for run in self.runs:
            run.kill()


@pytest.fixture(scope="module")
def own_server(request, servers_directory):
    """A PostgreSQL that `recio up` did not start, with logins that are no superusers."""
    version = request.config.getoption("--postgres-version")
    server = EmbeddedPostgres(servers_directory / "own", version=version, settings=QUICK)
    server.start()
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE ROLE boss LOGIN CREATEROLE")
        connection.execute("CREATE ROLE clerk LOGIN")
        connection.execute("CREATE ROLE other LOGIN CREATEROLE")
    yield server
    server.stop(is_immediate=True)


@pytest.fixture
def own(own_server, redis_url, servers_directory):
    """One state directory on servers that `recio up` did not start."""
    path = servers_directory / f"own-{next(_numbers)}"
    path.mkdir(mode=0o755)
    made = Own(own_server, redis_url, path / "state")
    yield made
    made.clear()


def test_a_halt_outlives_every_service(own):
    """Compact, on servers of one's own: entries end at once, stay ended, and start where released."""
    own.prepare()
    first = own.up("--topology", "Compact")
    first.until(r"everything is ready")
    assert own.halt("paper", "--reason", "news").endswith(
        "in force is Halted: person (paper): news"
    )
    assert own.ask_for_an_entry().startswith("switch Halted")
    os.kill(first.pid, signal.SIGTERM)
    assert first.status() == 0
    assert processes(own.state) == []

    second = own.up("--topology", "Pooled", "--accounts", "2")
    second.until(r"everything is ready")
    assert own.ask_for_an_entry().startswith("switch Halted: person (paper): news")
    own.halt("--all", "--to", "NoNewEntries", "--reason", "everybody")
    released = own.halt("paper", "--to", "Active")
    assert "in force is NoNewEntries" in released
    assert own.ask_for_an_entry().startswith("switch NoNewEntries")
    assert own.halt("--all", "--to", "Active").endswith("in force is Active")
    assert "switch" not in own.ask_for_an_entry()
    assert second.end() == 0


def test_a_database_that_is_not_there_is_named(own):
    """With how to make one."""
    run = own.up()
    run.until(r"--database-url: .* does not exist.*createdb")
    assert run.status() == 1


def test_a_login_without_the_right_to_make_logins_is_told_so(own):
    """With the statement that mends it."""
    own.login = "clerk"
    own.prepare()
    run = own.up()
    run.until("ALTER ROLE clerk CREATEROLE")
    assert run.status() == 1


def test_a_server_with_somebody_elses_roles_is_told_so(own, own_server):
    """A login that may make roles may still not use those that another login made."""
    with psycopg.connect(own_server.url(), autocommit=True) as connection:
        if connection.info.server_version < NEEDS_ADMIN:
            pytest.skip("before PostgreSQL 16 whoever may make roles may grant all of them")
        connection.execute("SET ROLE boss")
        with suppress(psycopg.errors.DuplicateObject):
            connection.execute("CREATE ROLE recio_owner")
    own.login = "other"
    own.prepare()
    run = own.up()
    run.until("other did not make them")
    assert run.status() == 1


def test_a_redis_that_is_not_there_is_named(own):
    """Before any service is started."""
    own.prepare()
    own.redis_url = "unix:///nowhere/redis.sock"
    run = own.up()
    run.until(r"--redis-url: cannot connect to Redis at /nowhere/redis.sock")
    assert run.status() == 1
