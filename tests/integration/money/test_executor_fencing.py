"""One executor at a time: killed, frozen or doubled, each order reaches the exchange at most once."""

from __future__ import annotations

import asyncio
from itertools import count
from uuid import UUID

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
from tests.integration.money.venue import Venue
from tests.unit.exchange_simulator.builders import LOW

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


WAYS = [
    ("entry", 8, True),
    ("exit", 8, False),
    ("entry", 40, True),
    ("entry", 40, False),
    ("exit", 40, True),
    ("exit", 40, False),
]


@pytest.mark.parametrize(("purpose", "seconds", "is_forever"), WAYS)
def test_frozen_anywhere_it_wakes_up_to_nothing(module_database_url, purpose, seconds, is_forever):
    """SIGSTOP at each wait from before the claim to after the record, with a second copy beside it.

    Whatever it does when it wakes up: at most one request of it reaches the wire, nothing of it is
    written once another copy has taken over, and the exchange has at most one order, whether it
    refuses a used id for ever or only while its order is open.
    """
    stood_at = []
    for number in range(1, MOST_STEPS + 1):
        venue = Venue(
            module_database_url,
            f"ice-{next(_numbers)}",
            is_client_order_id_used_forever=is_forever,
        )
        seen = venue.play(_frozen(venue, number, purpose, seconds))
        if not seen["stood at"]:
            break
        stood_at.append(seen["stood at"])
        check_thawed(venue, seen, is_taken_over=seconds > 20)
    assert {
        "a transaction begins",
        "before a commit",
        "committed",
        "a request leaves",
        "a reply arrives",
    } <= set(stood_at)


def test_a_person_s_exit_survives_a_sender_that_stood_still(module_database_url):
    """Claimed, then starved until its signature was dead: it never left, so it is signed anew."""
    venue = Venue(module_database_url, f"ice-{next(_numbers)}")

    async def script():
        seen = await _frozen(venue, 6, "exit", 8)()
        return seen, await venue.reason(UUID(seen["order"]))

    seen, reason = venue.play(script)

    assert seen["stood at"] == "committed"
    assert seen["outcome"] == ("executed", 1000)
    assert reason.startswith("not sent: signed 8")
    assert [kind for kind, _ in seen["events"]] == ["submitted", "unknown", "submitted", "accepted"]
    assert len(seen["left later"]) == 1


MOST_STEPS = 14


def _frozen(venue, number, purpose, seconds):
    """Return a script that freezes the holder at its n-th step with an order, and thaws it."""

    async def script():
        now_us = venue.clock.market_us()
        venue.venue.set_external_level(LOW, "no", 400, 50_000, now_us)
        venue.venue.set_external_level(LOW, "yes", 9_400, 50_000, now_us)
        _, ice, wire = venue.process_on_ice()
        trade_id = None
        if purpose == "exit":
            trade_id = await bought(venue)
        await asyncio.sleep(3.5)
        venue.process()
        await asyncio.sleep(1)
        wire.left.clear()
        ice.arm(number)
        changes = {"market_ticker": LOW, "valid_until_us": venue.clock.market_us() + 300_000_000}
        if purpose == "exit":
            order_id = await venue.scene.leave(trade_id, limit_price_e4=9_300, **changes)
        else:
            order_id = await venue.scene.entry_order(await venue.scene.enter(**changes))
        await asyncio.sleep(1)
        stood_at = ice.at
        await asyncio.sleep(seconds - 1)
        before = await venue.events(order_id)
        left = list(wire.left)
        ice.thaw()
        await asyncio.sleep(90)
        return {
            "stood at": stood_at,
            "order": str(order_id),
            "before": before,
            "events": await venue.events(order_id),
            "outcome": await venue.outcome(order_id),
            "left": left,
            "left later": wire.left[len(left) :],
        }

    return script


def check_thawed(venue, seen, *, is_taken_over):
    """Check what came of an order whose sender stood still."""
    where = f"stood still at: {seen['stood at']}"
    there = [one for one in venue.own if one.client_order_id == seen["order"]]
    assert len(there) <= 1, where
    assert len(seen["left"] + seen["left later"]) <= 1, where
    assert venue.wire.statuses(409) == 0, where
    state, filled = seen["outcome"]
    assert filled == (there[0].filled_e2 if there else 0), where
    assert state in {"executed", "canceled", "rejected", "expired_unsent"}, where
    if is_taken_over:
        old = [one for one in seen["before"] if one[1] == 1]
        assert [one for one in seen["events"] if one[1] == 1] == old, where


async def bought(venue):
    """Let an entry fill whole and be booked; return its trade."""
    trade_id = await venue.scene.enter(market_ticker=LOW)
    order_id = await venue.scene.entry_order(trade_id)
    await asyncio.sleep(1)
    told = next(one for one in venue.own if one.client_order_id == str(order_id))
    await venue.scene.book_fill(await venue.scene.fill_of(order_id, order_id=told.order_id))
    await venue.scene.fold()
    return trade_id
