"""When running pods may be replaced."""

from __future__ import annotations

import dataclasses

import pytest
from tests.unit.operator.world import SECOND_US, World, books, good_key, release, running

from recio_operator import names
from recio_operator.planning.observed import KeyState

NEW_IMAGE = "ghcr.io/rec-io/recio@sha256:" + "1" * 64


def open_position(world: World) -> None:
    """Let the account hold a position."""
    assert world.books is not None
    world.books = dataclasses.replace(world.books, is_flat=False, open_trades=1)


def closed(world: World) -> None:
    """Let the account be flat."""
    assert world.books is not None
    world.books = dataclasses.replace(world.books, is_flat=True, open_trades=0, live_orders=0)


def images(world: World) -> set[str]:
    """Return the images of the live Deployments."""
    return {
        live["spec"]["template"]["spec"]["containers"][0]["image"]
        for live in world.deployments().values()
    }


def test_when_flat_waits_for_the_last_position():
    """A new image replaces no pod while something is open, and every pod once nothing is."""
    world = running()
    open_position(world)
    world.change(image=NEW_IMAGE)

    world.settle()

    assert world.rolled == []
    assert world.reason("Progressing") == ("True", "WaitingForFlat")
    assert world.reason("Ready") == ("True", "Ready")
    assert world.document["status"]["effectiveGeneration"] == 1
    closed(world)
    world.settle()
    assert len(world.rolled) == 6
    assert images(world) == {NEW_IMAGE}
    assert world.document["status"]["effectiveGeneration"] == 2
    assert world.document["status"]["image"] == NEW_IMAGE


def test_a_live_order_is_something_open():
    """An order that may still fill keeps the pods although there is no position yet."""
    world = running()
    world.books = books(live_orders=1, applied_spec=world.books.applied_spec)
    world.change(image=NEW_IMAGE)

    world.settle()

    assert world.rolled == []


def test_the_deadline_counts_from_when_the_change_was_first_seen():
    """After deadlineSeconds the account is not asked any more; an Event says that it was forced."""
    world = running(rollout={"deadlineSeconds": 600})
    open_position(world)
    world.now_us += 10_000 * SECOND_US
    world.change(image=NEW_IMAGE)
    plan = world.settle()
    assert plan.requeue_seconds == 600

    world.now_us += 599 * SECOND_US
    world.settle()
    assert world.rolled == []
    world.now_us += SECOND_US
    plan = world.step()

    assert len(world.rolled) == 6
    assert "RolloutForced" in {note.reason for note in plan.notes}


def test_without_a_deadline_nothing_is_forced():
    """DeadlineSeconds 0 waits for ever."""
    world = running(rollout={"deadlineSeconds": 0})
    open_position(world)
    world.change(image=NEW_IMAGE)
    world.settle()
    world.now_us += 1_000_000 * SECOND_US

    assert world.settle().requeue_seconds is None
    assert world.rolled == []


def test_a_second_change_does_not_start_the_wait_anew():
    """Who changes the document every hour would otherwise never be served."""
    world = running(rollout={"deadlineSeconds": 600})
    open_position(world)
    world.change(image=NEW_IMAGE)
    world.settle()
    world.now_us += 500 * SECOND_US
    world.change(image="example.org/third:1")
    world.settle()
    assert world.rolled == []

    world.now_us += 100 * SECOND_US
    world.settle()

    assert images(world) == {"example.org/third:1"}
    assert len(world.rolled) == 6


def test_a_change_that_is_taken_back_restarts_nothing():
    """What was held and is not wanted any more leaves no trace."""
    world = running()
    before = {name: live["spec"] for name, live in world.deployments().items()}
    open_position(world)
    world.change(image=NEW_IMAGE)
    world.settle()
    del world.document["spec"]["image"]
    closed(world)

    world.settle()

    assert world.rolled == []
    assert {name: live["spec"] for name, live in world.deployments().items()} == before


