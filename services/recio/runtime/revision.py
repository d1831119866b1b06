"""Names the code that decides, so that a replay can say whether it is the code that decided then."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from typing import Final

_PACKAGES: Final = ("recio.domain", "recio.engine")
_SHOWN: Final = 12


@lru_cache(maxsize=1)
def deciding_code() -> str:
    """Return the beginning of the SHA-256 over the sources of domain and engine."""
    made = hashlib.sha256()
    for package in _PACKAGES:
        for one in sorted(resources.files(package).iterdir(), key=lambda each: each.name):
            if one.name.endswith(".py"):
                content = one.read_bytes()
                made.update(f"{package}/{one.name} {len(content)}\n".encode())
                made.update(content)
    return made.hexdigest()[:_SHOWN]


def version() -> str:
    """Return the version of the product as it is installed."""
    try:
        return installed("recio")
    except PackageNotFoundError:
        return "not installed"
