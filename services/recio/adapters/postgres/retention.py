"""Retention of journals and decisions: the database's own function makes and drops partitions.

Each table is a transaction of its own, so that no lock outlives its table. What could not get its lock
at once is told as ``busy`` and comes again with the next round.
"""

from __future__ import annotations

import msgspec

from recio.ports import Database


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """How many days of market time stay, counted back from the newest row."""

    journal_days: int
    decision_days: int


class Done(msgspec.Struct, frozen=True):
    """What was done with one partition: ``made``, ``dropped``, or ``busy``: nothing yet."""

    action: str
    partition: str


async def retain(database: Database, keep: Keep) -> list[Done]:
    """Make the partitions of the coming days and drop the old ones; return what was done."""
    found: list[Done] = []
    for table, days in (
        ("market.journal", keep.journal_days),
        ("trading.journal", keep.journal_days),
        ("trading.decisions", keep.decision_days),
    ):
        async with database.transaction() as tx:
            rows = await tx.fetch(
                "SELECT action, partition FROM ops.retain(%s, %s::integer)", table, days
            )
        found += [Done(str(action), str(partition)) for action, partition in rows]
    return found