def test_immediately_does_not_wait():
    """The policy says that the new pods take open positions over."""
    world = running(rollout={"policy": "Immediately"})
    open_position(world)
    world.change(image=NEW_IMAGE)

    world.settle()

    assert len(world.rolled) == 6


def test_manual_waits_for_the_annotation():
    """Flat or not: a person says when."""
    world = running(rollout={"policy": "Manual"})
    world.change(image=NEW_IMAGE)
    world.settle()
    assert world.reason("Progressing") == ("True", "WaitingForApproval")
    assert world.rolled == []
    open_position(world)

    world.annotate(restartedAt="2026-11-18T09:00:00Z")
    world.settle()

    assert len(world.rolled) == 6
    world.rolled.clear()
    world.change(image="example.org/third:1")
    world.settle()
    assert world.rolled == [], "the annotation was used up"


@pytest.mark.parametrize("policy", ["WhenFlat", "Immediately", "Manual"])
def test_nothing_is_replaced_while_the_books_are_unknown(policy):
    """Whatever the policy: who cannot see what is open keeps its hands off."""
    world = running(rollout={"policy": policy, "deadlineSeconds": 1})
    world.change(image=NEW_IMAGE)
    world.annotate(restartedAt="2026-11-18T09:00:00Z")
    world.books_reason = "connection refused"
    world.settle()
    world.now_us += 100_000 * SECOND_US

    world.settle()

    assert world.rolled == []
    assert world.reason("Progressing") == ("True", "WaitingForDatabase")
    assert world.reason("DatabaseReady") == ("False", "DatabaseUnreachable")
    assert world.reason("TradingEnabled") == ("Unknown", "DatabaseUnreachable")
    assert "trading" not in world.document["status"]


WINDOW = {
    "startTime": "02:00",
    "durationMinutes": 30,
    "days": ["Wednesday"],
    "timeZone": "America/New_York",
}


def test_a_window_is_waited_for_in_its_own_time_zone():
    """Flat outside of the windows waits, and the plan says when to look again."""
    world = running(rollout={"windows": [WINDOW]})
    world.change(image=NEW_IMAGE)

    plan = world.settle()

    assert world.rolled == []
    assert world.reason("Progressing") == ("True", "WaitingForWindow")
    assert plan.requeue_seconds is not None
    world.now_us += round(plan.requeue_seconds) * SECOND_US
    world.settle()
    assert len(world.rolled) == 6


def test_an_upgrade_that_changes_no_template_restarts_nothing():
    """A new operator writes labels and its version, and touches no pod."""
    world = running()
    world.release = release(version="0.2.0")

    world.settle()

    assert world.rolled == []
    assert world.document["status"]["operatorVersion"] == "0.2.0"


def test_settings_do_not_run_ahead_of_held_pods():
    """An old pod that restarts by itself must find the settings that it knows."""
    world = running()
    open_position(world)
    before = world.children["ConfigMap", "ta-alpha"]["data"]
    world.release = release(
        image={"reference": "ghcr.io/rec-io/recio:0.2.0"},
        workloads={"extraEnvironment": {"RECIO_LOG_LEVEL": "DEBUG"}},
    )

    world.settle()

    assert world.children["ConfigMap", "ta-alpha"]["data"] == before
    closed(world)
    world.settle()
    assert world.children["ConfigMap", "ta-alpha"]["data"]["RECIO_LOG_LEVEL"] == "DEBUG"


def test_a_held_deployment_is_repaired_all_the_same():
    """Waiting is about the pod template; who scales a trader to zero is put right at once."""
    world = running()
    open_position(world)
    world.change(image=NEW_IMAGE)
    world.settle()
    world.children["Deployment", "ta-alpha-trade-executor"]["spec"]["replicas"] = 0

    world.settle()

    live = world.children["Deployment", "ta-alpha-trade-executor"]
    assert live["spec"]["replicas"] == 1
    assert world.rolled == []


