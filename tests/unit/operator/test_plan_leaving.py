"""How an account leaves: clean first, stopped then, and only then gone."""

from __future__ import annotations

import dataclasses

import pytest
from tests.unit.operator.world import SECOND_US, World, document, running

from recio.domain.account_config import Trading
from recio_operator.planning.plan import FinalizerStep, Plan

OPEN = {"is_flat": False, "open_trades": 2, "live_orders": 1}
ENDED_US = 1_795_000_000_000_000


def leaving(policy: str = "CancelOrders", *, spec: dict | None = None, **open_now) -> World:
    """Return an account that was just deleted while something is open."""
    world = running(deletionPolicy=policy, **(spec or {}))
    world.books = dataclasses.replace(world.books, **(open_now or OPEN))
    world.document["metadata"]["deletionTimestamp"] = "2026-11-18T11:06:40Z"
    return world


def leave(world: World, *, most: int = 10) -> list[Plan]:
    """Carry out plans until the account is gone."""
    plans = []
    for _ in range(most):
        plans.append(world.step())
        if world.is_gone:
            return plans
        if not world.deployments():
            world.pods.clear()
    raise AssertionError(f"still here: {plans[-1]}")


@pytest.mark.parametrize(
    ("policy", "switch"),
    [
        ("CancelOrders", Trading.HALTED),
        ("Flatten", Trading.FLATTEN),
        ("RefuseWhileOpen", Trading.NO_NEW_ENTRIES),
    ],
)
def test_the_policy_sets_the_switch_and_pods_stay(policy, switch):
    """The pods are what makes the account leave clean."""
    world = leaving(policy)

    plan = world.step()

    assert plan.switch is not None
    assert plan.switch.state is switch
    assert plan.finalizer is FinalizerStep.KEEP
    assert len(world.deployments()) == 6
    world.step()
    assert world.plan().is_nothing


def test_the_switch_is_set_before_the_pods_stop_though_nothing_is_open():
    """No order may slip in between the look and the end of the pods."""
    world = leaving("CancelOrders", is_flat=True, open_trades=0, live_orders=0)

    plan = world.plan()

    assert plan.switch is not None
    assert plan.switch.state is Trading.HALTED


def test_cancelling_leaves_positions_to_settle():
    """CancelOrders waits for orders, not for positions."""
    world = leaving("CancelOrders")
    world.step()
    world.books = dataclasses.replace(world.books, live_orders=0)

    plans = leave(world)

    assert plans[-1].finalizer is FinalizerStep.REMOVE
    assert plans[-1].releases_login
    assert plans[-1].notes[0].reason == "Left"


def test_flattening_waits_for_positions():
    """Flatten waits until there is neither an order nor a position."""
    world = leaving("Flatten")
    world.step()
    world.books = dataclasses.replace(world.books, live_orders=0)
    world.step()
    assert len(world.deployments()) == 6

    world.books = dataclasses.replace(world.books, is_flat=True, open_trades=0)

    leave(world)


def test_pods_stop_before_the_key_is_free():
    """Nothing may trade with a key that another account may claim."""
    world = leaving(is_flat=True, open_trades=0, live_orders=0)

    plan = world.step()

    assert world.deployments() == {}
    assert not plan.releases_login
    world.pods = {"trade-executor": "Terminating: it is asked to stop"}
    assert world.plan().finalizer is FinalizerStep.KEEP
    world.pods = {}
    assert world.plan().finalizer is FinalizerStep.REMOVE


def test_refusing_says_what_is_open_and_the_ways_out():
    """A deletion that waits must not be a riddle; it is never forced."""
    world = leaving("RefuseWhileOpen")
    world.now_us += 1_000_000 * SECOND_US

    plan = world.step()

    message = world.condition("Ready")["message"]
    assert world.reason("Ready") == ("False", "LeavingRefused")
    assert "2 open trades" in message
    assert "1 live order" in message
    assert "recio.io/force-finalize=true" in message
    assert "deletionPolicy" in message
    assert [note.kind for note in plan.notes if note.reason == "LeavingRefused"] == ["Warning"]


