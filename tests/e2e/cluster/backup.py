"""Backups to S3 in the test cluster: CloudNativePG's barman plugin and an S3 server over a volume.

The plugin wants two certificates, which its release leaves to cert-manager; here they are made
as cert-manager would.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final

import yaml
from tests.e2e.cluster import binaries, images, paths
from tests.e2e.cluster.addons import CNPG_NAMESPACE
from tests.e2e.cluster.certificates import Pair, self_signed
from tests.e2e.cluster.cluster import Cluster
from tests.e2e.cluster.shell import stage

ENDPOINT: Final = "http://s3.recio-backup:7070"
ACCESS_KEY: Final = "recio-test"
SECRET_KEY: Final = "recio-test-only"
_UPSTREAM: Final = "ghcr.io/cloudnative-pg/plugin-barman-cloud-testing:main"
_SIDECAR: Final = "SIDECAR_IMAGE"


def install(cluster: Cluster) -> None:
    """Install the S3 server and the plugin, and wait for both. CloudNativePG must be there."""
    with stage("S3 server, barman plugin"):
        cluster.ensure_images("versitygw", "plugin-barman-cloud", "plugin-barman-cloud-sidecar")
        cluster.apply([*s3_server(), *plugin(cluster.machine.state / "pki" / "barman")])
        cluster.wait_for_rollout("deployment/s3", "recio-backup")
        cluster.wait_for_rollout("deployment/barman-cloud", CNPG_NAMESPACE)


def s3_server() -> list[dict[str, object]]:
    """Return the S3 server's objects."""
    text = (paths.HERE / "manifests" / "s3.yaml").read_text()
    image = images.all_images()["versitygw"].full_name
    return list(yaml.safe_load_all(text.replace("S3_IMAGE", image)))


def plugin(pki: Path) -> list[dict[str, object]]:
    """Return the plugin's release with our images and certificates."""
    release = (binaries.source_of("plugin-barman-cloud") / "manifest.yaml").read_text()
    server = self_signed(pki, "barman-cloud", names=("barman-cloud",))
    client = self_signed(pki, "barman-cloud-client")
    return [
        *rewritten(release),
        _secret("barman-cloud-server-tls", server),
        _secret("barman-cloud-client-tls", client),
    ]


def rewritten(release: str) -> list[dict[str, object]]:
    """Return the plugin's release manifest with images that are here, without cert-manager.

    Raises:
        ValueError: the manifest is not as expected.
    """
    if release.count(_UPSTREAM) != 1:
        raise ValueError(f"expected {_UPSTREAM} once, found it {release.count(_UPSTREAM)} times")
    known = images.all_images()
    text = release.replace(_UPSTREAM, known["plugin-barman-cloud"].full_name)
    objects = [made for made in yaml.safe_load_all(text) if made]
    kept = [made for made in objects if not made["apiVersion"].startswith("cert-manager.io/")]
    for made in kept:
        if made["kind"] == "Secret" and _SIDECAR in made["data"]:
            sidecar = known["plugin-barman-cloud-sidecar"].full_name
            made["data"][_SIDECAR] = base64.b64encode(sidecar.encode()).decode()
    return kept


def _secret(name: str, pair: Pair) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": name, "namespace": CNPG_NAMESPACE},
        "stringData": {"tls.crt": pair.certificate.read_text(), "tls.key": pair.key.read_text()},
    }
