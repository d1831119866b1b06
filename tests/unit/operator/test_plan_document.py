"""Which document counts, which part of it waits, and what becomes of one that is refused."""

from __future__ import annotations

import dataclasses

import pytest
from tests.unit.operator.world import NOW_US, World, document, running

from recio.domain.account_config import Trading
from recio_operator.planning.observed import SwitchSource
from recio_operator.planning.plan import Plan

CUSTOM = {
    "name": "Custom",
    "custom": {"configMapRef": {"name": "mine", "key": "strategy.py"}, "className": "Mine"},
}


def hold_position(world: World) -> None:
    """Let the account hold a position."""
    world.books = dataclasses.replace(world.books, is_flat=False, open_trades=1)


def test_what_counts_at_once_counts_at_once():
    """Switches, tighter and looser limits, settings, and new series do not wait for anything."""
    world = running()
    hold_position(world)
    world.change(
        trading="ReduceOnly",
        series=["KXBTCD", "KXBTC15M"],
        risk={"maxDailyLossDollars": 5, "maxOpenTrades": 7},
        strategy={"autoEntry": {"enabled": True}},
    )

    plan = world.step()

    assert plan.document is not None
    spec = plan.document["spec"]
    assert spec["trading"] == "ReduceOnly"
    assert spec["risk"]["maxDailyLossDollars"] == 5
    assert spec["risk"]["maxOpenTrades"] == 7
    assert spec["strategy"]["autoEntry"]["enabled"] is True
    world.settle()
    assert world.document["status"]["effectiveGeneration"] == 2


def test_a_strategy_stays_with_its_positions():
    """strategy.name and custom wait until flat; the rest of the same document does not."""
    world = running()
    hold_position(world)
    world.change(strategy=CUSTOM, trading="NoNewEntries")

    world.settle()

    assert world.books.applied_spec["strategy"]["name"] == "HourlyHTC"
    assert world.books.applied_spec["trading"] == "NoNewEntries"
    assert world.document["status"]["effectiveGeneration"] == 1
    assert world.reason("Reconciled") == ("True", "ChangesWaiting")
    assert "strategy" in world.condition("Reconciled")["message"]
    world.books = dataclasses.replace(world.books, is_flat=True, open_trades=0)
    world.settle()
    assert world.books.applied_spec["strategy"]["name"] == "Custom"
    assert world.document["status"]["effectiveGeneration"] == 2


def test_a_removed_series_waits_until_flat():
    """Something of it may be open."""
    world = running(series=["KXBTCD", "KXBTC15M"])
    hold_position(world)
    world.change(series=["KXBTC15M"])

    world.settle()

    assert set(world.books.applied_spec["series"]) == {"KXBTCD", "KXBTC15M"}
    assert "KXBTCD" in world.condition("Progressing")["message"]
    world.books = dataclasses.replace(world.books, is_flat=True, open_trades=0)
    world.settle()
    assert list(world.books.applied_spec["series"]) == ["KXBTC15M"]


def test_a_refused_document_changes_nothing_and_says_everything():
    """All problems in one message; the last good workloads go on."""
    world = running()
    before = dict(world.children)
    world.change(risk={"maxOpenTrades": 0}, series=[], colour="red")

    plan = world.step()

    assert plan.apply == ()
    assert plan.delete == ()
    assert plan.document is None
    assert plan.requeue_seconds is None
    assert world.children == before
    assert world.reason("Reconciled") == ("False", "SpecInvalid")
    message = world.condition("Ready")["message"]
    assert all(word in message for word in ("maxOpenTrades", "series", "colour"))
    assert "Warning" in {note.kind for note in plan.notes}
    assert world.document["status"]["effectiveGeneration"] == 1
    assert world.plan().is_nothing


def test_the_message_of_a_refused_document_is_bounded():
    """A thousand unknown fields fill no status."""
    world = running()
    world.change(**{f"field{number}": number for number in range(1000)})

    world.step()

    assert len(world.condition("Reconciled")["message"]) <= 2000


@pytest.mark.parametrize("spec", [None, 7, [], "text", {"mode": []}, {"pod": {"tolerations": 3}}])
def test_no_document_crashes_the_operator(spec):
    """Whatever the API server lets through becomes a condition."""
    world = running()
    world.document["spec"] = spec

    world.step()

    assert world.reason("Reconciled") == ("False", "SpecInvalid")


def test_a_halt_counts_even_in_a_refused_document():
    """Who writes Halted beside a typo means Halted."""
    world = running()
    world.change(trading="Halted", risk={"maxOpenTrades": 0})

    plan = world.step()

    assert plan.switch is not None
    assert plan.switch.state is Trading.HALTED
    world.step()
    assert world.plan().switch is None


