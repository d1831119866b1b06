"""The installer's answers on machines that lack something; nothing is downloaded."""

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path):
    """A clone's files as far as the installer reads them, and an empty PATH beside the system's."""
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "install.sh", tmp_path / "tools")
    for name in ("pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def program(path, text):
    """Write an executable shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def install(checkout, *, python):
    """Run the installer with an interpreter of our choice."""
    return subprocess.run(
        ["env", f"RECIO_PYTHON={python}", "sh", "tools/install.sh", "run"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_old_python_is_named(checkout):
    """RECIO_PYTHON that is too old is refused before anything is made."""
    old = program(checkout / "old", "exit 1")
    done = install(checkout, python=old)
    assert done.returncode != 0
    assert f"RECIO_PYTHON={old} is no Python 3.11 or newer." in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_without_venv_says_what_to_install(checkout):
    """Debian splits venv from Python: the answer is its package, and no half environment stays."""
    real = shutil.which("python3")
    python = program(
        checkout / "python",
        f'[ "$2" = venv ] && {{ echo "ensurepip is not available"; exit 1; }}\nexec {real} "$@"',
    )
    done = install(checkout, python=python)
    assert done.returncode != 0
    assert "sudo apt-get install python3-venv" in done.stderr
    assert "ensurepip is not available" in done.stderr
    assert not (checkout / ".venv").exists()


def test_the_kind_of_environment_is_checked(checkout):
    """A typing error in the Makefile is not taken for something else."""
    done = subprocess.run(
        ["sh", "tools/install.sh", "nonsense"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "expected run or dev" in done.stderr
