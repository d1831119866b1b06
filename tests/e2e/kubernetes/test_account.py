"""One document is all that a trader writes: what comes of it, and what kubectl tells of it."""

from __future__ import annotations

import re

import pytest
from tests.e2e.kubernetes import accounts
from tests.e2e.kubernetes.waiting import Stopwatch

CONDITIONS = {
    *("Ready", "CredentialsValid", "DatabaseReady", "ExchangeReachable", "TradingEnabled"),
    *("Reconciled", "Progressing", "Overridden", "ReconciliationPaused"),
}
EAGER = {
    "autoEntry": {
        "enabled": True,
        "minProbabilityPermille": 500,
        "minNetEdgeBasisPoints": -1000,
        "minVolumeContracts": 0,
        "minSecondsToClose": 0,
        "maxSecondsToClose": 3600,
        "cooldownSeconds": 0,
    },
    "spikeAlert": {"enabled": False},
}
COLUMNS = ["NAME", "MODE", "TRADING", "READY", "WORKLOADS", "REASON", "AGE"]
WIDE = [*COLUMNS[:-1], "STRATEGY", "TOPOLOGY", "IMAGE", "AGE"]


@pytest.mark.core
def test_a_document_becomes_an_account_that_trades(system, new_account):
    """Applied, Ready, and a first trade by hand: open, with a fill at the exchange."""
    trader = new_account("first")
    trader.until_ready()
    with system.page() as page:
        trade = trader.buy(page)
        assert trade["filled_qty_e2"] == 100
        trader.close(page, trade)
    trader.until_cash_is_equal()
    assert trader.doubled_orders() == []


def test_the_strategy_trades_by_itself(system, new_account):
    """With a low bar the first snapshot with a probability is entered, without anybody's hand."""
    watch = Stopwatch()
    trader = new_account("by-itself", strategy=EAGER)
    trader.until_ready()
    trader.wait("a trade of its own", lambda: trader.trades("open"), 180)
    system.figures.took("kubectl apply to a first trade by the strategy", watch.seconds())
    (trade,) = trader.trades("open")[:1]
    assert trade["source"] == "auto_entry"
    with system.page() as page:
        told = page.get(f"/api/trace/{trade['trade_id']}")
    assert {"decision", "intent", "order event", "fill"} <= {step["kind"] for step in told["steps"]}


def test_every_condition_is_there_with_a_reason(new_account):
    """What is not known is Unknown, never absent; each names its generation."""
    trader = new_account("conditions")
    trader.until_ready()
    status = trader.resource()["status"]
    assert {one["type"] for one in status["conditions"]} == CONDITIONS
    for one in status["conditions"]:
        assert one["reason"], one
        assert one["observedGeneration"] == status["observedGeneration"]
    assert status["workloads"] == "1/1"
    assert status["flat"] is True


def test_get_shows_what_one_wants_to_know(system, new_account):
    """Mode, effective switch, readiness, workloads, reason and age in one line."""
    trader = new_account("columns")
    trader.until_ready()
    lines = system.kubectl.run("get", "ta", trader.name).splitlines()
    assert lines[0].split() == COLUMNS
    row = rf"{trader.name} +paper +Active +True +1/1 +\w+ +\S+"
    assert re.fullmatch(row, lines[1].strip()), lines
    wide = system.kubectl.run("get", "ta", trader.name, "--output", "wide").splitlines()
    assert wide[0].split() == WIDE
    assert re.search(r"HourlyHTC +Compact +\S+ +\S+$", wide[1].strip()), wide


def test_kubectl_explains_every_field(system):
    """The manual is in the cluster."""
    said = system.kubectl.run("explain", "tradingaccount.spec.risk", "--recursive=false")
    assert "maxDailyLossDollars" in said
    assert "<no description>" not in system.kubectl.run("explain", "tradingaccount.spec")


def test_one_deployment_a_service_or_one_for_all(system, new_account):
    """PerService makes six workloads, all owned by the account."""
    trader = new_account("apart", topology="PerService")
    trader.until_ready(180)
    made = system.kubectl.list("deployments", f"recio.io/account={trader.name}")
    assert len(made) == 6
    assert trader.resource()["status"]["workloads"] == "6/6"
    for one in made:
        (owner,) = one["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"]) == ("TradingAccount", trader.name)


def test_a_pod_is_restricted_and_sees_only_its_own_secrets(new_account):
    """Not root, nothing writable, no token, no capability; the key only where orders are sent."""
    trader = new_account("restricted")
    trader.until_ready()
    (pod,) = accounts.pods(trader.kubectl, trader.name)
    spec = pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    for one in [*spec["containers"], *spec["initContainers"]]:
        context = one["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"]["drop"] == ["ALL"]
        assert one["resources"].get("requests"), one["name"]
