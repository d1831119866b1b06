"""The pools that host Pooled accounts: one set of objects for all accounts of a plane and mode.

A pool's accounts share one process, so they restart together: its pods are replaced when the gate of
every account that they host is open, each by its own policy, windows, deadline and books. Until then
the pool goes on with the accounts that it has; who is new waits.

An account gets in when nothing of its own topology is left and its key is claimed. It gets out by its
own gate, and without waiting for anybody when its resource is gone or its key is another account's.
``spec.pod`` does not count in a pool; ``spec.image`` does if all its accounts say the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from recio.domain.account_config import AccountConfig, Mode, Pod, Topology
from recio_operator import names
from recio_operator.planning import topology
from recio_operator.planning.applying import changed, drift_notes
from recio_operator.planning.desired import (
    deployment,
    hosted_as,
    metadata_of,
    owner_reference,
    service,
    strategy_of,
    variables,
)
from recio_operator.planning.effective import effective, read
from recio_operator.planning.gates import gates_of
from recio_operator.planning.leaving import Step, has_left, is_leaving, judge_leaving
from recio_operator.planning.observed import Object, Observed, ObservedPool
from recio_operator.planning.plan import PoolPlan
from recio_operator.planning.policies import network_policy_spec
from recio_operator.planning.replicas import is_key_of_another, may_suspend
from recio_operator.planning.rollout import OPEN, Gates, Hold, Settled, Verdict, settle
from recio_operator.planning.situation import short
from recio_operator.planning.templates import (
    ACCOUNT_SERVICES,
    Hosted,
    Unit,
    hosted_accounts,
    hosted_checksums,
)
from recio_operator.release import Environment, Release

_KINDS: Final = ("Deployment", "Service", "NetworkPolicy", "ConfigMap", "ServiceAccount")


@dataclass(frozen=True, slots=True)
class _Member:
    """An account that is in the pool or wants to be."""

    observed: Observed
    config: AccountConfig
    gates: Gates
    is_wanted: bool
    """Whether the pool should host it."""
    strategy: tuple[str, str] | None = None
    """The ConfigMap and the key of its own strategy, as it counts now."""

    @property
    def name(self) -> str:
        return self.config.name


def plan_pool(pool: ObservedPool, release: Release) -> PoolPlan:
    """Return everything to do for one pool now."""
    environment = next((one for one in release.environments if one.name == pool.environment), None)
    if environment is None:
        return PoolPlan()
    name = names.pool(pool.environment, pool.mode.value)
    live = pool.children.get(("Deployment", name))
    members = tuple(_members(pool))
    gates = _pool_gates(members, live)
    hosted = _hosted(members, live, is_open=gates.rollout.is_open)
    if not hosted:
        return _emptied(pool, name, live, gates)
    unit = _unit(name, hosted, environment, release, live)
    wanted = deployment(unit, release, _owners(members), replicas=1)
    settled = settle(wanted, live, gates, pod_reason=_pod_reason(pool))
    others = _others(unit, environment, release, _owners(members))
    if settled.hold in (Hold.HELD, Hold.ROTATES) and ("ConfigMap", name) in pool.children:
        others = [one for one in others if one["kind"] != "ConfigMap"]
    apply = changed(others, (settled,), pool.children)
    return PoolPlan(
        apply=apply,
        notes=drift_notes(apply, pool.children),
        requeue_seconds=_requeue(gates, settled, members, hosted),
    )


def _members(pool: ObservedPool) -> Iterable[_Member]:
    for observed in sorted(pool.members, key=lambda one: str(one.document["metadata"]["name"])):
        reading = read(observed)
        config = reading.config or reading.applied
        if config is None:
            continue
        counting = effective(config, reading.applied, observed.books).config
        made = _Member(
            observed,
            config,
            gates_of(observed, config),
            is_wanted=True,
            strategy=strategy_of(counting),
        )
        yield replace(made, is_wanted=_is_wanted(made))


def _is_wanted(member: _Member) -> bool:
    observed, config = member.observed, member.config
    if config.topology is not Topology.POOLED or is_key_of_another(observed):
        return False
    if is_leaving(observed):
        is_gone = (
            has_left(observed) or judge_leaving(observed, has_pods=True).step is not Step.WORKING
        )
        return not is_gone
    return not (config.suspend and may_suspend(observed))


def _may_join(member: _Member) -> bool:
    """Its key is claimed, its login is there, and nothing of its own topology runs."""
    observed = member.observed
    status = observed.document.get("status") or {}
    key = observed.key
    is_claimed = key is not None and status.get("credentialsHash") == short(key.digest)
    own = topology.present(observed, member.name) - {Topology.POOLED}
    is_alone = not own and not topology.lingering(observed, Topology.POOLED)
    return is_claimed and member.gates.has_good_key and observed.has_login and is_alone


def _hosted(
    members: Iterable[_Member], live: Object | None, *, is_open: bool
) -> tuple[_Member, ...]:
    """Who the pods are made for: as before while the gate is closed."""
    before = set(hosted_accounts(live))
    if not is_open:
        return tuple(one for one in members if one.name in before)
    return tuple(one for one in members if one.is_wanted and (one.name in before or _may_join(one)))


def _pool_gates(members: tuple[_Member, ...], live: Object | None) -> Gates:
    before = hosted_accounts(live)
    inside = tuple(one for one in members if one.name in before)
    rollout = _strictest(one.gates.rollout for one in inside)
    is_known = all(one.observed.books is not None for one in inside)
    must = set(before) - {one.name for one in inside}
    must |= {one.name for one in inside if is_key_of_another(one.observed)}
    if must and is_known:
        rollout = OPEN
    return Gates(rollout=rollout, rotation=_strictest(_rotations(inside, live)))


def _rotations(inside: Iterable[_Member], live: Object | None) -> Iterable[Verdict]:
    """A key that waits long enough does not wait for the orders of the other accounts."""
    checksums = hosted_checksums(live)
    inside = tuple(inside)
    rotating = [one for one in inside if _checksum(one, checksums) != checksums.get(one.name)]
    if any(one.observed.books is None for one in inside):
        return [one.gates.rotation for one in inside if one.observed.books is None]
    return [one.gates.rotation for one in rotating]


def _strictest(verdicts: Iterable[Verdict]) -> Verdict:
    closed = [one for one in verdicts if not one.is_open]
    if not closed:
        return OPEN
    waits = [one.recheck_seconds for one in closed if one.recheck_seconds is not None]
    return replace(closed[0], recheck_seconds=min(waits, default=None))


def _checksum(member: _Member, before: dict[str, str]) -> str:
    """An account whose key is not good keeps the one that its pod has."""
    key = member.observed.key
    if key is None or not member.gates.has_good_key:
        return before.get(member.name, "")
    return hosted_as(member.config, key).key_checksum


def _unit(
    name: str,
    hosted: tuple[_Member, ...],
    environment: Environment,
    release: Release,
    live: Object | None,
) -> Unit:
    before = hosted_checksums(live)
    accounts = ",".join(one.name for one in hosted)
    mode: Mode = hosted[0].config.mode
    images = {one.config.image for one in hosted}
    image = images.pop() if len(images) == 1 else None
    return Unit(
        name=name,
        component=names.POOL,
        owner_label=(names.POOL_LABEL, name),
        services=ACCOUNT_SERVICES,
        accounts=tuple(_as_hosted(one, before) for one in hosted),
        config_map=name,
        config=variables(mode, environment, release) | {"RECIO_ACCOUNTS": accounts},
        image=image or release.image.reference,
        environment=environment.name,
        placement=Pod(),
        resources=release.workloads.pooled,
        restarted_at=max(_restarted_at(one.observed) for one in hosted),
        annotations={names.POOLED_ACCOUNTS: accounts},
    )


def _as_hosted(member: _Member, before: dict[str, str]) -> Hosted:
    key = member.observed.key
    secret = hosted_as(member.config, key).key_secret if key is not None else ""
    secret = secret or names.child(member.name, "exchange-key")
    return Hosted(
        name=member.name,
        key_secret=secret,
        key_checksum=_checksum(member, before),
        strategy=member.strategy,
    )


def _restarted_at(observed: Observed) -> str:
    annotations = observed.document["metadata"].get("annotations") or {}
    return str(annotations.get(names.RESTARTED_AT, ""))


def _owners(members: Iterable[_Member]) -> list[Object]:
    """Every account owns the pool, none alone: it goes when the last one went."""
    references = (owner_reference(one.observed.document) for one in members)
    return [{key: value for key, value in one.items() if key != "controller"} for one in references]


def _others(
    unit: Unit, environment: Environment, release: Release, owners: list[Object]
) -> list[Object]:
    metadata = metadata_of(unit, release, owners)
    head: Object = {"apiVersion": "v1", "metadata": metadata}
    made = [
        head | {"kind": "ServiceAccount", "automountServiceAccountToken": False},
        head | {"kind": "ConfigMap", "data": dict(unit.config)},
        service(unit, release, owners),
    ]
    if release.network.is_enabled:
        spec = network_policy_spec(
            {names.POOL_LABEL: unit.name}, environment, release, uses_bus=unit.uses_bus
        )
        policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
        made.append(policy | {"metadata": metadata, "spec": spec})
    return made


def _pod_reason(pool: ObservedPool) -> str:
    reasons = (one.pods.get(names.POOL, "") for one in pool.members)
    return next((one for one in reasons if one), "")


def _emptied(pool: ObservedPool, name: str, live: Object | None, gates: Gates) -> PoolPlan:
    """Nobody is to be hosted: the objects go, once nobody is in them who must not be stopped."""
    if live is not None and not gates.rollout.is_open:
        return PoolPlan(requeue_seconds=gates.rollout.recheck_seconds)
    found = tuple((kind, name) for kind in _KINDS if (kind, name) in pool.children)
    return PoolPlan(delete=found)


def _requeue(
    gates: Gates, settled: Settled, members: Iterable[_Member], hosted: Iterable[_Member]
) -> float | None:
    waits = {one.name for one in members if one.is_wanted} != {one.name for one in hosted}
    if settled.hold not in (Hold.HELD, Hold.ROTATES) and not waits:
        return None
    found = (gates.rollout.recheck_seconds, gates.rotation.recheck_seconds)
    return min((one for one in found if one is not None), default=None)


__all__ = ["hosted_accounts", "plan_pool"]
