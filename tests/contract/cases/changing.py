"""Changing a resting order: amend and decrease, and what they do to its place in the queue."""

from __future__ import annotations

import pytest
from tests.contract.listing import CRYPTO, HIGH, LOW
from tests.contract.members import Member
from tests.contract.scene import ASK, BID, ORDERS, Scene, ref
from tests.contract.suite import CHANGELOG, OPENAPI, SHARDS, case

from recio.adapters.kalshi.errors import KalshiRejected
from recio.adapters.kalshi.model import OrderRef


async def ahead(member: Member, order_id: str) -> str:
    """Return how many contracts stand before an order."""
    answer = await member.raw("GET", f"/portfolio/orders/{order_id}/queue_position")
    found: str = answer.body["queue_position_fp"]
    return found


@case(120, OPENAPI)
async def smaller_keeps_its_place(scene: Scene) -> None:
    """An amend to a smaller size keeps the place in the queue."""
    alice, bob = await scene.member("alice"), await scene.member("bob")
    made = await scene.place(alice, BID, 5000, 5_00)
    later = await scene.place(bob, BID, 5000, 1_00)
    reply = await alice.rest.amend_order(
        ref(made.order_id), BID, yes_price_e4=5000, total_qty_e2=2_00
    )
    assert (reply.order_id, reply.remaining_qty_e2, reply.fill_qty_e2) == (made.order_id, 2_00, 0)
    assert await ahead(alice, made.order_id) == "0.00"
    assert await ahead(bob, later.order_id) == "2.00"


@case(121, OPENAPI)
async def larger_loses_its_place(scene: Scene) -> None:
    """An amend to a larger size goes to the back of the queue."""
    alice, bob = await scene.member("alice"), await scene.member("bob")
    made = await scene.place(alice, BID, 5000, 5_00)
    await scene.place(bob, BID, 5000, 1_00)
    await alice.rest.amend_order(ref(made.order_id), BID, yes_price_e4=5000, total_qty_e2=5_01)
    assert await ahead(alice, made.order_id) == "1.00"


@case(122, OPENAPI)
async def another_price_loses_its_place(scene: Scene) -> None:
    """An amend to another price goes to the back there, and back again to the back here."""
    alice, bob = await scene.member("alice"), await scene.member("bob")
    made = await scene.place(alice, BID, 5000, 1_00)
    await scene.place(bob, BID, 5000, 2_00)
    await scene.place(bob, BID, 5100, 3_00)
    for price_e4, expected in ((5100, "3.00"), (5000, "2.00")):
        await alice.rest.amend_order(
            ref(made.order_id), BID, yes_price_e4=price_e4, total_qty_e2=1_00
        )
        assert await ahead(alice, made.order_id) == expected


@case(123, OPENAPI)
async def amend_crosses(scene: Scene) -> None:
    """An amend that crosses trades at once; count is what has filled plus what shall remain."""
    await scene.offer("no", 4500, 2_00)
    alice = await scene.member()
    made = await scene.place(alice, BID, 5000, 5_00)
    reply = await alice.rest.amend_order(
        ref(made.order_id), BID, yes_price_e4=5500, total_qty_e2=5_00
    )
    assert (reply.fill_qty_e2, reply.remaining_qty_e2) == (2_00, 3_00)
    assert reply.average_price_usd_e6 == 550_000
    again = await alice.rest.amend_order(
        ref(made.order_id), BID, yes_price_e4=5500, total_qty_e2=3_00
    )
    assert (again.fill_qty_e2, again.remaining_qty_e2) == (2_00, 1_00)


@case(124, CHANGELOG)
async def amend_mismatches(scene: Scene) -> None:
    """An amend must name the order's market, side and client_order_id."""
    alice = await scene.member()
    made = await scene.place(alice, BID, 5000, 5_00, client_order_id="mine")
    wanted = {"yes_price_e4": 4900, "total_qty_e2": 5_00}
    order = ref(made.order_id)
    attempts = (
        (alice.rest.amend_order(ref(made.order_id, HIGH), BID, **wanted), "order_ticker_mismatch"),
        (alice.rest.amend_order(order, ASK, **wanted), "order_side_mismatch"),
        (
            alice.rest.amend_order(order, BID, client_order_id="other", **wanted),
            "order_id_and_client_order_id_mismatch",
        ),
    )
    for attempt, code in attempts:
        with pytest.raises(KalshiRejected) as refused:
            await attempt
        assert (refused.value.status, refused.value.code) == (400, code)
    assert (await alice.rest.order(made.order_id)).yes_price_e4 == 5000


