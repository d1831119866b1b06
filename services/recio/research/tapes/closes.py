"""Which closes a tape holds whole: quotes and prices in each of the last minutes, and a result."""

from __future__ import annotations

from typing import Final

from recio.domain.units import MINUTE_US
from recio.research.tapes.tally import Tally

ENTRY_MINUTES: Final = 5
"""So many minutes before a close must be there for it to count as whole."""


class _Close:
    __slots__ = ("close_us", "is_settled", "quoted", "strike_usd_e6")

    def __init__(self) -> None:
        self.close_us = 0
        self.quoted = 0
        self.is_settled = False
        self.strike_usd_e6: int | None = None


class Closes:
    """Notes what is there of each market; minutes are bits, the last before the close is bit 0."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._known: dict[str, _Close] = {}
        self._priced: dict[int, int] = {}

    def quoted(self, ticker: str, close_us: int, at_us: int) -> None:
        """Note a quote of a market."""
        known = self._of(ticker)
        known.close_us = close_us
        minute = (close_us - at_us) // MINUTE_US
        if 0 <= minute < ENTRY_MINUTES:
            known.quoted |= 1 << minute

    def priced(self, at_us: int, cadence_us: int) -> None:
        """Note a price; it belongs to the close that follows."""
        close_us = -(-at_us // cadence_us) * cadence_us
        minute = (close_us - at_us) // MINUTE_US
        if minute < ENTRY_MINUTES:
            self._priced[close_us] = self._priced.get(close_us, 0) | 1 << minute

    def strike(self, ticker: str, strike_usd_e6: int) -> None:
        """Note a market's strike."""
        self._of(ticker).strike_usd_e6 = strike_usd_e6

    def strike_of(self, ticker: str) -> int | None:
        """Return a market's strike; None: it is not known."""
        known = self._known.get(ticker)
        return None if known is None else known.strike_usd_e6

    def settle(self, ticker: str) -> bool:
        """Note a result; return whether it is the first one of a market on the tape."""
        known = self._known.get(ticker)
        if known is None or known.is_settled:
            return False
        known.is_settled = True
        return True

    def finish(self) -> None:
        """Count all closes."""
        everything = (1 << ENTRY_MINUTES) - 1
        for known in self._known.values():
            priced = self._priced.get(known.close_us, 0)
            is_whole = known.is_settled and known.quoted & priced == everything
            self._tally.close(is_whole=is_whole)
        self._known.clear()
        self._priced.clear()

    def _of(self, ticker: str) -> _Close:
        known = self._known.get(ticker)
        if known is None:
            known = self._known[ticker] = _Close()
        return known
