"""A member's client for tests: signs requests, in memory, on a clock that the test moves."""

from __future__ import annotations

from base64 import b64encode
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tests.unit.exchange_simulator import builders

from recio.exchange_simulator.core.state import Config
from recio.exchange_simulator.feeds import Feeds
from recio.exchange_simulator.gateway import Gateway
from recio.exchange_simulator.memory import MemoryHttp, MemoryWebSockets

BASE = "/trade-api/v2"
WS = "/trade-api/ws/v2"


class TestClock:
    """Both times stand still until the test moves them."""

    __test__ = False

    def __init__(self, at_us: int = builders.NOW_US) -> None:
        self.at_us = at_us
        self.slept: list[float] = []

    def market_us(self) -> int:
        """Return market time."""
        return self.at_us

    def wall_us(self) -> int:
        """Return wall time."""
        return self.at_us

    async def sleep_market(self, seconds: float) -> None:
        """Note the wish to sleep."""
        self.slept.append(seconds)

    async def sleep_wall(self, seconds: float) -> None:
        """Note the wish to sleep."""
        self.slept.append(seconds)


def fresh():
    """Return a source of identifiers that repeats from test to test."""
    numbers = iter(range(1, 10_000))
    return lambda: UUID(int=next(numbers))


class Venue:
    """An exchange with its gateway and transports."""

    def __init__(
        self, config: Config | None = None, *, store=None, on=None, admin_token=None
    ) -> None:
        self.exchange = on or builders.exchange(config)
        self.exchange.fresh = fresh()
        self.clock = TestClock()
        self.gateway = Gateway(self.exchange, self.clock, store=store, admin_token=admin_token)
        self.feeds = Feeds(self.exchange)
        self.http = MemoryHttp(self.gateway, self.feeds)
        self.websockets = MemoryWebSockets(self.gateway, self.feeds)

    async def advance(self, seconds: float) -> None:
        """Let market and wall time go on."""
        self.clock.at_us += round(seconds * 1_000_000)
        self.exchange.advance(self.clock.at_us)
        await self.gateway.commit()

    async def member(self, name: str = "alice", dollars: int = 1000, key_type: str = "ed25519"):
        """Open an account over the admin API and return its client."""
        body = {"account": name, "initial_balance_dollars": str(dollars), "key_type": key_type}
        reply = await self.http.request(
            "POST", "/admin/accounts", {}, msgspec.json.encode(body), timeout_s=1
        )
        made = msgspec.json.decode(reply.body)
        assert reply.status == 201, made
        return Client(self, name, made["api_key_id"], made["private_key"])


class Client:
    """Signs and sends."""

    def __init__(self, venue: Venue, account: str, key_id: str, pem: str) -> None:
        self.venue = venue
        self.account = account
        self.key_id = key_id
        self.key = load_pem_private_key(pem.encode(), None)
        self._number = 0

    def headers(self, method: str, path: str, *, shift_ms: int = 0) -> dict[str, str]:
        """Return the three headers of a signed request."""
        stamp = str(self.venue.clock.wall_us() // 1000 + shift_ms)
        text = f"{stamp}{method}{path}".encode()
        if isinstance(self.key, Ed25519PrivateKey):
            signature = self.key.sign(text)
        else:
            signature = self.key.sign(text, PSS(MGF1(SHA256()), 32), SHA256())
        return {
            "KALSHI-ACCESS-KEY": self.key_id,
            "KALSHI-ACCESS-TIMESTAMP": stamp,
            "KALSHI-ACCESS-SIGNATURE": b64encode(signature).decode(),
        }

    async def call(self, method: str, path: str, body=None, *, query: str = ""):
        """Return (status, decoded body)."""
        target = BASE + path
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body) if body else b""
        reply = await self.venue.http.request(
            method,
            target + (f"?{query}" if query else ""),
            self.headers(method, target),
            raw,
            timeout_s=1,
        )
        return reply.status, msgspec.json.decode(reply.body) if reply.body else None

    async def get(self, path: str, query: str = ""):
        """Return the body of a successful read."""
        status, body = await self.call("GET", path, query=query)
        assert status == 200, body
        return body

    async def order(self, side: str = "bid", price: str = "0.5000", count: str = "10.00", **more):
        """Create an order on the crypto shard; return (status, body)."""
        self._number += 1
        body = {
            "ticker": builders.LOW,
            "side": side,
            "count": count,
            "price": price,
            "time_in_force": "good_till_canceled",
            "self_trade_prevention_type": "taker_at_cross",
            "client_order_id": f"{self.account}-{self._number}",
            "exchange_index": 2,
        } | more
        return await self.call("POST", "/portfolio/events/orders", body)

    async def stream(self, *channels: str, **params):
        """Open a WebSocket and subscribe; return it as a list-like reader."""
        socket = await self.venue.websockets.connect(WS, self.headers("GET", WS))
        stream = Stream(socket)
        if channels:
            await stream.send("subscribe", channels=list(channels), **params)
        return stream


class Stream:
    """A WebSocket whose frames are read as they are there."""

    def __init__(self, socket) -> None:
        self.socket = socket
        self._id = 0

    async def send(self, command: str, **params) -> None:
        """Send one command."""
        self._id += 1
        message = {"id": self._id, "cmd": command, "params": params}
        await self.socket.send(msgspec.json.encode(message).decode())

    def frames(self) -> list[dict]:
        """Return what has come."""
        queue, found = self.socket._frames, []
        while queue:
            frame = queue.popleft()
            found.append({} if frame is None else msgspec.json.decode(frame))
        return found

    def of(self, kind: str) -> list[dict]:
        """Return the ``msg`` of what has come of a type."""
        return [frame["msg"] for frame in self.frames() if frame.get("type") == kind]
