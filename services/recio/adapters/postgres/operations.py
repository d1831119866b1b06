"""Health and breakers of the release: ``ops.health`` and ``ops.breakers``."""

from __future__ import annotations

from collections.abc import Collection

from recio.domain.messages import Health
from recio.domain.units import as_datetime, time_us
from recio.engine.breakers import Release, Subject, Trip
from recio.ports import Transaction


async def write_health(tx: Transaction, rows: list[Health]) -> None:
    """Write what was measured, one row for each service and account."""
    await tx.execute_many(
        "INSERT INTO ops.health "
        "(service, account, is_ready, reason, level, cpu_permille, memory_bytes, changed_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (service, account) DO UPDATE SET is_ready = excluded.is_ready, "
        "reason = excluded.reason, level = excluded.level, cpu_permille = excluded.cpu_permille, "
        "memory_bytes = excluded.memory_bytes, changed_at = excluded.changed_at",
        [
            (
                row.service,
                row.account or "",
                row.is_ready,
                row.reason,
                row.level,
                row.cpu_permille,
                row.memory_bytes,
                as_datetime(row.at_us),
            )
            for row in rows
        ],
    )


async def keep_health(tx: Transaction, subjects: Collection[Subject]) -> None:
    """Remove the rows of everything that is measured no more."""
    await tx.execute(
        "DELETE FROM ops.health h WHERE NOT EXISTS ("
        "SELECT FROM unnest(%s::text[], %s::text[]) AS held (service, account) "
        "WHERE held.service = h.service AND held.account = h.account)",
        [one.service for one in subjects],
        [one.account for one in subjects],
    )


async def open_breakers(tx: Transaction) -> list[tuple[Subject, int]]:
    """Return the breakers that are open, and when each tripped."""
    rows = await tx.fetch("SELECT name, changed_at FROM ops.breakers WHERE is_open ORDER BY name")
    return [(_subject(name), time_us(changed_at)) for name, changed_at in rows]


async def write_breaker(tx: Transaction, command: Trip | Release) -> None:
    """Write a breaker's new state."""
    is_open = isinstance(command, Trip)
    await tx.execute(
        "INSERT INTO ops.breakers (name, is_open, root_cause, reason, changed_at) "
        "VALUES (%s, %s, %s, %s, %s) "
        "ON CONFLICT (name) DO UPDATE SET is_open = excluded.is_open, "
        "root_cause = excluded.root_cause, reason = excluded.reason, "
        "changed_at = excluded.changed_at",
        command.subject.name,
        is_open,
        command.subject.name,
        breaker_reason(command),
        as_datetime(command.at_us),
    )


def breaker_reason(command: Trip | Release) -> str:
    """Return the reason with the consequences of the same cause, for a person."""
    behind = command.also_failing if isinstance(command, Trip) else ()
    return f"{command.reason} (fails with it: {', '.join(behind)})" if behind else command.reason


def _subject(name: str) -> Subject:
    service, _, account = name.partition("/")
    return Subject(service, account)
