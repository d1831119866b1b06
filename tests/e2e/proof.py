"""The record that the tests on a cluster were green for this very tree.

    python -m tests.e2e.proof --check     exit 0: proof.json is of this tree; 1: run `make e2e`
    python -m tests.e2e.proof --hash      print the tree's content hash

The hash covers what the tests look at: operator, chart, images, migrations, services, manifests,
the tests themselves, what the image locks. `make e2e` and `make e2e-all` write the record when they
are green; it is committed with the tree that it proves (decision 0015).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from recio.runtime.clock import wall_us

ROOT: Final = Path(__file__).parents[2]
RECORD: Final = Path(__file__).with_name("proof.json")
COVERED: Final = (
    "operator",
    "charts",
    "images",
    "migrations",
    "services",
    "k8s",
    "tests/e2e",
    "requirements-image.lock",
)
SUITES: Final = ("core", "all")
"""Each one proves what stands before it too."""


def tree_hash(root: Path = ROOT) -> str:
    """Return the content hash of every tracked file that the tests look at, as it lies here."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--", *COVERED],
        capture_output=True,
        check=True,
    ).stdout
    digest = hashlib.sha256()
    for name in sorted(listed.decode().split("\0")):
        path = root / name
        if not name or path.name == RECORD.name or not path.is_file():
            continue
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{content}  {name}\n".encode())
    return digest.hexdigest()


def write(suite: str, *, versions: dict[str, str], figures: dict[str, Any]) -> None:
    """Write the record of a green run of ``suite`` over the tree as it is now."""
    record = {
        "tree": tree_hash(),
        "suite": suite,
        "date": datetime.fromtimestamp(wall_us() / 1e6, UTC).strftime("%Y-%m-%d"),
        "versions": versions,
        **figures,
    }
    RECORD.write_text(json.dumps(record, indent=2) + "\n")


def missing(suite: str) -> str:
    """Return why there is no proof of ``suite`` for this tree, empty if there is."""
    try:
        record = json.loads(RECORD.read_text())
    except FileNotFoundError:
        return "nothing was proved on a cluster yet"
    if record["tree"] != tree_hash():
        return f"the proof of {record['date']} is of another tree"
    if SUITES.index(record["suite"]) < SUITES.index(suite):
        return f"the proof of {record['date']} is of the suite {record['suite']!r} only"
    return ""


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.proof", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--check", action="store_true", help="tell whether the record is of this tree"
    )
    what.add_argument("--hash", action="store_true", help="print the tree's content hash")
    parser.add_argument("--suite", choices=SUITES, default="core", help="what must be proved")
    given = parser.parse_args(words)
    if given.hash:
        print(tree_hash())  # noqa: T201 - what the command is for
        return 0
    why = missing(given.suite)
    said = f"{why}: run `make e2e`" if why else "the tests on a cluster were green for this tree"
    print(said, file=sys.stderr)  # noqa: T201
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main())
