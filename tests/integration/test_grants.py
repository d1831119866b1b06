"""What each login may write is what the manifest says, on a real database."""

import psycopg
import pytest

from recio.manifest import SERVICES, Scope

SCHEMAS = ("market", "trading", "ops")
WRITTEN = """
    SELECT DISTINCT n.nspname || '.' || c.relname
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY(%s) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
       AND (has_any_column_privilege(%s, c.oid, 'INSERT')
            OR has_any_column_privilege(%s, c.oid, 'UPDATE')
            OR has_table_privilege(%s, c.oid, 'DELETE'))
"""
ALONE = [row for row in SERVICES if row.scope in {Scope.ENVIRONMENT, Scope.SHARED}]


@pytest.fixture
def written(module_database_url):
    """Return the tables that a role may write."""

    def of(role):
        with psycopg.connect(module_database_url) as connection:
            rows = connection.execute(WRITTEN, [list(SCHEMAS), role, role, role]).fetchall()
        return {table for (table,) in rows}

    return of


@pytest.mark.parametrize("row", ALONE, ids=lambda row: row.name)
def test_a_service_may_write_its_tables_and_no_others(written, row):
    """Grants follow the manifest, to the table."""
    assert written(f"recio_{row.name}") == set(row.tables_written)


def test_the_services_of_an_account_may_write_their_tables_and_no_others(written):
    """They share one login for each account."""
    tables = {
        table for row in SERVICES if row.scope is Scope.ACCOUNT for table in row.tables_written
    }
    assert written("recio_account") == tables


def test_nobody_writes_the_audit(module_database_url):
    """The trigger's owner alone writes it: a service cannot invent a history."""
    with psycopg.connect(module_database_url) as connection:
        roles = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'recio%' "
            "AND rolname <> 'recio_owner' "
            "AND (has_table_privilege(rolname, 'trading.audit', 'INSERT') "
            "OR has_table_privilege(rolname, 'trading.audit', 'UPDATE') "
            "OR has_table_privilege(rolname, 'trading.audit', 'DELETE'))"
        ).fetchall()
    assert roles == []


def test_no_service_logs_in_as_an_owner(module_database_url):
    """Who owns tables cannot log in; who logs in is no superuser and bypasses no policy."""
    with psycopg.connect(module_database_url) as connection:
        owner = connection.execute(
            "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'recio_owner'"
        ).fetchone()
        strong = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'recio%' "
            "AND (rolsuper OR rolbypassrls OR rolcreaterole OR pg_has_role(rolname, 'recio_owner', "
            "'MEMBER')) AND rolname <> 'recio_owner'"
        ).fetchall()
    assert owner == (False,)
    assert strong == []


def test_the_exchange_simulator_s_books_are_its_own(module_database_url):
    """No other service can read the schema of the paper exchange."""
    with psycopg.connect(module_database_url) as connection:
        exists = connection.execute(
            "SELECT count(*) FROM pg_namespace WHERE nspname = 'exchange_sim'"
        ).fetchone()
        readers = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'recio%' AND rolname NOT IN "
            "('recio_owner', 'recio_exchange_simulator') "
            "AND has_schema_privilege(rolname, 'exchange_sim', 'USAGE')"
        ).fetchall()
    assert exists == (1,)
    assert readers == []
