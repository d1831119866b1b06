"""A lean HTTP/1.1 client for one host: the order path's, and good enough for everything else.

One request is one write and one future: no streams, no redirects, no cookies, no proxy, no
decompression and, above all, no retry: whether a request may be repeated is the caller's knowledge.
When no answer comes it raises ``NoAnswer``, whose ``sent`` is False only if no byte was handed to
the socket. Connections are kept alive and used last-in first-out; an idle one older than
``idle_s`` is not used again, because servers close those and a close that races a request leaves
its outcome unknown. TLS is verified; Nagle's algorithm is off.

Source: RFC 9112 (HTTP/1.1); parsing by httptools (llhttp).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, cast
from urllib.parse import urlsplit

import httptools

from recio.domain.errors import NoAnswer, Rejected
from recio.ports import HttpReply

MAX_BODY_BYTES: Final = 32 * 1024 * 1024
"""Guessed: far above any reply of the exchange (1000 markets are about 2 MB)."""

_FIRST_FINAL_STATUS: Final = 200


class HttpClient:
    """The ``HttpTransport`` port over TCP or TLS to the host of ``base_url``.

    ``tls`` replaces the default verifying context (a private certificate authority, tests).
    """

    def __init__(
        self,
        base_url: str,
        *,
        tls: ssl.SSLContext | None = None,
        max_connections: int = 8,
        connect_timeout_s: float = 5.0,
        idle_s: float = 45.0,
    ) -> None:
        self._host, self._port, is_tls = parse_origin(base_url, {"http": 80, "https": 443})
        self._tls = (tls or ssl.create_default_context()) if is_tls else None
        self._max_connections = max_connections
        self._connect_timeout_s = connect_timeout_s
        self._idle_s = idle_s
        self._idle: list[_Connection] = []
        self._all: set[_Connection] = set()
        self._reserved = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._common = f"Host: {host_header(self._host, self._port, is_tls=is_tls)}\r\n"
        self._is_closed = False

    async def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        timeout_s: float,
    ) -> HttpReply:
        """Send one request and return the whole reply, whatever its status.

        Raises:
            NoAnswer: no complete reply within ``timeout_s``; ``sent`` says whether it may have left.
            Rejected: the target or a header holds a line break.
        """
        data = self._encode(method, target, headers, body)
        deadline = asyncio.get_running_loop().time() + timeout_s
        connection = self._take_idle() or await self._open(deadline, timeout_s)
        try:
            reply = await connection.exchange(data, deadline)
        finally:
            self._give_back(connection)
        return reply

    async def warm(self, connections: int = 1) -> None:
        """Open connections ahead, so that the first request does not pay for the handshakes."""
        loop = asyncio.get_running_loop()
        while len(self._all) < min(connections, self._max_connections):
            connection = await self._open(
                loop.time() + self._connect_timeout_s, self._connect_timeout_s
            )
            self._give_back(connection)

    async def close(self) -> None:
        """Close the connections; requests under way fail."""
        self._is_closed = True
        for connection in tuple(self._all):
            connection.abort("the client was closed")
        self._idle.clear()

    def _encode(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        length = f"Content-Length: {len(body)}\r\n" if body or method in _WITH_BODY else ""
        head = f"{method} {target} HTTP/1.1\r\n{self._common}{length}{lines}\r\n"
        # One line break each: request line, Host, Content-Length, the headers, the empty line. More
        # of them would let a value smuggle in a second request.
        if head.count("\n") != len(headers) + 3 + bool(length) or head.count("\r") != head.count(
            "\n"
        ):
            raise Rejected(
                f"expected a target and headers without line breaks in {method} {target!r}"
            )
        return head.encode("latin-1") + body

    def _take_idle(self) -> _Connection | None:
        oldest = asyncio.get_running_loop().time() - self._idle_s
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable and connection.idle_since > oldest:
                return connection
            connection.abort("idle for too long")
        return None

    async def _open(self, deadline: float, timeout_s: float) -> _Connection:
        if self._is_closed:
            raise NoAnswer(f"the client of {self._host} is closed", sent=False)
        try:
            async with asyncio.timeout_at(deadline):
                while len(self._all) + self._reserved >= self._max_connections:
                    if connection := await self._wait_for_idle():
                        return connection
                return await self._connect()
        except TimeoutError as error:
            raise NoAnswer(
                f"no connection to {self._host}:{self._port} within {timeout_s} s", sent=False
            ) from error

    async def _wait_for_idle(self) -> _Connection | None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            # A wake-up that was meant for this request must not be lost with it.
            if waiter.done() and not waiter.cancelled():
                self._wake()
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        return self._take_idle()

    async def _connect(self) -> _Connection:
        self._reserved += 1
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, protocol = await loop.create_connection(
                    lambda: _Connection(loop, self._dropped),
                    self._host,
                    self._port,
                    ssl=self._tls,
                )
        except (OSError, ssl.SSLError) as error:
            raise NoAnswer(
                f"no connection to {self._host}:{self._port}: {error}", sent=False
            ) from error
        finally:
            self._reserved -= 1
            self._wake()
        self._all.add(protocol)
        return protocol

    def _give_back(self, connection: _Connection) -> None:
        if connection.is_usable and not self._is_closed:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
            self._wake()
        else:
            connection.abort("not to be used again")

    def _dropped(self, connection: _Connection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


class _Connection(asyncio.Protocol):
    """One TCP connection: at most one request at a time, never used again after a surprise."""

    def __init__(self, loop: asyncio.AbstractEventLoop, dropped: _Dropped) -> None:
        self.idle_since = 0.0
        self._loop = loop
        self._dropped = dropped
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[HttpReply] | None = None
        self._is_broken = False
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._has_headers = False

    @property
    def is_usable(self) -> bool:
        """Whether another request may be written."""
        return not self._is_broken and self._transport is not None and self._waiter is None

    async def exchange(self, data: bytes, deadline: float) -> HttpReply:
        """Write one request and wait for its reply."""
        transport = self._transport
        if transport is None or self._is_broken or transport.is_closing():
            raise NoAnswer("the connection closed before the request was written", sent=False)
        waiter: asyncio.Future[HttpReply] = self._loop.create_future()
        self._waiter = waiter
        timer = self._loop.call_at(deadline, self.abort, "no answer in time")
        transport.write(data)
        try:
            return await waiter
        finally:
            timer.cancel()
            if self._waiter is waiter:  # Cancelled from outside: the reply may still come.
                self._is_broken = True
                self._waiter = None

    def abort(self, reason: str) -> None:
        """Close at once; a waiting request fails with ``sent`` True."""
        self._is_broken = True
        self._fail(reason)
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, reason: str) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(NoAnswer(f"the request was sent, then: {reason}", sent=True))

    # The callbacks of asyncio.Protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        if self._waiter is None:
            self.abort("the server spoke without being asked")
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.abort(f"the reply is not HTTP/1.1: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_broken = True
        if exc is None and self._ends_with_connection():
            self._finish()
        self._fail(f"the connection was cut ({exc or 'closed by the server'})")
        self._transport = None
        self._dropped(self)

    # The callbacks of httptools; the names are its own.

    def on_message_begin(self) -> None:
        if self._waiter is None:
            self._is_broken = True  # A second reply to one request: not to be trusted again.
        self._headers = {}
        self._body = []
        self._size = 0
        self._has_headers = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._has_headers = True

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > MAX_BODY_BYTES:
            self.abort(f"the reply is longer than {MAX_BODY_BYTES} bytes")
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < _FIRST_FINAL_STATUS:
            return  # 1xx announces the reply, it is not the reply.
        if not self._parser.should_keep_alive():
            self._is_broken = True
        self._finish()

    def _finish(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            status = self._parser.get_status_code()
            waiter.set_result(HttpReply(status, self._headers, b"".join(self._body)))

    def _ends_with_connection(self) -> bool:
        # RFC 9112 6.3: without a length, the body ends where the connection does.
        framing = {"content-length", "transfer-encoding"}
        return self._waiter is not None and self._has_headers and framing.isdisjoint(self._headers)


_Dropped = Callable[[_Connection], None]
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


def parse_origin(url: str, schemes: Mapping[str, int]) -> tuple[str, int, bool]:
    """Return (host, port, is TLS) of a base URL.

    Raises:
        Rejected: another scheme than those given, no host, or credentials in the URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname or parts.username is not None:
        wanted = " or ".join(f"{scheme}://host[:port]" for scheme in schemes)
        raise Rejected(f"expected an address such as {wanted}, received {url!r}")
    try:
        port = parts.port
    except ValueError as error:
        raise Rejected(f"expected a port from 1 to 65535, received {url!r}") from error
    return parts.hostname, port or schemes[parts.scheme], parts.scheme in {"https", "wss"}


def host_header(host: str, port: int, *, is_tls: bool) -> str:
    """Return the Host header: the port only where it is not the scheme's own."""
    name = f"[{host}]" if ":" in host else host
    return name if port == (443 if is_tls else 80) else f"{name}:{port}"
