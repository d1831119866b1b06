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


OPERATOR_READS = {
    "ops.account_status",
    "ops.breakers",
    "ops.environments",
    "ops.health",
    "ops.migrations",
    "trading.account_config",
    "trading.account_keys",
    "trading.account_settings",
    "trading.accounts",
    "trading.fleet",
    "trading.leases",
    "trading.orders (account, booked_qty_e2, filled_qty_e2, state)",
    "trading.positions (account, qty_e2)",
    "trading.switches",
    "trading.trades (account, state)",
}
OPERATOR_WRITES = {
    "trading.account_config": {"INSERT"},
    "trading.account_keys": {"INSERT", "UPDATE", "DELETE"},
    "trading.accounts": {"INSERT", "UPDATE"},
    "trading.fleet": {"INSERT", "UPDATE"},
    "trading.switches": {"INSERT", "UPDATE"},
}
READ = """
    SELECT n.nspname || '.' || c.relname, has_table_privilege('recio_operator', c.oid, 'SELECT'),
           (SELECT string_agg(a.attname, ', ' ORDER BY a.attname) FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND has_column_privilege('recio_operator', c.oid, a.attnum, 'SELECT'))
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname IN ('market', 'trading', 'ops', 'exchange_sim') AND c.relkind IN ('r', 'p', 'v')
"""


def test_the_operator_reads_counts_and_documents_and_nothing_else(module_database_url):
    """No fill, no posting, no intent, no market, no book of the paper exchange."""
    with psycopg.connect(module_database_url) as connection:
        rows = connection.execute(READ).fetchall()
    found = {
        name if is_whole else f"{name} ({columns})" for name, is_whole, columns in rows if columns
    }
    assert found == OPERATOR_READS


def test_the_operator_writes_documents_switches_and_keys(written, module_database_url):
    """It steers; it trades nothing and books nothing."""
    assert written("recio_operator") == set(OPERATOR_WRITES)
    with psycopg.connect(module_database_url) as connection:
        for table, allowed in OPERATOR_WRITES.items():
            found = connection.execute(
                "SELECT word FROM unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) word "
                "WHERE has_table_privilege('recio_operator', %s, word)",
                (table,),
            ).fetchall()
            assert {word for (word,) in found} == allowed, table


def test_only_the_operator_may_call_what_makes_logins(module_database_url):
    """These functions run with the rights of whoever migrated."""
    with psycopg.connect(module_database_url) as connection:
        callers = connection.execute(
            "SELECT rolname FROM pg_roles WHERE NOT rolsuper AND rolname <> 'recio_owner' AND ("
            "has_function_privilege(oid, 'ops.create_account_login(text, text)', 'EXECUTE') OR "
            "has_function_privilege(oid, 'ops.disable_account_login(text)', 'EXECUTE'))"
        ).fetchall()
    assert callers == [("recio_operator",)]


def test_every_login_may_ask_what_was_migrated(module_database_url):
    """The gate before each service does."""
    with psycopg.connect(module_database_url) as connection:
        blind = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'recio%' AND rolname <> 'recio_owner' "
            "AND NOT has_table_privilege(oid, 'ops.migrations', 'SELECT')"
        ).fetchall()
    assert blind == []
