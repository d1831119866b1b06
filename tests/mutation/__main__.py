"""``python -m tests.mutation``: change the pure core in every small way, and count who notices."""

import argparse
import ast
import functools
import json
import sys
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path
from types import CodeType

from tests.mutation.changes import Change, changes
from tests.mutation.explained import explanation
from tests.mutation.running import (
    KILLED,
    PLACES,
    ROOT,
    SERVICES,
    SURVIVED,
    TIMED_OUT,
    Collected,
    Nursery,
    code_of,
    with_collected,
)

RESULT = ROOT / "docs" / "reliability" / "mutation.json"
FIRST = ("risk", "orders", "trades", "fees", "ledger", "units", "settlement", "trade_book",
         "intents", "switches")  # fmt: skip
HELD_TO = ("risk", "orders", "trades", "fees", "ledger")
"""Modules of which at least 90 % of all changes must be noticed."""


def modules() -> list[Path]:
    """Return the modules of the core, those that hold money first."""
    core = SERVICES / "recio"
    found = [*sorted((core / "domain").glob("*.py")), *sorted((core / "engine").glob("*.py"))]
    money = [core / "domain" / f"{name}.py" for name in FIRST]
    return money + [path for path in found if path not in money and path.stem != "__init__"]


def name_of(path: Path) -> str:
    """Return a module's name as it is given on the command line: domain/risk."""
    return path.relative_to(SERVICES / "recio").with_suffix("").as_posix()


@functools.cache  # Files may change while this runs; what was read first counts.
def source_of(path: Path) -> str:
    """Return a module's source."""
    return path.read_text("utf-8")


def module_digest(path: Path) -> str:
    """Return what the changes of a module depend on: itself and this tool."""
    tool = Path(__file__).with_name("changes.py").read_bytes()
    return sha256(source_of(path).encode() + tool).hexdigest()[:16]


@functools.cache
def digest_of(path: Path) -> str:
    """Return what the result of a module depends on: itself, the tests, this tool."""
    tests = [each for place in PLACES for each in sorted((ROOT / place).rglob("*.py"))]
    content = source_of(path).encode() + b"".join(each.read_bytes() for each in tests)
    return sha256(content + (Path(__file__).parent / "changes.py").read_bytes()).hexdigest()[:16]


def score(
    held: Collected, nursery: Nursery, path: Path, known: dict | None = None
) -> dict[str, object]:
    """Try every change of a module and return what became of them.

    Of a module whose result is ``known``, only the changes that survived are tried again.
    """
    tree = ast.parse(source_of(path))
    total = sum(1 for _ in changes(ast.parse(source_of(path))))
    counts: Counter[str] = Counter()
    survivors = []
    begun = time.monotonic()
    for number, change in enumerate(changes(tree), 1):
        verdict = (
            KILLED
            if known is not None and _survivor(path, change) not in known["survivors"]
            else _verdict(held, nursery, path, tree, change)
        )
        counts[verdict] += 1
        if verdict == SURVIVED:
            survivors.append(change)
        _progress(name_of(path), number, total, counts, time.monotonic() - begun)
    sys.stderr.write("\n")
    return {
        "source": digest_of(path),
        "module": module_digest(path),
        "total": total,
        **{each: counts[each] for each in (KILLED, TIMED_OUT, SURVIVED)},
        "survivors": [_survivor(path, each) for each in survivors],
    }


def _verdict(
    held: Collected, nursery: Nursery, path: Path, tree: ast.Module, change: Change
) -> str:
    try:
        code = code_of(tree, path)
    except (SyntaxError, ValueError):
        return KILLED
    early = {name for file, name, _ in held.at_import if file == str(path)}
    if change.function and change.function not in early:
        return held.verdict(path, code, change.function)
    return fresh(held, nursery, path, code)


def fresh(held: Collected, nursery: Nursery, path: Path, code: CodeType) -> str:
    """Run the module's own tests, and if they notice nothing, the others that call it."""
    others = held.files_of(path) or [str(ROOT / place) for place in PLACES]
    own = [file for file in others if Path(file).name == f"test_{path.stem}.py"]
    verdict = nursery.verdict(path, code, own, 60) if own else SURVIVED
    rest = [file for file in others if file not in own]
    return verdict if verdict != SURVIVED or not rest else nursery.verdict(path, code, rest, 120)


