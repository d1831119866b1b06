"""How many bytes the journals and decisions of a market day take, with references and without.

    python -m benchmarks journal_size [--period 2h]

Runs ``recio up --fast`` on an embedded PostgreSQL and reads what it left. "Whole" packs the same events
again with every snapshot in full, as it would be without references: the same run, the same snapshots.
Bytes are those of the packed batches; a row adds about 150 bytes, an index a few dozen.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.machine import heading
from recio.adapters.postgres.database import PostgresDatabase
from recio.adapters.postgres.journal import sessions
from recio.domain.messages import Snapshot
from recio.engine.export import Artefact
from recio.engine.journal import Batch, Late, Packer, Seen, decoded
from recio.engine.replay import ENTRY, STOP, Fold, replay, snapshot_fold
from recio.engine.replaying import COORDINATOR, ENTRIES, STOPS, Replaying
from recio.ports import Database
from recio.runtime.local.embedded import EmbeddedPostgres
from recio.runtime.local.options import DATABASE
from recio.runtime.recording import packaged_artefacts

DAY_S = 86_400
BATCH_BYTES = 256 * 1024


class Size(NamedTuple):
    """One host's journal."""

    host: str
    snapshots: int
    kept: int
    whole: int


def main() -> None:
    """Run the period, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--period", default="2h")
    options = parser.parse_args()
    print(heading("msgspec"))
    with tempfile.TemporaryDirectory(prefix="recio-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        state = Path(directory) / "state"
        run = [sys.executable, "-m", "recio", "up", "--fast", options.period, "--state", str(state)]
        subprocess.run(run, check=True, capture_output=True)
        server = EmbeddedPostgres(state / "postgres")
        server.start()
        try:
            asyncio.run(_measure(server.url(DATABASE)))
        finally:
            server.stop()


async def _measure(url: str) -> None:
    database = PostgresDatabase(url)
    try:
        found, seconds = await _sizes(database)
        async with database.transaction() as tx:
            row = await tx.fetch_one("SELECT count(*), sum(length(body)) FROM trading.decisions")
    finally:
        await database.close()
    assert row is not None
    print(f"{seconds} s of market time, per market day at this run's cadence:")
    for one in found:
        day = DAY_S / seconds
        print(
            f"  {one.host:<32} {one.snapshots / seconds:5.2f} snapshots/s  "
            f"kept {one.kept * day / 1e6:8.2f} MB  whole {one.whole * day / 1e6:8.2f} MB"
            + (
                f"  ({one.kept / one.snapshots:.0f} and {one.whole / one.snapshots:.0f} bytes a "
                "snapshot)" if one.snapshots else ""
            )
        )  # fmt: skip
    print(
        f"  decisions: {row[0] * DAY_S / seconds:,.0f} rows, "
        f"{int(row[1] or 0) * DAY_S / seconds / 1e6:.2f} MB before TOAST's compression"
    )


async def _sizes(database: Database) -> tuple[list[Size], int]:
    async with database.transaction() as tx:
        market = await sessions(tx, "paper", COORDINATOR, is_account=False)
        entries = await sessions(tx, "paper", ENTRIES, is_account=True)
        stops = await sessions(tx, "paper", STOPS, is_account=True)
    fold = _fold()
    made = replay(fold, _events(market, fold)).commands
    seconds = max(one.at_us for one in made) - min(one.at_us for one in made)
    by_generation = {one.generation: one for one in made}
    found = [Size(COORDINATOR, len(made), _bytes(market), _bytes(market))]
    for host, held, kind in ((ENTRIES, entries, ENTRY), (STOPS, stops, STOP)):
        whole, snapshots = _packed_whole(list(_events(held, kind)), by_generation)
        found.append(Size(host, snapshots, _bytes(held), whole))
    return found, seconds // 1_000_000


def _packed_whole(events: list[Any], made: dict[int, Snapshot]) -> tuple[int, int]:
    size, snapshots, packer = 0, 0, Packer()
    for event in events:
        if isinstance(event, Late):
            continue
        is_seen = isinstance(event, Seen)
        snapshots += is_seen or isinstance(event, Snapshot)
        packer.add(made[event.generation] if is_seen else event)
        if packer.size >= BATCH_BYTES:
            size, packer = size + len(packer.body()), Packer()
    return size + len(packer.body()), snapshots


def _events(held: list[list[Batch]], fold: Fold) -> Iterator[Any]:
    for batches in held:
        yield from decoded(batches, fold.decoder)


def _bytes(held: list[list[Batch]]) -> int:
    return sum(len(batch.body) for batches in held for batch in batches)


def _fold() -> Fold:
    replaying = Replaying(code="")
    artefacts: list[Artefact] = list(packaged_artefacts())
    for one in artefacts:
        replaying.take(one)
    return snapshot_fold(replaying.fingerprints, replaying.models)


if __name__ == "__main__":
    main()
