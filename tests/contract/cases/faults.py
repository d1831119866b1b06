"""When the wire fails: what the client knows then, and what the exchange has done."""

from __future__ import annotations

from typing import Any

import pytest
from tests.contract.listing import LOW
from tests.contract.members import Member
from tests.contract.scene import BID, IOC, Scene, ref
from tests.contract.suite import ASYNCAPI, ERRORS, LIMITS, NO_STREAM, OBSERVED, OPENAPI, case

from recio.adapters.kalshi.errors import KalshiRejected, OutcomeUnknown, RateLimited
from recio.adapters.kalshi.events import Connected, Disconnected, Gap
from recio.adapters.kalshi.model import ExchangeFill
from recio.adapters.kalshi.stream import Subscription
from recio.domain.errors import NoAnswer, Unavailable

SHORT_S = 0.5
"""Long enough for a request to arrive, short enough to wait for an answer that does not come."""


async def twins(scene: Scene) -> tuple[Member, Member]:
    """Return alice, and alice without patience: only she waits for what does not come."""
    key = await scene.account("alice")
    return await scene.join(key), await scene.join(key, timeout_s=SHORT_S)


async def request_fault(scene: Scene, fault: str, method: str = "POST", **more: Any) -> None:
    """Arm a fault for the next request of a method."""
    body = {"fault": fault, "method": method, "path": "/trade-api/v2/portfolio"} | more
    await scene.control("POST", "/faults/requests", body)


async def frame_fault(scene: Scene, fault: str, kind: str, **more: Any) -> None:
    """Arm a fault for the next frame of a type."""
    await scene.control("POST", "/faults/frames", {"fault": fault, "type": kind} | more)


@case(280, ERRORS)
async def timeout_after_acceptance(scene: Scene) -> None:
    """An order whose answer does not come is unknown; it exists once, and its id is used."""
    alice, hasty = await twins(scene)
    wanted = scene.order(BID, 5000, 1_00, client_order_id="which?")
    await request_fault(scene, "timeout_after_acceptance")
    with pytest.raises(OutcomeUnknown):
        await hasty.rest.create_order(wanted)
    (order,) = await alice.rest.orders()
    assert (order.client_order_id, order.status) == ("which?", "resting")
    with pytest.raises(KalshiRejected) as refused:
        await alice.rest.create_order(wanted)
    assert refused.value.code == "order_already_exists"
    assert len((await scene.truth())["orders"]) == 1


@case(281, ERRORS)
async def timeout_before_acceptance(scene: Scene) -> None:
    """An order that never arrived is unknown as well; it can be sent again with its id."""
    alice, hasty = await twins(scene)
    wanted = scene.order(BID, 5000, 1_00)
    await request_fault(scene, "timeout_before_acceptance")
    with pytest.raises(OutcomeUnknown):
        await hasty.rest.create_order(wanted)
    assert await alice.rest.orders() == ()
    assert (await alice.rest.create_order(wanted)).remaining_qty_e2 == 1_00


@case(282, ERRORS)
async def server_errors(scene: Scene) -> None:
    """A 5xx leaves a mutation unknown; a read has merely no answer."""
    alice = await scene.member()
    for status in (500, 502, 503, 504):
        await request_fault(scene, "status", status=status)
        with pytest.raises(OutcomeUnknown):
            await scene.place(alice, BID, 5000, 1_00)
        await request_fault(scene, "status", "GET", status=status)
        with pytest.raises(Unavailable) as missing:
            await alice.rest.balance()
        assert not isinstance(missing.value, OutcomeUnknown)
    assert await alice.rest.orders() == ()


@case(283, ERRORS)
async def cut_after_acceptance(scene: Scene) -> None:
    """An order whose connection is cut is unknown; it exists once."""
    alice = await scene.member()
    await request_fault(scene, "cut_after_acceptance")
    with pytest.raises(OutcomeUnknown):
        await scene.place(alice, BID, 5000, 1_00, client_order_id="cut")
    (order,) = await alice.rest.orders()
    assert order.client_order_id == "cut"


