"""Switches between the gate and the wire, and what they take off the book."""

from __future__ import annotations

import asyncio
from itertools import count
from uuid import UUID

import msgspec
import pytest
from tests.integration.money.desk import (
    Desk,
    entry,
    leaving,
)
from tests.integration.money.venue import Venue
from tests.unit.exchange_simulator.builders import LOW

from recio.adapters.kalshi.budget import Lane
from recio.domain.account_config import Trading
from recio.domain.intents import Source
from recio.domain.orders import OrderState
from recio.domain.units import time_us
from recio.exchange_simulator.faults import ArmedRequest, RequestFault

_numbers = count(1)
BATCH = ("DELETE", "/portfolio/events/orders/batched")


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


@pytest.fixture
def venue(module_database_url):
    """A function that makes an account at the paper exchange, in virtual time."""

    def make(**config):
        return Venue(module_database_url, f"venue-{next(_numbers)}", **config)

    return make


async def halted(venue, state=Trading.HALTED):
    """Set the switch; return when it was committed."""
    await venue.scene.switch(state)
    return venue.clock.market_us()


def last_cancel_us(venue):
    """Return when the last order was canceled at the exchange."""
    return max(order.updated_us for order in venue.own if order.status == "canceled")


@pytest.mark.parametrize("state", [Trading.HALTED, Trading.FLATTEN])
@pytest.mark.parametrize("drained", ["not", "by creates", "by somebody else"])
def test_forty_resting_orders_are_canceled_within_a_second(venue, state, drained):
    """In one request, at the Basic tier; also right after creates took all tokens they may."""
    desk = venue()

    async def script():
        process = desk.process()
        await desk.rest_orders(40)
        await asyncio.sleep(5)
        assert len(desk.resting()) == 40
        budget = process.rest.budget
        bucket = desk.gateway.api.limits
        if drained == "by creates":
            while budget.try_take(Lane.ENTRY, 10) or budget.try_take(Lane.REDUCE, 10):
                bucket.bill_write(desk.scene.account, "Basic", 0, 10, desk.clock.market_us())
        elif drained == "by somebody else":
            bucket.bill_write(desk.scene.account, "Basic", 0, 100, desk.clock.market_us())
        desk.wire.log.clear()
        at_us = await halted(desk, state)
        await asyncio.sleep(5)
        acknowledged = await desk.scene.one(
            "SELECT count(*), max(at) FROM trading.order_events "
            "WHERE account = %s AND kind = 'cancel_acknowledged'",
            desk.scene.account,
        )
        states = await desk.scene.rows(
            "SELECT state::text, count(*) FROM trading.orders WHERE account = %s AND attempt > 1 "
            "GROUP BY 1",
            desk.scene.account,
        )
        return at_us, acknowledged, states

    at_us, (number, last), states = desk.play(script)

    assert desk.resting() == []
    assert number == 40
    assert time_us(last) - at_us <= 1_000_000
    assert last_cancel_us(desk) < time_us(last)
    assert desk.wire.times(*BATCH) == (2 if drained == "by somebody else" else 1)
    assert states == [("canceled", 40)]


def test_what_a_person_placed_is_taken_off_too(venue):
    """All that rests when the switch is set; what is placed by hand after it is the person's will."""
    desk = venue()

    async def script():
        desk.process()
        await desk.by_hand(3)
        await asyncio.sleep(1)
        await halted(desk)
        await asyncio.sleep(5)
        after_halt = len(desk.resting())
        await desk.by_hand(1)
        await asyncio.sleep(60)
        later = len(desk.resting())
        await halted(desk, Trading.FLATTEN)
        await asyncio.sleep(5)
        return after_halt, later, len(desk.resting())

    assert desk.play(script) == (0, 1, 0)


