"""Orders that rest: the book, queues, expiry, post-only, cancels."""

from __future__ import annotations

import pytest
from tests.contract.listing import CRYPTO, EVENT, HIGH, LOW, NOW_US, QUIET, SECOND_US
from tests.contract.scene import ASK, BID, IOC, ORDERS, Scene, ref
from tests.contract.suite import BOOKS, CHANGELOG, OBSERVED, OPENAPI, PAUSES, SHARDS, case

from recio.adapters.kalshi.errors import KalshiRejected
from recio.adapters.kalshi.model import OrderRef


@case(90, OPENAPI)
async def rests(scene: Scene) -> None:
    """A GTC order rests, stands in the book and is read back by value."""
    alice = await scene.member()
    reply = await scene.place(alice, BID, 5400, 7_50, client_order_id="resting")
    assert (reply.fill_qty_e2, reply.remaining_qty_e2) == (0, 7_50)
    order = await alice.rest.order(reply.order_id)
    assert (order.client_order_id, order.ticker, order.book_side) == ("resting", LOW, BID)
    assert (order.status, order.yes_price_e4) == ("resting", 5400)
    assert (order.initial_qty_e2, order.fill_qty_e2, order.remaining_qty_e2) == (7_50, 0, 7_50)
    assert (order.created_at_us, order.expires_at_us) == (NOW_US, None)
    assert dict((await alice.rest.orderbook(LOW)).yes) == {5400: 7_50}


@case(91, BOOKS)
async def asks_are_bids_of_no(scene: Scene) -> None:
    """A resting ask is a bid of NO in the book."""
    alice = await scene.member()
    await scene.place(alice, ASK, 5600, 2_00)
    book = await alice.rest.orderbook(LOW)
    assert (book.yes, dict(book.no)) == ((), {4400: 2_00})
    assert (await alice.rest.market(LOW)).yes_ask_e4 == 5600


@case(92, OPENAPI)
async def crosses_and_rests(scene: Scene) -> None:
    """A GTC order takes what it crosses and rests with what is left."""
    await scene.offer("no", 4500, 2_00)
    alice = await scene.member()
    reply = await scene.place(alice, BID, 5500, 5_00)
    assert (reply.fill_qty_e2, reply.remaining_qty_e2) == (2_00, 3_00)
    order = await alice.rest.order(reply.order_id)
    assert (order.status, order.taker_cost_usd_e6, order.maker_cost_usd_e6) == (
        "resting",
        1_100_000,
        0,
    )
    assert dict((await alice.rest.orderbook(LOW)).yes) == {5500: 3_00}


@case(93, OPENAPI)
async def price_before_time(scene: Scene) -> None:
    """The better price fills first; at one price, whoever came first."""
    first, second, better = [await scene.member(name) for name in ("first", "second", "better")]
    await scene.place(first, BID, 5000, 1_00)
    await scene.place(second, BID, 5000, 1_00)
    await scene.place(better, BID, 5100, 1_00)
    assert await scene.take("no", 5000, 2_50) == 2_50
    counts = [
        sum(fill.qty_e2 for fill in await member.rest.fills()) for member in (better, first, second)
    ]
    assert counts == [1_00, 1_00, 50]


@case(94, OPENAPI)
async def maker_fill(scene: Scene) -> None:
    """A resting order fills at its own price, as maker and without a fee."""
    alice = await scene.member()
    reply = await scene.place(alice, BID, 5000, 3_00)
    await scene.take("no", 6000, 2_00)
    (fill,) = await alice.rest.fills()
    assert (fill.is_taker, fill.yes_price_e4, fill.qty_e2, fill.fee_usd_e6) == (
        False,
        5000,
        2_00,
        0,
    )
    order = await alice.rest.order(reply.order_id)
    assert (order.fill_qty_e2, order.remaining_qty_e2, order.status) == (2_00, 1_00, "resting")
    assert (order.maker_cost_usd_e6, order.fees_usd_e6) == (1_000_000, 0)


@case(95, OPENAPI)
async def expiration(scene: Scene) -> None:
    """A GTC order with an expiration time is canceled then."""
    alice = await scene.member()
    expires_us = NOW_US + 30 * SECOND_US
    reply = await scene.place(alice, BID, 5000, 1_00, expires_at_us=expires_us)
    assert (await alice.rest.order(reply.order_id)).expires_at_us == expires_us
    await scene.advance(29)
    assert (await alice.rest.order(reply.order_id)).status == "resting"
    await scene.advance(1)
    assert (await alice.rest.order(reply.order_id)).status == "canceled"
    assert (await alice.rest.orderbook(LOW)).yes == ()


