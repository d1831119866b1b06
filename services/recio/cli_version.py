"""Show the versions of this program, Python, and the libraries that matter."""

from __future__ import annotations

import argparse
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Final

EXAMPLES: Final = "example:\n  recio version\n"

_PACKAGES: Final = ("recio", "psycopg", "redis", "msgspec", "uvicorn", "cryptography")


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """Declare nothing."""


def run(_arguments: argparse.Namespace) -> int:
    """Print one line each."""
    for name in _PACKAGES:
        try:
            print(f"{name} {version(name)}")
        except PackageNotFoundError:
            print(f"{name} is not installed")
    print(f"Python {platform.python_version()} on {platform.platform()}")
    return 0
