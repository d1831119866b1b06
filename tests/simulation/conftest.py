"""Prints which fault met an order in which state, when the tests are over."""

from __future__ import annotations

from typing import Any

from tests.simulation import hits


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Write the table of hits."""
    if lines := hits.table():
        terminalreporter.section("faults by order state")
        for line in lines:
            terminalreporter.write_line(line)
