"""A release's database made ready by an owner who is no superuser: on a server that asks passwords."""

from __future__ import annotations

import subprocess
import sys
import threading
from itertools import count

import psycopg
import pytest
from tests.conftest import QUICK

from recio.adapters.postgres import migrate, scram, status
from recio.adapters.postgres.database import PostgresDatabase
from recio.adapters.postgres.failures import DatabaseRejected, DatabaseUnavailable
from recio.domain.account_config import Mode
from recio.domain.errors import Broken, InvalidValue
from recio.runtime import preparing
from recio.runtime.local.embedded import EmbeddedPostgres
from recio.runtime.passwords import is_password
from recio.runtime.preparing import EnvironmentSpec, prepare_release
from recio.runtime.settings import PriceSource

LOGINS = {"recio_main_app": "main-secret", "recio_operator": "operator-secret"}
START_US = 1_722_361_680_000_000
ENVIRONMENTS = (
    EnvironmentSpec(name="paper", mode=Mode.PAPER),
    EnvironmentSpec(name="begun", mode=Mode.PAPER, start_us=START_US),
    EnvironmentSpec(name="live", mode=Mode.PAPER, price_source=PriceSource.LIVE),
    EnvironmentSpec(name="demo", mode=Mode.DEMO),
)
PAGE_PASSWORD = "page-secret"
TURNS_S = 60
_numbers = count(1)


@pytest.fixture(scope="module")
def server(request, servers_directory):
    """A PostgreSQL where everybody but its superuser needs a password."""
    version = request.config.getoption("--postgres-version")
    made = EmbeddedPostgres(servers_directory / "asking", version=version, settings=QUICK)
    made.start()
    hba = made.directory / "data" / "pg_hba.conf"
    hba.write_text("local all postgres trust\nlocal all all scram-sha-256\n")
    with psycopg.connect(made.url(), autocommit=True) as connection:
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("CREATE ROLE owner LOGIN CREATEROLE PASSWORD 'owner-secret'")
    yield made
    made.stop(is_immediate=True)


@pytest.fixture(scope="module")
def release(server):
    """The name of a database that was prepared once."""
    name = new_database(server)
    prepared(server, name)
    return name


def new_database(server):
    """Make an empty database of the owner; return its name."""
    name = f"release_{next(_numbers)}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} OWNER owner")
    return name


def url(server, name, login="owner", password="owner-secret"):
    """Return a login's address."""
    return server.url(name, user=login, password=password)


def prepared(server, name, **changes):
    """Prepare a database; return what came of it and what was said."""
    said = []
    options = {
        "logins": LOGINS,
        "environments": ENVIRONMENTS,
        "page_password": PAGE_PASSWORD,
        "say": said.append,
        **changes,
    }
    return prepare_release(url(server, name), **options), said


def rows(server, name, query):
    """Return what a query gives, asked as superuser."""
    with psycopg.connect(server.url(name)) as connection:
        return connection.execute(query).fetchall()


def stored(server, name):
    """Return everything that a preparation leaves."""
    return (
        rows(server, name, "SELECT * FROM ops.environments ORDER BY environment"),
        rows(server, name, "SELECT * FROM ops.users"),
        rows(server, name, "SELECT * FROM ops.migrations ORDER BY number"),
        rows(server, name, "SELECT rolname, rolpassword FROM pg_authid ORDER BY rolname"),
    )


def test_an_empty_database_gets_all_that_services_need(server, release):
    """Schema, logins with their passwords, market time by the wall, a user of the page."""
    for login, password in LOGINS.items():
        with psycopg.connect(url(server, release, login, password)) as connection:
            assert connection.execute("SELECT session_user::text").fetchone() == (login,)
    lines = rows(server, release, "SELECT environment, t0_us = w0_us, speed FROM ops.environments")
    assert sorted(lines) == [("begun", False, 1), ("live", True, 1)]
    ((name, hashed),) = rows(server, release, "SELECT name, password_hash FROM ops.users")
    assert name == "admin"
    assert is_password(PAGE_PASSWORD, hashed)


def test_doing_it_again_changes_nothing(server, release):
    """Not even a verifier: who keeps one beside the server goes on with it."""
    before = stored(server, release)
    again, _ = prepared(server, release, page_password="another")
    assert (again.migrations, again.is_user_new) == ((), False)
    assert stored(server, release) == before


