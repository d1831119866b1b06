"""Rate limits: two buckets of tokens an account, and more of them for shards."""

from __future__ import annotations

import pytest
from tests.contract.listing import CRYPTO, LOW
from tests.contract.members import Member
from tests.contract.scene import BID, ORDERS, Scene, ref
from tests.contract.suite import LIMITS, NO_BUDGET, case

from recio.adapters.kalshi.budget import Lane
from recio.adapters.kalshi.errors import RateLimited


async def spend(scene: Scene, member: Member, orders: int = 10) -> list[str]:
    """Create orders, ten tokens each, on the crypto shard's bucket."""
    return [(await scene.place(member, BID, 100, 1_00)).order_id for _ in range(orders)]


@case(220, LIMITS, tier="Basic")
async def throttled(scene: Scene) -> None:
    """Beyond the write bucket the answer is 429 with a plain string, without Retry-After."""
    alice = await scene.member()
    await spend(scene, alice)
    with pytest.raises(RateLimited):
        await scene.place(alice, BID, 100, 1_00)
    body = {"ticker": LOW, "exchange_index": CRYPTO}
    answer = await alice.raw("POST", ORDERS, body)
    assert (answer.status, answer.body) == (429, {"error": "too many requests"})
    assert "retry-after" not in {name.lower() for name in answer.headers}
    assert len(await alice.rest.orders()) == 10


@case(221, LIMITS, tier="Basic")
async def recovery(scene: Scene) -> None:
    """The bucket fills again with time: ten tokens in a tenth of a second."""
    alice = await scene.member()
    await spend(scene, alice)
    await scene.advance(0.099)
    with pytest.raises(RateLimited):
        await scene.place(alice, BID, 100, 1_00)
    await scene.advance(0.001)
    assert (await scene.place(alice, BID, 100, 1_00)).remaining_qty_e2 == 1_00


@case(222, LIMITS, tier="Basic")
async def cheap_cancels(scene: Scene) -> None:
    """A cancel costs two tokens: five of them fit where one order does."""
    alice = await scene.member()
    made = await spend(scene, alice)
    with pytest.raises(RateLimited):
        await alice.rest.cancel_order(ref(made[0]))
    await scene.advance(0.1)
    for order_id in made[:5]:
        assert (await alice.rest.cancel_order(ref(order_id))).reduced_qty_e2 == 1_00
    with pytest.raises(RateLimited):
        await alice.rest.cancel_order(ref(made[5]))


@case(223, LIMITS, tier="Basic")
async def batches_fit_as_a_whole(scene: Scene) -> None:
    """A batch costs its items and must fit at once: none of eleven orders is made, all of ten."""
    alice = await scene.member()
    with pytest.raises(RateLimited):
        await alice.rest.create_orders([scene.order(BID, 100, 1_00) for _ in range(11)])
    assert await alice.rest.orders() == ()
    made = await alice.rest.create_orders([scene.order(BID, 100, 1_00) for _ in range(10)])
    assert all(one.error is None for one in made)


@case(224, LIMITS, tier="Basic")
async def buckets_of_shards(scene: Scene) -> None:
    """A request that names its shard is billed there; batches are billed to the unscoped bucket."""
    alice = await scene.member()
    await spend(scene, alice)
    made = await alice.rest.create_orders([scene.order(BID, 100, 1_00) for _ in range(10)])
    assert all(one.error is None for one in made)
    with pytest.raises(RateLimited):
        await alice.rest.create_orders([scene.order(BID, 100, 1_00)])


@case(225, LIMITS, tier="Basic")
async def routed_requests_pay_everywhere(scene: Scene) -> None:
    """A request that is routed by its market is billed to the bucket of every shard."""
    alice = await scene.member()
    for _ in range(10):
        await scene.place(alice, BID, 100, 1_00, exchange_index=None)
    with pytest.raises(RateLimited):
        await scene.place(alice, BID, 100, 1_00)
    with pytest.raises(RateLimited):
        await alice.rest.create_order_group(1_00, exchange_index=0)


@case(226, LIMITS, tier="Basic")
async def reads_have_a_bucket(scene: Scene) -> None:
    """Reads are billed to a bucket of their own: 40 at once for a new account."""
    alice = await scene.member()
    for _ in range(40):
        await alice.rest.status()
    with pytest.raises(RateLimited):
        await alice.rest.status()
    assert (await scene.place(alice, BID, 100, 1_00)).remaining_qty_e2 == 1_00
    await scene.advance(0.05)
    assert len(await alice.rest.orders()) == 1


@case(227, LIMITS, tier="Basic")
async def accounts_have_their_own(scene: Scene) -> None:
    """One member's requests do not use another's tokens."""
    alice, bob = await scene.member("alice"), await scene.member("bob")
    await spend(scene, alice)
    assert len(await spend(scene, bob, 1)) == 1


@case(228, LIMITS, tier="Basic", only_ours=NO_BUDGET)
async def our_own_budget(scene: Scene) -> None:
    """Our budget takes over the account's limits, and keeps tokens back for cancels."""
    alice = await scene.member()
    await alice.rest.adopt_limits()
    assert alice.rest.budget.limits.tier == "basic"
    made = await spend(scene, alice, 6)
    for lane, code in ((Lane.ENTRY, RateLimited), (Lane.REDUCE, None)):
        wanted = scene.order(BID, 100, 1_00)
        if code is None:
            await alice.rest.create_order(wanted, lane=lane, wait_s=0)
        else:
            with pytest.raises(code, match="allowed were"):
                await alice.rest.create_order(wanted, lane=lane, wait_s=0)
    assert (await alice.rest.cancel_order(ref(made[0]))).reduced_qty_e2 == 1_00
    assert alice.rest.budget.throttled == 0


@case(229, LIMITS, tier="Basic", only_ours=NO_BUDGET)
async def our_budget_learns(scene: Scene) -> None:
    """A 429 of the exchange empties our budget too."""
    alice = await scene.member()
    await spend(scene, alice)
    await alice.rest.adopt_limits()
    with pytest.raises(RateLimited, match="the exchange's rate limit"):
        await scene.place(alice, BID, 100, 1_00)
    assert alice.rest.budget.throttled == 1
    with pytest.raises(RateLimited, match="allowed were"):
        await alice.rest.create_order(scene.order(BID, 100, 1_00), wait_s=0)
