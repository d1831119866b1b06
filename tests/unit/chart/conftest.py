"""Helm is built from its Go module once; a machine that can build nothing leaves these tests out."""

from __future__ import annotations

import shutil

import pytest
from tests.e2e.cluster import binaries


@pytest.fixture(scope="session", autouse=True)
def _programs() -> None:
    """Build what renders and checks charts."""
    if shutil.which("go") is None and not binaries.TOOLS["helm"].path().exists():
        pytest.skip("the chart's tests build Helm from its Go module: no go on the PATH")
    binaries.ensure("helm")