def test_several_at_once_take_turns(server):
    """Two operators of an upgrade, or a job that was started twice."""
    name, done = new_database(server), []

    def one():
        done.append(prepared(server, name))

    threads = [threading.Thread(target=one, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TURNS_S)
    assert len(done) == 4, f"{4 - len(done)} of 4 failed or still wait after {TURNS_S} s each"
    assert sorted(len(made.migrations) > 0 for made, _ in done) == [False, False, False, True]
    assert sum(made.is_user_new for made, _ in done) == 1


def test_no_password_reaches_the_server(server, release):
    """Its log would keep it: it is sent verifiers only."""
    ((log,),) = rows(
        server,
        release,
        "SELECT count(*) FROM pg_authid WHERE rolpassword NOT LIKE 'SCRAM-SHA-256$%'",
    )
    assert log == 0
    name = new_database(server)
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET log_statement = 'all'")
    prepared(server, name, logins={**LOGINS, "recio_db_poller": "a-secret-never-seen"})
    text = (server.directory / "postgres.log").read_text()
    assert 'ALTER ROLE "recio_db_poller" PASSWORD' in text
    assert "a-secret-never-seen" not in text


def test_a_password_that_changed_takes_the_place_of_the_old_one(server, release):
    """Rotation is the same call."""
    login = "recio_system_monitor"
    for password in ("first", "second"):
        prepared(server, release, logins={login: password})
        psycopg.connect(url(server, release, login, password)).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url(server, release, login, "first"))


def test_a_login_that_is_not_ours_is_named(server, release):
    """Nothing is half done."""
    with pytest.raises(Broken, match="the login recio_typo"):
        prepared(server, release, logins={"recio_main_app": "changed", "recio_typo": "x"})
    psycopg.connect(url(server, release, "recio_main_app", LOGINS["recio_main_app"])).close()


def test_a_database_that_is_away_is_waited_for_and_then_told(tmp_path):
    """With progress, and no longer than asked."""
    said = []
    with pytest.raises(DatabaseUnavailable, match="did not answer in time"):
        prepare_release(
            f"postgresql://owner:hidden@/x?host={tmp_path}",
            logins={},
            environments=(),
            say=said.append,
            timeout_s=0.5,
        )
    assert [line.startswith("waiting for the database: ") for line in said] == [True]
    assert "hidden" not in str(said)


def test_a_local_line_of_market_time_goes_on_by_the_wall(server):
    """A database that `recio up` used moves into a cluster: from where it stood."""
    name = new_database(server)
    prepared(server, name, environments=())
    with psycopg.connect(server.url(name), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO ops.environments "
            "VALUES ('paper', 5, 6, 20, 'another machine', to_timestamp(1722361680))"
        )
    prepared(server, name)
    line = "SELECT t0_us, m0_ns, speed, w0_us > 0 FROM ops.environments WHERE environment = 'paper'"
    assert rows(server, name, line) == [(START_US, 0, 1, True)]


@pytest.fixture
def newer(server):
    """A database that a newer version has prepared: it has a file that we do not know."""
    name = new_database(server)
    prepared(server, name)

    def add(phase):
        with psycopg.connect(server.url(name), autocommit=True) as connection:
            connection.execute(
                "INSERT INTO ops.migrations VALUES (9999, %s, %s, 'x', 'epoch')",
                (f"9999_{phase}_later.sql", phase),
            )
        return name

    return add


def test_a_rollback_finds_the_newer_schema_and_lives_with_it(server, newer):
    """What was made before the new code started is what the old code can live with."""
    name = newer("pre")
    again, _ = prepared(server, name)
    assert again.migrations == ()
    assert migrate.missing_from(url(server, name)) == []


def test_a_rollback_behind_the_point_of_no_return_is_refused(server, newer):
    """What was made after the old code was gone breaks it."""
    name = newer("post")
    with pytest.raises(migrate.MigrationRefused, match="9999_post_later"):
        prepared(server, name)
    with pytest.raises(migrate.MigrationRefused, match="9999_post_later"):
        migrate.missing_from(url(server, name))