def test_a_refused_document_releases_nothing():
    """Only towards the stricter: Active in a refused document does not end a halt."""
    world = running(trading="Halted")
    world.change(trading="Active", risk={"maxOpenTrades": 0})

    assert world.plan().switch is None


def test_what_is_immutable_is_said():
    """The same name with another mode: the books belong to the old one."""
    world = running()
    world.document["spec"] = document(mode="demo")["spec"]

    world.step()

    assert world.reason("Reconciled") == ("False", "SpecImmutable")
    assert "mode" in world.condition("Reconciled")["message"]


def test_a_switch_row_that_lost_its_position_is_set_again():
    """The document says Halted; somebody's restore of the database does not."""
    world = running(trading="Halted")
    world.books = dataclasses.replace(world.books, switches=())

    plan = world.plan()

    assert plan.document is not None


def test_nothing_is_written_to_a_database_that_is_unknown():
    """No document, no login, no claim; a plan for them would only fail."""
    world = running()
    world.books_reason = "connection refused"
    world.change(trading="Halted")

    plan = world.plan()

    assert plan.document is None
    assert not plan.needs_login
    assert plan.claims_key == ""


def test_an_unarmed_prod_account_may_only_reduce():
    """Arming is the safety catch; the condition says how to set it."""
    world = running(mode="prod")
    assert world.reason("TradingEnabled") == ("True", "Active")
    assert "no shadow result" in world.condition("TradingEnabled")["message"]
    del world.document["spec"]["arming"]

    world.settle()

    assert world.reason("TradingEnabled") == ("False", "NotArmed")
    assert "recio up --shadow" in world.condition("TradingEnabled")["message"]
    assert world.document["status"]["trading"]["effective"] == "ReduceOnly"


def test_status_trading_tells_who_set_what():
    """The strictest first, eight at most, and not those that are Active."""
    world = running()
    rows = [
        SwitchSource(
            source=f"breaker:{n}", state=Trading.NO_NEW_ENTRIES, reason="x", since_us=NOW_US
        )
        for n in range(9)
    ]
    rows.append(SwitchSource(source="ui", state=Trading.HALTED, reason="me", since_us=NOW_US))
    world.books = dataclasses.replace(world.books, switches=(*world.books.switches, *rows))

    world.settle()

    trading = world.document["status"]["trading"]
    assert trading["effective"] == "Halted"
    assert len(trading["sources"]) == 8
    assert trading["sources"][0] == {
        "source": "ui",
        "state": "Halted",
        "reason": "me",
        "since": "2026-11-18T11:06:40Z",
    }
    assert world.reason("TradingEnabled") == ("False", "Halted")
    assert "ui: me" in world.condition("TradingEnabled")["message"]
    assert world.reason("Ready") == ("True", "Ready"), "a halt is a switch, the account is ready"


def test_paused_writes_nothing_but_status():
    """The operator keeps its hands off whatever is wanted or broken."""
    world = running()
    world.annotate(paused="true")
    world.change(image="example.org/other:1", trading="Halted")
    world.children.pop(("Deployment", "ta-alpha-trade-executor"))

    plan = world.step()

    assert world.reason("ReconciliationPaused") == ("True", "Paused")
    assert plan == Plan(status=plan.status, notes=plan.notes)
    assert world.plan().is_nothing
    assert world.document["status"]["effectiveGeneration"] == 1


def test_times_of_transition_stay_while_a_status_stays():
    """LastTransitionTime is when the status changed, not when it was last looked at."""
    world = running()
    before = world.condition("Ready")["lastTransitionTime"]
    world.now_us += 3_600_000_000
    world.change(trading="Halted")

    world.settle()

    assert world.condition("Ready")["lastTransitionTime"] == before
    assert world.condition("Ready")["observedGeneration"] == 2
    assert world.condition("TradingEnabled")["lastTransitionTime"] != before


@pytest.mark.parametrize(
    "kind", ["ServiceAccount", "ConfigMap", "NetworkPolicy", "Service", "Deployment"]
)
def test_a_child_that_is_deleted_comes_back(kind):
    """Drift repair of the simplest kind."""
    world = running()
    gone = next(key for key in world.children if key[0] == kind)
    del world.children[gone]

    plan = world.step()

    assert [(one["kind"], one["metadata"]["name"]) for one in plan.apply] == [gone]


def test_a_child_that_somebody_changed_is_put_right_and_told():
    """An Event names the child; a second look finds nothing."""
    world = running()
    world.children["Service", "ta-alpha-trade-manager"]["spec"]["ports"][0]["port"] = 9

    plan = world.step()

    assert [one["metadata"]["name"] for one in plan.apply] == ["ta-alpha-trade-manager"]
    assert [note.reason for note in plan.notes] == ["DriftRepaired"]
    assert "Service ta-alpha-trade-manager" in plan.notes[0].message
    assert world.plan().is_nothing
