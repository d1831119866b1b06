"""Gate, executor, account sync and trade manager together, against the real paper exchange.

A short day with orders of ours, orders by hand, partial fills, an exit and a settlement, under one
fault after the other. At the end the books equal the exchange's to the micro-dollar, and the
history of the whole day breaks no invariant.
"""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 (seeded: the same faults in each run)

import pytest
from tests.simulation.floor import CREATE, FRAMES, REQUESTS, Floor, copied, short_day
from tests.unit.exchange_simulator.builders import HIGH, LOW

from recio.exchange_simulator.faults import ArmedFrame, ArmedRequest, FrameFault, RequestFault


def test_a_short_day(module_database_url):
    """Nothing goes wrong: every trade is where a person would expect it."""
    floor = Floor(module_database_url)

    trades = floor.play(lambda: short_day(floor))

    by_market = sorted(trades, key=lambda trade: (trade[0], trade[1]))
    low, high, hand = by_market
    assert low[:3] == ("auto_entry", LOW, "settled")
    assert high[:3] == ("auto_entry", HIGH, "settled")
    assert hand[:3] == ("external", LOW, "settled")
    assert low[3] > 0
    assert high[3] > 0


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_that_go_wrong(module_database_url, name):
    """No order twice, no fill lost, cash to the micro-dollar."""
    floor = Floor(module_database_url)

    async def script():
        for fault in REQUESTS[name]:
            floor.faults.arm_request(copied(fault))
        trades = await short_day(floor)
        return trades, floor.faults.struck

    trades, struck = floor.play(script)

    assert struck
    assert len(trades) >= 2


@pytest.mark.parametrize("name", FRAMES)
def test_frames_that_go_wrong(module_database_url, name):
    """What the stream loses is read back; what it repeats is booked once."""
    kind, frame = FRAMES[name]
    floor = Floor(module_database_url)

    async def script():
        floor.faults.arm_frame(
            ArmedFrame(kind, 3 if kind is FrameFault.CUT else 30, frame, delay_seconds=7.0)
        )
        return await short_day(floor), floor.faults.struck

    trades, struck = floor.play(script)

    assert struck
    assert [trade[2] for trade in trades] == ["settled"] * 3


def test_reads_that_lag(module_database_url):
    """Portfolio reads three seconds old, and creates that are cut: doubts end in the truth."""
    floor = Floor(module_database_url, read_lag_ms=3_000)

    async def script():
        floor.faults.arm_request(ArmedRequest(RequestFault.CUT_AFTER, 2, **CREATE))
        floor.faults.arm_frame(ArmedFrame(FrameFault.LOSE, 30, ""))
        return await short_day(floor)

    trades = floor.play(script)

    assert [trade[2] for trade in trades] == ["settled"] * 3


@pytest.mark.parametrize("seed", range(8))
def test_several_things_go_wrong_and_everything_is_restarted(module_database_url, seed):
    """Faults by chance, all at once, and services killed in the middle: the same end."""
    chance = random.Random(seed)
    floor = Floor(module_database_url, read_lag_ms=chance.choice([0, 0, 1_500]))
    requests = [fault for faults in REQUESTS.values() for fault in faults]

    async def killer():
        for _ in range(chance.randint(1, 3)):
            await asyncio.sleep(chance.uniform(0.0, 60.0))
            await floor.restart()

    async def script():
        for fault in chance.sample(requests, 3):
            floor.faults.arm_request(copied(fault))
        for kind, frame in chance.sample(list(FRAMES.values()), 2):
            floor.faults.arm_frame(ArmedFrame(kind, chance.randint(1, 5), frame, delay_seconds=4.0))
        killing = asyncio.create_task(killer())
        floor.kept.add(killing)
        await short_day(floor)
        await killing

    floor.play(script)