@case(284, ERRORS)
async def cut_before_acceptance(scene: Scene) -> None:
    """A request that is cut before it is taken is unknown, and did nothing."""
    alice = await scene.member()
    made = await scene.place(alice, BID, 5000, 1_00)
    await request_fault(scene, "cut_before_acceptance", "DELETE")
    with pytest.raises(OutcomeUnknown):
        await alice.rest.cancel_order(ref(made.order_id))
    assert (await alice.rest.order(made.order_id)).status == "resting"
    assert (await alice.rest.cancel_order(ref(made.order_id))).reduced_qty_e2 == 1_00


@case(285, ERRORS)
async def late_answer(scene: Scene) -> None:
    """An answer that is late, but in time, is an answer."""
    alice = await scene.member()
    await request_fault(scene, "late_answer", delay_seconds=0.05)
    assert (await scene.place(alice, BID, 5000, 1_00)).remaining_qty_e2 == 1_00


@case(286, ERRORS)
async def unknown_cancel(scene: Scene) -> None:
    """After a cancel without an answer the second one is 404, and the order is gone."""
    alice, hasty = await twins(scene)
    made = await scene.place(alice, BID, 5000, 1_00)
    await request_fault(scene, "timeout_after_acceptance", "DELETE")
    with pytest.raises(OutcomeUnknown):
        await hasty.rest.cancel_order(ref(made.order_id))
    with pytest.raises(KalshiRejected) as refused:
        await alice.rest.cancel_order(ref(made.order_id))
    assert refused.value.is_not_found
    assert (await alice.rest.order(made.order_id)).status == "canceled"


@case(287, OPENAPI)
async def unknown_fill(scene: Scene) -> None:
    """A fill that came with a lost answer is found by its order."""
    await scene.offer("no", 5000, 1_00)
    alice = await scene.member()
    await request_fault(scene, "cut_after_acceptance")
    with pytest.raises(OutcomeUnknown):
        await scene.place(alice, BID, 5000, 3_00, IOC, client_order_id="lost")
    (order,) = await alice.rest.orders(ticker=LOW)
    assert (order.client_order_id, order.status, order.fill_qty_e2) == ("lost", "canceled", 1_00)
    (fill,) = await alice.rest.fills(order_id=order.order_id)
    assert fill.qty_e2 == 1_00


@case(288, LIMITS)
async def injected_throttling(scene: Scene) -> None:
    """A 429 that comes out of the blue is a rate limit: nothing was done."""
    alice = await scene.member()
    await request_fault(scene, "status", status=429)
    with pytest.raises(RateLimited):
        await scene.place(alice, BID, 5000, 1_00)
    assert await alice.rest.orders() == ()


@case(289, ERRORS)
async def nobody_there(scene: Scene) -> None:
    """An order that could not be sent is not unknown: no byte of it has left."""
    key = await scene.account("alice")
    nobody = await scene.join(key, origin="http://127.0.0.1:1")
    with pytest.raises(Unavailable) as missing:
        await scene.place(nobody, BID, 5000, 1_00)
    assert isinstance(missing.value, NoAnswer)
    assert missing.value.sent is False


@case(290, OPENAPI)
async def unknown_batch(scene: Scene) -> None:
    """A batch without an answer is unknown as a whole, and its orders exist once."""
    alice = await scene.member()
    await request_fault(scene, "cut_after_acceptance")
    wanted = [scene.order(BID, 5000, 1_00) for _ in range(3)]
    with pytest.raises(OutcomeUnknown):
        await alice.rest.create_orders(wanted)
    again = await alice.rest.create_orders(wanted)
    assert [one.error.code for one in again] == ["order_already_exists"] * 3
    assert len(await alice.rest.orders()) == 3


@case(291, OBSERVED)
async def faults_are_used_up(scene: Scene) -> None:
    """Faults strike as often as they were armed for, and are disarmed together."""
    alice = await scene.member()
    await request_fault(scene, "status", "GET", status=500, count=2)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await alice.rest.balance()
    assert (await alice.rest.balance()).cash_usd_e6 == 1_000_000_000
    await request_fault(scene, "status", "GET", status=500, count=9)
    assert len((await scene.control("GET", "/faults"))["requests"]) == 1
    await scene.control("DELETE", "/faults")
    assert (await alice.rest.balance()).cash_usd_e6 == 1_000_000_000


