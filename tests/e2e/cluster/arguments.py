"""The command lines of the control plane, as data: the same for one node and for none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e.cluster.certificates import Authority, Pair, signing_key

SERVICE_RANGE: Final = "10.43.0.0/16"
KUBERNETES_SERVICE: Final = "10.43.0.1"
DNS_SERVICE: Final = "10.43.0.10"
POD_RANGE: Final = "10.42.0.0/16"
NODE_CONTROLLERS_OFF: Final = (
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "root-ca-certificate-publisher-controller",
)
"""What runs without a node: nothing that would make pods, or overwrite a status a test wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Every certificate of a control plane, below one folder."""

    authority: Authority
    directory: Path
    server: Pair
    admin: Pair
    front_proxy: Pair
    service_accounts: Pair

    @classmethod
    def below(cls, directory: Path, addresses: tuple[str, ...]) -> Credentials:
        """Make the certificates in a folder, or read those that are there."""
        authority = Authority(directory)
        names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")
        return cls(
            authority=authority,
            directory=directory,
            server=authority.issue("apiserver", "kube-apiserver", names=(*names, *addresses)),
            admin=authority.issue("admin", "admin", groups=("system:masters",)),
            front_proxy=authority.issue("front-proxy", "front-proxy-client"),
            service_accounts=signing_key(directory),
        )


def etcd(data: Path, port: int, peer_port: int) -> list[str]:
    """Return the arguments of etcd: one member, on this machine, that trusts its disk."""
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    return [
        f"--data-dir={data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def apiserver(
    credentials: Credentials, *, etcd_port: int, port: int, bind: str, advertise: str
) -> list[str]:
    """Return the arguments of kube-apiserver."""
    accounts, front = credentials.service_accounts, credentials.front_proxy
    authority = credentials.authority.pair.certificate
    return [
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        f"--secure-port={port}",
        f"--bind-address={bind}",
        f"--advertise-address={advertise}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--cert-dir={credentials.directory}",
        f"--tls-cert-file={credentials.server.certificate}",
        f"--tls-private-key-file={credentials.server.key}",
        f"--client-ca-file={authority}",
        f"--service-account-key-file={accounts.certificate}",
        f"--service-account-signing-key-file={accounts.key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
        "--v=1",
        f"--kubelet-client-certificate={credentials.admin.certificate}",
        f"--kubelet-client-key={credentials.admin.key}",
        f"--kubelet-certificate-authority={authority}",
        # By address: the node's name is known to no name server.
        "--kubelet-preferred-address-types=InternalIP",
        "--enable-aggregator-routing=true",
        f"--requestheader-client-ca-file={authority}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={front.certificate}",
        f"--proxy-client-key-file={front.key}",
    ]


def controller_manager(credentials: Credentials, kubeconfig: Path) -> list[str]:
    """Return the arguments of kube-controller-manager with every controller."""
    authority = credentials.authority.pair
    return [
        f"--kubeconfig={kubeconfig}",
        f"--root-ca-file={authority.certificate}",
        f"--service-account-private-key-file={credentials.service_accounts.key}",
        f"--cluster-signing-cert-file={authority.certificate}",
        f"--cluster-signing-key-file={authority.key}",
        f"--cert-dir={credentials.directory}",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--profiling=false",
    ]


def kubeconfig(server: str, authority: Path, user: Pair) -> str:
    """Return the text of a kubeconfig."""
    return _KUBECONFIG.format(
        server=server, authority=authority, certificate=user.certificate, key=user.key
    )


_KUBECONFIG: Final = """\
apiVersion: v1
kind: Config
current-context: recio-test
contexts:
- name: recio-test
  context: {{cluster: recio-test, user: recio-test}}
clusters:
- name: recio-test
  cluster: {{server: "{server}", certificate-authority: "{authority}"}}
users:
- name: recio-test
  user: {{client-certificate: "{certificate}", client-key: "{key}"}}
"""
