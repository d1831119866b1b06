"""Who sees and writes what: an account's login reaches its own rows, whatever it tries."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors
from tests.integration.money.scene import CLOSE_US, MARKET, login_url

from recio.adapters.postgres import config, status
from recio.domain.account_config import Trading

OF_ONE_ACCOUNT = (
    "accounts",
    "account_config",
    "account_settings",
    "automation",
    "decisions",
    "journal",
    "intents",
    "trades",
    "orders",
    "order_events",
    "stops",
    "fills",
    "positions",
    "settlements",
    "ledger_transactions",
    "ledger_postings",
    "totals",
    "balances",
    "leases",
    "audit",
)
FOR_ALL = {"order_transitions", "trade_transitions", "fleet", "switches"}
NOW = "'2026-01-01T00:00:00Z'::timestamptz"


@pytest.fixture
def busy(scene, runner):
    """An account with a row in every table."""

    async def play():
        trade_id = await scene.held_trade()
        order_id = await scene.entry_order(trade_id)
        scene.clock.at_us = CLOSE_US + 120_000_000
        await scene.settle(scene.settlement(yes_e2=1000))
        await scene.switch(Trading.NO_NEW_ENTRIES)
        for sql, *parameters in (
            (
                f"INSERT INTO trading.order_events VALUES (%s, %s, 1, 't', 1, {NOW}, {NOW}, '{{}}')",
                order_id,
            ),
            (f"INSERT INTO trading.account_settings VALUES (%s, 1, 1, 'test', '{{}}', {NOW})",),
            (f"INSERT INTO trading.automation VALUES (%s, 'ACTIVE', '{{}}', {NOW})",),
            (
                f"INSERT INTO trading.decisions VALUES (%s, %s, 'entry', 'E', 1, {NOW}, '')",
                trade_id,
            ),
            (
                f"INSERT INTO trading.journal VALUES (%s, 'h', %s, 1, {NOW}, 1, 1, sha256(''), '')",
                order_id,
            ),
            (f"INSERT INTO trading.stops VALUES (%s, %s, '{{}}', {NOW})", trade_id),
            (f"INSERT INTO trading.balances VALUES (%s, {NOW}, 1, 1, {NOW})",),
        ):
            async with scene.owner.transaction() as tx:
                await tx.execute(sql, scene.account, *parameters)
        return scene

    return runner.run(play())


@pytest.fixture
def stranger(accounts, module_database_url):
    """A connection under another account's login."""
    other = accounts()
    url = login_url(module_database_url, config.account_login(other.account))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.account = other.account
        yield connection


def test_every_table_with_an_account_is_guarded(module_database_url):
    """A table that is added without forced row-level security shows here."""
    with psycopg.connect(module_database_url) as connection:
        tables = connection.execute(
            "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity, EXISTS ("
            "  SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'account') "
            "FROM pg_class c WHERE c.relnamespace = 'trading'::regnamespace "
            "AND c.relkind IN ('r', 'p')"
        ).fetchall()

    assert {name for name, is_guarded, _ in tables if not is_guarded} == FOR_ALL - {"switches"}
    assert {name for name, _, has_account in tables if not has_account} == FOR_ALL
    assert set(OF_ONE_ACCOUNT) <= {name for name, _, _ in tables}


def test_another_account_sees_nothing(busy, stranger):
    """Not a row of any table."""
    for table in OF_ONE_ACCOUNT:
        (seen,) = stranger.execute(
            f"SELECT count(*) FROM trading.{table} WHERE account = %s", (busy.account,)
        ).fetchone()
        assert seen == 0, table
    for table in OF_ONE_ACCOUNT:
        accounts = stranger.execute(f"SELECT DISTINCT account FROM trading.{table}").fetchall()
        assert accounts in ([], [(stranger.account,)]), table


