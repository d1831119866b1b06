"""The tests on a cluster that is not the one from source packages: the current one, kind or k3s.

    RECIO_E2E_CLUSTER=current RECIO_E2E_IMAGE=registry.example.com/me/recio:1 make e2e

Variables:
    RECIO_E2E_IMAGE    the product's image, as the cluster can pull it; without it the image of this
                       checkout is built and loaded, which only kind and k3s take
    RECIO_E2E_VALUES   a YAML file with values of the chart that this cluster needs (mirrors of the
                       other images, a storage class)

What reaches below Kubernetes (a reboot of the node, a second tag, the S3 server) is left out there.
The tests make the namespace recio-e2e and others that begin with it, and touch nothing else.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Final

import yaml
from tests.e2e.cluster import choose, paths, shell
from tests.e2e.cluster.choose import TestCluster
from tests.e2e.cluster.shell import CommandFailed, say, stage

IMAGE: Final = "RECIO_E2E_IMAGE"
VALUES: Final = "RECIO_E2E_VALUES"
BUILT: Final = "localhost/recio:e2e"


def is_used() -> bool:
    """Tell whether the tests run on such a cluster."""
    return image() != ""


def image() -> str:
    """Return the product's image there, empty on the cluster from source packages."""
    return paths.environment().get(IMAGE, "")


def values() -> dict[str, Any]:
    """Return the chart's values there: the small profile, the image, and what the user adds."""
    registry, _, rest = image().partition("/")
    repository, _, tag = rest.rpartition(":")
    made: dict[str, Any] = {
        "profile": "small",
        "image": {"registry": registry, "repository": repository, "tag": tag},
    }
    told = paths.environment().get(VALUES)
    if told:
        with open(told, encoding="utf-8") as file:  # noqa: PTH123 - whatever the user names
            made |= yaml.safe_load(file)
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Run a suite: ``core`` or ``all``, and options of pytest."""
    suite, *options = sys.argv[1:] if words is None else words
    cluster = choose.chosen()
    try:
        with stage("cluster"):
            cluster.up()
        name = image() or _loaded(cluster)
        command = [sys.executable, "-m", "pytest", "tests/e2e/kubernetes", "-v", *options]
        told = cluster.variables() | {"RECIO_E2E": suite, IMAGE: name}
        wrapped = cluster.wrapped(command)
        return subprocess.run(wrapped, env=paths.environment() | told, check=False).returncode
    except CommandFailed as error:
        say(f"error: {error}")
        return 1
    finally:
        cluster.down()


def _loaded(cluster: TestCluster) -> str:
    archive = paths.cache() / "recio-e2e.tar"
    archive.parent.mkdir(parents=True, exist_ok=True)
    build = [paths.REPOSITORY / "images" / "build.sh", "--tag", BUILT, "--archive", archive]
    with stage(f"image {BUILT}"):
        shell.run(build, cwd=paths.REPOSITORY, timeout_seconds=1800)
        cluster.load(archive)
    return BUILT


if __name__ == "__main__":
    sys.exit(main())
