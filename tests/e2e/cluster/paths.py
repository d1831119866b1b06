"""Where the test cluster keeps things, and the only place here that reads the environment.

All of it lies below one cache folder (``$XDG_CACHE_HOME/recio/cluster``): built programs and images
may be deleted at any time, they are made again; ``node/`` is the running cluster and belongs to
``down``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
REPOSITORY: Final = HERE.parents[2]
GO_MODULES: Final = HERE / "go"


def environment() -> dict[str, str]:
    """Return a copy of the environment, to be changed and handed to a child."""
    return dict(os.environ)  # noqa: TID251 - tools of the outside are steered by it


def cache() -> Path:
    """Return the folder below which everything is kept."""
    told = environment().get("XDG_CACHE_HOME")
    base = Path(told) if told else Path.home() / ".cache"
    return base / "recio" / "cluster"


def binaries() -> Path:
    """Return the folder of the built programs."""
    return cache() / "bin"


def images() -> Path:
    """Return the folder of the built image archives."""
    return cache() / "images"


def image_store() -> Path:
    """Return containerd's folder: it outlives a cluster, so that images are unpacked once."""
    return cache() / "containerd"


def node() -> Path:
    """Return the folder of the running cluster: its state, logs, certificates and pids."""
    return cache() / "node"
