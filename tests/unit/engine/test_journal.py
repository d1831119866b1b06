"""The journal's format: what was noted comes back, and what was changed is refused with its place."""

from __future__ import annotations

import zlib
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain.errors import InvalidValue
from recio.engine import journal, records
from recio.engine.journal import Batch, Packer
from recio.engine.snapshot import Tick

DECODER = msgspec.msgpack.Decoder(Tick)
NUMBERS = st.lists(st.lists(st.integers(0, 2**62), min_size=1, max_size=20), max_size=6)


def chained(*contents: list[object]) -> list[Batch]:
    """Return the batches of one session."""
    batches: list[Batch] = []
    previous = b""
    for seq, events in enumerate(contents, start=1):
        packer = Packer()
        for event in events:
            packer.add(event)
        batch = Batch(
            owner="paper", host="host", session=UUID(int=1), seq=seq, first_at_us=seq,
            count=packer.count, body=packer.body(),
        )  # fmt: skip
        batches.append(journal.sealed(batch, previous))
        previous = batches[-1].digest
    return batches


@given(NUMBERS)
def test_what_was_noted_comes_back(numbers):
    """In its order, over all batches."""
    events = [[Tick(number) for number in batch] for batch in numbers]

    found = list(journal.decoded(chained(*events), DECODER))

    assert found == [event for batch in events for event in batch]


@given(st.data())
def test_any_flipped_bit_of_a_body_is_refused(data):
    """Whatever it would unpack to."""
    batches = chained([Tick(1), Tick(2)], [Tick(3)])
    place = data.draw(st.integers(0, 1))
    body = bytearray(batches[place].body)
    body[data.draw(st.integers(0, len(body) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    batches[place] = msgspec.structs.replace(batches[place], body=bytes(body))

    with pytest.raises(InvalidValue, match=f"batch {place + 1}: its digest does not fit"):
        list(journal.opened(batches))


@pytest.mark.parametrize(
    "change",
    [
        {"owner": "another"},
        {"host": "another"},
        {"session": UUID(int=2)},
        {"first_at_us": 7},
        {"count": 2},
        {"digest": bytes(32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_other_change_of_a_row_is_refused(change):
    """The digest covers the whole row."""
    batches = chained([Tick(1)], [Tick(2)])
    batches[1] = msgspec.structs.replace(batches[1], **change)

    with pytest.raises(InvalidValue, match="batch 2: its digest does not fit"):
        list(journal.opened(batches))


def test_a_missing_and_a_moved_batch_are_refused():
    """The number tells which; a number of its own does not help, the digest follows the other."""
    first, second, third = chained([Tick(1)], [Tick(2)], [Tick(3)])
    renamed = msgspec.structs.replace(third, seq=2)

    with pytest.raises(InvalidValue, match="expected batch 1, which is missing"):
        list(journal.opened([second]))
    with pytest.raises(InvalidValue, match="expected batch 2, which is missing"):
        list(journal.opened([first, third]))
    with pytest.raises(InvalidValue, match="batch 2: its digest does not fit"):
        list(journal.opened([first, renamed]))


def test_another_format_is_refused():
    """It is not guessed at."""
    (batch,) = chained([Tick(1)])

    with pytest.raises(InvalidValue, match="expected format 1, received 2"):
        list(journal.opened([msgspec.structs.replace(batch, format=2)]))


@pytest.mark.parametrize(
    ("count", "body", "problem"),
    [
        (1, b"nonsense", "cannot be unpacked"),
        (2, None, "expected 2 whole events, found 1"),
    ],
)
def test_a_sealed_batch_that_was_packed_wrongly_is_refused(count, body, problem):
    """A digest proves that nothing was changed, not that it was right."""
    (batch,) = chained([Tick(1)])
    wrong = msgspec.structs.replace(batch, count=count, body=body or batch.body)

    with pytest.raises(InvalidValue, match=problem):
        list(journal.opened([journal.sealed(wrong, b"")]))


def test_an_event_that_nobody_knows_is_named():
    """By batch and number."""
    batches = chained([Tick(1)], [Tick(2), {"type": "another"}])

    with pytest.raises(InvalidValue, match="batch 2, event 2"):
        list(journal.decoded(batches, DECODER))


def test_a_batch_that_unpacks_without_end_is_refused(monkeypatch):
    """Found by fuzzing: a few kilobytes can be made to fill the memory."""
    monkeypatch.setattr(journal, "MOST_BYTES", 1000)
    whole = Batch(owner="o", host="h", session=UUID(int=1), seq=1, first_at_us=0, count=0,
                  body=zlib.compress(b"\0" * 100_000))  # fmt: skip
    with pytest.raises(InvalidValue, match="at most 1000 bytes"):
        list(journal.opened([journal.sealed(whole, b"")]))


@pytest.mark.parametrize("event", [b"\xa4\xff\xff\xff\xff", b"\x91" * 5000 + b"\x01", b""])
def test_an_event_that_is_none_is_refused_with_its_place(event):
    """Found by fuzzing: bytes that are no text, and a thousand lists, passed by the refusal."""
    framed = len(event).to_bytes(4, "big") + event
    whole = Batch(owner="o", host="h", session=UUID(int=1), seq=1, first_at_us=0, count=1,
                  body=zlib.compress(framed))  # fmt: skip
    with pytest.raises(InvalidValue, match="batch 1, event 1"):
        list(journal.decoded([journal.sealed(whole, b"")], msgspec.msgpack.Decoder(str)))


def test_a_record_s_body_that_is_none_is_refused():
    """Found by fuzzing: a page asked for it and got an exception."""
    for body in (b"", b"\xa4\xff\xff\xff\xff", b"\x91" * 5000):
        with pytest.raises(InvalidValue, match="not the body"):
            records.read_entry(body)
        with pytest.raises(InvalidValue, match="not the body"):
            records.read_stop(body)
