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
    own.punish(Lane.ENTRY)
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
