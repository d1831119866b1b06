"""From what is observed to what is to be done: ``plan_account``, the pure middle of the operator.

It never fails because of a document: what cannot be read leaves the last good workloads as they are
and says so. It reads no clock and draws no chance; planning on its own result gives nothing to do.

What it holds to, whatever comes together:
- halts and tighter limits count at once; a halt even out of a document that is otherwise refused;
- no pod is replaced or stopped while the account's books are unknown;
- nothing but ``status`` is written while paused; a deletion outranks the pause;
- an account leaves clean before its children go.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import msgspec

from recio.domain.account_config import AccountConfig, Mode, Topology, Trading, strictest
from recio_operator import names
from recio_operator.planning import topology
from recio_operator.planning.applying import changed, drift_notes
from recio_operator.planning.conditions import findings, no_environment
from recio_operator.planning.desired import Subject, base_children, config_map, owner_reference
from recio_operator.planning.effective import (
    Reading,
    document_to_write,
    effective,
    read,
    resource_switch,
)
from recio_operator.planning.gates import annotation, gates_of
from recio_operator.planning.leaving import Leaving, Step, has_left, is_leaving, judge_leaving
from recio_operator.planning.observed import KeyState, Object, Observed
from recio_operator.planning.plan import FinalizerStep, Note, Plan, SwitchOrder
from recio_operator.planning.rollout import (
    Gates,
    Hold,
    Settled,
    Verdict,
)
from recio_operator.planning.situation import Situation, as_they_are, no
from recio_operator.planning.status import notes, once, status_of
from recio_operator.planning.workloads import Arranged, arrange
from recio_operator.release import Environment, Release

_LOOK_AGAIN_SECONDS: Final = 1.0
_TRY_AGAIN_SECONDS: Final = 5.0
_CLOSED: Final = Verdict(is_open=False, reason="Leaving", message="the account is being deleted")


def plan_account(observed: Observed, release: Release) -> Plan:
    """Return everything to do for one account now."""
    reading = read(observed)
    if is_leaving(observed):
        return _leave(observed, release, reading)
    situation = _first_look(observed, release, reading)
    if situation.is_paused:
        return _told(Plan(), situation)
    if situation.refusal is not None:
        return _told(_refused(observed, reading), situation)
    return _work(situation, reading.applied)


def _first_look(observed: Observed, release: Release, reading: Reading) -> Situation:
    """What is said if nothing is done: the workloads as they are."""
    config = reading.config
    environment = release.environment_of(config) if config is not None else None
    live = _live(observed)
    made = Situation(
        observed=observed,
        release=release,
        config=config,
        environment=environment,
        settled=live,
        expected=len(live),
        is_paused=annotation(observed, names.PAUSED) == "true",
        is_suspended=config is not None and config.suspend,
    )
    if config is None:
        return replace(made, refusal=no(reading.reason, reading.problems))
    return made if environment is not None else replace(made, refusal=no_environment(made))


def _live(observed: Observed) -> tuple[Settled, ...]:
    found = sorted(
        (name, live) for (kind, name), live in observed.children.items() if kind == "Deployment"
    )
    return as_they_are(live for _, live in found)


def _told(plan: Plan, situation: Situation, *more: Note) -> Plan:
    """The plan with the status and the Events that a situation gives."""
    found = findings(situation)
    live = situation.observed.document
    status = status_of(situation, found)
    return replace(
        plan,
        status=status if status != live.get("status") else None,
        notes=once((*notes(live, found), *more)),
    )


def _refused(observed: Observed, reading: Reading) -> Plan:
    """A refused document changes nothing; a switch in it that stops something counts all the same."""
    spec = observed.document.get("spec")
    said = spec.get("trading") if isinstance(spec, dict) else None
    wanted = next((one for one in Trading if one.value == said), None)
    if reading.config is not None or wanted is None or observed.books is None:
        return Plan()
    return Plan(switch=_stricter(observed, wanted, "spec.trading of a document otherwise refused"))


def _stricter(observed: Observed, wanted: Trading, reason: str) -> SwitchOrder | None:
    assert observed.books is not None
    present = Trading(resource_switch(observed.books))
    is_stricter = strictest(present, wanted) is not present
    return SwitchOrder(state=wanted, reason=reason) if is_stricter else None


def _work(situation: Situation, applied: AccountConfig | None) -> Plan:
    observed, config, environment = situation.observed, situation.config, situation.environment
    assert config is not None
    assert environment is not None
    counting = effective(config, applied, observed.books)
    # Pods run the strategy that the document counts with, also if they must be replaced before.
    hosted = msgspec.structs.replace(config, strategy=counting.config.strategy)
    subject = _subject(hosted, environment, situation.release, observed)
    gates = gates_of(observed, config)
    arranged = arrange(subject, observed, gates)
    document = document_to_write(counting.config, applied, observed.books)
    plan = Plan(
        finalizer=FinalizerStep.ADD if has_left(observed) else FinalizerStep.KEEP,
        needs_login=not observed.has_login and observed.is_database_known,
        needs_key=_needs_key(observed, config),
        document=document if observed.is_database_known else None,
        claims_key=_claim(situation, arranged),
        apply=_changed(subject, observed, arranged),
        delete=_stale(subject, observed, arranged),
        requeue_seconds=_requeue(observed, arranged, is_written=document is not None),
    )
    told = replace(
        situation,
        settled=arranged.settled,
        expected=arranged.expected,
        waiting=arranged.waiting,
        held_fields=counting.held,
        is_rotating=arranged.is_rotating,
        is_in_place=observed.is_database_known and not counting.held and arranged.waiting is None,
    )
    return _told(plan, told, *_more_notes(plan, told, gates))


def _subject(
    config: AccountConfig, environment: Environment, release: Release, observed: Observed
) -> Subject:
    return Subject(
        config=config,
        environment=environment,
        release=release,
        owner=owner_reference(observed.document),
        restarted_at=annotation(observed, names.RESTARTED_AT),
    )


def _needs_key(observed: Observed, config: AccountConfig) -> bool:
    if config.mode is not Mode.PAPER:
        return False
    return observed.key is None or observed.key.state in (
        KeyState.SECRET_NOT_FOUND,
        KeyState.REGISTRATION_FAILED,
    )


def _claim(situation: Situation, arranged: Arranged) -> str:
    """A key is claimed before pods get it: new pods, another key, or a pool that is to take it."""
    key = situation.observed.key
    if key is None or not situation.has_good_key or not situation.observed.is_database_known:
        return ""
    status = situation.observed.document.get("status") or {}
    is_given = any(
        one.live is None or (one.waits_for_key and one.hold is not Hold.HELD)
        for one in arranged.settled
    )
    is_new = status.get("credentialsHash") != situation.short_key and not arranged.is_rotating
    return (key.id_digest or key.digest) if is_given or is_new else ""


def _changed(subject: Subject, observed: Observed, arranged: Arranged) -> tuple[Object, ...]:
    """Everything of ours that does not say what it should; the ConfigMap not ahead of the pods."""
    if arranged.topology is Topology.POOLED:
        return ()
    others: list[Object] = [*base_children(subject), *arranged.services]
    settings = config_map(subject)
    is_held = any(one.hold in (Hold.HELD, Hold.ROTATES) for one in arranged.settled)
    if not is_held or ("ConfigMap", names.child(subject.name)) not in observed.children:
        others.insert(0, settings)
    return changed(others, arranged.settled, observed.children)


def _stale(subject: Subject, observed: Observed, arranged: Arranged) -> tuple[tuple[str, str], ...]:
    name = names.child(subject.name)
    unwanted: list[tuple[str, str]] = []
    if not subject.release.network.is_enabled:
        unwanted.append(("NetworkPolicy", name))
    is_pooled = arranged.topology is Topology.POOLED
    if is_pooled and not arranged.stale and not topology.lingering(observed, Topology.POOLED):
        unwanted += [(kind, name) for kind in ("NetworkPolicy", "ConfigMap", "ServiceAccount")]
    found = (key for key in dict.fromkeys(unwanted) if key in observed.children)
    return (*arranged.stale, *found)


def _requeue(observed: Observed, arranged: Arranged, *, is_written: bool) -> float | None:
    wanted = [arranged.recheck_seconds]
    if is_written and observed.is_database_known:
        wanted.append(_LOOK_AGAIN_SECONDS)
    if observed.key is None or observed.key.state is KeyState.REGISTRATION_FAILED:
        wanted.append(_TRY_AGAIN_SECONDS)
    if not observed.is_database_known:
        wanted.append(_TRY_AGAIN_SECONDS)
    return min((one for one in wanted if one is not None), default=None)


def _more_notes(plan: Plan, situation: Situation, gates: Gates) -> tuple[Note, ...]:
    made = drift_notes(plan.apply, situation.observed.children)
    rolls = any(one.hold is Hold.ROLLS and one.live is not None for one in situation.settled)
    if not (gates.rollout.is_forced and rolls):
        return made
    text = "spec.rollout.deadlineSeconds passed and the account is not flat; its pods are replaced"
    return (*made, Note(kind="Warning", reason="RolloutForced", message=text))


def _leave(observed: Observed, release: Release, reading: Reading) -> Plan:
    if has_left(observed):
        return Plan()
    name = observed.document["metadata"]["name"]
    is_hosted = Topology.POOLED in topology.present(observed, name)
    own = tuple(key for key in observed.children if key[0] == "Deployment" and _is_own(key[1]))
    # A pool's pod goes on for the others; what counts is whether it hosts this account.
    has_pods = bool(own or is_hosted or set(observed.pods) - {names.POOL})
    leaving = judge_leaving(observed, has_pods=has_pods)
    if leaving.step is Step.GONE:
        return _gone(observed, leaving, own)
    situation = replace(
        _first_look(observed, release, reading),
        leaving=no(leaving.reason, leaving.message),
        is_paused=False,
    )
    plan = Plan(switch=_held_switch(observed, leaving), requeue_seconds=leaving.recheck_seconds)
    if leaving.step is Step.STOPPING:
        return _told(replace(plan, delete=own), situation)
    return _told(replace(plan, apply=_kept_running(situation)), situation)


def _is_own(name: str) -> bool:
    return name.startswith(names.child(""))


def _gone(observed: Observed, leaving: Leaving, own: tuple[tuple[str, str], ...]) -> Plan:
    kind = "Normal" if leaving.is_clean else "Warning"
    return Plan(
        finalizer=FinalizerStep.REMOVE,
        delete=own,
        notes=(Note(kind=kind, reason=leaving.reason, message=leaving.message),),
        releases_login=observed.is_database_known,
    )


def _held_switch(observed: Observed, leaving: Leaving) -> SwitchOrder | None:
    books = observed.books
    if leaving.switch is None or books is None or resource_switch(books) == leaving.switch:
        return None
    return SwitchOrder(state=leaving.switch, reason="the account is being deleted")


def _kept_running(situation: Situation) -> tuple[Object, ...]:
    """Pods that a leaving account needs to leave clean: none is replaced, a suspended one wakes."""
    config, environment, observed = situation.config, situation.environment, situation.observed
    if config is None or environment is None:
        return ()
    awake = msgspec.structs.replace(config, suspend=False)
    subject = _subject(awake, environment, situation.release, observed)
    gates = replace(gates_of(observed, awake), rollout=_CLOSED)
    arranged = arrange(subject, observed, gates)
    return changed((), arranged.settled, observed.children)
