"""Every object of an account, as files that a person can read: one for each topology and mode.

``UPDATE_GOLDEN=1 pytest …`` writes them anew.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.operator.world import Desk, World, document, good_key, release

GOLDEN = Path(__file__).parent / "golden"
POD = {
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "trading", "operator": "Exists", "effect": "NoSchedule"}],
    "priorityClassName": "trading",
    "resources": {"requests": {"memory": "200Mi"}, "limits": {"cpu": "1"}},
}
STRATEGY = {
    "name": "Custom",
    "custom": {"configMapRef": {"name": "steady", "key": "strategy.py"}, "className": "Steady"},
}
CASES = {
    "paper-per-service": {"mode": "paper", "topology": "PerService"},
    "paper-compact": {"mode": "paper", "topology": "Compact"},
    "paper-own-strategy": {"mode": "paper", "topology": "PerService", "strategy": STRATEGY},
    "demo-per-service": {"mode": "demo", "topology": "PerService"},
    "demo-compact": {"mode": "demo", "topology": "Compact"},
    "prod-compact-placed": {
        "mode": "prod",
        "topology": "Compact",
        "image": "registry.example.org/recio@sha256:" + "a" * 64,
        "pod": POD,
    },
}


@pytest.mark.parametrize("case", CASES)
def test_objects_of_an_account(case):
    """What the operator makes of a document is written down word for word."""
    world = World(document(**CASES[case]), key=good_key())
    world.settle(is_running=False)

    check(case, world.children)


@pytest.mark.parametrize("mode", ["paper", "demo"])
def test_objects_of_a_pool(mode):
    """Two accounts in one pool."""
    worlds = [
        World(document(name, mode=mode, topology="Pooled"), key=good_key(name, number=number))
        for number, name in enumerate(("alpha", "beta"), start=1)
    ]
    desk = Desk(worlds, environment=mode)
    desk.settle()

    check(f"{mode}-pooled", desk.children)


def test_status_of_a_ready_account():
    """What `kubectl get ta -o yaml` shows of a settled account."""
    world = World(document(mode="demo", topology="Compact"), key=good_key(), release=release())
    world.settle()

    compare("status-ready", yaml.safe_dump(world.document["status"], sort_keys=False))


def check(case: str, children: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Compare objects, as they are applied, with the golden file of a case."""
    objects = [_as_written(children[key]) for key in sorted(children)]
    compare(case, yaml.safe_dump_all(objects, sort_keys=False, width=100))


def compare(case: str, text: str) -> None:
    """Compare a text with the golden file of a case, or write it if asked to."""
    path = GOLDEN / f"{case}.yaml"
    if os.environ.get("UPDATE_GOLDEN") == "1":  # noqa: TID251 (the switch of a developer)
        path.write_text(text)

    assert path.read_text() == text, f"{path} differs; UPDATE_GOLDEN=1 writes it anew"


_SERVERS = {
    "creationTimestamp",
    "uid",
    "generation",
    "restartPolicy",
    "dnsPolicy",
    "terminationMessagePath",
    "progressDeadlineSeconds",
}


def _as_written(value: Any, *, is_owner: bool = False) -> Any:
    """Return an object without what the API server of the tests adds, and without shared parts."""
    if isinstance(value, dict):
        return {
            key: _as_written(item, is_owner=key == "ownerReferences")
            for key, item in value.items()
            if (key not in _SERVERS or is_owner) and key != "status"
        }
    if isinstance(value, list):
        return [_as_written(item, is_owner=is_owner) for item in value]
    return value
