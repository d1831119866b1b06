"""When running pods may be replaced, and what a Deployment says until then.

``judge`` is the gate. A held Deployment keeps its live pod template, whatever else of it is repaired,
so that waiting never restarts anything. An API key that was rotated does not wait with the rest: the
live template then gets the new key and nothing else.

Nothing opens the gate while the account's books are unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from recio.domain.account_config import Rollout, RolloutPolicy
from recio_operator.names import (
    CHECKSUM,
    CREDENTIALS_CHECKSUM,
    RESTARTED_AT,
    TEMPLATE_CHECKSUM,
)
from recio_operator.planning import windows
from recio_operator.planning.differing import differs, digest
from recio_operator.planning.observed import Books, Object
from recio_operator.planning.templates import CREDENTIALS_VOLUME

ROTATION_SECONDS: Final = 60
"""How long a rotated key waits for an order in flight."""
_CANNOT_RUN: Final = (
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
    "Unschedulable",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether pods may be replaced now; if not, why, and when that may change by itself."""

    is_open: bool
    reason: str = ""
    message: str = ""
    recheck_seconds: float | None = None
    is_forced: bool = False
    """The deadline opened it although the account is not flat."""


OPEN: Final = Verdict(is_open=True)


def judge(
    rollout: Rollout, books: Books | None, *, now_us: int, since_us: int, is_asked_for: bool
) -> Verdict:
    """Return whether an account's pods may be replaced now.

    Args:
        rollout: the account's policy.
        books: None is unknown, and closes the gate whatever the policy.
        now_us: the time of this look.
        since_us: when the change was first seen; the deadline counts from there.
        is_asked_for: a person set the annotation for a restart since the pods were made.
    """
    if books is None:
        return Verdict(
            is_open=False,
            reason="WaitingForDatabase",
            message="pods are not replaced while PostgreSQL cannot say what is open",
        )
    if rollout.policy is RolloutPolicy.MANUAL:
        return OPEN if is_asked_for else _waits_for_person()
    if not windows.is_open(rollout.windows, now_us):
        return Verdict(
            is_open=False,
            reason="WaitingForWindow",
            message="pods are replaced in the next of spec.rollout.windows",
            recheck_seconds=windows.seconds_to_opening(rollout.windows, now_us),
        )
    if rollout.policy is RolloutPolicy.IMMEDIATELY or books.is_at_rest:
        return OPEN
    return _deadline(rollout, books, (now_us - since_us) / 1e6)


def _waits_for_person() -> Verdict:
    return Verdict(
        is_open=False,
        reason="WaitingForApproval",
        message="spec.rollout.policy is Manual: annotate the account with "
        f"{RESTARTED_AT}=<the present time> to replace its pods",
    )


def _deadline(rollout: Rollout, books: Books, waited_s: float) -> Verdict:
    deadline_s = rollout.deadline_seconds
    if deadline_s and waited_s >= deadline_s:
        return Verdict(is_open=True, is_forced=True)
    ending = f"by force after {deadline_s} s" if deadline_s else "never by force"
    return Verdict(
        is_open=False,
        reason="WaitingForFlat",
        message=f"pods are replaced when the account is flat, {ending}; {what_is_open(books)}",
        recheck_seconds=deadline_s - waited_s if deadline_s else None,
    )


def judge_rotation(books: Books | None, *, now_us: int, since_us: int) -> Verdict:
    """Return whether pods may be replaced for a new API key now."""
    waited_s = (now_us - since_us) / 1e6
    if books is not None and (books.live_orders == 0 or waited_s >= ROTATION_SECONDS):
        return OPEN
    return Verdict(
        is_open=False,
        reason="RotatingCredentials",
        message=f"the new key waits for orders in flight, at most {ROTATION_SECONDS} s",
        recheck_seconds=None if books is None else ROTATION_SECONDS - waited_s,
    )


def what_is_open(books: Books) -> str:
    """Return what keeps an account from being flat, for a person."""
    parts = [] if books.is_flat else ["positions"]
    if books.open_trades:
        parts.append(f"{books.open_trades} open trade{'s' * (books.open_trades > 1)}")
    if books.live_orders:
        parts.append(f"{books.live_orders} live order{'s' * (books.live_orders > 1)}")
    return "open: " + (", ".join(parts) or "nothing")


class Hold(StrEnum):
    """What became of a wanted Deployment."""

    NONE = "none"
    """as wanted, nothing restarts"""
    ROLLS = "rolls"
    """as wanted, its pods are replaced or made"""
    ROTATES = "rotates"
    """the live template with the new key"""
    HELD = "held"
    """the live template"""


@dataclass(frozen=True, slots=True)
class Settled:
    """A Deployment as it may be written now."""

    deployment: Object
    hold: Hold
    live: Object | None = None
    waits_for_key: bool = False
    """The live pods hold another API key than the account's present one."""

    @property
    def image(self) -> str:
        """The image of its pods."""
        return str(self.deployment["spec"]["template"]["spec"]["containers"][0]["image"])


