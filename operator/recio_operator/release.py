"""What the operator is told about its release: the one interface between the chart and the operator.

The chart writes it as JSON into the ConfigMap ``<fullname>-release``, which the operator mounts.
Refused: unknown fields, missing ones, values of another type; the message names the place.

Names that both sides must agree on are made here and nowhere else (``Release.name_of`` …); the
chart's templates repeat them and a golden test compares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from recio.domain.account_config import AccountConfig, Mode, PaperSource
from recio.domain.errors import Broken

HTTP_PORT = 8080
"""Every process of ours listens here in a pod: probes, metrics, and the services' own routes."""


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Common form: frozen, by keyword, camelCase, no unknown fields."""


class Image(Part, frozen=True, kw_only=True):
    """The image of the services; an account's ``spec.image`` replaces the reference."""

    reference: str
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()


class Database(Part, frozen=True, kw_only=True):
    """Where PostgreSQL is. ``direct_*`` is for LISTEN; without a pooler both are the same.

    ``pod_labels`` and ``direct_pod_labels`` select its pods for network policies; empty: it is
    outside the cluster and ``cidrs`` says where.
    """

    host: str
    direct_host: str
    name: str = "recio"
    port: int = 5432
    direct_port: int = 5432
    ssl_mode: str = "require"
    pod_labels: dict[str, str] = {}
    direct_pod_labels: dict[str, str] = {}
    cidrs: tuple[str, ...] = ()


class Redis(Part, frozen=True, kw_only=True):
    """Where Redis is. ``password_secret`` has the key ``password``; empty: no password."""

    url: str
    password_secret: str = ""
    port: int = 6379
    pod_labels: dict[str, str] = {}
    cidrs: tuple[str, ...] = ()


class Exchange(Part, frozen=True, kw_only=True):
    """The exchange simulator of a paper environment; ``admin_secret`` has the key ``token``."""

    rest_url: str
    websocket_url: str
    admin_secret: str
    pod_labels: dict[str, str]


class Environment(Part, frozen=True, kw_only=True):
    """One market plane. ``exchange`` is set for paper environments and only for them.

    ``market_secret`` holds the read key that the market plane uses (``key-id``, ``private-key``);
    of a paper environment the operator makes it.
    """

    name: str
    mode: Mode
    series: tuple[str, ...]
    price_source: PaperSource | None = None
    market_secret: str
    exchange: Exchange | None = None


class Resources(Part, frozen=True, kw_only=True):
    """Kubernetes requests and limits of one container."""

    requests: dict[str, str] = {}
    limits: dict[str, str] = {}


class Workloads(Part, frozen=True, kw_only=True):
    """How the account pods are made. ``resources`` by service; compact and pooled by themselves."""

    resources: dict[str, Resources] = {}
    compact: Resources = Resources()
    pooled: Resources = Resources()
    node_selector: dict[str, str] = {}
    tolerations: tuple[dict[str, Any], ...] = ()
    priority_class_name: str = ""
    termination_grace_period_seconds: int = 30
    extra_environment: dict[str, str] = {}


class Network(Part, frozen=True, kw_only=True):
    """What account pods may reach and who may reach them; ``is_enabled`` False: no policies.

    ``exchange_cidrs``: where the real exchanges are (their addresses change: any by default),
    without the private ranges in ``except_cidrs``. ``clients`` select the pods of this namespace
    that may reach an account pod's HTTP port (the monitor, the operator).
    """

    is_enabled: bool = True
    dns_namespace_labels: dict[str, str] = msgspec.field(
        default_factory=lambda: {"kubernetes.io/metadata.name": "kube-system"}
    )
    dns_pod_labels: dict[str, str] = msgspec.field(default_factory=lambda: {"k8s-app": "kube-dns"})
    exchange_cidrs: tuple[str, ...] = ("0.0.0.0/0",)
    except_cidrs: tuple[str, ...] = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
    clients: tuple[dict[str, str], ...] = ()
    metrics_namespace_labels: dict[str, str] = {}


class Release(Part, frozen=True, kw_only=True):
    """The release.

    ``name`` is the Helm release, ``fullname`` what its objects are called after. ``targets`` are
    the probe addresses of the chart's own services, as ``system_monitor`` takes them
    (``<services>=<base URL>``); the operator adds the accounts'.
    """

    name: str
    fullname: str
    namespace: str
    version: str
    image: Image
    database: Database
    redis: Redis
    environments: tuple[Environment, ...]
    workloads: Workloads = Workloads()
    network: Network = Network()
    targets: tuple[str, ...] = ()
    owner: dict[str, str] = {}
    """apiVersion, kind, name of the object that release-wide children belong to (its uid is read)."""

    def environment_of(self, account: AccountConfig) -> Environment | None:
        """Return the market plane that an account trades on, or None if the release has none.

        A paper account goes where its prices come from. A shadow account needs a mirror of
        production, which no release has: its orders must not have production's plane to go to.
        """
        for environment in self.environments:
            if environment.mode is not account.mode:
                continue
            if account.mode is Mode.PAPER and environment.price_source is not account.paper.source:
                continue
            return environment
        return None

    def login_secret(self, service: str) -> str:
        """Return the Secret with a release service's database password (key ``password``)."""
        return f"{self.fullname}-login-{service.replace('_', '-')}"

    @property
    def admin_secret(self) -> str:
        """The Secret with the page's first user: ``username`` and ``password``."""
        return f"{self.fullname}-admin"

    @property
    def targets_config_map(self) -> str:
        """The ConfigMap that tells ``system_monitor`` the accounts' probe addresses."""
        return f"{self.fullname}-account-targets"


def load(path: Path) -> Release:
    """Return the release that the chart described.

    Raises:
        Broken: the file is not there or does not fit; the message names the field.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Release)
    except OSError as error:
        raise Broken(
            f"expected the release's description in {path}: {error.strerror}; the chart mounts it "
            "from the ConfigMap <fullname>-release"
        ) from error
    except (ValueError, RecursionError) as error:
        raise Broken(f"{path} does not describe a release: {error}") from error
