"""Looks at everything that one reconcile decides on: caches first, questions only where they tell more.

Nothing here writes to the cluster or to the books.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from recio.domain.account_config import AccountConfig, Mode, Topology, parse_account
from recio.domain.errors import InvalidValue
from recio_operator import kube as api
from recio_operator import names
from recio_operator.books import BooksPoll, Snapshot
from recio_operator.cluster import POOL, Cluster
from recio_operator.planning.conditions import by_type
from recio_operator.planning.observed import Key, KeyState, Observed, ObservedPool
from recio_operator.planning.templates import hosted_accounts
from recio_operator.pod_state import PodState, merged
from recio_operator.readiness import Readiness
from recio_operator.release import Environment, Release

Object = dict[str, Any]

DATABASE: Final = "database"
EXCHANGE_KEY: Final = "exchange-key"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an account trades: its configuration and its environment, None where there is none."""

    config: AccountConfig
    environment: Environment | None


@dataclass(slots=True, kw_only=True)
class Observer:
    """Observes accounts and pools.

    ``key_problems`` are the paper accounts whose key could not be made or told, and why.
    """

    cluster: Cluster
    books: BooksPoll
    release: Release
    readiness: Readiness
    now_us: Callable[[], int]
    key_problems: dict[str, str] = field(default_factory=dict)

    async def account(self, name: str) -> Observed | None:
        """Return what there is to know of an account, None if it is gone."""
        document = self.cluster.account(name)
        if document is None:
            return None
        if "deletionTimestamp" in document["metadata"]:
            # Whether it may go is decided on what is so now, not on what was a moment ago.
            await self.books.fresh(name)
        return self._observed(document)

    def pool(self, place: tuple[Environment, Mode]) -> ObservedPool:
        """Return what there is to know of a pool."""
        environment, mode = place
        name = names.pool(environment.name, mode.value)
        live = self.cluster.cache.get(api.DEPLOYMENTS.kind, name)
        hosted = set(hosted_accounts(live))
        members = []
        for account in self.cluster.accounts():
            document = self.cluster.account(account)
            if document is not None and (account in hosted or self._pool_of(document) == name):
                members.append(self._observed(document))
        return ObservedPool(
            environment=environment.name,
            mode=mode,
            now_us=self.now_us(),
            members=tuple(members),
            children=self.cluster.cache.owned(f"{POOL}/{name}"),
        )

    def place_of(self, document: Object) -> Place | None:
        """Return where an account trades, None if its document is not valid."""
        try:
            config = parse_account(document)
        except InvalidValue:
            return None
        return Place(config, self.release.environment_of(config))

    def pools_of(self, name: str, document: Object | None) -> set[str]:
        """Return the pools that host an account or should."""
        found = {
            pool
            for pool in self._live_pools()
            if name in hosted_accounts(self.cluster.cache.get(api.DEPLOYMENTS.kind, pool))
        }
        wanted = self._pool_of(document) if document is not None else ""
        return found | {wanted} - {""}

    def _live_pools(self) -> list[str]:
        return [
            name
            for name in self.cluster.cache.names(api.DEPLOYMENTS.kind)
            if self.cluster.cache.owner_of(api.DEPLOYMENTS.kind, name).startswith(f"{POOL}/")
        ]

    def _pool_of(self, document: Object) -> str:
        if document.get("spec", {}).get("topology") != Topology.POOLED.value:
            return ""
        place = self.place_of(document)
        if place is None or place.environment is None:
            return ""
        return names.pool(place.environment.name, place.config.mode.value)

    def _observed(self, document: Object) -> Observed:
        name = document["metadata"]["name"]
        snapshot = self.books.snapshot
        children = self.cluster.cache.owned(f"account/{name}")
        children.pop((api.ACCOUNTS.kind, name), None)
        pods = self.cluster.pods_of(f"account/{name}")
        for pool in self.pools_of(name, document):
            live = self.cluster.cache.get(api.DEPLOYMENTS.kind, pool)
            if live is not None:
                children[api.DEPLOYMENTS.kind, pool] = live
            pods += self.cluster.pods_of(f"{POOL}/{pool}")
        return Observed(
            document=document,
            now_us=self.now_us(),
            children=children,
            key=self._key(name, document, snapshot),
            books=snapshot.accounts.get(name) if snapshot is not None else None,
            books_reason=self.books.reason,
            has_login=self._has_login(name, snapshot),
            pods=merged(self._told(pods)),
        )

    def _told(self, pods: list[PodState]) -> list[PodState]:
        """Add what pods that run and are not ready said last."""
        return [
            replace(pod, reason=self.readiness.reason(pod.address) or pod.reason)
            if pod.address
            else pod
            for pod in pods
        ]

    def accounts_without_own_key(self) -> list[str]:
        """Return the accounts whose API key was another's when they were last looked at."""
        found = []
        for name in self.cluster.accounts():
            document = self.cluster.account(name)
            told = by_type(document).get("CredentialsValid", {}) if document else {}
            if told.get("reason") == KeyState.KEY_IN_USE.value:
                found.append(name)
        return found

    def _has_login(self, name: str, snapshot: Snapshot | None) -> bool:
        facts = self.cluster.secrets.get(names.child(name, DATABASE))
        has_secret = facts is not None and facts.has_password
        return has_secret and (snapshot is None or name in snapshot.logins)

    def _key(self, name: str, document: Object, snapshot: Snapshot | None) -> Key | None:
        spec = document.get("spec", {})
        if spec.get("mode", Mode.PAPER.value) == Mode.PAPER.value:
            return self._paper_key(name)
        reference = spec.get("credentialsSecretRef")
        secret = str(reference.get("name", "")) if isinstance(reference, Mapping) else ""
        facts = self.cluster.secrets.get(secret)
        if facts is None:
            return Key(
                state=KeyState.SECRET_NOT_FOUND,
                secret=secret,
                detail=f"Secret {secret} does not exist: kubectl -n {self.cluster.kube.namespace} "
                f"create secret generic {secret} --from-literal=key-id=… --from-file=private-key=…",
            )
        holder = snapshot.key_holders.get(facts.key.id_digest) if snapshot is not None else None
        if holder is None or holder == name or not self.cluster.account(holder):
            return facts.key
        return replace(
            facts.key,
            state=KeyState.KEY_IN_USE,
            detail=f"the API key in Secret {secret} is in use by account {holder}: two accounts "
            "with one key would double every limit; make a key of its own for this account",
        )

    def _paper_key(self, name: str) -> Key | None:
        secret = names.child(name, EXCHANGE_KEY)
        facts = self.cluster.secrets.get(secret)
        problem = self.key_problems.get(name)
        if problem is not None:
            return Key(state=KeyState.REGISTRATION_FAILED, secret=secret, detail=problem)
        return facts.key if facts is not None else None
