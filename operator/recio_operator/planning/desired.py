"""The children of one account as they should be: a pure function of document, key and release.

Which of them may be written now is not decided here but in ``rollout``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from recio.domain.account_config import AccountConfig, Mode, PaperSource, Topology
from recio.manifest import ServiceRow
from recio_operator import names
from recio_operator.planning.differing import digest
from recio_operator.planning.observed import Key, Object
from recio_operator.planning.policies import network_policy_spec
from recio_operator.planning.templates import (
    ACCOUNT_SERVICES,
    CREDENTIALS_DIR,
    PASSWORDS_DIR,
    Hosted,
    Unit,
    template,
)
from recio_operator.release import HTTP_PORT, Environment, Release, Resources

_PRICE_SOURCES: Final = {PaperSource.RECORDING: "recording", PaperSource.LIVE_FEED: "live"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An account whose document is good and whose market plane is there.

    ``config`` is what counts now, ``owner`` its resource as an owner reference.
    """

    config: AccountConfig
    environment: Environment
    release: Release
    owner: Object
    restarted_at: str = ""

    @property
    def name(self) -> str:
        """The account's name."""
        return self.config.name

    @property
    def image(self) -> str:
        """The image that its pods should run."""
        return self.config.image or self.release.image.reference


def owner_reference(document: Object) -> Object:
    """Return the reference that makes an account the controller of a child."""
    return {
        "apiVersion": document["apiVersion"],
        "kind": document["kind"],
        "name": document["metadata"]["name"],
        "uid": document["metadata"]["uid"],
        "controller": True,
    }


def key_secret(config: AccountConfig) -> str:
    """Return the Secret with the account's API key."""
    reference = config.credentials_secret_ref
    return reference.name if reference else names.child(config.name, "exchange-key")


def hosted_as(config: AccountConfig, key: Key) -> Hosted:
    """Return an account as pods with its key host it."""
    secret = key_secret(config)
    return Hosted(
        name=config.name,
        key_secret=secret,
        key_checksum=digest([config.name, secret, key.digest]),
        strategy=strategy_of(config),
    )


def strategy_of(config: AccountConfig) -> tuple[str, str] | None:
    """Return the ConfigMap and the key of an account's own strategy."""
    own = config.strategy.custom
    return None if own is None else (own.config_map_ref.name, own.config_map_ref.key)


def base_children(subject: Subject) -> tuple[Object, ...]:
    """Return what an account has whatever runs: ServiceAccount and, if wanted, NetworkPolicy.

    The ConfigMap is by itself (``config_map``), because it must not run ahead of the pods.
    """
    account = _child(subject, "v1", "ServiceAccount") | {"automountServiceAccountToken": False}
    if not subject.release.network.is_enabled:
        return (account,)
    policy = _child(subject, "networking.k8s.io/v1", "NetworkPolicy")
    policy["spec"] = network_policy_spec(
        {names.ACCOUNT_LABEL: subject.name},
        subject.environment,
        subject.release,
        uses_bus=any(row.uses_bus for row in ACCOUNT_SERVICES),
    )
    return account, policy


def config_map(subject: Subject) -> Object:
    """Return the ConfigMap that the account's pods read their environment from."""
    return _child(subject, "v1", "ConfigMap") | {"data": account_variables(subject)}


def account_variables(subject: Subject) -> dict[str, str]:
    """Return the environment of the account's pods."""
    shared = variables(subject.config.mode, subject.environment, subject.release)
    return shared | {"RECIO_ACCOUNT": subject.name}


