"""What a case sees of a client, whichever it is, and the parts that both share.

``rest`` has the methods of our adapter (``KalshiRest``) for both: with the official client each of
them is the client's own call. Answers are compared in the adapter's vocabulary of exact integers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

import msgspec

from recio.adapters.kalshi import wire_stream
from recio.adapters.kalshi.stream import Subscription

T = TypeVar("T")

BASE_PATH: Final = "/trade-api/v2"
STREAM_PATH: Final = "/trade-api/ws/v2"
WITHIN_S: Final = 30.0
"""How long a case waits for what must come; it comes within milliseconds."""


@dataclass(frozen=True, slots=True)
class Key:
    """An API key: its id and the private half."""

    key_id: str
    pem: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as it came."""

    status: int
    body: Any
    headers: dict[str, str]


class Socket(Protocol):
    """One WebSocket, frame by frame."""

    async def send(self, text: str) -> None:
        """Send one text frame."""

    async def frame(self) -> dict[str, Any] | None:
        """Return the next frame; None: the connection has ended."""

    async def close(self) -> None:
        """Close it."""


class Follower(Protocol):
    """Subscriptions and what they tell, as the adapter's events."""

    async def next(self, kind: type[T]) -> T:
        """Return the next event of a type; others before it are passed over."""

    async def want(self, subscription: Subscription) -> None:
        """Subscribe to more."""

    def book(self, ticker: str) -> tuple[dict[int, int], dict[int, int]]:
        """Return the levels of YES and of NO bids, each on its own scale."""

    async def close(self) -> None:
        """Close the connection."""


class Member(Protocol):
    """One member, or a visitor without a key, through one client."""

    rest: Any

    async def raw(
        self, method: str, path: str, body: object = None, *, text: bytes | None = None
    ) -> Answer:
        """Send what the client has no method for, signed by the client; ``path`` below the base."""

    async def sign(self, method: str, path: str) -> dict[str, str]:
        """Return the headers that the client signs a request with; ``path`` from the root."""

    async def socket(self, *, is_signed: bool = True) -> Socket:
        """Open a WebSocket.

        Raises:
            Rejected: the upgrade was refused.
        """

    async def follow(self, *subscriptions: Subscription) -> Follower:
        """Open a WebSocket and subscribe."""

    async def close(self) -> None:
        """Close everything."""


class Commands:
    """A socket with numbered commands."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._last_id = 0

    async def send(self, command: str, params: dict[str, Any] | None = None) -> int:
        """Send a command and return its id."""
        self._last_id += 1
        message: dict[str, Any] = {"id": self._last_id, "cmd": command}
        if params is not None:
            message["params"] = params
        await self._socket.send(msgspec.json.encode(message).decode())
        return self._last_id

    async def text(self, text: str) -> None:
        """Send something that may be no command."""
        await self._socket.send(text)

    async def frame(self) -> dict[str, Any]:
        """Return the next frame."""
        async with asyncio.timeout(WITHIN_S):
            frame = await self._socket.frame()
        assert frame is not None, "the exchange ended the connection"
        return frame

    async def frames(self, count: int) -> list[dict[str, Any]]:
        """Return the next frames."""
        return [await self.frame() for _ in range(count)]

    async def ask(self, command: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a command and return the next frame, which must be its answer."""
        number = await self.send(command, params)
        answer = await self.frame()
        assert answer.get("id") == number, f"expected the answer to {number}, received {answer}"
        return answer

    async def is_quiet(self) -> bool:
        """Tell that nothing waits unread: the next frame answers a question asked now."""
        answer = await self.ask("list_subscriptions")
        return bool(answer["type"] == "ok")

    async def close(self) -> None:
        """Close the socket."""
        await self._socket.close()


@dataclass(slots=True)
class FrameFollower:
    """Follows with bare frames: what a client without a stream of its own has to do."""

    commands: Commands
    books: dict[str, tuple[dict[int, int], dict[int, int]]] = field(default_factory=dict)

    async def want(self, subscription: Subscription) -> None:
        """Subscribe to more."""
        params: dict[str, Any] = {"channels": [subscription.channel]}
        if subscription.tickers:
            params["market_tickers"] = list(subscription.tickers)
        if subscription.index_ids:
            params["index_ids"] = list(subscription.index_ids)
        if subscription.channel == "ticker":
            params["send_initial_snapshot"] = True
        await self.commands.send("subscribe", params)
        while (await self.commands.frame())["type"] != "subscribed":
            pass

    async def next(self, kind: type[T]) -> T:
        """Return the next event of a type."""
        while True:
            frame = await self.commands.frame()
            assert frame["type"] != "error", frame
            body = msgspec.Raw(msgspec.json.encode(frame["msg"]))
            event = self._event(frame["type"], body)
            if isinstance(event, kind):
                return event

    def _event(self, kind: str, body: msgspec.Raw) -> object:
        convert: Callable[[msgspec.Raw], object] | None = wire_stream.CONVERTERS.get(kind)
        return None if convert is None else convert(body)

    def book(self, ticker: str) -> tuple[dict[int, int], dict[int, int]]:
        """Return the levels."""
        raise NotImplementedError(f"bare frames keep no book of {ticker}")

    async def close(self) -> None:
        """Close the connection."""
        await self.commands.close()


def levels(rows: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Return price levels by price."""
    return dict(rows)
