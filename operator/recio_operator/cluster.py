"""The cluster as the operator knows it, and who must look again when something in it changes.

Filled by lists before anything is reconciled, kept fresh by watches, listed again now and then: what
a watch has missed is found. Of Secrets only facts are kept, of pods only how they are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from recio_operator import kube as api
from recio_operator.cluster_cache import ClusterCache, version_of
from recio_operator.kube import Kind, Kube
from recio_operator.names import ACCOUNT_LABEL, FIELD_MANAGER, POOL_LABEL
from recio_operator.pod_state import PodState, state_of
from recio_operator.readiness import Asked
from recio_operator.secrets_io import SecretFacts, facts_of
from recio_operator.watching import Watched

Object = dict[str, Any]

ACCOUNT: Final = "account"
FLEET: Final = "fleet"
POOL: Final = "pool"
ENVIRONMENT: Final = "environment"
TARGETS: Final = "targets"

DELETED: Final = "DELETED"
LISTED: Final = ""
"""An object out of a list: the watch began anew and may have missed what was deleted."""
CHILDREN: Final = (
    *(api.DEPLOYMENTS, api.SERVICES, api.SERVICE_ACCOUNTS),
    *(api.CONFIG_MAPS, api.NETWORK_POLICIES),
)

_log = logging.getLogger("recio.operator.cluster")


class Key(NamedTuple):
    """What is reconciled: what it is, and its name."""

    what: str
    name: str

    def __str__(self) -> str:
        """Return it as a person says it."""
        return f"{self.what} {self.name}".rstrip()


def watched(release: str) -> dict[str, Watched]:
    """Return the kinds that are watched, with the selectors that the API server applies."""
    ours = f"app.kubernetes.io/managed-by={FIELD_MANAGER},app.kubernetes.io/instance={release}"
    pods = f"app.kubernetes.io/name=recio,app.kubernetes.io/instance={release}"
    found = [Watched(api.ACCOUNTS), Watched(api.FLEETS)]
    found += [Watched(kind, label_selector=ours) for kind in CHILDREN]
    found.append(Watched(api.PODS, label_selector=pods))
    # Helm's own records are Secrets too, of a megabyte each.
    found.append(Watched(api.SECRETS, field_selector="type!=helm.sh/release.v1"))
    return {one.kind.kind: one for one in found}


@dataclass(slots=True)
class Cluster:
    """What is there. ``news`` is told every key that should be looked at again."""

    kube: Kube
    release: str
    news: Callable[[Key], None]
    cache: ClusterCache = field(default_factory=ClusterCache)
    secrets: dict[str, SecretFacts] = field(default_factory=dict)
    pods: dict[str, dict[str, PodState]] = field(default_factory=dict)
    """By owner, then by name."""
    users: dict[str, set[str]] = field(default_factory=dict)
    """Which accounts refer to a Secret."""
    is_filled: bool = False
    is_listed_anew: bool = False
    """A watch has listed since the last ``fill``."""

    async def fill(self) -> None:
        """List everything; tell what is news.

        Raises:
            Unavailable: the API server does not answer.
            Refused: we may not list, or the CRDs are not there.
        """
        self.is_listed_anew = False
        for one in watched(self.release).values():
            listing = await self.kube.listing(
                one.kind, label_selector=one.label_selector, field_selector=one.field_selector
            )
            self._replace(one.kind, listing.items, listing.version)
        self.is_filled = True

    def heard(self, kind: Kind, event: str, found: Object) -> None:
        """Take an event of a watch."""
        self.is_listed_anew = self.is_listed_anew or event == LISTED
        if event == DELETED:
            self._gone(kind, found)
        else:
            self.put(kind, found)

    def put(self, kind: Kind, found: Object) -> None:
        """Take an object as it is now: from a watch, or as the answer to our own write."""
        if kind is api.PODS:
            self._put_pod(found)
        elif kind is api.SECRETS:
            self._put_secret(found)
        elif self.cache.put(found, owner=owner_of(found)):
            self._tell(kind, found)

    def answered(self, kind: Kind, found: Object) -> None:
        """Take the answer to our own write: known, and no news."""
        if kind is api.SECRETS:
            name, version = found["metadata"]["name"], version_of(found)
            self.secrets[name] = facts_of(found, owner=owner_of(found), version=version)
        else:
            self.cache.put(found, owner=owner_of(found))

    def accounts(self) -> list[str]:
        """Return the names of all accounts."""
        return self.cache.names(api.ACCOUNTS.kind)

    def account(self, name: str) -> Object | None:
        """Return an account's resource."""
        return self.cache.get(api.ACCOUNTS.kind, name)

    def pods_of(self, owner: str) -> list[PodState]:
        """Return the pods of an owner."""
        return list(self.pods.get(owner, {}).values())

    def unready(self) -> Iterator[Asked]:
        """Yield the pods that run and are not ready."""
        for owner, pods in self.pods.items():
            for pod in pods.values():
                if pod.address:
                    yield Asked(owner, pod.address)

    def _replace(self, kind: Kind, items: list[Object], version: int) -> None:
        if kind is api.PODS:
            self._replace_pods(items)
        elif kind is api.SECRETS:
            self._replace_secrets(items, version)
        else:
            owned = [(item, owner_of(item)) for item in items]
            for owner in self.cache.replace(kind.kind, owned, version):
                self.tell_owner(owner)
            if kind is api.ACCOUNTS:
                for item in items:
                    self._refer(item)

    def _replace_pods(self, items: list[Object]) -> None:
        before, self.pods = self.pods, {}
        for item in items:
            owner = owner_of(item)
            if owner:
                self.pods.setdefault(owner, {})[item["metadata"]["name"]] = state_of(item)
        for owner in before.keys() | self.pods.keys():
            if before.get(owner) != self.pods.get(owner):
                self.tell_owner(owner)

    def _replace_secrets(self, items: list[Object], version: int) -> None:
        gone = {name for name, facts in self.secrets.items() if facts.version <= version}
        for item in items:
            gone.discard(item["metadata"]["name"])
            self._put_secret(item)
        for name in gone:
            self._drop_secret(name)

    def _put_pod(self, found: Object) -> None:
        owner, name, state = owner_of(found), found["metadata"]["name"], state_of(found)
        if owner and self.pods.get(owner, {}).get(name) != state:
            self.pods.setdefault(owner, {})[name] = state
            self.tell_owner(owner)

    def _put_secret(self, found: Object) -> None:
        name, version = found["metadata"]["name"], version_of(found)
        held = self.secrets.get(name)
        if held is not None and held.version >= version:
            return
        facts = facts_of(found, owner=owner_of(found), version=version)
        self.secrets[name] = facts
        if held is None or not held.says_the_same(facts):
            self._tell_secret(name, facts.owner)

    def _drop_secret(self, name: str) -> None:
        held = self.secrets.pop(name, None)
        if held is not None:
            self._tell_secret(name, held.owner)

    def _gone(self, kind: Kind, found: Object) -> None:
        name = found["metadata"]["name"]
        if kind is api.PODS:
            owner = owner_of(found)
            held = self.pods.get(owner, {})
            if held.pop(name, None) is not None:
                self.tell_owner(owner)
            if not held:
                self.pods.pop(owner, None)
        elif kind is api.SECRETS:
            self._drop_secret(name)
        elif self.cache.drop(kind.kind, name, version=version_of(found)):
            self._tell(kind, found)

    def _tell(self, kind: Kind, found: Object) -> None:
        if kind is api.ACCOUNTS:
            self._refer(found)
        if kind is api.CONFIG_MAPS and not owner_of(found):
            self.news(Key(TARGETS, ""))
        self.tell_owner(owner_of(found))

    def tell_owner(self, owner: str) -> None:
        """Have an owner looked at again."""
        what, _, name = owner.partition("/")
        if what:
            self.news(Key(what, name))

    def _tell_secret(self, name: str, owner: str) -> None:
        self.tell_owner(owner)
        for account in self.users.get(name, ()):
            self.news(Key(ACCOUNT, account))

    def _refer(self, document: Object) -> None:
        account = document["metadata"]["name"]
        for names in self.users.values():
            names.discard(account)
        wanted = document.get("spec", {}).get("credentialsSecretRef")
        if isinstance(wanted, Mapping) and isinstance(wanted.get("name"), str):
            self.users.setdefault(wanted["name"], set()).add(account)


def owner_of(found: Object) -> str:
    """Return whose an object is as ``what/name``; an account's resource is its own."""
    return next(_owners(found), "")


def _owners(found: Object) -> Iterator[str]:
    metadata = found["metadata"]
    if found.get("kind") == api.ACCOUNTS.kind:
        yield f"{ACCOUNT}/{metadata['name']}"
    if found.get("kind") == api.FLEETS.kind:
        yield f"{FLEET}/{metadata['name']}"
    labels = metadata.get("labels") or {}
    if labels.get(ACCOUNT_LABEL):
        yield f"{ACCOUNT}/{labels[ACCOUNT_LABEL]}"
    if labels.get(POOL_LABEL):
        yield f"{POOL}/{labels[POOL_LABEL]}"