@case(96, OPENAPI)
async def impossible_expiration(scene: Scene) -> None:
    """An expiration in the past, or with an IOC order, is refused."""
    alice = await scene.member()
    body = {
        "ticker": LOW,
        "side": "bid",
        "count": "1.00",
        "price": "0.5000",
        "self_trade_prevention_type": "taker_at_cross",
        "exchange_index": CRYPTO,
    }
    for kind, at_s in (("good_till_canceled", -1), ("immediate_or_cancel", 60)):
        expires = {"time_in_force": kind, "expiration_time": NOW_US // SECOND_US + at_s}
        assert (await alice.raw("POST", ORDERS, body | expires)).status == 400, kind
    assert await alice.rest.orders() == ()


@case(97, CHANGELOG)
async def post_only_crossing(scene: Scene) -> None:
    """A post-only order that would cross is accepted and canceled at once."""
    await scene.offer("no", 4500, 1_00)
    alice = await scene.member()
    reply = await scene.place(alice, BID, 5500, 1_00, is_post_only=True)
    assert (reply.fill_qty_e2, reply.remaining_qty_e2) == (0, 0)
    assert (await alice.rest.order(reply.order_id)).status == "canceled"
    assert await alice.rest.fills() == ()


@case(98, OBSERVED, is_post_only_rejected=True)
async def post_only_crossing_on_demo(scene: Scene) -> None:
    """A post-only order that would cross was refused with 400 on the demo exchange."""
    await scene.offer("no", 4500, 1_00)
    alice = await scene.member()
    with pytest.raises(KalshiRejected) as refused:
        await scene.place(alice, BID, 5500, 1_00, is_post_only=True)
    assert (refused.value.status, refused.value.code) == (400, "invalid_order")
    assert refused.value.details == "post only cross"


@case(99, OPENAPI)
async def post_only_resting(scene: Scene) -> None:
    """A post-only order that does not cross rests."""
    await scene.offer("no", 4500, 1_00)
    alice = await scene.member()
    reply = await scene.place(alice, BID, 5400, 1_00, is_post_only=True)
    assert reply.remaining_qty_e2 == 1_00


@case(100, OPENAPI)
async def cancel(scene: Scene) -> None:
    """A cancel takes the order off and tells how much of it."""
    alice = await scene.member()
    made = await scene.place(alice, BID, 5000, 3_00, client_order_id="soon gone")
    await scene.take("no", 5000, 1_00)
    reply = await alice.rest.cancel_order(ref(made.order_id))
    assert (reply.order_id, reply.client_order_id) == (made.order_id, "soon gone")
    assert (reply.reduced_qty_e2, reply.at_us) == (2_00, NOW_US)
    order = await alice.rest.order(made.order_id)
    assert (order.status, order.fill_qty_e2, order.remaining_qty_e2) == ("canceled", 1_00, 0)


@case(101, OBSERVED)
async def second_cancel(scene: Scene) -> None:
    """A second cancel, and one of an executed order, is 404."""
    await scene.offer("no", 4500, 1_00)
    alice = await scene.member()
    made = await scene.place(alice, BID, 5000, 1_00)
    executed = await scene.place(alice, BID, 5500, 1_00, IOC)
    await alice.rest.cancel_order(ref(made.order_id))
    for order_id in (made.order_id, executed.order_id):
        with pytest.raises(KalshiRejected) as refused:
            await alice.rest.cancel_order(ref(order_id))
        assert (refused.value.status, refused.value.is_not_found) == (404, True)


@case(102, SHARDS)
async def cancel_on_the_wrong_shard(scene: Scene) -> None:
    """A cancel without market and shard looks on shard 0 only: 404, and the order lives on."""
    alice = await scene.member()
    made = await scene.place(alice, BID, 5000, 1_00)
    for index in (None, 0, 1):
        bare = OrderRef(order_id=made.order_id, ticker=None, exchange_index=index)
        with pytest.raises(KalshiRejected) as refused:
            await alice.rest.cancel_order(bare)
        assert refused.value.status == 404
    assert (await alice.rest.order(made.order_id)).status == "resting"
    by_ticker = OrderRef(order_id=made.order_id, ticker=LOW, exchange_index=None)
    assert (await alice.rest.cancel_order(by_ticker)).reduced_qty_e2 == 1_00


@case(103, OPENAPI)
async def cancel_everything(scene: Scene) -> None:
    """Cancel-all takes every resting order of the member and of nobody else."""
    alice, bob = await scene.member("alice"), await scene.member("bob")
    for ticker in (LOW, HIGH, QUIET):
        await scene.place(alice, BID, 5000, 1_00, ticker=ticker)
        await scene.place(bob, BID, 4900, 1_00, ticker=ticker)
    await alice.rest.cancel_all()
    assert await alice.rest.orders(status="resting") == ()
    assert len(await alice.rest.orders(status="canceled")) == 3
    assert len(await bob.rest.orders(status="resting")) == 3
    answer = await alice.raw("DELETE", ORDERS)
    assert (answer.status, answer.body or None) == (204, None)


@case(104, OPENAPI)
async def queue_positions(scene: Scene) -> None:
    """The queue position counts the contracts ahead; 0 is the front."""
    await scene.offer("yes", 5000, 12_50)
    alice, bob = await scene.member("alice"), await scene.member("bob")
    behind = await scene.place(alice, BID, 5000, 1_00)
    front = await scene.place(alice, BID, 5100, 1_00, ticker=HIGH)
    await scene.place(bob, BID, 5000, 9_00)
    seen = {one.order_id: one for one in await alice.rest.queue_positions(EVENT)}
    assert (seen[behind.order_id].ahead_qty_e2, seen[behind.order_id].ticker) == (12_50, LOW)
    assert seen[front.order_id].ahead_qty_e2 == 0
    await scene.take("no", 5000, 2_50)
    one = await alice.raw("GET", f"/portfolio/orders/{behind.order_id}/queue_position")
    assert one.body == {"queue_position_fp": "10.00"}


@case(105, OPENAPI)
async def queue_position_of_the_gone(scene: Scene) -> None:
    """An order that no longer rests has no queue position."""
    alice = await scene.member()
    made = await scene.place(alice, BID, 5000, 1_00)
    await alice.rest.cancel_order(ref(made.order_id))
    path = f"/portfolio/orders/{made.order_id}/queue_position"
    assert (await alice.raw("GET", path)).status == 404


@case(106, PAUSES)
async def canceled_on_pause(scene: Scene) -> None:
    """cancel_order_on_pause takes an order off when trading pauses; others stay."""
    alice = await scene.member()
    goes = await scene.place(alice, BID, 5000, 1_00, is_canceled_on_pause=True)
    stays = await scene.place(alice, BID, 4900, 1_00)
    await scene.control("POST", "/exchange", {"action": "pause_trading"})
    assert (await alice.rest.order(goes.order_id)).status == "canceled"
    assert (await alice.rest.order(stays.order_id)).status == "resting"


@case(107, OPENAPI)
async def order_filters(scene: Scene) -> None:
    """Orders are filtered by market, event, status and time, newest first."""
    alice = await scene.member()
    first = await scene.place(alice, BID, 5000, 1_00)
    await scene.advance(10)
    second = await scene.place(alice, BID, 5000, 1_00, ticker=QUIET)
    third = await scene.place(alice, BID, 5000, 1_00, IOC)

    async def found(**filters: object) -> list[str]:
        return [one.order_id for one in await alice.rest.orders(**filters)]

    assert await found() == [third.order_id, second.order_id, first.order_id]
    assert await found(ticker=LOW) == [third.order_id, first.order_id]
    assert await found(event_ticker=EVENT) == [third.order_id, first.order_id]
    assert await found(status="resting") == [second.order_id, first.order_id]
    assert await found(status="canceled") == [third.order_id]
    assert await found(min_us=NOW_US + SECOND_US) == [third.order_id, second.order_id]
    assert await found(max_us=NOW_US + SECOND_US) == [first.order_id]


@case(108, OPENAPI)
async def order_pages(scene: Scene) -> None:
    """Orders come in pages; a wrong status is 400."""
    alice = await scene.member()
    made = [(await scene.place(alice, BID, 100, 1_00)).order_id for _ in range(5)]
    found: list[str] = []
    cursor, pages = "", 0
    while cursor or pages == 0:
        answer = await alice.raw("GET", f"/portfolio/orders?limit=2&cursor={cursor}")
        found += [one["order_id"] for one in answer.body["orders"]]
        cursor, pages = answer.body["cursor"], pages + 1
    assert (pages, found) == (3, made[::-1])
    assert (await alice.raw("GET", "/portfolio/orders?status=open")).status == 400