def test_the_account_itself_sees_its_rows(busy, module_database_url):
    """The same tables, the same statements: it is the login that makes the difference."""
    url = login_url(module_database_url, config.account_login(busy.account))
    with psycopg.connect(url) as connection:
        for table in OF_ONE_ACCOUNT:
            accounts = connection.execute(
                f"SELECT DISTINCT account FROM trading.{table}"
            ).fetchall()
            assert accounts == [(busy.account,)], table


def test_another_account_changes_nothing(busy, stranger):
    """An update finds no row; the few that it may not even try are refused."""
    for table in OF_ONE_ACCOUNT:
        column = {"accounts": "last_trade_number", "leases": "epoch"}.get(table, "changed_at")
        try:
            touched = stranger.execute(
                f"UPDATE trading.{table} SET {column} = {column} WHERE account = %s",
                (busy.account,),
            ).rowcount
        except (errors.InsufficientPrivilege, errors.UndefinedColumn):
            continue
        assert touched == 0, table


INSERTS = {
    "automation": "'ACTIVE', '{}', " + NOW,
    "decisions": "gen_random_uuid(), 'entry', 'E', 1, " + NOW + ", ''",
    "balances": f"{NOW}, 1, 1, {NOW}",
    "journal": f"'h', gen_random_uuid(), 1, {NOW}, 1, 1, sha256(''), ''",
    "positions": f"'M2', 'E', 0, 0, 0, 0, {NOW}",
    "settlements": f"'M2', 'E', 'yes', 0, 0, 0, 0, {NOW}, {NOW}",
    "totals": f"0, 0, 0, {NOW}",
    "leases": f"'another', 1, gen_random_uuid(), 1, {NOW}",
    "fills": f"'f', 'x', NULL, NULL, 'M2', 'E', 'bid', 1, 1, 0, true, {NOW}, {NOW}",
}


@pytest.mark.parametrize("table", INSERTS)
def test_another_account_writes_no_row_in_our_name(busy, stranger, table):
    """The policy checks what is written as well."""
    with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
        stranger.execute(
            f"INSERT INTO trading.{table} VALUES (%s, {INSERTS[table]})", (busy.account,)
        )


def test_another_account_books_nothing_in_our_ledger(busy, stranger):
    """Neither a transaction nor a line."""
    with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
        stranger.execute(
            "INSERT INTO trading.ledger_transactions VALUES "
            f"(gen_random_uuid(), %s, 'correction', 'f', '', {NOW}, {NOW})",
            (busy.account,),
        )
    with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
        stranger.execute(
            "INSERT INTO trading.ledger_postings "
            f"SELECT gen_random_uuid(), 1, %s, 'cash', '', 1, {NOW}",
            (busy.account,),
        )


@pytest.mark.usefixtures("busy")
def test_the_status_of_accounts_is_not_for_accounts(stranger):
    """The operator reads the view; a trader's login cannot."""
    with pytest.raises(errors.InsufficientPrivilege, match="account_status"):
        stranger.execute("SELECT * FROM ops.account_status")


@pytest.mark.usefixtures("busy")
def test_the_status_view_reads_with_its_reader_s_rights(stranger, module_database_url):
    """Were it granted, it would still show nothing of others: a plain view would show all."""
    with psycopg.connect(module_database_url, autocommit=True) as owner:
        owner.execute("GRANT SELECT ON ops.account_status TO recio_account")
    try:
        rows = stranger.execute("SELECT account FROM ops.account_status").fetchall()
    finally:
        with psycopg.connect(module_database_url, autocommit=True) as owner:
            owner.execute("REVOKE SELECT ON ops.account_status FROM recio_account")
    assert rows == [(stranger.account,)]


def test_the_operator_sees_the_status_of_every_account(busy, stranger, module_database_url):
    """Mode, generation, flatness, switch, executor."""
    with psycopg.connect(login_url(module_database_url, "recio_operator")) as connection:
        rows = connection.execute(
            "SELECT account, mode::text, generation, is_flat, trading::text, epoch "
            "FROM ops.account_status WHERE account IN (%s, %s)",
            (busy.account, stranger.account),
        ).fetchall()

    assert set(rows) == {
        (busy.account, "paper", 1, True, "NoNewEntries", 1),
        (stranger.account, "paper", 1, True, "Active", None),
    }


