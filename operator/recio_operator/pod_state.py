"""How a pod is, in one line for a person: why it is not ready, the most telling reason first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Object = dict[str, Any]

COMPONENT: Final = "app.kubernetes.io/component"
STARTING: Final = "Starting: its containers are being made"
NOT_READY: Final = "NotReady: its readiness probe fails"
_TEXT_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class PodState:
    """One pod: its component, why it is not ready ("" = ready), where its probe can be asked."""

    component: str
    reason: str
    address: str = ""
    is_leaving: bool = False


def state_of(pod: Object) -> PodState:
    """Return how a pod is."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    component = (metadata.get("labels") or {}).get(COMPONENT, "")
    is_leaving = "deletionTimestamp" in metadata
    if is_leaving:
        return PodState(component, "Terminating: it is asked to stop", is_leaving=True)
    if _is_ready(status):
        return PodState(component, "")
    reason = next(_reasons(status), "")
    if reason:
        return PodState(component, reason[:_TEXT_MOST])
    is_running = any("running" in _state(one) for one in status.get("containerStatuses") or ())
    address = status.get("podIP", "") if is_running else ""
    return PodState(component, NOT_READY if is_running else STARTING, address)


def merged(pods: Iterable[PodState]) -> dict[str, str]:
    """Return why each component is not ready; a pod that leaves counts only where no other is."""
    found: dict[str, PodState] = {}
    for pod in pods:
        held = found.get(pod.component)
        if held is None or _rank(pod) < _rank(held):
            found[pod.component] = pod
    return {component: pod.reason for component, pod in found.items()}


def _rank(pod: PodState) -> tuple[bool, bool, str]:
    return (pod.is_leaving, bool(pod.reason), pod.reason)


def _is_ready(status: Mapping[str, Any]) -> bool:
    return any(
        one.get("type") == "Ready" and one.get("status") == "True"
        for one in status.get("conditions") or ()
    )


def _reasons(status: Mapping[str, Any]) -> Iterator[str]:
    if status.get("phase") in {"Failed", "Succeeded"}:
        yield f"{status.get('reason') or status['phase']}: {status.get('message', 'the pod ended')}"
    for name in ("initContainerStatuses", "containerStatuses"):
        for one in status.get(name) or ():
            yield from _container_reasons(one)
    for one in status.get("conditions") or ():
        if one.get("type") == "PodScheduled" and one.get("status") == "False":
            yield f"{one.get('reason', 'Unschedulable')}: {one.get('message', '')}".strip(": ")


def _container_reasons(one: Mapping[str, Any]) -> Iterator[str]:
    state = _state(one)
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    reason = waiting.get("reason", "")
    if reason and reason not in {"ContainerCreating", "PodInitializing"}:
        last = (one.get("lastState") or {}).get("terminated") or {}
        text = waiting.get("message") or last.get("message") or one.get("name", "")
        yield f"{reason}: {text}"
    if ended and ended.get("exitCode"):
        yield f"{ended.get('reason', 'Error')}: {one.get('name')} ended with {ended['exitCode']}"


def _state(one: Mapping[str, Any]) -> Mapping[str, Any]:
    return one.get("state") or {}
