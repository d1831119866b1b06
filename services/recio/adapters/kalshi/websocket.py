"""The exchange's WebSocket for as long as the process lives: connect, sign, follow, reconnect.

``events`` yields what ``StreamSession`` makes of the frames, between ``Connected`` and
``Disconnected``. Reconnects back off from a quarter of a second to half a minute, spread by chance.
A connection is given up when a command stays unanswered, when a resynchronisation does not end, or
when nothing at all was heard for ``STALE_US`` of wall time although we asked. Conflation is the
consumer's business: what it does not take waits, and TCP holds the exchange back.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Final

from recio.adapters.kalshi.events import Connected, Disconnected, Event
from recio.adapters.kalshi.signing import RequestSigner
from recio.adapters.kalshi.stream import StreamSession, Subscription
from recio.domain.book import OrderBook
from recio.domain.errors import Rejected, Unavailable
from recio.ports import Clock, Ids, WebSocketConnection, WebSocketTransport

PATH: Final = "/trade-api/ws/v2"

WATCH_EVERY_S: Final = 5.0
PROBE_AFTER_US: Final = 10_000_000
STALE_US: Final = 25_000_000
FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 30.0


class KalshiStream:
    """One connection at a time, any number of subscriptions. ``events`` may run once at a time.

    ``heard_us`` is the market time of the last frame of any kind: until then books are current.
    """

    def __init__(
        self,
        transport: WebSocketTransport,
        signer: RequestSigner,
        clock: Clock,
        ids: Ids,
        *,
        subscriptions: Sequence[Subscription] = (),
        path: str = PATH,
    ) -> None:
        self._transport = transport
        self._signer = signer
        self._clock = clock
        self._ids = ids
        self._path = path
        self._session = StreamSession(clock.market_us, clock.wall_us)
        self._connection: WebSocketConnection | None = None
        self._reason = ""
        self._frames = 0
        self.heard_us = 0
        self._is_closed = False
        self.reconnects = 0
        for subscription in subscriptions:
            self._session.want(subscription)

    @property
    def books(self) -> Mapping[str, OrderBook]:
        """The live order books by ticker."""
        return self._session.books

    @property
    def refused(self) -> Counter[str]:
        """Bad frames by type."""
        return self._session.refused

    @property
    def gaps(self) -> int:
        """Holes found in the numbering of frames."""
        return self._session.gaps

    @property
    def is_connected(self) -> bool:
        """Whether a connection is open."""
        return self._connection is not None

    async def want(self, subscription: Subscription) -> None:
        """Subscribe, or change a subscription of the same key; it survives reconnects."""
        self._session.want(subscription)
        await self._flush()

    async def drop(self, key: str) -> None:
        """End a subscription."""
        self._session.drop(key)
        await self._flush()

    async def close(self) -> None:
        """Close the connection and end ``events``."""
        self._is_closed = True
        await self._give_up("closed by us")

    async def events(self) -> AsyncGenerator[Event, None]:
        """Yield events until ``close``; reconnects by itself."""
        failures = 0
        while not self._is_closed:
            frames = self._frames
            try:
                connection = await self._transport.connect(self._path, self._headers())
            except (Unavailable, Rejected) as error:
                yield Disconnected(str(error))
            else:
                async with aclosing(self._follow(connection)) as events:
                    async for event in events:
                        yield event
            failures = 0 if self._frames > frames else failures + 1
            if not self._is_closed:
                self.reconnects += 1
                await self._clock.sleep_wall(self._pause_s(failures))

    async def _follow(self, connection: WebSocketConnection) -> AsyncGenerator[Event, None]:
        session, market_us = self._session, self._clock.market_us
        self._reason = ""
        self._connection = connection
        session.connected()
        watch = asyncio.create_task(self._watch(connection))
        try:
            yield Connected()
            await self._flush()
            while True:
                frame = await connection.receive()
                self._frames += 1
                self.heard_us = market_us()
                for event in session.receive(frame):
                    yield event
                if session.outbox:
                    await self._flush()
        except Unavailable as error:
            self._reason = self._reason or str(error)
        finally:
            self._connection = None
            session.disconnected(self._reason or "the reader stopped")
            watch.cancel()
            await connection.close()
        yield Disconnected(self._reason)

    async def _flush(self) -> None:
        connection, outbox = self._connection, self._session.outbox
        if connection is None:
            outbox.clear()  # A new connection asks for everything anew.
            return
        while outbox:
            text = outbox.pop(0)
            try:
                await connection.send(text)
            except Unavailable as error:
                await self._give_up(str(error))
                return

    async def _watch(self, connection: WebSocketConnection) -> None:
        heard_us, frames = self._clock.wall_us(), self._frames
        while True:
            await self._clock.sleep_wall(WATCH_EVERY_S)
            now_us = self._clock.wall_us()
            if self._frames != frames:
                heard_us, frames = now_us, self._frames
            silence_us = now_us - heard_us
            reason = self._session.overdue()
            if silence_us >= STALE_US:
                reason = f"nothing heard for {silence_us // 1_000_000} s"
            if reason is not None:
                self._reason = reason
                await connection.close()
                return
            if silence_us >= PROBE_AFTER_US:
                self._session.probe()
                await self._flush()

    async def _give_up(self, reason: str) -> None:
        connection = self._connection
        if connection is not None:
            self._reason = self._reason or reason
            await connection.close()

    def _headers(self) -> dict[str, str]:
        return self._signer.headers("GET", self._path, self._clock.wall_us())

    def _pause_s(self, failures: int) -> float:
        longest_s = min(FIRST_PAUSE_S * 2.0 ** min(failures, 10), LONGEST_PAUSE_S)
        return longest_s * (0.5 + self._ids.jitter() / 2)
