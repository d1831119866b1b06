"""Environments of the peers: one each under XDG_CACHE_HOME/recio/peers, never the project's own.

The versions are fixed, so that figures can be compared; ``uv`` of the project's environment installs
them from PyPI, with their own dependencies as resolved on that day (``freeze`` tells which).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

PEERS: Final = {
    "nautilus": "nautilus_trader==1.221.0",
    "freqtrade": "freqtrade==2026.9",
}
HERE: Final = Path(__file__).parent


def folder() -> Path:
    """Return where the environments are."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"  # noqa: TID251
    return Path(cache) / "recio" / "peers"


def python_of(name: str) -> Path:
    """Return the interpreter of a peer's environment."""
    return folder() / name / "bin" / "python"


def is_installed(name: str) -> bool:
    """Tell whether a peer can be run."""
    return python_of(name).exists()


def install(name: str) -> None:
    """Make the environment and install the peer; say what PyPI has when that fails."""
    uv = [sys.executable, "-m", "uv"]
    python = str(python_of(name))
    subprocess.run([*uv, "venv", "-q", "-p", "3.11", "--clear", str(folder() / name)], check=True)
    print(f"installing {PEERS[name]} into {folder() / name}", flush=True)
    done = subprocess.run([*uv, "pip", "install", "-q", "-p", python, PEERS[name]], check=False)
    if done.returncode:
        package = PEERS[name].partition("==")[0]
        listed = [sys.executable, "-m", "pip", "index", "versions", package]
        subprocess.run(listed, check=False)
        sys.exit(f"{PEERS[name]} cannot be installed; the list above is what there is")


def freeze(name: str) -> str:
    """Return the packages of a peer's environment, a line each."""
    uv = [sys.executable, "-m", "uv", "pip", "freeze", "-p", str(python_of(name))]
    return subprocess.run(uv, check=True, capture_output=True, text=True).stdout


def run(name: str, runs: int) -> list[dict[str, Any]]:
    """Return what a peer's own script measured, best of ``runs`` for each load."""
    script = HERE / f"with_{name}.py"
    best: dict[str, dict[str, Any]] = {}
    for _ in range(runs):
        done = subprocess.run(
            [str(python_of(name)), str(script)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{script.name} failed:\n{done.stderr[-2000:]}")
        for line in done.stdout.splitlines():
            if line.startswith("{"):
                found = json.loads(line)
                load = found["load"]
                if load not in best or found["cpu_seconds"] < best[load]["cpu_seconds"]:
                    best[load] = found
    return list(best.values())
