"""An account's way through life: stopped, handed over, left alone, changed in kind, deleted clean."""

from __future__ import annotations

import pytest
from tests.e2e.kubernetes import accounts
from tests.e2e.kubernetes.waiting import Stopwatch


def test_a_suspended_account_has_no_pod_and_comes_back(system, new_account):
    """Suspend scales to nothing once it is flat; without it everything returns."""
    trader = new_account("suspended")
    trader.until_ready()
    trader.patch(suspend=True)
    trader.wait("no pod", lambda: not accounts.pods(system.kubectl, trader.name))
    said = trader.until_condition("TradingEnabled", "False")
    assert said["reason"] == "Suspended"
    trader.patch(suspend=False)
    trader.until_ready()


def test_suspending_waits_until_flat(system, new_account):
    """With a position open the pods stay; closed, they go."""
    trader = new_account("suspend-later")
    trader.until_ready()
    with system.page() as page:
        trade = trader.buy(page)
        trader.patch(suspend=True)
        trader.until_condition("Progressing", "True", "WaitingToSuspend")
        assert accounts.pods(system.kubectl, trader.name)
        trader.close(page, trade)
    trader.wait("no pod", lambda: not accounts.pods(system.kubectl, trader.name))


def test_a_paused_account_is_left_alone(system, new_account):
    """The operator repairs nothing while it is paused, and says so."""
    trader = new_account("paused")
    trader.until_ready()
    system.kubectl.annotate("ta", trader.name, "recio.io/paused=true")
    trader.until_condition("ReconciliationPaused", "True")
    system.kubectl.run("scale", "deployment", f"ta-{trader.name}-compact", "--replicas=0")
    trader.wait("no pod", lambda: not accounts.pods(system.kubectl, trader.name))
    trader.patch(risk={"maxContractsPerOrder": 3})
    replicas = system.kubectl.one("deployment", f"ta-{trader.name}-compact")["spec"]["replicas"]
    assert replicas == 0
    system.kubectl.annotate("ta", trader.name, "recio.io/paused-")
    trader.until_condition("ReconciliationPaused", "False")
    trader.until_ready()


def test_the_topology_changes_when_flat(system, new_account):
    """Compact to PerService and back; with a position open it waits."""
    trader = new_account("topology")
    trader.until_ready()
    with system.page() as page:
        trade = trader.buy(page)
        trader.patch(topology="PerService")
        trader.until_condition("Progressing", "True", "WaitingForFlat")
        assert len(accounts.pods(system.kubectl, trader.name)) == 1
        trader.close(page, trade)
    trader.wait("six workloads", lambda: trader.resource()["status"].get("workloads") == "6/6", 240)
    trader.patch(topology="Compact")
    trader.wait("one workload", lambda: trader.resource()["status"].get("workloads") == "1/1", 240)
    trader.until_ready()
    label = f"recio.io/account={trader.name}"
    assert system.kubectl.names("deployments", label) == {f"ta-{trader.name}-compact"}


def test_two_pooled_accounts_share_a_pod(system, new_account):
    """One Deployment for both; it stays while one of them is there."""
    one, other = (new_account("pooled", topology="Pooled") for _ in range(2))
    one.until_ready(180)
    other.until_ready(180)
    assert system.kubectl.get("deployment", f"ta-{one.name}-compact") is None
    assert system.kubectl.get("deployment", "tp-paper-paper") is not None
    with system.page() as page:
        one.close(page, one.buy(page))
    other.leave()
    one.until_ready(180)


def test_a_new_key_is_taken_over_in_order(system, new_account):
    """A paper account's key is replaced: the pod follows, the account is Ready with the new one."""
    trader = new_account("rotated")
    trader.until_ready()
    before, old = trader.pod_uids(), trader.resource()["status"]["credentialsHash"]
    system.kubectl.delete("secret", f"ta-{trader.name}-exchange-key", waits=True)
    trader.wait("another key", lambda: trader.resource()["status"].get("credentialsHash") != old)
    trader.wait("another pod", lambda: trader.pod_uids() and not trader.pod_uids() & before)
    trader.until_ready()
    with system.page() as page:
        trader.close(page, trader.buy(page))
    trader.until_cash_is_equal()


@pytest.mark.core
def test_a_deleted_account_leaves_nothing_but_its_books(system, new_account):
    """Flatten: it closes what is open, then goes; books stay, children and login do not."""
    trader = new_account("deleted", deletionPolicy="Flatten")
    trader.until_ready()
    with system.page() as page:
        trader.buy(page)
    watch = Stopwatch()
    system.kubectl.delete("ta", trader.name)
    trader.until_gone()
    system.figures.took("kubectl delete ta with a position (Flatten) to gone", watch.seconds())
    assert not trader.trades("open")
    ledger, exchange = trader.cash()
    assert ledger == exchange
    sql = f"SELECT rolcanlogin FROM pg_roles WHERE rolname = 'recio_account_{trader.name}'"
    assert trader.books.value(sql) is False
    kinds = "deployments,services,configmaps,secrets,networkpolicies,serviceaccounts"
    label = f"recio.io/account={trader.name}"
    trader.wait("nothing left", lambda: not system.kubectl.names(kinds, label), 60)


def test_deletion_waits_while_a_position_is_open_if_told_so(system, new_account):
    """RefuseWhileOpen never forces: it goes when the position is closed."""
    trader = new_account("refuse", deletionPolicy="RefuseWhileOpen")
    trader.until_ready()
    with system.page() as page:
        trade = trader.buy(page)
        system.kubectl.delete("ta", trader.name)
        trader.wait(
            "what it waits for",
            lambda: trader.condition("Progressing").get("reason") == "LeavingRefused",
        )
        trader.until_effective("NoNewEntries")
        assert accounts.pods(system.kubectl, trader.name)
        trader.close(page, trade)
    trader.until_gone()


def test_twenty_compact_accounts_at_once(system):
    """All Ready, each with its own login and key; then all gone."""
    traders = [system.trader(accounts.fresh_name("many")) for _ in range(20)]
    # Twenty accounts in a process each ask for more than two cores have to promise.
    system.release.upgrade(accounts={"resources": {"compact": {"requests": {"cpu": "20m"}}}})
    system.until_all_ready()
    watch = Stopwatch()
    system.kubectl.apply(*(accounts.document(one.name) for one in traders))
    try:
        for trader in traders:
            trader.until_ready(600)
        system.figures.took("20 Compact accounts applied at once to all Ready", watch.seconds())
    finally:
        for trader in traders:
            system.kubectl.annotate("ta", trader.name, "recio.io/force-finalize=true")
            system.kubectl.delete("ta", trader.name)
        watch = Stopwatch()
        for trader in traders:
            trader.until_gone()
        system.figures.took("20 Compact accounts deleted to gone", watch.seconds())
        system.release.upgrade()
        system.until_all_ready()
