"""Which cluster the end-to-end tests use, and the little that they ask of each kind.

``RECIO_E2E_CLUSTER`` decides: ``current`` (whatever kubectl talks to), ``kind``, ``k3s`` or
``source``. Without it: kind if it is installed and a container engine answers, else a k3s that
runs, else the cluster from source packages. Never the current one without being told: it may be
somebody's production.

The clusters other than ``source`` are written from their documentation and were not tried where
this was made: no container engine and no registry could be reached there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from tests.e2e.cluster import addons, backup, binaries, paths
from tests.e2e.cluster.cluster import Cluster
from tests.e2e.cluster.shell import CommandFailed, run

VARIABLE: Final = "RECIO_E2E_CLUSTER"
KIND_NAME: Final = "recio-e2e"
K3S_KUBECONFIG: Final = Path("/etc/rancher/k3s/k3s.yaml")


class Choice(StrEnum):
    """The kinds of cluster."""

    CURRENT = "current"
    KIND = "kind"
    K3S = "k3s"
    SOURCE = "source"


class TestCluster(Protocol):
    """What a test may ask of any cluster."""

    enforces_policies: bool
    """Whether a NetworkPolicy has an effect; where not, its test is skipped and says so."""

    is_ours: bool
    """Whether it may be rebooted, and its servers be restarted."""

    def up(self) -> None:
        """Have a cluster with CloudNativePG."""

    def down(self) -> None:
        """Remove the cluster, if it was made for the tests."""

    def load(self, archive: Path) -> None:
        """Make the images of an OCI or Docker archive known to the node."""

    def variables(self) -> dict[str, str]:
        """Return the environment in which kubectl and helm find the cluster."""

    def wrapped(self, command: Sequence[str]) -> list[str]:
        """Return a command that runs another one where the cluster can be reached."""


def decide(told: str | None, is_there: Mapping[Choice, Callable[[], bool]]) -> Choice:
    """Return the kind of cluster to use.

    Args:
        told: what the user wants, if anything.
        is_there: for kind and k3s, whether they can be used; asked in order, only when needed.

    Raises:
        ValueError: there is no such kind.
    """
    if told:
        try:
            return Choice(told)
        except ValueError as error:
            kinds = ", ".join(Choice)
            raise ValueError(
                f"expected {VARIABLE} to be one of {kinds}; received {told}"
            ) from error
    found = (kind for kind in (Choice.KIND, Choice.K3S) if is_there[kind]())
    return next(found, Choice.SOURCE)


def chosen() -> TestCluster:
    """Return the cluster that the environment asks for; nothing is started."""
    made: dict[Choice, Callable[[], TestCluster]] = {
        Choice.CURRENT: CurrentCluster,
        Choice.KIND: KindCluster,
        Choice.K3S: K3sCluster,
        Choice.SOURCE: SourceCluster,
    }
    return made[chosen_kind()]()


def chosen_kind() -> Choice:
    """Return the kind of cluster that the environment asks for, or that is there."""
    probes = {Choice.KIND: _is_kind_there, Choice.K3S: _is_k3s_there}
    return decide(paths.environment().get(VARIABLE), probes)


def _is_kind_there() -> bool:
    return shutil.which("kind") is not None and any(
        _succeeds([engine, "info"]) for engine in ("docker", "podman")
    )


def _is_k3s_there() -> bool:
    return shutil.which("k3s") is not None and os.access(K3S_KUBECONFIG, os.R_OK)


def _succeeds(command: list[str]) -> bool:
    try:
        run(command, timeout_seconds=20)
    except CommandFailed:
        return False
    return True


class SourceCluster:
    """The cluster from source packages, in a network of its own."""

    enforces_policies = False
    is_ours = True

    def __init__(self) -> None:
        self.cluster = Cluster()

    def up(self) -> None:
        """Boot it, unless it runs."""
        if not self.cluster.is_running():
            self.cluster.boot()
        addons.install_basics(self.cluster)
        addons.install_cloudnative_pg(self.cluster)

    def with_backup(self) -> None:
        """Install the S3 server and the barman plugin."""
        backup.install(self.cluster)

    def down(self) -> None:
        """End it."""
        self.cluster.down()

    def load(self, archive: Path) -> None:
        """Import an archive into containerd."""
        self.cluster.load(archive)

    def variables(self) -> dict[str, str]:
        """Return its kubeconfig and our kubectl and helm."""
        return {
            **_with_our_tools(),
            "KUBECONFIG": str(self.cluster.kubeconfig),
            "KUBECACHEDIR": str(self.cluster.machine.state / "kubectl"),
        }

    def wrapped(self, command: Sequence[str]) -> list[str]:
        """Enter its network."""
        return self.cluster.machine.connected(command)


class _Elsewhere:
    """What the clusters have in common that are reached as any other server is."""

    enforces_policies = True
    is_ours = False
    kubeconfig: Path | None = None

    def variables(self) -> dict[str, str]:
        """Return where kubectl and helm are and what they are to read."""
        told = {} if self.kubeconfig is None else {"KUBECONFIG": str(self.kubeconfig)}
        return {**_with_our_tools(), **told}

    def wrapped(self, command: Sequence[str]) -> list[str]:
        """Return the command as it is."""
        return list(command)

    def _kubectl(self, *words: str) -> str:
        return run(["kubectl", *words], extra=self.variables())

    def _install_cloudnative_pg(self) -> None:
        version = binaries.TOOLS["cloudnative-pg"].version().removeprefix("v")
        release = binaries.source_of("cloudnative-pg") / "releases" / f"cnpg-{version}.yaml"
        self._kubectl("apply", "--server-side", "--force-conflicts", f"--filename={release}")
        operator = "deployment/cnpg-controller-manager"
        self._kubectl("rollout", "status", operator, f"--namespace={addons.CNPG_NAMESPACE}")


class CurrentCluster(_Elsewhere):
    """Whatever kubectl talks to. CloudNativePG has to be there; nothing is removed."""

    def up(self) -> None:
        """Check that CloudNativePG is installed."""
        self._kubectl("get", "crd", "clusters.postgresql.cnpg.io")

    def down(self) -> None:
        """Leave it as it is."""

    def load(self, archive: Path) -> None:
        """Refuse: only its owner knows how images get there."""
        raise CommandFailed(
            f"expected the images of {archive.name} in a registry that the cluster can reach: "
            "nothing can be loaded into the current cluster from here"
        )


class KindCluster(_Elsewhere):
    """A cluster of kind's, made for the tests. Not tried where this was written."""

    def __init__(self) -> None:
        self.kubeconfig = paths.cache() / "kind.kubeconfig"

    def up(self) -> None:
        """Create it, unless it is there."""
        paths.cache().mkdir(parents=True, exist_ok=True)
        if KIND_NAME not in run(["kind", "get", "clusters"]).split():
            run([*self._kind("create", "cluster"), "--wait=120s"])
        else:
            run(self._kind("export", "kubeconfig"))
        self._install_cloudnative_pg()

    def down(self) -> None:
        """Delete it."""
        run(self._kind("delete", "cluster"))

    def load(self, archive: Path) -> None:
        """Import an archive into its node."""
        run(["kind", "load", "image-archive", archive, f"--name={KIND_NAME}"])

    def _kind(self, *words: str) -> list[str]:
        return ["kind", *words, f"--name={KIND_NAME}", f"--kubeconfig={self.kubeconfig}"]


class K3sCluster(_Elsewhere):
    """A k3s that runs on this machine. Not tried where this was written."""

    def __init__(self) -> None:
        self.kubeconfig = K3S_KUBECONFIG

    def up(self) -> None:
        """Install CloudNativePG."""
        self._install_cloudnative_pg()

    def down(self) -> None:
        """Leave it: it was there before the tests."""

    def load(self, archive: Path) -> None:
        """Import an archive into its containerd."""
        run(["k3s", "ctr", "images", "import", archive])


def _with_our_tools() -> dict[str, str]:
    """Return a PATH that begins with the kubectl and helm that were built here, if they were."""
    built = [binaries.TOOLS[name].path() for name in binaries.ON_PATH]
    folders = [str(path.parent) for path in built if path.exists()]
    return {"PATH": ":".join([*folders, paths.environment().get("PATH", "/usr/bin:/bin")])}
