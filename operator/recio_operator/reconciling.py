"""One look at one thing: observe, plan, act. Called by the queue's workers, one at a time a key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from recio.domain.account_config import FLEET_NAME, Mode
from recio_operator import cluster as what
from recio_operator import names
from recio_operator.acting import Actor
from recio_operator.cluster import Cluster, Key
from recio_operator.fleet import FleetDesk
from recio_operator.kube import Conflict, Refused
from recio_operator.markets import MarketDesk
from recio_operator.observing import Observer
from recio_operator.planning.account import plan_account
from recio_operator.planning.observed import Observed
from recio_operator.planning.plan import Plan
from recio_operator.planning.pool import plan_pool
from recio_operator.planning.status import failure_notes, with_failure
from recio_operator.release import Environment, Release
from recio_operator.targets import TargetsDesk
from recio_operator.work_queue import Later

Object = dict[str, Any]

LOOKS_MOST: Final = 6
"""Preparations follow each other: finalizer, login, key, document, claim."""
CONFLICT_PAUSE_S: Final = 0.2
TARGETS_SETTLE_S: Final = 1.0


@dataclass(slots=True, kw_only=True)
class Reconciler:
    """Reconciles accounts, pools, the fleet, environments, and the monitor's list.

    ``again`` puts a key on the queue.
    """

    cluster: Cluster
    observer: Observer
    actor: Actor
    release: Release
    fleet: FleetDesk
    markets: MarketDesk
    targets: TargetsDesk
    again: Callable[[Key], None]
    later: Callable[[Key, float], None]

    async def reconcile(self, key: Key) -> float | None:
        """Bring one thing to what it should be; return after how many seconds to look again.

        Raises:
            RecioError: something did not work; the queue calls again.
            Later: somebody was faster; look again soon.
        """
        try:
            return await self._reconcile(key)
        except Conflict as error:
            raise Later(CONFLICT_PAUSE_S, str(error)) from error

    async def _reconcile(self, key: Key) -> float | None:
        if key.what == what.ACCOUNT:
            return await self._account(key.name)
        if key.what == what.POOL:
            return await self._pool(key.name)
        if key.what == what.FLEET:
            return await self.fleet.reconcile(key.name)
        if key.what == what.ENVIRONMENT:
            for account in await self.markets.reconcile(key.name):
                self.again(Key(what.ACCOUNT, account))
            return self.markets.every_s
        return await self.targets.reconcile()

    async def _account(self, name: str) -> float | None:
        for _ in range(LOOKS_MOST):
            seen = await self.observer.account(name)
            if seen is None:
                self._is_gone(name)
                return None
            plan = plan_account(seen, self.release)
            outcome = await self.actor.prepare(seen, plan)
            if not outcome.prepared:
                break
        else:
            raise Later(CONFLICT_PAUSE_S, f"account {name} changes while it is looked at")
        if outcome.unwritten is not None:
            plan = _told_unwritten(plan, seen, str(outcome.unwritten))
        await self._finish(seen, plan, is_safe=not outcome.problems)
        for pool in self.observer.pools_of(name, seen.document):
            self.again(Key(what.POOL, pool))
        if plan.apply or plan.delete:
            self.later(Key(what.TARGETS, ""), TARGETS_SETTLE_S)
        if outcome.problems:
            raise outcome.problems[0]
        self.actor.logins.add(name)
        return plan.requeue_seconds

    async def _finish(self, seen: Observed, plan: Plan, *, is_safe: bool) -> None:
        """Carry the plan out; what the API server refuses for good is told in the status."""
        try:
            await self.actor.finish(seen, plan, is_safe=is_safe)
        except Conflict:
            raise
        except Refused as error:
            failed = with_failure(plan.status, seen.document, str(error), now_us=seen.now_us)
            await self.actor.apply_status(seen.document, failed)
            for note in failure_notes(seen.document, str(error)):
                await self.actor.events.post(seen.document, note, now_us=seen.now_us)
            raise

    def _is_gone(self, name: str) -> None:
        self.actor.forget(name)
        for waiting in self.observer.accounts_without_own_key():
            self.again(Key(what.ACCOUNT, waiting))
        for pool in self.observer.pools_of(name, None):
            self.again(Key(what.POOL, pool))
        self.later(Key(what.TARGETS, ""), TARGETS_SETTLE_S)
        self.again(Key(what.FLEET, FLEET_NAME))

    async def _pool(self, name: str) -> float | None:
        place = self._pool_place(name)
        if place is None:
            return None
        seen = self.observer.pool(place)
        plan = plan_pool(seen, self.release)
        document = seen.members[0].document if seen.members else None
        await self.actor.bring_pool(plan, document, seen.now_us)
        if plan.apply or plan.delete:
            self.later(Key(what.TARGETS, ""), TARGETS_SETTLE_S)
            for member in seen.members:
                self.again(Key(what.ACCOUNT, member.document["metadata"]["name"]))
        return plan.requeue_seconds

    def _pool_place(self, name: str) -> tuple[Environment, Mode] | None:
        for environment in self.release.environments:
            for mode in Mode:
                if names.pool(environment.name, mode.value) == name:
                    return environment, mode
        return None


def _told_unwritten(plan: Plan, seen: Observed, why: str) -> Plan:
    """The plan's status was made for a document that the books did not take."""
    status = with_failure(plan.status, seen.document, why, now_us=seen.now_us)
    return replace(plan, status=status, notes=failure_notes(seen.document, why))
