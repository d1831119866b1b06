"""Orders whose answer never came: found, or provably absent; sent again only while that makes sense."""

from __future__ import annotations

import asyncio
from itertools import count, pairwise

import pytest
from tests.integration.money.desk import (
    Desk,
    answer_late,
    entry,
    leaving,
    lose,
    sent_once,
    silent_reply,
)
from tests.integration.money.scene import CLOSE_US

from recio.domain.account_config import Trading
from recio.domain.intents import Source
from recio.domain.orders import BookSide, OrderState

_numbers = count(1)


@pytest.fixture
def desk(module_database_url):
    """A fresh account in virtual time."""
    return Desk(module_database_url, f"doubt-{next(_numbers)}")


def test_no_answer_is_unknown_and_then_found(desk):
    """The order lived all the time: its exposure stayed reserved, it was sent once."""

    async def script():
        desk.exchange.script.append(lose(is_accepted=True, filled_e2=700))
        desk.exchange.lag_us = 3_000_000
        order_id = await entry(desk)
        desk.process()
        await asyncio.sleep(2)
        doubted = await desk.state(order_id)
        at_stake = await desk.scene.one(
            "SELECT sum(qty_e2 - booked_qty_e2)::bigint FROM trading.orders "
            "WHERE account = %s AND state = 'unknown'",
            desk.scene.account,
        )
        await asyncio.sleep(3)
        return order_id, doubted, at_stake, await desk.outcome(order_id)

    order_id, doubted, at_stake, outcome = desk.play(script)

    assert doubted is OrderState.UNKNOWN
    assert at_stake == (1000,)
    assert outcome == ("canceled", 700)
    assert sent_once(desk, order_id)


def test_a_reply_that_does_not_say_how_much_is_unknown(desk):
    """It is looked up by the exchange's id, which the reply gave."""

    async def script():
        desk.exchange.script.append(silent_reply())
        order_id = await entry(desk)
        desk.process()
        await asyncio.sleep(3)
        return await desk.outcome(order_id), await desk.scene.states("orders", order_id)

    outcome, states = desk.play(script)

    assert outcome == ("executed", 1000)
    assert states == ["created", "submitted", "unknown", "executed"]


def test_an_entry_that_never_arrived_ends_canceled_when_that_is_certain(desk):
    """Not before its signature is dead; and it is never sent again."""

    async def script():
        desk.exchange.script.append(lose(is_accepted=False))
        order_id = await entry(desk)
        desk.process()
        await asyncio.sleep(9.5)
        early = await desk.state(order_id)
        await asyncio.sleep(2.5)
        return order_id, early, await desk.outcome(order_id), await desk.reason(order_id)

    order_id, early, outcome, reason = desk.play(script)

    assert early is OrderState.UNKNOWN
    assert outcome == ("canceled", 0)
    assert reason == "the exchange does not know it: it never arrived"
    assert sent_once(desk, order_id)


def test_reads_that_lag_prove_nothing(desk):
    """Not found is not absent until reads are newer than the last moment it could arrive."""

    async def script():
        desk.exchange.script.append(lose(is_accepted=False))
        desk.exchange.lag_us = 60_000_000
        order_id = await entry(desk)
        desk.process()
        await asyncio.sleep(60)
        early = await desk.state(order_id)
        await asyncio.sleep(15)
        return early, await desk.outcome(order_id)

    assert desk.play(script) == (OrderState.UNKNOWN, ("canceled", 0))


def test_a_request_that_was_long_on_its_way_is_found(desk):
    """It arrived with the last of its signature, and reads are newer than the claim but older."""

    async def script():
        desk.exchange.script.append(lose(is_accepted=True, after_s=4.9))
        desk.exchange.lag_us = 8_000_000
        order_id = await entry(desk)
        desk.process()
        await asyncio.sleep(30)
        return order_id, await desk.outcome(order_id)

    order_id, outcome = desk.play(script)

    assert outcome == ("executed", 1000)
    assert sent_once(desk, order_id)


