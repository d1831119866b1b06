"""Processes of the simulated loop: killed, frozen, interleaved by the seed."""

from __future__ import annotations

import asyncio
import gc

from recio.simulation.loop import SimulatedLoop, current


def _run(loop, main):
    try:
        return loop.run_until_complete(main())
    finally:
        loop.bury()
        loop.close()


async def _count(told, name, steps):
    for number in range(steps):
        told.append((name, number))
        await asyncio.sleep(0)


def _interleaved(seed):
    loop, told = SimulatedLoop(seed), []

    async def main():
        tasks = [loop.start(loop.process(name), _count(told, name, 20)) for name in "abc"]
        await asyncio.gather(*tasks)

    _run(loop, main)
    return told


def test_the_same_seed_interleaves_in_the_same_way():
    """Which process goes first follows from the seed; another seed is another order."""
    assert _interleaved("one") == _interleaved("one")
    assert _interleaved("one") != _interleaved("two")


def test_within_a_process_the_order_is_asyncios_own():
    """Only processes overtake each other."""
    told = _interleaved("one")

    for name in "abc":
        assert [number for who, number in told if who == name] == list(range(20))


def test_what_is_killed_never_runs_again_and_cleans_nothing_up():
    """No step, no ``finally`` and no ``except`` of a killed process runs, not even at its burial."""
    loop, told = SimulatedLoop("kill"), []

    async def victim():
        try:
            told.append("begun")
            await asyncio.sleep(1)
            told.append("woke")
        except BaseException:
            told.append("caught")
            raise
        finally:
            told.append("cleaned up")

    async def main():
        process = loop.process("victim")
        loop.start(process, victim())
        await asyncio.sleep(0.5)
        loop.kill(process)
        await asyncio.sleep(5)
        gc.collect()
        return list(told)

    assert _run(loop, main) == ["begun"]


def test_a_frozen_process_goes_on_where_it_stood():
    """Its timers come due meanwhile and are seen when it is thawed."""
    loop, told = SimulatedLoop("freeze"), []

    async def sleeper():
        for _ in range(3):
            await asyncio.sleep(1)
            told.append(loop.now_us // 1_000_000)

    async def main():
        process = loop.process("sleeper")
        done = loop.start(process, sleeper())
        await asyncio.sleep(1.5)
        loop.freeze(process)
        await asyncio.sleep(10)
        assert told == [1]
        loop.thaw(process)
        await done

    _run(loop, main)
    assert told == [1, 11, 12]


def test_an_answer_wakes_whoever_waited_in_his_own_process():
    """A future that another process resolves does not move the waiter into that process."""
    loop = SimulatedLoop("own")

    async def wait(future):
        await future
        return current().name

    async def main():
        future = loop.create_future()
        waiting = loop.start(loop.process("waiter"), wait(future))
        await asyncio.sleep(1)

        async def resolve():
            future.set_result(None)

        await loop.start(loop.process("other"), resolve())
        return await waiting

    assert _run(loop, main) == "waiter"
