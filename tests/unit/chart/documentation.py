"""Tables of docs/chart.md that follow from the chart; UPDATE_GOLDEN=1 writes them."""

from __future__ import annotations

import re

from tests.e2e.cluster import paths
from tests.unit.chart import rendering

PAGE = rendering.ROOT / "docs" / "chart.md"


def check(part: str, wanted: str) -> None:
    """Compare a part of the page, or write it."""
    page = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"(<!-- chart: {part} -->\n)(.*?)\n(<!-- end -->)", page, re.DOTALL)
    assert found is not None, f"expected <!-- chart: {part} --> … <!-- end --> in {PAGE.name}"
    if paths.environment().get("UPDATE_GOLDEN"):
        new = page[: found.start(2)] + wanted + page[found.end(2) :]
        PAGE.write_text(new, encoding="utf-8")
        return
    assert found[2] == wanted, f"{PAGE.name}: mend it with UPDATE_GOLDEN=1 pytest tests/unit/chart"
