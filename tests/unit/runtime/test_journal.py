"""The buffer behind every fold: in order, off the hot path, bounded, honest about what it lost."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace

import msgspec
import pytest

from recio.domain.errors import Rejected, Unavailable
from recio.engine import journal as chain
from recio.engine.journal import Batch, Gap, Stopped
from recio.engine.snapshot import Tick
from recio.runtime import journal as journals
from recio.runtime import stepped
from recio.runtime.clock import SteppedClock
from recio.runtime.journal import Journal
from recio.runtime.metrics import Metrics, ProcessMetrics

START_US = 1_754_000_000_000_000
DECODER = msgspec.msgpack.Decoder(Tick | Gap | Stopped)


class Store:
    """A database port that keeps rows, or fails as it is told to."""

    def __init__(self, poll_seconds: float = 2.0) -> None:
        self.poll_seconds = poll_seconds
        self.rows: list[tuple] = []
        self.error: Exception | None = None
        self.late: Exception | None = None
        self.hang: asyncio.Event | None = None

    @asynccontextmanager
    async def transaction(self):
        """Open, or hang, or fail; ``late`` fails after the commit, once."""
        if self.hang is not None:
            await self.hang.wait()
        if self.error is not None:
            raise self.error
        yield self
        if self.late is not None:
            error, self.late = self.late, None
            raise error

    async def execute_many(self, _sql, rows):
        """Keep rows; the same row is not kept twice."""
        self.rows += [row for row in rows if row not in self.rows]

    def events(self):
        """Return everything written, after checking the chain."""
        batches = [
            Batch(
                owner=owner, host=host, session=session, seq=seq,
                first_at_us=round(first_at.timestamp() * 1_000_000), count=count, format=kind,
                digest=digest, body=body,
            )
            for owner, host, session, seq, first_at, count, kind, digest, body, *_ in self.rows
        ]  # fmt: skip
        return list(chain.decoded(batches, DECODER))


def play(scenario, store):
    """Run a scenario with a journal in virtual time."""
    loop = stepped.SteppedLoop()
    process = ProcessMetrics()
    context = SimpleNamespace(
        row=SimpleNamespace(name="host"),
        environment="paper",
        account=None,
        clock=SteppedClock(loop, START_US, speed=1),
        database=store,
        metrics=Metrics(process, service="host", account=None),
        log=logging.LoggerAdapter(logging.getLogger("journal"), {}),
    )

    async def main():
        await scenario(Journal(context))

    stepped.run(main(), loop=loop)
    return process.text().decode()


def ticks(*numbers):
    """Return an event for each number."""
    return [Tick(number) for number in numbers]


def append(journal, *numbers):
    """Note an event for each number."""
    for event in ticks(*numbers):
        journal.append(event)


def test_what_is_appended_is_written_in_its_order():
    """Over several batches, which hang together."""
    store = Store()

    async def scenario(journal):
        append(journal, 3, 1)
        await journal.flush()
        append(journal, 2)
        await journal.flush()
        await journal.flush()

    play(scenario, store)
    assert store.events() == ticks(3, 1, 2)
    assert [row[3] for row in store.rows] == [1, 2]


@pytest.mark.parametrize(("poll_seconds", "pause_s"), [(2.0, 5), (60.0, 30)])
def test_nothing_is_written_before_its_time(poll_seconds, pause_s):
    """Five seconds live; thirty where a stepped database backs up rarely."""
    store = Store(poll_seconds)

    async def scenario(journal):
        writing = asyncio.ensure_future(journal.write())
        append(journal, 1)
        await asyncio.sleep(pause_s - 0.1)
        assert store.rows == []
        await asyncio.sleep(0.2)
        writing.cancel()

    play(scenario, store)
    assert store.events() == ticks(1)


def test_many_events_are_written_at_once(monkeypatch):
    """Memory does not grow until the pause is over."""
    monkeypatch.setattr(journals, "MOST_EVENTS", 3)
    store = Store()

    async def scenario(journal):
        writing = asyncio.ensure_future(journal.write())
        await asyncio.sleep(0)
        append(journal, 1, 2, 3)
        await asyncio.sleep(0.001)
        writing.cancel()

    play(scenario, store)
    assert store.events() == ticks(1, 2, 3)


def test_a_batch_is_bounded(monkeypatch):
    """What is more goes into the next row."""
    monkeypatch.setattr(journals, "BATCH_BYTES", 40)
    store = Store()

    async def scenario(journal):
        append(journal, *range(10))
        await journal.flush()

    play(scenario, store)
    assert len(store.rows) > 1
    assert store.events() == ticks(*range(10))


def test_an_absent_database_loses_nothing():
    """Batches wait and follow when it is back; a commit of unknown outcome is no second row."""
    store = Store()

    async def scenario(journal):
        store.error = Unavailable("away")
        append(journal, 1)
        await journal.flush()
        append(journal, 2)
        await journal.flush()
        store.error = None
        store.late = Unavailable("the commit's outcome is unknown")
        await journal.flush()
        append(journal, 3)
        await journal.flush()

    play(scenario, store)
    assert store.events() == ticks(1, 2, 3)
    assert [row[3] for row in store.rows] == [1, 2, 3]


def test_beyond_the_bound_events_are_counted_and_a_gap_marks_the_place(monkeypatch):
    """Replay must see where it cannot be exact."""
    monkeypatch.setattr(journals, "WAITING_BYTES", 1)
    store = Store()

    async def scenario(journal):
        store.error = Unavailable("away")
        append(journal, 1)
        await journal.flush()
        append(journal, 2, 3)
        await journal.flush()
        append(journal, 4)
        await journal.flush()
        store.error = None
        await journal.flush()
        append(journal, 5)
        await journal.flush()
        assert journal.lost == 3

    told = play(scenario, store)
    assert store.events() == [Tick(1), Gap(3, START_US), Tick(5)]
    assert 'recio_journal_events_lost_total{account="",service="host"} 3.0' in told


def test_what_the_database_refuses_becomes_a_gap(caplog):
    """It would refuse it again: the chain goes on after the gap."""
    store = Store()

    async def scenario(journal):
        append(journal, 1)
        await journal.flush()
        store.error = Rejected("no")
        append(journal, 2)
        await journal.flush()
        store.error = None
        append(journal, 3)
        await journal.flush()

    play(scenario, store)
    assert store.events() == [Tick(1), Gap(1, START_US), Tick(3)]
    assert "refused by the database" in caplog.text


def test_a_database_that_hangs_does_not_fill_the_memory(monkeypatch):
    """Beyond the bound of events nothing more is kept until it answers."""
    monkeypatch.setattr(journals, "MOST_EVENTS", 2)
    monkeypatch.setattr(journals, "MOST_WAITING_EVENTS", 4)
    store = Store()

    async def scenario(journal):
        store.hang = asyncio.Event()
        append(journal, 1)
        writing = asyncio.ensure_future(journal.flush())
        await asyncio.sleep(0.1)
        append(journal, 2, 3, 4, 5, 6)
        store.hang.set()
        await writing
        await journal.flush()

    play(scenario, store)
    assert store.events() == [Tick(1), Gap(4, START_US + 100_000), Tick(6)]


def test_events_that_come_while_others_are_packed_keep_their_place(monkeypatch):
    """Packing gives way between slices; the fold goes on meanwhile."""
    monkeypatch.setattr(journals, "_SLICE_BYTES", 1)
    store = Store()

    async def scenario(journal):
        append(journal, 1, 2, 3)
        packing = asyncio.ensure_future(journal.flush())
        await asyncio.sleep(0)
        append(journal, 4)
        await packing
        await journal.flush()

    play(scenario, store)
    assert store.events() == ticks(1, 2, 3, 4)


def test_a_task_stopped_while_packing_loses_nothing(monkeypatch):
    """Closing packs again what was under way."""
    monkeypatch.setattr(journals, "_SLICE_BYTES", 1)
    store = Store()

    async def scenario(journal):
        append(journal, 1, 2, 3)
        packing = asyncio.ensure_future(journal.flush())
        await asyncio.sleep(0)
        packing.cancel()
        with suppress(asyncio.CancelledError):
            await packing
        await journal.close()

    play(scenario, store)
    assert store.events() == [*ticks(1, 2, 3), Stopped(START_US)]


def test_closing_twice_ends_once():
    """The end is written, and says that nothing follows."""
    store = Store()

    async def scenario(journal):
        append(journal, 1)
        assert not journal.is_closed
        await journal.close()
        await journal.close()
        assert journal.is_closed

    play(scenario, store)
    assert store.events() == [Tick(1), Stopped(START_US)]
