"""The exchange on real sockets: REST, WebSocket, the heartbeat ping, faults, and the command's door."""

from __future__ import annotations

import asyncio
from base64 import b64encode

import httpx
import msgspec
import pytest
import websockets
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tests.unit.exchange_simulator.builders import LOW
from tests.unit.exchange_simulator.client import BASE, WS, Venue

from recio.domain.errors import Broken
from recio.exchange_simulator import server
from recio.exchange_simulator.app import listening
from recio.exchange_simulator.server import ExchangeApp
from recio.exchange_simulator.standalone import Standalone, serve
from recio.runtime.clock import AcceleratedClock, MarketTime, monotonic_ns, wall_us
from recio.runtime.ids import SeededIds


class Visitor:
    """Somebody else's client: all it has is what the command printed and the key file."""

    def __init__(self, lines: list[str], key_file) -> None:
        told = dict(line.split(None, 1) for line in lines)
        self.rest, self.websocket = told["REST"], told["WebSocket"]
        self.control = told["Control"].removesuffix("/faults")
        text = key_file.read_bytes()
        self.key_id = text.split()[1].decode()
        self.key = load_pem_private_key(text, None)

    def headers(self, method, path):
        """Sign."""
        stamp = str(wall_us() // 1000)
        text = f"{stamp}{method}{path}".encode()
        signature = self.key.sign(text, PSS(MGF1(SHA256()), 32), SHA256())
        return {
            "KALSHI-ACCESS-KEY": self.key_id,
            "KALSHI-ACCESS-TIMESTAMP": stamp,
            "KALSHI-ACCESS-SIGNATURE": b64encode(signature).decode(),
        }

    async def call(self, http, method, path, body=None):
        """Send a signed request."""
        headers = self.headers(method, BASE + path)
        return await http.request(method, self.rest + path, headers=headers, json=body)


def test_anybody_s_client_trades_with_what_the_command_printed(tmp_path):
    """Addresses and key file suffice: balance, an order, its fill on the WebSocket, faults."""

    async def main():
        stop, lines, key_file = asyncio.Event(), [], tmp_path / "key.pem"
        running = asyncio.create_task(
            serve(
                Standalone(control_port=0, key_out=key_file),
                clock=lambda us: AcceleratedClock(MarketTime(us, monotonic_ns(), 1)),
                ids=SeededIds("test"),
                say=lines.append,
                stop=stop,
            )
        )
        while len(lines) < 4:
            await asyncio.sleep(0.01)
            assert not running.done()
        assert key_file.stat().st_mode & 0o777 == 0o600
        visitor = Visitor(lines, key_file)
        async with httpx.AsyncClient() as http:
            await _visit(visitor, http)
        stop.set()
        await running

    asyncio.run(main())


async def _visit(visitor, http):
    balance = (await visitor.call(http, "GET", "/portfolio/balance")).json()
    assert balance["balance"] == 100_000
    markets = (await http.get(visitor.rest + "/markets?status=open&limit=1000")).json()["markets"]
    one = next(m for m in markets if 0.1 < float(m["yes_ask_dollars"]) < 0.9)
    socket = await websockets.connect(
        visitor.websocket, additional_headers=visitor.headers("GET", WS)
    )
    await socket.send('{"id":1,"cmd":"subscribe","params":{"channels":["fill"]}}')
    order = {
        "ticker": one["ticker"],
        "side": "bid",
        "count": "1.00",
        "price": "0.9900",
        "time_in_force": "immediate_or_cancel",
        "self_trade_prevention_type": "taker_at_cross",
        "exchange_index": 2,
    }
    made = await visitor.call(http, "POST", "/portfolio/events/orders", order)
    assert (made.status_code, made.json()["fill_count"]) == (201, "1.00")
    async with asyncio.timeout(60):
        frames = [msgspec.json.decode(await socket.recv()) for _ in range(2)]
    assert [frame["type"] for frame in frames] == ["subscribed", "fill"]
    fault = {"fault": "cut_after_acceptance", "method": "POST"}
    assert (await http.post(visitor.control + "/faults/requests", json=fault)).status_code == 200
    with pytest.raises(httpx.RemoteProtocolError):
        await visitor.call(http, "POST", "/portfolio/events/orders", order)
    fault = {"fault": "timeout_after_acceptance", "method": "POST"}
    await http.post(visitor.control + "/faults/requests", json=fault)
    with pytest.raises(httpx.ReadTimeout):
        await http.post(
            visitor.rest + "/portfolio/events/orders",
            headers=visitor.headers("POST", BASE + "/portfolio/events/orders"),
            json=order,
            timeout=0.2,
        )
    orders = (await visitor.call(http, "GET", "/portfolio/orders")).json()["orders"]
    assert len(orders) == 3
    await http.post(visitor.control + "/exchange", json={"action": "cut_connections"})
    with pytest.raises(websockets.ConnectionClosed):
        await _read_to_the_end(socket)


async def _read_to_the_end(socket):
    async with asyncio.timeout(60):
        while True:
            await socket.recv()


def test_the_server_pings_with_its_own_payload(monkeypatch):
    """Ping frames carry the text heartbeat."""
    monkeypatch.setattr(server, "PING_SECONDS", 0.05)

    async def main():
        venue = Venue()
        alice = await venue.member()
        app = ExchangeApp(venue.gateway, venue.feeds)
        app.is_open = True
        async with listening(app, 0) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = {
                "Host": "127.0.0.1",
                "Upgrade": "websocket",
                "Connection": "Upgrade",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Version": "13",
                **alice.headers("GET", WS),
            }
            lines = [f"GET {WS} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
            writer.write("\r\n".join([*lines, "", ""]).encode())
            async with asyncio.timeout(60):
                assert b"101" in await reader.readuntil(b"\r\n\r\n")
                assert await reader.readexactly(11) == b"\x89\x09heartbeat"
            writer.close()
            await writer.wait_closed()

    asyncio.run(main())


def test_before_it_is_recovered_everything_is_503():
    """A client that comes too early is told so, on both protocols."""

    async def main():
        venue = Venue()
        app = ExchangeApp(venue.gateway, venue.feeds)
        async with listening(app, 0) as port, httpx.AsyncClient() as http:
            base = f"http://127.0.0.1:{port}{BASE}"
            assert (await http.get(base + "/exchange/status")).status_code == 503
            with pytest.raises(websockets.InvalidStatus, match="503"):
                await websockets.connect(f"ws://127.0.0.1:{port}{WS}")
            app.is_open = True
            assert (await http.get(base + f"/markets/{LOW}")).status_code == 200
            with pytest.raises(websockets.InvalidStatus, match="401"):
                await websockets.connect(f"ws://127.0.0.1:{port}{WS}")
            too_large = await http.post(base + "/portfolio/orders", content=b"x" * 1_000_001)
            assert too_large.status_code == 413

    asyncio.run(main())


def test_a_port_in_use_is_named():
    """The error tells which port and what to do."""

    async def main():
        venue = Venue()
        app = ExchangeApp(venue.gateway, venue.feeds)
        async with listening(app, 0) as port:
            with pytest.raises(Broken, match=f"port {port}"):
                async with listening(app, port):
                    pass

    asyncio.run(main())
