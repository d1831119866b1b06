"""Order groups: a fuse on the contracts matched in any rolling 15 seconds."""

from __future__ import annotations

import pytest
from tests.contract.listing import CRYPTO
from tests.contract.scene import BID, IOC, Scene
from tests.contract.suite import GROUPS, OPENAPI, SHARDS, case

from recio.adapters.kalshi.errors import KalshiRejected


@case(150, GROUPS)
async def made_and_listed(scene: Scene) -> None:
    """A group is made with a limit on a shard, and listed with it."""
    alice = await scene.member()
    made = await alice.rest.create_order_group(3_00, exchange_index=CRYPTO)
    assert made.exchange_index == CRYPTO
    (listed,) = await alice.rest.order_groups()
    assert (listed.group_id, listed.limit_qty_e2) == (made.group_id, 3_00)
    assert (listed.is_auto_cancel_enabled, listed.exchange_index) == (True, CRYPTO)
    order = await scene.place(alice, BID, 5000, 1_00, order_group_id=made.group_id)
    assert (await alice.rest.order_group(made.group_id)).order_ids == (order.order_id,)
    assert (await alice.rest.order(order.order_id)).order_group_id == made.group_id


@case(151, GROUPS)
async def trips(scene: Scene) -> None:
    """At its limit a group's orders are canceled and new ones refused until it is reset."""
    await scene.offer("no", 4500, 10_00)
    alice = await scene.member()
    group = (await alice.rest.create_order_group(3_00, exchange_index=CRYPTO)).group_id
    resting = await scene.place(alice, BID, 4000, 1_00, order_group_id=group)
    free = await scene.place(alice, BID, 4000, 1_00)
    reply = await scene.place(alice, BID, 5500, 5_00, IOC, order_group_id=group)
    assert (reply.fill_qty_e2, reply.remaining_qty_e2) == (3_00, 0)
    assert (await alice.rest.order(resting.order_id)).status == "canceled"
    assert (await alice.rest.order(free.order_id)).status == "resting"
    with pytest.raises(KalshiRejected):
        await scene.place(alice, BID, 4000, 1_00, order_group_id=group)
    await scene.advance(60)
    with pytest.raises(KalshiRejected):
        await scene.place(alice, BID, 4000, 1_00, order_group_id=group)
    await alice.rest.reset_order_group(group, exchange_index=CRYPTO)
    again = await scene.place(alice, BID, 5500, 2_00, IOC, order_group_id=group)
    assert again.fill_qty_e2 == 2_00


@case(152, GROUPS)
async def rolling_window(scene: Scene) -> None:
    """What was matched more than 15 seconds ago no longer counts."""
    await scene.offer("no", 4500, 10_00)
    alice = await scene.member()
    group = (await alice.rest.create_order_group(3_00, exchange_index=CRYPTO)).group_id
    await scene.place(alice, BID, 5500, 2_00, IOC, order_group_id=group)
    await scene.advance(15.1)
    reply = await scene.place(alice, BID, 5500, 2_00, IOC, order_group_id=group)
    assert reply.fill_qty_e2 == 2_00
    assert (await alice.rest.order_group(group)).is_auto_cancel_enabled
    await scene.advance(14.9)
    assert (
        await scene.place(alice, BID, 5500, 2_00, IOC, order_group_id=group)
    ).fill_qty_e2 == 1_00


@case(153, GROUPS)
async def maker_fills_count(scene: Scene) -> None:
    """Fills of resting orders count as well."""
    alice = await scene.member()
    group = (await alice.rest.create_order_group(3_00, exchange_index=CRYPTO)).group_id
    first = await scene.place(alice, BID, 5000, 2_00, order_group_id=group)
    second = await scene.place(alice, BID, 4900, 5_00, order_group_id=group)
    assert await scene.take("no", 6000, 5_00) == 3_00
    assert (await alice.rest.order(first.order_id)).status == "executed"
    order = await alice.rest.order(second.order_id)
    assert (order.status, order.fill_qty_e2) == ("canceled", 1_00)


@case(154, OPENAPI)
async def by_hand(scene: Scene) -> None:
    """A group is triggered, limited anew, reset and deleted by hand."""
    alice = await scene.member()
    group = (await alice.rest.create_order_group(3_00, exchange_index=CRYPTO)).group_id
    first = await scene.place(alice, BID, 5000, 2_00, order_group_id=group)
    await alice.rest.trigger_order_group(group, exchange_index=CRYPTO)
    assert (await alice.rest.order(first.order_id)).status == "canceled"
    await alice.rest.reset_order_group(group, exchange_index=CRYPTO)
    await alice.rest.limit_order_group(group, 7_50, exchange_index=CRYPTO)
    assert (await alice.rest.order_group(group)).limit_qty_e2 == 7_50
    second = await scene.place(alice, BID, 5000, 2_00, order_group_id=group)
    await alice.rest.delete_order_group(group, exchange_index=CRYPTO)
    assert (await alice.rest.order(second.order_id)).status == "canceled"
    assert await alice.rest.order_groups() == ()


@case(155, SHARDS)
async def on_their_shard(scene: Scene) -> None:
    """A group lives on one shard: without its index it is looked for on shard 0, and not found."""
    alice = await scene.member()
    group = (await alice.rest.create_order_group(3_00, exchange_index=CRYPTO)).group_id
    for index in (None, 0, 1):
        with pytest.raises(KalshiRejected) as refused:
            await alice.rest.reset_order_group(group, exchange_index=index)
        assert refused.value.status == 404
    elsewhere = (await alice.rest.create_order_group(3_00, exchange_index=0)).group_id
    with pytest.raises(KalshiRejected) as refused:
        await scene.place(alice, BID, 5000, 1_00, order_group_id=elsewhere)
    assert (refused.value.status, refused.value.code) == (404, "order_group_not_found")


@case(156, GROUPS)
async def bounds(scene: Scene) -> None:
    """A limit is 1 to 1,000,000 contracts; an unknown group is refused."""
    alice = await scene.member()
    for limit in (0, 0.5, 1_000_001):
        body = {"contracts_limit_fp": f"{limit:.2f}", "exchange_index": CRYPTO}
        assert (await alice.raw("POST", "/portfolio/order_groups/create", body)).status == 400
    body = {"contracts_limit": 5, "exchange_index": CRYPTO}
    assert (await alice.raw("POST", "/portfolio/order_groups/create", body)).status == 201
    assert (await alice.rest.order_groups())[0].limit_qty_e2 == 5_00
    with pytest.raises(KalshiRejected) as refused:
        await scene.place(alice, BID, 5000, 1_00, order_group_id="nobody")
    assert refused.value.status == 404
