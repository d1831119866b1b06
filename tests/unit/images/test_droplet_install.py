"""The droplet's installer run for real, with every outside program replaced by one that notes.

The rule: IMAGE and CHART decide alone what is fetched and built; a second run changes nothing.
"""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

PASTE = Path(__file__).parents[3] / "k8s" / "droplet" / "cloud-init.yaml"
NOTING = """#!/usr/bin/env bash
echo "$(basename "$0") $*" >>"$CALLS"
"""
ANSWERS = {
    "id": "echo 0",
    "hostname": "echo droplet",
    "k3s": 'case "$*" in --version) echo "k3s version v1.35.4+k3s1 (0)" ;;'
    ' *list*) cat "$IMPORTED" 2>/dev/null || true ;; esac',
    "helm": 'if [ "$1" = version ]; then echo v3.19.0; fi',
    "curl": 'while [ $# -gt 1 ]; do if [ "$1" = -o ]; then cp "$SERVED" "$2"; fi; shift; done',
    "git": 'cp -R "$CHECKOUT/." "${@: -1}"',
}
BUILD = """#!/usr/bin/env bash
while [ $# -gt 0 ]; do case $1 in --archive) archive=$2 ;; --tag) tag=$2 ;; esac; shift; done
printf '{"manifests":[{"annotations":{"org.opencontainers.image.ref.name":"%s"}}]}' "$tag" >index.json
tar -cf "$archive" index.json
echo "build $tag" >>"$CALLS"
echo "$tag" >>"$IMPORTED"
"""


