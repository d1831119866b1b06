"""Write docs/reliability/interleavings.json: ``python -m tests.concurrency [part of a pair's name]``.

Each pair is written when it is done; what was interrupted goes on where it stopped. ``--afresh``
forgets what was tried before.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import psycopg
from tests.concurrency import pairs
from tests.concurrency.arena import Arena

from recio.adapters.postgres.migrate import migrate
from recio.runtime.local.embedded import EmbeddedPostgres

RESULT: Final = Path(__file__).parents[2] / "docs/reliability/interleavings.json"
QUICK: Final = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "shared_buffers=64MB",
    "autovacuum=off",
)
SUMMED: Final = ("orders", "by_chance", "deaths", "deadlocks", "unlike_serial")


def main(arguments: list[str]) -> int:
    """Try the pairs that are not in the table yet; 1 if anything was found."""
    wanted = [one for one in arguments if not one.startswith("--")]
    rows = {} if "--afresh" in arguments else _read()
    left = [
        pair
        for pair in pairs.every_pair()
        if _name(pair) not in rows and all(text in _name(pair) for text in wanted)
    ]
    with tempfile.TemporaryDirectory(prefix="recio-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        server = EmbeddedPostgres(Path(directory) / "pg", settings=QUICK)
        server.start()
        try:
            _try(server, left, rows)
        finally:
            server.stop(is_immediate=True)
    return int(any(row["violations"] or row["deadlocks"] for row in rows.values()))


def _try(server: EmbeddedPostgres, left: list[Any], rows: dict[str, Any]) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE interleaved")
    migrate(server.url("interleaved"))
    with asyncio.Runner() as runner:
        arena = Arena(server.url("interleaved"), runner)
        for number, pair in enumerate(left, start=1):
            began = time.monotonic()
            found = pairs.tried(arena, pair)
            rows[_name(pair)] = pairs.row(pair, found)
            _write(rows)
            said = f"{found.orders} orders, {found.deaths} deaths"
            print(  # noqa: T201 (its progress)
                f"{number}/{len(left)} {_name(pair)}: {said}, {time.monotonic() - began:.1f} s",
                *([f"\n    {what}" for what in found.found]),
                flush=True,
            )
        arena.close()


def _name(pair: Any) -> str:
    return f"{pair[0].name} x {pair[1].name}"


def _read() -> dict[str, Any]:
    if not RESULT.exists():
        return {}
    held = json.loads(RESULT.read_text())
    return {f"{row['one']} x {row['two']}": row for row in held["pairs"]}


def _write(rows: dict[str, Any]) -> None:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False,
        cwd=RESULT.parent.parent,
    ).stdout.strip()  # fmt: skip
    table = {
        "command": "python -m tests.concurrency",
        "commit": commit,
        "pairs_tried": len(rows),
        "pairs_left": len(pairs.every_pair()) - len(rows),
        **{name: sum(row[name] for row in rows.values()) for name in SUMMED},
        "violations": sum(sum(row["violations"].values()) for row in rows.values()),
        "pairs": [rows[name] for name in sorted(rows)],
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