@pytest.mark.parametrize("reason", ["ImagePullBackOff: no such image", "CrashLoopBackOff: 40 s"])
def test_pods_that_cannot_run_are_replaced_at_once(reason):
    """A fix must not wait for a position that only working pods could close."""
    world = running(topology="Compact")
    open_position(world)
    world.pods["compact"] = reason
    world.change(image=NEW_IMAGE)

    world.step()

    assert world.rolled == ["ta-alpha-compact"]


def test_pods_that_cannot_run_are_left_alone_while_the_books_are_unknown():
    """Perhaps they cannot run because of what makes the books unknown."""
    world = running(topology="Compact")
    world.books_reason = "connection refused"
    world.pods["compact"] = "CrashLoopBackOff: 40 s"
    world.change(image=NEW_IMAGE)

    world.step()

    assert world.rolled == []


def test_a_new_key_waits_a_minute_at_most_for_orders_in_flight():
    """Only the pods that hold a key are replaced, and nothing else of them changes."""
    world = running(mode="demo")
    assert world.books is not None
    world.books = dataclasses.replace(world.books, live_orders=1, is_flat=False)
    world.key = good_key(number=2)

    plan = world.settle()
    assert world.rolled == []
    assert plan.requeue_seconds == 60
    assert world.reason("CredentialsValid") == ("Unknown", "Rotating")
    assert world.reason("Progressing") == ("True", "RotatingCredentials")

    world.now_us += 60 * SECOND_US
    world.settle()
    assert sorted(world.rolled) == ["ta-alpha-kalshi-account-sync", "ta-alpha-trade-executor"]
    assert world.reason("CredentialsValid") == ("True", "Verified")
    assert world.reason("Ready") == ("True", "Ready")


def test_a_new_key_does_not_wait_with_a_new_image():
    """The old image gets the new key; the new image goes on waiting."""
    world = running(mode="demo")
    open_position(world)
    world.change(image=NEW_IMAGE)
    world.settle()
    hash_before = world.document["status"]["credentialsHash"]
    world.key = good_key(number=2)

    world.settle()

    assert sorted(world.rolled) == ["ta-alpha-kalshi-account-sync", "ta-alpha-trade-executor"]
    assert images(world) == {"ghcr.io/rec-io/recio:0.1.0"}
    assert world.reason("Progressing") == ("True", "WaitingForFlat")
    assert world.document["status"]["credentialsHash"] != hash_before
    closed(world)
    world.settle()
    assert images(world) == {NEW_IMAGE}


def test_another_secret_is_mounted_by_a_rotation():
    """CredentialsSecretRef may name another Secret: the volume follows, not the image."""
    world = running(mode="demo", topology="Compact")
    open_position(world)
    world.change(image=NEW_IMAGE, credentialsSecretRef={"name": "second"})
    world.key = good_key(number=2)

    world.settle()

    template = world.children["Deployment", "ta-alpha-compact"]["spec"]["template"]
    volumes = {one["name"]: one for one in template["spec"]["volumes"]}
    assert volumes["credentials"]["projected"]["sources"][0]["secret"]["name"] == "second"
    assert images(world) == {"ghcr.io/rec-io/recio:0.1.0"}
    assert world.plan().is_nothing


def test_a_broken_key_leaves_running_pods_alone():
    """Pods go on with the key that they have; the condition says what is wrong with the new one."""
    world = running(mode="demo")
    world.key = dataclasses.replace(good_key(number=2), state=KeyState.KEY_BROKEN, detail="no PEM")

    world.settle()

    assert world.rolled == []
    assert world.condition("CredentialsValid")["message"] == "no PEM"
    assert world.reason("Ready")[0] == "False"


