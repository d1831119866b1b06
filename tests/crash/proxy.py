"""TCP proxies that hold a byte: one for each service and each of its two neighbours.

Between a service and PostgreSQL whole round trips and whole answers are passed on, between it and
the exchange whole requests, replies and WebSocket frames. A connection whose service is gone is
closed towards the other side at once, as the kernel does for a process on the same machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from tests.crash.boundaries import Boundaries, Point, Side
from tests.crash.postgres_wire import ClientWire, RoundTrip, ServerWire

CHUNK = 65_536
BASE = "/trade-api/v2"
_TEXT, _SWITCHING = 1, 101
_LONG, _LONGER = 126, 127

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class Dropped(Exception):
    """The bytes are not passed on: the connection ends."""


@contextlib.asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[int]:
    """Accept connections on a port of this machine while the block runs; gives the port."""
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class _Proxy:
    """What both proxies share: two sides that end together."""

    def __init__(
        self, service: str, connect: Connect, boundaries: Callable[[], Boundaries]
    ) -> None:
        self.service = service
        self._connect = connect
        self._boundaries = boundaries

    async def _both(
        self, writers: tuple[asyncio.StreamWriter, ...], *pumps: Awaitable[None]
    ) -> None:
        tasks = [asyncio.ensure_future(pump) for pump in pumps]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for writer in writers:
                writer.transport.abort()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class PostgresProxy(_Proxy):
    """Numbers commits."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            theirs, towards = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        asked: deque[Point | None] = deque()
        await self._both(
            (writer, towards),
            self._forth(reader, towards, asked),
            self._back(theirs, writer, asked),
        )

    async def _forth(
        self,
        reader: asyncio.StreamReader,
        towards: asyncio.StreamWriter,
        asked: deque[Point | None],
    ) -> None:
        wire = ClientWire()
        while data := await reader.read(CHUNK):
            for trip in wire.feed(data):
                boundaries = self._boundaries()
                point = self._numbered(boundaries, trip)
                if point is not None and not await boundaries.hold(point, Side.BEFORE):
                    return
                asked.append(point)
                towards.write(trip.data)
            await towards.drain()

    def _numbered(self, boundaries: Boundaries, trip: RoundTrip) -> Point | None:
        if not trip.commit:
            return None
        return boundaries.crossing(self.service, f"commit {trip.commit}", Side.BEFORE, Side.AFTER)

    async def _back(
        self,
        theirs: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        asked: deque[Point | None],
    ) -> None:
        wire = ServerWire()
        while data := await theirs.read(CHUNK):
            for answer, is_answer in wire.feed(data):
                point = asked.popleft() if is_answer and asked else None
                if point is not None and not await self._boundaries().hold(point, Side.AFTER):
                    return
                writer.write(answer)
            await writer.drain()
        writer.write(wire.rest())


class ExchangeProxy(_Proxy):
    """Numbers requests and the private stream's frames."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        theirs, towards = await self._connect()
        # A service that dies while its request is held does not take the request with it.
        with contextlib.suppress(Dropped, asyncio.IncompleteReadError, ConnectionError):
            while await self._exchange(reader, writer, theirs, towards):
                pass
        towards.transport.abort()
        writer.transport.abort()

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        theirs: asyncio.StreamReader,
        towards: asyncio.StreamWriter,
    ) -> bool:
        """Pass one request and its reply on; False when the connection has become a WebSocket."""
        request = await _unless_closed(_message(reader), theirs)
        boundaries = self._boundaries()
        sides = (Side.BEFORE, Side.AFTER)
        if not request.startswith(b"GET"):
            sides = (*sides, Side.LATE)
        point = boundaries.crossing(self.service, _name(request), *sides)
        await self._hold(boundaries, point, Side.BEFORE, Side.LATE)
        towards.write(request)
        reply = await _message(theirs)
        await self._hold(boundaries, point, Side.AFTER)
        writer.write(reply)
        await writer.drain()
        if int(reply.split(b" ", 2)[1]) != _SWITCHING:
            return True
        await self._both((writer, towards), _pump(reader, towards), self._frames(theirs, writer))
        return False

    @staticmethod
    async def _hold(boundaries: Boundaries, point: Point, *sides: Side) -> None:
        if not await boundaries.hold(point, *sides):
            raise Dropped

    async def _frames(self, theirs: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await _frame(theirs)
            if head[0] & 0xF == _TEXT:
                boundaries = self._boundaries()
                point = boundaries.crossing(self.service, _frame_name(body), Side.BEFORE)
                if not await boundaries.hold(point, Side.BEFORE):
                    return
            writer.write(head + body)
            await writer.drain()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """Return one whole HTTP/1.1 request or reply."""
    head = await reader.readuntil(b"\r\n\r\n")
    found = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return head + (await reader.readexactly(int(found[1])) if found else b"")


async def _unless_closed(
    request: Coroutine[Any, Any, bytes], theirs: asyncio.StreamReader
) -> bytes:
    """Return the next request; an idle connection that the exchange closes ends here as well."""
    asking = asyncio.ensure_future(request)
    closing = asyncio.ensure_future(theirs.read(1))
    try:
        await asyncio.wait([asking, closing], return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            raise Dropped
        return await asking
    finally:
        for each in (asking, closing):
            each.cancel()
        await asyncio.gather(asking, closing, return_exceptions=True)


async def _frame(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return one unmasked WebSocket frame (RFC 6455)."""
    head = await reader.readexactly(2)
    size = head[1] & 0x7F
    if size >= _LONG:
        extended = await reader.readexactly(2 if size == _LONG else 8)
        size, head = int.from_bytes(extended, "big"), head + extended
    return head, await reader.readexactly(size)


def _name(request: bytes) -> str:
    method, target, _ = request.split(b"\r\n", 1)[0].decode().split(" ")
    path = target.partition("?")[0].removeprefix(BASE)
    parts = [("{id}" if _is_id(part) else part) for part in path.split("/")]
    return f"{method} {'/'.join(parts)}"


def _is_id(part: str) -> bool:
    return any(each.isdigit() for each in part) and not re.fullmatch(r"v\d", part)


def _frame_name(body: bytes) -> str:
    return f"frame {json.loads(body).get('type', '?')}"