class Machine:
    """A folder that the installer takes for the machine."""

    def __init__(self, folder):
        self.folder = folder
        self.calls = folder / "calls"
        (folder / "bin").mkdir()
        for name in ("ufw", "kubectl", "apt-get", "buildah", *ANSWERS):
            program = folder / "bin" / name
            program.write_text(NOTING + ANSWERS.get(name, ""), encoding="utf-8")
            program.chmod(0o755)
        checkout = folder / "checkout"
        for path in ("charts/recio", "images", "migrations", "operator", "services", "ui"):
            (checkout / path).mkdir(parents=True)
        (checkout / "images" / "build.sh").write_text(BUILD, encoding="utf-8")
        (checkout / "images" / "build.sh").chmod(0o755)
        (checkout / "pyproject.toml").touch()
        (checkout / "requirements-image.lock").touch()

    def install(self, **variables):
        """Run the installer with variables changed; return the calls it made."""
        files = {
            file["path"]: file["content"]
            for file in yaml.safe_load(PASTE.read_text())["write_files"]
        }
        settings = files["/etc/recio/install.env"]
        for name, value in variables.items():
            settings += f"{name}={value}\n"
        (self.folder / "install.env").write_text(settings, encoding="utf-8")
        self.calls.write_text("", encoding="utf-8")
        script = (
            files["/usr/local/sbin/recio-install"]
            .replace("/etc/recio/install.env", f"{self.folder}/install.env")
            .replace("/var/lib/recio", f"{self.folder}/lib")
            .replace("/var/log/", f"{self.folder}/")
        )
        done = subprocess.run(
            ["bash", "-c", script],
            capture_output=True, text=True, timeout=60, check=False, cwd=self.folder,
            env={
                "PATH": f"{self.folder}/bin:{os.defpath}",
                "CALLS": str(self.calls),
                "CHECKOUT": str(self.folder / "checkout"),
                "SERVED": str(self.folder / "served.tar"),
                "IMPORTED": str(self.folder / "imported"),
            },
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return self.calls.read_text(encoding="utf-8").splitlines()

    def serve(self, *annotations):
        """Lay out the archive that a download brings."""
        marks = ",".join(f'"{name}":"{value}"' for name, value in annotations)
        content = f'{{"manifests":[{{"annotations":{{{marks}}}}}]}}'.encode()
        with tarfile.open(self.folder / "served.tar", "w") as tar:
            entry = tarfile.TarInfo("index.json")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


@pytest.fixture
def machine(tmp_path):
    """Return a machine on which nothing happened yet."""
    return Machine(tmp_path)


def the_one(calls, beginning):
    """Return the only call that begins so."""
    (found,) = [call for call in calls if call.startswith(beginning)]
    return found


def test_from_a_registry_nothing_is_cloned_or_built(machine):
    """Both names go to helm as they are."""
    calls = machine.install(IMAGE="ghcr.io/me/recio:1", CHART="oci://ghcr.io/me/charts/recio")
    helm = the_one(calls, "helm upgrade")
    assert "oci://ghcr.io/me/charts/recio" in helm
    assert "image.repository=me/recio --set-string image.tag=1" in helm
    assert not [call for call in calls if call.split()[0] in {"git", "apt-get", "build", "curl"}]
    assert not [call for call in calls if "import" in call]


def test_from_archives_the_image_is_imported_under_its_own_name(machine):
    """The archive says what it holds."""
    machine.serve(("org.opencontainers.image.ref.name", "localhost/recio:abc"))
    calls = machine.install(IMAGE="https://host/recio.tar", CHART="/root/recio.tgz")
    assert the_one(calls, "k3s ctr images import")
    assert "image.registry=localhost" in the_one(calls, "helm upgrade")
    assert "image.tag=abc" in the_one(calls, "helm upgrade")
    assert not [call for call in calls if call.split()[0] in {"git", "build"}]


def test_an_archive_of_docker_tells_the_full_name_elsewhere(machine):
    """Docker writes the tag alone where others write the name."""
    machine.serve(
        ("io.containerd.image.name", "docker.io/me/recio:7"),
        ("org.opencontainers.image.ref.name", "7"),
    )
    calls = machine.install(IMAGE="https://host/recio.tar", CHART="/root/recio.tgz")
    assert "image.registry=docker.io" in the_one(calls, "helm upgrade")
    assert "image.tag=7" in the_one(calls, "helm upgrade")


def test_with_neither_it_builds_from_a_clone_once(machine):
    """The name follows from the content: what is there already is not built again."""
    first = machine.install()
    assert the_one(first, "git clone")
    tag = the_one(first, "build ").removeprefix("build ")
    assert f"image.tag={tag.partition(':')[2]}" in the_one(first, "helm upgrade")
    assert f"{machine.folder}/lib/source/charts/recio" in the_one(first, "helm upgrade")
    second = machine.install()
    assert not [call for call in second if call.startswith("build ")]
    assert the_one(second, "helm upgrade") == the_one(first, "helm upgrade")
    (machine.folder / "checkout" / "services" / "changed.py").write_text("x = 1\n")
    third = machine.install()
    assert the_one(third, "build ") != f"build {tag}"


@pytest.mark.parametrize("outer", ["", "recio-main/"])
def test_the_source_may_be_an_archive(machine, outer):
    """With or without a folder around everything, and with the files whose names begin with a dot."""
    (machine.folder / "checkout" / ".dockerignore").touch()
    with tarfile.open(machine.folder / "served.tar", "w:gz") as tar:
        for path in sorted((machine.folder / "checkout").iterdir()):
            tar.add(path, f"{outer}{path.name}")
    calls = machine.install(REPOSITORY="https://host/source.tar.gz")
    assert the_one(calls, "build ")
    assert (machine.folder / "lib" / "source" / ".dockerignore").exists()
    assert not [call for call in calls if call.startswith("git")]


def test_the_firewall_stands_before_anything_listens(machine):
    """No moment in which the API server is open to the world."""
    calls = machine.install()
    programs = [call.split()[0] for call in calls]
    assert programs.index("ufw") < programs.index("k3s")
    assert the_one(calls, "ufw --force enable")


def test_the_operator_of_postgresql_is_there_before_the_chart(machine):
    """The chart refuses to install without its kinds."""
    calls = machine.install()
    applied = the_one(calls, "kubectl apply --server-side")
    rolled_out = the_one(calls, "kubectl -n cnpg-system rollout status")
    assert calls.index(applied) < calls.index(rolled_out)
    assert calls.index(rolled_out) < calls.index(the_one(calls, "helm upgrade"))
