"""Results along a tape: those that were recorded, and those that a tape found out itself, in time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import count

from recio.domain import tickers
from recio.engine.tape import Settled
from recio.research.tapes.closes import Closes
from recio.research.tapes.results import STATED_AFTER_US, Result


class Settling:
    """Tells each result when it was stated, of markets that are on the tape, once."""

    def __init__(self, closes: Closes, recorded: Iterable[Result] = ()) -> None:
        self._closes = closes
        self._numbers = count()
        self._recorded = {result.ticker: result for result in recorded}
        self._due: list[tuple[int, int, Settled]] = []
        for result in self._recorded.values():
            self._add(result.ticker, result.result, result.at_us, result.settlement_usd_e6)

    def recorded(self, ticker: str) -> Result | None:
        """Return the recorded result of a market."""
        return self._recorded.get(ticker)

    def find_out(self, ticker: str, close_us: int, result: str, value_usd_e6: int | None) -> None:
        """Take a result that follows from the tape itself; a recorded one goes before it."""
        if ticker not in self._recorded:
            self._add(ticker, result, close_us + STATED_AFTER_US, value_usd_e6)

    def until(self, at_us: int) -> Iterator[Settled]:
        """Yield what is stated by a time."""
        while self._due and self._due[0][0] <= at_us:
            _, _, settled = heapq.heappop(self._due)
            if self._closes.settle(settled.ticker):
                yield settled

    def rest(self) -> Iterator[Settled]:
        """Yield what is stated after the end of the tape."""
        while self._due:
            yield from self.until(self._due[0][0])

    def _add(self, ticker: str, result: str, at_us: int, value_usd_e6: int | None) -> None:
        event_ticker = tickers.parse_market(ticker).event_ticker
        settled = Settled(ticker, event_ticker, result, at_us, value_usd_e6)
        heapq.heappush(self._due, (at_us, next(self._numbers), settled))
