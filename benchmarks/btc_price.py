"""How fast the price is answered: `make bench B=btc_price`.

main_app runs in a process of its own on a real database, with ten snapshots and five prices a second
on its bus and two open pages. This process asks 500 times a second over eight connections. A
request counts from the moment at which it was due, so that a stall is not hidden by asking later.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import platform
import re
import shutil
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import psycopg
from websockets.asyncio.client import connect

from recio import manifest
from recio.adapters.postgres.config import apply_account
from recio.adapters.postgres.database import PostgresDatabase
from recio.adapters.postgres.facts import open_books
from recio.adapters.postgres.migrate import migrate
from recio.apps.main_app.app import build
from recio.apps.main_app.users import reset_password
from recio.runtime.clock import AcceleratedClock, MarketTime, monotonic_ns
from recio.runtime.host import http_server
from recio.runtime.ids import SystemIds
from recio.runtime.local.embedded import EmbeddedPostgres
from recio.runtime.metrics import Metrics, ProcessMetrics
from recio.runtime.service import ServiceContext
from recio.testing.memory_bus import MemoryBus
from recio.testing.scripted_market import START_US, exchange_status, price_update, snapshot

RATE = 500
SECONDS = 20
CONNECTIONS = 8
PAGES = 2
DOCUMENT = {
    "apiVersion": "recio.io/v1alpha1",
    "kind": "TradingAccount",
    "metadata": {"name": "bench"},
    "spec": {"mode": "paper"},
}


async def serve(url: str, pipe: Connection) -> None:
    """Run main_app and its market until the parent ends this process."""
    clock = AcceleratedClock(MarketTime(START_US, monotonic_ns(), 1))
    owner = PostgresDatabase(url)
    async with owner.transaction() as tx:
        await apply_account(tx, DOCUMENT, environment="paper", at_us=START_US, author="bench")
        await open_books(tx, "bench", cash_usd_e6=1_000_000_000, at_us=START_US)
    password = await reset_password(owner, clock, "admin")
    bus = MemoryBus()
    row = manifest.service("main_app")
    service = build(
        ServiceContext(
            row=row,
            environment="paper",
            account=None,
            clock=clock,
            ids=SystemIds(),
            database=PostgresDatabase(re.sub("://[^@]+@", "://recio_main_app@", url)),
            bus=bus,
            access=None,  # type: ignore[arg-type]
            metrics=Metrics(ProcessMetrics(), service=row.name, account=None),
            log=logging.LoggerAdapter(logging.getLogger("bench")),
            settings={},
        )
    )
    assert service.asgi is not None
    async with http_server(service.asgi, "127.0.0.1", 0, websockets="websockets-sansio") as port:
        tasks = [asyncio.ensure_future(task()) for task in service.tasks]
        tasks.append(asyncio.create_task(market(bus, clock)))
        await asyncio.sleep(0.5)
        pipe.send((port, password))
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def market(bus: MemoryBus, clock: AcceleratedClock) -> None:
    """Publish five prices and ten snapshots a second."""
    for step in range(sys.maxsize):
        now = clock.market_us()
        price = 91_300_000_000 + step % 97 * 310_000
        if step % 2 == 0:
            await bus.publish("prices", price_update(price, now))
            await bus.publish("exchange_status", exchange_status(now))
        await bus.publish("snapshots", snapshot(price, now, step))
        await asyncio.sleep(0.1)


def server(url: str, pipe: Connection) -> None:
    """Be the child process."""
    import uvloop  # noqa: PLC0415 (only the child wants it)

    uvloop.run(serve(url, pipe))


async def watch(url: str, password: str) -> None:
    """Be an open page."""
    async with httpx.AsyncClient(base_url=url, headers={"origin": url}) as client:
        body = {"username": "admin", "password": password}
        (await client.post("/api/auth/login", json=body)).raise_for_status()
        headers = {"cookie": f"recio_session={client.cookies['recio_session']}", "origin": url}
    async with connect(url.replace("http", "ws") + "/ws", additional_headers=headers) as socket:
        async for _ in socket:
            pass


async def ask(port: int, first: int, took: list[float]) -> None:
    """Ask at every eighth moment over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = b"GET /api/btc_price HTTP/1.1\r\nhost: localhost\r\n\r\n"
    loop = asyncio.get_running_loop()
    start = loop.time() + 0.5
    for number in range(first, RATE * SECONDS, CONNECTIONS):
        due = start + number / RATE
        await asyncio.sleep(max(0.0, due - loop.time()))
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert head.startswith(b"HTTP/1.1 200"), head
        assert length is not None
        await reader.readexactly(int(length[1]))
        took.append(loop.time() - due)
    writer.close()


async def measure(port: int, password: str) -> list[float]:
    """Return how long each request took, in seconds, ascending."""
    url = f"http://localhost:{port}"
    pages = [asyncio.create_task(watch(url, password)) for _ in range(PAGES)]
    await asyncio.sleep(1)
    took: list[float] = []
    await asyncio.gather(*(ask(port, first, took) for first in range(CONNECTIONS)))
    assert not any(page.done() for page in pages), "a page lost its connection"
    for page in pages:
        page.cancel()
    await asyncio.gather(*pages, return_exceptions=True)
    return sorted(took)


def main() -> None:
    """Measure and print."""
    folder = Path(tempfile.mkdtemp(prefix="recio-bench-"))
    folder.chmod(0o755)
    postgres = EmbeddedPostgres(folder / "pg")
    postgres.start()
    here, there = multiprocessing.Pipe()
    try:
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE bench")
        migrate(postgres.url("bench"))
        child = multiprocessing.get_context("spawn").Process(
            target=server, args=(postgres.url("bench"), there), daemon=True
        )
        child.start()
        took = asyncio.run(measure(*here.recv()))
        child.terminate()
        child.join()
    finally:
        postgres.stop(is_immediate=True)
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    print(f"GET /api/btc_price at {RATE}/s, {len(took)} requests, {PAGES} pages open:")
    for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)):
        print(f"  {name:6} {1000 * took[int(share * (len(took) - 1))]:7.2f} ms")
    print(f"  {'worst':6} {1000 * took[-1]:7.2f} ms")


if __name__ == "__main__":
    main()
