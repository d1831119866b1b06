"""What counts as a difference between a wanted object and a live one."""

from __future__ import annotations

import copy
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.operator.world import applied, running

from recio_operator.names import CHECKSUM
from recio_operator.planning.differing import differs, digest, quantity, stamped

CONTAINER = {
    "name": "main",
    "image": "a",
    "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
    "env": [{"name": "A", "value": "1"}],
    "resources": {"requests": {"cpu": "1000m", "memory": "0.5Gi"}, "limits": {}},
}


def pod(**changes):
    """Return a spec with one container."""
    return {"containers": [copy.deepcopy(CONTAINER) | changes]}


@pytest.mark.parametrize(
    ("wanted", "live"),
    [
        ({"cpu": "1000m"}, {"cpu": "1"}),
        ({"cpu": "0.5"}, {"cpu": "500m"}),
        ({"memory": "1024Mi"}, {"memory": "1Gi"}),
        ({"memory": "1e3"}, {"memory": "1k"}),
        ({"memory": "128974848"}, {"memory": "123Mi"}),
    ],
)
def test_quantities_are_compared_by_value(wanted, live):
    """The API server spells them in its own way."""
    assert not differs({"requests": wanted}, {"requests": live})
    assert not differs({"limits": wanted}, {"limits": live})


def test_other_texts_are_not_quantities():
    """An environment variable 1000m is not 1."""
    assert differs({"data": {"A": "1000m"}}, {"data": {"A": "1"}})


def test_an_empty_map_may_be_dropped():
    """The API server drops empty maps and lists."""
    assert not differs({"limits": {}, "tolerations": []}, {})
    assert differs({"ingress": []}, {"ingress": [{"from": []}]})


def test_defaults_and_others_fields_are_no_difference():
    """What we do not say is not ours."""
    live = pod(terminationMessagePath="/dev/termination-log")
    live["containers"][0]["resources"] = {"requests": {"cpu": "1", "memory": "512Mi"}}
    live["containers"].append({"name": "sidecar", "image": "b"})
    live["containers"].reverse()
    live["dnsPolicy"] = "ClusterFirst"

    assert not differs(pod(), live)


@pytest.mark.parametrize(
    "change",
    [
        {"image": "b"},
        {"env": [{"name": "A", "value": "2"}]},
        {"env": [{"name": "B", "value": "1"}]},
        {"ports": [{"containerPort": 8081}]},
        {"resources": {"requests": {"cpu": "2", "memory": "512Mi"}}},
    ],
)
def test_a_changed_field_is_a_difference(change):
    """Anything that somebody changed of ours is seen."""
    assert differs(pod(), pod(**change))


def test_the_protocol_of_a_port_has_a_default():
    """A port without a protocol is TCP."""
    live = pod(ports=[{"name": "http", "containerPort": 8080, "protocol": "TCP"}])

    assert not differs(pod(ports=[{"name": "http", "containerPort": 8080}]), live)


def test_other_lists_are_compared_in_order():
    """Arguments are not a set."""
    assert differs({"args": ["run", "a"]}, {"args": ["a", "run"]})
    assert differs({"args": ["run"]}, {"args": ["run", "a"]})
    assert not differs({"args": ["run", "a"]}, {"args": ["run", "a"]})


def test_true_is_not_one():
    """JSON has both."""
    assert differs({"a": True}, {"a": 1})
    assert differs({"a": 1}, {"a": True})


@pytest.mark.parametrize(
    ("text", "value"),
    [("100m", "0.1"), ("1Ki", "1024"), ("1.5Gi", "1610612736"), ("2E", "2e18"), ("5e-1", "0.5")],
)
def test_quantity(text, value):
    """The suffixes of Kubernetes."""
    assert quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "m", "one", "1 Gi"])
def test_what_is_no_quantity_is_none(text):
    """Unknown is not zero."""
    assert quantity(text) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(JSON)
def test_nothing_differs_from_itself(value):
    """Else an operator would never rest."""
    assert not differs({"spec": value}, {"spec": copy.deepcopy(value)})


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4))
def test_a_digest_knows_no_order_of_keys(value):
    """Two writers of one object agree."""
    assert digest(value) == digest(dict(reversed(value.items())))


def test_a_dropped_field_is_seen_by_the_digest():
    """A live object still contains what we do not want any more; the annotation tells."""
    more = stamped({"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"A": "1", "B": "2"}})
    less = stamped({"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"A": "1"}})

    assert differs(less, applied(None, more))
    assert not differs(less, applied(None, less))
    assert more["metadata"]["annotations"][CHECKSUM] != less["metadata"]["annotations"][CHECKSUM]


def test_every_change_of_a_child_is_drift():
    """Any leaf of any child that somebody changes is put right."""
    world = running(topology="Compact")
    for key, live in sorted(world.children.items()):
        for path in _paths({part: live[part] for part in live if part in ("spec", "data")}):
            changed = copy.deepcopy(live)
            _set(changed, path)
            world.children[key] = changed
            assert world.plan().apply, (key, path)
        world.children[key] = live
    assert not world.plan().apply


_NOT_OURS = {
    "restartPolicy",
    "dnsPolicy",
    "terminationMessagePath",
    "progressDeadlineSeconds",
    "creationTimestamp",
}


def _paths(value, path=()):
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in _NOT_OURS:
                yield from _paths(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _paths(item, (*path, index))
    else:
        yield path


def _set(value, path):
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = 7 if isinstance(value[path[-1]], int) else "changed"
