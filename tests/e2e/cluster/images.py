"""The images that the cluster itself needs, and bases for ours, from Debian packages and programs.

Written as OCI archives without a container engine, cached by content: what is in them, not when
they were made. Debian's packages are the newest ones of the day; ``images --again`` renews them.

Users other than root: ``postgresql`` runs as 26 (CloudNativePG's), ``pgbouncer`` as 998,
``redis`` as 999 with data in /data, ``python`` as 65532.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.e2e.cluster import binaries, oci, paths
from tests.e2e.cluster.binaries import content_key
from tests.e2e.cluster.shell import only_one, run, say, stage

REGISTRY: Final = "recio.test"
NEEDED: Final = ("pause", "coredns", "cloudnative-pg", "postgresql")
"""Enough for a cluster that takes a database; the rest is made when it is asked for."""

_LEFT_OUT: Final = ("man", "doc", "info", "locale", "lintian", "bash-completion")
_SYSTEM_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
POSTGRES_PROGRAMS: Final = "/usr/lib/postgresql/17/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Debian:
    """A layer of Debian packages."""

    suite: str
    packages: tuple[str, ...]
    hook: str = ""
    """Shell that may change the finished tree, which is ``$1``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image: packages below, programs above."""

    name: str
    tag: str
    config: oci.Config
    debian: Debian | None = None
    programs: tuple[tuple[str, str], ...] = field(default=())
    """Paths in the image and the tool that lies there."""

    @property
    def full_name(self) -> str:
        """The name that a pod writes."""
        return f"{REGISTRY}/{self.name}:{self.tag}"

    def key(self) -> str:
        """Return the content key of everything that goes in."""
        return content_key([repr(self), *(_program_key(tool) for _, tool in self.programs)])

    def archive(self) -> Path:
        """Return where the archive lies, whether it is there or not."""
        return paths.images() / f"{self.name}-{self.tag}-{self.key()}.tar"


def _version(tool: str) -> str:
    return binaries.TOOLS[tool].version().removeprefix("v")


def _program_key(tool: str) -> str:
    if tool == "pause":
        return (paths.HERE / "images" / "pause.c").read_text()
    return binaries.TOOLS[tool].key()


def all_images() -> dict[str, Image]:
    """Return every image by its short name."""
    return {image.name: image for image in (*_programs(), *_services(), *_databases())}


def _programs() -> Iterable[Image]:
    nobody = "65532:65532"
    yield Image(
        name="pause",
        tag="1",
        config=oci.Config(user="65535:65535", entrypoint=("/pause",)),
        programs=(("/pause", "pause"),),
    )
    yield Image(
        name="coredns",
        tag=_version("coredns"),
        config=oci.Config(user=nobody, entrypoint=("/coredns",)),
        programs=(("/coredns", "coredns"),),
    )
    # The operator looks for itself below its folder by architecture, and compares the bytes.
    yield Image(
        name="cloudnative-pg",
        tag=_version("cloudnative-pg"),
        config=oci.Config(user=nobody, entrypoint=("/manager",)),
        programs=(
            ("/manager", "cloudnative-pg"),
            ("/operator/manager_amd64", "cloudnative-pg"),
        ),
    )
    yield Image(
        name="versitygw",
        tag=_version("versitygw"),
        config=oci.Config(user=nobody, entrypoint=("/versitygw",)),
        programs=(("/versitygw", "versitygw"),),
    )
    yield Image(
        name="plugin-barman-cloud",
        tag=_version("plugin-barman-cloud"),
        config=oci.Config(user=nobody, entrypoint=("/manager",)),
        programs=(("/manager", "plugin-barman-cloud"),),
    )
    yield Image(
        name="metrics-server",
        tag=_version("metrics-server"),
        config=oci.Config(user=nobody, entrypoint=("/metrics-server",)),
        programs=(("/metrics-server", "metrics-server"),),
    )


def _services() -> Iterable[Image]:
    yield Image(
        name="python",
        tag="3.11",
        config=oci.Config(user="65532:65532", command=("python3",), environment=_path()),
        debian=Debian(
            suite="bookworm",
            # libstdc++6 is for Node.js, which builds the page; Docker's python image has it too.
            packages=(
                *("python3", "python3-venv", "python-is-python3", "ca-certificates"),
                "libstdc++6",
            ),
        ),
    )
    yield Image(
        name="redis",
        tag="7",
        config=oci.Config(
            user="999:999", command=("redis-server",), folder="/data", environment=_path()
        ),
        debian=Debian(
            suite="bookworm",
            packages=("redis-server",),
            hook='chroot "$1" usermod -u 999 redis && chroot "$1" groupmod -g 999 redis'
            ' && install -d -o 999 -g 999 "$1/data"',
        ),
    )


def _databases() -> Iterable[Image]:
    # The compiler that PostgreSQL may use for long queries is a third of the image. Without it the
    # server goes on by itself.
    yield Image(
        name="postgresql",
        tag="17",
        config=oci.Config(user="26:26", environment=_path(POSTGRES_PROGRAMS)),
        debian=Debian(
            suite="trixie",
            packages=("postgresql-17", "ca-certificates"),
            hook='chroot "$1" usermod -u 26 postgres'
            ' && rm -rf "$1"/usr/lib/x86_64-linux-gnu/libLLVM* "$1"/usr/share/i18n'
            ' "$1"/usr/lib/postgresql/17/lib/bitcode "$1"/usr/lib/postgresql/17/lib/llvmjit*',
        ),
    )
    yield Image(
        name="pgbouncer",
        tag="1.24",
        config=oci.Config(user="998:996", environment=_path()),
        debian=Debian(
            suite="trixie",
            packages=("pgbouncer",),
            # CloudNativePG's user, and the place where it looks for the program.
            hook='chroot "$1" groupadd --gid 996 pgbouncer'
            ' && chroot "$1" useradd --uid 998 --gid 996 --no-create-home pgbouncer'
            ' && ln -s ../sbin/pgbouncer "$1/usr/bin/pgbouncer"',
        ),
    )
    # The plugin's half that runs beside PostgreSQL: it calls barman's programs.
    yield Image(
        name="plugin-barman-cloud-sidecar",
        tag=_version("plugin-barman-cloud"),
        config=oci.Config(user="26:26", entrypoint=("/manager",), environment=_path()),
        debian=Debian(suite="trixie", packages=("barman-cli-cloud", "ca-certificates")),
        programs=(("/manager", "plugin-barman-cloud"),),
    )


def _path(first: str = "") -> dict[str, str]:
    path = f"{first}:{_SYSTEM_PATH}" if first else _SYSTEM_PATH
    return {"PATH": path, "LANG": "C.UTF-8"}


def ensure(*names: str, again: bool = False) -> dict[str, Path]:
    """Make the images that are not in the cache, and return the archive of each.

    Args:
        names: names of ``all_images``; none means all.
        again: make them even if they are there.

    Raises:
        KeyError: there is no image of that name.
    """
    known = all_images()
    wanted = names or tuple(known)
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise KeyError(f"expected one of {', '.join(known)}; received {', '.join(unknown)}")
    return {name: _ensure(known[name], again=again) for name in wanted}


def _ensure(image: Image, *, again: bool) -> Path:
    archive = image.archive()
    if again or not archive.exists():
        with only_one(paths.images() / f".{image.name}.lock"):
            if again or not archive.exists():
                say(f"  make     image {image.full_name}")
                with stage(f"image {image.full_name}"):
                    _make(image, archive)
                say(f"           {archive.stat().st_size / 1e6:.0f} MB {archive}")
    return archive


def _make(image: Image, archive: Path) -> None:
    files = {path: _program(tool) for path, tool in image.programs}
    with tempfile.TemporaryDirectory(dir=paths.images()) as folder:
        layers = []
        if image.debian is not None:
            layers.append(_debian_layer(image.debian, Path(folder) / "debian.tar"))
        if files:
            layers.append(Path(folder) / "files.tar")
            oci.write_layer(layers[-1], files)
        oci.write_archive(archive, image.full_name, layers, image.config)
    for older in paths.images().glob(f"{image.name}-{image.tag}-????????????.tar"):
        if older != archive:
            older.unlink()


def _program(tool: str) -> Path:
    return pause() if tool == "pause" else binaries.ensure(tool)[tool]


def _debian_layer(debian: Debian, path: Path) -> Path:
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in _LEFT_OUT]
    hooks = [f"--customize-hook={debian.hook}"] if debian.hook else []
    run(
        [
            *("mmdebstrap", "--variant=essential", "--quiet"),
            *(f"--include={','.join(debian.packages)}", *left_out, *hooks),
            *(debian.suite, path),
        ],
        # Packages are fetched by a user that must be able to enter this folder.
        extra={"TMPDIR": "/var/tmp"},
        timeout_seconds=1800,
    )
    return path


def pause() -> Path:
    """Return the static program that waits and takes in ended processes, compiled if missing."""
    source = paths.HERE / "images" / "pause.c"
    path = paths.binaries() / f"pause-{content_key([source.read_text()])}" / "pause"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        run(["gcc", "-Os", "-static", "-s", "-Wall", "-Werror", "-o", path, source])
    return path
