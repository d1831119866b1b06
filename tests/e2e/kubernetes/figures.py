"""What was measured on the way: printed at the end of the run and kept with the proof."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Figures:
    """Named measurements of one run."""

    seconds: dict[str, float] = field(default_factory=dict)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def took(self, what: str, seconds: float, *, at_most: float | None = None) -> None:
        """Remember how long something took; with a budget, say on which side of it that is."""
        self.seconds[what] = seconds
        if at_most is not None:
            self.seconds[f"{what}: budget"] = at_most

    def lines(self) -> list[str]:
        """Return everything as lines for a person."""
        made = []
        for what, seconds in self.seconds.items():
            if what.endswith(": budget"):
                continue
            budget = self.seconds.get(f"{what}: budget")
            told = "" if budget is None else f" (at most {budget:g}: {_verdict(seconds, budget)})"
            made.append(f"{seconds:8.1f} s  {what}{told}")
        for title, rows in self.tables.items():
            made += ["", title, *_table(rows)]
        return made


def _verdict(seconds: float, budget: float) -> str:
    return "kept" if seconds <= budget else "MISSED"


def _table(rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    heads = list(rows[0])
    widths = [
        max(len(str(row[head])) for row in [*rows, dict(zip(heads, heads, strict=True))])
        for head in heads
    ]
    lines = [heads, *([str(row[head]) for head in heads] for row in rows)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    ]
