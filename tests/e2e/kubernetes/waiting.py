"""Waiting for a real cluster: ask until it holds, and explain the failure when it does not.

Nothing here sleeps and hopes: a wait has a deadline and names what it waits for. A probe that
cannot ask (the API server or the database is away on purpose) has simply not seen it yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

import pytest
from tests.e2e.cluster import paths
from tests.e2e.cluster.shell import CommandFailed

T = TypeVar("T")
PAUSE_SECONDS: Final = 0.5
PATIENCE: Final = float(paths.environment().get("RECIO_E2E_PATIENCE", "1"))
"""All deadlines are multiplied by it: for a machine that has other work to do."""


def wait_for(
    what: str,
    probe: Callable[[], T | None],
    *,
    seconds: float,
    explain: Callable[[], str] | None = None,
) -> T:
    """Ask until something true comes back and return it; fail with everything known if it does not.

    Args:
        what: what is waited for, as it reads after "expected".
        probe: asks once.
        seconds: how long to go on.
        explain: tells the state of the cluster; asked only when the wait failed.
    """
    started = time.monotonic()
    last: object = None
    while True:
        try:
            answer = probe()
        except CommandFailed as error:
            answer, last = None, error
        else:
            if answer:
                return answer
            last = answer
        if time.monotonic() - started > seconds * PATIENCE:
            break
        time.sleep(PAUSE_SECONDS)
    told = f"\n{explain()}" if explain else ""
    pytest.fail(
        f"expected {what} within {seconds * PATIENCE:.0f} s; last seen: {last}{told}", pytrace=False
    )


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def seconds(self) -> float:
        """Return how long it has been."""
        return round(time.monotonic() - self._started, 1)
