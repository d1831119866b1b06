"""The parts of docs/reliability.md: what the files of docs/reliability/ say, as tables.

Each file is written by the one command that it names. What was not measured is said to be so.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from recio.simulation import catalogue, invariants

FOLDER: Final = Path(__file__).parent / "reliability"
NOT_YET: Final = "Not measured yet."
Document = dict[str, Any]


def parts() -> dict[str, Callable[[], str]]:
    """Return what makes each part, by the part's name."""
    made = {
        "simulated-hours": ("simulation", simulated_hours),
        "simulated-hits": ("simulation", simulated_hits),
        "planted-bugs": ("planted_bugs", planted_bugs),
        "interleavings": ("interleavings", interleavings),
        "crash-points": ("crash_points", crash_points),
        "recovery-times": ("crash_points", recovery_times),
        "time-to-safety": ("kill_switch", time_to_safety),
        "mutation-scores": ("mutation", mutation_scores),
        "fuzzed-inputs": ("fuzz", fuzzed_inputs),
    }
    files = {name: partial(_of_file, file, make) for name, (file, make) in made.items()}
    return {"invariants": all_invariants, **files}


def _of_file(name: str, make: Callable[[Document], str]) -> str:
    path = FOLDER / f"{name}.json"
    return make(json.loads(path.read_text("utf-8"))) if path.exists() else NOT_YET


def all_invariants() -> str:
    """Return the twenty invariants with their class and where each is judged."""
    rows = []
    for row in invariants.TABLE:
        check = row.check or row.cross
        says = (check.__doc__ or "").split("\n")[0] if check else "judged elsewhere"
        rows.append((str(row.number), row.kind, says, row.remark or "-"))
    return _table(("no.", "class", "what must hold", "remark"), rows)


def simulated_hours(document: Document) -> str:
    """Return the campaigns, oldest code first."""
    rows = [
        (
            f"`{one['code']}`",
            f"{len(one['seeds']):,}",
            _spans(one["seeds"]),
            *(f"{one['counts'].get(name, 0):,}" for name in ("intents", "orders", "fills")),
            f"{sum(one['hits'].values()):,}",
            _failures(one["failed"]),
        )
        for one in document["campaigns"]
    ]
    head = ("code", "hours", "seeds", "intents", "orders", "fills", "strikes", "violations")
    return f"{_table(head, rows)}\n\nBy `{document['command']}`; one campaign a state of the code."


def _spans(seeds: list[int]) -> str:
    spans: list[list[int]] = []
    for seed in sorted(seeds):
        if spans and seed == spans[-1][1] + 1:
            spans[-1][1] = seed
        else:
            spans.append([seed, seed])
    said = [f"{first}-{last}" if first < last else f"{first}" for first, last in spans]
    return ", ".join(said[:4]) + (" …" if len(said) > 4 else "")  # noqa: PLR2004 (a line's length)


def _failures(failed: dict[str, list[str]]) -> str:
    return "0" if not failed else "seeds " + ", ".join(sorted(failed, key=int))


def simulated_hits(document: Document) -> str:
    """Return how often each fault met an order in each state, over all campaigns."""
    hits: Counter[str] = Counter()
    for one in document["campaigns"]:
        hits.update(one["hits"])
    rows = [
        (fault, *(_hit(hits, fault, state) for state in catalogue.STATES))
        for fault in catalogue.struck_names()
    ]
    names = (catalogue.SHORT.get(one, one) for one in catalogue.STATES)
    return _table(("fault", *names), rows)


def _hit(hits: Counter[str], fault: str, state: str) -> str:
    number = hits[f"{fault} | {state}"]
    return f"{number:,}" if number else ("**0**" if state in catalogue.states_of(fault) else "-")


def planted_bugs(document: Document) -> str:
    """Return each planted bug, what it breaks and the seed that found it."""
    bugs = document["bugs"]
    found = [row for row in bugs.values() if row["found"]]
    rows = [
        (
            name,
            ", ".join(row["expected"]),
            ", ".join(row["broken"]) if row["found"] else "**not found**",
            str(row.get("seed", "-")),
            str(row["seeds tried"]),
        )
        for name, row in bugs.items()
    ]
    head = ("bug", "expected to break", "broke", "seed", "seeds needed")
    control = document["control"]
    broken = control.get("broken") or {}
    said = (
        f"{len(found)} of {len(bugs)} found. The same plans without a bug: "
        f"{control.get('seeds', 0)} played, {len(broken)} broke something. "
        f"`{document['command']}`"
    )
    return f"{said}\n\n{_table(head, rows)}"


