"""Where an account's services run now, and how they move to another topology.

An account never runs in two topologies at once: what runs is deleted first, and the new Deployments
come when no pod of the old ones is left. PostgreSQL's fence would keep two executors apart anyway.
"""

from __future__ import annotations

from typing import Final

from recio.domain.account_config import Topology
from recio_operator import names
from recio_operator.planning.observed import Object, Observed
from recio_operator.planning.templates import ACCOUNT_SERVICES, hosted_accounts

_PARTS: Final = {
    Topology.PER_SERVICE: tuple(row.name for row in ACCOUNT_SERVICES),
    Topology.COMPACT: (names.COMPACT,),
    Topology.POOLED: (),
}


def own_deployments(observed: Observed, account: str, topology: Topology) -> tuple[str, ...]:
    """Return the names of the account's live Deployments of a topology."""
    wanted = own_names(account, topology)
    return tuple(name for name in wanted if ("Deployment", name) in observed.children)


def own_names(account: str, topology: Topology) -> tuple[str, ...]:
    """Return what an account's Deployments and Services of a topology are called."""
    return tuple(names.child(account, part) for part in _PARTS[topology])


def pool_deployment(observed: Observed) -> Object | None:
    """Return the live Deployment of the pool that concerns the account."""
    for (kind, name), live in observed.children.items():
        if kind == "Deployment" and name.startswith("tp-"):
            return live
    return None


def present(observed: Observed, account: str) -> frozenset[Topology]:
    """Return the topologies in which the account has Deployments, or a pool that hosts it."""
    found = {one for one in Topology if own_deployments(observed, account, one)}
    if account in hosted_accounts(pool_deployment(observed)):
        found.add(Topology.POOLED)
    return frozenset(found)


def lingering(observed: Observed, wanted: Topology) -> tuple[str, ...]:
    """Return the components of pods that still exist of other topologies than the wanted one."""
    others = [_components(one) for one in Topology if one is not wanted]
    return tuple(sorted(set().union(*others) & set(observed.pods)))


def _components(topology: Topology) -> set[str]:
    if topology is Topology.POOLED:
        return set()
    return {part.replace("_", "-") for part in _PARTS[topology]}
