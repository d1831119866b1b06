"""What the cluster's programs are told."""

import json
import tomllib
from pathlib import Path

import pytest
import yaml
from tests.e2e.cluster import addons, arguments, backup, images, node, paths
from tests.e2e.cluster.arguments import Credentials
from tests.e2e.cluster.certificates import Pair

PKI = Path("/pki")


@pytest.fixture
def credentials(tmp_path):
    """Certificates of a control plane."""
    return Credentials.below(tmp_path, ("127.0.0.1",))


def test_containerd_is_told_everything_in_folders_of_its_own():
    """Nothing is read from or written to this machine's containerd."""
    told = tomllib.loads(
        node.containerd(Path("/store"), Path("/cni"), programs="/usr/lib/cni", pause="p:1")
    )
    cri = told["plugins"]["io.containerd.grpc.v1.cri"]
    assert told["root"] == "/store"
    assert cri["cni"] == {"bin_dir": "/usr/lib/cni", "conf_dir": "/cni"}
    assert cri["sandbox_image"] == "p:1"
    assert cri["restrict_oom_score_adj"] is True


def test_kubelet_runs_on_old_control_groups_below_the_cluster_s_own():
    """A host with version 1 or with swap is no reason to stop; pods are all below one group."""
    told = yaml.safe_load(node.kubelet(PKI, Path("/resolv.conf"), "recio-x"))
    assert told["failCgroupV1"] is False
    assert told["failSwapOn"] is False
    assert told["cgroupRoot"] == "/recio-x"
    assert told["maxPods"] == 110
    assert told["containerRuntimeEndpoint"].endswith(node.SOCKET)


def test_pods_get_addresses_of_the_range_that_the_servers_know():
    """kube-proxy tells pods from others by that range."""
    network = json.loads(node.network())
    subnet = network["plugins"][0]["ipam"]["ranges"][0][0]["subnet"]
    assert subnet.removesuffix(".0/24") == arguments.POD_RANGE.removesuffix(".0.0/16") + ".0"
    assert f"--cluster-cidr={arguments.POD_RANGE}" in node.proxy_arguments(Path("k"))


def test_volumes_are_of_the_default_class_and_on_the_node():
    """A claim without a class is served, by any of the volumes, when a pod wants it."""
    storage_class, *volumes = node.volumes()
    marked = storage_class["metadata"]["annotations"]
    assert marked == {"storageclass.kubernetes.io/is-default-class": "true"}
    assert storage_class["volumeBindingMode"] == "WaitForFirstConsumer"
    assert len(volumes) == node.VOLUME_COUNT == len(set(node.volume_names()))
    for volume in volumes:
        assert volume["spec"]["storageClassName"] == storage_class["metadata"]["name"]
        assert volume["spec"]["local"]["path"].startswith(node.VOLUMES)


def test_the_server_listens_where_it_was_told(credentials):
    """The arguments carry the ports, and the certificates that were made."""
    told = arguments.apiserver(
        credentials, etcd_port=1, port=2, bind="127.0.0.1", advertise="10.0.0.1"
    )
    assert {"--etcd-servers=http://127.0.0.1:1", "--secure-port=2"} <= set(told)
    files = [word.partition("=")[2] for word in told if "-file=" in word]
    assert all(Path(file).exists() for file in files)


def test_certificates_are_read_back(tmp_path):
    """A reboot finds the credentials of the first boot."""
    first = Credentials.below(tmp_path, ("127.0.0.1",))
    before = first.server.certificate.read_bytes()
    again = Credentials.below(tmp_path, ("127.0.0.1",))
    assert again.server.certificate.read_bytes() == before
    assert first.authority.pair.key.stat().st_mode & 0o077 == 0


def test_a_kubeconfig_names_its_server_and_its_files():
    """Kubectl needs nothing else."""
    text = arguments.kubeconfig("https://h:1", Path("/ca"), Pair(Path("/c"), Path("/k")))
    told = yaml.safe_load(text)
    assert told["clusters"][0]["cluster"] == {
        "server": "https://h:1",
        "certificate-authority": "/ca",
    }
    assert told["users"][0]["user"] == {"client-certificate": "/c", "client-key": "/k"}


RELEASE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: cnpg-controller-manager}
spec:
  template:
    spec:
      containers:
      - image: ghcr.io/cloudnative-pg/cloudnative-pg:1.2.3
        imagePullPolicy: Always
        env: [{name: OPERATOR_IMAGE_NAME, value: ghcr.io/cloudnative-pg/cloudnative-pg:1.2.3}]
        startupProbe: {failureThreshold: 6, periodSeconds: 5}
        readinessProbe: {periodSeconds: 10}
---
"""


def test_the_database_operator_s_image_is_ours_in_both_places():
    """The second is what it puts into database pods; nothing is pulled."""
    deployment, settings = addons.rewritten_cloudnative_pg(RELEASE, "1.2.3")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    ours = images.all_images()["cloudnative-pg"].full_name
    assert container["image"] == container["env"][0]["value"] == ours
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert container["startupProbe"]["failureThreshold"] * 1 > 6 * 5
    assert settings["data"]["POSTGRES_IMAGE_NAME"] == images.all_images()["postgresql"].full_name


def test_a_release_that_changed_is_refused():
    """An image that is named in another way would be pulled, and never come."""
    with pytest.raises(ValueError, match="twice, found it 0 times"):
        addons.rewritten_cloudnative_pg(RELEASE, "1.2.4")
    with pytest.raises(ValueError, match="once, found it 0 times"):
        backup.rewritten(RELEASE)


@pytest.mark.parametrize("path", sorted((paths.HERE / "manifests").glob("*.yaml")), ids=str)
def test_manifests_never_pull(path):
    """There is nothing to pull from."""
    for made in yaml.safe_load_all(path.read_text()):
        if made["kind"] == "Deployment":
            for container in made["spec"]["template"]["spec"]["containers"]:
                assert container["imagePullPolicy"] == "IfNotPresent"