def interleavings(document: Document) -> str:
    """Return the sums over all pairs of money transactions."""
    unfinished = [row for row in document["pairs"] if not row["is_complete"]]
    rows = [
        ("pairs of transactions", f"{document['pairs_tried']:,}"),
        ("orders of their statements", f"{document['orders']:,}"),
        ("of them drawn by chance", f"{document['by_chance']:,}"),
        ("pairs with too many orders to try all", f"{len(unfinished):,}"),
        ("deaths in the middle", f"{document['deaths']:,}"),
        ("deadlocks", f"{document['deadlocks']:,}"),
        ("violations", f"{document['violations']:,}"),
    ]
    return f"{_table(('tier B', 'number'), rows)}\n\n`{document['command']}`"


def crash_points(document: Document) -> str:
    """Return how the kills at every boundary ended."""
    rows = [
        (
            name,
            *(
                f"{one[what]:,}"
                for what in ("points", "killed", "equal", "entry_died_unsent", "differing")
            ),
            f"{one['not_reached']:,}",
            f"{len(one['to_go']):,}",
        )
        for name, one in document["topologies"].items()
    ]
    head = (
        "topology", "boundaries", "killed", "equal to the clean run", "entry died unsent",
        "differing", "not reached", "not tried",
    )  # fmt: skip
    return f"{_table(head, rows)}\n\n`{document['command']}`" if rows else NOT_YET


def recovery_times(document: Document) -> str:
    """Return how long each service takes from kill -9 to ready."""
    recovery = document.get("recovery")
    if not recovery:
        return NOT_YET
    rows = [
        (name, str(one["count"]), f"{one['p50']:.1f}", f"{one['max']:.1f}")
        for name, one in recovery["ready_again_seconds"].items()
    ]
    head = ("service", "kills", "p50 s", "worst s")
    verdict = "within it" if recovery["is_within"] else "**over it**"
    said = (
        f"Bound {recovery['bound_seconds']:.0f} s; worst {recovery['worst_seconds']:.1f} s: "
        f"{verdict} (load average {recovery['load_average']} on {recovery['cores']} cores). "
        f"`{recovery['command']}`"
    )
    return f"{said}\n\n{_table(head, rows)}"


def time_to_safety(document: Document) -> str:
    """Return what a halt takes through each door."""
    rows = []
    for tier, found in document["tiers"].items():
        for door, one in found["doors"].items():
            rows.append((tier, door, str(one["halts"]), *_times(one)))
        cancels = found["cancels"]
        took = cancels["last_cancel_after_commit_ms"]
        rows.append(
            (
                tier,
                f"{cancels['orders']} resting orders canceled",
                str(cancels["sweeps"]),
                "-",
                f"{took['p50']} / {took['max']}",
            )
        )
    limits = document["limits"]
    head = ("tier", "door", "times", "call to commit, ms p50 / max", "commit to last, ms p50 / max")
    said = (
        f"At most {limits['last_order_ms']} ms to the last order, {limits['cancels_ms']} ms to the "
        f"last cancel. By the resource: {document['patch_of_the_resource_to_commit']}. "
        f"`{document['made_by'].strip()}` on {document['machine']}"
    )
    return f"{said}\n\n{_table(head, rows)}"


def _times(one: Document) -> Iterator[str]:
    for name in ("command_to_commit_ms", "last_order_after_commit_ms"):
        yield f"{one[name]['p50']} / {one[name]['max']}"


def mutation_scores(document: Document) -> str:
    """Return the score of each module, and what the survivors are."""
    scores = document["scores"]
    rows = [
        (
            name,
            f"{row['total']:,}",
            f"{len(row['survivors']):,}",
            _percent(scores[name]["score_percent"]),
            _percent(scores[name]["without_equivalents_percent"]),
        )
        for name, row in document["modules"].items()
    ]
    classes = ", ".join(f"{kind}: {n}" for kind, n in document["survivors_by_class"].items())
    said = (
        f"{document['noticed']:,} of {document['changes']:,} changes noticed: "
        f"{document['score_percent']} %; {document['without_equivalents_percent']} % of those that "
        f"change anything. Survivors by class: {classes}; each with its reason in "
        f"docs/reliability/mutation.json. `{document['command']}`"
    )
    head = ("module", "changes", "survived", "noticed", "without equivalents")
    return f"{said}\n\n{_table(head, rows)}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value} %"


def fuzzed_inputs(document: Document) -> str:
    """Return how many hostile inputs the decoders took."""
    return (
        f"{document['inputs']:,} inputs to {len(document['targets'])} decoders: "
        f"{document['accepted']:,} accepted (each within the ranges of its type), "
        f"{document['refused']:,} refused by the documented error, {document['findings']} open "
        f"findings; {len(document['mended'])} were found and mended before. "
        f"{document['inputs_per_cpu_second']:,} a processor second. `{document['command']}`"
    )


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(lines)