def test_a_lost_exit_is_sent_again_under_the_same_id(desk):
    """Once it is certain that it never arrived; the exchange sees one order."""

    async def script():
        desk.exchange.script.append(lose(is_accepted=False))
        order_id = await leaving(desk)
        desk.process()
        await asyncio.sleep(15)
        return order_id, await desk.outcome(order_id), await desk.scene.states("orders", order_id)

    order_id, outcome, states = desk.play(script)

    assert outcome == ("executed", 1000)
    assert states == ["created", "submitted", "unknown", "submitted", "executed"]
    assert desk.exchange.wire == [str(order_id)] * 2
    assert list(desk.exchange.orders_by_id) == [str(order_id)]


def test_an_exit_is_sent_again_as_often_as_it_is_lost(desk):
    """Each time only when the time before is certain."""

    async def script():
        desk.exchange.script.extend([lose(is_accepted=False)] * 5)
        order_id = await leaving(desk)
        desk.process()
        await asyncio.sleep(70)
        return await desk.outcome(order_id)

    assert desk.play(script) == ("executed", 1000)
    assert len(desk.exchange.wire) == 6
    assert len(desk.exchange.orders_by_id) == 1
    gaps_us = [later - one for one, later in pairwise(desk.exchange.sent_us)]
    # Each claim has a signature of its own, that must be dead before the next one is made.
    assert min(gaps_us) >= 10_000_000


def test_reads_that_claim_to_be_of_the_future_prove_nothing(desk):
    """Who says that he sees tomorrow does not show that an order is absent today."""

    async def script():
        desk.exchange.script.append(lose(is_accepted=True, filled_e2=1000))
        desk.exchange.lag_us, desk.exchange.future_us = 40_000_000, 3_600_000_000
        order_id = await leaving(desk)
        desk.process()
        await asyncio.sleep(30)
        doubted = await desk.state(order_id)
        desk.exchange.lag_us = desk.exchange.future_us = 0
        await asyncio.sleep(30)
        return order_id, doubted, await desk.outcome(order_id)

    order_id, doubted, outcome = desk.play(script)

    assert doubted is OrderState.UNKNOWN
    assert outcome == ("executed", 1000)
    assert sent_once(desk, order_id)


def test_an_exit_that_is_too_late_is_not_sent_again(desk):
    """Absent for certain, but its time is over: it ends, and an exit of today's price may follow."""

    async def script():
        desk.exchange.script.append(lose(is_accepted=False))
        order_id = await leaving(desk, valid_s=8)
        desk.process()
        await asyncio.sleep(20)
        return order_id, await desk.outcome(order_id), await desk.reason(order_id)

    order_id, outcome, reason = desk.play(script)

    assert outcome == ("canceled", 0)
    assert reason.startswith("absent, too late to be sent again")
    assert sent_once(desk, order_id)


def test_an_exit_is_not_sent_again_after_the_close(desk):
    """Invariant 13: the gate lets no exit be valid beyond its market's close."""

    async def script():
        await asyncio.sleep((CLOSE_US - desk.clock.market_us()) / 1e6 - 6)
        desk.exchange.script.append(lose(is_accepted=False))
        order_id = await leaving(desk, valid_s=300)
        desk.process()
        await asyncio.sleep(30)
        return order_id, await desk.outcome(order_id)

    order_id, outcome = desk.play(script)

    assert outcome == ("canceled", 0)
    assert sent_once(desk, order_id)


@pytest.mark.parametrize("sold_e2", [1000, 400])
def test_an_exit_whose_trade_was_sold_by_hand_is_not_sent_again(desk, sold_e2):
    """Neither when all is gone nor when less is left than it would sell."""

    async def script():
        desk.exchange.script.append(lose(is_accepted=False))
        order_id = await leaving(desk)
        desk.process()
        await asyncio.sleep(2)
        await desk.scene.book_fill(desk.scene.fill(book_side=BookSide.ASK, qty_e2=sold_e2))
        await asyncio.sleep(20)
        return order_id, await desk.outcome(order_id), await desk.reason(order_id)

    order_id, outcome, reason = desk.play(script)

    assert outcome == ("canceled", 0)
    assert reason == (
        f"not sent: absent, and of its 10 contracts {(1000 - sold_e2) / 100:g} are left to sell"
    )
    assert sent_once(desk, order_id)


