"""Why something did not happen: what a person would look at next, in one text.

Conditions of the accounts, warnings, pods that are not ready with their state and last words.
"""

from __future__ import annotations

from typing import Any, Final

from tests.e2e.cluster.shell import CommandFailed
from tests.e2e.kubernetes.kubectl import Kubectl, Object

EVENTS: Final = 15
LINES: Final = 12


def explain(kubectl: Kubectl, account: str = "") -> str:
    """Tell the state of a namespace, and of one account in it."""
    parts = [_pods(kubectl), _events(kubectl)]
    if account:
        parts.insert(0, _part(lambda: account_conditions(kubectl, account)))
    return "\n".join(part for part in parts if part)


def account_conditions(kubectl: Kubectl, account: str) -> str:
    """Tell an account's conditions, one a line."""
    found = kubectl.get("ta", account)
    if found is None:
        return f"TradingAccount {account}: there is none"
    lines = [
        f"  {one['type']}={one['status']} {one['reason']}: {one['message']}"
        for one in found.get("status", {}).get("conditions", [])
    ]
    return "\n".join([f"TradingAccount {account}:", *(lines or ["  no status yet"])])


def _events(kubectl: Kubectl) -> str:
    return _part(
        lambda: (
            "Warnings:\n"
            + "\n".join(
                f"  {event['involvedObject']['kind']} {event['involvedObject']['name']}: "
                f"{event.get('reason')}: {event.get('message', '')[:300]}"
                for event in kubectl.list("events")[-60:]
                if event.get("type") == "Warning"
            )
        )
    )


def _pods(kubectl: Kubectl) -> str:
    return _part(lambda: "Pods:\n" + "\n".join(_pod(kubectl, pod) for pod in kubectl.list("pods")))


def _pod(kubectl: Kubectl, pod: Object) -> str:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    states = ", ".join(_state(one) for one in containers)
    head = f"  {name} {status.get('phase')} {states or _conditions(status)}"
    if is_ready(pod) or status.get("phase") == "Succeeded":
        return head
    return "\n".join([head, *(_last_words(kubectl, name, one["name"]) for one in containers)])


def is_ready(pod: Object) -> bool:
    """Tell whether a pod is ready and not on its way out."""
    conditions = pod.get("status", {}).get("conditions", [])
    is_leaving = "deletionTimestamp" in pod["metadata"]
    return not is_leaving and any(
        one["type"] == "Ready" and one["status"] == "True" for one in conditions
    )


def _state(container: dict[str, Any]) -> str:
    kind, body = next(iter(container.get("state", {}).items()), ("unknown", {}))
    reason = f"({body['reason']}: {body.get('message', '')[:200]})" if "reason" in body else ""
    return f"{container['name']}={kind}{reason} restarts={container.get('restartCount', 0)}"


def _conditions(status: dict[str, Any]) -> str:
    wrong = [one for one in status.get("conditions", []) if one["status"] != "True"]
    return "; ".join(f"{one['type']}: {one.get('message', '')}" for one in wrong)


def _last_words(kubectl: Kubectl, pod: str, container: str) -> str:
    said = _part(lambda: kubectl.run("logs", pod, "--container", container, f"--tail={LINES}"))
    return "\n".join(f"      {container}: {line[:400]}" for line in said.strip().splitlines())


def _part(ask: Any) -> str:
    try:
        return str(ask())
    except CommandFailed as error:
        return f"  (cannot tell: {str(error)[-300:]})"
