"""What PostgreSQL itself refuses, whoever asks, and what it writes down by itself."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest
from tests.integration.money.scene import CLOSE_US, FEE

from recio.adapters.postgres import facts
from recio.adapters.postgres.failures import DatabaseRejected
from recio.domain import orders, trades
from recio.domain.account_config import Trading
from recio.domain.intents import derived_id
from recio.domain.orders import OrderState
from recio.domain.trades import TradeState
from recio.domain.units import as_datetime

APPEND_ONLY = (
    "ledger_transactions",
    "ledger_postings",
    "fills",
    "settlements",
    "order_events",
    "audit",
    "account_config",
    "account_settings",
    "journal",
)
NEVER_DELETED = ("intents", "trades", "orders", "switches", "accounts")


@pytest.fixture
def as_owner(module_database_url):
    """A connection as the owner, who may do everything that the tables allow."""
    with psycopg.connect(module_database_url, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize(
    ("table", "transitions"),
    [("order_transitions", orders.TRANSITIONS), ("trade_transitions", trades.TRANSITIONS)],
)
def test_the_database_has_the_transitions_of_the_code(as_owner, table, transitions):
    """One state machine in two places: they must be the same."""
    rows = as_owner.execute(f"SELECT old::text, new::text FROM trading.{table}").fetchall()

    assert set(rows) == {(old.value, new.value) for old, new in transitions}


@pytest.mark.parametrize(
    ("kind", "states"), [("order_state", OrderState), ("trade_state", TradeState)]
)
def test_the_database_has_the_states_of_the_code(as_owner, kind, states):
    """Neither more nor fewer."""
    rows = as_owner.execute(
        "SELECT enumlabel FROM pg_enum WHERE enumtypid = %s::regtype", (f"trading.{kind}",)
    ).fetchall()

    assert {label for (label,) in rows} == {state.value for state in states}


def reachable(connection, table, key, old, states):
    """Return the states a row can go to from ``old``, and by which constraint others are refused."""
    column = f"{table[:-1]}_id"
    allowed, constraints = set(), set()
    for new in states:
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL session_replication_role = replica")
            connection.execute(
                f"UPDATE trading.{table} SET state = %s WHERE {column} = %s", (old.value, key)
            )
            connection.execute("SET LOCAL session_replication_role = origin")
            try:
                connection.execute(
                    f"UPDATE trading.{table} SET state = %s WHERE {column} = %s", (new.value, key)
                )
            except psycopg.errors.CheckViolation as error:
                constraints.add(error.diag.constraint_name)
            else:
                allowed.add(new)
    return allowed, constraints


@pytest.mark.parametrize("old", list(OrderState))
def test_an_order_goes_nowhere_the_table_does_not_say(as_owner, scene, runner, old):
    """Every pair of states is tried."""
    order_id = runner.run(scene.entry_order(runner.run(scene.enter())))

    allowed, constraints = reachable(as_owner, "orders", order_id, old, OrderState)
    assert allowed == {old} | {new for start, new in orders.TRANSITIONS if start is old}
    assert constraints == {"order_transitions"}


@pytest.mark.parametrize("old", list(TradeState))
def test_a_trade_goes_nowhere_the_table_does_not_say(as_owner, scene, runner, old):
    """Every pair of states is tried."""
    trade_id = runner.run(scene.enter())
    as_owner.execute("UPDATE trading.trades SET pnl_usd_e6 = 0 WHERE trade_id = %s", (trade_id,))

    allowed, constraints = reachable(as_owner, "trades", trade_id, old, TradeState)
    assert allowed == {old} | {new for start, new in trades.TRANSITIONS if start is old}
    assert constraints == {"trade_transitions"}


def refused(scene, runner, sql, *parameters):
    """Return the constraint by which the owner's statement is refused."""

    async def play():
        async with scene.owner.transaction() as tx:
            await tx.execute(sql, *parameters)

    with pytest.raises(DatabaseRejected) as caught:
        runner.run(play())
    return caught.value.constraint


def sold_trade(scene, runner):
    """Fill every append-only table with rows of this account."""

    async def play():
        trade_id = await scene.held_trade()
        order_id = await scene.entry_order(trade_id)
        scene.clock.at_us = CLOSE_US + 120_000_000
        assert await scene.settle(scene.settlement(yes_e2=1000)) == ""
        await scene.execute(
            "INSERT INTO trading.order_events VALUES (%s, %s, 1, 'test', 1, %s, %s, '{}')",
            *(scene.account, order_id, as_datetime(scene.now_us), as_datetime(scene.now_us)),
        )
        async with scene.owner.transaction() as tx:
            await tx.execute(
                "INSERT INTO trading.account_settings VALUES (%s, 1, 1, 'test', '{}', %s)",
                *(scene.account, as_datetime(scene.now_us)),
            )
            await tx.execute(
                "INSERT INTO trading.journal VALUES "
                "(%s, 'h', gen_random_uuid(), 1, %s, 1, 1, sha256(''), '')",
                *(scene.account, as_datetime(scene.now_us)),
            )
        return order_id

    return runner.run(play())