@dataclass(frozen=True, slots=True)
class Gates:
    """The verdicts that concern one account."""

    rollout: Verdict
    rotation: Verdict
    has_good_key: bool = True
    """Without it pods keep the key that they have."""


def settle(wanted: Object, live: Object | None, gates: Gates, *, pod_reason: str) -> Settled:
    """Return a Deployment as it may be written now."""
    if live is None:
        return Settled(wanted, Hold.ROLLS)
    if not gates.has_good_key:
        wanted = with_template(wanted, with_credentials_of(template_of(live), template_of(wanted)))
    if not template_differs(wanted, live):
        return Settled(wanted, Hold.NONE, live)
    is_other_key = needs_rotation(wanted, live)
    if gates.rollout.is_open or _is_free(wanted, live, gates, pod_reason):
        return Settled(wanted, Hold.ROLLS, live, is_other_key)
    return _held(wanted, live, gates, is_other_key=is_other_key)


def _is_free(wanted: Object, live: Object, gates: Gates, pod_reason: str) -> bool:
    """Nothing runs that a new template could disturb."""
    if not live["spec"].get("replicas", 1) or not wanted["spec"]["replicas"]:
        return True
    is_known = gates.rollout.reason != "WaitingForDatabase"
    return is_known and pod_reason.startswith(_CANNOT_RUN)


def _held(wanted: Object, live: Object, gates: Gates, *, is_other_key: bool) -> Settled:
    old, new = template_of(live), template_of(wanted)
    if not is_other_key or not gates.rotation.is_open:
        checksum = live["metadata"].get("annotations", {}).get(TEMPLATE_CHECKSUM)
        kept = _annotated(with_template(wanted, old), checksum)
        return Settled(kept, Hold.HELD, live, is_other_key)
    rotated = with_credentials_of(new, old)
    if not differs(new, rotated):
        return Settled(wanted, Hold.ROLLS, live, is_other_key)
    return Settled(with_template(wanted, rotated), Hold.ROTATES, live, is_other_key)


def needs_rotation(wanted: Object, live: Object) -> bool:
    """Return whether the live pods hold another key than the wanted ones."""
    return _credentials(template_of(wanted)) != _credentials(template_of(live))


def _credentials(template: Object) -> object:
    return template.get("metadata", {}).get("annotations", {}).get(CREDENTIALS_CHECKSUM)


def template_differs(wanted: Object, live: Object) -> bool:
    """Return whether applying would replace the pods."""
    annotations = live["metadata"].get("annotations", {})
    checksum = annotations.get(TEMPLATE_CHECKSUM)
    is_other = checksum not in (None, wanted["metadata"]["annotations"][TEMPLATE_CHECKSUM])
    return is_other or differs(template_of(wanted), template_of(live))


def template_of(deployment: Object) -> Object:
    """Return the pod template of a Deployment."""
    template: Object = deployment["spec"]["template"]
    # The API server says null where nobody set a time; it would not take that back.
    metadata = {key: value for key, value in template["metadata"].items() if value is not None}
    return template | {"metadata": metadata}


def with_template(deployment: Object, template: Object) -> Object:
    """Return a Deployment with another pod template."""
    made = deployment | {"spec": deployment["spec"] | {"template": template}}
    return _annotated(made, digest(template))


def with_credentials_of(source: Object, template: Object) -> Object:
    """Return a pod template with the key (its Secret and its checksum) of another one."""
    metadata = template["metadata"]
    annotations = dict(metadata.get("annotations", {}))
    annotations.pop(CREDENTIALS_CHECKSUM, None)
    held = _credentials(source)
    if held is not None:
        annotations[CREDENTIALS_CHECKSUM] = held
    volumes = {one["name"]: one for one in source["spec"].get("volumes", [])}
    spec = template["spec"]
    swapped = [_other_key(one, volumes.get(CREDENTIALS_VOLUME)) for one in spec.get("volumes", [])]
    return {
        **template,
        "metadata": metadata | {"annotations": annotations},
        "spec": spec | {"volumes": swapped},
    }


def _other_key(volume: Object, credentials: Object | None) -> Object:
    if volume["name"] != CREDENTIALS_VOLUME or credentials is None:
        return volume
    return credentials if differs(volume, credentials) else volume


def _annotated(deployment: Object, checksum: str | None) -> Object:
    metadata = deployment["metadata"]
    annotations: dict[str, Any] = dict(metadata.get("annotations", {}))
    annotations.pop(CHECKSUM, None)
    annotations.pop(TEMPLATE_CHECKSUM, None)
    if checksum is not None:
        annotations[TEMPLATE_CHECKSUM] = checksum
    return deployment | {"metadata": metadata | {"annotations": annotations}}
