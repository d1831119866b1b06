"""What the node's programs are told: configuration files and arguments, as plain text.

Facts behind it: a container host without CAP_SYS_RESOURCE cannot lower its processes' rank for the
out-of-memory killer (``restrict_oom_score_adj``) nor set the size of the connection table; control
groups may still be of version 1 (``failCgroupV1``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from tests.e2e.cluster.arguments import DNS_SERVICE, POD_RANGE
from tests.e2e.cluster.machine import NODE_ADDRESS

NODE_NAME: Final = "node1"
SOCKET: Final = "/run/containerd/containerd.sock"
VOLUMES: Final = "/var/lib/recio-volumes"
VOLUME_COUNT: Final = 60
POD_SUBNET: Final = POD_RANGE.replace("/16", "/24")
CNI_PROGRAMS: Final = ("/usr/lib/cni", "/opt/cni/bin")
"""Where Debian and the plugins' own releases put them."""


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """The node's files, below one folder."""

    folder: Path

    @property
    def containerd(self) -> Path:
        """Containerd's configuration."""
        return self.folder / "containerd.toml"

    @property
    def cni(self) -> Path:
        """The folder of network configurations."""
        return self.folder / "cni"

    @property
    def kubelet(self) -> Path:
        """Kubelet's configuration."""
        return self.folder / "kubelet.yaml"

    @property
    def resolv_conf(self) -> Path:
        """The name servers of pods that use the node's: none."""
        return self.folder / "resolv.conf"


def write(
    files: NodeFiles, *, image_store: Path, pki: Path, pause: str, control_group: str
) -> None:
    """Write every configuration file of the node."""
    files.cni.mkdir(parents=True, exist_ok=True)
    (files.cni / "10-recio.conflist").write_text(network())
    programs = next((path for path in CNI_PROGRAMS if Path(path).is_dir()), CNI_PROGRAMS[0])
    files.containerd.write_text(containerd(image_store, files.cni, programs=programs, pause=pause))
    files.resolv_conf.write_text("nameserver 127.0.0.1\n")
    files.kubelet.write_text(kubelet(pki, files.resolv_conf, control_group))


def containerd(image_store: Path, cni: Path, *, programs: str, pause: str) -> str:
    """Return containerd's configuration."""
    return _CONTAINERD.format(
        image_store=image_store, socket=SOCKET, cni=cni, programs=programs, pause=pause
    )


_CONTAINERD: Final = """\
version = 2
root = "{image_store}"
state = "/run/containerd"
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{programs}"
    conf_dir = "{cni}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"""


def network() -> str:
    """Return the pods' network: a cable from each pod to the node, which routes.

    A bridge would need a kernel module for services whose pods are on the same node.
    """
    ranges = [[{"subnet": POD_SUBNET}]]
    addresses = {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]}
    plugin = {"type": "ptp", "ipMasq": False, "ipam": addresses}
    return json.dumps({"cniVersion": "1.0.0", "name": "recio", "plugins": [plugin]}, indent=1)


def kubelet(pki: Path, resolv_conf: Path, control_group: str) -> str:
    """Return kubelet's configuration."""
    configuration = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "node.crt"),
        "tlsPrivateKeyFile": str(pki / "node.key"),
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "resolvConf": str(resolv_conf),
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{control_group}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "maxPods": 110,
        # Mounted secrets follow a change in seconds instead of a minute.
        "syncFrequency": "5s",
        "nodeStatusUpdateFrequency": "4s",
        "serializeImagePulls": False,
        # Images are not to be had again; a full disk is told by other means.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
        # The default is a folder of this machine's.
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
    }
    return yaml.safe_dump(configuration, sort_keys=False)


def kubelet_arguments(kubeconfig: Path, files: NodeFiles) -> list[str]:
    """Return the arguments of kubelet."""
    return [
        f"--kubeconfig={kubeconfig}",
        f"--config={files.kubelet}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={NODE_ADDRESS}",
        "--root-dir=/var/lib/kubelet",
        "--v=1",
    ]


def proxy_arguments(kubeconfig: Path) -> list[str]:
    """Return the arguments of kube-proxy; zeros leave the kernel's settings as they are."""
    return [
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={NODE_NAME}",
        f"--cluster-cidr={POD_RANGE}",
        "--proxy-mode=nftables",
        "--oom-score-adj=0",
        "--conntrack-max-per-core=0",
        "--conntrack-min=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
    ]


def volumes() -> list[dict[str, object]]:
    """Return the default storage class and the volumes of it, made in advance.

    A volume is a folder. That a claim is served needs no provisioner, no image and no waiting; a
    volume that was released is given out again after ``Cluster.renew_volumes``.
    """
    labels = {"app.kubernetes.io/part-of": "recio-test-cluster"}
    storage_class: dict[str, object] = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "standard",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    on_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE_NAME]}
    return [storage_class] + [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "storageClassName": "standard",
                "capacity": {"storage": "100Gi"},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "local": {"path": f"{VOLUMES}/{name}"},
                "nodeAffinity": {
                    "required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}
                },
            },
        }
        for name in volume_names()
    ]


def volume_names() -> list[str]:
    """Return the names of the volumes, which are also their folders'."""
    return [f"volume-{number:02}" for number in range(1, VOLUME_COUNT + 1)]
