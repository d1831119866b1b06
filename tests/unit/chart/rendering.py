"""The chart as Helm renders it, without a cluster."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from tests.e2e.cluster import binaries

Object = dict[str, Any]

ROOT: Final = Path(__file__).parents[3]
CHART: Final = ROOT / "charts" / "recio"
GOLDEN: Final = Path(__file__).parent / "golden"
NAMESPACE: Final = "trading"

_CAPABILITIES: Final = (
    *("--kube-version", "1.34.4"),
    *("--api-versions", "postgresql.cnpg.io/v1"),
    *("--api-versions", "barmancloud.cnpg.io/v1"),
    *("--api-versions", "monitoring.coreos.com/v1"),
)

CASES: Final[dict[str, tuple[str, ...]]] = {
    "small": (),
    "standard": ("profile=standard",),
    "ha": ("profile=ha",),
    "external": (
        "profile=standard",
        "database.mode=external",
        "database.external.host=db.example.com",
        "database.external.directHost=primary.example.com",
        "database.external.ownerSecret=owner",
        "database.external.sslMode=verify-full",
        "database.external.cidrs={192.0.2.0/24}",
        "redis.mode=external",
        "redis.external.url=rediss://cache.example.com:6380/0",
        "redis.external.passwordSecret=cache",
        "redis.external.cidrs={198.51.100.7/32}",
    ),
    "watched": (
        "monitoring.podMonitors.enabled=true",
        "monitoring.podMonitors.labels.release=prometheus",
        "monitoring.rules.enabled=true",
        "monitoring.dashboards.enabled=true",
        "networkPolicy.metricsNamespaceLabels.kubernetes\\.io/metadata\\.name=monitoring",
    ),
    "reached": (
        "ingress.enabled=true",
        "ingress.className=traefik",
        "ingress.hosts={recio.example.com}",
        "ingress.tlsSecret=certificate",
        "priorityClass.create=true",
        "nodeSelector.pool=trading",
        "podAnnotations.team=desk",
        "image.digest=sha256:" + "0" * 64,
        "image.pullSecrets={registry}",
    ),
    "backup": (
        "backup.method=plugin",
        "backup.destinationPath=s3://books/recio",
        "backup.endpointURL=http://store.example.com:7070",
        "backup.credentialsSecret=store",
        "networkPolicy.backupPorts={7070}",
    ),
    "restored": (
        "backup.method=inTree",
        "backup.destinationPath=s3://books/recio",
        "backup.serverName=recio-2",
        "backup.restoreFrom=recio-db",
    ),
    "environments": (
        "profile=standard",
        "environments.paper-live.enabled=true",
        "environments.demo.enabled=true",
        "environments.demo.marketCredentials.existingSecret=demo-reader",
        "environments.prod.enabled=true",
        "environments.prod.marketCredentials.existingSecret=prod-reader",
    ),
}
"""Every way of installing that has a golden file; each is checked by every rule of these tests."""


class Refused(Exception):
    """Helm refused; the message is its error output."""


def run(
    *settings: str,
    release: str = "recio",
    crds: bool = False,
    options: Iterable[str] = _CAPABILITIES,
) -> str:
    """Return what ``helm template`` prints.

    Raises:
        Refused: with Helm's words.
    """
    words = [str(_helm()), "template", release, str(CHART), "--namespace", NAMESPACE, *options]
    for setting in (*settings, f"crds.install={str(crds).lower()}"):
        words += ["--set", setting]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout


@cache
def _helm() -> Path:
    return binaries.ensure("helm")["helm"]


@cache
def text(case: str) -> str:
    """Return a case as YAML."""
    return run(*CASES[case])


@cache
def objects(case: str) -> list[Object]:
    """Return the objects of a case, to be looked at only."""
    return parsed(text(case))


def golden(case: str) -> str:
    """Return what a case's golden file holds: all of two profiles, of other cases what differs."""
    if case in {"small", "standard"}:
        return text(case)
    is_large = CASES[case][0] in {"profile=standard", "profile=ha"}
    base = "standard" if is_large else "small"
    known = {_id(one): one for one in objects(base)}
    made = [one for one in objects(case) if known.get(_id(one)) != one]
    gone = sorted(known.keys() - {_id(one) for one in objects(case)})
    head = "".join(f"# not in {case}: {kind} {name}\n" for kind, name in gone)
    return head + yaml.dump_all(made, Dumper=yaml.CSafeDumper, width=200)


def _id(one: Object) -> tuple[str, str]:
    return one["kind"], one["metadata"]["name"]


def parsed(rendered: str) -> list[Object]:
    """Return the objects in a rendered text."""
    # The loader in C: a rendered chart has thousands of lines.
    return [found for found in yaml.load_all(rendered, Loader=yaml.CSafeLoader) if found]


def of_kind(case: str, kind: str) -> dict[str, Object]:
    """Return a case's objects of one kind by name."""
    return {one["metadata"]["name"]: one for one in objects(case) if one["kind"] == kind}


def pods(case: str) -> Iterator[tuple[str, Object]]:
    """Yield (name of its owner, pod with metadata and spec) of every pod that the chart makes."""
    for one in objects(case):
        name = one["metadata"]["name"]
        if one["kind"] == "Pod":
            yield name, one
        elif one["kind"] in {"Deployment", "Job"}:
            yield name, one["spec"]["template"]


def containers(pod: Object) -> list[Object]:
    """Return all containers of a pod, the first ones first."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def variables(container: Object) -> dict[str, str]:
    """Return the variables of a container that have a text."""
    return {one["name"]: one["value"] for one in container.get("env", []) if "value" in one}