@case(125, OPENAPI)
async def amend_renames(scene: Scene) -> None:
    """An amend can give the order another client_order_id, which is then used too."""
    alice = await scene.member()
    made = await scene.place(alice, BID, 5000, 5_00, client_order_id="old")
    reply = await alice.rest.amend_order(
        ref(made.order_id),
        BID,
        yes_price_e4=4900,
        total_qty_e2=5_00,
        client_order_id="old",
        updated_client_order_id="new",
    )
    assert reply.client_order_id == "new"
    for used in ("old", "new"):
        with pytest.raises(KalshiRejected) as refused:
            await scene.place(alice, BID, 4000, 1_00, client_order_id=used)
        assert refused.value.code == "order_already_exists"


@case(126, CHANGELOG)
async def impossible_amends(scene: Scene) -> None:
    """An amend off the grid, below what has filled, or of an order that is gone is refused."""
    alice = await scene.member()
    made = await scene.place(alice, BID, 5000, 5_00)
    await scene.take("no", 5000, 2_00)
    for price_e4, qty_e2, code in (
        (5050, 5_00, "invalid_price"),
        (4900, 2_00, "invalid_amend_qty_for_order"),
    ):
        with pytest.raises(KalshiRejected) as refused:
            await alice.rest.amend_order(
                ref(made.order_id), BID, yes_price_e4=price_e4, total_qty_e2=qty_e2
            )
        assert (refused.value.status, refused.value.code) == (400, code)
    await alice.rest.cancel_order(ref(made.order_id))
    with pytest.raises(KalshiRejected) as refused:
        await alice.rest.amend_order(ref(made.order_id), BID, yes_price_e4=4900, total_qty_e2=5_00)
    assert refused.value.status == 404


@case(127, OPENAPI)
async def decrease(scene: Scene) -> None:
    """A decrease by or to a count keeps the place and tells what remains."""
    alice, bob = await scene.member("alice"), await scene.member("bob")
    made = await scene.place(alice, BID, 5000, 5_00)
    later = await scene.place(bob, BID, 5000, 1_00)
    by = await alice.rest.decrease_order(ref(made.order_id), by_qty_e2=1_50)
    assert (by.order_id, by.remaining_qty_e2) == (made.order_id, 3_50)
    to = await alice.rest.decrease_order(ref(made.order_id), to_qty_e2=1_00)
    assert to.remaining_qty_e2 == 1_00
    assert await ahead(alice, made.order_id) == "0.00"
    assert await ahead(bob, later.order_id) == "1.00"


@case(128, OPENAPI)
async def decrease_to_nothing(scene: Scene) -> None:
    """A decrease to nothing cancels the order."""
    alice = await scene.member()
    made = await scene.place(alice, BID, 5000, 5_00)
    reply = await alice.rest.decrease_order(ref(made.order_id), to_qty_e2=0)
    assert reply.remaining_qty_e2 == 0
    assert (await alice.rest.order(made.order_id)).status == "canceled"


@case(129, OPENAPI)
async def impossible_decreases(scene: Scene) -> None:
    """A decrease needs exactly one of its two counts, cannot grow, and finds only what rests."""
    alice = await scene.member()
    made = await scene.place(alice, BID, 5000, 5_00)
    path = f"{ORDERS}/{made.order_id}/decrease"
    where = {"market_ticker": LOW, "exchange_index": CRYPTO}
    for counts in ({}, {"reduce_by": "1.00", "reduce_to": "1.00"}, {"reduce_to": "6.00"}):
        assert (await alice.raw("POST", path, where | counts)).status == 400, counts
    assert (await alice.rest.order(made.order_id)).remaining_qty_e2 == 5_00
    with pytest.raises(KalshiRejected) as refused:
        await alice.rest.decrease_order(ref("unknown"), by_qty_e2=1_00)
    assert refused.value.status == 404


@case(130, SHARDS)
async def decrease_on_the_wrong_shard(scene: Scene) -> None:
    """A decrease without market and shard looks on shard 0 only."""
    alice = await scene.member()
    made = await scene.place(alice, BID, 5000, 5_00)
    bare = OrderRef(order_id=made.order_id, ticker=None, exchange_index=None)
    with pytest.raises(KalshiRejected) as refused:
        await alice.rest.decrease_order(bare, by_qty_e2=1_00)
    assert refused.value.status == 404


@case(131, OPENAPI)
async def collateral_follows(scene: Scene) -> None:
    """What an order holds of the balance follows its changes to the cent."""
    alice = await scene.member(dollars=100)

    async def free() -> int:
        found: int = (await alice.rest.balance()).cash_usd_e6
        return found

    made = await scene.place(alice, BID, 5000, 10_00)
    assert await free() == 95_000_000
    await alice.rest.amend_order(ref(made.order_id), BID, yes_price_e4=6000, total_qty_e2=10_00)
    assert await free() == 94_000_000
    await alice.rest.decrease_order(ref(made.order_id), by_qty_e2=5_00)
    assert await free() == 97_000_000
    await alice.rest.cancel_order(ref(made.order_id))
    assert await free() == 100_000_000
