"""Token buckets: what a member may ask of the exchange in a time.

One read bucket, one unscoped write bucket and one write bucket for each shard above 0. A request
that names a shard bills that shard; one that is routed by its ticker bills them all; batches bill
the unscoped one (docs.kalshi.com, "Rate limits"). Buckets fill with market time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from recio.domain.units import SECOND_US
from recio.exchange_simulator.core.refusals import Refusal
from recio.exchange_simulator.core.state import SHARDS

DEFAULT_COST: Final = 10
CANCEL_COST: Final = 2
ALL_SHARDS: Final = -1

TIERS: Final[dict[str, tuple[int, int]]] = {
    "Basic": (200, 100),
    "Advanced": (300, 300),
    "Expert": (600, 600),
    "Premier": (1_000, 1_000),
    "Paragon": (2_000, 2_000),
    "Prime": (4_000, 4_000),
    "Prestige": (10_000, 8_000),
}
"""Read and write tokens a second by tier."""


def capacity(tier: str, *, is_write: bool) -> int:
    """Return the size of a bucket: two seconds of refill for the small, one for the others.

    >>> capacity("Basic", is_write=True), capacity("Basic", is_write=False)
    (100, 400)
    """
    rate = TIERS[tier][is_write]
    is_double = tier != "Basic" if is_write else tier in ("Basic", "Advanced")
    return rate * (2 if is_double else 1)


@dataclass(slots=True)
class Bucket:
    """Tokens in units of 1e-6, so that refilling by microseconds is exact."""

    rate: int
    size: int
    tokens_e6: int
    at_us: int

    def refill(self, now_us: int) -> None:
        """Add what time brought."""
        if now_us > self.at_us:
            grown = self.tokens_e6 + (now_us - self.at_us) * self.rate
            self.tokens_e6 = min(grown, self.size * SECOND_US)
            self.at_us = now_us

    def holds(self, cost: int) -> bool:
        """Tell whether the cost can be paid."""
        return self.tokens_e6 >= cost * SECOND_US


@dataclass(slots=True)
class Limits:
    """The buckets of all members."""

    buckets: dict[tuple[str, str, int], Bucket] = field(default_factory=dict)

    def bill_read(self, account: str, tier: str, cost: int, now_us: int) -> None:
        """Take tokens for a read.

        Raises:
            Refusal: 429.
        """
        self._take([self._bucket((account, "read", 0), tier, now_us)], cost)

    def bill_write(self, account: str, tier: str, shard: int, cost: int, now_us: int) -> None:
        """Take tokens for a write; shard -1 bills every bucket.

        Raises:
            Refusal: 429.
        """
        shards = tuple(SHARDS) if shard == ALL_SHARDS else (shard if shard in SHARDS else 0,)
        self._take([self._bucket((account, "write", one), tier, now_us) for one in shards], cost)

    def _bucket(self, key: tuple[str, str, int], tier: str, now_us: int) -> Bucket:
        found = self.buckets.get(key)
        if found is None:
            is_write = key[1] == "write"
            size = capacity(tier, is_write=is_write)
            found = Bucket(TIERS[tier][is_write], size, size * SECOND_US, now_us)
            self.buckets[key] = found
        found.refill(now_us)
        return found

    @staticmethod
    def _take(buckets: list[Bucket], cost: int) -> None:
        if not all(bucket.holds(cost) for bucket in buckets):
            raise Refusal(429, "too_many_requests", "too many requests")
        for bucket in buckets:
            bucket.tokens_e6 -= cost * SECOND_US
