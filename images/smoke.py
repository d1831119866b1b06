# ruff: noqa: INP001, T201  (a program, no package)
"""Looks at the image from inside: what must be there is there, what must not is not.

Fed to the image's own Python on standard input by images/smoke.sh, as the image's user, with a
read-only root and no network. Prints one line for each check; status 1 if any is wrong.
"""

import importlib
import importlib.util
import os
import pkgutil
import shutil
import ssl
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from zoneinfo import ZoneInfo

OURS = ("recio", "recio_operator")
LEFT_AS_SOURCE = ("/kubernetes/client/", "/kubernetes/aio/client/", "/kubernetes/aio/e2e_test/")
USER = 65532
FEWEST_AUTHORITIES = 50
TEMPORARY = Path("/tmp")  # noqa: S108  (the only folder that may be written)

Check = Callable[[], str]


def user() -> str:
    """Run as a number that is not root's."""
    assert (os.getuid(), os.getgid()) == (USER, USER), (os.getuid(), os.getgid())
    return f"uid {os.getuid()}"


def read_only() -> str:
    """Write nowhere but in /tmp."""
    for folder in ("/", "/opt/recio", "/etc", "/usr"):
        try:
            (Path(folder) / "written").touch()
        except OSError:
            continue
        raise AssertionError(f"{folder} can be written")
    (TEMPORARY / "written").touch()
    return "root cannot be written"


def nothing_to_build_with() -> str:
    """Leave no installer and no compiler in what we add."""
    there = [name for name in ("pip", "setuptools", "wheel") if importlib.util.find_spec(name)]
    assert not there, there
    tools = [name for name in ("pip", "gcc", "cc", "node") if shutil.which(name)]
    assert not tools, tools
    return "no pip, no compiler, no Node.js"


def imports() -> str:
    """Import every module of ours, and with it every library that they need."""
    started = time.perf_counter()
    names = [name for package in OURS for name in modules(package)]
    for name in names:
        importlib.import_module(name)
    return f"{len(names)} modules in {time.perf_counter() - started:.1f} s"


def modules(package: str) -> Iterator[str]:
    """Yield a package's modules that are no programs."""
    yield package
    root = importlib.import_module(package)
    for found in pkgutil.walk_packages(root.__path__, f"{package}."):
        if not found.name.endswith("__main__"):
            yield found.name


def binaries() -> str:
    """Load the compiled halves of the libraries."""
    import psycopg  # noqa: PLC0415

    assert psycopg.pq.__impl__ == "binary", psycopg.pq.__impl__
    importlib.import_module("uvloop")
    return f"psycopg {psycopg.__version__} binary, uvloop {version('uvloop')}"


def migrations() -> str:
    """Find the migrations where `recio migrate` looks for them."""
    from recio.adapters.postgres import migrate  # noqa: PLC0415

    return f"{len(migrate.read(migrate.directory()))} files in {migrate.directory()}"


def page() -> str:
    """Find the web page."""
    import recio  # noqa: PLC0415

    folder = Path(recio.__path__[0]) / "apps" / "main_app" / "static"
    files = sorted(folder.rglob("*.gz"))
    assert any(path.name.startswith("index.html") for path in files), folder
    return f"{len(files)} files, {sum(path.stat().st_size for path in files)} bytes"


def world() -> str:
    """Know New York's clock and whom to trust."""
    ZoneInfo("America/New_York")
    authorities = ssl.create_default_context().cert_store_stats()["x509_ca"]
    assert authorities > FEWEST_AUTHORITIES, authorities
    return f"time zones, {authorities} certificate authorities"


def bytecode() -> str:
    """Have bytecode for every module, since the root cannot be written later."""
    sources = [
        path
        for path in Path(sys.prefix).rglob("*.py")
        if not any(part in str(path) for part in LEFT_AS_SOURCE)
    ]
    missing = [
        str(path)
        for path in sources
        if not Path(importlib.util.cache_from_source(str(path))).exists()
    ]
    assert not missing, missing[:5]
    return f"{len(sources)} modules"


def bill() -> str:
    """Carry the list of what is inside."""
    path = Path(sys.prefix) / "share" / "sbom.cdx.json"
    return f"{path}, {path.stat().st_size} bytes"


def command(words: list[str], *, status: int, one_line: bool = False) -> Check:
    """Make a check that runs a command and looks at its status and its errors."""

    def check() -> str:
        done = subprocess.run(  # noqa: S603  (our own words)
            words, capture_output=True, text=True, timeout=60, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        lines = (done.stderr if one_line else done.stdout + done.stderr).strip().splitlines()
        assert not one_line or len(lines) == 1, lines
        return (lines or [""])[0]

    check.__doc__ = f"Run {' '.join(words)}: status {status}"
    return check


def checks() -> Iterator[tuple[str, Check]]:
    """Yield every check with its name, commands before the imports that would warm them."""
    yield "recio version", command(["recio", "version"], status=0)
    yield "recio --help", command(["recio", "--help"], status=0)
    yield "recio doctor", command(["recio", "doctor"], status=1)
    words = ["recio", "run", "trade_executor"]
    yield "recio run without settings", command(words, status=1, one_line=True)
    yield "recio-operator --help", command(["recio-operator", "--help"], status=0)
    for check in (
        user, read_only, nothing_to_build_with, binaries, migrations, page, world, bytecode, bill,
        imports,
    ):  # fmt: skip
        yield check.__name__.replace("_", " "), check


def is_right(name: str, check: Check) -> bool:
    """Print what a check finds."""
    try:
        print(f"  ok     {name:28} {check()}")
    except Exception as error:  # noqa: BLE001  (the outermost loop of this program)
        where = traceback.extract_tb(error.__traceback__)[-1]
        print(f"  WRONG  {name:28} {type(error).__name__}: {error} ({where.name}:{where.lineno})")
        return False
    return True


if __name__ == "__main__":
    found = [is_right(name, check) for name, check in checks()]
    sys.exit(0 if all(found) else 1)
