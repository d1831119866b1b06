"""What ``recio up`` is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recio.domain.account_config import Topology

UI_PORT = 3000
DATABASE = "recio"
ENVIRONMENT = "paper"
SHADOW_ENVIRONMENT = "shadow"
EXAMPLE_FOLDER = Path("k8s/examples")
EXAMPLE_FILE = "paper-account.yaml"
RECORDING_FILE = "recording-account.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """The options of a local run.

    ``account_file`` None is the example that fits the world. ``start_us`` counts only for a fresh state. ``recording`` plays the recorded 15-minute market
    instead of the hourly ladder; ``regime`` is the kind of market that is simulated. ``fast_seconds`` runs that much market time stepped, in one
    process, and ends. ``database_url`` and ``redis_url`` replace the embedded servers.
    ``is_shadow`` trades on a mirror: of production, read with ``read_key``, or without one of the
    simulated market as if it were production.
    """

    state: Path
    account_file: Path | None = None
    accounts: int = 1
    speed: int = 1
    start_us: int | None = None
    topology: Topology | None = None
    is_fresh: bool = False
    is_live: bool = False
    recording: str | None = None
    regime: str | None = None
    is_shadow: bool = False
    read_key: Path | None = None
    fast_seconds: int | None = None
    database_url: str | None = None
    redis_url: str | None = None
    port: int = UI_PORT
    host: str = "127.0.0.1"
