"""A proxy before the API server that fails as networks and busy servers do.

It speaks plain HTTP to the operator and TLS to the server, so that it can answer by itself: 500, 429.
It can also cut connections in the middle, hold answers back, and lose the answer to a write that the
server has carried out. Faults are drawn from a seeded generator, so that a run can be repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web
from kubernetes import client, config

from recio.runtime.ids import SeededIds

_SKIPPED = {"Transfer-Encoding", "Content-Length", "Content-Encoding", "Connection"}


@dataclass
class Faults:
    """What goes wrong, as shares of requests. ``is_away``: nothing is answered, nothing connects."""

    error_share: float = 0.0
    busy_share: float = 0.0
    cut_share: float = 0.0
    lost_answer_share: float = 0.0
    delay_s: float = 0.0
    is_away: bool = False


@dataclass
class Proxy:
    """The running proxy. ``requests`` counts what came by, ``failed`` what it spoiled."""

    kubeconfig: Path
    faults: Faults = field(default_factory=Faults)
    requests: int = 0
    failed: int = 0
    streams: set[web.StreamResponse] = field(default_factory=set)

    def cut_streams(self) -> None:
        """Cut every watch that is open now."""
        for stream in list(self.streams):
            transport = stream._req.transport if stream._req is not None else None
            if transport is not None:
                transport.abort()


class _Server:
    def __init__(self, proxy: Proxy, host: str, tls: ssl.SSLContext, seed: str) -> None:
        self.proxy = proxy
        self._host = host
        self._ids = SeededIds(seed)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, limit=0), auto_decompress=False
        )

    async def close(self) -> None:
        """Close the connections to the server."""
        await self._session.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Pass a request on, or spoil it."""
        faults = self.proxy.faults
        self.proxy.requests += 1
        if faults.is_away or self._draws(faults.cut_share):
            return self._cut(request)
        if self._draws(faults.error_share):
            return self._refused(500, "InternalError")
        if self._draws(faults.busy_share):
            return self._refused(429, "TooManyRequests", {"Retry-After": "1"})
        await asyncio.sleep(faults.delay_s * self._ids.jitter())
        body = await request.read()
        is_lost = request.method != "GET" and self._draws(faults.lost_answer_share)
        async with self._session.request(
            request.method,
            f"{self._host}{request.raw_path}",
            data=body or None,
            headers={key: value for key, value in request.headers.items() if key != "Host"},
        ) as answer:
            if is_lost:
                await answer.read()
                return self._cut(request)
            return await self._passed(request, answer)

    async def _passed(
        self, request: web.Request, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        headers = {key: value for key, value in answer.headers.items() if key not in _SKIPPED}
        passed = web.StreamResponse(status=answer.status, headers=headers)
        await passed.prepare(request)
        self.proxy.streams.add(passed)
        try:
            async for chunk in answer.content.iter_any():
                await passed.write(chunk)
            await passed.write_eof()
        finally:
            self.proxy.streams.discard(passed)
        return passed

    def _draws(self, share: float) -> bool:
        return self._ids.jitter() < share

    def _refused(
        self, status: int, reason: str, headers: dict[str, str] | None = None
    ) -> web.Response:
        self.proxy.failed += 1
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason}
        return web.json_response(
            body | {"code": status, "message": "the proxy says no"}, status=status, headers=headers
        )

    def _cut(self, request: web.Request) -> web.Response:
        self.proxy.failed += 1
        if request.transport is not None:
            request.transport.abort()
        return web.Response()


@contextlib.asynccontextmanager
async def fault_proxy(
    kubeconfig: Path, directory: Path, *, seed: str = "faults"
) -> AsyncIterator[Proxy]:
    """Run a proxy before the server of a kubeconfig."""
    told = client.Configuration()
    config.load_kube_config(str(kubeconfig), client_configuration=told)
    tls = ssl.create_default_context(cafile=told.ssl_ca_cert)
    tls.load_cert_chain(told.cert_file, told.key_file)
    proxy = Proxy(directory / "proxy.kubeconfig")
    server = _Server(proxy, told.host, tls, seed)
    app = web.Application(client_max_size=10_000_000)
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    proxy.kubeconfig.write_text(yaml.safe_dump(_kubeconfig(port)))
    try:
        yield proxy
    finally:
        await runner.cleanup()
        await server.close()


def _kubeconfig(port: int) -> dict[str, object]:
    context = {"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "proxy",
        "clusters": [{"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [context],
        "users": [{"name": "proxy", "user": {}}],
    }
