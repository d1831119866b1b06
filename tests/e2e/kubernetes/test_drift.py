"""What the operator writes and when: it repairs what others changed, and at rest it writes nothing."""

from __future__ import annotations

import json

from tests.e2e.kubernetes.waiting import Stopwatch, wait_for

CHILDREN = ("configmap", "networkpolicy", "serviceaccount")
QUIET_SECONDS = 60.0


def container_of(system, deployment):
    """Return the first container of a deployment's template."""
    return system.kubectl.one("deployment", deployment)["spec"]["template"]["spec"]["containers"][0]


def test_drift_is_repaired(system, new_account):
    """What somebody changes or deletes by hand is as the account says again."""
    trader = new_account("drift")
    trader.until_ready()
    account, name = f"ta-{trader.name}", f"ta-{trader.name}-compact"
    before = container_of(system, name)
    change = {"containers": [{"name": before["name"], "image": "recio.test/wrong:1"}]}
    patch = json.dumps({"spec": {"template": {"spec": change}}})
    system.kubectl.run("patch", "deployment", name, "--patch", patch)
    trader.wait("the image again", lambda: container_of(system, name)["image"] == before["image"])
    children = [*((kind, account) for kind in CHILDREN), ("service", name), ("deployment", name)]
    for kind, child in children:
        system.kubectl.delete(kind, child, waits=True)
    for child in children:
        trader.wait(f"{child} again", lambda child=child: system.kubectl.get(*child))
    trader.until_ready()


def test_at_rest_nothing_is_written(new_account):
    """A minute passes in which no account and no child of one gets another version."""
    trader = new_account("idle")
    trader.until_ready()
    wait_for("a minute of rest", lambda: _is_at_rest(trader), seconds=240, explain=trader.explain)


def _is_at_rest(trader):
    first, watch = _versions(trader), Stopwatch()
    while watch.seconds() < QUIET_SECONDS:
        now = _versions(trader)
        if now != first:
            return False
    return True


def _versions(trader):
    """Return what changes with every write but those of a Deployment's own status."""
    chosen = f"recio.io/account={trader.name}"
    items = trader.kubectl.list("services,configmaps,serviceaccounts,networkpolicies", chosen)
    items.append(trader.resource())
    versions = {
        (item["kind"], item["metadata"]["name"]): item["metadata"]["resourceVersion"]
        for item in items
    }
    for item in trader.kubectl.list("deployments", chosen):
        versions["deployment", item["metadata"]["name"]] = item["metadata"]["generation"]
    return versions
