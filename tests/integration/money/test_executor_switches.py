"""Switches between the gate and the wire, and what they take off the book."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest
from tests.integration.money.desk import (
    Desk,
    entry,
    leaving,
)

from recio.domain.account_config import Trading
from recio.domain.intents import Source
from recio.domain.orders import OrderState

_numbers = count(1)


@pytest.fixture
def desk(module_database_url):
    """A fresh account in virtual time."""
    return Desk(module_database_url, f"switch-{next(_numbers)}")


def test_a_switch_between_the_gate_and_the_wire_stops_an_entry(desk):
    """The executor asks again, in the transaction that claims."""

    async def script():
        order_id = await entry(desk)
        await desk.scene.switch(Trading.NO_NEW_ENTRIES)
        desk.process()
        await asyncio.sleep(5)
        return await desk.outcome(order_id), await desk.reason(order_id)

    outcome, reason = desk.play(script)

    assert outcome == ("expired_unsent", 0)
    assert reason.startswith("not sent: switch NoNewEntries")
    assert desk.exchange.wire == []


@pytest.mark.parametrize(
    ("state", "source", "is_sent"),
    [
        (Trading.REDUCE_ONLY, Source.AUTO_STOP, True),
        (Trading.FLATTEN, Source.FLATTEN, True),
        (Trading.HALTED, Source.AUTO_STOP, False),
        (Trading.HALTED, Source.MANUAL, True),
    ],
)
def test_which_exits_pass_a_switch_before_the_wire(desk, state, source, is_sent):
    """The same table as at the gate."""

    async def script():
        order_id = await leaving(desk, source=source)
        await desk.scene.switch(state)
        desk.process()
        await asyncio.sleep(5)
        return await desk.state(order_id)

    expected = OrderState.EXECUTED if is_sent else OrderState.EXPIRED_UNSENT
    assert desk.play(script) is expected
    assert bool(desk.exchange.wire) is is_sent


def test_halted_takes_what_rests_off_the_book(desk):
    """At once; whether it was over already is the exchange's word."""

    async def script():
        order_id = await entry(desk)
        await desk.scene.report(order_id, 0, status="resting")
        desk.process()
        await asyncio.sleep(1)
        before = list(desk.exchange.canceled)
        await desk.scene.switch(Trading.HALTED)
        await asyncio.sleep(1)
        return before, desk.exchange.canceled

    before, after = desk.play(script)

    assert before == []
    assert after
