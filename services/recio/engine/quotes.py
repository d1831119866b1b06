"""Which tops of books are told when: conflation of one event's books. Pure.

Changes leave at most once in ``least_us``; all tops together at least once in ``full_us`` of market
time while the event is followed. Nothing is lost by conflation: a top that changed twice is told
once, as it is then.
"""

from __future__ import annotations

from collections.abc import Mapping

from recio.domain.book import OrderBook
from recio.domain.messages import BookUpdate


class EventQuotes:
    """The tops of one event's books."""

    def __init__(self, environment: str, event_ticker: str, *, least_us: int, full_us: int) -> None:
        self.event_ticker = event_ticker
        self._environment = environment
        self._least_us = least_us
        self._full_us = full_us
        self._changed: set[str] = set()
        self._told_us = 0
        self._all_told_us = 0

    def touch(self, ticker: str) -> bool:
        """Note a change; return whether it is the first since the last update."""
        is_first = not self._changed
        self._changed.add(ticker)
        return is_first

    @property
    def has_changes(self) -> bool:
        """Whether something waits to be told."""
        return bool(self._changed)

    def due_us(self) -> int:
        """Return when the next update is due."""
        soonest_us = self._told_us + self._least_us
        return soonest_us if self._changed else max(soonest_us, self._all_told_us + self._full_us)

    def update(
        self,
        books: Mapping[str, OrderBook],
        volumes_e2: Mapping[str, int],
        now_us: int,
        *,
        heard_us: int,
        is_full: bool = False,
    ) -> BookUpdate | None:
        """Return the update that is due now; None: nothing is.

        ``heard_us`` is until when the books are known to be current.
        """
        if not is_full and now_us < self.due_us():
            return None
        is_full = is_full or now_us >= self._all_told_us + self._full_us
        wanted = books if is_full else self._changed
        quotes = tuple(
            books[ticker].quote(volumes_e2.get(ticker)) for ticker in wanted if ticker in books
        )
        self._changed.clear()
        self._told_us = now_us
        if is_full:
            self._all_told_us = now_us
        return BookUpdate(
            environment=self._environment,
            event_ticker=self.event_ticker,
            quotes=quotes,
            is_full=is_full,
            at_us=heard_us,
            seen_us=now_us,
        )
