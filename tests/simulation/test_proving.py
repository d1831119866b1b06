"""``recio prove``: the trader's document decides the limits, the page shows what they came to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.simulation import made_up
from tests.simulation.test_hours import outcome

from recio.domain.errors import InvalidValue
from recio.runtime.local.documents import read_document
from recio.simulation.history import Change
from recio.simulation.measures import Halt, Reached, halts, reached
from recio.simulation.plan import ACCOUNTS, Enter, make_plan
from recio.simulation.proving import lines, page, plan_of, proof_of

EXAMPLES = Path(__file__).parents[2] / "k8s/examples"


def document(**risk):
    """Return the example account with other limits."""
    made = read_document(EXAMPLES / "paper-account.yaml")
    made["spec"]["risk"] |= risk
    return made


def used(seed, most, *halted):
    """Return an outcome in which a limit was used so far."""
    row = Reached(limit="maxOpenTrades", most=most, allowed=3, unit="trades")
    made = outcome(seed)
    return type(made)(
        **{name: getattr(made, name) for name in made.__struct_fields__}
        | {"reached": {"north": (row,)}, "halts": halted}
    )


def test_the_documents_own_limits_and_strategy_are_played():
    """Both accounts have them, under names of their own, on paper."""
    plan = plan_of(document(maxOpenTrades=2), 1)

    assert set(plan.documents) == set(ACCOUNTS)
    for name, made in plan.documents.items():
        assert made["metadata"]["name"] == name
        assert made["spec"]["risk"]["maxOpenTrades"] == 2
        assert made["spec"]["strategy"] == document()["spec"]["strategy"]
        assert made["spec"]["mode"] == "paper"
    assert plan.snapshot_seconds > 0


def test_a_production_document_is_played_on_paper():
    """Its key and its arming stay out: nothing real is touched."""
    plan = plan_of(read_document(EXAMPLES / "prod-account.yaml"), 1)

    for made in plan.documents.values():
        assert not {"credentialsSecretRef", "arming"} & set(made["spec"])


def test_large_limits_are_provoked_with_large_wishes():
    """Who may order hundreds is not proved with tens."""
    usual = [act.qty_e2 for act in make_plan(1).acts if isinstance(act, Enter)]
    large = plan_of(
        document(
            maxContractsPerOrder=100,
            maxContractsPerEvent=200,
            maxContractsTotal=300,
            maxCostPerEventDollars=200,
            maxCostTotalDollars=300,
        ),
        1,
    )

    assert [act.qty_e2 for act in large.acts if isinstance(act, Enter)] == [
        10 * qty_e2 for qty_e2 in usual
    ]


def test_a_document_that_is_not_valid_is_refused():
    """Nothing is played under limits that nobody could apply."""
    with pytest.raises(InvalidValue, match="maxOpenTrades"):
        plan_of(document(maxOpenTrades=0), 1)


def test_the_page_names_the_worst_seed_of_each_limit():
    """So that it can be played again."""
    proof = proof_of(document(), [used(5, 2), used(4, 3), used(6, 1)])

    assert [(worst.reached.most, worst.seed) for worst in proof.worst] == [(3, 4)]
    assert any("3 trades" in line and line.endswith("4") for line in lines(proof))
    assert "maxOpenTrades" in page(proof, "recio prove")
    assert "nothing broke" in lines(proof)[0]


def test_the_page_tells_how_long_a_halt_took():
    """The slowest of all halts, in wall time; without a halt it says that there was none."""
    halted = Halt(account="north", last_create_us=12_300)
    quick = Halt(account="south", last_create_us=0)

    assert any(
        "12.3 ms" in line for line in lines(proof_of(document(), [used(1, 1, halted, quick)]))
    )
    assert any("no order" in line for line in lines(proof_of(document(), [used(1, 1, quick)])))
    assert any("No halt" in line for line in lines(proof_of(document(), [used(1, 1)])))


def test_a_broken_seed_is_not_prettified():
    """The page says so first, and with what."""
    proof = proof_of(document(), [outcome(9, "north: invariant 8: <too much>")])

    assert "NOT PROVED" in lines(proof)[0]
    assert "&lt;too much&gt;" in page(proof, "recio prove")
    assert "An invariant was broken" in page(proof, "recio prove")


def test_limits_are_measured_when_an_entry_is_let_in():
    """The worst case of that moment: what is held and what is in flight."""
    rows = {row.limit: row for row in reached(made_up.history())}

    assert rows["maxContractsPerOrder"].most > 0
    assert rows["maxOpenTrades"].most > 0
    for row in rows.values():
        assert row.most <= row.allowed


def test_a_halt_is_measured_until_it_is_released():
    """A create after it counts, one after its release does not."""
    history = made_up.history()
    sent = next(one for one in history.sent if one.kind == "create")
    halt = Change(
        subject="switches",
        subject_id="north/person",
        version=1,
        old="",
        new="Halted",
        author="person",
        at_us=sent.at_us - 40_000,
    )
    release = replace(halt, version=2, old="Halted", new="Active", at_us=sent.at_us - 10)

    running = replace(history, changes=(halt,), sent=(sent,), ended_us=sent.at_us + 1)
    released = replace(running, changes=(halt, release))
    assert halts("north", running) == (Halt(account="north", last_create_us=40_000),)
    assert halts("north", released) == (Halt(account="north", last_create_us=0),)
