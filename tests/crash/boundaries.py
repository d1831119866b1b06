"""Boundaries of a run: every commit and every exchange request of a service, numbered.

A boundary is named by the service, the phase of the script, what crosses, which one of its kind in
that phase, and the side: ``before`` (the bytes have not left), ``after`` (done, but the service has
not read the answer), ``late`` (the bytes arrive when the service has been killed and started again).
So the same name means the same moment in every run, whatever the polls in between do.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Side(StrEnum):
    """Where the bytes are held."""

    BEFORE = "before"
    AFTER = "after"
    LATE = "late"


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """One boundary."""

    phase: str
    service: str
    what: str
    number: int
    side: str

    def __str__(self) -> str:
        return f"{self.service} / {self.phase} / {self.what} #{self.number} / {self.side}"

    @classmethod
    def parse(cls, text: str) -> Point:
        """Return the boundary of a name."""
        service, phase, what, side = text.split(" / ")
        kind, _, number = what.rpartition(" #")
        return cls(phase, service, kind, int(number), side)


@dataclass(slots=True)
class Boundaries:
    """Counts what crosses, and holds the one crossing that is armed."""

    phase: str = "start"
    armed: Point | None = None
    hit: asyncio.Event = field(default_factory=asyncio.Event)
    seen: list[Point] = field(default_factory=list)
    last_s: float = 0.0
    _counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    _verdict: asyncio.Future[bool] | None = None

    def crossing(self, service: str, what: str, *sides: Side) -> Point:
        """Number what is about to cross; ``sides`` are those on which it makes sense to hold it."""
        key = (service, self.phase, what)
        self._counts[key] += 1
        made = [Point(self.phase, service, what, self._counts[key], side) for side in sides]
        self.seen += made
        self.last_s = time.monotonic()
        return made[0]

    def silent_s(self) -> float:
        """Return for how long nothing has crossed."""
        return time.monotonic() - self.last_s

    async def hold(self, point: Point, *sides: Side) -> bool:
        """Hold the bytes here if they are the armed ones; return whether they may go on."""
        armed = self.armed
        if armed is None or armed.side not in sides or not _is_same(armed, point):
            return True
        self.armed = None
        self._verdict = asyncio.get_running_loop().create_future()
        self.hit.set()
        return await self._verdict

    def decide(self, *, lets_through: bool) -> None:
        """Say what becomes of the held bytes."""
        if self._verdict is not None and not self._verdict.done():
            self._verdict.set_result(lets_through)


def _is_same(one: Point, other: Point) -> bool:
    return (one.phase, one.service, one.what, one.number) == (
        other.phase,
        other.service,
        other.what,
        other.number,
    )
