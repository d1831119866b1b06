"""A real API server without a node, for tests of the operator, the schema and the rules in it.

etcd and kube-apiserver on free ports of 127.0.0.1, with certificates of their own; ready in a few
seconds, gone with the process that started them. Nothing runs pods. With ``controllers`` there are
also garbage collection, deletion of namespaces and service accounts, as a cluster does them.

Start it from the main thread: the kernel ends the servers with the thread that started them.
"""

from __future__ import annotations

import http.client
import itertools
import os
import shutil
import socket
import ssl
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.e2e.cluster import arguments, binaries, processes
from tests.e2e.cluster.arguments import Credentials
from tests.e2e.cluster.certificates import Pair
from tests.e2e.cluster.processes import Process
from tests.e2e.cluster.shell import CommandFailed, TooLate, tail, wait_for

READY_SECONDS: Final = 60.0
LOCALHOST: Final = "127.0.0.1"
PORTS: Final = range(20_000, 30_000)
_OK: Final = 200


class ControlPlane:
    """etcd and kube-apiserver as a context manager.

    Attributes:
        kubeconfig: the file of an administrator.
        url: the server's address.

    Args:
        directory: an existing folder for data and logs; without one a temporary folder is made
            and removed.
        controllers: start kube-controller-manager with the controllers that need no node.
    """

    def __init__(self, directory: Path | None = None, *, controllers: bool = False) -> None:
        self._is_temporary = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="recio-apiserver-"))
        self._with_controllers = controllers
        self._processes: dict[str, Process] = {}
        self.port, self._etcd_port, self._peer_port = free_ports(3)
        self.url = f"https://{LOCALHOST}:{self.port}"
        self._credentials = Credentials.below(
            self.directory / "pki", (LOCALHOST, arguments.KUBERNETES_SERVICE)
        )
        self.kubeconfig = self._kubeconfig("admin", self.url, self._credentials.admin)

    @property
    def certificate_authority(self) -> Path:
        """The file with the certificate that the server's is signed with."""
        return self._credentials.authority.pair.certificate

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Build what is missing, start the servers and wait until they serve.

        Raises:
            CommandFailed: a server ended; the message has its last words.
            TooLate: they are not ready after a minute.
        """
        names = ["etcd", "kube-apiserver", "kube-controller-manager"]
        programs = binaries.ensure(*names[: 3 if self._with_controllers else 2])
        etcd = arguments.etcd(self.directory / "etcd", self._etcd_port, self._peer_port)
        self._launch("etcd", programs["etcd"], etcd)
        self.start_apiserver()
        if self._with_controllers:
            self._start_controllers(programs["kube-controller-manager"])

    def start_apiserver(self) -> None:
        """Start kube-apiserver on the same port (after ``stop_apiserver``) and wait for it."""
        program = binaries.ensure("kube-apiserver")["kube-apiserver"]
        told = arguments.apiserver(
            self._credentials,
            etcd_port=self._etcd_port,
            port=self.port,
            bind=LOCALHOST,
            # The server refuses a loopback address here; without a node nobody asks for it.
            advertise="10.99.0.1",
        )
        # Without a pod there is nobody who would reach the service "kubernetes".
        self._launch("kube-apiserver", program, [*told, "--endpoint-reconciler-type=none"])
        self._wait_until_ready()

    def stop_apiserver(self, *, at_once: bool = False) -> None:
        """Stop kube-apiserver, etcd stays; ``at_once`` kills it as a crash would."""
        process = self._processes.pop("kube-apiserver")
        if at_once:
            process.kill()
        else:
            process.stop()

    def stop(self) -> None:
        """Stop every server; may be called twice."""
        for name in ("kube-controller-manager", "kube-apiserver", "etcd"):
            process = self._processes.pop(name, None)
            if process is not None:
                process.kill()
        if self._is_temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def kubeconfig_through(self, port: int) -> Path:
        """Return an administrator's kubeconfig that goes to another port of this machine.

        A proxy of plain bytes in between needs no certificate: the server's is for 127.0.0.1.
        """
        url = f"https://{LOCALHOST}:{port}"
        return self._kubeconfig(f"admin-{port}", url, self._credentials.admin)

    def kubeconfig_as(self, user: str, *, groups: tuple[str, ...] = (), port: int = 0) -> Path:
        """Return the kubeconfig of a user that has no right but those that are bound to it."""
        file_name = f"user-{binaries.content_key([user, *groups])}"
        pair = self._credentials.authority.issue(file_name, user, groups=groups)
        return self._kubeconfig(file_name, f"https://{LOCALHOST}:{port or self.port}", pair)

    def log(self, name: str = "kube-apiserver") -> str:
        """Return what a server said: kube-apiserver, etcd or kube-controller-manager."""
        return (self.directory / "logs" / f"{name}.log").read_text(errors="replace")

    def _kubeconfig(self, name: str, url: str, user: Pair) -> Path:
        path = self.directory / f"{name}.kubeconfig"
        path.write_text(arguments.kubeconfig(url, self.certificate_authority, user))
        return path

    def _start_controllers(self, program: Path) -> None:
        told = arguments.controller_manager(self._credentials, self.kubeconfig)
        told += [
            f"--controllers={','.join(arguments.NODE_CONTROLLERS_OFF)}",
            f"--bind-address={LOCALHOST}",
            f"--secure-port={free_ports(1)[0]}",
        ]
        self._launch("kube-controller-manager", program, told)

    def _launch(self, name: str, program: Path, told: list[str]) -> None:
        log = self.directory / "logs" / f"{name}.log"
        self._processes[name] = processes.start([program, *told], log, dies_with_us=True)

    def _wait_until_ready(self) -> None:
        try:
            wait_for("kube-apiserver", self._is_ready, timeout_seconds=READY_SECONDS)
        except TooLate as error:
            raise TooLate(f"{error}; its log ends with:\n{tail(self.log())}") from error

    def _is_ready(self) -> bool:
        for name, process in self._processes.items():
            processes.reap(process.pid)
            if not process.is_alive():
                raise CommandFailed(f"{name} ended; its log ends with:\n{tail(self.log(name))}")
        return answers(self.port, self._credentials.admin, self.certificate_authority)


def answers(port: int, user: Pair, authority: Path, host: str = LOCALHOST) -> bool:
    """Tell whether an API server says that it is ready."""
    context = ssl.create_default_context(cafile=str(authority))
    context.load_cert_chain(user.certificate, user.key)
    connection = http.client.HTTPSConnection(host, port, timeout=5, context=context)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == _OK
    except OSError:
        return False
    finally:
        connection.close()


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody listens on.

    They lie below those that the kernel gives to outgoing connections: while a server restarts,
    nothing takes its port by chance. Where the search begins differs from process to process.
    """
    begin = os.getpid() * 7 % len(PORTS)
    order = (PORTS[(begin + step) % len(PORTS)] for step in range(len(PORTS)))
    found = list(itertools.islice((port for port in order if is_free(port)), count))
    if len(found) < count:
        raise OSError(f"expected {count} free ports in {PORTS}, found {len(found)}")
    _taken.update(found)
    return found


def is_free(port: int) -> bool:
    """Tell whether nobody has this port, and we have not handed it out before."""
    if port in _taken:
        return False
    try:
        socket.create_server((LOCALHOST, port)).close()
    except OSError:
        return False
    return True


_taken: Final[set[int]] = set()
