"""The door in front of the application: who may come in, and what every answer carries.

Rules, in this order:
1. ``GET /api/btc_price`` is answered from memory, to anybody: it is a public figure, and it must
   stay fast while everything else is busy.
2. The Host header must be one that this release is known by, which stops DNS rebinding.
3. A write, and a WebSocket, must carry an Origin whose host is that Host, which stops other sites.
4. The page's own files, the log-in, and the question who one is are open: they hold nothing. All
   else needs a session.

Refusals are 421, 403 and 401; while the database cannot be asked about a session it is 503.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from recio.apps.main_app.assets import Assets
from recio.apps.main_app.btc_price import PriceAnswer
from recio.apps.main_app.sessions import COOKIE, Session, Sessions
from recio.domain.errors import Unavailable
from recio.runtime.service import AsgiApp

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN: Final = frozenset({"/api/auth/login", "/api/auth/verify"})
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS: Final = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=()"),
)


class Gate:
    """The ASGI application that stands before all others."""

    def __init__(
        self,
        inner: AsgiApp,
        *,
        sessions: Sessions,
        price: PriceAnswer,
        assets: Assets,
        hosts: Iterable[str],
    ) -> None:
        self._inner = inner
        self._sessions = sessions
        self._price = price
        self._assets = assets
        self._hosts = _LOOPBACK | {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] == "http" and scope["path"] == "/api/btc_price":
            await self._price.answer(scope, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, with_headers(send))
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._inner(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope, is_write=scope["method"] not in _SAFE)
        if refusal is not None:
            await answer_json(send, *refusal)
            return
        if scope["method"] in _SAFE and await self._assets.answer(scope, send):
            return
        if await self._let_in(scope, send):
            await self._inner(scope, receive, send)

    async def _let_in(self, scope: Scope, send: Send) -> bool:
        try:
            session = await self._session(scope)
        except Unavailable as error:
            await answer_json(send, 503, f"the database does not answer: {error}")
            return False
        if session is None and scope["path"] not in _OPEN:
            await answer_json(send, 401, "log in first")
            return False
        scope.setdefault("state", {})["session"] = session
        return True

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            session = None
            if self._refusal(scope, is_write=True) is None:
                session = await self._session(scope)
        except Unavailable:
            session = None
        if session is None:
            # Closing before accepting answers the upgrade with 403.
            await receive()
            await send({"type": "websocket.close", "code": 4403})
            return
        scope.setdefault("state", {})["session"] = session
        await self._inner(scope, receive, send)

    def _refusal(self, scope: Scope, *, is_write: bool) -> tuple[int, str] | None:
        host = header(scope, b"host")
        name = _host_name(host)
        if name is None or name not in self._hosts:
            return 421, f"this release is not known as {host!r}: add it to allowed_hosts"
        if not is_write:
            return None
        origin = header(scope, b"origin")
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or parts.netloc.lower() != host.lower():
            return 403, f"expected an Origin of this host, received {origin!r}"
        return None

    async def _session(self, scope: Scope) -> Session | None:
        token = cookie(scope, COOKIE)
        return None if token is None else await self._sessions.find(token)


def header(scope: Scope, name: bytes) -> str:
    """Return a header's value, or an empty text when it is not there exactly once."""
    values = [value for key, value in scope["headers"] if key == name]
    return values[0].decode("latin-1") if len(values) == 1 else ""


def cookie(scope: Scope, name: str) -> str | None:
    """Return a cookie's value, or None."""
    for key, value in scope["headers"]:
        if key != b"cookie":
            continue
        try:
            found = SimpleCookie(value.decode("latin-1")).get(name)
        except CookieError:
            continue
        if found is not None:
            return found.value
    return None


def with_headers(send: Send) -> Send:
    """Return ``send`` that adds the security headers to every answer."""

    async def add(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), *_HEADERS]
            if not any(key.lower() == b"cache-control" for key, _ in headers):
                headers.append((b"cache-control", b"no-store"))
            message["headers"] = headers
        await send(message)

    return add


async def answer_json(send: Send, status: int, detail: str) -> None:
    """Answer with ``{"detail": …}``."""
    body = msgspec.json.encode({"detail": detail})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
