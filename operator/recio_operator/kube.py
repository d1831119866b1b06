"""The Kubernetes API as the operator uses it: get, list, server-side apply, patch, delete.

Objects are plain mappings, as they stand in YAML. Writing is server-side apply with one field
manager and force: what we say is ours, what we do not say stays as others left it. Failures come in
three kinds: ``Unavailable`` (try again later), ``Conflict`` (somebody was faster: read again) and
``Refused`` (the API server says no, and why).

Server-side apply: https://kubernetes.io/docs/reference/using-api/server-side-apply/ (read November
2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import aiohttp
import msgspec
from kubernetes.aio import client, config
from kubernetes.aio.config.config_exception import ConfigException

from recio.domain.errors import Broken, Rejected, Unavailable
from recio_operator.names import FIELD_MANAGER, GROUP, VERSION

Object = dict[str, Any]
"""A Kubernetes object as a mapping."""

REQUEST_TIMEOUT_S: Final = 15.0
PAGE: Final = 250
"""Objects in one answer of a list."""
_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"
_FIRST_ERROR: Final = 400
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_GONE_AWAY: Final = frozenset({408, 429, 500, 502, 503, 504})


class Refused(Rejected):
    """The API server refused a request for good: ``reason`` is its word, the message its text."""

    def __init__(self, message: str, *, reason: str, status: int) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status


class Conflict(Refused):
    """The object was changed, made or removed meanwhile."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A namespaced kind and where it is served."""

    api_version: str
    kind: str
    plural: str

    def path(self, namespace: str, name: str = "") -> str:
        """Return the path of the collection, or of one object."""
        root = "api" if "/" not in self.api_version else "apis"
        tail = f"/{name}" if name else ""
        return f"/{root}/{self.api_version}/namespaces/{namespace}/{self.plural}{tail}"


ACCOUNTS: Final = Kind(f"{GROUP}/{VERSION}", "TradingAccount", "tradingaccounts")
FLEETS: Final = Kind(f"{GROUP}/{VERSION}", "TradingFleet", "tradingfleets")
DEPLOYMENTS: Final = Kind("apps/v1", "Deployment", "deployments")
PODS: Final = Kind("v1", "Pod", "pods")
SERVICES: Final = Kind("v1", "Service", "services")
SERVICE_ACCOUNTS: Final = Kind("v1", "ServiceAccount", "serviceaccounts")
CONFIG_MAPS: Final = Kind("v1", "ConfigMap", "configmaps")
SECRETS: Final = Kind("v1", "Secret", "secrets")
EVENTS: Final = Kind("events.k8s.io/v1", "Event", "events")
NETWORK_POLICIES: Final = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
KINDS: Final = {
    kind.kind: kind
    for kind in (
        *(ACCOUNTS, FLEETS, DEPLOYMENTS, PODS, SERVICES, SERVICE_ACCOUNTS, CONFIG_MAPS, SECRETS),
        *(EVENTS, NETWORK_POLICIES),
    )
}


class Listing(NamedTuple):
    """The objects of a kind, and the version at which they were read."""

    items: list[Object]
    version: int


