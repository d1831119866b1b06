"""What the operator keeps of the cluster, and who must look again when something changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.runtime.local.keys import key_pair
from recio_operator import kube as api
from recio_operator.cluster import Cluster, Key, owner_of
from recio_operator.cluster_cache import ClusterCache
from recio_operator.planning.observed import KeyState
from recio_operator.pod_state import merged, state_of
from recio_operator.readiness import reason_in
from recio_operator.secrets_io import key_of, opaque


def made(kind, name, version, *, labels=None, **fields):
    """Return an object as the API server gives it."""
    metadata = {"name": name, "resourceVersion": str(version), "labels": labels or {}}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields}


def test_an_event_that_is_older_than_what_is_known_says_nothing():
    """The answer to our own write comes before its echo: the echo is no news."""
    cache = ClusterCache()
    assert cache.put(made("Service", "one", 5, spec={"a": 1}))
    assert not cache.put(made("Service", "one", 5, spec={"a": 1}))
    assert not cache.put(made("Service", "one", 4, spec={"a": 0}))
    assert cache.get("Service", "one")["spec"] == {"a": 1}
    assert not cache.put(made("Service", "one", 6, spec={"a": 1}))
    assert not cache.drop("Service", "one", version=5)
    assert cache.drop("Service", "one", version=7)
    assert cache.get("Service", "one") is None


def test_a_list_finds_what_was_deleted_unseen_and_spares_what_is_newer():
    """What is missing in a list is gone, unless it was made after the list was read."""
    cache = ClusterCache()
    cache.put(made("Service", "gone", 3), owner="account/a")
    cache.put(made("Service", "new", 9), owner="account/b")
    told = set(cache.replace("Service", [(made("Service", "here", 4), "account/c")], 5))
    assert told == {"account/a", "account/c"}
    assert cache.names("Service") == ["here", "new"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 30), st.booleans()), max_size=40))
def test_whatever_the_order_of_events_the_newest_stays(events):
    """Events of several connections arrive in any order; the highest version wins."""
    cache, newest = ClusterCache(), {}
    for name, version, _ in events:
        cache.put(made("Service", name, version, spec={"v": version}), owner=f"account/{name}")
        newest[name] = max(version, newest.get(name, 0))
    for name, version in newest.items():
        assert cache.get("Service", name)["spec"]["v"] == version
        assert list(cache.owned(f"account/{name}")) == [("Service", name)]


@pytest.fixture
def told():
    """The keys that were told."""
    return []


def listening(told):
    """Return a cluster that tells into a list."""
    return Cluster(kube=None, release="recio", news=told.append)


def test_whatever_belongs_to_an_account_has_it_looked_at(told):
    """Children by their label, Secrets by their name in the document, pods by what changed."""
    cluster = listening(told)
    labels = {"recio.io/account": "one"}
    cluster.heard(api.DEPLOYMENTS, "ADDED", made("Deployment", "ta-one", 1, labels=labels))
    assert told == [Key("account", "one")]
    spec = {"credentialsSecretRef": {"name": "kalshi"}}
    cluster.heard(api.ACCOUNTS, "ADDED", made("TradingAccount", "two", 2, spec=spec))
    told.clear()
    cluster.heard(api.SECRETS, "ADDED", made("Secret", "kalshi", 3, data={}))
    assert told == [Key("account", "two")]
    told.clear()
    cluster.heard(api.SECRETS, "MODIFIED", made("Secret", "other", 4, data={}))
    pod = made("Pod", "p", 5, labels=labels, status={"phase": "Pending"})
    cluster.heard(api.PODS, "ADDED", pod)
    cluster.heard(api.PODS, "MODIFIED", pod)
    assert told == [Key("account", "one")]
    told.clear()
    cluster.heard(api.PODS, "DELETED", pod)
    assert told == [Key("account", "one")]
    assert cluster.pods_of("account/one") == []


def test_our_own_write_is_no_news(told):
    """What we wrote is known from the answer; its echo tells nobody."""
    cluster = listening(told)
    child = made("ConfigMap", "ta-one", 7, labels={"recio.io/account": "one"})
    cluster.answered(api.CONFIG_MAPS, child)
    cluster.heard(api.CONFIG_MAPS, "ADDED", child)
    assert told == []
    assert owner_of(child) == "account/one"


def container(**state):
    """Return a container's status."""
    return {"containerStatuses": [{"name": "one", "state": state}]}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"conditions": [{"type": "Ready", "status": "True"}]}, ""),
        (
            container(waiting={"reason": "ImagePullBackOff", "message": "no such image"}),
            "ImagePullBackOff: no such image",
        ),
        (container(waiting={"reason": "ContainerCreating"}), "Starting: "),
        (container(terminated={"exitCode": 3, "reason": "Error"}), "Error: one ended with 3"),
        (
            {
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "too small",
                    }
                ]
            },
            "Unschedulable: too small",
        ),
        ({"phase": "Failed", "reason": "Evicted", "message": "disk"}, "Evicted: disk"),
        ({**container(running={}), "podIP": "10.0.0.1"}, "NotReady: "),
    ],
)
def test_a_pod_is_told_in_one_line(status, reason):
    """The most telling reason first, in words that can be searched for."""
    found = state_of(made("Pod", "p", 1, status=status))
    assert found.reason.startswith(reason)
    assert bool(found.reason) == bool(reason)


