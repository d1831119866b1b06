"""Attaching a world and running it on a clock."""

from __future__ import annotations

import asyncio

import pytest

from recio.domain.errors import InvalidValue
from recio.domain.units import SECOND_US, parse_time_us
from recio.exchange_simulator import world
from recio.exchange_simulator.exchange import Exchange


class FastClock:
    """Market time that jumps by what is slept."""

    def __init__(self, start_us: int) -> None:
        self.now_us = start_us

    def market_us(self) -> int:
        """Return the market's time."""
        return self.now_us

    def wall_us(self) -> int:
        """Return the same."""
        return self.now_us

    async def sleep_market(self, seconds: float) -> None:
        """Jump."""
        self.now_us += round(seconds * SECOND_US)
        await asyncio.sleep(0)

    async def sleep_wall(self, seconds: float) -> None:
        """Jump."""
        await self.sleep_market(seconds)


@pytest.mark.parametrize(
    "source",
    [
        world.MinutesSource(start_us=int(parse_time_us("2024-07-30T13:02:00-04:00"))),
        world.RecordingSource(),
    ],
)
def test_run_follows_the_clock(source: world.Source) -> None:
    """The exchange's time is the clock's, index values come every second."""

    async def play() -> tuple[Exchange, FastClock]:
        exchange = Exchange()
        attached = world.attach(exchange, source)
        clock = FastClock(attached.start_us)
        task = asyncio.create_task(attached.run(clock))
        while clock.now_us < attached.start_us + 20 * SECOND_US:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return exchange, clock

    exchange, clock = asyncio.run(play())
    assert 0 <= clock.now_us - exchange.now_us <= SECOND_US
    times = [at_us for at_us, _ in exchange.index_history("BRTI")][-20:]
    assert times == list(range(times[0], times[0] + 20 * SECOND_US, SECOND_US))


def test_a_finished_recording_idles() -> None:
    """When nothing is left to happen the loop sleeps and stays alive."""

    async def play() -> int:
        attached = world.attach(Exchange(), world.RecordingSource("26MAY130915-15"), is_fine=False)
        clock = FastClock(int(parse_time_us("2026-05-13T13:30:00Z")))
        attached.step(clock.now_us)
        assert attached.next_event_us() is None
        task = asyncio.create_task(attached.run(clock))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        return clock.now_us

    assert asyncio.run(play()) > int(parse_time_us("2026-05-13T13:33:00Z"))


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (world.MinutesSource("2019q1"), "2024q3"),
        (world.RecordingSource("26MAY130930-30"), "KXBTC15M-26MAY130915-15"),
        (world.MinutesSource(start_us=0), "2024-07-01"),
        (
            world.MinutesSource(start_us=int(parse_time_us("2024-08-01T03:30:00-04:00"))),
            "another start",
        ),
    ],
)
def test_impossible_sources_are_refused(source: world.Source, told: str) -> None:
    """The error names what there is."""
    with pytest.raises(InvalidValue, match=told):
        world.attach(Exchange(), source)


@pytest.mark.parametrize("name", list(world.DEFAULT_STARTS))
def test_default_starts_are_twelve_minutes_before_an_hour(name: str) -> None:
    """A whole trade fits into the first quarter of an hour."""
    attached = world.attach(Exchange(), world.MinutesSource(name))
    assert attached.start_us % (3600 * SECOND_US) == 48 * 60 * SECOND_US
    assert world.recordings() == ("KXBTC15M-26MAY130915-15",)
