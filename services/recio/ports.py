"""The doors to the outside that the runtime hands to every service.

A service never opens a clock, a socket, a database or a source of chance by itself: it receives
these. That is what makes the live process, the stepped run in one process, and simulation the same
code. Every implementation states the same guarantees; tests/contract holds them to it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from recio.domain.messages import Message


class Clock(Protocol):
    """Market time drives ticks, closes, stops and data age; wall time drives signatures and leases.

    Market time never runs backwards. In demo and prod both are the same; in paper market time may
    run ``speed`` times faster than the wall and start elsewhere.
    """

    def market_us(self) -> int:
        """Microseconds since 1970 UTC on the market's clock."""
        ...

    def wall_us(self) -> int:
        """Microseconds since 1970 UTC on the wall."""
        ...

    async def sleep_market(self, seconds: float) -> None:
        """Sleep for seconds of market time."""
        ...

    async def sleep_wall(self, seconds: float) -> None:
        """Sleep for seconds of wall time."""
        ...


class Ids(Protocol):
    """Fresh identifiers, for facts that are not a function of their inputs."""

    def fresh(self) -> UUID:
        """Return an identifier never returned before."""
        ...

    def jitter(self) -> float:
        """Return a number in [0, 1) to spread retries; never used in a decision."""
        ...


@dataclass(frozen=True, slots=True)
class Notification:
    """A hint from the database: something changed on ``channel``; ``payload`` is an id or empty.

    Hints may be lost or repeated. Whoever listens also polls. An empty channel means the
    connection was made anew and everything may have changed.
    """

    channel: str
    payload: str


class Query(NamedTuple):
    """One statement and its parameters, for ``Transaction.fetch_many``."""

    sql: str
    params: Sequence[object] = ()


class Transaction(Protocol):
    """One database transaction. Parameters are written ``%s`` and never pasted into the text."""

    async def fetch(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        """Run one statement and return all rows."""
        ...

    async def fetch_one(self, sql: str, *params: object) -> tuple[Any, ...] | None:
        """Run one statement and return its first row, or None."""
        ...

    async def fetch_many(self, *queries: Query) -> list[list[tuple[Any, ...]]]:
        """Run statements one after the other in one round trip; return the rows of each.

        Each sees what was committed before it ran, as if they had been sent one by one.
        """
        ...

    async def execute(self, sql: str, *params: object) -> int:
        """Run one statement and return the number of rows it touched."""
        ...

    async def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run one statement for each row; they go out with the next statement or the commit."""
        ...


class Database(Protocol):
    """PostgreSQL.

    Raises ``Unavailable`` when the server cannot be reached or the commit's outcome is unknown
    (then the caller reads back before it repeats), ``Rejected`` when a constraint or a policy
    refuses, ``Broken`` for a statement that cannot be right.

    ``poll_seconds`` is how long a hint may be missing before whoever waits must look by himself,
    ``settle_seconds`` how long followers let others go first after a hint.
    """

    poll_seconds: float
    settle_seconds: float

    @property
    def session_pid(self) -> int | None:
        """The server process of the connection that lasts as long as we do; 0 while there is none.

        None: every connection does, so that a transaction can ask for its own.
        """
        ...

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction: committed at the end of the block, rolled back on an exception."""
        ...

    def listen(self, *channels: str) -> AsyncIterator[Notification]:
        """Yield hints of the channels for ever, over one direct connection that reconnects."""
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...


class Bus(Protocol):
    """Market data between services: capped, latest wins, may lose, never the way of money."""

    async def publish(self, topic: str, message: Message) -> None:
        """Append a message to a topic. Raises ``Unavailable`` if the bus is gone."""
        ...

    def subscribe(self, *topics: str) -> AsyncIterator[tuple[str, Message]]:
        """Yield (topic, message) from the newest of each topic on; reconnects for ever."""
        ...


@dataclass(frozen=True, slots=True)
class HttpReply:
    """An HTTP response: status, lower-case header names, whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpTransport(Protocol):
    """HTTP to one host.

    Raises ``Unavailable`` when no answer came. Its ``sent`` attribute tells whether a byte of the
    request may have left: if so the outcome is unknown, never "not done".
    """

    async def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        timeout_s: float,
    ) -> HttpReply:
        """Send one request; ``target`` is path and query."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class WebSocketConnection(Protocol):
    """An open WebSocket. ``receive`` raises ``Unavailable`` once it is closed."""

    async def send(self, text: str) -> None:
        """Send one text frame."""
        ...

    async def receive(self) -> bytes:
        """Return the next frame's bytes."""
        ...

    async def close(self) -> None:
        """Close it."""
        ...


class WebSocketTransport(Protocol):
    """Opens WebSockets to one host; raises ``Unavailable`` or, on a refused upgrade, ``Rejected``."""

    async def connect(self, target: str, headers: Mapping[str, str]) -> WebSocketConnection:
        """Open one connection; ``target`` is the path."""
        ...
