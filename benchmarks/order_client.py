"""What a create order costs on loopback: our client signed in line and signed ahead, and httpx.

    python benchmarks/order_client.py

A server in a process of its own answers at once with a constant reply. Ours is the whole way of the
executor: tokens, encoding, signature (RSA-2048), request, decoding of the reply. httpx is the same
request with the same signature made by the same function, and once without any. uvloop as in
production. The machine's two cores are shared by client and server, so what else runs is seen.
"""

from __future__ import annotations

import asyncio
import platform
import subprocess
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from time import perf_counter, process_time
from typing import cast

import httpx
import uvloop
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from recio.adapters.kalshi.budget import Budget
from recio.adapters.kalshi.model import AccountLimits, BucketLimit, NewOrder, TimeInForce
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.kalshi.signing import RequestSigner
from recio.adapters.transport.client import HttpClient
from recio.domain.orders import BookSide
from recio.runtime.clock import WallClock

COUNT = 3000
PATH = "/trade-api/v2/portfolio/events/orders"
BODY = b'{"order_id":"a","fill_count":"1.00","remaining_count":"0.00","ts_ms":1700000000000}'
REPLY = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
ENDLESS = BucketLimit(refill_per_s=10**9, capacity=10**9)
ORDER = NewOrder(
    ticker="KXBTCD-26AUG1717-T72749.99",
    book_side=BookSide.BID,
    qty_e2=100,
    yes_price_e4=5600,
    client_order_id="80853845-8c14-8675-9318-9b640133675b",
    time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL,
    exchange_index=2,
)


class Answer(asyncio.Protocol):
    """Answers each chunk of bytes with one reply."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport

    def data_received(self, _data: bytes) -> None:
        """Answer."""
        cast("asyncio.Transport", self.transport).write(REPLY % (len(BODY), BODY))


async def serve() -> None:
    """Print the port and answer for ever."""
    server = await asyncio.get_running_loop().create_server(Answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Start the server, measure, print."""
    if sys.argv[1:] == ["server"]:
        uvloop.run(serve())
        return
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, "
        f"uvloop {version('uvloop')}, httptools {version('httptools')}, httpx {version('httpx')}"
    )
    with subprocess.Popen([sys.executable, __file__, "server"], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            uvloop.run(measure(f"http://127.0.0.1:{int(server.stdout.readline())}"))
        finally:
            server.terminate()


async def measure(url: str) -> None:
    """Run all clients against the server."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    signer, clock = RequestSigner("key", pem), WallClock()
    budget = Budget(clock, AccountLimits(tier="endless", read=ENDLESS, write=ENDLESS))
    rest = KalshiRest(HttpClient(url), signer, clock, budget)
    ahead = rest.ahead
    assert ahead is not None

    async def create() -> None:
        await rest.create_order(ORDER)

    async def sign_ahead() -> None:
        ahead.refresh()

    show("the signature alone", await timed(sign, before=None, signer=signer))
    show("ours, signed in line", await timed(create))
    show("ours, signed ahead", await timed(create, before=sign_ahead))
    async with httpx.AsyncClient() as client:

        async def signed() -> None:
            headers = signer.headers("POST", PATH, clock.wall_us())
            await client.post(url + PATH, content=BODY, headers=headers)

        async def unsigned() -> None:
            await client.post(url + PATH, content=BODY)

        show("httpx, signed in line", await timed(signed))
        show("httpx, not signed", await timed(unsigned))
    await rest.close()


async def sign(signer: RequestSigner) -> None:
    """Sign once."""
    signer.headers("POST", PATH, 1)


async def timed(
    call: Callable[..., Awaitable[None]],
    before: Callable[[], Awaitable[None]] | None = None,
    **arguments: object,
) -> tuple[float, float, float]:
    """Return p50 and p99 in ms, and CPU in ms a call (with what is done ``before`` each)."""
    for _ in range(200):
        await call(**arguments)
    spent = []
    cpu = process_time()
    for _ in range(COUNT):
        if before is not None:
            await before()
        start = perf_counter()
        await call(**arguments)
        spent.append((perf_counter() - start) * 1e3)
    cpu = (process_time() - cpu) / COUNT * 1e3
    spent.sort()
    return spent[COUNT // 2], spent[COUNT * 99 // 100], cpu


def show(what: str, figures: tuple[float, float, float]) -> None:
    """Print one row."""
    p50, p99, cpu = figures
    print(f"{what:<24} p50 {p50:6.3f} ms   p99 {p99:6.3f} ms   CPU {cpu:6.3f} ms")


if __name__ == "__main__":
    main()
