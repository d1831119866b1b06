"""``python -m tests.simulation.planted``: plant each bug, and see that the simulation finds it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from tests.simulation.planted.bugs import BUGS, DIES, ELSEWHERE, Bug
from tests.simulation.planted.planting import ROOT, Found, Garden, hunt, plan_of, played

RESULT = ROOT / "docs" / "reliability" / "planted_bugs.json"
COMMAND = "python -m tests.simulation.planted"


def main(argv: Sequence[str] | None = None) -> int:
    """Hunt the bugs; return 0 if each was found as expected and the controls broke nothing."""
    arguments = _parser().parse_args(argv)
    bugs = [bug for bug in BUGS if not arguments.bug or bug.name in arguments.bug]
    if len(bugs) < len(arguments.bug):
        names = "\n  ".join(bug.name for bug in BUGS)
        _say(f"--bug: expected some of\n  {names}")
        return 2
    rows = _read(arguments.results)
    with tempfile.TemporaryDirectory(prefix="recio-planted-") as place:
        garden = Garden(Path(place))
        for number, bug in enumerate([] if arguments.control_only else bugs, 1):
            _say(f"[{number}/{len(bugs)}] {bug.name}")
            rows["bugs"][bug.name] = _hunted(garden, bug, arguments.seeds)
            _write(arguments.results, rows)
        if arguments.control_only or not arguments.bug:
            rows["control"] = _control(garden, arguments.control, rows["bugs"])
            _write(arguments.results, rows)
    return _report(rows, [bug for bug in bugs if bug.name in rows["bugs"]])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--bug", action="append", default=[], metavar="NAME", help="only this one")
    parser.add_argument("--seeds", type=int, default=60, metavar="N", help="at most (default 60)")
    parser.add_argument(
        "--control", type=int, default=60, metavar="N", help="seeds without a bug (default 60)"
    )
    parser.add_argument("--control-only", action="store_true", help="hunt nothing")
    parser.add_argument("--results", type=Path, default=RESULT, metavar="FILE", help="JSON")
    return parser


def _control(garden: Garden, seeds: int, hunted: dict[str, Any]) -> dict[str, Any]:
    """Play without a bug what found the bugs, and seeds: what breaks there is none of their doing."""
    finders = [
        (bug.name, plan_of(bug, hunted[bug.name]["seed"]))
        for bug in BUGS
        if hunted.get(bug.name, {}).get("found") and (bug.script or bug.faults or bug.speed)
    ]
    # Several bugs may have been found by one plan.
    finders = list({msgspec.json.encode(plan): (name, plan) for name, plan in finders}.values())
    plans = [*finders, *((f"seed {seed}", plan_of(None, seed)) for seed in range(1, seeds + 1))]
    broken: dict[str, list[str]] = {}
    with garden.planted(None) as worker:
        for number, (name, plan) in enumerate(plans, 1):
            _progress(f"control: {number}/{len(plans)}, {len(broken)} broken")
            if said := played(worker, plan):
                broken[name] = said[:3]
                _say(f"control: {name}: {said[0]}")
    _say(f"control: {len(broken)} of {len(plans)} plans broke something")
    return {"plans that found a bug": len(finders), "seeds": seeds, "broken": broken}


def _hunted(garden: Garden, bug: Bug, seeds: int) -> dict[str, Any]:
    began_s = time.monotonic()
    found = hunt(garden, bug, seeds, lambda seed: _progress(f"  seed {seed}/{seeds}"))
    took_s = time.monotonic() - began_s
    _say(f"  {_words(found)} ({took_s:.0f} s)")
    return {
        "file": bug.file,
        "expected": [_name(number) for number in bug.breaks],
        "faults": ", ".join(bug.faults) or "all",
        "faults in an hour": bug.count,
        **({"market seconds in a second": bug.speed} if bug.speed else {}),
        **({"acts added to each plan": len(bug.script)} if bug.script else {}),
        "found": found is not None,
        "seeds tried": found.seeds if found else seeds,
        **(
            {
                "seed": found.seed,
                "broken": [_name(number) for number in found.breaks],
                "as expected": bool({*found.breaks} & {*bug.breaks}),
                "says": found.says,
            }
            if found
            else {}
        ),
    }


def _name(number: int) -> str:
    return "a service ends" if number == DIES else f"invariant {number}"


def _words(found: Found | None) -> str:
    if found is None:
        return "NOT FOUND"
    names = ", ".join(map(_name, found.breaks))
    return f"seed {found.seed}: {names}: {found.says}"


def _report(rows: dict[str, Any], bugs: Sequence[Bug]) -> int:
    hunted = {bug.name: rows["bugs"][bug.name] for bug in bugs}
    missed = [name for name, row in hunted.items() if not row["found"]]
    other = [name for name, row in hunted.items() if row["found"] and not row["as expected"]]
    _tell(f"{len(hunted) - len(missed)} of {len(hunted)} bugs were found")
    for name in missed:
        _tell(f"NOT FOUND: {name}")
    for name in other:
        _tell(f"found otherwise: {name}: {', '.join(hunted[name]['broken'])}")
    broken = rows["control"].get("broken", {})
    if broken:
        _tell(f"without a bug, these broke something: {', '.join(broken)}")
    return 1 if missed or other or broken else 0


def _read(path: Path) -> dict[str, Any]:
    empty: dict[str, Any] = {"control": {}, "bugs": {}}
    return empty | (json.loads(path.read_text("utf-8")) if path.exists() else {})


def _write(path: Path, rows: dict[str, Any]) -> None:
    names = [bug.name for bug in BUGS]
    kept = {name: rows["bugs"][name] for name in names if name in rows["bugs"]}
    table = {"command": COMMAND, "control": rows["control"], "bugs": kept, "elsewhere": ELSEWHERE}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(table, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{line}\033[K")
        sys.stderr.flush()


def _say(line: str) -> None:
    clear = "\r\033[K" if sys.stderr.isatty() else ""
    sys.stderr.write(f"{clear}{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    os.nice(5)
    sys.exit(main())
