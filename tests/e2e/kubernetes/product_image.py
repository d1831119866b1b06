"""The product's image as this checkout makes it, in the cluster's image store.

    python -m tests.e2e.kubernetes.product_image      build and load it unless it is there
                                   --build-only       build only: the cluster comes later

Built once a content: the tag is the key of everything that goes in. It is run outside of the
cluster's network, because building fetches packages and that network leads nowhere.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.e2e.cluster import images, paths, shell
from tests.e2e.cluster.cluster import Cluster
from tests.e2e.cluster.node import SOCKET
from tests.e2e.cluster.shell import CommandFailed, say, stage

INPUTS: Final = (
    *("services", "operator", "migrations", "ui", "images", "pyproject.toml", "README.md"),
    *("requirements-image.lock", "requirements-build.lock"),
)
KEY_LENGTH: Final = 12
BESIDE: Final = ("cloudnative-pg", "postgresql", "pgbouncer", "redis")
"""What a release runs beside the product."""
FOR_BACKUPS: Final = ("versitygw", "plugin-barman-cloud", "plugin-barman-cloud-sidecar")


def key() -> str:
    """Return the content key of the checkout's image."""
    words = ["git", "-C", paths.REPOSITORY, "ls-files", "-co", "--exclude-standard", "-z", *INPUTS]
    digest = hashlib.sha256(images.all_images()["python"].key().encode())
    for name in sorted(set(shell.run(words).split("\0"))):
        path = paths.REPOSITORY / name
        if name and path.is_file():
            digest.update(name.encode() + path.read_bytes())
    return digest.hexdigest()[:KEY_LENGTH]


def full_name(tag: str) -> str:
    """Return the image's name with a tag."""
    return f"{images.REGISTRY}/recio:{tag}"


def ensure(suite: str = "core", *, is_build_only: bool = False) -> str:
    """Build the image, and load it and what a suite needs, unless they are there; return its tag."""
    tag = key()
    archive = paths.images() / f"recio-{tag}.tar"
    if not archive.exists():
        with stage(f"image {full_name(tag)}"):
            _build(tag, archive)
    images.ensure(*BESIDE, *(FOR_BACKUPS if suite == "all" else ()))
    if not is_build_only:
        _load(archive, tag)
    return tag


def _load(archive: Path, tag: str) -> None:
    cluster = Cluster()
    cluster.ensure_images(*BESIDE)
    if full_name(tag) not in loaded(cluster):
        cluster.load(archive)
    tag_file().write_text(tag)


def tag_file() -> Path:
    """Return the file that names the tag loaded last."""
    return paths.cache() / "product-tag"


def loaded(cluster: Cluster) -> set[str]:
    """Return the names of the images that the node has."""
    return set(cluster.machine.run([*_ctr(), "images", "list", "--quiet"]).split())


def name_again(cluster: Cluster, tag: str, other: str) -> None:
    """Give an image of ours a second tag, as the next version would have."""
    words = ["images", "tag", "--force", full_name(tag), full_name(other)]
    cluster.machine.run([*_ctr(), *words])


def _ctr() -> list[str]:
    return ["ctr", f"--address={SOCKET}", "--namespace=k8s.io"]


def _build(tag: str, archive: Path) -> None:
    base = images.ensure("python")["python"]
    partial = archive.with_suffix(".partial")
    shell.run(
        [
            *(paths.REPOSITORY / "images" / "build.sh", "--base", f"oci-archive:{base}"),
            *("--tag", full_name(tag), "--archive", partial),
            *("--sbom", paths.images() / "recio-sbom.cdx.json"),
        ],
        cwd=paths.REPOSITORY,
        extra={"ENGINE": "buildah", "BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "overlay"},
        timeout_seconds=1800,
    )
    for older in paths.images().glob("recio-????????????.tar"):
        older.unlink()
    partial.rename(archive)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--suite", choices=("core", "all", "some"), default="core")
    parser.add_argument("--build-only", action="store_true", help="there is no cluster yet")
    given = parser.parse_args(words)
    try:
        say(f"           {full_name(ensure(given.suite, is_build_only=given.build_only))}")
    except CommandFailed as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