def test_topology_moves_when_flat_and_never_runs_twice():
    """The old Deployments and their pods are gone before the new ones are made."""
    world = running()
    open_position(world)
    world.change(topology="Compact")
    world.settle()
    assert "ta-alpha-compact" not in world.deployments()
    assert world.reason("Progressing") == ("True", "WaitingForFlat")
    closed(world)

    world.step()
    assert world.deployments() == {}
    world.pods = {"trade-executor": "Terminating: it is asked to stop"}
    world.step()
    assert world.deployments() == {}
    assert world.reason("Progressing") == ("True", "ReplacingTopology")
    world.pods = {}
    world.settle()

    assert list(world.deployments()) == ["ta-alpha-compact"]
    assert ("Service", "ta-alpha-trade-executor") not in world.children
    assert world.reason("Ready") == ("True", "Ready")


def test_a_topology_that_changes_back_while_it_waits_restarts_nothing():
    """The second change takes the first one back."""
    world = running()
    open_position(world)
    world.change(topology="Compact")
    world.settle()
    world.change(topology="PerService")
    closed(world)

    world.settle()

    assert world.rolled == []
    assert world.document["status"]["effectiveGeneration"] == 3


def test_restarted_at_is_a_restart():
    """As `kubectl rollout restart` does: a new template, through the same gate."""
    world = running(topology="Compact")
    world.annotate(restartedAt="2026-11-18T09:00:00Z")

    world.settle()

    assert world.rolled == ["ta-alpha-compact"]
    template = world.children["Deployment", "ta-alpha-compact"]["spec"]["template"]
    assert template["metadata"]["annotations"][names.RESTARTED_AT] == "2026-11-18T09:00:00Z"


def test_suspending_waits_until_flat_and_lasts():
    """Pods stop when nothing is open, and stay away whatever the switches do."""
    world = running()
    open_position(world)
    world.change(suspend=True)
    world.settle()
    assert world.rolled == []
    assert world.reason("Progressing") == ("True", "WaitingToSuspend")
    closed(world)

    world.settle()

    assert len(world.rolled) == 6
    assert world.reason("Ready") == ("False", "Suspended")
    assert world.reason("TradingEnabled") == ("False", "Suspended")
    open_position(world)
    world.change(image=NEW_IMAGE)
    world.settle()
    assert {live["spec"]["replicas"] for live in world.deployments().values()} == {0}
    assert images(world) == {NEW_IMAGE}
    world.change(suspend=False)
    world.settle()
    assert world.reason("Ready") == ("True", "Ready")


def test_suspending_is_also_possible_when_halted():
    """Halted: nothing may be done about what is open, so the pods are not needed for it."""
    world = running(trading="Halted")
    open_position(world)
    world.change(suspend=True)

    world.settle()

    assert len(world.rolled) == 6


def test_suspended_is_not_undone_by_an_unknown_database():
    """Neither started nor stopped: it stays as it is."""
    world = running(suspend=True)
    world.books_reason = "connection refused"

    world.settle()

    assert {live["spec"]["replicas"] for live in world.deployments().values()} == {0}


def test_the_deadline_does_not_count_what_came_before():
    """Pods that took long to start have nothing to do with a change that begins to wait now."""
    world = running(topology="Compact", rollout={"deadlineSeconds": 600})
    world.children["Deployment", "ta-alpha-compact"]["status"]["observedGeneration"] = 0
    world.step()
    assert world.reason("Progressing") == ("True", "RollingOut")
    world.now_us += 10_000 * SECOND_US
    open_position(world)
    world.change(image=NEW_IMAGE)

    plan = world.settle(is_running=False)

    assert world.rolled == []
    assert plan.requeue_seconds == 600


def test_holding_a_change_writes_no_child():
    """What waits is told in the status and nowhere else."""
    world = running()
    open_position(world)
    world.change(image=NEW_IMAGE)

    assert world.plan().apply == ()


def test_a_key_of_another_stops_nobody_while_the_books_are_unknown():
    """Who has the key is known to PostgreSQL, and that cannot be asked."""
    world = running(mode="demo")
    world.key = dataclasses.replace(good_key(), state=KeyState.KEY_IN_USE)
    world.books_reason = "connection refused"

    world.settle()

    assert world.rolled == []
