"""Our adapter as a client of the suite: the code that trades, over the sockets it trades over."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec
from tests.contract.members import BASE_PATH, STREAM_PATH, WITHIN_S, Answer, Key, T

from recio.adapters.kalshi.budget import Budget, Lane
from recio.adapters.kalshi.events import BookChanged, Event
from recio.adapters.kalshi.model import AccountLimits, BucketLimit
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.kalshi.signing import RequestSigner
from recio.adapters.kalshi.stream import Subscription
from recio.adapters.kalshi.websocket import KalshiStream
from recio.adapters.transport.client import HttpClient
from recio.adapters.transport.websocket import OpenWebSocket, WebSocketClient
from recio.domain.errors import Unavailable
from recio.ports import Clock, HttpReply
from recio.runtime.ids import SeededIds

_BUCKET: Final = BucketLimit(refill_per_s=1_000_000, capacity=1_000_000)
UNBOUND: Final = AccountLimits(tier="unbound", read=_BUCKET, write=_BUCKET)


class Unbound(Budget):
    """No budget of our own until a case adopts one: the exchange's is what is looked at."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, UNBOUND)

    def punish(self, lane: Lane, *, shard: int | None = None) -> None:
        """Learn of a 429 only where there is a budget."""
        if self.limits is not UNBOUND:
            super().punish(lane, shard=shard)


class SkewedClock:
    """A clock whose wall time is wrong."""

    def __init__(self, clock: Clock, skew_ms: int) -> None:
        self._clock = clock
        self._skew_us = skew_ms * 1000
        self.market_us = clock.market_us
        self.sleep_market = clock.sleep_market
        self.sleep_wall = clock.sleep_wall

    def wall_us(self) -> int:
        """Return wall time, wrong."""
        return self._clock.wall_us() + self._skew_us


class HurriedHttp:
    """The transport with less patience than the adapter has."""

    def __init__(self, http: HttpClient, timeout_s: float) -> None:
        self._http = http
        self._timeout_s = timeout_s
        self.sent: list[tuple[str, str, bytes]] = []

    async def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        timeout_s: float,
    ) -> HttpReply:
        """Send one request."""
        self.sent.append((method, target, body))
        return await self._http.request(
            method, target, headers, body, timeout_s=min(timeout_s, self._timeout_s)
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()


@cache
def signer_of(key: Key) -> RequestSigner:
    """Return what signs with a key; loading one checks it, which takes longer than most cases."""
    return RequestSigner(key.key_id, key.pem)


class OurSocket:
    """A WebSocket through our transport."""

    def __init__(self, socket: OpenWebSocket) -> None:
        self._socket = socket

    async def send(self, text: str) -> None:
        """Send one text frame."""
        await self._socket.send(text)

    async def frame(self) -> dict[str, Any] | None:
        """Return the next frame."""
        try:
            found: dict[str, Any] = msgspec.json.decode(await self._socket.receive())
        except Unavailable:
            return None
        return found

    async def close(self) -> None:
        """Close it."""
        await self._socket.close()


class OurFollower:
    """A ``KalshiStream`` whose events are read one by one."""

    def __init__(self, stream: KalshiStream) -> None:
        self.stream = stream
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for event in self.stream.events():
            self._events.put_nowait(event)

    async def next(self, kind: type[T]) -> T:
        """Return the next event of a type."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                event = await self._events.get()
                if isinstance(event, kind):
                    return event

    async def change(self, ticker: str) -> None:
        """Wait until a book that is whole has changed."""
        while True:
            changed = await self.next(BookChanged)
            if changed.book.ticker == ticker and changed.book.is_valid:
                return

    async def want(self, subscription: Subscription) -> None:
        """Subscribe to more."""
        await self.stream.want(subscription)

    def book(self, ticker: str) -> tuple[dict[int, int], dict[int, int]]:
        """Return the levels."""
        book = self.stream.books[ticker]
        assert book.is_valid, book.reason
        return dict(book.yes.levels), dict(book.no.levels)

    async def close(self) -> None:
        """Close the connection."""
        await self.stream.close()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


class OurMember:
    """One member through our adapter."""

    def __init__(
        self,
        origins: tuple[str, str],
        key: Key | None,
        clock: Clock,
        *,
        skew_ms: int = 0,
        timeout_s: float = WITHIN_S,
    ) -> None:
        self._clock = SkewedClock(clock, skew_ms)
        self._signer = None if key is None else signer_of(key)
        self.http = HurriedHttp(HttpClient(origins[0]), timeout_s)
        self._websockets = WebSocketClient(origins[1])
        self.rest = KalshiRest(
            self.http, self._signer, self._clock, Unbound(self._clock), BASE_PATH
        )

    async def raw(
        self, method: str, path: str, body: object = None, *, text: bytes | None = None
    ) -> Answer:
        """Send what the adapter has no method for."""
        target = BASE_PATH + path
        headers = {"Content-Type": "application/json"}
        if self._signer is not None:
            headers |= await self.sign(method, target)
        data = text or (b"" if body is None else msgspec.json.encode(body))
        reply = await self.http.request(method, target, headers, data, timeout_s=WITHIN_S)
        decoded = msgspec.json.decode(reply.body) if reply.body else None
        return Answer(reply.status, decoded, dict(reply.headers))

    async def sign(self, method: str, path: str) -> dict[str, str]:
        """Return the headers that the adapter signs a request with."""
        assert self._signer is not None
        return self._signer.headers(method, path, self._clock.wall_us())

    async def socket(self, *, is_signed: bool = True) -> OurSocket:
        """Open a WebSocket."""
        headers = await self.sign("GET", STREAM_PATH) if is_signed else {}
        return OurSocket(await self._websockets.connect(STREAM_PATH, headers))

    async def follow(self, *subscriptions: Subscription) -> OurFollower:
        """Open a WebSocket and subscribe."""
        assert self._signer is not None
        stream = KalshiStream(
            self._websockets,
            self._signer,
            self._clock,
            SeededIds("contract"),
            subscriptions=subscriptions,
        )
        return OurFollower(stream)

    async def close(self) -> None:
        """Close the connections."""
        await self.rest.close()
