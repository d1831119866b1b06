"""The rate budget of one account: token buckets with lanes, so that a cancel is never starved.

Two kinds of bucket, read and write. Writes name a shard: the exchange bills an order with an
explicit ``exchange_index`` of 1 or more to that shard's own bucket, everything else to the unscoped
one. A lane may not touch what is reserved for the lanes before it:

    CANCEL  all tokens
    REDUCE  leaves RESERVED_FOR_CANCELS of the capacity
    ENTRY   leaves that and RESERVED_FOR_REDUCES
    READ    a bucket of its own

Who waits holds back the lanes after it: what a batch of cancels still lacks is not nibbled away by
exits that need little. So a batch that empties a whole bucket has its tokens one refill later at the
most (Basic tier: 100 tokens, 50 cancels, 1 s; after entries and exits took all they may, 0.8 s).

Waiting is on the market's clock, because the exchange refills on it. This is our own accounting:
the exchange sends no rate headers, and a 429 empties the bucket here too (``punish``).
Source: Kalshi documentation, "Rate Limits" (token buckets since 2026-04-23).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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

    def wait_us(self, cost: int, left: int, now_us: int) -> int:
        """Return 0 if ``cost`` may be taken now so that ``left`` remain, else how long until then."""
        self._refill(now_us)
        missing = (cost + left) * 1000 - self._millis
        return 0 if missing <= 0 else -(-missing * 1000 // self.limit.refill_per_s)

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


_Key = tuple[bool, int]


class Budget:
    """Hands out tokens by lane; waiters of one lane are served in order."""

    def __init__(self, clock: Clock, limits: AccountLimits = BASIC) -> None:
        self._clock = clock
        self.limits = limits
        self._buckets: dict[_Key, _Bucket] = {}
        self._turn: dict[tuple[_Key, Lane], asyncio.Lock] = {}
        self._wanted: dict[tuple[_Key, Lane], int] = {}
        self.waits = dict.fromkeys(Lane, 0)
        self.throttled = 0
        self.on_throttled: Callable[[Lane], None] = lambda _lane: None
        """Told of each 429; whoever counts them sets it."""

    def configure(self, limits: AccountLimits) -> None:
        """Adopt the account's real limits; the buckets start anew, full."""
        self.limits = limits
        self._buckets.clear()

    def most(self, lane: Lane) -> int:
        """Return how many tokens the lane can ever take at once."""
        limit = self.limits.read if lane is Lane.READ else self.limits.write
        return limit.capacity - _reserved(limit, lane)

    async def take(
        self, lane: Lane, cost: int, *, shard: int | None = None, wait_s: float | None = None
    ) -> None:
        """Take ``cost`` tokens, waiting for them at most ``wait_s`` of market time.

        Raises:
            RateLimited: they will not be there within ``wait_s``; nothing was taken.
            Rejected: more than the lane can ever have; make the batch smaller.
        """
        if cost > self.most(lane):
            raise Rejected(
                f"{cost} tokens never fit into lane {lane.name}, which holds {self.most(lane)} "
                f"(tier {self.limits.tier}): send fewer orders at once"
            )
        if self.try_take(lane, cost, shard=shard):
            return
        self.waits[lane] += 1
        await self._wait(_key(lane, shard), lane, cost, wait_s)

    def try_take(self, lane: Lane, cost: int, *, shard: int | None = None) -> bool:
        """Take ``cost`` tokens if they are there now."""
        key = _key(lane, shard)
        return not self._turn_of(key, lane).locked() and self._try(key, lane, cost) == 0

    def punish(self, lane: Lane, *, shard: int | None = None) -> None:
        """The exchange said 429: our count was too high; start again from nothing."""
        self.throttled += 1
        self.on_throttled(lane)
        self._bucket(_key(lane, shard)).empty(self._clock.market_us())

    async def _wait(self, key: _Key, lane: Lane, cost: int, wait_s: float | None) -> None:
        last_us = None if wait_s is None else self._clock.market_us() + int(wait_s * 1_000_000)
        async with self._turn_of(key, lane):
            self._wanted[key, lane] = cost
            try:
                while wait_us := self._try(key, lane, cost):
                    if last_us is not None and self._clock.market_us() + wait_us > last_us:
                        raise RateLimited(
                            f"lane {lane.name}: {cost} tokens only in {wait_us / 1e6:.3f} s, "
                            f"allowed were {wait_s} s"
                        )
                    await self._clock.sleep_market(wait_us / 1_000_000)
            finally:
                del self._wanted[key, lane]

    def _try(self, key: _Key, lane: Lane, cost: int) -> int:
        # Looked up each time: ``configure`` may have replaced the bucket.
        bucket = self._bucket(key)
        before = sum(self._wanted.get((key, other), 0) for other in Lane if other < lane)
        left = max(_reserved(bucket.limit, lane), before)
        wait_us = bucket.wait_us(cost, left, self._clock.market_us())
        if wait_us == 0:
            bucket.take(cost)
        return wait_us

    def _turn_of(self, key: _Key, lane: Lane) -> asyncio.Lock:
        return self._turn.setdefault((key, lane), asyncio.Lock())

    def _bucket(self, key: _Key) -> _Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            limit = self.limits.read if key[0] else self.limits.write
            bucket = self._buckets[key] = _Bucket(limit, self._clock.market_us())
        return bucket


def _key(lane: Lane, shard: int | None) -> _Key:
    """Return which bucket pays: reads have one, writes one a shard, 0 and none share theirs."""
    is_read = lane is Lane.READ
    return is_read, 0 if is_read or shard is None or shard < 1 else shard


def _reserved(limit: BucketLimit, lane: Lane) -> int:
    return int(limit.capacity * _RESERVE[lane])