def variables(mode: Mode, environment: Environment, release: Release) -> dict[str, str]:
    """Return the environment that all accounts of a plane and mode share; nothing in it is secret."""
    made = {
        "RECIO_ENVIRONMENT": environment.name,
        "RECIO_MODE": mode.value,
        "RECIO_SERIES": ",".join(environment.series),
        "RECIO_DATABASE_URL": _database_url(release, is_direct=False),
        "RECIO_DATABASE_LISTEN_URL": _database_url(release, is_direct=True),
        "RECIO_DATABASE_PASSWORDS_DIR": PASSWORDS_DIR,
        "RECIO_REDIS_URL": release.redis.url,
        "RECIO_CREDENTIALS_DIR": CREDENTIALS_DIR,
        "RECIO_HTTP_HOST": "0.0.0.0",  # noqa: S104 (a pod's own address; the policy guards it)
        "RECIO_HTTP_PORT": str(HTTP_PORT),
    }
    if environment.exchange is not None:
        made["RECIO_EXCHANGE_REST_URL"] = environment.exchange.rest_url
        made["RECIO_EXCHANGE_WEBSOCKET_URL"] = environment.exchange.websocket_url
    if environment.price_source is not None:
        made["RECIO_PRICE_SOURCE"] = _PRICE_SOURCES[environment.price_source]
    return made | release.workloads.extra_environment


def _database_url(release: Release, *, is_direct: bool) -> str:
    base = release.database
    host, port = (base.direct_host, base.direct_port) if is_direct else (base.host, base.port)
    options = f"sslmode={base.ssl_mode}"
    if base.ssl_mode.startswith("verify-"):
        # The image has no file of roots of its own; the system's are asked for by name.
        options = "sslmode=verify-full&sslrootcert=system"
    return f"postgresql://{host}:{port}/{base.name}?{options}"


def units(subject: Subject, topology: Topology, key: Key) -> tuple[Unit, ...]:
    """Return the Deployments of an account in a topology; Pooled has none of its own."""
    if topology is Topology.POOLED:
        return ()
    workloads = subject.release.workloads
    if topology is Topology.COMPACT:
        return (_unit(subject, names.COMPACT, ACCOUNT_SERVICES, workloads.compact, key),)
    return tuple(
        _unit(subject, row.name, (row,), workloads.resources.get(row.name, Resources()), key)
        for row in ACCOUNT_SERVICES
    )


def _unit(
    subject: Subject, part: str, services: tuple[ServiceRow, ...], resources: Resources, key: Key
) -> Unit:
    hosted = hosted_as(subject.config, key)
    return Unit(
        name=names.child(subject.name, part),
        component=component_of(part),
        owner_label=(names.ACCOUNT_LABEL, subject.name),
        services=services,
        accounts=(hosted,),
        config_map=names.child(subject.name),
        config=account_variables(subject),
        image=subject.image,
        environment=subject.environment.name,
        placement=subject.config.pod,
        resources=resources,
        restarted_at=subject.restarted_at,
    )


def component_of(part: str) -> str:
    """Return the component label of a part of an account."""
    return part.replace("_", "-")


def deployment(unit: Unit, release: Release, owners: list[Object], *, replicas: int) -> Object:
    """Return the Deployment of a unit: one pod at a time, the old one gone before the new one."""
    made = template(unit, release)
    metadata = metadata_of(unit, release, owners)
    metadata["annotations"] = {names.TEMPLATE_CHECKSUM: digest(made)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 3,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": unit.selector(release)},
            "template": made,
        },
    }


def service(unit: Unit, release: Release, owners: list[Object]) -> Object:
    """Return the Service of a unit, for people, probes and metrics."""
    port = {"name": "http", "port": HTTP_PORT, "protocol": "TCP", "targetPort": "http"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata_of(unit, release, owners),
        "spec": {"selector": unit.selector(release), "ports": [port]},
    }


def metadata_of(unit: Unit, release: Release, owners: list[Object]) -> dict[str, Any]:
    """Return the metadata of an object of a unit."""
    labels = names.labels(release.name, unit.component, release.version)
    extra = {names.ENVIRONMENT_LABEL: unit.environment}
    return {
        "name": unit.name,
        "namespace": release.namespace,
        "labels": labels | dict([unit.owner_label]) | extra,
        "ownerReferences": owners,
    }


def _child(subject: Subject, api_version: str, kind: str) -> Object:
    labels = names.labels(subject.release.name, "account", subject.release.version)
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": names.child(subject.name),
            "namespace": subject.release.namespace,
            "labels": labels
            | {
                names.ACCOUNT_LABEL: subject.name,
                names.ENVIRONMENT_LABEL: subject.environment.name,
            },
            "ownerReferences": [subject.owner],
        },
    }
