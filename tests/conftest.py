"""Real servers for every test that wants them: an embedded PostgreSQL and an embedded Redis.

``--postgres-version 15`` uses the system's PostgreSQL 15 instead of the wheel's 18. Nothing but
Unix sockets is opened.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from recio.adapters.postgres.database import PostgresDatabase
from recio.adapters.postgres.migrate import migrate
from recio.adapters.redis.bus import RedisBus
from recio.runtime.local.embedded import EmbeddedPostgres, EmbeddedRedis

# A busy machine is slow, not wrong: no test asserts how long something took.
settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("untimed")

QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB")
"""A test's database need not survive the machine."""

_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the choice of the PostgreSQL version."""
    parser.addoption(
        "--postgres-version", type=int, default=18, help="major version of the tests' PostgreSQL"
    )


@pytest.fixture(scope="session")
def servers_directory() -> Iterator[Path]:
    """A short directory (Unix sockets) outside of the repository."""
    with tempfile.TemporaryDirectory(prefix="recio-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest, servers_directory: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL server for the whole run."""
    version = request.config.getoption("--postgres-version")
    server = EmbeddedPostgres(servers_directory / "pg", version=version, settings=QUICK)
    server.start()
    yield server
    server.stop(is_immediate=True)


@pytest.fixture(scope="session")
def migrated_template(postgres: EmbeddedPostgres) -> str:
    """The name of a database with all migrations, to be copied."""
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE recio_template")
    migrate(postgres.url("recio_template"))
    return "recio_template"


@pytest.fixture
def database_url(postgres: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    """The owner's address of a fresh, migrated database."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
        yield postgres.url(name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def module_database_url(postgres: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    """The same, shared by the tests of a module."""
    name = f"module_{next(_numbers)}"
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
        yield postgres.url(name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for a test: ``runner.run(coroutine)``."""
    with asyncio.Runner() as made:
        yield made


@pytest.fixture
def database(database_url: str, runner: asyncio.Runner) -> Iterator[PostgresDatabase]:
    """The database port as the owner; use it inside ``runner.run``."""
    port = PostgresDatabase(database_url, connections=4)
    yield port
    runner.run(port.close())


@pytest.fixture(scope="session")
def redis_server(servers_directory: Path) -> Iterator[EmbeddedRedis]:
    """A Redis server for the whole run."""
    server = EmbeddedRedis(servers_directory / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    """The address of the Redis server."""
    return redis_server.url


@pytest.fixture
def bus(redis_url: str, runner: asyncio.Runner) -> Iterator[RedisBus]:
    """A bus of its own environment; use it inside ``runner.run``."""
    made = RedisBus(redis_url, environment=f"test{next(_numbers)}")
    yield made
    runner.run(made.close())