def test_what_is_append_only_is_neither_changed_nor_deleted(scene, runner):
    """Not even by the owner."""
    sold_trade(scene, runner)

    for table in APPEND_ONLY:
        where = (f"trading.{table}", "WHERE account = %s")
        assert refused(
            scene, runner, f"UPDATE {where[0]} SET account = account {where[1]}", scene.account
        ) == ("append_only"), table
        assert refused(scene, runner, f"DELETE FROM {' '.join(where)}", scene.account) == (
            "append_only"
        ), table


def test_nothing_of_the_money_path_is_ever_deleted(scene, runner):
    """Intents, trades, orders, switches and accounts stay."""
    runner.run(scene.held_trade())

    for table in NEVER_DELETED:
        key = "scope" if table == "switches" else "account"
        assert refused(
            scene, runner, f"DELETE FROM trading.{table} WHERE {key} = %s", scene.account
        ) == ("append_only"), table


def test_filled_and_booked_never_fall(scene, runner):
    """What was filled stays filled."""
    order_id = runner.run(scene.held_trade())
    order_id = runner.run(scene.entry_order(order_id))

    for column in ("filled_qty_e2", "booked_qty_e2"):
        assert refused(
            scene,
            runner,
            f"UPDATE trading.orders SET {column} = {column} - 1 WHERE order_id = %s",
            order_id,
        ) == ("orders_filled_monotone"), column


def test_an_order_is_never_filled_beyond_its_size(scene, runner):
    """Nor booked beyond what is filled."""
    order_id = runner.run(scene.entry_order(runner.run(scene.held_trade())))

    for column in ("filled_qty_e2", "booked_qty_e2"):
        assert refused(
            scene,
            runner,
            f"UPDATE trading.orders SET {column} = {column} + 1 WHERE order_id = %s",
            order_id,
        ).startswith("orders_")


def test_an_older_epoch_cannot_be_written(scene, runner):
    """A copy that woke up too late is refused by the row itself."""
    order_id = runner.run(scene.entry_order(runner.run(scene.enter())))
    runner.run(scene.send(order_id))

    assert refused(
        scene, runner, "UPDATE trading.orders SET epoch = 0 WHERE order_id = %s", order_id
    ) == ("orders_epoch_monotone")


def book(scene, amounts, account=None):
    """Write a ledger transaction with these amounts, past the code."""

    async def play():
        name = derived_id(scene.account, "test", *amounts)
        async with (scene.owner if account else scene.database).transaction() as tx:
            await tx.execute(
                "INSERT INTO trading.ledger_transactions "
                "(transaction_id, account, kind, fact_id, at, seen_at) "
                "VALUES (%s, %s, 'correction', 'test', %s, %s)",
                *(name, scene.account, *[as_datetime(scene.now_us)] * 2),
            )
            for line, amount in enumerate(amounts):
                await tx.execute(
                    "INSERT INTO trading.ledger_postings VALUES (%s, %s, %s, 'cash', '', %s, %s)",
                    *(name, line, account or scene.account, amount, as_datetime(scene.now_us)),
                )

    return play()


@pytest.mark.parametrize("amounts", [(1,), (100, -99), (5, 5, -11)])
def test_postings_that_do_not_balance_are_refused(scene, runner, amounts):
    """At the commit, by name; nothing of the transaction stays."""
    with pytest.raises(DatabaseRejected) as caught:
        runner.run(book(scene, amounts))

    assert caught.value.constraint == "postings_balance"
    rows = scene.rows(
        "SELECT FROM trading.ledger_transactions WHERE account = %s AND kind = 'correction'",
        scene.account,
    )
    assert runner.run(rows) == []


def test_postings_that_balance_are_kept(scene, runner):
    """Whatever their number."""
    runner.run(book(scene, (5, 6, -11)))

    runner.run(scene.assert_books_agree())


def test_a_posting_belongs_to_its_transaction_s_account_and_time(scene, accounts, runner):
    """It can be attached to nobody else's."""
    other = accounts()

    with pytest.raises(DatabaseRejected) as caught:
        runner.run(book(scene, (5, -5), account=other.account))
    assert caught.value.constraint == "postings_of_their_transaction"


