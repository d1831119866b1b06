"""What a tape had and had not, noted while it is read.

Two things are needed for a decision: quotes and a price. Each is a ``Track`` of the times at which it
was heard; a longer silence than the track allows is a hole. Holes of both are united, so that no
second is missing twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from recio.domain.errors import InvalidValue
from recio.research.tapes.tape import Coverage, Hole


class Track:
    """When one kind of data was heard; ``longest_us`` is the longest silence that is no hole."""

    __slots__ = ("_first_us", "_holes", "_is_silent", "_last_us", "_longest_us", "_reason")

    def __init__(self, longest_us: int, reason: str) -> None:
        self._longest_us = longest_us
        self._reason = reason
        self._holes: list[Hole] = []
        self._first_us: int | None = None
        self._last_us: int | None = None
        self._is_silent = False

    def hear(self, at_us: int) -> None:
        """Note that there was something at a time; times ascend."""
        last_us, self._last_us = self._last_us, at_us
        if last_us is None:
            self._first_us = at_us
        elif self._is_silent or at_us - last_us > self._longest_us:
            self._holes.append(Hole(last_us, at_us, self._reason))
        self._is_silent = False

    def fall_silent(self, at_us: int) -> None:
        """Note that from now on there is nothing, however short the silence may be."""
        self._last_us, self._is_silent = at_us, True

    def holes(self, first_us: int, last_us: int) -> list[Hole]:
        """Return the silences of a period, its two ends included."""
        heard_us = first_us if self._last_us is None else self._last_us
        found = list(self._holes)
        if self._first_us is not None and self._first_us - first_us > self._longest_us:
            found.append(Hole(first_us, self._first_us, self._reason))
        if self._last_us is None or self._is_silent or last_us - heard_us > self._longest_us:
            found.append(Hole(heard_us, last_us, self._reason))
        cut = (
            Hole(max(hole.since_us, first_us), min(hole.until_us, last_us), hole.reason)
            for hole in found
        )
        return [hole for hole in cut if hole.until_us > hole.since_us]


class Tally:
    """Counts of one reading of a tape."""

    def __init__(self, quotes: Track, prices: Track) -> None:
        self.quotes = quotes
        self.prices = prices
        self.refused: Counter[str] = Counter()
        self.rows = 0
        self.first_us: int | None = None
        self.last_us = 0
        self.closes_whole = 0
        self.closes_in_part = 0

    def refuse(self, reason: str) -> None:
        """Count a row or frame that is not used."""
        self.refused[reason] += 1

    def span(self, at_us: int) -> None:
        """Let the period reach to a time."""
        if self.first_us is None:
            self.first_us = at_us
        self.last_us = max(self.last_us, at_us)

    def close(self, *, is_whole: bool) -> None:
        """Count a close."""
        if is_whole:
            self.closes_whole += 1
        else:
            self.closes_in_part += 1

    def coverage(self) -> Coverage:
        """Return what was noted so far."""
        first_us = self.first_us or 0
        quotes = self.quotes.holes(first_us, self.last_us)
        prices = self.prices.holes(first_us, self.last_us)
        return Coverage(
            first_us=first_us,
            last_us=self.last_us,
            holes=united(quotes, prices),
            rows=self.rows,
            refused=dict(sorted(self.refused.items())),
            closes_whole=self.closes_whole,
            closes_in_part=self.closes_in_part,
        )

    def expect_rows(self, name: str, before: int) -> None:
        """Refuse a source as a whole when nothing of it could be used.

        Raises:
            InvalidValue: no row since ``before`` was used; the message tells why.
        """
        if self.rows == before:
            reasons = ", ".join(
                f"{count} {reason}" for reason, count in self.refused.most_common(3)
            )
            raise InvalidValue(f"{name}: not one row can be used ({reasons or 'it is empty'})")


def united(*kinds: Iterable[Hole]) -> tuple[Hole, ...]:
    """Return the holes of all kinds without overlaps, ascending.

    >>> united([Hole(0, 5, "a")], [Hole(3, 9, "b")])
    (Hole(since_us=0, until_us=5, reason='a'), Hole(since_us=5, until_us=9, reason='b'))
    """
    found: list[Hole] = []
    for hole in sorted(hole for kind in kinds for hole in _plain(kind)):
        since_us, until_us, reason = hole
        if found and since_us < found[-1].until_us:
            since_us = found[-1].until_us
        if until_us > since_us:
            found.append(Hole(since_us, until_us, reason))
    return tuple(found)


def _plain(holes: Iterable[Hole]) -> list[tuple[int, int, str]]:
    return [(hole.since_us, hole.until_us, hole.reason) for hole in holes]
