"""Browser tests go last: the browser's driver keeps an event loop running in the test process."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Move everything of this folder behind the rest, whatever the random order was."""
    items.sort(key=lambda item: (HERE in item.path.parents, HERE / "ui" in item.path.parents))
