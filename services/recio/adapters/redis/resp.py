"""A lean Redis client: one connection, commands in a row, answers in order.

It exists because of what it does not do. Measured in a forked process, the usual client's first
command makes 4.4 MB of shared memory private, and costs some 150 µs a command; a service here sends
one kind of command and reads another. No retry, no pool, no decoding: bytes come back as bytes.

Protocol: RESP2 (https://redis.io/docs/latest/develop/reference/protocol-spec/, read November 2026).
Whatever goes wrong is ``Unavailable``; a connection that was interrupted in the middle of an answer
is closed, because the next answer would be taken for another's.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from recio.domain.errors import Broken, Unavailable

CONNECT_TIMEOUT_S: Final = 2.0
PORT: Final = 6379
_NEWLINE: Final = b"\r\n"


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis is and who we are there; ``path`` for a Unix socket."""

    host: str = ""
    port: int = PORT
    path: str = ""
    username: str = ""
    password: str = ""
    database: int = 0
    is_tls: bool = False

    def __repr__(self) -> str:
        return self.path or f"{self.host}:{self.port}"


def parse_address(url: str) -> Address:
    """Return the parts of ``redis://``, ``rediss://`` (TLS) or ``unix://`` address.

    Raises:
        Broken: not such an address.
    """
    parts = urlsplit(url)
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    try:
        if parts.scheme == "unix" and parts.path:
            database = dict(parse_qsl(parts.query)).get("db", "0")
            return Address(
                path=parts.path, database=int(database), username=username, password=password
            )
        if parts.scheme in {"redis", "rediss"} and parts.hostname:
            return Address(
                host=parts.hostname,
                port=parts.port or PORT,
                database=int(parts.path.strip("/") or "0"),
                username=username,
                password=password,
                is_tls=parts.scheme == "rediss",
            )
    except ValueError:
        pass
    raise Broken(
        "expected an address such as redis://host:6379/0, rediss://user:password@host or "
        f"unix:///path/redis.sock, received scheme {parts.scheme!r} and host {parts.hostname!r}"
    )


class ServerError(Exception):
    """The server answered with an error."""


class Incomplete(Exception):
    """The answer is not whole yet."""


class RespConnection(asyncio.Protocol):
    """One open connection. Answers belong to commands in the order in which those were sent."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._waiting: deque[asyncio.Future[Any]] = deque()

    @property
    def is_open(self) -> bool:
        """Whether commands can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def command(self, *words: bytes | str | int, timeout_s: float) -> Any:  # noqa: ANN401
        """Send one command and return its answer: bytes, int, None or a list of these.

        Raises:
            Unavailable: no answer in time, a broken connection, or an error answer.
        """
        if self._transport is None or self._transport.is_closing():
            raise Unavailable("the connection to Redis is closed")
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append(answer)
        timer = self._loop.call_later(timeout_s, self._end, f"no answer within {timeout_s} s")
        self._transport.write(encoded(words))
        try:
            return await answer
        except ServerError as error:
            raise Unavailable(f"Redis refused {words[0]!r}: {error}") from error
        except asyncio.CancelledError:
            self._end("a command was given up")
            raise
        finally:
            timer.cancel()

    def close(self) -> None:
        """Close at once."""
        self._end("closed by us")

    def _end(self, reason: str) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        while self._waiting:
            answer = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(Unavailable(f"the connection to Redis ended: {reason}"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._end(str(exc) if exc else "the server closed it")

    def data_received(self, data: bytes) -> None:
        """Hand out every answer that is whole."""
        buffer = self._buffer + data if self._buffer else data
        start = 0
        try:
            while start < len(buffer):
                value, start = parse(buffer, start)
                self._hand_out(value)
        except Incomplete:
            pass
        except (ValueError, RecursionError) as error:
            self._end(f"not RESP: {error}")
            return
        self._buffer = buffer[start:]

    def _hand_out(self, value: object) -> None:
        if not self._waiting:
            raise ValueError("an answer without a command")
        answer = self._waiting.popleft()
        if answer.done():
            return
        if isinstance(value, ServerError):
            answer.set_exception(value)
        else:
            answer.set_result(value)


async def connect(address: Address) -> RespConnection:
    """Open a connection, log in, choose the database.

    Raises:
        Unavailable: it cannot be opened, or the login is refused.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            connection = await _open(loop, address)
            if address.password:
                login = (address.username, address.password)
                words = [word for word in login if word]
                await connection.command("AUTH", *words, timeout_s=CONNECT_TIMEOUT_S)
            if address.database:
                await connection.command("SELECT", address.database, timeout_s=CONNECT_TIMEOUT_S)
    except (OSError, TimeoutError) as error:
        raise Unavailable(f"cannot connect to Redis at {address}: {error}") from error
    return connection


async def _open(loop: asyncio.AbstractEventLoop, address: Address) -> RespConnection:
    if address.path:
        _, made = await loop.create_unix_connection(lambda: RespConnection(loop), address.path)
    else:
        tls = ssl.create_default_context() if address.is_tls else None
        _, made = await loop.create_connection(
            lambda: RespConnection(loop), address.host, address.port, ssl=tls
        )
    return made


def encoded(words: tuple[bytes | str | int, ...]) -> bytes:
    """Return a command as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


def parse(buffer: bytes, start: int) -> tuple[Any, int]:
    """Return the value that begins at ``start`` and where the next begins.

    Raises:
        Incomplete: the value is not whole.
        ValueError: not RESP2.
    """
    end = buffer.find(_NEWLINE, start)
    if end < 0:
        raise Incomplete
    kind, head, following = buffer[start : start + 1], buffer[start + 1 : end], end + 2
    match kind:
        case b"$":
            return _bulk(buffer, int(head), following)
        case b"*":
            return _array(buffer, int(head), following)
        case b":":
            return int(head), following
        case b"+":
            return head, following
        case b"-":
            return ServerError(head.decode(errors="replace")), following
        case _:
            raise ValueError(f"unknown kind {kind!r}")


def _bulk(buffer: bytes, size: int, start: int) -> tuple[bytes | None, int]:
    if size < 0:
        return None, start
    if len(buffer) < start + size + 2:
        raise Incomplete
    return buffer[start : start + size], start + size + 2


def _array(buffer: bytes, size: int, start: int) -> tuple[list[Any] | None, int]:
    if size < 0:
        return None, start
    values = []
    for _ in range(size):
        value, start = parse(buffer, start)
        values.append(value)
    return values, start
