"""What a run decided is made again from its journals alone, byte for byte."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import msgspec
import pytest

from recio import data
from recio.adapters.postgres import journal as rows
from recio.adapters.postgres.database import PostgresDatabase
from recio.adapters.postgres.decisions import read_records
from recio.adapters.postgres.intents import automatic
from recio.domain.errors import InvalidValue
from recio.domain.fingerprints import Fingerprints
from recio.domain.messages import Snapshot
from recio.domain.volatility_model import VolatilityModel
from recio.engine import journal, records, replay
from recio.engine.journal import Batch
from recio.engine.replay import ENTRY, STOP, Fold, Stored, differences, snapshot_fold

ACCOUNT = "paper"
COORDINATOR = "unified_production_coordinator"
ENTRIES = "auto_entry_supervisor"
STOPS = "active_trade_supervisor"


class Run(NamedTuple):
    """What a stepped run left: sessions by host, and what was stored by kind of decision."""

    sessions: dict[str, list[list[Batch]]]
    stored: dict[str, Stored]


def events(sessions: list[list[Batch]], fold: Fold) -> Iterator[object]:
    """Yield everything that a host noted, run after run."""
    return chain.from_iterable(journal.decoded(batches, fold.decoder) for batches in sessions)


def resolved(sessions: dict[str, list[list[Batch]]], host: str, fold: Fold) -> Iterator[object]:
    """Yield everything that a host noted, with the snapshots that its references name."""
    maker = coordinator_fold()
    made = replay.replay(maker, events(sessions[COORDINATOR], maker)).commands
    by_generation = {one.generation: one for one in made}
    for event in events(sessions[host], fold):
        if isinstance(event, journal.Seen):
            assert journal.seen(by_generation[event.generation]) == event
            yield by_generation[event.generation]
        elif not isinstance(event, journal.Late):
            yield event


def coordinator_fold() -> Fold:
    """The snapshot fold with every artefact of the product."""
    artefacts = [data.fingerprints_bytes(name) for name in data.fingerprint_names()]
    models = [data.volatility_bytes(name) for name in data.volatility_names()]
    return snapshot_fold(
        {hashlib.sha256(one).hexdigest(): Fingerprints(one) for one in artefacts},
        {hashlib.sha256(one).hexdigest(): VolatilityModel(one) for one in models},
    )


async def read(url: str) -> Run:
    """Read journals and decisions."""
    database = PostgresDatabase(url)
    try:
        async with database.transaction() as tx:
            sessions = {
                host: await rows.sessions(tx, owner, host, is_account=is_account)
                for owner, host, is_account in (
                    ("paper", COORDINATOR, False),
                    (ACCOUNT, ENTRIES, True),
                    (ACCOUNT, STOPS, True),
                )
            }
            wishes = await automatic(tx, ACCOUNT)
            stored = {
                kind: Stored(
                    intents={one.intent_id: one for one in wishes if one.purpose.value == purpose},
                    records={one.decision_id: one for one in await read_records(tx, ACCOUNT, kind)},
                )
                for kind, purpose in ((records.ENTRY, "entry"), (records.STOP, "exit"))
            }
    finally:
        await database.close()
    return Run(sessions, stored)


@pytest.fixture(scope="module")
def run(stepped_url: str) -> Run:
    """What two stepped runs left."""
    return asyncio.run(read(stepped_url))


@pytest.mark.parametrize(
    ("host", "fold", "kind"), [(ENTRIES, ENTRY, records.ENTRY), (STOPS, STOP, records.STOP)]
)
def test_replayed_decisions_are_the_stored_ones(run: Run, host: str, fold: Fold, kind: str) -> None:
    """Every intent and every record, with not a byte's difference and nothing left out."""
    again = replay.replay(fold, resolved(run.sessions, host, fold))

    intents, made = replay.made(again.commands)
    assert again.holes == ()
    assert again.failed == frozenset()
    assert len(run.sessions[host]) == 2
    assert intents.keys() == run.stored[kind].intents.keys()
    assert made.keys() == run.stored[kind].records.keys()
    assert differences(again, run.stored[kind]) == []
    assert all(
        msgspec.msgpack.encode(made[one]) == msgspec.msgpack.encode(held)
        for one, held in run.stored[kind].records.items()
    )


def test_the_run_entered(run: Run) -> None:
    """There was something to compare."""
    assert run.stored[records.ENTRY].intents
    assert len(run.stored[records.ENTRY].records) > 100


def test_replayed_snapshots_are_those_that_entries_were_decided_on(run: Run) -> None:
    """From prices and books to the picture, and from the picture on: one chain.

    What was noted whole at the end of a run is the coordinator's, too.
    """
    fold = coordinator_fold()
    again = replay.replay(fold, events(run.sessions[COORDINATOR], fold))

    by_generation = {one.generation: one for one in again.commands}
    noted = list(events(run.sessions[ENTRIES], ENTRY))
    seen = [one for one in noted if isinstance(one, journal.Seen)]
    whole = [one.snapshot for one in noted if isinstance(one, journal.Late)]
    whole += [one for one in noted if isinstance(one, Snapshot)]
    assert len(seen) > 100
    assert len(whole) < len(seen)
    assert again.holes == ()
    assert all(journal.seen(by_generation[one.generation]) == one for one in seen)
    assert all(
        msgspec.msgpack.encode(by_generation[one.generation]) == msgspec.msgpack.encode(one)
        for one in whole
    )


def test_another_decision_is_told(run: Run) -> None:
    """A stored intent that replay makes otherwise, and one that it does not make."""
    again = replay.replay(ENTRY, resolved(run.sessions, ENTRIES, ENTRY))
    stored = run.stored[records.ENTRY]
    one = next(iter(stored.intents.values()))
    dearer = msgspec.structs.replace(one, limit_price_e4=one.limit_price_e4 + 1)

    changed = Stored(intents={**stored.intents, one.intent_id: dearer}, records=stored.records)
    fewer = replay.Replayed(commands=(), holes=(), failed=frozenset())

    assert [text.split(":")[0] for text in differences(again, changed)] == [
        f"intent {one.intent_id} of {one.at_us}"
    ]
    assert len(differences(fewer, stored)) == len(stored.intents) + len(stored.records)


@pytest.mark.parametrize("host", [COORDINATOR, ENTRIES, STOPS])
def test_a_flipped_byte_is_refused_with_its_place(run: Run, host: str) -> None:
    """Wherever it is in a batch."""
    batches = list(run.sessions[host][0])
    place = len(batches) // 2
    body = bytearray(batches[place].body)
    body[len(body) // 2] ^= 1
    batches[place] = msgspec.structs.replace(batches[place], body=bytes(body))

    with pytest.raises(InvalidValue, match=rf"{host} .*batch {place + 1}: its digest"):
        list(journal.opened(batches))


@pytest.mark.parametrize("place", [0, 1])
def test_a_missing_batch_is_refused_with_its_place(run: Run, place: int) -> None:
    """The first as well as one in the middle."""
    batches = list(run.sessions[COORDINATOR][0])
    del batches[place]

    with pytest.raises(InvalidValue, match=f"expected batch {place + 1}, which is missing"):
        list(journal.opened(batches))


def test_missing_last_batches_look_like_a_crash(run: Run) -> None:
    """Replay does not claim to know what was decided after them."""
    first, second = run.sessions[ENTRIES]

    cut = {**run.sessions, ENTRIES: [first[:-1], second]}
    again = replay.replay(ENTRY, resolved(cut, ENTRIES, ENTRY))

    assert [hole.reason for hole in again.holes] == ["the session before has no end"]
    assert differences(again, run.stored[records.ENTRY]) == []