@pytest.mark.usefixtures("busy")
def test_switches_of_others_are_not_seen(stranger):
    """Its own and those for all accounts only."""
    scopes = stranger.execute("SELECT DISTINCT scope FROM trading.switches").fetchall()

    assert {scope for (scope,) in scopes} <= {stranger.account, "*"}


def set_switch(connection, scope, source, state="Active"):
    """Set a switch row as the code does."""
    connection.execute(
        "INSERT INTO trading.switches AS held (scope, source, state, reason, author, changed_at) "
        f"VALUES (%s, %s, %s, 'r', 'a', {NOW}) ON CONFLICT (scope, source) DO UPDATE "
        "SET state = excluded.state, reason = excluded.reason",
        (scope, source, state),
    )


@pytest.mark.parametrize(
    ("login", "own", "others"),
    [
        ("recio_main_app", ["person"], ["resource", "fleet", "breaker:books"]),
        ("recio_operator", ["resource", "fleet"], ["person", "breaker:books"]),
        ("recio_cascading_failure_detector", ["breaker:x"], ["person", "resource", "fleet"]),
    ],
)
def test_a_switch_is_released_only_where_it_was_set(scene, module_database_url, login, own, others):
    """Each writer reaches the rows of its own sources and no others."""
    with psycopg.connect(login_url(module_database_url, login), autocommit=True) as connection:
        for source in own:
            set_switch(connection, scene.account, source, "Halted")
            set_switch(connection, scene.account, source)
        for source in others:
            with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
                set_switch(connection, scene.account, source)
            assert (
                connection.execute(
                    "UPDATE trading.switches SET state = 'Active' WHERE source = %s", (source,)
                ).rowcount
                == 0
            )


def test_an_account_trips_its_own_breakers_only(scene, stranger):
    """Never a person's row, never another account's, never all accounts'."""
    set_switch(stranger, stranger.account, "breaker:books", "NoNewEntries")
    for scope, source in (
        (stranger.account, "person"),
        (stranger.account, "resource"),
        (scene.account, "breaker:books"),
        ("*", "breaker:books"),
    ):
        with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
            set_switch(stranger, scope, source)


REWRITES = {
    "orders": ("qty_e2", "yes_price_e4", "is_reduce_only", "reserved_usd_e6", "intent_id"),
    "intents": ("qty_e2", "limit_price_e4", "side", "market_ticker", "valid_until"),
    "trades": ("market_ticker", "side", "close_at", "wanted_qty_e2", "number"),
}


@pytest.mark.parametrize("table", REWRITES)
def test_what_was_wished_and_ordered_cannot_be_rewritten(busy, module_database_url, table):
    """Not by the account's own services either: they write how it went on, nothing else."""
    url = login_url(module_database_url, config.account_login(busy.account))
    with psycopg.connect(url, autocommit=True) as connection:
        for column in REWRITES[table]:
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(f"UPDATE trading.{table} SET {column} = {column}")


REFUSED_TO_AN_ACCOUNT = (
    "UPDATE trading.ledger_postings SET amount_usd_e6 = 1",
    "DELETE FROM trading.intents",
    "DELETE FROM trading.totals",
    "TRUNCATE trading.fills",
    "INSERT INTO trading.audit SELECT * FROM trading.audit",
    "UPDATE trading.audit SET note = ''",
    "INSERT INTO trading.account_config SELECT * FROM trading.account_config",
    "INSERT INTO trading.account_settings SELECT * FROM trading.account_settings",
    "UPDATE trading.accounts SET mode = 'prod'",
    "UPDATE trading.accounts SET retired_at = NULL",
    "UPDATE trading.fleet SET document = '{}'",
    "DELETE FROM trading.order_transitions",
    "INSERT INTO trading.order_transitions VALUES ('executed', 'created')",
    "ALTER TABLE trading.orders DISABLE TRIGGER ALL",
    "ALTER TABLE trading.orders DISABLE ROW LEVEL SECURITY",
    "SET ROLE recio_owner",
    "SET session_replication_role = replica",
    "CREATE TABLE trading.mine (x int)",
    "SELECT * FROM ops.users",
    "SELECT * FROM exchange_sim.accounts",
    "UPDATE market.markets SET status = 'active'",
)


