"""One release of real processes for the tests of a module; no switch outlives a test."""

from __future__ import annotations

import pytest
from tests.kill_switch.release import a_release


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A release that runs and trades."""
    yield from a_release(tmp_path_factory)


@pytest.fixture(autouse=True)
def released(release):
    """Each test begins with no switch set and nothing resting, whatever the last one left."""
    release.release_all()
