"""The cluster's programs, built from Go modules of exact versions, once per content.

Each folder of ``go/`` is a module of its own with a committed go.mod and go.sum: their dependencies
disagree, and the sums are what makes a build the one that was tried. What was built is kept under a
key of those files and the flags. The version stands in go.mod and nowhere else.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e.cluster import paths
from tests.e2e.cluster.shell import CommandFailed, only_one, run, say, tail

TICK_SECONDS: Final = 15.0
"""A build that takes long says so this often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One program: where its module lies and what of it is built."""

    name: str
    folder: str
    module: str
    command: str = ""
    variables: tuple[str, ...] = ()
    """Go variables set to values at link time; ``{version}``, ``{minor}`` are filled in."""

    @property
    def directory(self) -> Path:
        """The folder with go.mod."""
        return paths.GO_MODULES / self.folder

    @property
    def package(self) -> str:
        """What is handed to ``go build``; ``.`` where the program's main is ours."""
        return "." if self.command == "." else f"{self.module}{self.command}"

    def version(self) -> str:
        """Return the version that go.mod asks for, such as ``v1.34.4``."""
        return required_version((self.directory / "go.mod").read_text(), self.module)

    def link_flags(self) -> str:
        """Return what the linker is told: no debug symbols, and the version's name."""
        version = self.version()
        minor = version.split(".")[1]
        texts = (text.format(version=version, minor=minor) for text in self.variables)
        return " ".join(["-s", "-w", *(f"-X {text}" for text in texts)])

    def path(self) -> Path:
        """Return where the built program lies, whether it is there or not."""
        return paths.binaries() / f"{self.name}-{self.version()}-{self.key()}" / self.name

    def key(self) -> str:
        """Return the content key: changes when the program would."""
        sources = [*sorted(self.directory.glob("*.go")), *_module_files(self.directory)]
        parts = [self.package, self.link_flags(), *(path.read_text() for path in sources)]
        return content_key(parts)


_COMPONENT: Final = "k8s.io/component-base/version"
KUBERNETES: Final = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)


def _of_kubernetes(name: str) -> Tool:
    return Tool(
        name=name,
        folder="kubernetes",
        module="k8s.io/kubernetes",
        command=f"/cmd/{name}",
        variables=(
            f"{_COMPONENT}.gitVersion={{version}}",
            f"{_COMPONENT}.gitMajor=1",
            f"{_COMPONENT}.gitMinor={{minor}}",
            f"{_COMPONENT}.gitTreeState=clean",
            "k8s.io/client-go/pkg/version.gitVersion={version}",
        ),
    )


_CNPG: Final = "github.com/cloudnative-pg"
_TOOLS: Final = (
    Tool(name="etcd", folder="etcd", module="go.etcd.io/etcd/server/v3"),
    *(_of_kubernetes(name) for name in KUBERNETES),
    Tool(
        name="cloudnative-pg",
        folder="cloudnative-pg",
        module=f"{_CNPG}/cloudnative-pg",
        command="/cmd/manager",
    ),
    Tool(name="coredns", folder="coredns", module="github.com/coredns/coredns", command="."),
    Tool(
        name="helm",
        folder="helm",
        module="helm.sh/helm/v3",
        command="/cmd/helm",
        variables=("helm.sh/helm/v3/internal/version.version={version}",),
    ),
    Tool(
        name="kubeconform",
        folder="kubeconform",
        module="github.com/yannh/kubeconform",
        command="/cmd/kubeconform",
    ),
    Tool(
        name="versitygw",
        folder="versitygw",
        module="github.com/versity/versitygw",
        command="/cmd/versitygw",
    ),
    Tool(
        name="plugin-barman-cloud",
        folder="plugin-barman-cloud",
        module=f"{_CNPG}/plugin-barman-cloud",
        command="/cmd/manager",
    ),
    Tool(
        name="netpol-analyzer",
        folder="netpol-analyzer",
        module="github.com/np-guard/netpol-analyzer",
        command="/cmd/netpolicy",
    ),
    Tool(
        name="metrics-server",
        folder="metrics-server",
        module="sigs.k8s.io/metrics-server",
        command="/cmd/metrics-server",
    ),
)
TOOLS: Final = {tool.name: tool for tool in _TOOLS}
ON_PATH: Final = ("kubectl", "helm", "kubeconform", "netpol-analyzer")
"""What a person or a test calls by name."""


