"""Market time: accelerated, stepped, and never backwards."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain.errors import InvalidValue
from recio.runtime import clock, stepped
from recio.runtime.clock import AcceleratedClock, MarketTime, SteppedClock, WallClock

START_US = 1_722_361_680_000_000


@given(st.integers(1, 20), st.lists(st.integers(0, 10**12), min_size=2))
def test_market_time_never_runs_backwards(speed, moments):
    """Later on the monotonic clock is later, or the same microsecond, on the market's."""
    line = MarketTime(START_US, 5, speed)
    times = [line.at_us(5 + moment) for moment in sorted(moments)]
    assert times == sorted(times)


def test_market_time_runs_as_fast_as_told():
    """After one second at speed 10 the market is ten seconds further."""
    assert MarketTime(START_US, 0, 10).at_us(1_000_000_000) == START_US + 10_000_000


@pytest.mark.parametrize("speed", [0, 21, -1])
def test_a_speed_outside_the_bounds_is_refused(speed):
    """Speed is 1 to 20."""
    with pytest.raises(InvalidValue, match=str(speed)):
        MarketTime(START_US, 0, speed)


def test_processes_with_the_same_numbers_agree():
    """Two clocks on one line differ by no more than the time between looking at them."""
    line = MarketTime(START_US, clock.monotonic_ns(), 20)
    first, second = AcceleratedClock(line), AcceleratedClock(line)
    before, between, after = first.market_us(), second.market_us(), first.market_us()
    assert before <= between <= after


def test_a_wall_clock_that_is_set_back_stands_still(monkeypatch):
    """Market time waits until the wall has caught up."""
    readings = iter([100, 50, 60, 101])
    monkeypatch.setattr(clock, "wall_us", lambda: next(readings))
    live = WallClock()
    assert [live.market_us() for _ in range(4)] == [100, 100, 100, 101]


def test_a_stepped_clock_jumps_with_its_loop():
    """Sleeping an hour takes an hour of market time and no time at all."""
    loop = stepped.SteppedLoop()
    made = SteppedClock(loop, START_US)

    async def scenario():
        await made.sleep_market(3600)
        await made.sleep_wall(0.5)
        return made.market_us(), made.wall_us()

    assert stepped.run(scenario(), loop=loop) == (START_US + 3_600_500_000,) * 2


@given(st.integers(1, 20), st.integers(1, 10_000_000))
def test_a_stepped_sleep_is_never_too_short(speed, sleep_us):
    """Whoever sleeps until something is due finds it due, whatever the speed."""
    loop = stepped.SteppedLoop()
    made = SteppedClock(loop, START_US, speed=speed)

    async def scenario():
        await made.sleep_market(sleep_us / 1_000_000)
        return made.market_us() - START_US

    slept_us = stepped.run(scenario(), loop=loop)
    assert sleep_us <= slept_us < sleep_us + 2 * speed


def test_a_sleep_in_market_time_is_shorter_at_speed(monkeypatch):
    """Ten seconds of market time at speed 20 are half a second of sleep."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    asyncio.run(AcceleratedClock(MarketTime(START_US, 0, 20)).sleep_market(10))
    assert slept == [0.5]
