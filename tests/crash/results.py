"""What came of every boundary, kept in one JSON file that a stopped run goes on with.

Results belong to a state of the code: the digest of the product's sources and of this harness stands
beside them, and with another one they are made anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from tests.crash.boundaries import Point

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docs" / "reliability" / "crash_points.json"
COMMAND = "python -m tests.crash --all"
EQUAL, UNSENT, DIFFERING, MISSED = "equal", "entry died unsent", "differing", "not reached"


@dataclass(slots=True, kw_only=True)
class Result:
    """What came of one boundary. ``reason``: what differs, or which market's entry died."""

    point: str
    outcome: str
    reason: str = ""
    recovery_s: float | None = None


@dataclass(slots=True, kw_only=True)
class Series:
    """All results of one topology, for one state of the code."""

    code: str = ""
    points: set[str] = field(default_factory=set)
    unsteady: int = 0
    """Boundaries that only some clean runs have: reads that a poll or a hint may save."""
    results: dict[str, Result] = field(default_factory=dict)

    def add(self, points: Iterable[Point]) -> None:
        """Take in the boundaries of clean runs; those of an earlier start stay."""
        self.points |= {str(point) for point in points}

    def missing(self) -> list[Point]:
        """Return the boundaries without a result."""
        return [Point.parse(name) for name in sorted(self.points - self.results.keys())]

    def document(self) -> dict[str, Any]:
        """Return it for the file."""
        results = list(self.results.values())
        count = {
            outcome: sum(one.outcome == outcome for one in results)
            for outcome in (EQUAL, UNSENT, DIFFERING, MISSED)
        }
        return {
            "code": self.code,
            "points": len(self.points),
            "points_of_some_clean_runs_only": self.unsteady,
            "killed": len(results) - count[MISSED],
            "equal": count[EQUAL],
            "entry_died_unsent": count[UNSENT],
            "differing": count[DIFFERING],
            "not_reached": count[MISSED],
            "differences": {one.point: one.reason for one in results if one.outcome == DIFFERING},
            "by_service": _by_service(results),
            "recovery_seconds": _recovery(results),
            "to_go": sorted(self.points - self.results.keys()),
            "results": {
                one.point: [one.outcome, one.recovery_s, one.reason]
                for one in sorted(results, key=lambda one: one.point)
            },
        }


def _by_service(results: list[Result]) -> dict[str, dict[str, int]]:
    made: dict[str, dict[str, int]] = {}
    for one in results:
        counts = made.setdefault(one.point.partition(" / ")[0], {})
        counts[one.outcome] = counts.get(one.outcome, 0) + 1
    return dict(sorted(made.items()))


def _recovery(results: list[Result]) -> dict[str, dict[str, float]]:
    """Seconds from the kill until the new process says that it is ready."""
    taken: dict[str, list[float]] = {}
    for one in results:
        if one.recovery_s is not None:
            taken.setdefault(one.point.partition(" / ")[0], []).append(one.recovery_s)
    return {
        name: {"count": len(s), "p50": round(median(s), 2), "max": round(max(s), 2)}
        for name, s in sorted(taken.items())
    }


_CODE = (
    ("services/recio", "*.py"),
    ("migrations", "*.sql"),
    *(("tests/crash", f"{name}.py") for name in ("ground", "market", "proxy", "script", "state")),
)
"""What a result hangs on: the product, the script, where bytes are held and what is compared."""


def code_digest() -> str:
    """Return what names the code that the results belong to."""
    digest = hashlib.sha256()
    for folder, pattern in _CODE:
        for path in sorted((ROOT / folder).rglob(pattern)):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@dataclass(slots=True, kw_only=True)
class Record:
    """The file."""

    path: Path
    series: dict[str, Series] = field(default_factory=dict)
    recovery: dict[str, Any] = field(default_factory=dict)
    """What ``--recovery`` measured."""

    @classmethod
    def load(cls, path: Path) -> Record:
        """Return what the file holds."""
        made = cls(path=path)
        if not path.exists():
            return made
        found = json.loads(path.read_text())
        made.recovery = found["recovery"]
        for topology, document in found["topologies"].items():
            made.series[topology] = Series(
                code=document["code"],
                points={*document["to_go"], *document["results"]},
                unsteady=document["points_of_some_clean_runs_only"],
                results={
                    point: Result(point=point, outcome=row[0], recovery_s=row[1], reason=row[2])
                    for point, row in document["results"].items()
                },
            )
        return made

    def begin(self, topology: str, *, code: str, is_fresh: bool) -> Series:
        """Return a topology's results to go on with: none if they are of other code."""
        held = self.series.get(topology)
        if held is None or is_fresh or held.code != code:
            held = self.series[topology] = Series(code=code)
        return held

    def save(self) -> None:
        """Write the file whole, so that a stop leaves the last one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        document = {
            "command": COMMAND,
            "topologies": {name: one.document() for name, one in sorted(self.series.items())},
            "recovery": self.recovery,
        }
        beside = self.path.with_suffix(".unfinished")
        beside.write_text(json.dumps(document, indent=1) + "\n")
        beside.replace(self.path)
