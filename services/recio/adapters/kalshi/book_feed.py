"""Whole order books of some markets, as the exchange's stream tells them, and nothing else.

For whoever follows books without trading (the mirror of a shadow environment). The depth is all that
the exchange publishes: every level of both sides, kept from snapshot and deltas by number.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from recio.adapters.kalshi.events import BookChanged, Connected, Disconnected, Gap
from recio.adapters.kalshi.stream import ORDER_BOOK, Subscription
from recio.adapters.kalshi.websocket import KalshiStream
from recio.domain.book import OrderBook


class BookFeed:
    """Follows books over one connection of its own; ``books`` may run once at a time."""

    def __init__(self, stream: KalshiStream) -> None:
        self._stream = stream

    @property
    def is_connected(self) -> bool:
        """Whether a connection is open."""
        return self._stream.is_connected

    async def want(self, name: str, tickers: Sequence[str]) -> None:
        """Follow these markets under a name, until ``drop``."""
        wanted = Subscription(key=name, channel=ORDER_BOOK, tickers=tuple(tickers))
        await self._stream.want(wanted)

    async def drop(self, name: str) -> None:
        """Follow the markets of a name no longer."""
        await self._stream.drop(name)

    async def books(self) -> AsyncGenerator[OrderBook | None, None]:
        """Yield each book that changed, for ever.

        A book that is not valid is not known until it is yielded again; None: no book is known.
        """
        async with aclosing(self._stream.events()) as events:
            async for event in events:
                if isinstance(event, BookChanged):
                    yield event.book
                elif isinstance(event, Connected | Disconnected):
                    yield None
                elif isinstance(event, Gap):
                    for ticker in event.tickers:
                        if ticker in self._stream.books:
                            yield self._stream.books[ticker]