def test_an_exit_in_doubt_counts_what_another_exit_may_sell(desk):
    """Half was in doubt, half was asked for by another exit: each is sent for its own half."""

    async def script():
        desk.exchange.script.extend([lose(is_accepted=False), answer_late(30.0)])
        first = await leaving(desk, qty_e2=500)
        desk.process()
        await asyncio.sleep(2)
        ((trade_id,),) = await desk.scene.rows(
            "SELECT trade_id FROM trading.orders WHERE order_id = %s", first
        )
        second = await desk.scene.leave(trade_id, qty_e2=500)
        await asyncio.sleep(60)
        return first, second, [await desk.outcome(one) for one in (first, second)]

    first, second, outcomes = desk.play(script)

    assert outcomes == [("executed", 500), ("executed", 500)]
    assert desk.exchange.wire == [str(first), str(second), str(first)]


@pytest.mark.parametrize("is_forever", [True, False])
@pytest.mark.parametrize("lag_us", [0, 3_000_000])
@pytest.mark.parametrize(
    "answer",
    [
        lambda: lose(is_accepted=True),
        lambda: lose(is_accepted=True, after_s=4.9),
        lambda: lose(is_accepted=True, filled_e2=400),
        lambda: lose(is_accepted=False),
        silent_reply,
        lambda: answer_late(40.0),
    ],
    ids=["unheard", "late", "partly", "lost", "silent", "hanging"],
)
def test_no_id_arrives_twice_whatever_the_exchange_does_about_it(desk, answer, lag_us, is_forever):
    """Whether a used id is refused for ever or while its order is open: it is never relied on."""

    async def script():
        desk.exchange.refuses_used_ids_forever = is_forever
        desk.exchange.lag_us = lag_us
        desk.exchange.script.extend([answer(), answer()])
        order_id = await leaving(desk)
        desk.process()
        await asyncio.sleep(90)
        return order_id, await desk.state(order_id)

    order_id, state = desk.play(script)

    assert state in {OrderState.EXECUTED, OrderState.CANCELED}
    assert desk.exchange.arrived_twice == 0
    assert list(desk.exchange.orders_by_id) == [str(order_id)]


def test_an_exit_that_was_filled_unheard_is_not_sold_twice(desk):
    """Found, not sent again."""

    async def script():
        desk.exchange.script.append(lose(is_accepted=True))
        order_id = await leaving(desk)
        desk.process()
        await asyncio.sleep(30)
        return order_id, await desk.outcome(order_id)

    order_id, outcome = desk.play(script)

    assert outcome == ("executed", 1000)
    assert sent_once(desk, order_id)


def test_a_used_id_is_looked_up(desk):
    """409 is the exchange's own net: the order is there although reads had not shown it."""

    async def script():
        desk.exchange.script.append(lose(is_accepted=True))
        order_id = await leaving(desk)
        # Reads claim to be fresh and hide it for half a minute.
        desk.process()
        await asyncio.sleep(0)
        desk.exchange.shown_from = _HiddenUntil(desk.clock.market_us() + 30_000_000)
        await asyncio.sleep(60)
        return order_id, await desk.outcome(order_id)

    order_id, outcome = desk.play(script)

    assert outcome == ("executed", 1000)
    assert len(desk.exchange.wire) > 1
    assert list(desk.exchange.orders_by_id) == [str(order_id)]


class _HiddenUntil(dict):
    """Shows every order from a moment on only."""

    def __init__(self, at_us):
        super().__init__()
        self._at_us = at_us

    def __getitem__(self, _name):
        return self._at_us


def test_an_exit_in_doubt_under_halted_ends_when_it_is_certain(desk):
    """It is not sent again, frees what it held back, and nobody asks the exchange in a frenzy."""

    async def script():
        desk.exchange.script.append(lose(is_accepted=False))
        order_id = await leaving(desk)
        desk.process()
        await asyncio.sleep(2)
        await desk.scene.switch(Trading.HALTED)
        await asyncio.sleep(60)
        outcome = await desk.outcome(order_id)
        (trade_id,) = await desk.scene.one(
            "SELECT trade_id FROM trading.orders WHERE order_id = %s", order_id
        )
        by_hand = await desk.scene.ask(desk.scene.exit_wish(trade_id, source=Source.MANUAL))
        return outcome, await desk.reason(order_id), by_hand

    outcome, reason, by_hand = desk.play(script)

    assert outcome == ("canceled", 0)
    assert reason.startswith("not sent: switch Halted")
    assert by_hand == ""
    assert desk.exchange.listed < 20
