"""A tape that ends early: what a run would have known at that time, and nothing of the rest."""

from __future__ import annotations

from collections.abc import Iterator

from recio.engine.tape import Event
from recio.research.tapes.tape import Coverage, Tape


class CutTape:
    """The events of a tape before a time."""

    def __init__(self, tape: Tape, until_us: int) -> None:
        self._tape = tape
        self._until_us = until_us

    @property
    def name(self) -> str:
        """The tape's name."""
        return self._tape.name

    @property
    def is_synthetic(self) -> bool:
        """As the tape itself."""
        return self._tape.is_synthetic

    @property
    def caveat(self) -> str:
        """As the tape itself."""
        return self._tape.caveat

    def events(self) -> Iterator[Event]:
        """Yield what happened before the cut."""
        for event in self._tape.events():
            if event.at_us >= self._until_us:
                return
            yield event

    def coverage(self) -> Coverage:
        """Return what the tape says of itself, as far as it was read."""
        return self._tape.coverage()
