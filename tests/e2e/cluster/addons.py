"""What is installed in a booted cluster: name server, volumes, CloudNativePG, backups to S3."""

from __future__ import annotations

from typing import Final

import yaml
from tests.e2e.cluster import binaries, images, paths
from tests.e2e.cluster.cluster import Cluster
from tests.e2e.cluster.shell import CommandFailed, stage, wait_for

CNPG_NAMESPACE: Final = "cnpg-system"
_MANIFESTS: Final = paths.HERE / "manifests"
_WEBHOOK_SECONDS: Final = 90.0


def install_basics(cluster: Cluster) -> None:
    """Install the name server and the default storage class, and wait for the former."""
    with stage("name server, volumes"):
        text = (_MANIFESTS / "coredns.yaml").read_text()
        image = images.all_images()["coredns"].full_name
        cluster.apply(yaml.safe_load_all(text.replace("COREDNS_IMAGE", image)))
        cluster.renew_volumes()
        cluster.wait_for_rollout("deployment/coredns", "kube-system")


def install_metrics(cluster: Cluster) -> None:
    """Install metrics-server, which ``kubectl top`` asks, and wait for it."""
    with stage("metrics-server"):
        cluster.ensure_images("metrics-server")
        text = (_MANIFESTS / "metrics-server.yaml").read_text()
        image = images.all_images()["metrics-server"].full_name
        cluster.apply(yaml.safe_load_all(text.replace("METRICS_SERVER_IMAGE", image)))
        cluster.wait_for_rollout("deployment/metrics-server", "kube-system")


def install_cloudnative_pg(cluster: Cluster) -> None:
    """Install CloudNativePG's operator, unless it is there, and wait until it takes a database."""
    with stage("CloudNativePG"):
        cluster.ensure_images("cloudnative-pg", "postgresql", "pgbouncer")
        if _takes_a_database(cluster):
            return
        cluster.apply(cloudnative_pg())
        cluster.wait_for_rollout("deployment/cnpg-controller-manager", CNPG_NAMESPACE)
        wait_for(
            "CloudNativePG's admission",
            lambda: _takes_a_database(cluster),
            timeout_seconds=_WEBHOOK_SECONDS,
        )


def cloudnative_pg() -> list[dict[str, object]]:
    """Return the release's own manifest with our images."""
    version = binaries.TOOLS["cloudnative-pg"].version().removeprefix("v")
    release = binaries.source_of("cloudnative-pg") / "releases" / f"cnpg-{version}.yaml"
    return rewritten_cloudnative_pg(release.read_text(), version)


def rewritten_cloudnative_pg(release: str, version: str) -> list[dict[str, object]]:
    """Return CloudNativePG's release manifest with images that are here.

    Args:
        release: the manifest.
        version: its version, without a ``v``.

    Raises:
        ValueError: the manifest is not as expected.
    """
    upstream = f"ghcr.io/cloudnative-pg/cloudnative-pg:{version}"
    # Once as the operator's own image, once as the one that it puts into database pods.
    if release.count(upstream) != 2:
        raise ValueError(f"expected {upstream} twice, found it {release.count(upstream)} times")
    known = images.all_images()
    text = release.replace(upstream, known["cloudnative-pg"].full_name)
    text = text.replace("imagePullPolicy: Always", "imagePullPolicy: IfNotPresent")
    objects: list[dict[str, object]] = [made for made in yaml.safe_load_all(text) if made]
    for made in objects:
        if made["kind"] == "Deployment":
            _relax(made)
    defaults = {
        "POSTGRES_IMAGE_NAME": known["postgresql"].full_name,
        "PGBOUNCER_IMAGE_NAME": known["pgbouncer"].full_name,
    }
    return [
        *objects,
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "cnpg-controller-manager-config", "namespace": CNPG_NAMESPACE},
            "data": defaults,
        },
    ]


def _relax(deployment: dict[str, object]) -> None:
    """Give the operator time to make its certificates: its own 30 s end in a restart here."""
    spec = deployment["spec"]
    if not isinstance(spec, dict):
        raise TypeError(f"expected a mapping as the Deployment's spec, found {spec!r}")
    for container in spec["template"]["spec"]["containers"]:
        container["startupProbe"] |= {"failureThreshold": 120, "periodSeconds": 1}
        container["readinessProbe"] |= {"periodSeconds": 1}


_A_DATABASE: Final = """\
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {name: probe, namespace: default}
spec: {instances: 1, storage: {size: 1Gi}}
"""


def _takes_a_database(cluster: Cluster) -> bool:
    try:
        cluster.kubectl("create", "--dry-run=server", "--filename=-", given=_A_DATABASE)
    except CommandFailed:
        return False
    return True
