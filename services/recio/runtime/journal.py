"""A host's journal: what its fold takes in, appended in that order and written off the hot path.

``append`` keeps a reference: events never change, so they are encoded when a batch is packed. A task
packs and writes every ``PAUSE_S`` seconds (30 when stepped), or after ``MOST_EVENTS``; a batch holds
at most ``BATCH_BYTES`` before compression. While the database is away packed batches wait, up to
``WAITING_BYTES``; what comes after that is counted and dropped, and a ``Gap`` marks the place.

A crash loses what was not written: at most the events of the last pause. Replay sees that the
session has no end. ``close`` ends it: from then on the host must fold nothing more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from recio.adapters.postgres import journal as rows
from recio.domain.errors import Rejected, Unavailable
from recio.domain.intents import derived_id
from recio.engine.journal import Batch, Gap, Packer, Stopped, sealed
from recio.runtime.service import ServiceContext

PAUSE_S: Final = 5.0
PAUSE_MOST_S: Final = 30.0
MOST_EVENTS: Final = 2_000
MOST_WAITING_EVENTS: Final = 20_000
BATCH_BYTES: Final = 256 * 1024
WAITING_BYTES: Final = 4 * 1024 * 1024
_SLICE_BYTES: Final = 16 * 1024
"""So much is packed (about 0.2 ms) before other tasks get their turn."""


class Journal:
    """The journal of one host. ``lost`` counts the events that could not be kept."""

    def __init__(self, context: ServiceContext) -> None:
        self.is_closed = False
        self.lost = 0
        self._context = context
        self._owner = context.account or context.environment
        clock, host = context.clock, context.row.name
        # A function of the start, so that a stepped run makes the same rows again.
        self._session = derived_id(self._owner, host, clock.wall_us(), clock.market_us())
        self._pause_s = min(max(PAUSE_S, context.database.poll_seconds / 2), PAUSE_MOST_S)
        self._events: list[object] = []
        self._first_us = 0
        self._packing = 0
        self._waiting: deque[Batch] = deque()
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
        events.append(event)
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
            packer.add(self._events[self._packing])
            self._packing += 1
            if packer.size >= pause_at:
                pause_at = packer.size + _SLICE_BYTES
                await asyncio.sleep(0)
        # Nothing waits from here on: a task that is stopped above leaves the events where they were.
        del self._events[: self._packing]
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
        self._waiting.append(batch)
        self._waiting_bytes += len(batch.body)

    async def _write(self) -> None:
        batches, digest = [], self._digest
        for seq, batch in enumerate(self._waiting, start=self._written + 1):
            numbered = Batch(
                owner=batch.owner,
                host=batch.host,
                session=batch.session,
                seq=seq,
                first_at_us=batch.first_at_us,
                count=batch.count,
                body=batch.body,
            )
            batches.append(sealed(numbered, digest))
            digest = batches[-1].digest
        try:
            async with self._context.database.transaction() as tx:
                await rows.append(tx, batches, is_account=self._context.account is not None)
        except Unavailable as error:
            self._context.log.warning("the journal waits to be written: %s", error)
            return
        except Rejected:
            # It would be refused again; the next batch begins with a gap.
            self._context.log.exception("the journal is refused by the database")
            self._lose(sum(batch.count for batch in batches), batches[0].first_at_us)
        else:
            self._written, self._digest = batches[-1].seq, digest
        self._waiting.clear()
        self._waiting_bytes = 0

    def _drop(self) -> None:
        # What is just being packed is not lost.
        self._lose(len(self._events) - self._packing, self._first_us)
        del self._events[self._packing :]

    def _lose(self, count: int, since_us: int) -> None:
        held = self._gap
        self._gap = Gap(count + (held.events if held else 0), held.since_us if held else since_us)
        self.lost += count
        self._lost.inc(count)