class UnknownTool(ValueError):
    """A name that is not in the list of programs."""


def required_version(go_mod: str, module: str) -> str:
    """Return the version of a module that a go.mod requires.

    Raises:
        ValueError: it does not require that module.
    """
    found = re.search(rf"^(?:require\s+|\s+){re.escape(module)}\s+(v\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise ValueError(f"expected go.mod to require {module}, found no such line")
    return found[1]


def content_key(parts: Iterable[str]) -> str:
    """Return twelve characters that change with any of the parts, or their order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()[:12]


def _module_files(directory: Path) -> list[Path]:
    return [directory / "go.mod", directory / "go.sum"]


def chosen(names: Iterable[str]) -> list[Tool]:
    """Return the programs of these names; all of them when no name is given.

    Raises:
        UnknownTool: there is none of that name.
    """
    wanted = list(names) or list(TOOLS)
    unknown = sorted(set(wanted) - set(TOOLS))
    if unknown:
        raise UnknownTool(f"expected one of {', '.join(TOOLS)}; received {', '.join(unknown)}")
    return [TOOLS[name] for name in wanted]


def ensure(*names: str) -> dict[str, Path]:
    """Build the programs that are not in the cache, and return the path of each.

    Args:
        names: names of ``TOOLS``; none means all.

    Raises:
        UnknownTool: there is no program of that name.
        CommandFailed: the Go tool is missing or a build failed.
    """
    return {tool.name: _ensure(tool) for tool in chosen(names)}


def _ensure(tool: Tool) -> Path:
    path = tool.path()
    if not path.exists():
        with only_one(paths.binaries() / f".{tool.folder}.lock"):
            if not path.exists():
                _build(tool, path)
    return path


def _build(tool: Tool, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    command = ["go", "build", "-v", "-mod=readonly", "-trimpath", "-buildvcs=false"]
    command += ["-ldflags", tool.link_flags(), "-o", str(unfinished), tool.package]
    started = time.monotonic()
    say(f"  build    {tool.name} {tool.version()}")
    _run_shown(tool, command, path.with_suffix(".log"))
    unfinished.rename(path)
    size = path.stat().st_size / 1e6
    say(
        f"  built    {tool.name} {tool.version()}: {time.monotonic() - started:.0f} s, {size:.0f} MB"
    )
    _drop_older(tool, path)


def _run_shown(tool: Tool, command: list[str], log: Path) -> None:
    if shutil.which("go") is None:
        raise CommandFailed("expected the Go tool on the PATH: install Go 1.26 or newer")
    started = time.monotonic()
    with log.open("w") as file:
        child = subprocess.Popen(
            ["nice", "-n", "5", *command],
            cwd=tool.directory,
            env=paths.environment() | {"CGO_ENABLED": "0", "GOFLAGS": ""},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        while (status := _wait(child)) is None:
            packages = log.read_text().count("\n")
            elapsed = time.monotonic() - started
            say(f"  …        {tool.name}: {elapsed:.0f} s, {packages} packages")
    if status != 0:
        raise CommandFailed(f"go build {tool.package} failed:\n{tail(log.read_text())}")


def _wait(child: subprocess.Popen[bytes]) -> int | None:
    try:
        return child.wait(TICK_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _drop_older(tool: Tool, path: Path) -> None:
    """Delete earlier builds of the same program; nothing asks for them again."""
    pattern = re.compile(rf"{re.escape(tool.name)}-v[^/]*-[0-9a-f]{{12}}")
    for folder in paths.binaries().iterdir():
        if folder != path.parent and pattern.fullmatch(folder.name):
            shutil.rmtree(folder)


def source_of(name: str) -> Path:
    """Return the folder of a program's module in Go's module cache, fetched if it is missing."""
    tool = TOOLS[name]
    listed = run(
        ["go", "mod", "download", "-json", tool.module], cwd=tool.directory, extra={"GOFLAGS": ""}
    )
    found = re.search(r'"Dir":\s*"([^"]+)"', listed)
    if found is None:
        raise CommandFailed(f"expected go mod download to tell a folder, received:\n{listed}")
    return Path(found[1])
