"""``python -m tests.fuzz``: hostile inputs for every decoder; the counts go to docs/reliability."""

import argparse
import json
import os
import sys
import time
from base64 import b64decode, b64encode
from pathlib import Path

from tests.fuzz.everything import TARGETS
from tests.fuzz.running import CHUNK, Count, Finding, run_chunk, watched
from tests.fuzz.targets import Target

RESULT = Path(__file__).parents[2] / "docs" / "reliability" / "fuzz.json"
MENDED = Path(__file__).with_name("mended.json")


def shares(inputs: int) -> dict[str, int]:
    """Return how many chunks each target gets; every target at least one."""
    whole = sum(target.share for target in TARGETS)
    return {
        target.name: max(1, -(-round(inputs * target.share / whole) // CHUNK)) for target in TARGETS
    }


def held(path: Path, inputs: int) -> dict[str, dict]:
    """Return what an earlier run of as many inputs has counted."""
    if not path.exists():
        return {}
    document = json.loads(path.read_text("utf-8"))
    if document["wanted"] != inputs or document["is_complete"]:
        return {}
    return {row["target"]: row for row in document["targets"]}


def counted(row: dict | None) -> Count:
    """Return the counts of a row."""
    if row is None:
        return Count()
    kept = [
        Finding(row["target"], each["problem"], b64decode(each["input"]))
        for each in row["findings"]
    ]
    return Count(row["inputs"], row["accepted"], row["refused"], kept)


def write(
    path: Path, inputs: int, counts: dict[str, Count], seconds: float, cpu_seconds: float
) -> None:
    """Write the result file."""
    done = sum(count.inputs for count in counts.values())
    findings = [found for count in counts.values() for found in count.findings]
    document = {
        "command": f"python -m tests.fuzz --inputs {inputs}",
        "wanted": inputs,
        "inputs": done,
        "is_complete": done >= inputs,
        "accepted": sum(count.accepted for count in counts.values()),
        "refused": sum(count.refused for count in counts.values()),
        "findings": len(findings),
        "seconds": round(seconds),
        "cpu_seconds": round(cpu_seconds, 1),
        "inputs_per_cpu_second": round(done / cpu_seconds) if cpu_seconds else None,
        "processes": 1,
        "mended": json.loads(MENDED.read_text("utf-8")),
        "targets": [
            {
                "target": name,
                "inputs": count.inputs,
                "accepted": count.accepted,
                "refused": count.refused,
                "findings": [
                    {"problem": each.problem, "input": b64encode(each.data[:2000]).decode()}
                    for each in count.findings
                ],
            }
            for name, count in counts.items()
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def feed(target: Target, count: Count, until: int, tell: "Progress") -> None:
    """Feed a target chunk by chunk, from where it stopped."""
    while count.inputs < until * CHUNK:
        before = count.inputs
        run_chunk(target, count.inputs // CHUNK, count)
        tell.add(target.name, count.inputs - before, len(count.findings))


class Progress:
    """One line that tells how far it is."""

    def __init__(self, wanted: int, done: int, seconds: float) -> None:
        self.wanted, self.done, self.seconds = wanted, done, seconds
        self.begun = time.monotonic()
        self.told = 0.0

    def add(self, name: str, number: int, findings: int) -> None:
        """Count and tell at most five times a second."""
        self.done += number
        now = time.monotonic()
        if now - self.told < 0.2:
            return
        self.told = now
        rate = self.done / max(self.passed(), 0.001)
        mark = f"  {findings} findings" if findings else ""
        line = f"{100 * self.done / self.wanted:5.1f} %  {self.done:>12,}  {rate:>8,.0f}/s  {name}"
        sys.stderr.write(f"\r{line + mark:100.100}")
        sys.stderr.flush()

    def passed(self) -> float:
        """Return the seconds of work so far, those of earlier runs among them."""
        return self.seconds + time.monotonic() - self.begun


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="inputs over all targets")
    parser.add_argument("--only", default="", help="targets whose name has this; writes no file")
    parser.add_argument("--result", type=Path, default=RESULT, help="where the counts go")
    arguments = parser.parse_args()
    chosen = [target for target in TARGETS if arguments.only in target.name]
    chunks = shares(arguments.inputs)
    rows = {} if arguments.only else held(arguments.result, arguments.inputs)
    counts = {target.name: counted(rows.get(target.name)) for target in chosen}
    done = sum(count.inputs for count in counts.values())
    earlier = json.loads(arguments.result.read_text("utf-8"))["seconds"] if done else 0
    earlier_cpu = json.loads(arguments.result.read_text("utf-8"))["cpu_seconds"] if done else 0.0
    tell = Progress(sum(chunks[target.name] for target in chosen) * CHUNK, done, earlier)
    with watched():
        for target in chosen:
            feed(target, counts[target.name], chunks[target.name], tell)
            if not arguments.only:
                cpu_seconds = earlier_cpu + time.process_time()
                write(arguments.result, arguments.inputs, counts, tell.passed(), cpu_seconds)
    sys.stderr.write("\n")
    found = [each for count in counts.values() for each in count.findings]
    for each in found:
        sys.stdout.write(f"{each.target}: {each.problem}\n    {each.data[:300]!r}\n")
    sys.stdout.write(f"{tell.done:,} inputs, {len(found)} findings, {tell.passed():.0f} s\n")
    return 1 if found else 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
