"""What account pods may reach."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.operator.world import World, document, good_key, release


def egress(mode: str, **changes) -> list:
    """Return the rules that an account of a mode may go out by."""
    world = World(document(mode=mode), key=good_key(), release=release(**changes))
    applied = {one["kind"]: one for one in world.plan().apply}
    return applied["NetworkPolicy"]["spec"]["egress"]


def blocks(rules: list) -> list[dict]:
    """Return every address block of the rules."""
    return [peer["ipBlock"] for rule in rules for peer in rule["to"] if "ipBlock" in peer]


def test_paper_reaches_nothing_outside():
    """No rule of a paper account names an address, and none is open to everybody."""
    rules = egress("paper")

    assert blocks(rules) == []
    assert all(rule["to"] for rule in rules)


@pytest.mark.parametrize("mode", ["demo", "prod"])
def test_the_others_reach_the_exchange_on_443_only(mode):
    """Any address but private ones, because the exchange's change."""
    rules = egress(mode)

    outside = [rule for rule in rules if any("ipBlock" in peer for peer in rule["to"])]
    assert [rule["ports"] for rule in outside] == [[{"protocol": "TCP", "port": 443}]]
    assert "10.0.0.0/8" in blocks(rules)[0]["except"]


def test_an_exception_outside_of_its_block_is_left_out():
    """The API server refuses a policy that excepts what it does not allow."""
    rules = egress("demo", network={"exchangeCidrs": ["203.0.113.0/24", "::/0"]})

    assert blocks(rules) == [{"cidr": "203.0.113.0/24"}, {"cidr": "::/0"}]


def test_databases_outside_are_reached_by_address():
    """Without pods to select, cidrs say where PostgreSQL and Redis are."""
    database = {"host": "db", "directHost": "db", "port": 6432, "cidrs": ["192.0.2.7/32"]}
    redis = {"url": "redis://r:6380/0", "port": 6380, "cidrs": ["192.0.2.8/32"]}

    rules = egress("paper", database=database, redis=redis)

    found = {
        (peer["ipBlock"]["cidr"], port["port"])
        for rule in rules
        for peer in rule["to"]
        if "ipBlock" in peer
        for port in rule["ports"]
    }
    assert found == {("192.0.2.7/32", 6432), ("192.0.2.7/32", 5432), ("192.0.2.8/32", 6380)}


def test_without_policies_there_are_none():
    """Switched off, the one that was there goes."""
    world = World(document(), key=good_key())
    world.settle()
    world.release = msgspec.structs.replace(
        world.release, network=release(network={"isEnabled": False}).network
    )

    world.settle()

    assert ("NetworkPolicy", "ta-alpha") not in world.children
