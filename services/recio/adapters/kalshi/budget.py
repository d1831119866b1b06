"""The rate budget of one account: token buckets with lanes, so that a cancel is never starved.

Two kinds of bucket, read and write. Writes name a shard: the exchange bills an order with an
explicit ``exchange_index`` of 1 or more to that shard's own bucket, everything else to the unscoped
one. A lane may not touch what is reserved for the lanes before it:

    CANCEL  all tokens
    REDUCE  leaves RESERVED_FOR_CANCELS of the capacity
    ENTRY   leaves that and RESERVED_FOR_REDUCES
    READ    a bucket of its own

Waiting is on the market's clock, because the exchange refills on it. This is our own accounting:
the exchange sends no rate headers, and a 429 empties the bucket here too (``punish``).
Source: Kalshi documentation, "Rate Limits" (token buckets since 2026-04-23).
"""

from __future__ import annotations

import asyncio
from enum import IntEnum
from typing import Final

from recio.adapters.kalshi.errors import RateLimited
from recio.adapters.kalshi.model import AccountLimits, BucketLimit
from recio.domain.errors import Rejected
from recio.ports import Clock

RESERVED_FOR_CANCELS: Final = 0.2
RESERVED_FOR_REDUCES: Final = 0.2

BASIC: Final = AccountLimits(
    tier="basic",
    read=BucketLimit(refill_per_s=200, capacity=400),
    write=BucketLimit(refill_per_s=100, capacity=100),
)
"""What a new account has; assumed until ``GET /account/limits`` has answered."""

DEFAULT_COST: Final = 10
CANCEL_COST: Final = 2


class Lane(IntEnum):
    """Who goes first."""

    CANCEL = 0
    REDUCE = 1
    ENTRY = 2
    READ = 3


_RESERVE: Final = {
    Lane.CANCEL: 0.0,
    Lane.REDUCE: RESERVED_FOR_CANCELS,
    Lane.ENTRY: RESERVED_FOR_CANCELS + RESERVED_FOR_REDUCES,
    Lane.READ: 0.0,
}


class _Bucket:
    """Tokens in thousandths, so that refilling is exact in integers: 1 token/s is 1 per ms."""

    def __init__(self, limit: BucketLimit, now_us: int) -> None:
        self.limit = limit
        self._millis = limit.capacity * 1000
        self._at_us = now_us

    def wait_us(self, cost: int, reserve: float, now_us: int) -> int:
        """Return 0 if ``cost`` may be taken now, else how long until then."""
        self._refill(now_us)
        missing = cost * 1000 + int(self.limit.capacity * 1000 * reserve) - self._millis
        return 0 if missing <= 0 else -(-missing * 1000 // self.limit.refill_per_s)

    def fits(self, cost: int, reserve: float) -> bool:
        """Whether ``cost`` could ever be taken."""
        return cost <= self.limit.capacity - int(self.limit.capacity * reserve)

    def take(self, cost: int) -> None:
        self._millis -= cost * 1000

    def empty(self, now_us: int) -> None:
        self._refill(now_us)
        self._millis = min(self._millis, 0)

    def _refill(self, now_us: int) -> None:
        elapsed_us = max(now_us - self._at_us, 0)
        gained = elapsed_us * self.limit.refill_per_s // 1000
        if gained:
            self._millis = min(self._millis + gained, self.limit.capacity * 1000)
            self._at_us = now_us


class Budget:
    """Hands out tokens by lane; waiters of one lane are served in order."""

    def __init__(self, clock: Clock, limits: AccountLimits = BASIC) -> None:
        self._clock = clock
        self.limits = limits
        self._buckets: dict[tuple[bool, int], _Bucket] = {}
        self._turn = {lane: asyncio.Lock() for lane in Lane}
        self.waits = dict.fromkeys(Lane, 0)
        self.throttled = 0

    def configure(self, limits: AccountLimits) -> None:
        """Adopt the account's real limits; the buckets start anew, full."""
        self.limits = limits
        self._buckets.clear()

    async def take(
        self, lane: Lane, cost: int, *, shard: int | None = None, wait_s: float | None = None
    ) -> None:
        """Take ``cost`` tokens, waiting for them at most ``wait_s`` of market time.

        Raises:
            RateLimited: they will not be there within ``wait_s``; nothing was taken.
            Rejected: more than the lane can ever have; make the batch smaller.
        """
        bucket = self._bucket(lane, shard)
        if not bucket.fits(cost, _RESERVE[lane]):
            raise Rejected(
                f"{cost} tokens never fit into lane {lane.name} of a bucket of "
                f"{bucket.limit.capacity} (tier {self.limits.tier}): send fewer orders at once"
            )
        if not self._turn[lane].locked() and self._try(bucket, lane, cost) == 0:
            return
        self.waits[lane] += 1
        await self._wait(lane, cost, shard, wait_s)

    def try_take(self, lane: Lane, cost: int, *, shard: int | None = None) -> bool:
        """Take ``cost`` tokens if they are there now."""
        return (
            not self._turn[lane].locked() and self._try(self._bucket(lane, shard), lane, cost) == 0
        )

    def punish(self, lane: Lane, *, shard: int | None = None) -> None:
        """The exchange said 429: our count was too high; start again from nothing."""
        self.throttled += 1
        self._bucket(lane, shard).empty(self._clock.market_us())

    async def _wait(self, lane: Lane, cost: int, shard: int | None, wait_s: float | None) -> None:
        last_us = None if wait_s is None else self._clock.market_us() + int(wait_s * 1_000_000)
        async with self._turn[lane]:
            # The bucket is looked up each time round: ``configure`` may have replaced it.
            while wait_us := self._try(self._bucket(lane, shard), lane, cost):
                if last_us is not None and self._clock.market_us() + wait_us > last_us:
                    raise RateLimited(
                        f"lane {lane.name}: {cost} tokens only in {wait_us / 1e6:.3f} s, "
                        f"allowed were {wait_s} s"
                    )
                await self._clock.sleep_market(wait_us / 1_000_000)

    def _try(self, bucket: _Bucket, lane: Lane, cost: int) -> int:
        wait_us = bucket.wait_us(cost, _RESERVE[lane], self._clock.market_us())
        if wait_us == 0:
            bucket.take(cost)
        return wait_us

    def _bucket(self, lane: Lane, shard: int | None) -> _Bucket:
        is_read = lane is Lane.READ
        key = (is_read, 0 if is_read or shard is None or shard < 1 else shard)
        bucket = self._buckets.get(key)
        if bucket is None:
            limit = self.limits.read if is_read else self.limits.write
            bucket = self._buckets[key] = _Bucket(limit, self._clock.market_us())
        return bucket
