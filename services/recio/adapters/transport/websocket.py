"""WebSockets to one host, over the ``websockets`` library, behind the transport port.

The library answers pings and sends its own, so a dead peer ends the connection within
``PING_EVERY_S + PONG_WITHIN_S``. Its exceptions end here: a refused upgrade is ``Rejected``,
everything else ``Unavailable``. Incoming frames wait in a short queue; when the reader is slow the
peer is held back by TCP, nothing is dropped here.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from recio.adapters.transport.client import parse_origin
from recio.domain.errors import Rejected, Unavailable

PING_EVERY_S: Final = 15.0
PONG_WITHIN_S: Final = 15.0
MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
"""Kalshi changelog, 2026-09-24: messages are at most 64 MiB."""
QUEUED_FRAMES: Final = 1024

_UPGRADE_REFUSED: Final = range(400, 500)


class WebSocketClient:
    """The ``WebSocketTransport`` port. ``tls`` replaces the default verifying context."""

    def __init__(
        self, base_url: str, *, tls: ssl.SSLContext | None = None, open_timeout_s: float = 10.0
    ) -> None:
        _, _, is_tls = parse_origin(base_url, {"ws": 80, "wss": 443})
        self._base_url = base_url.rstrip("/")
        self._tls = (tls or ssl.create_default_context()) if is_tls else None
        self._open_timeout_s = open_timeout_s

    async def connect(self, target: str, headers: Mapping[str, str]) -> OpenWebSocket:
        """Open one connection; ``target`` is the path.

        Raises:
            Rejected: the server refused the upgrade with a 4xx (a wrong signature, for example).
            Unavailable: anything else that kept the connection from opening.
        """
        url = self._base_url + target
        try:
            connection = await connect(
                url,
                additional_headers=dict(headers),
                ssl=self._tls,
                open_timeout=self._open_timeout_s,
                ping_interval=PING_EVERY_S,
                ping_timeout=PONG_WITHIN_S,
                close_timeout=1.0,
                max_size=MAX_FRAME_BYTES,
                max_queue=QUEUED_FRAMES,
                compression=None,
                proxy=None,
                user_agent_header="recio",
            )
        except InvalidStatus as error:
            status = error.response.status_code
            kind = Rejected if status in _UPGRADE_REFUSED else Unavailable
            body = error.response.body or b""
            raise kind(
                f"{url}: no WebSocket, the server answered {status} {body[:200]!r}"
            ) from error
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
            raise Unavailable(f"{url}: no WebSocket: {error}") from error
        return OpenWebSocket(connection, url)


class OpenWebSocket:
    """The ``WebSocketConnection`` port."""

    def __init__(self, connection: ClientConnection, url: str) -> None:
        self._connection = connection
        self._url = url

    async def send(self, text: str) -> None:
        """Send one text frame."""
        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise Unavailable(f"{self._url}: closed: {error}") from error

    async def receive(self) -> bytes:
        """Return the next frame's bytes."""
        try:
            return await self._connection.recv(decode=False)
        except ConnectionClosed as error:
            raise Unavailable(f"{self._url}: closed: {error}") from error

    async def close(self) -> None:
        """Close it, politely for at most a second."""
        try:
            async with asyncio.timeout(2.0):
                await self._connection.close()
        except TimeoutError:
            self._connection.transport.abort()
