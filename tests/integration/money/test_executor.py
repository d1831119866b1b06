"""The executor against a scripted exchange: each order at most once, no outcome guessed."""

from __future__ import annotations

import asyncio
from itertools import count
from uuid import UUID

import pytest
from tests.integration.money import desk as desks
from tests.integration.money.desk import Desk, Killed, answer_late, fill, lose, refuse, silent_reply
from tests.integration.money.scene import MARKET, OTHER

from recio.adapters.kalshi.errors import RateLimited
from recio.adapters.postgres import leases
from recio.domain.account_config import Trading
from recio.domain.errors import Broken, InvalidValue
from recio.domain.intents import Source
from recio.domain.orders import OrderState

_numbers = count(1)


@pytest.fixture
def desk(module_database_url):
    """A fresh account in virtual time."""
    return Desk(module_database_url, f"desk-{next(_numbers)}")


async def entry(desk):
    """Let the gate accept an entry; return its order."""
    return await desk.scene.entry_order(await desk.scene.enter())


async def leaving(desk, **changes):
    """Let the gate accept the exit of a held trade; return its order."""
    return await desk.scene.leave(await desk.scene.held_trade(), **changes)


def sent_once(desk, order_id):
    """Whether the order was on the wire exactly once."""
    return desk.exchange.wire == [str(order_id)]


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


def test_a_second_copy_stays_passive(desk):
    """One holder; the other says so and sends nothing."""

    async def script():
        first = desk.process()
        await asyncio.sleep(1)
        second = desk.process()
        await asyncio.sleep(30)
        order_id = await entry(desk)
        await asyncio.sleep(2)
        return (
            first.service.readiness().is_ready,
            second.service.readiness(),
            await desk.events(order_id),
        )

    is_first_ready, second, events = desk.play(script)

    assert is_first_ready
    assert (second.is_ready, second.reason) == (False, "another copy holds the lease")
    assert {epoch for _, epoch in events} == {1}


def test_a_second_copy_takes_over_when_the_first_is_gone(desk):
    """At once, under a higher epoch; what the first had claimed is resolved first."""

    async def script():
        desk.exchange.script.append(answer_late(60))
        first = desk.process()
        order_id = await entry(desk)
        await asyncio.sleep(1)
        await first.kill()
        desk.process()
        await asyncio.sleep(3)
        return order_id, await desk.outcome(order_id), await desk.events(order_id)

    order_id, outcome, events = desk.play(script)

    assert outcome == ("executed", 1000)
    assert events == [("submitted", 1), ("unknown", 2), ("found", 2)]
    assert sent_once(desk, order_id)


def test_a_frozen_holder_that_wakes_up_writes_nothing(desk):
    """Its reply came, but a newer epoch holds the lease: not a word of it is kept."""

    async def script():
        desk.exchange.script.append(answer_late(40))
        first = desk.process()
        order_id = await entry(desk)
        await asyncio.sleep(1)
        await first.stop("renew")
        await first.stop("run")
        desk.process()
        await asyncio.sleep(leases.LEASE_SECONDS + leases.MARGIN_SECONDS + 5)
        taken_over = await desk.events(order_id)
        await asyncio.sleep(30)
        return taken_over, await desk.events(order_id), await desk.outcome(order_id)

    taken_over, events, outcome = desk.play(script)

    assert taken_over == events == [("submitted", 1), ("unknown", 2), ("found", 2)]
    assert outcome == ("executed", 1000)


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


KILLED = {
    "entry, partly filled": ("entry", lambda: fill(400)),
    "entry, lost on the way": ("entry", lambda: lose(is_accepted=False)),
    "entry, long on the way": ("entry", lambda: lose(is_accepted=True, after_s=4.5)),
    "entry, refused": ("entry", refuse),
    "exit, filled": ("exit", fill),
    "exit, lost on the way": ("exit", lambda: lose(is_accepted=False)),
    "exit, lost on the way back": ("exit", lambda: lose(is_accepted=True)),
}
MOST_POINTS = 14


@pytest.mark.parametrize("story", KILLED)
def test_killed_anywhere_it_ends_as_if_it_had_not_been(module_database_url, story):
    """At each point between two effects: the exchange sees the order at most once, we see the truth.

    The points are every commit and every call of the exchange, before and after.
    """
    purpose, answer = KILLED[story]
    reached = []
    for number in range(1, MOST_POINTS + 1):
        desk = Desk(module_database_url, f"killed-{next(_numbers)}")
        points, wire, held, outcome = desk.play(_killed(desk, number, answer, purpose))
        reached.append(points)
        check_end(wire, held, outcome, purpose)
        if points < number:
            break
    assert max(reached) >= 6


def _killed(desk, number, answer, purpose):
    """Return a script that kills the executor at its n-th point and starts another one."""
    points = count(1)
    last = [0]

    def point(_name):
        last[0] = next(points)
        if last[0] == number:
            raise Killed

    async def script():
        order_id = await (entry(desk) if purpose == "entry" else leaving(desk))
        desk.exchange.script.append(answer())
        first = desk.process(point=point)
        await asyncio.sleep(0.5)
        for _ in range(20):
            if first.is_dead or last[0] >= MOST_POINTS:
                break
            await asyncio.sleep(0.5)
        await first.kill()
        desk.exchange.point = lambda _: None
        desk.process()
        await asyncio.sleep(40)
        return (
            last[0],
            desk.exchange.wire,
            desk.exchange.orders_by_id.get(str(order_id)),
            await desk.outcome(order_id),
        )

    return script


def check_end(wire, held, outcome, purpose):
    """Check that what we hold is what the exchange holds."""
    state, filled = outcome
    if held is None:
        assert filled == 0
        assert state in {"canceled", "rejected", "expired_unsent"}
    else:
        assert filled == held.fill_qty_e2
        assert state == ("executed" if filled == 1000 else "canceled")
    if purpose == "entry":
        assert len(wire) <= 1


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
