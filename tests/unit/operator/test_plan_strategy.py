"""A strategy of one's own in the pods: mounted where entries are decided, and nowhere else."""

from __future__ import annotations

import pytest
from tests.unit.operator.world import Desk, World, books, document, good_key, running

from recio_operator import names

MOUNT = {"name": "strategies", "mountPath": "/etc/recio/strategies", "readOnly": True}


def custom(name="steady", key="strategy.py"):
    """Return a strategy section."""
    reference = {"name": name, "key": key}
    return {"name": "Custom", "custom": {"configMapRef": reference, "className": "Steady"}}


def mounted(deployment):
    """Return what of ConfigMaps a Deployment's process sees, None if there is no such mount."""
    spec = deployment["spec"]["template"]["spec"]
    (process,) = spec["containers"]
    if MOUNT not in process["volumeMounts"]:
        assert not [one for one in spec["volumes"] if one["name"] == "strategies"]
        return None
    (volume,) = [one for one in spec["volumes"] if one["name"] == "strategies"]
    return volume["projected"]["sources"]


def source(name="steady", key="strategy.py"):
    """Return one ConfigMap's key as it is mounted."""
    items = [{"key": key, "path": f"{name}/{key}"}]
    return {"configMap": {"name": name, "items": items, "optional": True}}


def test_only_the_pod_that_decides_entries_sees_it():
    """The pods with the exchange's key do not; a pod starts also if the ConfigMap is not there."""
    world = running(strategy=custom())

    seen = {name: mounted(one) for name, one in world.deployments().items()}

    entering = names.child("alpha", "auto_entry_supervisor")
    assert {name for name, sources in seen.items() if sources is not None} == {entering}
    assert seen[entering] == [source()]


def test_without_one_nothing_is_mounted():
    """An upgrade that adds the feature restarts nobody."""
    assert {mounted(one) for one in running().deployments().values()} == {None}


def test_a_changed_strategy_waits_until_the_account_is_flat():
    """Neither the document nor the mount changes before; then both do."""
    world = running(strategy=custom())
    world.books = books(is_flat=False, open_trades=1, applied_spec=world.books.applied_spec)
    world.change(strategy=custom("other"))
    world.settle()
    entering = names.child("alpha", "auto_entry_supervisor")
    assert mounted(world.deployments()[entering]) == [source()]
    assert world.books.applied_spec["strategy"]["custom"]["configMapRef"]["name"] == "steady"

    world.books = books(applied_spec=world.books.applied_spec)
    world.settle()

    assert mounted(world.deployments()[entering]) == [source("other")]
    assert world.books.applied_spec["strategy"]["custom"]["configMapRef"]["name"] == "other"


@pytest.mark.parametrize("second", ["steady", "other"])
def test_a_pool_sees_the_strategies_of_its_accounts(second):
    """Each once, beside each other."""
    worlds = [
        World(
            document(name, topology="Pooled", strategy=custom(config_map)),
            key=good_key(name, number=number),
        )
        for number, (name, config_map) in enumerate(
            (("alpha", "steady"), ("beta", second)), start=1
        )
    ]
    desk = Desk(worlds)
    desk.settle()

    assert mounted(desk.pool) == [source(one) for one in sorted({"steady", second})]
