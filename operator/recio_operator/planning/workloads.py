"""An account's Deployments as they may be written now: topology, gates, replicas.

``arrange`` brings the wanted units and the live ones together. It answers what may be applied, what
goes away, and what waits for what.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from recio.domain.account_config import Topology
from recio_operator.planning import topology
from recio_operator.planning.desired import Subject, deployment, hosted_as, service, units
from recio_operator.planning.observed import Key, KeyState, Object, Observed
from recio_operator.planning.replicas import may_suspend, replicas
from recio_operator.planning.rollout import Gates, Hold, Settled, settle
from recio_operator.planning.situation import Finding, yes
from recio_operator.planning.templates import Unit, hosted_accounts, hosted_checksums

_LOOK_AGAIN_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arranged:
    """What becomes of an account's Deployments.

    ``topology`` is where the account runs until further notice. ``missing`` counts Deployments that
    should be and cannot be made yet.
    """

    topology: Topology
    settled: tuple[Settled, ...] = ()
    services: tuple[Object, ...] = ()
    stale: tuple[tuple[str, str], ...] = ()
    missing: int = 0
    waiting: Finding | None = None
    recheck_seconds: float | None = None
    is_rotating: bool = False

    @property
    def expected(self) -> int:
        """How many Deployments there should be."""
        return len(self.settled) + self.missing


@dataclass(frozen=True, slots=True)
class Move:
    """Where the account runs now and whether it is on its way to another topology."""

    topology: Topology
    waiting: Finding | None = None
    is_blocked: bool = False
    stale: tuple[tuple[str, str], ...] = field(default=())


def arrange(subject: Subject, observed: Observed, gates: Gates) -> Arranged:
    """Return what may be done to an account's Deployments now."""
    move = decide_move(subject, observed, gates)
    if move.topology is Topology.POOLED:
        return _in_pool(subject, observed, gates, move)
    key = observed.key or Key(state=KeyState.SECRET_NOT_FOUND)
    made = units(subject, move.topology, key)
    settled = tuple(
        _settle(unit, subject, observed, gates)
        for unit in made
        if _may_be(unit, observed, gates, is_blocked=move.is_blocked)
    )
    waiting = move.waiting or _waiting(subject, observed, gates, settled)
    if waiting is None and len(settled) < len(made):
        waiting = _missing(observed)
    return Arranged(
        topology=move.topology,
        settled=settled,
        services=tuple(service(unit, subject.release, [subject.owner]) for unit in made),
        stale=move.stale,
        missing=len(made) - len(settled),
        waiting=waiting,
        recheck_seconds=_recheck(waiting, gates),
        is_rotating=any(_is_rotating(one) for one in settled),
    )


def decide_move(subject: Subject, observed: Observed, gates: Gates) -> Move:
    """Return in which topology the account runs now."""
    wanted = subject.config.topology
    others = sorted(topology.present(observed, subject.name) - {wanted})
    if not others:
        return _arriving(subject, observed, wanted)
    current = others[0]
    if current is Topology.POOLED:
        leaves = "the pool hosts the account until its pods are replaced"
        return Move(wanted, yes("WaitingForPool", leaves), is_blocked=True)
    if not _may_go(subject, observed, gates, current):
        return Move(current, yes(gates.rollout.reason, gates.rollout.message))
    return Move(wanted, _replacing(), is_blocked=True, stale=_stale(subject, observed, wanted))


def _arriving(subject: Subject, observed: Observed, wanted: Topology) -> Move:
    stale = _stale(subject, observed, wanted)
    if topology.lingering(observed, wanted):
        return Move(wanted, _replacing(), is_blocked=True, stale=stale)
    return Move(wanted, stale=stale)


def _replacing() -> Finding:
    return yes("ReplacingTopology", "the pods of the old topology go first")


def _may_go(subject: Subject, observed: Observed, gates: Gates, current: Topology) -> bool:
    if gates.rollout.is_open:
        return True
    live = topology.own_deployments(observed, subject.name, current)
    return not any(
        observed.children["Deployment", name]["spec"].get("replicas", 1) for name in live
    )