@case(300, ASYNCAPI)
async def hole_in_the_numbers(scene: Scene) -> None:
    """A lost delta is a hole in the numbers, and a snapshot asked for mends it."""
    commands = await scene.commands(await scene.member())
    params = {"channels": ["orderbook_delta"], "market_tickers": [LOW]}
    sid = (await commands.ask("subscribe", params))["msg"]["sid"]
    assert (await commands.frame())["seq"] == 1
    await frame_fault(scene, "lose", "orderbook_delta")
    await scene.offer("yes", 5000, 1_00)
    await scene.offer("yes", 4900, 2_00)
    assert (await commands.frame())["seq"] == 3
    wanted = {"sids": [sid], "action": "get_snapshot", "market_tickers": [LOW]}
    snapshot = await commands.ask("update_subscription", wanted)
    assert snapshot["seq"] == 4
    assert snapshot["msg"]["yes_dollars_fp"] == [["0.4900", "2.00"], ["0.5000", "1.00"]]


@case(301, ASYNCAPI)
async def lost_private_frame(scene: Scene) -> None:
    """A lost fill leaves no trace on the stream; REST has it."""
    await scene.offer("no", 5000, 10_00)
    alice = await scene.member()
    follower = await scene.follow(alice, Subscription(key="fill", channel="fill"))
    await frame_fault(scene, "lose", "fill")
    lost = await scene.place(alice, BID, 5000, 1_00, IOC)
    kept = await scene.place(alice, BID, 5000, 2_00, IOC)
    assert (await follower.next(ExchangeFill)).order_id == kept.order_id
    assert [one.order_id for one in await alice.rest.fills()] == [kept.order_id, lost.order_id]


async def our_book(scene: Scene) -> tuple[Member, Any]:
    """Return alice and her stream with a whole book of one level."""
    await scene.offer("yes", 5000, 10_00)
    alice = await scene.member()
    wanted = Subscription(key="books", channel="orderbook_delta", tickers=(LOW,))
    follower = await scene.follow(alice, wanted)
    await follower.change(LOW)
    return alice, follower


async def is_whole(scene: Scene, alice: Member, follower: Any) -> None:
    """Wait until our book is the exchange's again."""
    stream = follower.stream

    def is_same() -> bool:
        state = scene.exchange.external_levels(LOW)
        book = stream.books[LOW]
        return bool(book.is_valid) and dict(book.yes.levels) == dict(state.yes)

    await scene.until(is_same)
    seen = await alice.rest.orderbook(LOW)
    assert follower.book(LOW) == (dict(seen.yes), dict(seen.no))


@case(302, ASYNCAPI, only_ours=NO_STREAM)
async def our_stream_after_a_lost_frame(scene: Scene) -> None:
    """Our stream notices a lost delta, trusts nothing, and resynchronises."""
    alice, follower = await our_book(scene)
    await frame_fault(scene, "lose", "orderbook_delta")
    await scene.offer("yes", 4900, 1_00)
    await scene.offer("yes", 4800, 2_00)
    gap = await follower.next(Gap)
    assert (gap.channel, gap.missed, gap.tickers) == ("orderbook_delta", 1, (LOW,))
    await is_whole(scene, alice, follower)
    assert (follower.stream.gaps, follower.stream.reconnects) == (1, 0)


@case(303, ASYNCAPI, only_ours=NO_STREAM)
async def our_stream_after_a_sequence_gap(scene: Scene) -> None:
    """Our stream resynchronises after a gap of several frames, and follows on."""
    alice, follower = await our_book(scene)
    await frame_fault(scene, "seq_gap", "orderbook_delta", count=3)
    for step in range(5):
        await scene.offer("yes", 4000 + step * 100, 1_00)
    assert (await follower.next(Gap)).missed == 3
    await is_whole(scene, alice, follower)
    await scene.offer("yes", 3000, 7_00)
    await is_whole(scene, alice, follower)
    assert follower.stream.gaps == 1


