"""The Database port through a real PgBouncer in transaction mode, with its one direct connection.

The program is what `pgbouncer` in PATH is, else the package's.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from recio.adapters.postgres import leases
from recio.adapters.postgres.database import PostgresDatabase
from recio.adapters.postgres.failures import DatabaseRejected, DatabaseUnavailable
from recio.ports import Query
from recio.runtime.local.embedded import EmbeddedPostgres

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no pgbouncer on this machine")

LOGIN = "recio_main_app"
ACCOUNT = "pooled"
ACCOUNT_LOGIN = f"recio_account_{ACCOUNT}"
PORT = 6432
START_S = 60.0
FOLLOWS_PREPARED = (1, 21)
"""The first version that can follow prepared statements of the protocol."""


def version():
    """Return the program's version."""
    said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in re.search(r"PgBouncer (\d+)\.(\d+)", said).groups())


class Pooler:
    """A PgBouncer with two server connections a login, on a Unix socket."""

    def __init__(self, postgres, directory, prepared):
        self._postgres = postgres
        self._directory = directory
        self._settings = {
            "listen_port": PORT,
            "unix_socket_dir": directory,
            "auth_type": "trust",
            "auth_file": directory / "users",
            "pool_mode": "transaction",
            "default_pool_size": 2,
            "server_login_retry": 1,
        }
        if version() >= FOLLOWS_PREPARED:
            self._settings["max_prepared_statements"] = prepared
        self.follows_prepared = prepared > 0 and version() >= FOLLOWS_PREPARED
        self._process = None

    def start(self):
        """Start it as the user of the PostgreSQL server, who alone reaches that one's socket."""
        directory, uid = self._directory, Path(self._postgres.sockets).stat().st_uid
        (directory / "users").write_text(f'"{LOGIN}" ""\n"{ACCOUNT_LOGIN}" ""\n')
        settings = "\n".join(f"{name} = {value}" for name, value in self._settings.items())
        (directory / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={self._postgres.sockets}\n[pgbouncer]\n{settings}\n"
        )
        os.chown(directory, uid, -1)
        (directory / "pgbouncer.ini").chmod(0o644)
        command = [PROGRAM, "-q", str(directory / "pgbouncer.ini")]
        user = {"user": uid} if os.getuid() == 0 else {}
        self._process = subprocess.Popen(command, **user)
        deadline = time.monotonic() + START_S
        while not (directory / f".s.PGSQL.{PORT}").exists():
            assert time.monotonic() < deadline, "pgbouncer does not start"
            time.sleep(0.01)

    def stop(self):
        """End it: since 1.23 its polite ways wait for the clients."""
        self._process.kill()
        self._process.wait(START_S)

    def url(self, database, login):
        """Return the address of a login through it."""
        return f"postgresql://{login}@/{database}?host={self._directory}&port={PORT}"


@pytest.fixture(scope="module", params=[0, 200], ids=["prepares nothing", "follows prepared"])
def pooler(request, postgres):
    """A running PgBouncer."""
    with tempfile.TemporaryDirectory(prefix="recio-", ignore_cleanup_errors=True) as directory:
        made = Pooler(postgres, Path(directory), request.param)
        made.start()
        yield made
        made.stop()


@pytest.fixture
def name(database_url):
    """The name of the test's database."""
    return psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]


@pytest.fixture
def make(pooler, postgres, name, runner):
    """Make a port whose transactions go through the pooler."""
    opened = []

    def port(login=LOGIN):
        direct = postgres.url(name, user=login)
        url = pooler.url(name, login)
        opened.append(
            PostgresDatabase(url, listen_dsn=direct, pooler_prepares=pooler.follows_prepared)
        )
        return opened[-1]

    yield port
    for one in opened:
        runner.run(one.close())


async def ask(port, sql, *params):
    """Run one statement in a transaction of its own."""
    async with port.transaction() as tx:
        return await tx.fetch(sql, *params)


def test_the_login_brings_what_startup_options_would(make, runner):
    """A pooler passes on no options; times stay in UTC and nobody holds a transaction idle."""
    rows = runner.run(
        ask(
            make(),
            "SELECT current_setting('TimeZone'), "
            "current_setting('idle_in_transaction_session_timeout'), session_user::text",
        )
    )
    assert rows == [("UTC", "15s", LOGIN)]


def test_many_clients_share_few_server_connections(make, runner):
    """Each with statements of its own, over and over: none meets another's."""

    async def client(number):
        port = make()
        for turn in range(20):
            async with port.transaction() as tx:
                first = await tx.fetch_one(f"SELECT %s, 'client {number}'", turn)
                both = await tx.fetch_many(
                    Query(f"SELECT %s + {number}", (turn,)), Query("SELECT current_user::text")
                )
            assert first == (turn, f"client {number}")
            assert both == [[(turn + number,)], [(LOGIN,)]]

    async def scenario():
        await asyncio.gather(*(client(number) for number in range(8)))

    runner.run(scenario())


