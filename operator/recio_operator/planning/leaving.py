"""How an account leaves: clean at the exchange first, then its pods stop, then its key is free.

    working   the deletion policy's switch is set; resting orders go, or positions too
    stopping  clean, or the time is up: Deployments go, so that nothing trades with a key that
              another account may claim
    gone      the login is closed, the key free, the finalizer removed; the books stay

``deletionTimeoutSeconds`` bounds all of it, except that RefuseWhileOpen is never forced. A document
that cannot be read leaves too: its policy is then the default. The annotation
``recio.io/force-finalize`` goes at once. An account whose books were never opened has nothing to leave.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from recio.domain.account_config import DeletionPolicy, Trading, strictest
from recio_operator.names import FINALIZER, FORCE_FINALIZE
from recio_operator.planning.observed import Books, Observed
from recio_operator.planning.rollout import what_is_open
from recio_operator.planning.times import microseconds

_DEFAULT_TIMEOUT_SECONDS: Final = 300
_LOOK_AGAIN_SECONDS: Final = 2.0
_SWITCHES: Final = {
    DeletionPolicy.CANCEL_ORDERS: Trading.HALTED,
    DeletionPolicy.FLATTEN: Trading.FLATTEN,
    DeletionPolicy.REFUSE_WHILE_OPEN: Trading.NO_NEW_ENTRIES,
}


class Step(StrEnum):
    """How far an account is with leaving."""

    WORKING = "working"
    STOPPING = "stopping"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """What to do next. ``switch`` is the position to hold, None: leave it as it is."""

    step: Step
    reason: str
    message: str
    switch: Trading | None = None
    is_clean: bool = True
    recheck_seconds: float | None = _LOOK_AGAIN_SECONDS


def is_leaving(observed: Observed) -> bool:
    """Return whether the resource was deleted."""
    return bool(observed.document["metadata"].get("deletionTimestamp"))


def has_left(observed: Observed) -> bool:
    """Return whether our finalizer is gone already (or never was there)."""
    return FINALIZER not in observed.document["metadata"].get("finalizers", [])


def judge_leaving(observed: Observed, *, has_pods: bool) -> Leaving:
    """Return what to do next for an account that was deleted."""
    policy, timeout_s = _policy(observed.document)
    annotations = observed.document["metadata"].get("annotations") or {}
    if annotations.get(FORCE_FINALIZE) == "true":
        return _gone(
            "LeftUnclean", f"gone by force, as annotated: {FORCE_FINALIZE}", is_clean=False
        )
    deleted_us = microseconds(observed.document["metadata"]["deletionTimestamp"])
    left_s = timeout_s - (observed.now_us - deleted_us) / 1e6
    if policy is DeletionPolicy.ORPHAN:
        return _stop(has_pods, left_s, "nothing was to be done at the exchange")
    if not observed.is_database_known:
        return _blind(policy, observed.books_reason, left_s)
    if observed.books is None:
        return _stop(has_pods, left_s, "its books were never opened")
    # The switch first, even where nothing is open: no order may slip in before the pods stop.
    switch = strictest(_SWITCHES[policy], _own(observed))
    open_now = _unfinished(policy, observed.books)
    if not open_now:
        return _stop(has_pods, left_s, "nothing of it is left at the exchange", switch)
    return _work(policy, switch, left_s, open_now)


def _policy(document: dict[str, Any]) -> tuple[DeletionPolicy, float]:
    spec = document.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    chosen = spec.get("deletionPolicy")
    known = [one for one in DeletionPolicy if one.value == chosen]
    timeout_s = spec.get("deletionTimeoutSeconds")
    if not isinstance(timeout_s, int) or isinstance(timeout_s, bool):
        timeout_s = _DEFAULT_TIMEOUT_SECONDS
    return known[0] if known else DeletionPolicy.CANCEL_ORDERS, timeout_s


def _unfinished(policy: DeletionPolicy, books: Books) -> str:
    if policy is DeletionPolicy.CANCEL_ORDERS:
        return what_is_open(books) if books.live_orders else ""
    return "" if books.is_at_rest else what_is_open(books)


def _blind(policy: DeletionPolicy, why: str, left_s: float) -> Leaving:
    if left_s <= 0 and policy is not DeletionPolicy.REFUSE_WHILE_OPEN:
        return _gone("LeftUnclean", f"gone after the time was up; {why}", is_clean=False)
    return Leaving(
        step=Step.WORKING,
        reason="LeavingBlind",
        message=f"PostgreSQL cannot say what is open: {why}; to go at once, annotate "
        f"{FORCE_FINALIZE}=true",
        recheck_seconds=_recheck(left_s),
    )


def _work(policy: DeletionPolicy, switch: Trading, left_s: float, open_now: str) -> Leaving:
    if policy is DeletionPolicy.REFUSE_WHILE_OPEN:
        return Leaving(
            step=Step.WORKING,
            reason="LeavingRefused",
            message=f"not deleted while something is open ({open_now}). Ways out: wait or close it "
            "on the page; set spec.trading: Flatten; set spec.deletionPolicy to CancelOrders, "
            f"Flatten or Orphan; or annotate {FORCE_FINALIZE}=true",
            switch=switch,
        )
    if left_s <= 0:
        return _gone(
            "LeftUnclean",
            f"gone after spec.deletionTimeoutSeconds although not clean; {open_now}",
            is_clean=False,
        )
    return Leaving(
        step=Step.WORKING,
        reason="Leaving",
        message=f"{policy.value}: the switch is {switch.value}; {open_now}",
        switch=switch,
        recheck_seconds=_recheck(left_s),
    )


def _own(observed: Observed) -> Trading:
    """A switch that a person set harder than the policy's stays."""
    spec = observed.document.get("spec")
    said = spec.get("trading") if isinstance(spec, dict) else None
    return next((one for one in Trading if one.value == said), Trading.ACTIVE)


def _stop(
    has_pods: bool,  # noqa: FBT001 (a fact of two)
    left_s: float,
    why: str,
    switch: Trading | None = None,
) -> Leaving:
    if has_pods and left_s > 0:
        message = f"{why}; its pods stop"
        return Leaving(step=Step.STOPPING, reason="Stopping", message=message, switch=switch)
    return _gone("Left", why, is_clean=True)


def _gone(reason: str, message: str, *, is_clean: bool) -> Leaving:
    return Leaving(
        step=Step.GONE, reason=reason, message=message, is_clean=is_clean, recheck_seconds=None
    )


def _recheck(left_s: float) -> float:
    return min(max(left_s, 0.1), _LOOK_AGAIN_SECONDS)
