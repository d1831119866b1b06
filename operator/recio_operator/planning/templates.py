"""The pods of accounts: one template, whichever services and accounts they host.

Every pod is restricted (pod security standards), has no token of the API server, and mounts only the
secrets that its services use: each account's database password; its API key where a service speaks
to the exchange; the password of Redis where one reads the bus. Secrets are named, never read here,
and neither is the ConfigMap with an account's own strategy: it is mounted where entries are decided,
and a pod starts without it, because exits must.

A template holds no version and no name of the operator: an upgrade that changes nothing in it
restarts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from recio.domain.account_config import Pod, to_fields
from recio.manifest import SERVICES, Scope, ServiceRow
from recio_operator import names
from recio_operator.planning.differing import digest, quantity
from recio_operator.planning.observed import Object
from recio_operator.release import HTTP_PORT, Release, Resources

ACCOUNT_SERVICES: Final = tuple(row for row in SERVICES if row.scope is Scope.ACCOUNT)
PASSWORDS_DIR: Final = "/etc/recio/database"
CREDENTIALS_DIR: Final = "/etc/recio/credentials"
REDIS_DIR: Final = "/etc/recio/redis"
STRATEGIES_DIR: Final = "/etc/recio/strategies"
"""Where auto_entry_supervisor looks by itself: <ConfigMap>/<key>."""
ENTRY_SERVICE: Final = "auto_entry_supervisor"
SCRATCH_DIR: Final = "/tmp"  # noqa: S108 (an emptyDir, the only place that can be written)
CREDENTIALS_VOLUME: Final = "credentials"
USER_ID: Final = 65532
GATE_SECONDS: Final = 600
_READABLE_BY_GROUP: Final = 0o440
_POD_SECURITY: Final[Object] = {
    "runAsNonRoot": True,
    "runAsUser": USER_ID,
    "runAsGroup": USER_ID,
    "fsGroup": USER_ID,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_CONTAINER_SECURITY: Final[Object] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosted:
    """An account as a pod hosts it: ``key_secret`` is mounted, ``key_checksum`` makes pods roll.

    ``strategy`` is the ConfigMap and the key of a strategy of its own.
    """

    name: str
    key_secret: str
    key_checksum: str
    strategy: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One Deployment with its Service: what it is called, what it hosts, and how it is placed.

    ``config`` is the content of the ConfigMap ``config_map``; the ServiceAccount has its name too.
    """

    name: str
    component: str
    owner_label: tuple[str, str]
    services: tuple[ServiceRow, ...]
    accounts: tuple[Hosted, ...]
    config_map: str
    config: Mapping[str, str]
    image: str
    environment: str
    placement: Pod
    resources: Resources
    restarted_at: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def uses_exchange(self) -> bool:
        """Whether one of its services speaks to the exchange with the account's key."""
        return any("exchange" in row.egress for row in self.services)

    @property
    def uses_bus(self) -> bool:
        """Whether one of its services reads or writes the bus."""
        return any(row.uses_bus for row in self.services)

    @property
    def strategies(self) -> tuple[tuple[str, str], ...]:
        """The ConfigMaps and keys of the strategies that its services run."""
        if not any(row.name == ENTRY_SERVICE for row in self.services):
            return ()
        return tuple(sorted({one.strategy for one in self.accounts if one.strategy is not None}))

    def selector(self, release: Release) -> dict[str, str]:
        """Return the labels that choose its pods; they hold no version."""
        return names.labels(release.name, self.component) | dict([self.owner_label])


def template(unit: Unit, release: Release) -> Object:
    """Return the pod template of a unit."""
    return {
        "metadata": {
            "labels": unit.selector(release) | {names.ENVIRONMENT_LABEL: unit.environment},
            "annotations": _annotations(unit),
        },
        "spec": _spec(unit, release),
    }


def _annotations(unit: Unit) -> dict[str, str]:
    made = {names.CONFIG_CHECKSUM: digest(unit.config), **unit.annotations}
    if unit.uses_exchange:
        made[names.CREDENTIALS_CHECKSUM] = credentials_checksum(unit.accounts)
    if unit.restarted_at:
        made[names.RESTARTED_AT] = unit.restarted_at
    return made


def credentials_checksum(accounts: Iterable[Hosted]) -> str:
    """Return what changes with the API key of any of the accounts, each by itself."""
    return ",".join(f"{account.name}={account.key_checksum}" for account in accounts)


def hosted_checksums(deployment: Object | None) -> dict[str, str]:
    """Return the key checksum of each account that a Deployment's pods are made for."""
    text = _annotation(deployment, names.CREDENTIALS_CHECKSUM)
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)


def hosted_accounts(deployment: Object | None) -> tuple[str, ...]:
    """Return the accounts that the pods of a pool's Deployment are made for."""
    text = _annotation(deployment, names.POOLED_ACCOUNTS)
    return tuple(text.split(",")) if text else ()


def _annotation(deployment: Object | None, name: str) -> str:
    part: Any = deployment or {}
    for step in ("spec", "template", "metadata", "annotations"):
        part = part.get(step) or {}
    return str(part.get(name, ""))


def _spec(unit: Unit, release: Release) -> Object:
    made: Object = {
        "serviceAccountName": unit.config_map,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": release.workloads.termination_grace_period_seconds,
        "securityContext": dict(_POD_SECURITY),
        "initContainers": [_gate(unit, release)],
        "containers": [_process(unit, release)],
        "volumes": _volumes(unit, release),
    }
    if release.image.pull_secrets:
        made["imagePullSecrets"] = [{"name": name} for name in release.image.pull_secrets]
    return made | _placement(unit.placement, release)


