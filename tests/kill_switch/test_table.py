"""The table of the switch: kind x door x scope, as the gate, the executor and the exchange see it.

| switch                   | entry | automatic exit | exit by a person | what rests |
|--------------------------|-------|----------------|------------------|------------|
| Active                   | yes   | yes            | yes              | stays      |
| NoNewEntries, ReduceOnly | no    | yes            | yes              | stays      |
| Halted                   | no    | no             | yes              | canceled   |
| Flatten                  | no    | yes, by itself | yes              | canceled   |
"""

from __future__ import annotations

import pytest
from tests.kill_switch.release import ONE, TWO

from recio.domain.intents import Source

DOORS = {
    "page, one account": ("by_api", ONE, "person"),
    "page, all accounts": ("by_api", "*", "person"),
    "command, one account": ("by_command", ONE, "person"),
    "command, all accounts": ("by_command", "*", "person"),
    "account document": ("by_account", ONE, "resource"),
    "fleet document": ("by_fleet", "*", "fleet"),
    "breaker, one account": ("by_breaker", ONE, "breaker:drill"),
    "breaker, all accounts": ("by_breaker", "*", "breaker:drill"),
}
LETS_EXITS = {"NoNewEntries": True, "ReduceOnly": True, "Halted": False}


@pytest.mark.parametrize("state", LETS_EXITS)
@pytest.mark.parametrize("door", DOORS)
def test_each_kind_through_each_door(release, door, state):
    """What was forbidden is refused, with who forbade it; nobody else's account is touched."""
    how, scope, source = DOORS[door]
    trade = release.trade(ONE)
    rests = release.rest(ONE, trade)
    getattr(release, how)(scope, state)
    assert release.held(ONE) == state
    assert release.held(TWO) == (state if scope == "*" else "Active")
    assert release.rows() == {(scope, source): state}

    refusal = release.answer(ONE)
    assert state in refusal
    assert f"{source} ({scope})" in refusal
    assert bool(release.answer(TWO)) is (scope == "*")
    stop = release.answer(ONE, trade=trade, source=Source.AUTO_STOP)
    assert (stop == "") is LETS_EXITS[state]
    assert release.answer(ONE, trade=trade, source=Source.MANUAL) == ""
    if state == "Halted":
        release.until_nothing_rests(ONE)
    else:
        assert rests in {order.order_id for order in release.resting(ONE)}

    getattr(release, how)(scope, "Active")
    assert release.rows() == {}
    assert release.answer(ONE) == ""


@pytest.mark.parametrize("door", DOORS)
def test_flatten_closes_everything_through_each_door(release, door):
    """What is held is sold and what rests is canceled; entries stay forbidden until it is released."""
    how, scope, _ = DOORS[door]
    held = [release.trade(account) for account in ((ONE, TWO) if scope == "*" else (ONE,))]
    release.rest(ONE, held[0])
    getattr(release, how)(scope, "Flatten")
    for account in (ONE, TWO) if scope == "*" else (ONE,):
        release.until_flat(account)
        assert "Flatten" in release.answer(account)
    release.until_nothing_rests(ONE)
    getattr(release, how)(scope, "Active")
    assert release.answer(ONE) == ""