def test_a_refused_row_is_rolled_back_and_the_next_transaction_is_clean(make, runner):
    """The server connection goes back to the pool without anything of ours."""

    async def scenario():
        port = make()
        with pytest.raises(DatabaseRejected, match="23505"):
            async with port.transaction() as tx:
                await tx.execute_many(
                    "INSERT INTO ops.users VALUES (%s, %s, 'epoch')", [("a", "x"), ("a", "y")]
                )
        return await ask(port, "SELECT count(*) FROM ops.users")

    assert runner.run(scenario()) == [(0,)]


def test_hints_come_over_the_direct_connection(make, runner):
    """A pooler would forget the LISTEN with its transaction."""

    async def scenario():
        port = make()
        hints = port.listen("changes")
        first = await anext(hints)
        await ask(port, "SELECT pg_notify('changes', 'one')")
        return first.channel, (await anext(hints)).payload

    assert runner.run(scenario()) == ("", "one")


def test_a_port_recovers_when_the_server_ends_its_connections(make, runner, database_url):
    """A failover ends them all: whoever is at work is told, the next one is served."""

    async def scenario():
        port = make()
        await ask(port, "SELECT 1")
        with psycopg.connect(database_url, autocommit=True) as owner:
            owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s",
                (LOGIN,),
            )
        async with asyncio.timeout(60):
            while True:
                try:
                    return await ask(port, "SELECT 1")
                except DatabaseUnavailable:
                    await asyncio.sleep(0.01)

    assert runner.run(scenario()) == [(1,)]


def test_a_lease_names_the_connection_that_lasts(make, runner, database):
    """Server connections of a pool outlive their clients: only the direct one tells of its end."""
    one, other, service = UUID(int=1), UUID(int=2), "trade_executor"

    async def acquire(port, holder):
        async with port.transaction() as tx:
            return await leases.acquire(
                tx, ACCOUNT, service, holder, wall_us=1, session_pid=port.session_pid
            )

    async def scenario():
        async with database.transaction() as tx:
            await tx.execute("SELECT ops.create_account_login(%s, NULL)", ACCOUNT)
            await tx.execute(
                "INSERT INTO trading.accounts (account, environment, mode, created_at) "
                "VALUES (%s, 'paper', 'paper', 'epoch')",
                ACCOUNT,
            )
        holder, rival = make(ACCOUNT_LOGIN), make(ACCOUNT_LOGIN)
        unseen = await acquire(holder, one), await acquire(rival, other)
        await anext(holder.listen("orders"))
        seen = await acquire(holder, one), await acquire(rival, other)
        await holder.close()
        async with asyncio.timeout(60):
            while (taken := await acquire(rival, other)) is None:
                await asyncio.sleep(0.01)
        return unseen, seen, taken

    assert runner.run(scenario()) == ((1, None), (1, None), 2)


def test_a_server_that_is_away_behind_the_pooler_is_unavailable(runner, request, servers_directory):
    """Whatever code the pooler gives its own errors: a failover ends no process."""
    server = EmbeddedPostgres(
        servers_directory / "behind",
        version=request.config.getoption("--postgres-version"),
        settings=("fsync=off",),
    )
    server.start()
    errors = []

    async def turn(port):
        try:
            return (await ask(port, "SELECT count(*) FROM things WHERE id > %s", 0))[0][0]
        except DatabaseUnavailable as error:
            errors.append(str(error))
            return None

    async def scenario(url):
        port = PostgresDatabase(url, listen_dsn=server.url(), timeout_s=3)
        found = [await turn(port)]
        server.stop(is_immediate=True)
        deadline = time.monotonic() + 6
        while time.monotonic() < deadline:
            found.append(await turn(port))
            await asyncio.sleep(0.05)
        server.start()
        async with asyncio.timeout(60):
            while (again := await turn(port)) is None:
                await asyncio.sleep(0.05)
        await port.close()
        return found, again

    with (
        psycopg.connect(server.url(), autocommit=True) as owner,
        tempfile.TemporaryDirectory(prefix="recio-", ignore_cleanup_errors=True) as directory,
    ):
        owner.execute(f"CREATE ROLE {LOGIN} LOGIN")
        owner.execute("CREATE TABLE things (id bigint); GRANT SELECT ON things TO PUBLIC")
        made = Pooler(server, Path(directory), 0)
        made.start()
        found, again = runner.run(scenario(made.url("postgres", LOGIN)))
        made.stop()
    server.stop(is_immediate=True)
    assert found[0] == again == 0
    assert set(found[1:]) == {None}
    assert any("server login has been failing" in error or "no answer" in error for error in errors)
