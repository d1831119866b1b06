"""The newest snapshot of each event in an unlogged row: what exits read when the bus is gone."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from recio.domain import messages
from recio.domain.messages import Snapshot
from recio.domain.units import as_datetime, time_us
from recio.ports import Transaction


async def write_latest(tx: Transaction, snapshots: Iterable[Snapshot]) -> None:
    """Write each event's newest snapshot; an older generation never replaces a newer one."""
    rows = [
        (
            snapshot.environment,
            snapshot.event_ticker,
            snapshot.generation,
            as_datetime(snapshot.at_us),
            as_datetime(snapshot.close_us),
            messages.encode(snapshot),
        )
        for snapshot in snapshots
    ]
    await tx.execute_many(
        "INSERT INTO market.snapshot_latest AS held "
        "(environment, event_ticker, generation, at, close_at, body) "
        "VALUES (%s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (environment, event_ticker) DO UPDATE SET generation = excluded.generation, "
        "at = excluded.at, close_at = excluded.close_at, body = excluded.body "
        "WHERE held.generation < excluded.generation",
        rows,
    )


async def read_latest(
    tx: Transaction, environment: str, *, closing_after_us: int
) -> list[Snapshot]:
    """Return the newest snapshot of each event that has not closed.

    A row that another version wrote, which this one cannot read, is left out.
    """
    rows = await tx.fetch(
        "SELECT body FROM market.snapshot_latest WHERE environment = %s AND close_at > %s "
        "ORDER BY event_ticker",
        environment,
        as_datetime(closing_after_us),
    )
    return [snapshot for (body,) in rows if (snapshot := _decoded(bytes(body))) is not None]


async def newest_generation(tx: Transaction, environment: str) -> int:
    """Return the highest generation that was written, 0 if none is."""
    row = await tx.fetch_one(
        "SELECT coalesce(max(generation), 0) FROM market.snapshot_latest WHERE environment = %s",
        environment,
    )
    return 0 if row is None else int(row[0])


async def forget_closed(tx: Transaction, environment: str, *, closed_before_us: int) -> None:
    """Delete the snapshots of events that closed before that."""
    await tx.execute(
        "DELETE FROM market.snapshot_latest WHERE environment = %s AND close_at < %s",
        environment,
        as_datetime(closed_before_us),
    )


async def recent_minutes(
    tx: Transaction, environment: str, *, since_us: int
) -> dict[str, tuple[tuple[int, int], ...]]:
    """Return stored minute closes (at_us, price_usd_e6) by symbol, ascending."""
    rows = await tx.fetch(
        "SELECT symbol, at, close_usd_e6 FROM market.minutes "
        "WHERE environment = %s AND at >= %s ORDER BY symbol, at",
        environment,
        as_datetime(since_us),
    )
    found: dict[str, list[tuple[int, int]]] = {}
    for symbol, at, price in rows:
        found.setdefault(symbol, []).append((time_us(at), price))
    return {symbol: tuple(minutes) for symbol, minutes in found.items()}


def _decoded(body: bytes) -> Snapshot | None:
    try:
        message = messages.decode(body)
    except msgspec.MsgspecError:
        return None
    return message if isinstance(message, Snapshot) else None
