"""The rate budget and its lanes."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.adapters.clock import HandClock

from recio.adapters.kalshi.budget import BASIC, Budget, Lane
from recio.adapters.kalshi.errors import RateLimited
from recio.adapters.kalshi.model import AccountLimits, BucketLimit
from recio.domain.errors import Rejected
from recio.runtime.stepped import SteppedLoop, run


def budget():
    """Return a full budget of the Basic tier: 100 write tokens, 400 read tokens."""
    clock = HandClock()
    return Budget(clock), clock


def drain(own, lane, cost=10):
    """Take until nothing is left for the lane; return how often it worked."""
    times = 0
    while own.try_take(lane, cost):
        times += 1
    return times


def test_entries_leave_room_for_exits_and_both_for_cancels():
    """A burst of entries cannot keep a cancel waiting."""
    own, _ = budget()
    assert drain(own, Lane.ENTRY) == 6
    assert drain(own, Lane.REDUCE) == 2
    assert drain(own, Lane.CANCEL, 2) == 10
    assert not own.try_take(Lane.CANCEL, 2)


def test_reads_and_each_shard_have_buckets_of_their_own():
    """An explicit shard of 1 or more is billed to that shard; 0 and none to the unscoped bucket."""
    own, _ = budget()
    drain(own, Lane.CANCEL, 2)
    assert own.try_take(Lane.READ, 400)
    assert own.try_take(Lane.ENTRY, 10, shard=2)
    assert not own.try_take(Lane.ENTRY, 10, shard=0)


def test_it_waits_for_the_refill_and_no_longer():
    """100 tokens a second: ten are there after 0.1 s."""
    own, clock = budget()
    drain(own, Lane.ENTRY)
    asyncio.run(own.take(Lane.ENTRY, 10))
    assert sum(clock.slept) == pytest.approx(0.1, abs=1e-3)
    assert own.waits[Lane.ENTRY] == 1


def test_who_cannot_wait_is_told_and_pays_nothing():
    """A late entry is no entry."""
    own, clock = budget()
    drain(own, Lane.ENTRY)
    with pytest.raises(RateLimited, match=r"only in 0\.100 s"):
        asyncio.run(own.take(Lane.ENTRY, 10, wait_s=0.05))
    clock.now_us += 100_000
    assert own.try_take(Lane.ENTRY, 10)


def test_a_batch_that_never_fits_is_refused_at_once():
    """It would wait for ever."""
    own, _ = budget()
    with pytest.raises(Rejected, match="send fewer orders"):
        asyncio.run(own.take(Lane.ENTRY, 70))


def test_a_429_empties_the_bucket():
    """The exchange's count is right, ours was not."""
    own, clock = budget()
    told = []
    own.on_throttled = told.append
    own.punish(Lane.ENTRY)
    assert told == [Lane.ENTRY]
    assert not own.try_take(Lane.CANCEL, 2)
    clock.now_us += 20_000
    assert own.try_take(Lane.CANCEL, 2)
    assert own.throttled == 1


def test_waiters_of_one_lane_are_served_in_order():
    """First come, first served; a newcomer does not overtake those who wait."""
    own, _ = budget()
    drain(own, Lane.ENTRY)
    served = []

    async def taker(name):
        await own.take(Lane.ENTRY, 10)
        served.append(name)

    async def scenario():
        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(taker(name))
            await asyncio.sleep(0)
            assert not own.try_take(Lane.ENTRY, 1)

    asyncio.run(scenario())
    assert served == ["a", "b", "c"]


def test_what_a_lane_can_ever_take_is_told():
    """A batch is cut by it: 50 cancels of 2 tokens fit into the Basic tier's bucket."""
    own, _ = budget()
    assert [own.most(lane) for lane in Lane] == [100, 80, 60, 400]


@pytest.mark.parametrize("is_throttled", [False, True])
def test_forty_cancels_have_their_tokens_within_a_second(is_throttled):
    """Even right after creates took all they may, or a 429 emptied the bucket; exits wait longer."""
    clock = TurningClock()
    own = Budget(clock)
    served = []

    async def taker(name, lane, cost):
        await own.take(lane, cost)
        served.append((name, clock.now_us))

    async def scenario():
        drain(own, Lane.ENTRY)
        drain(own, Lane.REDUCE)
        if is_throttled:
            own.punish(Lane.ENTRY)
        async with asyncio.TaskGroup() as group:
            group.create_task(taker("cancels", Lane.CANCEL, 80))
            for number in range(9):
                group.create_task(taker(f"exit {number}", Lane.REDUCE, 10))
            group.create_task(taker("entry", Lane.ENTRY, 10))

    start_us = clock.now_us
    run(scenario(), loop=clock.loop)

    assert served[0] == ("cancels", start_us + (800_000 if is_throttled else 600_000))
    assert [name for name, _ in served[1:]] == [*(f"exit {n}" for n in range(9)), "entry"]


def test_waiting_on_one_shard_keeps_nobody_of_another_waiting():
    """Each shard's bucket has a queue of its own."""
    clock = TurningClock()
    own = Budget(clock)

    async def scenario():
        drain(own, Lane.CANCEL, 2)
        waiting = asyncio.create_task(own.take(Lane.CANCEL, 80))
        await asyncio.sleep(0)
        assert own.try_take(Lane.CANCEL, 2, shard=2)
        await waiting

    run(scenario(), loop=clock.loop)


class TurningClock(HandClock):
    """Virtual time in which several wait at once."""

    def __init__(self):
        super().__init__()
        self.loop = SteppedLoop()

    @property
    def now_us(self):
        """The loop's time."""
        return self._begun_us + (self.loop.now_us if hasattr(self, "loop") else 0)

    @now_us.setter
    def now_us(self, at_us):
        self._begun_us = at_us

    async def sleep_market(self, seconds):
        """Sleep in the loop's time."""
        await asyncio.sleep(seconds)


def test_configure_adopts_the_real_tier():
    """A bigger account is not held to the Basic tier."""
    own, _ = budget()
    own.configure(
        AccountLimits(
            tier="premier",
            read=BucketLimit(refill_per_s=1000, capacity=1000),
            write=BucketLimit(refill_per_s=1000, capacity=2000),
        )
    )
    assert own.try_take(Lane.ENTRY, 1000)


@given(st.lists(st.tuples(st.integers(0, 200_000), st.sampled_from(list(Lane))), max_size=60))
def test_never_more_than_capacity_plus_refill(steps):
    """Over any time the tokens taken are at most what the exchange allows."""
    own, clock = budget()
    start_us, taken = clock.now_us, 0
    for wait_us, lane in steps:
        clock.now_us += wait_us
        if lane is not Lane.READ and own.try_take(lane, 10):
            taken += 10
        elapsed_us = clock.now_us - start_us
        limit = BASIC.write.capacity + BASIC.write.refill_per_s * elapsed_us / 1_000_000
        assert taken <= limit