@pytest.mark.parametrize("policy", ["CancelOrders", "Flatten"])
def test_the_time_is_bounded(policy):
    """After deletionTimeoutSeconds the account goes, with a warning."""
    world = leaving(policy, spec={"deletionTimeoutSeconds": 60})
    world.step()
    world.now_us += 59 * SECOND_US
    assert world.plan().finalizer is FinalizerStep.KEEP
    world.now_us += SECOND_US

    plan = world.plan()

    assert plan.finalizer is FinalizerStep.REMOVE
    assert [(note.kind, note.reason) for note in plan.notes] == [("Warning", "LeftUnclean")]


def test_an_orphan_touches_nothing():
    """No switch is set; its pods stop and it goes."""
    world = leaving("Orphan")

    plans = leave(world)

    assert not [plan for plan in plans if plan.switch]


def test_force_finalize_goes_at_once():
    """The way out of everything, also of RefuseWhileOpen with a dead database."""
    world = leaving("RefuseWhileOpen")
    world.books_reason = "connection refused"
    world.annotate(force_finalize="true")

    plan = world.plan()

    assert plan.finalizer is FinalizerStep.REMOVE
    assert not plan.releases_login, "a database that is not there cannot be told"


def test_an_account_without_books_goes_at_once():
    """It never traded."""
    world = World(document())
    world.document["metadata"] |= {
        "finalizers": ["recio.io/leave-clean"],
        "deletionTimestamp": "2026-11-18T11:06:40Z",
    }

    assert world.plan().finalizer is FinalizerStep.REMOVE


def test_a_database_that_is_gone_is_waited_for_only_so_long():
    """Nobody knows what is open: wait, say so, and go when the time is up."""
    world = leaving("CancelOrders")
    world.books_reason = "connection refused"
    world.step()
    assert world.reason("Ready") == ("False", "LeavingBlind")
    assert len(world.deployments()) == 6

    world.now_us += 300 * SECOND_US
    plan = world.plan()

    assert plan.finalizer is FinalizerStep.REMOVE
    assert plan.notes[0].reason == "LeftUnclean"


def test_leaving_outranks_paused():
    """Nothing stays in Terminating because somebody paused it before."""
    world = leaving("CancelOrders", is_flat=True, open_trades=0, live_orders=0)
    world.annotate(paused="true")

    leave(world)


def test_a_refused_document_leaves_too():
    """The deletion policy counts where it can be read, the default where not."""
    world = leaving("Flatten")
    world.change(risk={"maxOpenTrades": 0})

    assert world.plan().switch.state is Trading.FLATTEN
    world.document["spec"] = "nonsense"
    assert world.plan().switch.state is Trading.HALTED


def test_a_suspended_account_wakes_to_leave_clean():
    """Only its pods can close what is open."""
    world = running(deletionPolicy="Flatten", suspend=True)
    world.books = dataclasses.replace(world.books, is_flat=False)
    world.document["metadata"]["deletionTimestamp"] = "2026-11-18T11:06:40Z"

    world.step()

    assert {live["spec"]["replicas"] for live in world.deployments().values()} == {1}


def test_a_harder_switch_of_the_document_stays():
    """Who set Flatten and then deletes does not want less than that."""
    world = leaving("CancelOrders", spec={"trading": "Flatten"})

    assert world.plan().switch is None
    world.document["spec"]["trading"] = "Active"
    assert world.plan().switch.state is Trading.HALTED


def test_after_our_finalizer_is_gone_nothing_is_done():
    """Somebody else's finalizer may keep the object; it is no account of ours any more."""
    world = leaving()
    world.document["metadata"]["finalizers"] = ["somebody.example/else"]

    assert world.plan() == Plan()


def test_a_leaving_account_rolls_nothing():
    """A new image while leaving would only cost time."""
    world = leaving()
    world.change(image="example.org/other:1", rollout={"policy": "Immediately"})

    world.step()

    assert world.rolled == []