def check(server, name, tmp_path, *words, login="recio_db_poller", password="poller-secret"):
    """Run `recio migrate --check` as a pod does, under a login of its own."""
    (tmp_path / login).write_text(password)
    return subprocess.run(
        [sys.executable, "-m", "recio", "migrate", *words],
        env={
            "PATH": "/usr/bin:/bin",
            "RECIO_DATABASE_URL": f"postgresql:///{name}?host={server.sockets}",
            "RECIO_DATABASE_PASSWORDS_DIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_gate_lets_a_service_through_once_the_schema_is_there(server, release, tmp_path):
    """Every login may ask; the answer is one line."""
    prepared(server, release, logins={"recio_db_poller": "poller-secret"})
    done = check(server, release, tmp_path, "--wait", "30")
    assert (done.returncode, done.stderr) == (0, "")
    with psycopg.connect(server.url(release), autocommit=True) as connection:
        (gone,) = connection.execute(
            "DELETE FROM ops.migrations WHERE number = 6 RETURNING name, phase, sha256"
        ).fetchall()
        done = check(server, release, tmp_path, "--check")
        connection.execute("INSERT INTO ops.migrations VALUES (6, %s, %s, %s, 'epoch')", gone)
    assert done.returncode == 1
    assert done.stderr == (
        "recio: the schema lacks 1 migrations, 0006_pre_kubernetes.sql first: run `recio migrate`\n"
    )


def test_the_gate_says_why_it_is_shut(server, release, tmp_path):
    """A wrong password is not a missing schema."""
    done = check(server, release, tmp_path, "--check", login="recio_main_app", password="wrong")
    assert done.returncode == 1
    assert "password authentication failed" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def operator(server, release, runner):
    """The database under the operator's login."""
    port = PostgresDatabase(url(server, release, "recio_operator", LOGINS["recio_operator"]))
    yield port
    runner.run(port.close())


def call(runner, port, work, *words):
    """Run one of the operator's functions in a transaction of its own."""

    async def scenario():
        async with port.transaction() as tx:
            return await work(tx, *words)

    return runner.run(scenario())


def lets_in(server, name, runner, account, password):
    """Ask the server whether it takes an account's password."""
    login = f"recio_account_{account}"
    return runner.run(status.can_log_in(url(server, name, login, password)))


def test_the_operator_makes_changes_and_ends_an_accounts_login(server, release, runner, operator):
    """Without being able to make roles itself."""
    login = "recio_account_alpha"

    def give(password):
        verifier = scram.verifier(login, password)
        call(runner, operator, status.set_account_login, "alpha", verifier)

    def found():
        return [lets_in(server, release, runner, "alpha", word) for word in ("one", "two")]

    answers = [found()]
    for password in ("one", "two"):
        give(password)
        answers.append(found())
    call(runner, operator, status.disable_account_login, "alpha")
    answers.append(found())
    give("one")
    answers.append(found())
    assert answers == [
        [False, False],
        [True, False],
        [False, True],
        [False, False],
        [True, False],
    ]
    with psycopg.connect(url(server, release, login, "one")) as connection:
        told = connection.execute(
            "SELECT trading.login_account(), current_setting('TimeZone'), "
            "pg_has_role('recio_account', 'MEMBER')"
        ).fetchone()
    assert told == ("alpha", "UTC", True)


@pytest.mark.parametrize(
    "account",
    ["", "Alpha", "a b", "-a", "a-", 'a"; DROP ROLE recio_owner; --', "a" * 33, "a\n", None],
)
def test_what_is_no_account_gets_no_login(runner, operator, account):
    """The function runs with the owner's rights: it trusts nobody."""
    for work in (status.set_account_login, status.disable_account_login):
        words = (account, None) if work is status.set_account_login else (account,)
        with pytest.raises(DatabaseRejected, match="expected the name of an account"):
            call(runner, operator, work, *words)


def test_a_password_in_clear_is_refused(runner, operator):
    """It would stand in the server's log."""
    with pytest.raises(DatabaseRejected, match="expected a SCRAM-SHA-256 verifier"):
        call(runner, operator, status.set_account_login, "beta", "clear")


@pytest.mark.parametrize("login", ["recio_main_app", "recio_account_delta"])
def test_nobody_but_the_operator_makes_logins(server, release, runner, operator, login):
    """A service that could would let itself in elsewhere."""
    call(
        runner, operator, status.set_account_login, "delta",
        scram.verifier("recio_account_delta", "one"),
    )  # fmt: skip
    password = LOGINS.get(login, "one")
    port = PostgresDatabase(url(server, release, login, password))
    with pytest.raises(DatabaseRejected, match="42501"):
        call(runner, port, status.set_account_login, "gamma", None)
    runner.run(port.close())


@pytest.mark.parametrize("password", ["", "schlüssel", "tab\t"])
def test_a_password_that_would_need_normalising_is_refused(password):
    """Rather than stored as something that nobody can type."""
    with pytest.raises(InvalidValue, match="printable ASCII"):
        scram.verifier("x", password)


def test_a_server_that_is_away_does_not_say_no(runner, tmp_path):
    """Unknown is not refused."""
    with pytest.raises(DatabaseUnavailable, match="cannot ask"):
        runner.run(status.can_log_in(f"postgresql://a:b@/x?host={tmp_path}"))


def test_the_lock_of_another_migration_is_waited_for_with_a_word(server, release, monkeypatch):
    """A stuck one is told of in the end."""
    monkeypatch.setattr(migrate, "LOCK_PATIENCE_S", 0.5)
    said = []
    with psycopg.connect(server.url(release), autocommit=True) as connection:
        connection.execute(f"SELECT pg_advisory_lock({migrate.ADVISORY_LOCK})")
        with pytest.raises(DatabaseUnavailable, match="has been migrating"):
            prepare_release(url(server, release), logins={}, environments=(), say=said.append)
    assert len(said) == 1
    assert preparing.TELL_S > 0
