"""Halting and letting go by ``kubectl patch``, limits that change while everything runs."""

from __future__ import annotations

import pytest
from tests.e2e.kubernetes import accounts
from tests.e2e.kubernetes.waiting import Stopwatch

SWITCH_SECONDS = 10.0


@pytest.mark.core
def test_an_account_is_halted_and_let_go_by_patch(system, new_account):
    """Nothing goes out while Halted, the pods stay, and afterwards it trades."""
    trader = new_account("halted")
    trader.until_ready()
    before = trader.pod_uids()
    watch = Stopwatch()
    trader.patch(trading="Halted")
    trader.until_effective("Halted")
    system.figures.took("kubectl patch to Halted in the database", watch.seconds())
    trader.until_condition("TradingEnabled", "False", "Halted")
    (source,) = trader.resource()["status"]["trading"]["sources"]
    assert (source["source"], source["state"]) == ("resource", "Halted")
    with system.page() as page:
        intent = trader.wait("a proposal", lambda: page.buy(trader.name))
        trader.wait("a refusal", lambda: _refusal(trader, intent))
        trader.patch(trading="Active")
        trader.until_effective("Active")
        trader.close(page, trader.buy(page))
    assert trader.pod_uids() == before


def test_the_fleet_holds_every_account(system, new_account):
    """One document halts all; each is let go with it."""
    one, other = new_account("fleet"), new_account("fleet")
    one.until_ready()
    other.until_ready()
    system.kubectl.apply(accounts.fleet(trading="Active"))
    try:
        system.kubectl.patch("tf", "default", {"spec": {"trading": "Halted"}})
        for trader in (one, other):
            trader.until_effective("Halted")
        system.kubectl.patch("tf", "default", {"spec": {"trading": "Active"}})
        for trader in (one, other):
            trader.until_effective("Active")
    finally:
        system.kubectl.delete("tf", "default")


def test_what_a_person_sets_on_the_page_shows_in_the_resource(system, new_account):
    """A halt by hand is its own source; the resource cannot release it, the page can."""
    trader = new_account("by-hand")
    trader.until_ready()
    with system.page() as page:
        body = {"scope": trader.name, "state": "Halted", "reason": "lunch"}
        trader.wait("the account on the page", lambda: page.post("/api/switches", body))
        trader.until_effective("Halted")
        trader.patch(trading="NoNewEntries")
        trader.until_ready()
        trader.until_effective("Halted")
        page.post("/api/switches", body | {"state": "Active"})
        trader.until_effective("NoNewEntries")


def test_limits_change_without_a_restart(system, new_account):
    """The gate knows the new limit; the pods are the same."""
    trader = new_account("limits", risk={"maxContractsPerOrder": 2})
    trader.until_ready()
    before = trader.pod_uids()
    with system.page() as page:
        intent = trader.wait("a proposal", lambda: page.buy(trader.name, contracts_e2=300))
        assert "order" in trader.wait("a refusal", lambda: _refusal(trader, intent))
        trader.patch(risk={"maxContractsPerOrder": 5})
        trader.until_ready()
        trade = trader.buy(page, contracts_e2=300)
        assert trade["wanted_qty_e2"] == 300
        trader.close(page, trade)
    assert trader.pod_uids() == before


def test_edits_of_a_person_show_as_overridden(system, new_account):
    """A tighter limit set on the page is a condition of the account."""
    trader = new_account("edited")
    trader.until_ready()
    with system.page() as page:
        body = {"account": trader.name, "risk": {"maxOpenTrades": 1}}
        trader.wait("the account on the page", lambda: page.post("/api/settings", body))
    trader.until_condition("Overridden", "True")


def _refusal(trader, intent):
    sql = f"SELECT refusal FROM trading.intents WHERE intent_id = '{intent['intent_id']}'"
    return trader.books.value(sql)
