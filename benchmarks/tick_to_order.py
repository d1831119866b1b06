"""From a price tick at the exchange to the order's request at the exchange.

    python -m benchmarks tick_to_order [--seconds 150] [--deltas 2000]

Everything runs as ``recio up`` runs it: fourteen processes, embedded PostgreSQL with fsync and
synchronous commits, Redis, real sockets; only the exchange's world is scripted (``scene``), under
the load of 100 markets with 20 changes a second each and five spot prices a second. Three commits
lie on the way: the intent, the gate's decision, the executor's claim.

Measured beside it, in the same run and on the same server: how long a commit of one row takes, and
how long the same takes without waiting for the flush. The stages come from the rows themselves:
when the watchdog heard the tick, when the gate held its lock, when the executor took its claim.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from itertools import pairwise

import psycopg

from benchmarks import scene
from benchmarks.machine import heading, share

WARM_S = 15.0
STAGES = """
SELECT i.at, i.changed_at, o.claimed_at, o.changed_at FROM trading.intents i
  JOIN trading.orders o USING (intent_id) WHERE o.claimed_at IS NOT NULL
"""


def measure(runner: scene.SceneRunner, seconds: float) -> None:
    """Wait for orders, timing commits meanwhile; print."""
    runner.pause(WARM_S)
    begun_ns = time.monotonic_ns()
    kept: list[float] = []
    loose: list[float] = []
    print(heading("psycopg", "uvloop"))
    with psycopg.connect(runner.database_url, autocommit=True) as connection:
        print(
            f"PostgreSQL {connection.info.parameter_status('server_version')}", settings(connection)
        )
        connection.execute("CREATE TABLE public.flush_probe (at bigint)")
        for _ in range(int(seconds / 0.5)):
            runner.pause(0.5)
            time_commits(connection, kept, loose)
        stages = connection.execute(STAGES).fetchall()
    lines = [json.loads(line) for line in scene.SCRIPT.file.read_text().splitlines()]
    took = sorted(
        (one["order_ns"] - one["tick_ns"]) / 1e6
        for one in lines
        if one["tick_ns"] is not None and one["tick_ns"] > begun_ns
    )
    show_all(took, sorted(kept), sorted(loose))
    for name, values in stage_times(stages).items():
        show(name, values)
    print(f"after: {heading()}")


def settings(connection: psycopg.Connection) -> str:
    """Return the settings that make a commit durable."""
    names = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method")
    rows = [connection.execute(f"SHOW {name}").fetchone() for name in names]
    return ", ".join(f"{name} {row[0]}" for name, row in zip(names, rows, strict=True) if row)


def time_commits(connection: psycopg.Connection, kept: list[float], loose: list[float]) -> None:
    """Time one commit of one row with the flush, and one that does not wait for it."""
    for mode, times in (("on", kept), ("off", loose)):
        connection.execute(f"SET synchronous_commit = {mode}")
        start = time.perf_counter()
        connection.execute("INSERT INTO public.flush_probe VALUES (1)", prepare=True)
        times.append((time.perf_counter() - start) * 1e3)


def stage_times(rows: Sequence[tuple]) -> dict[str, list[float]]:
    """Return each stage's times in ms, ascending."""
    names = (
        "tick heard to gate holding its lock",
        "lock held to claim begun",
        "claim begun to outcome recorded",
    )
    return {
        name: sorted((pair[1] - pair[0]).total_seconds() * 1e3 for pair in pairs)
        for name, pairs in zip(
            names, zip(*(tuple(pairwise(row)) for row in rows), strict=True), strict=True
        )
    }


def show_all(took: list[float], kept: list[float], loose: list[float]) -> None:
    """Print the row of the table."""
    flush50 = share(kept, 0.5) - share(loose, 0.5)
    flush99 = share(kept, 0.99) - share(loose, 0.5)
    print(f"{len(took)} orders")
    show("tick published to order request at the exchange", took)
    show("a commit of one row", kept)
    show("the same without waiting for the flush", loose)
    print(
        f"target: p50 {5 + 3 * flush50:.1f} ms (5 + 3 flushes of {flush50:.2f}), "
        f"p99 {12 + 3 * flush99:.1f} ms (12 + 3 flushes of {flush99:.2f})"
    )


def show(name: str, values: Sequence[float]) -> None:
    """Print one row."""
    if values:
        p50, p90, p99 = (share(values, part) for part in (0.5, 0.9, 0.99))
        print(
            f"{name:<50} p50 {p50:7.2f}  p90 {p90:7.2f}  p99 {p99:7.2f}  worst {values[-1]:7.2f} ms"
        )


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("--deltas", type=int, default=2000)
    parser.add_argument("--favoured", action="store_true", help="before other work, as root")
    options = parser.parse_args()
    scene.run(
        lambda runner: measure(runner, options.seconds),
        deltas=options.deltas,
        is_favoured=options.favoured,
    )


if __name__ == "__main__":
    main()