def _stale(subject: Subject, observed: Observed, wanted: Topology) -> tuple[tuple[str, str], ...]:
    """Return the live Deployments and Services of the other topologies."""
    return tuple(
        (kind, name)
        for other in Topology
        if other is not wanted
        for name in topology.own_names(subject.name, other)
        for kind in ("Deployment", "Service")
        if (kind, name) in observed.children
    )


def _may_be(unit: Unit, observed: Observed, gates: Gates, *, is_blocked: bool) -> bool:
    """A Deployment that is there stays; a new one needs a key, a login, and nothing in its way."""
    if ("Deployment", unit.name) in observed.children:
        return True
    can_log_in = observed.has_login or observed.is_database_known
    return gates.has_good_key and can_log_in and not is_blocked


def _settle(unit: Unit, subject: Subject, observed: Observed, gates: Gates) -> Settled:
    live = observed.children.get(("Deployment", unit.name))
    count = replicas(observed, live, is_suspended=subject.config.suspend)
    wanted = deployment(unit, subject.release, [subject.owner], replicas=count)
    return settle(wanted, live, gates, pod_reason=observed.pods.get(unit.component, ""))


def _is_rotating(settled: Settled) -> bool:
    """The pods hold another key than the one that was applied, or will."""
    if settled.live is None:
        return False
    return settled.hold is not Hold.NONE and settled.waits_for_key


def _waiting(
    subject: Subject, observed: Observed, gates: Gates, settled: Iterable[Settled]
) -> Finding | None:
    settled = tuple(settled)
    if any(one.hold is Hold.HELD and one.waits_for_key for one in settled):
        return yes(gates.rotation.reason, gates.rotation.message)
    if any(one.hold in (Hold.HELD, Hold.ROTATES) for one in settled):
        return yes(gates.rollout.reason, gates.rollout.message)
    runs = any(one.deployment["spec"]["replicas"] for one in settled)
    if subject.config.suspend and runs and not may_suspend(observed):
        return yes("WaitingToSuspend", "spec.suspend counts when the account is flat or Halted")
    return None


def _missing(observed: Observed) -> Finding:
    if not observed.is_database_known:
        return yes("WaitingForDatabase", "the account's login is made when PostgreSQL answers")
    return yes("WaitingForKey", "pods are made when the API key is good")


def _recheck(waiting: Finding | None, gates: Gates) -> float | None:
    if waiting is None:
        return None
    if waiting.reason in ("ReplacingTopology", "WaitingForPool"):
        return _LOOK_AGAIN_SECONDS
    for verdict in (gates.rotation, gates.rollout):
        if verdict.reason == waiting.reason:
            return verdict.recheck_seconds
    return None


def _in_pool(subject: Subject, observed: Observed, gates: Gates, move: Move) -> Arranged:
    """The pool's Deployment is not ours to write; we only tell of it."""
    live = topology.pool_deployment(observed)
    is_hosted = live is not None and subject.name in hosted_accounts(live)
    settled = (Settled(live, Hold.NONE, live),) if live is not None and is_hosted else ()
    waiting = move.waiting
    if waiting is None and not is_hosted and not subject.config.suspend:
        waiting = (
            yes("WaitingForPool", "the pool takes the account up when its pods may be replaced")
            if gates.has_good_key
            else _missing(observed)
        )
    return Arranged(
        topology=Topology.POOLED,
        settled=settled,
        stale=move.stale,
        missing=0 if is_hosted or subject.config.suspend else 1,
        waiting=waiting,
        recheck_seconds=_LOOK_AGAIN_SECONDS if move.is_blocked else None,
        is_rotating=is_hosted and gates.has_good_key and _holds_other_key(subject, observed, live),
    )


def _holds_other_key(subject: Subject, observed: Observed, pool: Object | None) -> bool:
    assert observed.key is not None
    wanted = hosted_as(subject.config, observed.key).key_checksum
    return hosted_checksums(pool).get(subject.name) != wanted
