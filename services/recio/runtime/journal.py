"""A host's journal: what its fold takes in, appended in that order and written off the hot path.

``append`` keeps a reference: events never change, so they are encoded when a batch is packed. A task
packs and writes every ``PAUSE_S`` seconds (30 when stepped), or after ``MOST_EVENTS``; a batch holds
at most ``BATCH_BYTES`` before compression. While the database is away packed batches wait, up to
``WAITING_BYTES``; what comes after that is counted and dropped, and a ``Gap`` marks the place.

A host of an account notes a snapshot as a reference (``Seen``), twenty times smaller than the snapshot,
and holds the snapshot until the coordinator's journal is known to make it again: each written batch of
the coordinator says which generations follow from its session so far. What is not known after
``PATIENCE_PAUSES`` pauses is noted whole (``Late``), and so is all of the last moments at the end.

The first event of a session is its start; it gets the name of the code that decides.

A crash loses what was not written: at most the events of the last pause. Replay sees that the
session has no end. ``close`` ends it: from then on the host must fold nothing more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from recio.adapters.postgres import journal as rows
from recio.adapters.postgres.journal import Made
from recio.domain.errors import Rejected, Unavailable
from recio.domain.intents import derived_id
from recio.domain.messages import Snapshot
from recio.domain.units import HOUR_US, MINUTE_US
from recio.engine.journal import (
    Batch,
    EntryStarted,
    Gap,
    Late,
    Packer,
    SnapshotStarted,
    Stopped,
    StopStarted,
    sealed,
    seen,
)
from recio.runtime.revision import deciding_code
from recio.runtime.service import ServiceContext

PAUSE_S: Final = 5.0
PAUSE_MOST_S: Final = 30.0
MOST_EVENTS: Final = 2_000
MOST_WAITING_EVENTS: Final = 20_000
BATCH_BYTES: Final = 256 * 1024
WAITING_BYTES: Final = 4 * 1024 * 1024
_SLICE_BYTES: Final = 16 * 1024
"""So much is packed (about 0.2 ms) before other tasks get their turn."""
RECENT_US: Final = MINUTE_US
"""An older snapshot, as the stored row may be, is noted whole."""
PATIENCE_PAUSES: Final = 4
MOST_HELD: Final = 1_000
"""Snapshots that wait for the coordinator's journal; beyond that they are noted whole at once."""
_STARTED: Final = (SnapshotStarted, EntryStarted, StopStarted)


class _Packed(msgspec.Struct, frozen=True):
    """A batch that waits to be written, and which snapshots follow from it."""

    batch: Batch
    made: Made | None


class _Held(msgspec.Struct, frozen=True):
    """A snapshot that was noted as a reference at ``wall_us``."""

    snapshot: Snapshot
    wall_us: int


