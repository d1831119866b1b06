"""The list of processes that ``system_monitor`` probes, in a ConfigMap: the chart's and the accounts'.

One entry a line, ``<services>=<base URL>``, as its setting ``probe_urls`` takes them. An account that is
suspended is not on the list: nobody should be told that it does not answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from recio import manifest
from recio.manifest import Scope
from recio_operator import kube as api
from recio_operator import names
from recio_operator.cluster import ACCOUNT, POOL, Cluster
from recio_operator.planning.templates import hosted_accounts
from recio_operator.pod_state import COMPONENT
from recio_operator.release import HTTP_PORT, Release

Object = dict[str, Any]

KEY: Final = "targets"
_SERVICES: Final = tuple(row.name for row in manifest.SERVICES if row.scope is Scope.ACCOUNT)
_BY_COMPONENT: Final = {manifest.dns_name(name): (name,) for name in _SERVICES}


@dataclass(slots=True, kw_only=True)
class TargetsDesk:
    """Keeps the ConfigMap."""

    cluster: Cluster
    release: Release
    owner: Object | None = None

    async def reconcile(self) -> float | None:
        """Write the list where it is not what it should be."""
        lines = "".join(f"{line}\n" for line in (*self.release.targets, *sorted(self._entries())))
        live = self.cluster.cache.get(api.CONFIG_MAPS.kind, self.release.targets_config_map)
        if live is not None and (live.get("data") or {}).get(KEY) == lines:
            return None
        metadata: Object = {
            "name": self.release.targets_config_map,
            "labels": names.labels(self.release.name, "account-targets", self.release.version),
        }
        if self.owner is not None:
            metadata["ownerReferences"] = [self.owner]
        found = await self.cluster.kube.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {KEY: lines}}
        )
        self.cluster.answered(api.CONFIG_MAPS, found)
        return None

    def _entries(self) -> Iterator[str]:
        cache = self.cluster.cache
        for service in cache.names(api.SERVICES.kind):
            what, _, owner = cache.owner_of(api.SERVICES.kind, service).partition("/")
            found = cache.get(api.SERVICES.kind, service)
            deployment = cache.get(api.DEPLOYMENTS.kind, service)
            if found is None or deployment is None or not deployment["spec"].get("replicas"):
                continue
            accounts = (owner,) if what == ACCOUNT else hosted_accounts(deployment)
            component = found["metadata"]["labels"].get(COMPONENT, "")
            hosted = _BY_COMPONENT.get(component, _SERVICES) if what in {ACCOUNT, POOL} else ()
            if hosted and accounts:
                subjects = "+".join(f"{one}@{account}" for account in accounts for one in hosted)
                host = f"{service}.{self.release.namespace}"
                yield f"{subjects}=http://{host}:{HTTP_PORT}"
