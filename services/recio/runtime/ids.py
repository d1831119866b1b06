"""Fresh identifiers and the chance that spreads retries: the only place that asks for chance."""

from __future__ import annotations

import random
import secrets
import uuid
from uuid import UUID


class SystemIds:
    """Identifiers from the operating system's source of chance."""

    def fresh(self) -> UUID:
        """Return an identifier never returned before."""
        return uuid.uuid4()

    def jitter(self) -> float:
        """Return a number in [0, 1) to spread retries; never used in a decision."""
        return random.random()  # noqa: S311 (spreads retries, guards nothing)


class SeededIds:
    """Identifiers that are the same in each run with the same seed: for stepped runs and tests."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)  # noqa: S311 (repeatable on purpose)

    def fresh(self) -> UUID:
        """Return an identifier never returned before."""
        return UUID(int=self._random.getrandbits(128), version=4)

    def jitter(self) -> float:
        """Return a number in [0, 1) to spread retries; never used in a decision."""
        return self._random.random()


def new_secret() -> str:
    """Return a password that no person types."""
    return secrets.token_urlsafe(24)