@pytest.mark.parametrize("statement", REFUSED_TO_AN_ACCOUNT)
def test_what_an_account_may_not_do(stranger, statement):
    """Neither rewrite history nor loosen its own limits nor reach the machine room."""
    with pytest.raises(errors.InsufficientPrivilege):
        stranger.execute(statement)


REFUSED_TO_THE_PAGE = (
    "UPDATE trading.intents SET state = 'accepted'",
    "INSERT INTO trading.orders SELECT * FROM trading.orders",
    "UPDATE trading.orders SET state = 'canceled'",
    "UPDATE trading.trades SET state = 'closed'",
    "INSERT INTO trading.fills SELECT * FROM trading.fills",
    "UPDATE trading.totals SET cash_usd_e6 = 0",
    "UPDATE trading.positions SET qty_e2 = 0",
    "INSERT INTO trading.account_config SELECT * FROM trading.account_config",
    "UPDATE trading.accounts SET mode = 'prod'",
    "INSERT INTO trading.fleet VALUES ('default', '{}', now())",
    "DELETE FROM trading.switches",
    "UPDATE trading.leases SET epoch = 99",
    "SELECT * FROM trading.lock_fleet_totals(now(), now())",
    "INSERT INTO trading.audit SELECT * FROM trading.audit",
)


@pytest.mark.parametrize("statement", REFUSED_TO_THE_PAGE)
def test_what_the_page_may_not_do(module_database_url, statement):
    """It wishes and switches; it never touches orders, trades, books or leases."""
    url = login_url(module_database_url, "recio_main_app")
    with psycopg.connect(url) as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute(statement)


def test_the_page_reads_every_account_and_proposes_for_each(busy, stranger, module_database_url):
    """A person's wish is a row like any other; the gate decides it."""
    url = login_url(module_database_url, "recio_main_app")
    with psycopg.connect(url) as connection:
        seen = connection.execute("SELECT account FROM trading.accounts").fetchall()
        assert {(busy.account,), (stranger.account,)} <= set(seen)
        made = connection.execute(
            "INSERT INTO trading.intents (intent_id, account, purpose, source, market_ticker, "
            "event_ticker, side, qty_e2, limit_price_e4, at, valid_until, reason, state, "
            "changed_at) VALUES (gen_random_uuid(), %s, 'entry', 'manual', %s, 'E', 'yes', 100, "
            f"5000, {NOW}, {NOW}, '', 'proposed', {NOW})",
            (busy.account, MARKET),
        )
        assert made.rowcount == 1


def test_a_name_that_looks_like_an_account_s_login_opens_nothing(module_database_url):
    """Policies go by group and name together: a stray login has no grants at all."""
    with psycopg.connect(module_database_url, autocommit=True) as owner:
        owner.execute('CREATE ROLE "recio_account_stray" LOGIN')
        url = login_url(module_database_url, "recio_account_stray")
        with psycopg.connect(url) as stray, pytest.raises(errors.InsufficientPrivilege):
            stray.execute("SELECT * FROM trading.accounts")
        owner.execute('DROP ROLE "recio_account_stray"')


def test_making_a_login_again_changes_nothing(scene, runner, module_database_url):
    """Every start makes sure of it."""

    async def play():
        async with scene.owner.transaction() as tx:
            await status.set_account_login(tx, scene.account, None)

    runner.run(play())
    with psycopg.connect(module_database_url) as connection:
        row = connection.execute(
            "SELECT rolcanlogin, rolsuper, rolcreaterole, rolbypassrls FROM pg_roles "
            "WHERE rolname = %s",
            (config.account_login(scene.account),),
        ).fetchone()
    assert row == (True, False, False, False)
