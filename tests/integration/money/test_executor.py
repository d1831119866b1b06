"""The executor against a scripted exchange: what is sent, in which order, and what is recorded."""

from __future__ import annotations

import asyncio
from itertools import count
from uuid import UUID

import pytest
from tests.integration.money import desk as desks
from tests.integration.money.desk import (
    Desk,
    answer_late,
    entry,
    fill,
    leaving,
    refuse,
    sent_once,
)
from tests.integration.money.scene import MARKET, OTHER

from recio.adapters.kalshi.errors import RateLimited
from recio.domain.errors import Broken, InvalidValue
from recio.domain.orders import OrderState

_numbers = count(1)


@pytest.fixture
def desk(module_database_url):
    """A fresh account in virtual time."""
    return Desk(module_database_url, f"desk-{next(_numbers)}")


def test_a_reply_is_recorded_and_is_no_fill(desk):
    """Claimed, sent, answered; booking is account sync's, from the fill itself."""

    async def script():
        order_id = await entry(desk)
        desk.process()
        await asyncio.sleep(1)
        row = await desk.scene.order(order_id)
        return (
            order_id,
            row,
            await desk.events(order_id),
            await desk.scene.states("orders", order_id),
        )

    order_id, row, events, states = desk.play(script)

    assert states == ["created", "submitted", "executed"]
    assert events == [("submitted", 1), ("accepted", 1)]
    assert (row.order.filled_qty_e2, row.booked_qty_e2) == (1000, 0)
    assert row.order.exchange_order_id == "x1"
    assert row.order.claimed_at_us == desk.clock.wall_us() - 1_000_000
    assert sent_once(desk, order_id)


@pytest.mark.parametrize("remaining_e2", [0, 600])
def test_what_is_not_filled_at_once_is_over(desk, remaining_e2):
    """An immediate order never rests, whatever the reply calls the rest of it."""

    async def script():
        desk.exchange.script.append(fill(400, remaining_e2=remaining_e2))
        order_id = await entry(desk)
        desk.process()
        await asyncio.sleep(1)
        return await desk.outcome(order_id)

    assert desk.play(script) == ("canceled", 400)


def test_a_refusal_is_recorded_with_its_reason(desk):
    """It never lived, and is not tried again."""

    async def script():
        desk.exchange.script.append(refuse())
        order_id = await entry(desk)
        desk.process()
        await asyncio.sleep(20)
        return order_id, await desk.outcome(order_id), await desk.reason(order_id)

    order_id, outcome, reason = desk.play(script)

    assert outcome == ("rejected", 0)
    assert "insufficient_balance" in reason
    assert sent_once(desk, order_id)


def test_a_request_that_never_left_is_not_in_doubt(desk):
    """No byte left: it does not live. Nothing is looked for."""

    async def script():
        desk.exchange.script.append(desks.unsent())
        order_id = await entry(desk)
        desk.process()
        await asyncio.sleep(20)
        return await desk.outcome(order_id), (await desk.events(order_id))[-1]

    assert desk.play(script) == (("rejected", 0), ("not_sent", 1))
    assert desk.exchange.listed == 0


def test_an_entry_that_waited_too_long_is_not_sent(desk):
    """Its price is history; its reservation is given back."""

    async def script():
        order_id = await entry(desk)
        await asyncio.sleep(5.001)
        desk.process()
        await asyncio.sleep(1)
        return await desk.outcome(order_id), await desk.reason(order_id)

    outcome, reason = desk.play(script)

    assert outcome == ("expired_unsent", 0)
    assert reason == "not sent: 1 ms too late"
    assert desk.exchange.wire == []


def test_waiting_for_tokens_can_make_it_too_late(desk):
    """Time is looked at again when it is claimed."""

    async def script():
        desk.exchange.token_wait_s = 2.9
        order_id = await desk.scene.entry_order(
            await desk.scene.enter(valid_until_us=desk.clock.market_us() + 2_000_000)
        )
        desk.process()
        await asyncio.sleep(5)
        return await desk.outcome(order_id), await desk.reason(order_id)

    outcome, reason = desk.play(script)

    assert outcome == ("expired_unsent", 0)
    assert reason == "not sent: 900 ms too late"
    assert desk.exchange.wire == []


@pytest.mark.parametrize("error", [RateLimited("no tokens"), InvalidValue("no such order")])
def test_what_cannot_be_prepared_is_not_sent(desk, error):
    """It ends by name instead of waiting for ever."""

    async def script():
        desk.exchange.unprepared = error
        order_id = await entry(desk)
        desk.process()
        await asyncio.sleep(5)
        return await desk.outcome(order_id), await desk.reason(order_id)

    assert desk.play(script) == (("expired_unsent", 0), str(error))


def test_exits_go_before_entries(desk):
    """When both wait, what reduces comes first."""

    async def script():
        exit_id = await leaving(desk)
        entry_id = await desk.scene.entry_order(await desk.scene.enter(market_ticker=OTHER))
        await desk.scene.execute(
            "UPDATE trading.orders SET changed_at = changed_at WHERE order_id = %s", entry_id
        )
        desk.process()
        await asyncio.sleep(1)
        return exit_id, entry_id

    exit_id, entry_id = desk.play(script)

    assert desk.exchange.wire == [str(exit_id), str(entry_id)]


def test_orders_do_not_wait_for_one_another(desk):
    """One that hangs holds nobody back."""

    async def script():
        desk.exchange.script.append(answer_late(4.0))
        slow = await entry(desk)
        await asyncio.sleep(0.001)  # Of the same moment, their ids would say which goes first.
        quick = await desk.scene.entry_order(await desk.scene.enter(market_ticker=OTHER))
        desk.process()
        await asyncio.sleep(1)
        return [await desk.state(order_id) for order_id in (slow, quick)]

    assert desk.play(script) == [OrderState.SUBMITTED, OrderState.EXECUTED]


def test_the_stream_s_word_before_the_reply_is_kept(desk):
    """The fill is told and booked while the request still hangs; the reply changes nothing."""

    async def script():
        desk.exchange.script.append(answer_late(4.0))
        order_id = await entry(desk)
        desk.process()
        await asyncio.sleep(1)
        await desk.scene.book_fill(await desk.scene.fill_of(order_id, order_id="x1"))
        await asyncio.sleep(5)
        row = await desk.scene.order(order_id)
        return row.order.state, row.order.filled_qty_e2, row.booked_qty_e2

    assert desk.play(script) == (OrderState.EXECUTED, 1000, 1000)


def test_an_error_that_must_not_be_stops_the_service(desk):
    """It is not lost in a task: the process stops, and starting again recovers."""

    async def broken(_exchange, _prepared):
        raise Broken("this must not be")

    async def script():
        desk.exchange.script.append(broken)
        process = desk.process()
        await entry(desk)
        await asyncio.sleep(1)
        run = next(task for task in process.tasks if task.get_name() == "run")
        return run.exception() if run.done() else None

    assert str(desk.play(script)) == "this must not be"


def test_the_order_id_is_the_client_order_id(desk):
    """A function of the wish: the same after every restart."""

    async def script():
        intent = desk.scene.wish()
        await desk.scene.ask(intent)
        (order_id,) = await desk.scene.one(
            "SELECT order_id FROM trading.orders WHERE intent_id = %s", intent.intent_id
        )
        desk.process()
        await asyncio.sleep(1)
        return order_id

    order_id = desk.play(script)

    assert UUID(desk.exchange.wire[0]) == order_id
    assert desk.exchange.orders_by_id[str(order_id)].ticker == MARKET
