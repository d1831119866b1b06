"""The small HTTP server of every process: probes, metrics, and the services' own routes.

``/healthz`` answers while the event loop turns; ``/readyz`` 200 when every service hosted here can
do its job, else 503 with the reasons; ``/metrics`` Prometheus' text. A service with a whole ASGI
application gets everything else. Where a process hosts one service for several accounts, its routes
ask for ``?account=``. Bodies above ``BODY_MOST`` bytes are refused.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from recio.domain.errors import Broken, Rejected, Unavailable
from recio.runtime.metrics import CONTENT_TYPE, ProcessMetrics
from recio.runtime.service import AsgiApp, HttpRequest, HttpResponse, Readiness, Route, Service

BODY_MOST: Final = 1_000_000
BACKLOG: Final = 256

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class Hosted:
    """One service in this process; ``service`` is None until it is built.

    ``waiting_for`` is why it has not started yet.
    """

    name: str
    account: str | None
    service: Service | None = None
    is_started: bool = False
    waiting_for: str = "not yet recovered"

    def readiness(self) -> Readiness:
        """Return whether it can do its job."""
        if self.service is None or not self.is_started:
            return Readiness(is_ready=False, reason=f"starting: {self.waiting_for}")
        return self.service.readiness()


@dataclass(slots=True)
class ProcessApp:
    """The ASGI application of a process."""

    metrics: ProcessMetrics
    hosted: list[Hosted] = field(default_factory=list)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request, or hand it to the service that has an application of its own."""
        own = self._own(scope) if scope["type"] == "http" else None
        if own is not None:
            await _send(send, own)
        elif (asgi := self._asgi()) is not None:
            await asgi(scope, receive, send)
        elif scope["type"] == "http":
            await _send(send, await self._route(scope, receive))
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _own(self, scope: dict[str, Any]) -> HttpResponse | None:
        match scope["path"]:
            case "/healthz":
                return HttpResponse(200, b'{"status":"alive"}')
            case "/readyz":
                return self._ready()
            case "/metrics":
                return HttpResponse(200, self.metrics.text(), CONTENT_TYPE)
            case _:
                return None

    def _ready(self) -> HttpResponse:
        found = [(hosted, hosted.readiness()) for hosted in self.hosted]
        is_ready = bool(found) and all(readiness.is_ready for _, readiness in found)
        services = [
            {
                "service": hosted.name,
                "account": hosted.account,
                "is_ready": readiness.is_ready,
                "reason": readiness.reason,
            }
            for hosted, readiness in found
        ]
        body = msgspec.json.encode({"is_ready": is_ready, "services": services})
        return HttpResponse(200 if is_ready else 503, body)

    def _asgi(self) -> AsgiApp | None:
        for hosted in self.hosted:
            if hosted.service is not None and hosted.service.asgi is not None:
                return hosted.service.asgi
        return None

    async def _route(self, scope: dict[str, Any], receive: Receive) -> HttpResponse:
        method, path = scope["method"], scope["path"]
        routes: dict[str | None, Route] = {}
        for hosted in self.hosted:
            if hosted.service is not None and hosted.is_started:
                route = hosted.service.routes.get((method, path))
                if route is not None:
                    routes[hosted.account] = route
        if not routes:
            return problem(404, f"nothing answers {method} {path} here")
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        chosen = _chosen(routes, query)
        if isinstance(chosen, HttpResponse):
            return chosen
        body = await _body(receive)
        if body is None:
            return problem(413, f"expected at most {BODY_MOST} bytes")
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        return await _answer(chosen, HttpRequest(method, path, query, headers, body))


def _chosen(routes: Mapping[str | None, Route], query: Mapping[str, str]) -> Route | HttpResponse:
    if len(routes) == 1:
        return next(iter(routes.values()))
    route = routes.get(query.get("account"))
    if route is None:
        names = ", ".join(sorted(str(account) for account in routes))
        return problem(400, f"expected ?account= with one of {names}")
    return route


async def _answer(route: Route, request: HttpRequest) -> HttpResponse:
    try:
        return await route(request)
    except Rejected as error:
        return problem(400, str(error))
    except Unavailable as error:
        return problem(503, str(error))
    except Broken as error:
        return problem(500, str(error))


def problem(status: int, detail: str) -> HttpResponse:
    """Return an error answer that says what was expected (RFC 9457)."""
    body = msgspec.json.encode({"status": status, "detail": detail})
    return HttpResponse(status, body, "application/problem+json")


async def _body(receive: Receive) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_MOST:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


async def _send(send: Send, response: HttpResponse) -> None:
    headers = [
        (b"content-type", response.content_type.encode("latin-1")),
        (b"content-length", str(len(response.body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def is_own_address(host: str) -> bool:
    """Whether this machine can listen at an address at all."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a bound socket; port 0 takes any free one.

    Raises:
        Broken: the port is in use, or there is no such port or address; the message names it and
            says what to do.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, so that asyncio switches Nagle's algorithm off: it held answers back for 40 ms.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(BACKLOG)
    except OverflowError as error:
        made.close()
        raise Broken(
            f"cannot listen on {host}:{port}: expected a port from 0 (any) to 65535"
        ) from error
    except OSError as error:
        made.close()
        if not is_own_address(host):
            raise Broken(
                f"cannot listen on {host}: no such address on this machine; 127.0.0.1 is for this "
                "machine alone, 0.0.0.0 for everybody"
            ) from error
        raise Broken(
            f"cannot listen on {host}:{port}: {error.strerror}. Another program uses the port "
            f"(`ss -ltnp 'sport = :{port}'` shows which): stop it, or choose another port"
        ) from error
    made.setblocking(False)  # noqa: FBT003 (the standard library's signature)
    return made