class Kube:
    """One namespace of one API server."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self.namespace = namespace
        self.writes = 0
        """How many requests changed or tried to change something: idling must not count up."""
        self._api = api

    async def get(self, kind: Kind, name: str) -> Object | None:
        """Return an object, or None if there is none."""
        try:
            return await self._request("GET", kind.path(self.namespace, name))
        except Refused as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    @property
    def configuration(self) -> client.Configuration:
        """Where the API server is and who we are there; watchers connect with the same."""
        configuration: client.Configuration = self._api.configuration
        return configuration

    async def list(
        self, kind: Kind, *, label_selector: str = "", field_selector: str = ""
    ) -> list[Object]:
        """Return the objects of a kind that the selectors choose."""
        listing = await self.listing(
            kind, label_selector=label_selector, field_selector=field_selector
        )
        return listing.items

    async def listing(
        self, kind: Kind, *, label_selector: str = "", field_selector: str = ""
    ) -> Listing:
        """Return the same with the version of the moment, in pages: memory stays bounded."""
        # Items of a list carry no kind of their own.
        head = {"apiVersion": kind.api_version, "kind": kind.kind}
        query = {"limit": str(PAGE)}
        if label_selector:
            query["labelSelector"] = label_selector
        if field_selector:
            query["fieldSelector"] = field_selector
        items: list[Object] = []
        while True:
            answer = await self._request("GET", kind.path(self.namespace), query=query)
            items += [head | item for item in answer["items"]]
            metadata = answer.get("metadata", {})
            if not metadata.get("continue"):
                return Listing(items, int(metadata.get("resourceVersion") or 0))
            query["continue"] = metadata["continue"]

    async def apply(self, wanted: Mapping[str, Any], *, subresource: str = "") -> Object:
        """Make an object say what ``wanted`` says, whoever else wrote those fields."""
        kind = KINDS[wanted["kind"]]
        path = kind.path(self.namespace, wanted["metadata"]["name"])
        return await self._request(
            "PATCH",
            f"{path}/{subresource}" if subresource else path,
            query={"fieldManager": FIELD_MANAGER, "force": "true"},
            body=wanted,
            content_type=_APPLY,
        )

    async def create(self, wanted: Mapping[str, Any]) -> Object:
        """Make a new object; ``Conflict`` if there is one of that name."""
        kind = KINDS[wanted["kind"]]
        query = {"fieldManager": FIELD_MANAGER}
        return await self._request("POST", kind.path(self.namespace), query=query, body=wanted)

    async def merge(self, kind: Kind, name: str, patch: Mapping[str, Any]) -> Object:
        """Patch an object; with ``metadata.resourceVersion`` in it, only if nobody was faster."""
        path = kind.path(self.namespace, name)
        query = {"fieldManager": FIELD_MANAGER}
        return await self._request("PATCH", path, query=query, body=patch, content_type=_MERGE)

    async def delete(self, kind: Kind, name: str) -> bool:
        """Delete an object; return whether there was one."""
        try:
            await self._request(
                "DELETE",
                kind.path(self.namespace, name),
                body={"kind": "DeleteOptions", "apiVersion": "v1"}
                | {"propagationPolicy": "Background"},
            )
        except Refused as error:
            if error.status == _NOT_FOUND:
                return False
            raise
        return True

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        if method != "GET":
            self.writes += 1
        target = f"{path}?{urlencode(query)}" if query else path
        try:
            parameters = await self._api.param_serialize(
                method,
                target,
                header_params={"Accept": "application/json", "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
            answer = await self._api.call_api(*parameters, _request_timeout=REQUEST_TIMEOUT_S)
            content = await answer.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Unavailable(
                f"{method} {path}: the API server does not answer: {error}"
            ) from error
        return _decoded(method, path, answer.status, content)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()


def _decoded(method: str, path: str, status: int, content: bytes) -> Object:
    try:
        found = msgspec.json.decode(content) if content else {}
    except (ValueError, RecursionError):
        found = {}
    said: Object = found if isinstance(found, dict) else {}
    if status < _FIRST_ERROR:
        return said
    text = said.get("message") or content[:300].decode(errors="replace")
    message = f"{method} {path}: {status} {text}"
    if status in _GONE_AWAY:
        raise Unavailable(message)
    family = Conflict if status == _CONFLICT else Refused
    raise family(message, reason=str(said.get("reason") or status), status=status)


async def connect(namespace: str, *, kubeconfig: str = "") -> Kube:
    """Return the API of the cluster that we run in, or of a kubeconfig.

    Raises:
        Broken: neither is there.
    """
    settings = client.Configuration()
    try:
        if kubeconfig:
            await config.load_kube_config(config_file=kubeconfig, client_configuration=settings)
        else:
            config.load_incluster_config(client_configuration=settings)
    except ConfigException as error:
        raise Broken(
            f"no cluster to talk to: expected to run in a pod with a service account, or "
            f"--kubeconfig FILE: {error}"
        ) from error
    return Kube(client.ApiClient(settings), namespace)
