"""A stepped run of the whole system, made once for all tests of replay."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recio import cli
from recio.runtime.local.embedded import EmbeddedPostgres

ROOT = Path(__file__).resolve().parents[2]
PERIODS = ("13m", "3m")


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state directory of two stepped runs, one after the other, across a close."""
    made = tmp_path_factory.mktemp("j")
    for period in PERIODS:
        done = subprocess.run(
            [sys.executable, "-m", "recio", "up", "--state", str(made), "--fast", period],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return made


@pytest.fixture(scope="session")
def stepped_url(state: Path) -> Iterator[str]:
    """The database of the runs: to be read only."""
    server = EmbeddedPostgres(state / "postgres")
    server.start()
    try:
        yield server.url("recio")
    finally:
        server.stop()


@pytest.fixture(scope="session")
def exported(stepped_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that carries the runs."""
    path = tmp_path_factory.mktemp("x") / "day.journal"
    assert cli.main(["replay", "--export", str(path), "--database-url", stepped_url]) == 0
    return path
