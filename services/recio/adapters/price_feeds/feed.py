"""A venue's price feed for as long as the process lives: connect, subscribe, listen, reconnect.

A venue is pure: what to say after connecting, and what a frame means. ``VenueFeed`` adds the
connection: it reconnects with back-off spread by chance, and gives a connection up when nothing at
all was heard for the venue's ``stale_after_s`` (every venue here sends heartbeats). A bad frame is
refused and counted. No tick is ever made up: silence is silence, and the consumer sees its age.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from decimal import Decimal
from typing import Any, Final, Protocol, TypeVar

import msgspec

from recio.domain import units
from recio.domain.errors import InvalidValue, Rejected, Unavailable
from recio.ports import Clock, Ids, WebSocketConnection, WebSocketTransport

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
WATCH_EVERY_S: Final = 2.0

T = TypeVar("T")


class FeedTick(msgspec.Struct, frozen=True):
    """One price. ``at_us`` is the venue's time, or ours (``seen_us``) where it tells none."""

    source: str
    symbol: str
    price_usd_e6: int
    at_us: int
    seen_us: int


class Reconnect(Unavailable):
    """The venue asked for a new connection, or refused the subscription."""


class PriceFeed(Protocol):
    """Prices of one symbol from one source. ``ticks`` never ends by itself."""

    source: str
    symbol: str
    is_connected: bool
    reconnects: int
    refused: Counter[str]

    def ticks(self) -> AsyncGenerator[FeedTick, None]:
        """Yield prices as they come, for ever, over reconnects."""
        ...


class Venue(Protocol):
    """The wire of one venue for one symbol.

    ``keep_alive`` is what to send after ``WATCH_EVERY_S`` of silence ("" for nothing).
    """

    source: str
    symbol: str
    stale_after_s: float
    keep_alive: str

    def greeting(self) -> Sequence[str]:
        """Return what to send after connecting."""
        ...

    def prices(self, frame: bytes) -> Sequence[tuple[int, int | None]]:
        """Return (price_usd_e6, at_us or None) for each price in a frame.

        Raises:
            InvalidValue: a frame that cannot be.
            Reconnect: this connection is to be left.
        """
        ...


class VenueFeed:
    """The ``PriceFeed`` of a venue over a WebSocket. ``path`` is below the transport's host."""

    def __init__(
        self, venue: Venue, transport: WebSocketTransport, clock: Clock, ids: Ids, path: str
    ) -> None:
        self.source = venue.source
        self.symbol = venue.symbol
        self.is_connected = False
        self.reconnects = 0
        self.refused: Counter[str] = Counter()
        self.problem = "not connected yet"
        self._venue = venue
        self._transport = transport
        self._clock = clock
        self._ids = ids
        self._path = path
        self._frames = 0

    async def ticks(self) -> AsyncGenerator[FeedTick, None]:
        """Yield prices as they come, for ever, over reconnects."""
        failures = 0
        while True:
            frames = self._frames
            try:
                connection = await self._transport.connect(self._path, {})
                async with aclosing(self._follow(connection)) as ticks:
                    async for tick in ticks:
                        yield tick
            except (Unavailable, Rejected) as error:
                self.problem = str(error)
            failures = 0 if self._frames > frames + 2 else failures + 1
            self.reconnects += 1
            await self._clock.sleep_wall(self._pause_s(failures))

    async def _follow(self, connection: WebSocketConnection) -> AsyncGenerator[FeedTick, None]:
        watch = asyncio.create_task(self._watch(connection))
        try:
            for text in self._venue.greeting():
                await connection.send(text)
            self.is_connected = True
            self.problem = ""
            while True:
                frame = await connection.receive()
                self._frames += 1
                for tick in self._ticks_of(frame):
                    yield tick
        finally:
            self.is_connected = False
            watch.cancel()
            await connection.close()

    def _ticks_of(self, frame: bytes) -> Sequence[FeedTick]:
        seen_us = self._clock.market_us()
        try:
            prices = self._venue.prices(frame)
        except InvalidValue as error:
            self.refused["frame"] += 1
            self.problem = str(error)
            return ()
        return [
            FeedTick(self.source, self.symbol, price, seen_us if at_us is None else at_us, seen_us)
            for price, at_us in prices
        ]

    async def _watch(self, connection: WebSocketConnection) -> None:
        frames, silent_s = self._frames, 0.0
        while True:
            await self._clock.sleep_wall(WATCH_EVERY_S)
            silent_s = silent_s + WATCH_EVERY_S if self._frames == frames else 0.0
            frames = self._frames
            if silent_s >= self._venue.stale_after_s:
                await connection.close()  # The reader then finds it closed.
                return
            if silent_s and self._venue.keep_alive:
                try:
                    await connection.send(self._venue.keep_alive)
                except Unavailable:
                    return

    def _pause_s(self, failures: int) -> float:
        longest_s = min(FIRST_PAUSE_S * 2.0 ** min(failures, 10), LONGEST_PAUSE_S)
        return longest_s * (0.5 + self._ids.jitter() / 2)


_decoders: Final[dict[object, msgspec.json.Decoder[Any]]] = {}


def decode(frame: bytes, kind: type[T]) -> T:
    """Decode a frame.

    Raises:
        InvalidValue: not JSON of that kind.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        value: T = decoder.decode(frame)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(
            f"expected JSON of {kind.__name__}, received otherwise: {error}"
        ) from error
    return value


def price_usd_e6(value: str | Decimal) -> int:
    """Return a venue's price: above 0, rounded at 1e-6 dollar.

    Raises:
        InvalidValue: not a number, not above 0, or absurd.
    """
    try:
        price = units.round_usd_e6(value if isinstance(value, str) else _written(value))
    except ValueError as error:
        raise InvalidValue(f"expected a price in dollars, received {value!s:.60}") from error
    if not 0 < price < MOST_USD_E6:
        raise InvalidValue(f"expected a price above 0 dollars, received {value!s:.60}")
    return price


def _written(number: Decimal) -> str:
    # Asked before it is written out: an exponent of a billion would be a billion digits.
    if not number.is_finite() or number.adjusted() not in _EXPONENTS:
        raise InvalidValue(f"expected a number, received {number!s:.60}")
    return f"{number:f}"


def time_us(text: str) -> int | None:
    """Return a venue's time; None where it tells none.

    Raises:
        InvalidValue: not a time, or not of our age.
    """
    return believable_us(units.parse_time_us(text)) if text else None


def believable_us(at_us: int) -> int:
    """Return a time of our age as it is.

    Raises:
        InvalidValue: before 1970, or so late that it is in another unit.
    """
    if not 0 < at_us < LATEST_US:
        raise InvalidValue(f"expected a time between 1970 and 2100, received {at_us} us since 1970")
    return at_us


_EXPONENTS: Final = range(-20, 12)
LATEST_US: Final = 4_102_444_800_000_000
"""2100-01-01: a later time is in another unit."""
MOST_USD_E6: Final = 10**14
"""A hundred million dollars: no coin of ours has such a price."""