def test_more_than_a_batch_can_hold_goes_in_several(venue):
    """As many as the bucket ever holds, one batch after the other as tokens come."""
    desk = venue()

    async def script():
        desk.process()
        for _ in range(15):
            await desk.by_hand(8)
            await asyncio.sleep(1)
        desk.wire.log.clear()
        at_us = await halted(desk)
        await asyncio.sleep(10)
        return at_us

    at_us = desk.play(script)

    sizes = [
        len(msgspec.json.decode(reply.body)["orders"])
        for method, path, reply in desk.wire.log
        if (method, path) == BATCH
    ]
    assert sizes == [50, 50, 20]
    assert desk.wire.statuses(429) == 0
    assert desk.resting() == []
    assert last_cancel_us(desk) - at_us <= 2_000_000


def test_a_halt_is_latched_over_a_restart(venue):
    """A new start clears the book of what was there at the switch, and sends nothing."""
    desk = venue()

    async def script():
        await desk.by_hand(3)
        await halted(desk)
        desk.process()
        await asyncio.sleep(5)
        return len(desk.resting())

    assert desk.play(script) == 0


@pytest.mark.parametrize(
    "fault",
    [
        ArmedRequest(RequestFault.TIMEOUT_BEFORE, 2, method="DELETE"),
        ArmedRequest(RequestFault.TIMEOUT_AFTER, 2, method="DELETE"),
        ArmedRequest(RequestFault.CUT_BEFORE, 3, method="DELETE"),
        ArmedRequest(RequestFault.STATUS, 3, method="DELETE", status=503),
        ArmedRequest(RequestFault.STATUS, 2, method="DELETE", status=429),
        ArmedRequest(RequestFault.STATUS, 1, method="DELETE", status=400),
        ArmedRequest(RequestFault.STATUS, 5, method="GET", status=500),
    ],
    ids=["lost", "unheard", "cut", "503", "429", "no batches", "blind"],
)
def test_cancels_are_repeated_until_the_end_is_seen(venue, fault):
    """Whatever happens to requests and answers; an end is the exchange's word, not a reply."""
    desk = venue()

    async def script():
        desk.process()
        await desk.rest_orders(5)
        await desk.by_hand(2)
        await asyncio.sleep(2)
        desk.gateway.faults.arm_request(fault)
        await halted(desk)
        await asyncio.sleep(40)
        return await desk.scene.rows(
            "SELECT DISTINCT state::text FROM trading.orders WHERE account = %s AND attempt > 1",
            desk.scene.account,
        )

    assert desk.play(script) == [("canceled",)]
    assert desk.resting() == []


def test_a_cancel_that_finds_nothing_is_looked_up(venue):
    """404: it had filled. The fill is the truth, and nothing is canceled in our books."""
    desk = venue()

    async def script():
        desk.process()
        await desk.rest_orders(1)
        await asyncio.sleep(2)
        (order,) = desk.resting()
        desk.venue.set_external_level(LOW, "no", 9_000, 100, desk.clock.market_us())
        assert order.filled_e2 == 100
        await halted(desk)
        await asyncio.sleep(5)
        return await desk.outcome(UUID(order.client_order_id))

    assert desk.play(script) == ("executed", 100)


def test_exits_of_flatten_go_on_beside_the_cancels(venue):
    """An exit does not wait until the book is clear."""
    desk = venue()

    async def script():
        now_us = desk.clock.market_us()
        desk.venue.set_external_level(LOW, "no", 400, 5_000, now_us)
        desk.venue.set_external_level(LOW, "yes", 9_400, 5_000, now_us)
        desk.process()
        trade_id = await desk.scene.enter(market_ticker=LOW)
        entered = await desk.scene.entry_order(trade_id)
        await asyncio.sleep(1)
        await desk.scene.book_fill(await desk.scene.fill_of(entered, order_id=desk.own[0].order_id))
        await desk.scene.fold()
        await desk.by_hand(3)
        desk.gateway.faults.arm_request(
            ArmedRequest(RequestFault.LATE, 1, method="DELETE", delay_seconds=4.0)
        )
        await halted(desk, Trading.FLATTEN)
        order_id = await desk.scene.leave(
            trade_id, market_ticker=LOW, source=Source.FLATTEN, limit_price_e4=9_300
        )
        await asyncio.sleep(0.5)
        return await desk.outcome(order_id), len(desk.resting())

    outcome, _ = desk.play(script)

    assert outcome == ("executed", 1000)
