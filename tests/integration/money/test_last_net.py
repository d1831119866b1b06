"""The schema as the last net: what raw SQL under the account's own login cannot break.

Limits are the gate's. Everything else that must never be is refused by the database whoever asks:
states only go on from their beginning, a wish is one order, a fact is booked once and stays, no
quantity is negative, no epoch falls.
"""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors
from tests.integration.money.scene import login_url

from recio.adapters.postgres import config

COPY = (
    "INSERT INTO trading.{table} SELECT (r).* FROM (SELECT jsonb_populate_record(t, "
    "%s::jsonb || jsonb_build_object('{key}', gen_random_uuid())) AS r FROM trading.{table} t "
    "ORDER BY 1 LIMIT 1) made"
)
FRESH: dict[str, Any] = {
    "state": "created",
    "attempt": 1,
    "filled_qty_e2": 0,
    "booked_qty_e2": 0,
    "exchange_order_id": None,
    "epoch": None,
}


@pytest.fixture
def login(scene, runner, module_database_url):
    """The account's own login, after a trade, a claim, a fill and a settlement."""

    async def play():
        trade_id = await scene.held_trade()
        scene.clock.pass_time(11 * 60)
        assert await scene.settle(scene.settlement(yes_e2=1000)) == ""
        await scene.execute(
            "INSERT INTO trading.order_events SELECT account, order_id, 1, 'submitted', 1, "
            "created_at, created_at, '{}' FROM trading.orders WHERE trade_id = %s",
            trade_id,
        )

    runner.run(play())
    url = login_url(module_database_url, config.account_login(scene.account))
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def copied(login, table, key, **changes):
    """Insert a copy of a row under another id, with some values changed."""
    login.execute(COPY.format(table=table, key=key), (psycopg.types.json.Jsonb(changes),))


BORN = {
    "intents": ("intent_id", ["accepted", "refused"], {"refusal": "x"}),
    "trades": (
        "trade_id",
        ["entering", "open", "closing", "closed", "expired", "settled", "abandoned"],
        {"number": 99, "pnl_usd_e6": 0},
    ),
    "orders": (
        "order_id",
        ["submitted", "unknown", "resting", "partially_filled", "executed", "canceled",
         "rejected", "expired_unsent"],
        FRESH,
    ),
}  # fmt: skip


@pytest.mark.parametrize("table", BORN)
def test_nothing_is_born_in_the_middle_of_its_life(login, table):
    """Every state but the first."""
    key, states, changes = BORN[table]
    for state in states:
        with pytest.raises(errors.CheckViolation) as caught:
            copied(login, table, key, **changes | {"state": state})
        assert caught.value.diag.constraint_name == "born_at_the_beginning", state


def test_a_wish_is_one_order(login):
    """Neither the same attempt again nor another one."""
    with pytest.raises(errors.UniqueViolation):
        copied(login, "orders", "order_id", **FRESH)
    with pytest.raises(errors.CheckViolation) as caught:
        copied(login, "orders", "order_id", **FRESH | {"attempt": 2})
    assert caught.value.diag.constraint_name == "one_order_an_intent"


@pytest.mark.parametrize(
    "changes", [{"filled_qty_e2": 1}, {"filled_qty_e2": 1, "booked_qty_e2": 1},
                {"exchange_order_id": "x"}],
)  # fmt: skip
def test_an_order_is_not_born_filled_or_sent(login, changes):
    """What was filled or sent was so by the one that exists."""
    with pytest.raises(errors.CheckViolation) as caught:
        copied(login, "orders", "order_id", **FRESH | changes)
    assert caught.value.diag.constraint_name == "one_order_an_intent"


def test_a_fact_is_booked_once(login):
    """A fill, a settlement, their ledger transactions and every line of them."""
    for table in ("fills", "settlements", "ledger_transactions", "ledger_postings", "order_events"):
        with pytest.raises(errors.UniqueViolation):
            login.execute(f"INSERT INTO trading.{table} SELECT * FROM trading.{table}")


def test_a_fact_cannot_be_booked_under_another_transaction(login):
    """One ledger transaction for a kind and a fact, whatever it is called."""
    with pytest.raises(errors.UniqueViolation) as caught:
        copied(login, "ledger_transactions", "transaction_id")
    assert caught.value.diag.constraint_name == "ledger_transactions_account_kind_fact_id_key"


@pytest.mark.parametrize(
    "table",
    ["fills", "settlements", "ledger_transactions", "ledger_postings", "order_events", "audit"],
)
def test_what_happened_is_neither_changed_nor_removed(login, table):
    """Not one column, not one row."""
    for sql in (f"UPDATE trading.{table} SET account = account", f"DELETE FROM trading.{table}"):
        with pytest.raises(errors.InsufficientPrivilege):
            login.execute(sql)


@pytest.mark.parametrize("table", ["intents", "trades", "orders", "positions", "leases", "totals"])
def test_no_row_of_the_money_path_is_deleted(login, table):
    """The login has no right to, and most tables refuse it to anybody."""
    with pytest.raises(errors.InsufficientPrivilege):
        login.execute(f"DELETE FROM trading.{table}")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE trading.orders SET filled_qty_e2 = -1, booked_qty_e2 = -1",
        "UPDATE trading.orders SET booked_qty_e2 = booked_qty_e2 - 1",
        "UPDATE trading.orders SET filled_qty_e2 = qty_e2 + 1",
        "UPDATE trading.orders SET state = 'submitted'",
        "UPDATE trading.orders SET epoch = epoch - 1",
        "UPDATE trading.trades SET exited_qty_e2 = -1",
        "UPDATE trading.trades SET filled_qty_e2 = -1, exited_qty_e2 = -1",
        "UPDATE trading.trades SET exited_qty_e2 = filled_qty_e2 + 1",
        "UPDATE trading.trades SET state = 'created'",
        "UPDATE trading.trades SET state = 'closed', pnl_usd_e6 = NULL",
        "UPDATE trading.intents SET state = 'proposed'",
        "UPDATE trading.intents SET state = 'refused', refusal = 'x'",
        "UPDATE trading.positions SET cost_usd_e6 = -1",
        "UPDATE trading.totals SET equity_high_usd_e6 = equity_usd_e6 - 1",
        "UPDATE trading.leases SET epoch = epoch - 1",
        "UPDATE trading.leases SET holder = gen_random_uuid()",
    ],
)
def test_no_state_goes_back_and_no_quantity_below_nothing(login, statement):
    """By a constraint or a trigger, each by its name."""
    with pytest.raises(errors.CheckViolation) as caught:
        login.execute(statement)
    assert caught.value.diag.constraint_name


def test_a_lease_passes_on_under_a_higher_epoch_only(login):
    """Taking over and renewing are what is left."""
    login.execute("UPDATE trading.leases SET renewed_wall_at = renewed_wall_at")
    login.execute("UPDATE trading.leases SET epoch = epoch + 1, holder = gen_random_uuid()")
