"""The pools that host Pooled accounts: one set of objects for all accounts of a plane and mode."""

from __future__ import annotations

from collections.abc import Mapping

from recio_operator.names import POOLED_ACCOUNTS
from recio_operator.observed import Object, ObservedPool
from recio_operator.plan import PoolPlan
from recio_operator.release import Release


def plan_pool(pool: ObservedPool, release: Release) -> PoolPlan:
    """Return everything to do for one pool now."""
    raise NotImplementedError


def hosted_accounts(deployment: Mapping[str, object] | None) -> tuple[str, ...]:
    """Return the accounts that the pods of a pool's Deployment are made for."""
    part: object = deployment or {}
    for step in ("spec", "template", "metadata", "annotations", POOLED_ACCOUNTS):
        part = part.get(step, {}) if isinstance(part, Mapping) else {}
    return tuple(part.split(",")) if isinstance(part, str) and part else ()


__all__ = ["Object", "hosted_accounts", "plan_pool"]
