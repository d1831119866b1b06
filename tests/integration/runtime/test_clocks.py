"""A service that shows several environments has the clock of each."""

from __future__ import annotations

import pytest

from recio.runtime import clock
from recio.runtime.clock import AcceleratedClock, WallClock
from recio.runtime.clocks import Clocks

START_US = 1_722_361_680_000_000


@pytest.fixture
def clocks(database):
    """Clocks of a demo environment that also shows two others."""
    return Clocks("demo", WallClock(), database, ("demo", "paper", "prod"))


async def begin(database):
    """Start the paper environment's market time."""
    async with database.transaction() as tx:
        await clock.begin_by_the_wall(tx, "paper", start_us=START_US)


def test_an_environment_has_its_own_time_once_it_has_begun(database, runner, clocks):
    """Until then, and where market time is wall time, the wall's."""
    runner.run(clocks.refresh())
    before = clocks.of("paper")
    runner.run(begin(database))
    runner.run(clocks.refresh())
    assert isinstance(before, WallClock)
    assert isinstance(clocks.of("paper"), AcceleratedClock)
    assert abs(clocks.of("paper").market_us() - START_US) < 60_000_000
    assert isinstance(clocks.of("prod"), WallClock)
    assert clocks.of("") is clocks.of("demo")


def test_a_line_that_only_another_machine_can_read_is_left_alone(
    database, runner, clocks, monkeypatch
):
    """Its account's page shows wall time; the others go on."""

    async def scenario():
        await clock.start_market_time(database, "paper", start_us=START_US, speed=1)
        monkeypatch.setattr(clock, "boot_id", lambda: "elsewhere")
        await clocks.refresh()

    runner.run(scenario())
    assert isinstance(clocks.of("paper"), WallClock)
