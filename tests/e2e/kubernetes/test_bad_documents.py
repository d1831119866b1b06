"""What is wrong is refused at the door where a rule can, else a condition tells how to mend it."""

from __future__ import annotations

import pytest
from tests.e2e.kubernetes import accounts


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"unheardOf": 1}, "unheardOf"),
        ({"risk": {"maxContractsPerOrder": 10_001}}, "maxContractsPerOrder"),
        ({"risk": {"maxContractsPerOrder": 60, "maxContractsPerEvent": 50}}, "maxContracts"),
        ({"risk": {"minPriceCents": 90, "maxPriceCents": 80}}, "PriceCents"),
        ({"series": []}, "series"),
        ({"series": ["KXDOGE"]}, "series"),
        ({"trading": "Off"}, "trading"),
        ({"credentialsSecretRef": {"name": "x"}}, "credentialsSecretRef"),
        ({"mode": "demo"}, "credentialsSecretRef"),
        ({"mode": "prod", "credentialsSecretRef": {"name": "x"}}, "risk"),
        ({"strategy": {"name": "Custom"}}, "custom"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_a_wrong_spec_is_refused_at_the_door(system, changes, told):
    """Unknown fields, bounds, and fields that contradict each other; the words name the field."""
    wrong = accounts.document("wrong", **changes)
    assert told in system.kubectl.refused(wrong)
    assert system.kubectl.get("ta", "wrong") is None


def test_a_name_too_long_for_its_children_is_refused(system):
    """32 characters fit, 33 do not."""
    assert "32" in system.kubectl.refused(accounts.document("x" * 33))


def test_what_must_stay_cannot_be_changed(system, new_account):
    """Mode, opening money and price source belong to the books."""
    trader = new_account("immutable")
    for changes in (
        {"paper": {"initialBalanceDollars": 5}},
        {"paper": {"source": "LiveFeed"}},
        {"mode": "demo", "credentialsSecretRef": {"name": "x"}},
    ):
        wrong = accounts.document(trader.name, **changes)
        assert "immutable" in system.kubectl.refused(wrong).lower(), changes


def test_a_spec_that_changes_twice_ends_at_the_last_word(new_account):
    """The second change comes while the first is under way."""
    trader = new_account("hasty")
    for most in (11, 12, 13):
        trader.patch(risk={"maxContractsPerOrder": most})
    trader.until_ready()
    document = trader.books.value(
        "SELECT document FROM trading.account_config "
        f"WHERE account = '{trader.name}' ORDER BY generation DESC LIMIT 1"
    )
    assert document["spec"]["risk"]["maxContractsPerOrder"] == 13
