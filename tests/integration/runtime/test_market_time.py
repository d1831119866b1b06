"""Market time of an environment: stored once, shared, and never turned back."""

from __future__ import annotations

import asyncio

import pytest

from recio.domain.errors import Broken
from recio.runtime import clock
from recio.runtime.clock import AcceleratedClock, MarketTime, NoMarketTime

START_US = 1_722_361_680_000_000


def test_every_process_of_an_environment_reads_the_same_line(database, runner):
    """The three numbers are stored once."""

    async def scenario():
        made = await clock.start_market_time(database, "paper", start_us=START_US, speed=5)
        return made, await clock.load_market_time(database, "paper")

    made, loaded = runner.run(scenario())
    assert made == loaded
    assert made.t0_us == START_US


def test_a_clean_stop_goes_on_where_it_stood(database, runner):
    """The start of the first run counts no more."""

    async def scenario():
        made = await clock.start_market_time(database, "paper", start_us=START_US, speed=20)
        await asyncio.sleep(0.05)
        await clock.note_market_time(database, "paper", made, is_final=True)
        stopped_us = AcceleratedClock(made).market_us()
        again = await clock.start_market_time(database, "paper", start_us=START_US, speed=1)
        return stopped_us, again.t0_us

    stopped_us, again_us = runner.run(scenario())
    assert START_US < again_us <= stopped_us


@pytest.mark.parametrize("has_beaten", [False, True])
def test_a_crash_of_everything_never_turns_time_back(database, runner, has_beaten):
    """While it runs, what is stored lies ahead of what any process has seen."""

    async def scenario():
        made = await clock.start_market_time(database, "paper", start_us=START_US, speed=20)
        if has_beaten:
            await clock.note_market_time(database, "paper", made, is_final=False)
        seen_us = AcceleratedClock(made).market_us()
        again = await clock.start_market_time(database, "paper", start_us=START_US, speed=20)
        return seen_us, again.t0_us

    seen_us, again_us = runner.run(scenario())
    assert again_us > seen_us


def test_live_prices_follow_the_wall(database, runner):
    """A stop of an hour is an hour of market time."""

    async def scenario():
        await clock.start_market_time(database, "paper", start_us=START_US, speed=1)
        return await clock.start_market_time(
            database, "paper", start_us=START_US, speed=1, at_least_us=START_US + 3_600_000_000
        )

    assert runner.run(scenario()).t0_us == START_US + 3_600_000_000


def test_a_runner_that_was_replaced_does_not_move_time(database, runner):
    """Only whoever started the line notes where it stands."""

    async def scenario():
        await clock.start_market_time(database, "paper", start_us=START_US, speed=1)
        old = MarketTime(START_US + 10**12, 1, 1)
        await clock.note_market_time(database, "paper", old, is_final=True)
        return await clock.start_market_time(database, "paper", start_us=START_US, speed=1)

    assert runner.run(scenario()).t0_us < START_US + 10**9


def test_an_environment_that_was_never_started_is_told(database, runner):
    """With who would start it."""
    with pytest.raises(NoMarketTime, match="has no clock yet"):
        runner.run(clock.load_market_time(database, "nowhere"))


def test_a_clock_from_before_the_last_boot_is_refused(database, runner, monkeypatch):
    """The monotonic clock begins anew at each boot: its old readings mean nothing."""

    async def scenario():
        await clock.start_market_time(database, "paper", start_us=START_US, speed=1)
        monkeypatch.setattr(clock, "boot_id", lambda: "another boot")
        await clock.load_market_time(database, "paper")

    with pytest.raises(Broken, match="last boot"):
        runner.run(scenario())


def begin(database, start_us, environment="cluster"):
    """Give an environment a line by the wall."""

    async def scenario():
        async with database.transaction() as tx:
            await clock.begin_by_the_wall(tx, environment, start_us=start_us)

    return scenario()


def test_a_line_by_the_wall_is_read_on_any_machine_and_after_any_boot(
    database, runner, monkeypatch
):
    """No process moves it: a start is a translation of the wall's time."""
    wall = [1_800_000_000_000_000]
    monkeypatch.setattr(clock, "wall_us", lambda: wall[0])
    runner.run(begin(database, START_US))
    monkeypatch.setattr(clock, "boot_id", lambda: "another machine")
    wall[0] += 3_600_000_000
    line = runner.run(clock.load_market_time(database, "cluster"))
    assert (line.t0_us, line.speed) == (START_US + 3_600_000_000, 1)


def test_a_wall_that_is_set_later_moves_no_running_process(database, runner, monkeypatch):
    """It is asked once, at the start."""
    runner.run(begin(database, START_US))
    running = AcceleratedClock(runner.run(clock.load_market_time(database, "cluster")))
    before_us = running.market_us()
    monkeypatch.setattr(clock, "wall_us", lambda: 0)
    assert 0 <= running.market_us() - before_us < 60_000_000


def test_a_second_start_keeps_the_line(database, runner, monkeypatch):
    """Whoever comes second, and whatever it wants."""
    monkeypatch.setattr(clock, "wall_us", lambda: 1_800_000_000_000_000)
    runner.run(begin(database, START_US))
    runner.run(begin(database, START_US + 1))
    assert runner.run(clock.load_market_time(database, "cluster")).t0_us == START_US


def test_without_a_start_market_time_is_wall_time(database, runner, monkeypatch):
    """An environment of live prices."""
    monkeypatch.setattr(clock, "wall_us", lambda: 1_800_000_000_000_000)
    runner.run(begin(database, None))
    assert runner.run(clock.load_market_time(database, "cluster")).t0_us == 1_800_000_000_000_000


def test_a_local_run_takes_a_line_by_the_wall_over(database, runner):
    """And keeps it by its own monotonic clock, at any speed."""

    async def scenario():
        await begin(database, START_US)
        made = await clock.start_market_time(database, "cluster", start_us=0, speed=5)
        return made, await clock.load_market_time(database, "cluster")

    made, loaded = runner.run(scenario())
    assert made == loaded
    assert made.t0_us == START_US