@case(304, ASYNCAPI, only_ours=NO_STREAM)
async def our_stream_after_a_doubled_frame(scene: Scene) -> None:
    """Our stream applies a doubled delta once."""
    alice, follower = await our_book(scene)
    await frame_fault(scene, "duplicate", "orderbook_delta")
    await scene.offer("yes", 5000, 15_00)
    await scene.offer("yes", 4900, 1_00)
    await is_whole(scene, alice, follower)
    assert follower.book(LOW)[0] == {5000: 15_00, 4900: 1_00}
    assert follower.stream.gaps == 0


@case(305, ASYNCAPI, only_ours=NO_STREAM)
async def our_stream_after_exchanged_frames(scene: Scene) -> None:
    """Our stream resynchronises when two deltas come in the wrong order."""
    alice, follower = await our_book(scene)
    await frame_fault(scene, "reorder", "orderbook_delta")
    scene.exchange.set_external_level(LOW, "yes", 4900, 1_00, scene.now_us)
    scene.exchange.set_external_level(LOW, "yes", 4800, 2_00, scene.now_us)
    await scene.venue.gateway.commit()
    await follower.next(Gap)
    await is_whole(scene, alice, follower)


@case(306, ASYNCAPI, only_ours=NO_STREAM)
async def our_stream_after_a_late_frame(scene: Scene) -> None:
    """A delta that comes after its snapshot was asked for changes nothing."""
    alice, follower = await our_book(scene)
    await frame_fault(scene, "late", "orderbook_delta", delay_seconds=0.05)
    await scene.offer("yes", 4900, 1_00)
    await scene.offer("yes", 4800, 2_00)
    await follower.next(Gap)
    await is_whole(scene, alice, follower)
    await scene.until(lambda: follower.stream._session.dropped == 1)
    await is_whole(scene, alice, follower)


@case(307, ASYNCAPI, only_ours=NO_STREAM)
async def our_stream_without_its_snapshot(scene: Scene) -> None:
    """A first snapshot that is lost is asked for when the next delta shows the hole."""
    await scene.offer("yes", 5000, 10_00)
    alice = await scene.member()
    await frame_fault(scene, "lose", "orderbook_snapshot")
    wanted = Subscription(key="books", channel="orderbook_delta", tickers=(LOW,))
    follower = await scene.follow(alice, wanted)
    await follower.next(Connected)
    assert not follower.stream.books[LOW].is_valid
    await scene.offer("yes", 4900, 1_00)
    await follower.next(Gap)
    await is_whole(scene, alice, follower)


@case(308, ASYNCAPI, only_ours=NO_STREAM)
async def our_stream_reconnects(scene: Scene) -> None:
    """A cut connection is told, made anew, and every subscription with it."""
    alice, follower = await our_book(scene)
    await scene.control("POST", "/exchange", {"action": "cut_connections"})
    await follower.next(Disconnected)
    await scene.offer("yes", 4900, 1_00)
    await follower.next(Connected)
    await is_whole(scene, alice, follower)
    assert follower.stream.reconnects == 1


@case(309, ASYNCAPI, only_ours=NO_STREAM)
async def our_stream_cut_in_a_frame(scene: Scene) -> None:
    """A connection that is cut instead of a delta loses nothing in the end."""
    alice, follower = await our_book(scene)
    await frame_fault(scene, "cut", "orderbook_delta")
    await scene.offer("yes", 4900, 1_00)
    await follower.next(Disconnected)
    await is_whole(scene, alice, follower)


@case(310, ASYNCAPI, only_ours=NO_STREAM)
async def our_stream_tells_of_lost_trades(scene: Scene) -> None:
    """Lost trades are told as a gap of their channel; books are not concerned."""
    alice, follower = await our_book(scene)
    await scene.offer("no", 4000, 10_00)
    await follower.want(Subscription(key="trades", channel="trade", tickers=(LOW,)))
    await scene.until(lambda: scene.subscriptions() == 2)
    await frame_fault(scene, "lose", "trade")
    await scene.take("yes", 6000, 1_00)
    await scene.take("yes", 6000, 1_00)
    gap = await follower.next(Gap)
    assert (gap.channel, gap.missed) == ("trade", 1)
    await is_whole(scene, alice, follower)
