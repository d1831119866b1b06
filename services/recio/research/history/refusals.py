"""What was not taken, and why: counted by reason, with the first place of each.

A reason is a few fixed words, so that a million bad rows are one line; the first example of each
keeps the row's number and what it said.
"""

from __future__ import annotations

from collections import Counter

from recio.domain.errors import InvalidValue

SHOWN_MOST = 80


class Refused(InvalidValue):
    """One row is not taken. ``reason`` is the words that it is counted under."""

    def __init__(self, reason: str, received: object = "") -> None:
        text = str(received)
        super().__init__(f"{reason}: {text[:SHOWN_MOST]!r}" if text else reason)
        self.reason = reason


class Refusals:
    """Counts by reason, and where each was seen first."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def add(self, number: int, refused: Refused) -> None:
        """Count a refused row; ``number`` is its place in the file, from 1 on."""
        self.counts[refused.reason] += 1
        if refused.reason not in self.examples:
            self.examples[refused.reason] = f"row {number}: {refused}"

    def add_many(self, reason: str, count: int, example: str) -> None:
        """Count rows that were refused together."""
        if count:
            self.counts[reason] += count
            self.examples.setdefault(reason, example)

    @property
    def total(self) -> int:
        """How many rows were refused."""
        return sum(self.counts.values())
