"""A row that was read before the order moved on: it must move nothing back, and end nothing."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest
from tests.integration.money.desk import Desk, entry, fill

from recio.domain.account_config import Trading

_numbers = count(1)


@pytest.fixture
def desk(module_database_url):
    """A fresh account in virtual time."""
    return Desk(module_database_url, f"stale-{next(_numbers)}")


@pytest.mark.parametrize("is_late", [False, True], ids=["halted", "too late"])
def test_a_stale_row_of_an_ended_order_ends_nothing(desk, is_late):
    """The list of what waits was read while the order was still to be sent; then it was over.

    Sending it again is refused, whatever the switch and the time say now, and the order stays as it
    ended: the database would refuse the step back, and the executor would end of it.
    """

    async def script():
        desk.exchange.script.append(fill(400, remaining_e2=600))
        order_id = await entry(desk)
        stale = await desk.scene.order(order_id)
        process = desk.process()
        await asyncio.sleep(1)
        before = await desk.events(order_id)
        if is_late:
            await asyncio.sleep(10)
        else:
            await desk.scene.switch(Trading.HALTED)
        executor = process.executor
        executor._start(stale, executor._sender.send(stale, 1))
        await asyncio.sleep(5)
        assert [task for task in process.tasks if task.done()] == []
        return before, await desk.events(order_id), await desk.outcome(order_id)

    before, after, outcome = desk.play(script)

    assert before == after
    assert outcome == ("canceled", 400)
    assert len(desk.exchange.wire) == 1
