"""The exchange on a port: a plain ASGI application for uvicorn, HTTP and WebSocket together.

    /trade-api/v2/…     REST
    /trade-api/ws/v2    WebSocket
    /feeds/…            spot venues
    /admin/…            accounts and keys, loopback only

``HeartbeatProtocol`` is the WebSocket protocol to run it with: the exchange pings every 10 s with
the payload ``heartbeat`` (docs.kalshi.com, "Connection keep-alive").
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from recio.exchange_simulator.api.messages import Request, Response, reply
from recio.exchange_simulator.control import Control
from recio.exchange_simulator.feeds import Feeds
from recio.exchange_simulator.gateway import Connection, Gateway, Lost

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

MOST_BODY: Final = 1_000_000
MOST_QUEUED: Final = 100_000
"""Frames waiting for one client; more is a client that does not read (error code 25)."""

PING_SECONDS: Final = 10.0
_OVERFLOW: Final = b'{"type":"error","msg":{"code":25,"msg":"Outbound buffer overflow"}}'


class HeartbeatProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol with the exchange's own ping."""

    def send_keepalive_ping(self) -> None:
        """Send the ping and wait for its pong."""
        self.ping_timer = None
        if self.close_sent or self.transport.is_closing():
            return
        self.pending_ping_payload = b"heartbeat"
        self.ping_sent_at = self.loop.time()
        self.conn.send_ping(self.pending_ping_payload)
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.ping_timeout is not None:
            self.pong_timer = self.loop.call_later(self.ping_timeout, self.keepalive_timeout)
        else:
            self.schedule_ping()


class ControlApp:
    """The control API's ASGI application."""

    def __init__(self, control: Control) -> None:
        self.control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            body = await _body(receive)
            await _send_response(send, await self.control.request(_request(scope, body or b"")))
        else:
            await send({"type": "websocket.close", "code": 1008})


def uvicorn_config(app: Any) -> uvicorn.Config:  # noqa: ANN401 - an ASGI application
    """Return how to serve the exchange: its own pings, no logs of requests."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws=HeartbeatProtocol,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS * 2,
        http="httptools",
        server_header=False,
        timeout_graceful_shutdown=1,
    )


class Outgoing:
    """Frames on their way to one client."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._is_ended = False

    def push(self, frames: Sequence[bytes]) -> None:
        """Queue frames; a client that does not read is told so and cut."""
        self._frames.extend(frames)
        if len(self._frames) > MOST_QUEUED and not self._is_ended:
            self._frames.clear()
            self._frames.append(_OVERFLOW)
            self._is_ended = True
        self._wake.set()

    def end(self) -> None:
        """End the connection after what is queued."""
        self._is_ended = True
        self._wake.set()

    async def run(self, send: Send) -> None:
        """Send until the end."""
        while True:
            while self._frames:
                await send({"type": "websocket.send", "text": self._frames.popleft().decode()})
            if self._is_ended:
                await send({"type": "websocket.close", "code": 1011})
                return
            self._wake.clear()
            await self._wake.wait()


class ExchangeApp:
    """The ASGI application. Until ``is_open`` everything is answered 503."""

    def __init__(self, gateway: Gateway, feeds: Feeds) -> None:
        self.gateway = gateway
        self.feeds = feeds
        self.is_open = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or one WebSocket."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            await _send_response(send, reply({"msg": "body too large"}, 413))
            return
        request = _request(scope, body)
        if not self.is_open:
            await _send_response(send, reply({"msg": "the exchange is starting"}, 503))
            return
        if self.feeds.owns(request.path):
            await _send_response(send, self.feeds.handle(request))
            return
        answer = await self.gateway.request(request)
        if isinstance(answer, Response):
            await _send_response(send, answer)
        else:
            await _lose(answer, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        outgoing, request = Outgoing(), _request(scope, b"")
        if not self.is_open:
            await _refuse(send, reply({"msg": "the exchange is starting"}, 503))
            return
        feed = self.feeds.connect(request.path, outgoing.push)
        if feed is not None:
            try:
                await _converse(receive, send, outgoing, feed.receive)
            finally:
                self.feeds.leave(feed)
            return
        opened = self.gateway.open(request, outgoing.push, outgoing.end)
        if isinstance(opened, Response):
            await _refuse(send, opened)
            return
        try:
            await self._member(opened, receive, send, outgoing)
        finally:
            self.gateway.close(opened)

    async def _member(
        self, connection: Connection, receive: Receive, send: Send, outgoing: Outgoing
    ) -> None:
        await _converse(
            receive, send, outgoing, lambda text: self.gateway.command(connection, text)
        )


async def _converse(
    receive: Receive, send: Send, outgoing: Outgoing, command: Callable[[str | bytes], object]
) -> None:
    await send({"type": "websocket.accept"})
    writing = asyncio.create_task(outgoing.run(send), name="websocket-writer")
    reading = asyncio.create_task(_read(receive, command), name="websocket-reader")
    try:
        await asyncio.wait([writing, reading], return_when=asyncio.FIRST_COMPLETED)
    finally:
        writing.cancel()
        reading.cancel()
        # A client that goes while we write is no fault of ours: its end is the reader's news.
        await asyncio.gather(writing, reading, return_exceptions=True)


async def _read(receive: Receive, command: Callable[[str | bytes], object]) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        result = command(message.get("bytes", b"") if text is None else text)
        if asyncio.iscoroutine(result):
            await result


def _request(scope: Scope, body: bytes) -> Request:
    headers = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }
    target = scope["raw_path"].decode("latin-1").partition("?")[0]
    query = scope["query_string"].decode("latin-1")
    client = scope.get("client")
    peer = client[0] if client else "0.0.0.0"  # noqa: S104 - an unknown peer is not loopback
    method = scope.get("method", "GET")
    return Request(method, f"{target}?{query}" if query else target, headers, body, peer)


async def _body(receive: Receive) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BODY:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _raw_headers(response: Response) -> list[tuple[bytes, bytes]]:
    headers = {**response.headers, "content-length": str(len(response.body))}
    if response.status == 204:
        del headers["content-length"]
    return [(name.encode(), value.encode()) for name, value in headers.items()]


async def _send_response(send: Send, response: Response) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": _raw_headers(response),
        }
    )
    await send({"type": "http.response.body", "body": response.body})


async def _refuse(send: Send, response: Response) -> None:
    start = {"status": response.status, "headers": _raw_headers(response)}
    await send({"type": "websocket.http.response.start", **start})
    await send({"type": "websocket.http.response.body", "body": response.body})


async def _lose(answer: Lost, receive: Receive, send: Send) -> None:
    if answer is Lost.TIMEOUT:
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    # A body shorter than it says makes the server close the connection in the middle of an answer.
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]}
    await send(start)
    await send({"type": "http.response.body", "body": b""})
