"""The event loop in virtual time."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain.errors import Broken
from recio.runtime.stepped import Deadlock, SteppedLoop, run


def test_time_jumps_to_the_next_timer():
    """A week of waiting is a step."""

    async def scenario():
        await asyncio.sleep(7 * 86_400)
        return asyncio.get_running_loop().time()

    assert run(scenario()) == 7 * 86_400


@given(st.lists(st.integers(0, 10_000_000), min_size=1, max_size=30))
def test_timers_run_in_order_of_time_then_of_setting(delays_us):
    """Equal times keep the order in which the timers were set."""
    heard = []

    async def scenario():
        loop = asyncio.get_running_loop()
        for number, delay_us in enumerate(delays_us):
            loop.call_later(delay_us / 1e6, heard.append, (delay_us, number))
        await asyncio.sleep(11)

    run(scenario())
    assert heard == sorted(heard)
    assert len(heard) == len(delays_us)


def test_two_runs_take_the_same_steps():
    """A run is repeatable to the last step."""

    async def worker(name, log):
        for _ in range(50):
            await asyncio.sleep(0.1 * (1 + len(log) % 7))
            log.append((name, asyncio.get_running_loop().time()))

    async def scenario():
        log = []
        await asyncio.gather(*(worker(name, log) for name in "abc"))
        return log, asyncio.get_running_loop().steps

    assert run(scenario()) == run(scenario())


def test_timeouts_follow_virtual_time():
    """The library's own timeouts work, and cost nothing."""

    async def scenario():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 12)
        return asyncio.get_running_loop().time()

    assert run(scenario()) == 42


def test_waiting_for_nothing_is_a_deadlock():
    """A run that can never go on says so instead of hanging."""
    with pytest.raises(Deadlock):
        run(asyncio.Event().wait())


def test_a_cancelled_timer_does_not_move_time():
    """Only what happens moves time."""

    async def scenario():
        loop = asyncio.get_running_loop()
        loop.call_later(1000, lambda: None).cancel()
        await asyncio.sleep(1)
        return loop.time()

    assert run(scenario()) == 1


def test_what_is_left_is_cancelled_at_the_end():
    """Tasks that run for ever end with the run."""
    ended = []

    async def forever():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def scenario():
        task = asyncio.get_running_loop().create_task(forever())
        await asyncio.sleep(1)
        return task

    run(scenario())
    assert ended == [True]


def test_an_error_nobody_took_ends_the_run():
    """A callback that fails is not lost."""

    async def scenario():
        asyncio.get_running_loop().call_soon(lambda: 1 // 0)
        await asyncio.sleep(5)

    with pytest.raises(ZeroDivisionError):
        run(scenario())


def test_there_are_no_threads():
    """Whatever would need one is told."""

    async def scenario():
        await asyncio.to_thread(print)

    loop = SteppedLoop()
    with pytest.raises(Broken, match="threads"):
        run(scenario(), loop=loop)


def test_queues_and_locks_work():
    """The usual parts of asyncio need nothing but futures."""

    async def scenario():
        queue: asyncio.Queue[int] = asyncio.Queue(1)
        lock = asyncio.Lock()

        async def produce():
            for number in range(100):
                async with lock:
                    await queue.put(number)

        producing = asyncio.create_task(produce())
        taken = [await queue.get() for _ in range(100)]
        await producing
        return taken

    assert run(scenario()) == list(range(100))
