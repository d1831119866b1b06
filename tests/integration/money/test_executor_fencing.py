"""One executor at a time: killed, frozen or doubled, each order reaches the exchange at most once."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest
from tests.integration.money.desk import (
    Desk,
    Killed,
    answer_late,
    entry,
    fill,
    leaving,
    lose,
    refuse,
    sent_once,
)

from recio.adapters.postgres import leases

_numbers = count(1)


@pytest.fixture
def desk(module_database_url):
    """A fresh account in virtual time."""
    return Desk(module_database_url, f"fence-{next(_numbers)}")


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
