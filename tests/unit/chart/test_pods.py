"""Every pod of the chart is restricted as Kubernetes' pod security standards ask, and bounded."""

from __future__ import annotations

import pytest
from tests.unit.chart import rendering

pods = pytest.mark.parametrize(
    "pod",
    [
        pytest.param(pod, id=f"{case}-{name}")
        for case in rendering.CASES
        for name, pod in rendering.pods(case)
    ],
)


def component(pod):
    """Return what a pod is."""
    return pod["metadata"]["labels"]["app.kubernetes.io/component"]


@pods
def test_a_pod_is_restricted(pod):
    """Rule: not root, no privilege to gain, nothing writable but what is meant to be."""
    spec = pod["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    for container in rendering.containers(pod):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
    allowed = {"name", "emptyDir", "secret", "configMap", "projected"}
    for volume in spec.get("volumes", []):
        assert volume.keys() <= allowed


@pods
def test_only_what_talks_to_the_api_server_has_a_token(pod):
    """Rule: a service that is broken into holds nothing that the API server would take."""
    may = component(pod) in {"operator", "prepare", "uninstall"}
    assert pod["spec"].get("automountServiceAccountToken", True) is may
    assert pod["spec"]["enableServiceLinks"] is False


@pods
def test_a_container_says_what_it_needs_and_has_a_limit_of_memory(pod):
    """Rule: nothing can take the node's memory from PostgreSQL and the traders."""
    for container in rendering.containers(pod):
        resources = container["resources"]
        assert {"cpu", "memory"} <= resources["requests"].keys()
        assert "memory" in resources["limits"]


@pods
def test_secrets_come_as_files_that_only_the_process_reads(pod):
    """Rule: no password in a variable, no file of a Secret that others on the node could read."""
    for volume in pod["spec"].get("volumes", []):
        for kind in ("secret", "projected"):
            if kind in volume:
                assert volume[kind]["defaultMode"] == 0o440
    for container in rendering.containers(pod):
        taken = [one["valueFrom"] for one in container.get("env", []) if "valueFrom" in one]
        # The id of a key is no secret, and the gate waits for it.
        assert all(one["secretKeyRef"]["key"] == "key-id" for one in taken)


@pods
def test_services_wait_for_the_schema_and_tell_how_they_are(pod):
    """Rule: every long-lived process of ours has the gate before it and all three probes.

    The operator has no gate: without a database it is the one who says so.
    """
    if component(pod) in {"prepare", "uninstall", "test", "redis"}:
        return
    gates = pod["spec"].get("initContainers", [])
    wanted = [] if component(pod) == "operator" else [["migrate", "--wait", "600"]]
    assert [gate["args"] for gate in gates] == wanted
    (container,) = pod["spec"]["containers"]
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]


def test_no_deployment_runs_two_copies_at_once():
    """Rule: a second copy waits for the first one's lease, so the old one goes before the new one."""
    for case in rendering.CASES:
        for one in rendering.of_kind(case, "Deployment").values():
            assert one["spec"]["replicas"] == 1
            assert one["spec"]["strategy"] == {"type": "Recreate"}


def test_nobody_may_do_more_than_it_needs():
    """Rule: no rule has a wildcard; only accounts' viewers and editors are cluster-wide."""
    for case in rendering.CASES:
        for one in rendering.objects(case):
            if one["kind"] not in {"Role", "ClusterRole"}:
                continue
            for rule in one["rules"]:
                assert "*" not in str(rule)
            if one["kind"] == "ClusterRole":
                assert any("aggregate-to" in label for label in one["metadata"]["labels"])
                assert all(rule["apiGroups"] == ["recio.io"] for rule in one["rules"])
        assert not rendering.of_kind(case, "ClusterRoleBinding")
