"""Embedded servers: kept data, and clear errors for what cannot be used."""

from __future__ import annotations

import psycopg
import pytest

from recio.domain.errors import Broken, Unavailable
from recio.runtime.local import embedded
from recio.runtime.local.embedded import EmbeddedPostgres, EmbeddedRedis, postgres_programs


@pytest.fixture
def server(tmp_path_factory):
    """A PostgreSQL server of its own, stopped at the end."""
    directory = tmp_path_factory.mktemp("own")
    for parent in [directory, *directory.parents]:
        if parent.stat().st_uid == directory.stat().st_uid and str(parent) != "/":
            parent.chmod(0o755)
    made = EmbeddedPostgres(directory / "pg")
    yield made
    made.stop(is_immediate=True)


def test_data_outlives_a_stop_and_a_crash(server):
    """What was committed is there, however the server ended."""
    for number, is_crash in ((1, False), (2, True), (3, False)):
        server.start()
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (x int)")
            connection.execute("INSERT INTO kept VALUES (%s)", (number,))
            rows = connection.execute("SELECT x FROM kept ORDER BY x").fetchall()
        server.stop(is_immediate=is_crash)
    assert rows == [(1,), (2,), (3,)]


def test_it_answers_only_while_it_runs(server):
    """A command finds a run of another process by its socket."""
    assert not server.is_answering()
    server.start()
    assert EmbeddedPostgres(server.directory).is_answering()
    server.stop()
    assert not server.is_answering()


@pytest.mark.parametrize("missing", ["PG_VERSION", "global/pg_control"])
def test_a_data_directory_that_is_not_whole_is_refused(server, missing):
    """With the way out in the message."""
    server.start()
    server.stop()
    (server.directory / "data" / missing).unlink()
    with pytest.raises(Broken, match=r"not a whole PostgreSQL data directory.*--fresh"):
        server.start()


def test_a_corrupted_data_directory_is_told_with_the_servers_own_words(server):
    """The last lines of the server's log are in the message."""
    server.start()
    server.stop()
    control = server.directory / "data/global/pg_control"
    control.write_bytes(b"\0" * control.stat().st_size)
    with pytest.raises(Broken, match=r"(?s)did not start on .*--fresh"):
        server.start()


def test_data_of_another_version_is_refused(server):
    """Before anything is touched."""
    server.start()
    server.stop()
    (server.directory / "data/PG_VERSION").write_text("14\n")
    with pytest.raises(Broken, match="made by PostgreSQL 14"):
        server.start()


def test_a_first_start_that_was_cut_is_begun_anew(server):
    """Half a data directory is never taken for a whole one."""
    (server.directory / "data.unfinished").mkdir(parents=True)
    (server.directory / "data.unfinished" / "rubbish").touch()
    server.start()
    assert server.is_running()


def test_a_missing_version_says_how_to_get_one():
    """Named, with the package to install."""
    with pytest.raises(Unavailable, match=r"PostgreSQL 9:.*install"):
        postgres_programs(9)


def test_a_long_path_gets_a_short_socket(tmp_path):
    """A Unix socket's path has 107 bytes at most."""
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    short = embedded.socket_directory(deep)
    assert len(str(short)) < 60
    assert embedded.socket_directory(deep) == short
    short.rmdir()


def test_redis_starts_where_another_left_its_socket(tmp_path):
    """A socket file of a crashed run is no obstacle."""
    first = EmbeddedRedis(tmp_path)
    first.start()
    first.kill()
    again = EmbeddedRedis(tmp_path)
    again.start()
    assert again.is_running()
    again.stop()
