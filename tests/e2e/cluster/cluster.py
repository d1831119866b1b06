"""One real single-node cluster: boot, look, restart, reboot, end.

It boots from nothing every time: what a crashed run left is removed first. Only images outlive it,
unpacked in containerd's own store.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import yaml
from tests.e2e.cluster import arguments, binaries, images, node, paths
from tests.e2e.cluster.arguments import Credentials
from tests.e2e.cluster.machine import NODE_ADDRESS, Machine
from tests.e2e.cluster.node import NodeFiles
from tests.e2e.cluster.shell import CommandFailed, TooLate, only_one, run, stage, tail, wait_for

API_PORT: Final = 6443
_ETCD_PORT: Final = 2379
_SERVER_SECONDS: Final = 120.0
_CLIENTS: Final = {
    "kube-controller-manager": "system:kube-controller-manager",
    "kube-scheduler": "system:kube-scheduler",
    "kube-proxy": "system:kube-proxy",
}
PROGRAMS: Final = ("etcd", *binaries.KUBERNETES, "helm")
SERVERS: Final = (
    *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"),
    *("containerd", "kubelet", "kube-proxy"),
)
"""What runs outside of pods, in the order in which it starts."""

LOADED_KEPT: Final = 6
"""So many images that tests loaded outlive a cluster; ours always do."""
_LOADED: Final = re.compile(r"^unpacking (\S+)", re.MULTILINE)


class _LoadRecord:
    """The names of loaded images, the latest last, kept beside them."""

    def __init__(self) -> None:
        self._path = paths.image_store() / "loaded.json"

    def _names(self) -> list[str]:
        return json.loads(self._path.read_text()) if self._path.exists() else []

    def note(self, names: Iterable[str]) -> None:
        """Add names, or move them to the end."""
        latest = [name for name in names if not name.startswith(_base_names())]
        kept = [name for name in self._names() if name not in latest]
        self._path.write_text(json.dumps([*kept, *latest]))

    def take_old(self, kept: int) -> list[str]:
        """Return all but the latest names, and forget them."""
        names = self._names()
        self._path.write_text(json.dumps(names[-kept:]))
        return names[:-kept]


def _base_names() -> tuple[str, ...]:
    return tuple(f"{images.REGISTRY}/{name}:" for name in images.all_images())


class Cluster:
    """The cluster of this machine's user; there is one at a time."""

    def __init__(self) -> None:
        self.machine = Machine()
        self._state = self.machine.state
        self._files = NodeFiles(self._state / "config")
        self._programs: dict[str, Path] = {}

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig; its address is reached through ``connected`` only."""
        return self._kubeconfig("admin")

    def is_running(self) -> bool:
        """Tell whether every server of the cluster runs."""
        return all(self.machine.server(name) is not None for name in SERVERS)

    def boot(self) -> None:
        """Start a cluster from nothing: node ready, no name server, no volumes yet.

        Raises:
            CommandFailed: a program failed; the message has its last words.
            TooLate: something did not become ready.
        """
        self._programs = binaries.ensure(*PROGRAMS)
        archives = images.ensure(*images.NEEDED)
        with self._alone():
            self.machine.remove()
            with stage("machine: namespaces, mounts, network"):
                self.machine.start(images.pause())
                self._configure()
            self._start_api()
            with stage("containerd: image store"):
                self._renew_store(archives)
            self._start_rest()

    def reboot(self) -> None:
        """Pull the plug and start again with the same disk."""
        self._programs = binaries.ensure(*PROGRAMS)
        with self._alone():
            with stage("power off"):
                self.machine.power_off()
            with stage("machine: namespaces, mounts, network"):
                self.machine.start(images.pause())
            self._start_api()
            self._start_rest()

    def down(self) -> None:
        """End everything and remove it; nothing happens if there is nothing."""
        with self._alone():
            self.machine.remove()

    def _alone(self) -> AbstractContextManager[None]:
        return only_one(paths.cache() / ".cluster.lock")

    def restart_apiserver(self) -> None:
        """Stop kube-apiserver and start it again."""
        self._programs = binaries.ensure(*PROGRAMS)
        process = self.machine.server("kube-apiserver")
        if process is not None:
            process.stop()
        self._launch_apiserver()
        self._wait_for_api()

    def _configure(self) -> None:
        credentials = self._credentials()
        issue = credentials.authority.issue
        issue(
            "node",
            f"system:node:{node.NODE_NAME}",
            groups=("system:nodes",),
            names=(node.NODE_NAME, NODE_ADDRESS),
        )
        for name, user in _CLIENTS.items():
            issue(name, user)
        for name in ("admin", "node", *_CLIENTS):
            self._write_kubeconfig(name)
        pause = images.all_images()["pause"].full_name
        node.write(
            self._files,
            image_store=paths.image_store(),
            pki=self._state / "pki",
            pause=pause,
            control_group=self.machine.control_group,
        )
        for name in node.volume_names():
            self._empty_volume(name)

    def _credentials(self) -> Credentials:
        known_as = ("127.0.0.1", NODE_ADDRESS, arguments.KUBERNETES_SERVICE)
        return Credentials.below(self._state / "pki", known_as)

    def _kubeconfig(self, name: str) -> Path:
        return self._state / f"{name}.kubeconfig"

    def _write_kubeconfig(self, name: str) -> None:
        authority = self._credentials().authority
        pair = authority.issue(name, name)
        text = arguments.kubeconfig(
            f"https://{NODE_ADDRESS}:{API_PORT}", authority.pair.certificate, pair
        )
        self._kubeconfig(name).write_text(text)

    def _launch(self, name: str, told: Sequence[str]) -> None:
        self.machine.launch(name, [self._programs[name], *told])

    def _start_api(self) -> None:
        with stage("etcd, kube-apiserver"):
            self._launch("etcd", arguments.etcd(self._state / "etcd", _ETCD_PORT, _ETCD_PORT + 1))
            self._launch_apiserver()
            self._wait_for_api()

    def _launch_apiserver(self) -> None:
        told = arguments.apiserver(
            self._credentials(),
            etcd_port=_ETCD_PORT,
            port=API_PORT,
            bind="0.0.0.0",
            advertise=NODE_ADDRESS,
        )
        self._launch("kube-apiserver", told)

    def _start_rest(self) -> None:
        with stage("containerd, kubelet, scheduler, controllers: node ready"):
            self._launch_containerd(self._files.containerd)
            told = arguments.controller_manager(
                self._credentials(), self._kubeconfig("kube-controller-manager")
            )
            cidr = ["--allocate-node-cidrs", f"--cluster-cidr={arguments.POD_RANGE}"]
            self._launch("kube-controller-manager", [*told, *cidr])
            scheduler = self._kubeconfig("kube-scheduler")
            self._launch("kube-scheduler", [f"--kubeconfig={scheduler}", "--leader-elect=false"])
            self._launch("kubelet", node.kubelet_arguments(self._kubeconfig("node"), self._files))
            self._launch("kube-proxy", node.proxy_arguments(self._kubeconfig("kube-proxy")))
            self._wait("node", self._is_node_ready, "kubelet")

    def _launch_containerd(self, configuration: Path) -> None:
        self.machine.launch("containerd", ["containerd", "--config", configuration])
        self._wait("containerd", lambda: self._try([*_ctr(), "version"]), "containerd")

    def _renew_store(self, archives: dict[str, Path]) -> None:
        """Bring the image store to what a fresh cluster has: all base images, no container."""
        configuration = self._files.folder / "containerd-store.toml"
        without = 'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        configuration.write_text(
            self._files.containerd.read_text().replace("[grpc]", f"{without}[grpc]")
        )
        self._launch_containerd(configuration)
        left = self.machine.run([*_ctr(), "containers", "list", "--quiet"]).split()
        if left:
            self.machine.run([*_ctr(), "containers", "delete", *left])
        self._forget_old_images()
        self._import_missing(archives.values())
        process = self.machine.server("containerd")
        if process is not None:
            process.stop()

    def _import_missing(self, archives: Iterable[Path]) -> None:
        record = paths.image_store() / "imported.json"
        with only_one(paths.cache() / ".images.lock"):
            known: list[str] = json.loads(record.read_text()) if record.exists() else []
            for archive in archives:
                if archive.name not in known:
                    self.load(archive)
                    known.append(archive.name)
                    record.write_text(json.dumps(known))

    def load(self, archive: Path) -> str:
        """Import an OCI or Docker archive, so that pods find its images; return their names."""
        with stage(f"load {archive.name}"):
            told = self.machine.run([*_ctr(), "images", "import", "-"], source=archive)
        names = _LOADED.findall(told)
        _LoadRecord().note(names)
        return "\n".join(names)

    def _forget_old_images(self) -> None:
        """Delete images that were loaded long ago: tests load one for each change of the product."""
        there = self.machine.run([*_ctr(), "images", "list", "--quiet"]).split()
        old = [name for name in _LoadRecord().take_old(LOADED_KEPT) if name in there]
        if old:
            self.machine.run([*_ctr(), "images", "delete", *old])

    def ensure_images(self, *names: str) -> None:
        """Make images of ours (``images.all_images``) and load those that are not there yet."""
        self._import_missing(images.ensure(*names).values())

    def kubectl(self, *words: str, given: str | None = None, timeout_seconds: float = 120.0) -> str:
        """Run kubectl as the administrator and return what it printed."""
        program = binaries.ensure("kubectl")["kubectl"]
        cache = f"--cache-dir={self._state / 'kubectl'}"
        command: list[str | Path] = [program, f"--kubeconfig={self.kubeconfig}", cache, *words]
        return run(self.machine.connected(command), given=given, timeout_seconds=timeout_seconds)

    def apply(self, objects: Iterable[object]) -> None:
        """Apply objects server-side."""
        text = yaml.safe_dump_all(objects)
        self.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", given=text)

    def renew_volumes(self) -> None:
        """Empty the volumes whose claims are gone, so that they can be claimed again."""
        told = json.loads(self.kubectl("get", "persistentvolumes", "--output=json"))
        for volume in told["items"]:
            if volume["status"].get("phase") == "Released":
                self.kubectl("delete", "persistentvolume", volume["metadata"]["name"])
                self._empty_volume(volume["metadata"]["name"])
        self.apply(node.volumes())

    def _empty_volume(self, name: str) -> None:
        folder = self._state / "volumes" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        folder.chmod(0o777)

    def wait_for_rollout(self, kind: str, namespace: str, timeout_seconds: float = 240.0) -> None:
        """Wait until a Deployment or the like has what it asks for.

        Raises:
            TooLate: it has not; the message shows its pods.
        """
        seconds = f"--timeout={timeout_seconds:.0f}s"
        try:
            self.kubectl(
                *("rollout", "status", kind, f"--namespace={namespace}", seconds),
                timeout_seconds=timeout_seconds + 30,
            )
        except CommandFailed as error:
            pods = self.kubectl("describe", "pods", f"--namespace={namespace}")
            raise TooLate(f"{error}\n{tail(pods, 60)}") from error

    def _wait_for_api(self) -> None:
        self._wait("kube-apiserver", self._is_api_ready, "kube-apiserver")

    def _is_api_ready(self) -> bool:
        try:
            return self.kubectl("get", "--raw=/readyz", timeout_seconds=10) == "ok"
        except CommandFailed:
            return False

    def _is_node_ready(self) -> bool:
        condition = '{.status.conditions[?(@.type=="Ready")].status}'
        try:
            told = self.kubectl("get", "node", node.NODE_NAME, f"--output=jsonpath={condition}")
        except CommandFailed:
            return False
        return told == "True"

    def _try(self, command: Sequence[str | Path]) -> bool:
        try:
            self.machine.run(command, timeout_seconds=10)
        except CommandFailed:
            return False
        return True

    def _wait(self, what: str, probe: Callable[[], bool], server: str) -> None:
        try:
            wait_for(what, probe, timeout_seconds=_SERVER_SECONDS)
        except TooLate as error:
            said = tail(self.machine.log(server).read_text(errors="replace"))
            raise TooLate(f"{error}; the log of {server} ends with:\n{said}") from error


def _ctr() -> list[str]:
    return ["ctr", f"--address={node.SOCKET}", "--namespace=k8s.io"]