def test_an_empty_posting_is_refused(scene, runner):
    """A line of nothing says nothing."""
    with pytest.raises(DatabaseRejected, match="amount"):
        runner.run(book(scene, (0,)))


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("fills", {"yes_price_e4": 10_001}),
        ("fills", {"yes_price_e4": -1}),
        ("fills", {"qty_e2": 0}),
        ("intents", {"limit_price_e4": 0}),
        ("intents", {"limit_price_e4": 10_000}),
        ("intents", {"qty_e2": 0}),
        ("intents", {"p_e6": 1_000_001}),
    ],
)
def test_impossible_values_are_refused(scene, runner, table, values):
    """Prices of 0 and 1 are not tradable; nothing is bought in a quantity of nothing."""
    ((name, value),) = values.items()

    async def play():
        if table == "intents":
            await scene.propose(scene.wish(**values))
        else:
            async with scene.database.transaction() as tx:
                await facts.book_fill(
                    tx,
                    scene.account,
                    facts.Fill(
                        **{
                            "fill_id": "impossible",
                            "exchange_order_id": "x",
                            "order_id": None,
                            "trade_id": None,
                            "market_ticker": "M",
                            "event_ticker": "E",
                            "book_side": orders.BookSide.BID,
                            "yes_price_e4": 5000,
                            "qty_e2": 100,
                            "fee_usd_e6": 0,
                            "is_taker": True,
                            "at_us": scene.now_us,
                        }
                        | values
                    ),
                    seen_us=scene.now_us,
                )

    with pytest.raises(DatabaseRejected, match=name):
        runner.run(play())
    assert value is not None


def test_every_change_of_state_leaves_an_audit_row(scene, runner):
    """Who, when, from what to what, in order, without a gap."""
    trade_id = runner.run(scene.held_trade())
    order_id = runner.run(scene.entry_order(trade_id))

    rows = runner.run(
        scene.rows(
            "SELECT subject, version, old_state, new_state, author, account FROM trading.audit "
            "WHERE subject_id IN (%s, %s) ORDER BY subject, version",
            *(str(trade_id), str(order_id)),
        )
    )
    login = f"recio_account_{scene.account}"
    assert [row[:1] + row[2:4] for row in rows] == [
        ("orders", None, "created"),
        ("orders", "created", "submitted"),
        ("orders", "submitted", "executed"),
        ("trades", None, "created"),
        ("trades", "created", "open"),
    ]
    assert {row[4:] for row in rows} == {(login, scene.account)}
    versions = [row[1] for row in rows]
    assert versions == sorted(set(versions[:3])) + sorted(set(versions[3:]))


def test_a_decided_intent_is_audited_with_its_reason(scene, runner):
    """Refused, and why."""
    intent = scene.wish(limit_price_e4=9900)
    refusal = runner.run(scene.ask(intent))

    rows = runner.run(
        scene.rows(
            "SELECT old_state, new_state, note FROM trading.audit WHERE subject_id = %s "
            "ORDER BY version",
            str(intent.intent_id),
        )
    )
    assert rows == [(None, "proposed", ""), ("proposed", "refused", refusal)]
    assert "cents outside" in refusal


def test_a_switch_is_audited_when_its_state_or_its_reason_changes(scene, runner):
    """Not when it is set again as it stands."""

    async def play():
        await scene.switch(Trading.HALTED)
        await scene.switch(Trading.HALTED)
        await scene.switch(Trading.ACTIVE)
        return await scene.rows(
            "SELECT old_state, new_state, author FROM trading.audit "
            "WHERE subject = 'switches' AND subject_id = %s ORDER BY version",
            f"{scene.account} person",
        )

    assert runner.run(play()) == [(None, "Halted", "test"), ("Halted", "Active", "test")]


def test_the_database_makes_neither_times_nor_identifiers(as_owner):
    """Both come through the ports, so that a run can be simulated."""
    defaults = as_owner.execute(
        "SELECT table_schema || '.' || table_name || '.' || column_name, column_default "
        "FROM information_schema.columns WHERE table_schema IN ('trading', 'market') "
        "AND (is_identity = 'YES' OR column_default ~ 'now|current|uuid|nextval|clock')"
    ).fetchall()

    assert defaults == []


def test_an_order_of_an_unknown_intent_is_refused(scene, runner):
    """No order without a durable wish."""
    trade_id = runner.run(scene.enter())

    assert refused(
        scene,
        runner,
        "INSERT INTO trading.orders (order_id, trade_id, intent_id, account, attempt, "
        "market_ticker, event_ticker, purpose, book_side, yes_price_e4, qty_e2, time_in_force, "
        "is_reduce_only, state, reserved_usd_e6, valid_until, created_at, changed_at) VALUES "
        "(%s, %s, %s, %s, 1, 'M', 'E', 'entry', 'bid', 5000, 100, 'immediate_or_cancel', false, "
        "'created', 0, %s, %s, %s)",
        *(UUID(int=1), trade_id, UUID(int=2), scene.account, *[as_datetime(scene.now_us)] * 3),
    ).startswith("orders_intent_id_fkey")


def test_the_fee_of_the_example_is_what_the_exchange_takes():
    """Ten contracts at 96 cents: the scene's figure is the documented formula's."""
    assert FEE == 26_900
