"""Several orders in one request, each with its own answer."""

from __future__ import annotations

from tests.contract.listing import LOW
from tests.contract.scene import ASK, BID, IOC, ORDERS, Scene, ref
from tests.contract.suite import OPENAPI, SHARDS, case

from recio.adapters.kalshi.model import OrderRef


@case(140, OPENAPI)
async def batch_create(scene: Scene) -> None:
    """A batch create answers 201 with one item for each order, in their order."""
    await scene.offer("no", 4500, 1_00)
    alice = await scene.member()
    wanted = [scene.order(BID, 5500, 3_00), scene.order(ASK, 6000, 1_00)]
    first, second = await alice.rest.create_orders(wanted)
    assert (first.client_order_id, second.client_order_id) == tuple(
        one.client_order_id for one in wanted
    )
    assert (first.reply.fill_qty_e2, first.reply.remaining_qty_e2) == (1_00, 2_00)
    assert (second.reply.fill_qty_e2, second.reply.remaining_qty_e2) == (0, 1_00)
    assert (first.error, second.error) == (None, None)
    assert len(await alice.rest.orders(status="resting")) == 2


@case(141, OPENAPI)
async def batch_create_with_errors(scene: Scene) -> None:
    """Items of a batch create fail by themselves, with a flat code and message."""
    alice = await scene.member()
    wanted = [
        scene.order(BID, 5000, 1_00, client_order_id="good"),
        scene.order(BID, 5050, 1_00, client_order_id="off the grid"),
        scene.order(BID, 5000, 1_00, client_order_id="good"),
        scene.order(BID, 5000, 1_00, ticker="NOTHING-1", client_order_id="nowhere"),
        scene.order(BID, 4900, 1_00, client_order_id="last"),
    ]
    answers = await alice.rest.create_orders(wanted)
    codes = [None if one.error is None else one.error.code for one in answers]
    assert codes == [None, "invalid_price", "order_already_exists", "market_not_found", None]
    assert [one.client_order_id for one in answers] == [one.client_order_id for one in wanted]
    assert all(one.error.message for one in answers if one.error)
    assert len(await alice.rest.orders()) == 2


@case(142, OPENAPI)
async def batch_cancel(scene: Scene) -> None:
    """A batch cancel tells for each order what was taken off, or why not."""
    alice, bob = await scene.member("alice"), await scene.member("bob")
    mine = [(await scene.place(alice, BID, 5000, qty)).order_id for qty in (1_00, 2_00)]
    theirs = (await scene.place(bob, BID, 5000, 1_00)).order_id
    answers = await alice.rest.cancel_orders([ref(one) for one in (*mine, theirs, mine[0])])
    assert [one.order_id for one in answers] == [*mine, theirs, mine[0]]
    reduced = [None if one.reply is None else one.reply.reduced_qty_e2 for one in answers]
    assert reduced == [1_00, 2_00, None, None]
    codes = [None if one.error is None else one.error.code for one in answers]
    assert codes == [None, None, "not_found", "not_found"]
    assert (await bob.rest.order(theirs)).status == "resting"


@case(143, SHARDS)
async def batch_cancel_on_the_wrong_shard(scene: Scene) -> None:
    """An item of a batch cancel without market and shard looks on shard 0 only."""
    alice = await scene.member()
    made = await scene.place(alice, BID, 5000, 1_00)
    bare = OrderRef(order_id=made.order_id, ticker=None, exchange_index=None)
    (answer,) = await alice.rest.cancel_orders([bare])
    assert (answer.reply, answer.error.code) == (None, "not_found")
    raw = await alice.raw("DELETE", f"{ORDERS}/batched", {"orders": [{"order_id": made.order_id}]})
    assert raw.body["orders"][0]["reduced_by"] == "0.00"
    by_ticker = OrderRef(order_id=made.order_id, ticker=LOW, exchange_index=None)
    (answer,) = await alice.rest.cancel_orders([by_ticker])
    assert answer.reply.reduced_qty_e2 == 1_00


@case(144, OPENAPI)
async def empty_batches(scene: Scene) -> None:
    """A batch without orders, or of something else, is refused with 400."""
    alice = await scene.member()
    for body in ({}, {"orders": []}, {"orders": "all"}, {"ids": ["a"]}):
        for method in ("POST", "DELETE"):
            answer = await alice.raw(method, f"{ORDERS}/batched", body)
            assert answer.status == 400, (method, body)


@case(145, OPENAPI)
async def batch_spends_in_order(scene: Scene) -> None:
    """Items of a batch see what the ones before them did to the balance."""
    alice = await scene.member(dollars=10)
    wanted = [scene.order(BID, 5000, 12_00), scene.order(BID, 5000, 12_00)]
    first, second = await alice.rest.create_orders(wanted)
    assert first.reply.remaining_qty_e2 == 12_00
    assert second.error.code == "insufficient_balance"
    assert (await alice.rest.balance()).cash_usd_e6 == 4_000_000


@case(146, OPENAPI)
async def batch_item_of_wrong_types(scene: Scene) -> None:
    """An item with numbers for strings fails by itself."""
    alice = await scene.member()
    good = {
        "ticker": LOW,
        "side": "bid",
        "count": "1.00",
        "price": "0.5000",
        "time_in_force": str(IOC),
        "self_trade_prevention_type": "taker_at_cross",
    }
    answer = await alice.raw("POST", f"{ORDERS}/batched", {"orders": [good, good | {"count": 1}]})
    assert answer.status == 201
    first, second = answer.body["orders"]
    assert (first["fill_count"], "error" in first) == ("0.00", False)
    assert second["error"]["code"] == "bad_request"
