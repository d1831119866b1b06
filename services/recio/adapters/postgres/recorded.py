"""Reads journals, decisions and intents out of the database by pages, merged by time.

What comes out are the frames of ``engine/export.py``; each page is a transaction of its own, so that
nothing is held for long. Whole sessions are read from their first batch on: without it nothing can be
made again. Intents of people and of a panic are not decisions of a fold and are left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final
from uuid import UUID

import msgspec

from recio.adapters.postgres import decisions, intents
from recio.adapters.postgres.journal import MARKET, TRADING, batch_of
from recio.domain.errors import InvalidValue, Rejected
from recio.domain.intents import Intent
from recio.domain.units import time_us
from recio.engine.export import Decided, Kept
from recio.engine.journal import SnapshotStarted, decoded
from recio.engine.records import Record
from recio.ports import Database

BATCHES_A_PAGE: Final = 16
ROWS_A_PAGE: Final = 500
_FIRST: Final = UUID(int=0)
_started: Final = msgspec.msgpack.Decoder(SnapshotStarted)


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a host: its batches and the time of the first and the last."""

    owner: str
    host: str
    session: UUID
    is_account: bool
    batches: int
    first_us: int
    last_us: int


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be read. ``accounts``: environment by account."""

    accounts: dict[str, str]
    since_us: int | None = None
    until_us: int | None = None


async def environments(database: Database, account: str | None) -> dict[str, str]:
    """Return the environment of the account, or of every account.

    Raises:
        Rejected: there is no such account, or none at all.
    """
    async with database.transaction() as tx:
        rows = await tx.fetch("SELECT account, environment FROM trading.accounts ORDER BY account")
    found = {str(name): str(environment) for name, environment in rows}
    if not found or account not in {None, *found}:
        raise Rejected(
            f"expected an account, received {account!r}: there are {', '.join(found) or 'none'}"
        )
    return found if account is None else {account: found[account]}


async def sessions(database: Database, wanted: Wanted) -> list[Session]:
    """Return the sessions that touch the wanted time, of all hosts, in order of their first batch."""
    found: list[Session] = []
    owners = [
        (MARKET, sorted(set(wanted.accounts.values())), False),
        (TRADING, sorted(wanted.accounts), True),
    ]
    async with database.transaction() as tx:
        for names, owned_by, is_account in owners:
            rows = await tx.fetch(_SESSIONS.format_map(names), owned_by)
            found += [
                Session(
                    owner=owner, host=host, session=session, is_account=is_account,
                    batches=count, first_us=time_us(first), last_us=time_us(last),
                )
                for owner, host, session, count, first, last in rows
            ]  # fmt: skip
    return sorted(
        (one for one in found if _touches(one, wanted)),
        key=lambda one: (one.first_us, one.owner, one.host, one.session),
    )


async def artefacts_named(database: Database, chosen: list[Session]) -> set[str]:
    """Return the checksums of the artefacts that the sessions say they began with."""
    found: set[str] = set()
    for one in chosen:
        if one.is_account:
            continue
        async with database.transaction() as tx:
            rows = await tx.fetch(
                _BATCHES.format_map(MARKET), one.owner, one.host, one.session, 0, 1
            )
        with suppress(InvalidValue):  # the replay itself says what is wrong with it
            first = next(decoded(map(batch_of, rows), _started), None)
            if isinstance(first, SnapshotStarted):
                found |= {*first.fingerprints, *first.volatility}
    return found


async def frames(
    database: Database, wanted: Wanted, chosen: list[Session]
) -> AsyncIterator[Kept | Decided]:
    """Yield the batches of the sessions and all that was decided meanwhile, by time."""
    begun: dict[str, int] = {}
    for one in chosen:
        if one.is_account:
            begun.setdefault(one.owner, one.first_us)
    by_host: dict[tuple[str, str], list[Session]] = {}
    for one in chosen:
        by_host.setdefault((one.owner, one.host), []).append(one)
    streams: list[AsyncIterator[tuple[int, Kept | Decided]]] = [
        _batches(database, wanted, held) for held in by_host.values()
    ]
    for account, since_us in begun.items():
        streams.append(_records(database, account, since_us, wanted.until_us))
        streams.append(_intents(database, account, since_us, wanted.until_us))
    async for frame in _merged(streams):
        yield frame


async def _merged(
    streams: list[AsyncIterator[tuple[int, Kept | Decided]]],
) -> AsyncIterator[Kept | Decided]:
    heads: list[tuple[int, int, Kept | Decided]] = []
    for number, stream in enumerate(streams):
        async for at_us, frame in stream:
            heads.append((at_us, number, frame))
            break
    while heads:
        first = min(heads, key=lambda head: head[:2])
        heads.remove(first)
        yield first[2]
        async for at_us, frame in streams[first[1]]:
            heads.append((at_us, first[1], frame))
            break


async def _batches(
    database: Database, wanted: Wanted, held: list[Session]
) -> AsyncIterator[tuple[int, Kept | Decided]]:
    for one in held:
        names, after = (TRADING if one.is_account else MARKET), 0
        while True:
            async with database.transaction() as tx:
                place = (one.owner, one.host, one.session, after, BATCHES_A_PAGE)
                rows = await tx.fetch(_BATCHES.format_map(names), *place)
            for row in rows:
                batch = batch_of(row)
                if wanted.until_us is None or batch.first_at_us <= wanted.until_us:
                    yield batch.first_at_us, Kept(batch)
            if len(rows) < BATCHES_A_PAGE:
                break
            after = batch_of(rows[-1]).seq


async def _records(
    database: Database, account: str, since_us: int, until_us: int | None
) -> AsyncIterator[tuple[int, Kept | Decided]]:
    after = (since_us, _FIRST)
    while True:
        async with database.transaction() as tx:
            page = await decisions.page(tx, account, after, until_us=until_us, most=ROWS_A_PAGE)
        if page:
            yield page[0].at_us, Decided(records=tuple(page))
        if len(page) < ROWS_A_PAGE:
            return
        after = _place(page[-1])


async def _intents(
    database: Database, account: str, since_us: int, until_us: int | None
) -> AsyncIterator[tuple[int, Kept | Decided]]:
    after = (since_us, _FIRST)
    while True:
        async with database.transaction() as tx:
            page = await intents.page(tx, account, after, until_us=until_us, most=ROWS_A_PAGE)
        if page:
            yield page[0].at_us, Decided(intents=tuple(page))
        if len(page) < ROWS_A_PAGE:
            return
        after = _place(page[-1])


def _place(one: Intent | Record) -> tuple[int, UUID]:
    return one.at_us, one.intent_id if isinstance(one, Intent) else one.decision_id


def _touches(one: Session, wanted: Wanted) -> bool:
    is_late = wanted.until_us is not None and one.first_us > wanted.until_us
    is_early = wanted.since_us is not None and one.last_us < wanted.since_us
    return not is_late and not is_early


_SESSIONS: Final = (
    "SELECT {owner}, host, session, count(*), min(first_at), max(first_at) FROM {table} "
    "WHERE {owner} = ANY(%s) GROUP BY 1, 2, 3"
)
_BATCHES: Final = (
    "SELECT {owner}, host, session, seq, first_at, count, format, digest, body FROM {table} "
    "WHERE {owner} = %s AND host = %s AND session = %s AND seq > %s "
    "ORDER BY seq LIMIT %s"
)
