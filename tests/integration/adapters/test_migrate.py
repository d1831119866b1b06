"""The migration runner on a real PostgreSQL."""

from __future__ import annotations

import itertools

import psycopg
import pytest

from recio.adapters.postgres.failures import DatabaseBroken, DatabaseUnavailable
from recio.adapters.postgres.migrate import MigrationRefused, directory, migrate, read

_numbers = itertools.count(1)


@pytest.fixture
def address(postgres):
    """An empty database."""
    name = f"migrate_{next(_numbers)}"
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres.url(name)


@pytest.fixture
def folder(tmp_path):
    """Two migrations and one that comes after the new code."""
    (tmp_path / "0001_pre_a.sql").write_text("CREATE TABLE a (x int);")
    (tmp_path / "0002_pre_b.sql").write_text("CREATE TABLE b (x int); INSERT INTO a VALUES (1);")
    (tmp_path / "0003_post_drop.sql").write_text("DROP TABLE b;")
    return tmp_path


def tables(address):
    """Return the names of the public tables."""
    with psycopg.connect(address) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {name for (name,) in rows}


def test_each_file_is_applied_once_in_order(address, folder):
    """A second run has nothing to do."""
    assert migrate(address, folder=folder) == [
        "0001_pre_a.sql",
        "0002_pre_b.sql",
        "0003_post_drop.sql",
    ]
    assert migrate(address, folder=folder) == []
    assert tables(address) == {"a"}


def test_post_files_wait_for_the_old_code_to_be_gone(address, folder):
    """With pre only, what the previous code needs stays."""
    assert migrate(address, folder=folder, is_pre_only=True) == ["0001_pre_a.sql", "0002_pre_b.sql"]
    assert tables(address) == {"a", "b"}
    assert migrate(address, folder=folder) == ["0003_post_drop.sql"]


def test_a_file_that_was_changed_after_it_was_applied_is_refused(address, folder):
    """The message names the file and says what to do."""
    migrate(address, folder=folder)
    (folder / "0001_pre_a.sql").write_text("CREATE TABLE a (y int);")
    with pytest.raises(MigrationRefused, match="was changed after it was applied"):
        migrate(address, folder=folder)


def test_a_database_from_a_newer_version_is_refused(address, folder):
    """An old program does not run on a schema that it does not know."""
    migrate(address, folder=folder)
    (folder / "0003_post_drop.sql").unlink()
    with pytest.raises(MigrationRefused, match="which this version does not know"):
        migrate(address, folder=folder)


def test_a_file_that_fails_is_left_out_whole(address, folder):
    """Half a migration is never kept, and the message names file and line."""
    (folder / "0004_pre_bad.sql").write_text("CREATE TABLE c (x int);\nCREATE TABEL d (x int);")
    with pytest.raises(DatabaseBroken, match=r"0004_pre_bad.sql failed .* line 2"):
        migrate(address, folder=folder)
    assert tables(address) == {"a"}


def test_a_lock_that_cannot_be_had_fails_without_waiting_for_ever(address, folder, monkeypatch):
    """A long transaction of somebody else does not queue everybody behind the migration."""
    monkeypatch.setattr("recio.adapters.postgres.migrate.LOCK_TIMEOUT_MS", 50)
    migrate(address, folder=folder)
    (folder / "0004_pre_alter.sql").write_text("ALTER TABLE a ADD y int;")
    with psycopg.connect(address) as holder:
        holder.execute("SELECT * FROM a")
        with pytest.raises(DatabaseUnavailable, match="no lock within 50 ms"):
            migrate(address, folder=folder)
    assert migrate(address, folder=folder) == ["0004_pre_alter.sql"]


@pytest.mark.parametrize("name", ["0005_pre_gap.sql", "0003_pre_again.sql", "4_pre_x.sql", "x.sql"])
def test_names_that_do_not_number_the_files_are_refused(folder, name):
    """Order must be beyond doubt."""
    (folder / name).write_text("SELECT 1;")
    with pytest.raises(MigrationRefused):
        read(folder)


def test_the_products_own_files_are_applied(database_url):
    """Every migration in the repository applies on an empty database."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT count(*) FROM ops.migrations").fetchone()
    assert row[0] == len(read(directory()))
