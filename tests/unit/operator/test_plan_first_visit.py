"""A new account: from nothing to Ready, and then nothing more to do."""

from __future__ import annotations

import pytest
from tests.unit.operator.world import World, document, running

from recio_operator.planning.plan import FinalizerStep

CONDITIONS = (
    "Ready",
    "CredentialsValid",
    "DatabaseReady",
    "ExchangeReachable",
    "TradingEnabled",
    "Reconciled",
    "Progressing",
    "Overridden",
    "ReconciliationPaused",
)


def test_the_first_visit_gives_every_condition():
    """Absent is unknown: clients wait on conditions that must be there from the beginning."""
    world = World(document())

    plan = world.plan()

    assert plan.status is not None
    assert tuple(one["type"] for one in plan.status["conditions"]) == CONDITIONS
    assert {one["observedGeneration"] for one in plan.status["conditions"]} == {1}


def test_the_first_visit_prepares():
    """Finalizer, login, key and document come before anything trades."""
    plan = World(document()).plan()

    assert plan.finalizer is FinalizerStep.ADD
    assert plan.needs_login
    assert plan.needs_key
    assert plan.document is not None
    assert not [one for one in plan.apply if one["kind"] == "Deployment"]


@pytest.mark.parametrize("topology", ["PerService", "Compact"])
@pytest.mark.parametrize("mode", ["paper", "demo", "prod"])
def test_an_account_becomes_ready_and_rests(mode, topology):
    """At rest there is nothing to write, not even a status."""
    world = running(mode=mode, topology=topology)

    count = 6 if topology == "PerService" else 1
    assert world.reason("Ready") == ("True", "Ready")
    assert world.document["status"]["workloads"] == f"{count}/{count}"
    assert world.document["status"]["effectiveGeneration"] == 1
    assert world.plan().is_nothing
    assert world.plan().requeue_seconds is None


def test_a_key_is_claimed_before_pods_get_it():
    """The plan that makes Deployments names the digest that must be claimed first."""
    world = running(mode="demo")
    assert world.key is not None

    fresh = World(document(mode="demo"), key=world.key)

    assert fresh.plan().claims_key == world.key.id_digest
    assert world.plan().claims_key == ""


def test_good_news_of_a_first_visit_is_no_event():
    """Nine Events for a new account would hide the one that matters."""
    reasons = {note.reason for note in World(document()).plan().notes}

    assert "NotPaused" not in reasons
    assert not {"Connected", "Active"} & reasons


def test_becoming_ready_is_told_once():
    """Events tell changes of state, not states."""
    world = World(document())
    told = []
    for _ in range(6):
        told += [note.reason for note in world.step().notes]
        world.run_pods()

    assert told.count("Ready") == 1
