"""What every source of a tape offers, and what it says of the data that it had and had not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import msgspec

from recio.engine.tape import Event


class Hole(msgspec.Struct, frozen=True, array_like=True):
    """A stretch without data."""

    since_us: int
    until_us: int
    reason: str


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """What a tape held. ``refused``: rows or frames that were not used, counted by reason."""

    first_us: int
    last_us: int
    holes: tuple[Hole, ...] = ()
    rows: int = 0
    refused: Mapping[str, int] = {}
    closes_whole: int = 0
    """Closes whose entry window and result are on the tape."""
    closes_in_part: int = 0

    @property
    def share(self) -> float:
        """The covered share of the period, 0 … 1."""
        whole = self.last_us - self.first_us
        missing = sum(hole.until_us - hole.since_us for hole in self.holes)
        return 1 - missing / whole if whole > 0 else 0.0


class Tape(Protocol):
    """One source. ``events`` may be asked for again and then gives the same."""

    @property
    def name(self) -> str:
        """What it is, for titles and file names."""
        ...

    @property
    def is_synthetic(self) -> bool:
        """Whether quotes were made up: then profit says nothing about the exchange."""
        ...

    @property
    def caveat(self) -> str:
        """What cannot be learned from it, in a sentence or two; shown in every report."""
        ...

    def events(self) -> Iterator[Event]:
        """Yield everything in order; ``at_us`` never falls.

        Raises:
            InvalidValue: a source that cannot be read at all; single bad rows are counted instead.
        """
        ...

    def coverage(self) -> Coverage:
        """Return what was there; complete once ``events`` was read to its end."""
        ...
