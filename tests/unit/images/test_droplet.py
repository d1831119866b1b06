"""The paste that makes a machine: valid, small, closed to the outside, the same as its parts."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PASTE = ROOT / "k8s" / "droplet" / "cloud-init.yaml"
LARGEST_USER_DATA = 16 * 1024  # the strictest of the large providers


@pytest.fixture(scope="module")
def document():
    """Return the document that cloud-init would read."""
    return yaml.safe_load(PASTE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def files(document):
    """Return the content of every file that it writes, by path."""
    return {file["path"]: file["content"] for file in document["write_files"]}


def ran(*words):
    """Run a checker and return what it says if it is not content."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_it_is_a_cloud_config_that_fits_into_user_data():
    """Providers take no more than 16 KiB and only what begins with the magic line."""
    assert PASTE.read_text(encoding="utf-8").startswith("#cloud-config\n")
    assert PASTE.stat().st_size <= LARGEST_USER_DATA


def test_cloud_init_itself_finds_nothing_wrong():
    """The schema is cloud-init's own."""
    if shutil.which("cloud-init") is None:
        pytest.skip("cloud-init is not installed")
    assert ran("cloud-init", "schema", "--config-file", str(PASTE)) == ""


def test_its_keys_are_known(document):
    """Without cloud-init at hand: no key that it would ignore silently."""
    assert set(document) == {
        "write_files", "ssh_pwauth", "package_update", "package_upgrade", "packages", "runcmd",
    }  # fmt: skip
    for file in document["write_files"]:
        assert set(file) <= {"path", "content", "permissions"}
        assert file["path"].startswith("/")


def test_its_scripts_are_clean(files, tmp_path):
    """The machine's programs are bash that stops at the first error and that shellcheck likes."""
    programs = {path: text for path, text in files.items() if "/sbin/" in path}
    assert set(programs) == {"/usr/local/sbin/recio-install", "/usr/local/sbin/recio-backup"}
    for path, text in programs.items():
        assert text.startswith("#!/usr/bin/env bash\n")
        assert "euo pipefail\n" in text
        program = tmp_path / Path(path).name
        program.write_text(text, encoding="utf-8")
        assert ran("bash", "-n", str(program)) == ""
        if shutil.which("shellcheck"):
            assert ran("shellcheck", str(program)) == ""


def test_its_programs_may_be_run_and_its_secrets_not_read(document):
    """What holds values of yours is readable by root alone."""
    rights = {file["path"]: file.get("permissions", "0644") for file in document["write_files"]}
    assert rights["/usr/local/sbin/recio-install"] == "0755"
    assert rights["/etc/recio/install.env"] == "0600"
    assert rights["/etc/rancher/k3s/config.yaml"] == "0600"


def test_only_ssh_comes_in(files):
    """The API server answers pods, and nobody outside of the machine."""
    words = files["/usr/local/sbin/recio-install"]
    rules = [line.strip() for line in words.splitlines() if line.strip().startswith("ufw ")]
    assert "ufw default deny incoming" in rules
    assert "ufw default deny routed" in rules
    opened = [rule for rule in rules if " allow " in rule or rule.startswith("ufw limit")]
    assert [rule for rule in opened if "cni0" not in rule] == [
        "ufw default allow outgoing",
        "ufw limit 22/tcp",
    ]
    assert [rule for rule in opened if "6443" in rule] == [
        "ufw allow in on cni0 from 10.42.0.0/16 to any port 6443 proto tcp"
    ]


def test_k3s_keeps_secrets_encrypted_and_memory_for_itself(files):
    """What the small profile relies on."""
    k3s = yaml.safe_load(files["/etc/rancher/k3s/config.yaml"])
    assert k3s["secrets-encryption"] is True
    assert set(k3s["disable"]) == {"traefik", "servicelb", "metrics-server"}
    kubelet = dict(line.split("=", 1) for line in k3s["kubelet-arg"])
    assert {"system-reserved", "kube-reserved", "eviction-hard"} <= set(kubelet)
    assert k3s["kube-proxy-arg"] == ["nodeport-addresses=127.0.0.0/8"]


def test_image_and_chart_are_its_variables(files):
    """Empty by default: then the machine builds from the repository."""
    variables = dict(
        line.split("=", 1)
        for line in files["/etc/recio/install.env"].splitlines()
        if line and not line.startswith("#")
    )
    assert variables["IMAGE"] == ""
    assert variables["CHART"] == ""
    assert variables["REPOSITORY"]
    assert variables["K3S_VERSION"].startswith("v1.")


def test_cloudnative_pg_is_the_one_of_the_repository(files):
    """The paste carries a copy, because it must work without a clone."""
    own = (ROOT / "k8s" / "cnpg" / "kustomization.yaml").read_text(encoding="utf-8")
    assert files["/etc/recio/cnpg/kustomization.yaml"] == own


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("ghcr.io/me/recio:0.1.0", ("ghcr.io", "me/recio", "0.1.0", "")),
        ("localhost/recio:ab12", ("localhost", "recio", "ab12", "")),
        ("registry:5000/a/b/recio", ("registry:5000", "a/b/recio", "", "")),
        ("ghcr.io/me/recio@sha256:00", ("ghcr.io", "me/recio", "", "sha256:00")),
        ("ghcr.io/me/recio:1@sha256:00", ("ghcr.io", "me/recio", "1", "sha256:00")),
    ],
)
def test_an_image_name_is_taken_apart_for_the_chart(files, image, parts):
    """Registry, repository, tag and digest are four values of the chart."""
    words = files["/usr/local/sbin/recio-install"]
    body = words[words.index("recio() {") : words.index("firewall\nk3s_server")]
    script = f"""set -euo pipefail
    step() {{ :; }}
    helm() {{ printf '%s\\n' "$@" | sed -n 's/^image[.][a-z]*=//p'; }}
    IMAGE={image} CHART=chart VALUES=
    {body}
    recio"""
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert tuple(done.stdout.split("\n")[:4]) == parts