def _placement(pod: Pod, release: Release) -> Object:
    workloads = release.workloads
    own = [
        {key: value for key, value in to_fields(item).items() if value != ""}
        for item in pod.tolerations
    ]
    wanted: Object = {
        "nodeSelector": {**workloads.node_selector, **pod.node_selector},
        "tolerations": [*workloads.tolerations, *own],
        "priorityClassName": pod.priority_class_name or workloads.priority_class_name,
    }
    return {key: value for key, value in wanted.items() if value}


def _container(unit: Unit, release: Release) -> Object:
    made: Object = {
        "image": unit.image,
        "imagePullPolicy": release.image.pull_policy,
        "envFrom": [{"configMapRef": {"name": unit.config_map}}],
        "securityContext": dict(_CONTAINER_SECURITY),
    }
    resources = _resources(unit)
    return made | ({"resources": resources} if resources else {})


def _resources(unit: Unit) -> Object:
    """The account's own over the release's; of those, none that contradicts the account's."""
    own, given = unit.placement.resources, unit.resources
    requests = {
        name: text for name, text in given.requests.items() if _fits(text, own.limits.get(name))
    }
    limits = {
        name: text for name, text in given.limits.items() if _fits(own.requests.get(name), text)
    }
    wanted: Object = {"requests": requests | own.requests, "limits": limits | own.limits}
    return {key: value for key, value in wanted.items() if value}


def _fits(request: str | None, limit: str | None) -> bool:
    if request is None or limit is None:
        return True
    small, large = quantity(request), quantity(limit)
    return small is not None and large is not None and small <= large


def _gate(unit: Unit, release: Release) -> Object:
    """Nothing of this version runs before the database is as this version wants it."""
    return {
        "name": "gate",
        "args": ["migrate", "--wait", str(GATE_SECONDS)],
        "volumeMounts": [
            _mount("tmp", SCRATCH_DIR, writable=True),
            _mount("database", PASSWORDS_DIR),
        ],
    } | _container(unit, release)


def _process(unit: Unit, release: Release) -> Object:
    made: Object = {
        "name": unit.component,
        "args": ["run", *(row.name for row in unit.services)],
        "ports": [{"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"}],
        "startupProbe": _probe("/healthz", periodSeconds=2, failureThreshold=60),
        "livenessProbe": _probe("/healthz", periodSeconds=10, timeoutSeconds=5, failureThreshold=6),
        "readinessProbe": _probe("/readyz", periodSeconds=5, timeoutSeconds=3),
        "volumeMounts": _mounts(unit, release),
    } | _container(unit, release)
    if _has_redis_password(unit, release):
        made["env"] = [{"name": "RECIO_REDIS_PASSWORD_FILE", "value": f"{REDIS_DIR}/password"}]
    return made


def _probe(path: str, **timing: int) -> Object:
    return {"httpGet": {"path": path, "port": "http"}, **timing}


def _mount(name: str, path: str, *, writable: bool = False) -> Object:
    made: Object = {"name": name, "mountPath": path}
    return made if writable else made | {"readOnly": True}


def _has_redis_password(unit: Unit, release: Release) -> bool:
    return unit.uses_bus and bool(release.redis.password_secret)


def _mounts(unit: Unit, release: Release) -> list[Object]:
    made = [_mount("tmp", SCRATCH_DIR, writable=True), _mount("database", PASSWORDS_DIR)]
    if unit.uses_exchange:
        made.append(_mount(CREDENTIALS_VOLUME, CREDENTIALS_DIR))
    if _has_redis_password(unit, release):
        made.append(_mount("redis", REDIS_DIR))
    if unit.strategies:
        made.append(_mount("strategies", STRATEGIES_DIR))
    return made


def _volumes(unit: Unit, release: Release) -> list[Object]:
    passwords = [
        _secret(names.child(one.name, "database"), {"password": names.login(one.name)})
        for one in unit.accounts
    ]
    keys = [_key(one) for one in unit.accounts]
    if unit.component == names.POOL:
        passwords, keys = [_of_many(one) for one in passwords], [_of_many(one) for one in keys]
    made: list[Object] = [
        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
        _projected("database", passwords),
    ]
    if unit.uses_exchange:
        made.append(_projected(CREDENTIALS_VOLUME, keys))
    if _has_redis_password(unit, release):
        secret = _secret(release.redis.password_secret, {"password": "password"})
        made.append(_projected("redis", [secret]))
    if unit.strategies:
        made.append(_projected("strategies", [_strategy(*one) for one in unit.strategies]))
    return made


def _strategy(config_map: str, key: str) -> Object:
    """Without it the account enters nothing and says so, but its exits start."""
    items = [{"key": key, "path": f"{config_map}/{key}"}]
    return {"configMap": {"name": config_map, "items": items, "optional": True}}


def _key(account: Hosted) -> Object:
    files = {key: f"{account.name}/{key}" for key in ("key-id", "private-key")}
    return _secret(account.key_secret, files)


def _secret(name: str, files: Mapping[str, str]) -> Object:
    items = [{"key": key, "path": path} for key, path in files.items()]
    return {"secret": {"name": name, "items": items}}


def _of_many(source: Object) -> Object:
    """In a pool one account's missing Secret must not keep the others' pod from starting."""
    return {"secret": source["secret"] | {"optional": True}}


def _projected(name: str, sources: list[Any]) -> Object:
    return {
        "name": name,
        "projected": {"defaultMode": _READABLE_BY_GROUP, "sources": sources},
    }
