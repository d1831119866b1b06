"""The exchange reached without sockets: the HTTP and WebSocket ports of a stepped run and of tests.

Same ``Gateway`` as the server, so the same bytes. What the network does here: an injected timeout
lasts as long as the caller waits, a cut connection is no answer although the request was sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from recio.domain.errors import NoAnswer, Rejected, Unavailable
from recio.exchange_simulator.api.messages import Request, Response
from recio.exchange_simulator.feeds import Feeds, FeedSession
from recio.exchange_simulator.gateway import Connection, Gateway, Lost
from recio.ports import HttpReply


class MemoryHttp:
    """An ``HttpTransport`` onto a gateway (and its price feeds, if given)."""

    def __init__(self, gateway: Gateway, feeds: Feeds | None = None) -> None:
        self._gateway = gateway
        self._feeds = feeds

    async def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        timeout_s: float,
    ) -> HttpReply:
        """Send one request; ``target`` is path and query."""
        lowered = {name.lower(): value for name, value in headers.items()}
        request = Request(method, target, lowered, body)
        if self._feeds is not None and self._feeds.owns(request.path):
            answer: Response | Lost = self._feeds.handle(request)
        else:
            answer = await self._gateway.request(request)
        if isinstance(answer, Lost):
            if answer is Lost.TIMEOUT:
                await asyncio.sleep(timeout_s)
            raise NoAnswer(f"{method} {target}: {answer.value}", sent=True)
        return HttpReply(answer.status, answer.headers, answer.body)

    async def close(self) -> None:
        """Do nothing: there is no connection."""


class MemorySocket:
    """A ``WebSocketConnection`` in memory. What was received before the end is still delivered."""

    def __init__(self) -> None:
        self._frames: deque[bytes | None] = deque()
        self._arrived = asyncio.Event()
        self._is_closed = False
        self.on_send: Callable[[str], object] | None = None
        self.on_close: Callable[[], None] | None = None

    def push(self, frames: Sequence[bytes]) -> None:
        """Receive frames from the other side."""
        self._frames.extend(frames)
        self._arrived.set()

    def cut(self) -> None:
        """End from the other side."""
        self._frames.append(None)
        self._arrived.set()

    async def send(self, text: str) -> None:
        """Send one text frame."""
        if self._is_closed or self.on_send is None:
            raise Unavailable("the WebSocket is closed")
        result = self.on_send(text)
        if asyncio.iscoroutine(result):
            await result

    async def receive(self) -> bytes:
        """Return the next frame's bytes."""
        while not self._frames and not self._is_closed:
            self._arrived.clear()
            await self._arrived.wait()
        frame = self._frames.popleft() if self._frames else None
        if frame is None:
            self._is_closed = True
            raise Unavailable("the WebSocket was closed")
        return frame

    async def close(self) -> None:
        """Close it; who waits for a frame is told."""
        self._is_closed = True
        self._arrived.set()
        if self.on_close is not None:
            self.on_close()
            self.on_close = None


class MemoryWebSockets:
    """A ``WebSocketTransport`` onto a gateway (and its price feeds, if given)."""

    def __init__(self, gateway: Gateway, feeds: Feeds | None = None) -> None:
        self._gateway = gateway
        self._feeds = feeds

    async def connect(self, target: str, headers: Mapping[str, str]) -> MemorySocket:
        """Open one connection; ``target`` is the path."""
        lowered = {name.lower(): value for name, value in headers.items()}
        request = Request("GET", target, lowered)
        socket = MemorySocket()
        feed = self._feeds.connect(request.path, socket.push) if self._feeds else None
        if self._feeds is not None and feed is not None:
            _join_feed(self._feeds, feed, socket)
            return socket
        opened = self._gateway.open(request, socket.push, socket.cut)
        if isinstance(opened, Response):
            raise Rejected(f"the upgrade was refused: {opened.status} {opened.body.decode()}")
        _join(self._gateway, opened, socket)
        return socket


def _join(gateway: Gateway, connection: Connection, socket: MemorySocket) -> None:
    socket.on_send = lambda text: gateway.command(connection, text)
    socket.on_close = lambda: gateway.close(connection)


def _join_feed(feeds: Feeds, feed: FeedSession, socket: MemorySocket) -> None:
    socket.on_send = feed.receive
    socket.on_close = lambda: feeds.leave(feed)