def _survivor(path: Path, change: Change) -> dict[str, object]:
    return {
        "at": f"{path.relative_to(ROOT)}:{change.line}",
        "change": f"{change.kind}: {change.before}  →  {change.after}",
    }


def _plain(row: dict) -> dict:
    told = [{"at": each["at"], "change": each["change"]} for each in row["survivors"]]
    return {**row, "survivors": told}


def _explained(name: str, row: dict) -> dict[str, object]:
    survivors = []
    for each in row["survivors"]:
        kind, why = explanation(name, each["change"])
        survivors.append({**each, "class": kind, "why": why})
    return {**row, "survivors": survivors}


def _progress(name: str, number: int, total: int, counts: Counter[str], seconds: float) -> None:
    text = f"\r{name:26} {number:4}/{total}  survived {counts[SURVIVED]:3}  {seconds:5.0f} s "
    sys.stderr.write(text)
    sys.stderr.flush()


def summary(results: dict[str, dict]) -> dict[str, object]:
    """Return the scores: of all changes, and without those that change nothing."""
    rows = {}
    for name, row in results.items():
        noticed = row[KILLED] + row[TIMED_OUT]
        same = sum(1 for each in row["survivors"] if each["class"] == "equivalent")
        rows[name] = {
            "score_percent": round(100 * noticed / row["total"], 1) if row["total"] else None,
            "without_equivalents_percent": (
                round(100 * noticed / (row["total"] - same), 1) if row["total"] > same else None
            ),
        }
    return rows


def write(results: dict[str, dict]) -> None:
    """Write the result file."""
    order = [name_of(path) for path in modules()]
    rows = {name: _explained(name, results[name]) for name in order if name in results}
    noticed = sum(row[KILLED] + row[TIMED_OUT] for row in rows.values())
    total = sum(row["total"] for row in rows.values())
    same = sum(1 for row in rows.values() for s in row["survivors"] if s["class"] == "equivalent")
    classes = Counter(each["class"] for row in rows.values() for each in row["survivors"])
    document = {
        "command": "python -m tests.mutation",
        "tests": list(PLACES),
        "changes": total,
        "noticed": noticed,
        "score_percent": round(100 * noticed / max(total, 1), 1),
        "without_equivalents_percent": round(100 * noticed / max(total - same, 1), 1),
        "survivors_by_class": dict(sorted(classes.items())),
        "held_to_90_percent": [f"domain/{name}" for name in HELD_TO],
        "scores": summary(rows),
        "modules": rows,
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", help="e.g. domain/risk; without: all of the core")
    parser.add_argument(
        "--again", action="store_true", help="also those whose result is up to date"
    )
    parser.add_argument(
        "--survivors",
        action="store_true",
        help="of modules that have not changed, try again only what survived: tests were added",
    )
    parser.add_argument(
        "--tests", nargs="+", default=PLACES, metavar="FILE", help="run these only, not all"
    )
    parser.add_argument("--explain", action="store_true", help="only explain what is known anew")
    arguments = parser.parse_args()
    chosen = [path for path in modules() if not arguments.modules or
              name_of(path) in arguments.modules]  # fmt: skip
    results = json.loads(RESULT.read_text("utf-8"))["modules"] if RESULT.exists() else {}

    for path in modules():
        digest_of(path)
    nursery = Nursery()

    def work(held: Collected) -> None:
        for path in chosen:
            known = results.get(name_of(path))
            is_same = bool(known) and known["source"] == digest_of(path)
            if is_same and not (arguments.again or arguments.survivors):
                continue
            is_partial = arguments.survivors and known and known["module"] == module_digest(path)
            results[name_of(path)] = score(
                held, nursery, path, _plain(known) if is_partial else None
            )
            write(results)

    if not arguments.explain:
        with_collected(work, arguments.tests)
    nursery.close()
    write(results)
    rows = json.loads(RESULT.read_text("utf-8"))["scores"]
    for name, row in rows.items():
        plain, other = row["score_percent"], row["without_equivalents_percent"]
        sys.stdout.write(f"{name:26} {plain:6} %  {other:6} %\n")


if __name__ == "__main__":
    main()
