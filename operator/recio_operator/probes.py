"""The operator's own HTTP: ``/healthz``, ``/readyz``, ``/metrics``.

Alive means that work moves: no object waits or is worked on for minutes, and the watch is on. An API
server or a database that is away does not make the operator unhealthy: starting it again mends
neither. Ready means that everything was listed once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import msgspec
from aiohttp import web
from prometheus_client import generate_latest

from recio.domain.errors import Broken
from recio_operator.metrics import OperatorMetrics

Check = Callable[[], str]
"""Returns what is wrong, or nothing."""

_FAILED: Final = 503


@asynccontextmanager
async def serving(
    host: str, port: int, *, alive: Check, ready: Check, metrics: OperatorMetrics
) -> AsyncIterator[int]:
    """Answer while the block runs; give the port.

    Raises:
        Broken: the port is not free.
    """
    app = web.Application()
    app.router.add_get("/healthz", _answering(alive))
    app.router.add_get("/readyz", _answering(ready))
    app.router.add_get("/metrics", _metrics(metrics))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        raise Broken(f"cannot listen on {host}:{port}: {error.strerror}") from error
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _answering(check: Check) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(_: web.Request) -> web.Response:
        await asyncio.sleep(0)
        wrong = check()
        body = msgspec.json.encode({"is_ready": not wrong, "reason": wrong})
        status = _FAILED if wrong else 200
        return web.Response(status=status, body=body, content_type="application/json")

    return handler


def _metrics(metrics: OperatorMetrics) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(_: web.Request) -> web.Response:
        text = generate_latest(metrics.registry)
        return web.Response(body=text, content_type="text/plain", charset="utf-8")

    return handler
