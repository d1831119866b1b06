"""Journals in the database: append a batch, read the sessions of a host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from recio.domain.units import as_datetime, time_us
from recio.engine.journal import Batch
from recio.ports import Transaction

_INSERT: Final = (
    "INSERT INTO trading.journal "
    "(account, host, session, seq, first_at, count, format, digest, body) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
_INSERT_MARKET: Final = (
    "INSERT INTO market.journal "
    "(environment, host, session, seq, first_at, count, format, digest, body, made_from, made_to) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
_READ: Final = (
    "SELECT {owner}, host, session, seq, first_at, count, format, digest, body FROM {table} "
    "WHERE {owner} = %s AND host = %s ORDER BY first_at, session, seq"
)
MARKET: Final = {"table": "market.journal", "owner": "environment"}
TRADING: Final = {"table": "trading.journal", "owner": "account"}


class Made(msgspec.Struct, frozen=True):
    """Which snapshots a batch makes again: generations above ``after`` up to ``upto``."""

    after: int
    upto: int


async def append(tx: Transaction, batches: Sequence[Batch]) -> None:
    """Append an account's batches; one that stands there already is no second row."""
    await tx.execute_many(_INSERT, [_row(batch) for batch in batches])


async def append_market(tx: Transaction, batches: Sequence[tuple[Batch, Made | None]]) -> None:
    """Append an environment's batches, with what each makes again."""
    await tx.execute_many(
        _INSERT_MARKET,
        [
            (*_row(batch), *((None, None) if made is None else (made.after, made.upto)))
            for batch, made in batches
        ],
    )


async def made(tx: Transaction, environment: str, *, since_us: int, generation: int) -> list[Made]:
    """Return what the written batches since then make, from a generation on."""
    found = await tx.fetch(
        "SELECT made_from, made_to FROM market.journal "
        "WHERE environment = %s AND first_at >= %s AND made_to >= %s AND made_to > made_from",
        environment,
        as_datetime(max(since_us, 0)),
        generation,
    )
    return [Made(int(after), int(upto)) for after, upto in found]


def _row(batch: Batch) -> tuple[object, ...]:
    return (
        batch.owner,
        batch.host,
        batch.session,
        batch.seq,
        as_datetime(batch.first_at_us),
        batch.count,
        batch.format,
        batch.digest,
        batch.body,
    )


async def sessions(
    tx: Transaction, owner: str, host: str, *, is_account: bool
) -> list[list[Batch]]:
    """Return the batches of each run of a host, runs and batches in order."""
    rows = await tx.fetch(
        _READ.format_map(TRADING if is_account else MARKET),
        owner,
        host,
    )
    found: dict[UUID, list[Batch]] = {}
    for row in rows:
        batch = batch_of(row)
        found.setdefault(batch.session, []).append(batch)
    return [sorted(batches, key=lambda batch: batch.seq) for batches in found.values()]


def batch_of(row: tuple[Any, ...]) -> Batch:
    """Return a row as a batch: owner, host, session, seq, first_at, count, format, digest, body."""
    owner, host, session, seq, first_at, count, kind, digest, body = row
    return Batch(
        owner=owner,
        host=host,
        session=session,
        seq=seq,
        first_at_us=time_us(first_at),
        count=count,
        body=bytes(body),
        digest=bytes(digest),
        format=kind,
    )