class Journal:
    """The journal of one host. ``lost`` counts the events that could not be kept.

    ``generation`` is the coordinator's: it tells that of the last snapshot made.
    """

    def __init__(
        self, context: ServiceContext, *, generation: Callable[[], int] | None = None
    ) -> None:
        self.is_closed = False
        self.lost = 0
        self._context = context
        self._owner = context.account or context.environment
        clock, host = context.clock, context.row.name
        # A function of the start, so that a stepped run makes the same rows again.
        self._session = derived_id(self._owner, host, clock.wall_us(), clock.market_us())
        self._pause_s = min(max(PAUSE_S, context.database.poll_seconds / 2), PAUSE_MOST_S)
        self._generation = generation
        self._events: list[object] = []
        self._marks: list[int] = []
        self._held: dict[int, _Held] = {}
        self._is_begun = False
        self._first_us = 0
        self._packing = 0
        self._waiting: deque[_Packed] = deque()
        self._waiting_bytes = 0
        self._gap: Gap | None = None
        self._written = 0
        self._digest = b""
        self._full = asyncio.Event()
        self._order = asyncio.Lock()
        self._lost = context.metrics.counter(
            "recio_journal_events_lost_total", "Events that the journal could not keep."
        )

    def append(self, event: object) -> None:
        """Note one event that is folded now; it must never change afterwards."""
        events = self._events
        if not events:
            self._first_us = self._context.clock.market_us()
        if not self._is_begun:
            self._is_begun = True
            if isinstance(event, _STARTED):
                event = msgspec.structs.replace(event, code=deciding_code())
        events.append(event)
        if self._generation is not None:
            self._marks.append(self._generation())
        if len(events) >= MOST_EVENTS:
            self._full.set()
            if len(events) >= MOST_WAITING_EVENTS:
                self._drop()

    async def write(self) -> None:
        """Pack and write for ever."""
        while True:
            try:
                async with asyncio.timeout(self._pause_s):
                    await self._full.wait()
            except TimeoutError:
                pass
            self._full.clear()
            await self.flush()

    async def flush(self) -> None:
        """Pack what was appended, and write what waits if the database is there."""
        async with self._order:
            while self._events:
                await self._pack()
            if self._waiting:
                await self._write()

    async def close(self) -> None:
        """End the session and write all of it that can be."""
        if not self.is_closed:
            await self.flush()
            self._note_whole(tuple(self._held))
            self.append(Stopped(self._context.clock.market_us()))
            self.is_closed = True
        await self.flush()

    async def _pack(self) -> None:
        if self._waiting_bytes >= WAITING_BYTES:
            self._drop()
            return
        packer, gap = Packer(), self._gap
        if gap is not None:
            packer.add(gap)
        self._packing, pause_at = 0, _SLICE_BYTES
        while self._packing < len(self._events) and packer.size < BATCH_BYTES:
            packer.add(self._noted(self._events[self._packing]))
            self._packing += 1
            if packer.size >= pause_at:
                pause_at = packer.size + _SLICE_BYTES
                await asyncio.sleep(0)
        # Nothing waits from here on: a task that is stopped above leaves the events where they were.
        made = self._made(self._packing)
        del self._events[: self._packing], self._marks[: self._packing]
        self._packing = 0
        if self._gap is gap:
            self._gap = None
        batch = Batch(
            owner=self._owner,
            host=self._context.row.name,
            session=self._session,
            seq=0,
            first_at_us=self._first_us,
            count=packer.count,
            body=packer.body(),
        )
        self._waiting.append(_Packed(batch, made))
        self._waiting_bytes += len(batch.body)

    def _noted(self, event: object) -> object:
        """Return an event as it is packed: a fresh snapshot of the bus as its reference."""
        context = self._context
        if context.account is None or not isinstance(event, Snapshot):
            return event
        if self._first_us - event.at_us > RECENT_US or len(self._held) >= MOST_HELD:
            return event
        self._held[event.generation] = _Held(event, context.clock.wall_us())
        return seen(event)

    def _made(self, count: int) -> Made | None:
        """Return which generations follow from the first events that wait; None after a loss."""
        if self._generation is None or self.lost or not count:
            return None
        is_all = count >= len(self._marks)
        return Made(self._marks[0], self._generation() if is_all else self._marks[count])

    def _forget(self, made: list[Made]) -> None:
        """Let go of the snapshots that can be made again; note those whole that wait for too long."""
        for generation in tuple(self._held):
            if any(one.after < generation <= one.upto for one in made):
                del self._held[generation]
        oldest_us = self._context.clock.wall_us() - round(self._pause_s * PATIENCE_PAUSES * 1e6)
        self._note_whole([key for key, one in self._held.items() if one.wall_us < oldest_us])

    def _note_whole(self, generations: Iterable[int]) -> None:
        for generation in generations:
            self.append(Late(self._held.pop(generation).snapshot))

    async def _write(self) -> None:
        batches, digest = [], self._digest
        for seq, packed in enumerate(self._waiting, start=self._written + 1):
            numbered = msgspec.structs.replace(packed.batch, seq=seq)
            batches.append(sealed(numbered, digest))
            digest = batches[-1].digest
        try:
            made = await self._exchange(batches)
        except Unavailable as error:
            self._context.log.warning("the journal waits to be written: %s", error)
            return
        except Rejected:
            # It would be refused again; the next batch begins with a gap.
            self._context.log.exception("the journal is refused by the database")
            self._lose(sum(batch.count for batch in batches), batches[0].first_at_us)
        else:
            self._written, self._digest = batches[-1].seq, digest
            self._forget(made)
        self._waiting.clear()
        self._waiting_bytes = 0

    async def _exchange(self, batches: list[Batch]) -> list[Made]:
        """Write batches and, in the same transaction, read what the coordinator's journal makes."""
        context, held = self._context, self._held
        async with context.database.transaction() as tx:
            if context.account is None:
                await rows.append_market(
                    tx,
                    [(batch, one.made) for batch, one in zip(batches, self._waiting, strict=True)],
                )
                return []
            await rows.append(tx, batches)
            if not held:
                return []
            since_us = min(one.snapshot.at_us for one in held.values()) - HOUR_US
            return await rows.made(tx, context.environment, since_us=since_us, generation=min(held))

    def _drop(self) -> None:
        # What is just being packed is not lost.
        self._lose(len(self._events) - self._packing, self._first_us)
        del self._events[self._packing :], self._marks[self._packing :]

    def _lose(self, count: int, since_us: int) -> None:
        held = self._gap
        self._gap = Gap(count + (held.events if held else 0), held.since_us if held else since_us)
        self.lost += count
        self._lost.inc(count)
