"""Which days are played, and the table of which fault met an order in which state."""

from __future__ import annotations

from typing import Any

from tests.e2e.cluster import paths

from recio.simulation import hits

# The days by chance are played on request; test_matrix.py says why.
collect_ignore = [] if paths.environment().get("SIMULATE") else ["test_matrix.py"]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Write the table of hits."""
    if lines := hits.table():
        terminalreporter.section("faults by order state")
        for line in lines:
            terminalreporter.write_line(line)