def test_of_two_pods_the_one_that_stays_counts():
    """While pods are replaced the leaving one says nothing about the account."""
    labels = {"app.kubernetes.io/component": "x"}
    old = made("Pod", "old", 1, labels=labels, status={})
    old["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    new = made("Pod", "new", 2, labels=labels, status=ready)
    assert merged([state_of(old), state_of(new)]) == {"x": ""}
    assert merged([state_of(old)])["x"].startswith("Terminating")


def test_what_a_readiness_probe_answers_is_told_with_its_service():
    """The body of /readyz names what is missing; anything else says nothing."""
    body = (
        b'{"is_ready":false,"services":[{"service":"trade_executor","account":"one",'
        b'"is_ready":false,"reason":"no lease"},{"service":"trade_manager","is_ready":true}]}'
    )
    assert reason_in(body) == "NotReady: trade_executor@one: no lease"
    assert reason_in(b"<html>") == ""
    assert reason_in(b'{"services":[{"service":"\xff"}]}') == ""
    assert reason_in(b"[" * 5000) == ""


def test_of_a_key_only_digests_are_kept():
    """The same key gives the same digests; another PEM another one; nothing of it is shown."""
    pem = key_pair(None)[0]
    one, again = (
        key_of(opaque("s", {"key-id": "id", "private-key": pem}, labels={})) for _ in range(2)
    )
    other = key_of(opaque("s", {"key-id": "id", "private-key": key_pair(None)[0]}, labels={}))
    assert one == again
    assert one.state is KeyState.VALID
    assert one.digest != other.digest
    assert one.id_digest == other.id_digest
    assert pem.decode() not in repr(one)


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({}, KeyState.KEY_MISSING),
        ({"key-id": "id"}, KeyState.KEY_MISSING),
        ({"key-id": " ", "private-key": "x"}, KeyState.KEY_MISSING),
        ({"key-id": b"\xff\xfe", "private-key": "x"}, KeyState.KEY_MISSING),
        ({"key-id": "id", "private-key": "nonsense"}, KeyState.KEY_BROKEN),
        ({"key-id": "with space", "private-key": key_pair(None)[0]}, KeyState.KEY_BROKEN),
    ],
)
def test_a_wrong_secret_is_told_and_never_shown(values, state):
    """What is wrong and how to mend it, without a byte of the content."""
    found = key_of(opaque("kalshi", values, labels={}))
    assert found.state is state
    assert "kalshi" in found.detail
    assert "nonsense" not in found.detail
