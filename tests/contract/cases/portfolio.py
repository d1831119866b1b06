"""What the account is told of itself: balance, positions, fills, limits, transfers, freshness."""

from __future__ import annotations

import pytest
from tests.contract.listing import CRYPTO, EVENT, HIGH, LOW, NOW_US, SECOND_US
from tests.contract.scene import ASK, BID, IOC, Scene, ref
from tests.contract.suite import LIMITS, OBSERVED, OPENAPI, SHARDS, case

from recio.adapters.kalshi.errors import KalshiRejected
from recio.adapters.kalshi.model import ExchangeFill, ExchangePosition


@case(190, SHARDS)
async def balance(scene: Scene) -> None:
    """The balance is what orders may use, in all and on each shard; what rests is held back."""
    alice = await scene.member(dollars="250.50")
    await scene.place(alice, BID, 4000, 10_00)
    seen = await alice.rest.balance()
    assert seen.cash_usd_e6 == 246_500_000
    assert seen.on_shard(CRYPTO) == 246_500_000
    assert (await alice.rest.balance(exchange_index=0)).cash_usd_e6 == 0
    assert (await alice.rest.balance(exchange_index=CRYPTO)).cash_usd_e6 == 246_500_000
    assert seen.updated_at_us == NOW_US
    assert (await scene.truth())["held_usd_e6"] == 4_000_000


@case(191, OPENAPI)
async def value_of_positions(scene: Scene) -> None:
    """The portfolio's value is its positions at the best bids."""
    await scene.offer("no", 4500, 10_00)
    alice = await scene.member()
    await scene.place(alice, BID, 5500, 10_00, IOC)
    await scene.offer("yes", 5300, 1_00)
    assert (await alice.rest.balance()).positions_usd_e6 == 5_300_000


@case(192, OPENAPI)
async def positions(scene: Scene) -> None:
    """A position by value: signed count, cost, money traded, fees."""
    await scene.offer("no", 4500, 10_00)
    alice = await scene.member()
    await scene.place(alice, BID, 5500, 10_00, IOC)
    await scene.advance(7)
    (seen,) = await alice.rest.positions()
    assert seen == ExchangePosition(
        ticker=LOW,
        qty_e2=10_00,
        exposure_usd_e6=5_500_000,
        traded_usd_e6=5_500_000,
        realized_pnl_usd_e6=0,
        fees_usd_e6=180_000,
        updated_at_us=NOW_US,
        exchange_index=CRYPTO,
    )


@case(193, OPENAPI)
async def position_filters(scene: Scene) -> None:
    """Positions are filtered by market and event, and events add theirs up."""
    alice = await scene.member()
    for ticker in (LOW, HIGH):
        await scene.offer("no", 5000, 2_00, ticker)
        await scene.place(alice, BID, 5000, 2_00, IOC, ticker=ticker)
    assert [one.ticker for one in await alice.rest.positions(ticker=HIGH)] == [HIGH]
    assert len(await alice.rest.positions(event_ticker=EVENT)) == 2
    assert await alice.rest.positions(event_ticker="KXBTCD-26NOV2099") == ()
    (event,) = (await alice.raw("GET", "/portfolio/positions")).body["event_positions"]
    assert event["event_ticker"] == EVENT
    assert (event["event_exposure_dollars"], event["total_cost_shares_fp"]) == ("2.000000", "4.00")
    answer = await alice.raw("GET", "/portfolio/positions?limit=1")
    assert (len(answer.body["market_positions"]), bool(answer.body["cursor"])) == (1, True)


@case(194, OPENAPI)
async def fills(scene: Scene) -> None:
    """A fill by value; buying NO is an ask, on the YES scale."""
    await scene.offer("yes", 6000, 10_00)
    alice = await scene.member()
    made = await scene.place(alice, ASK, 6000, 2_50, IOC)
    (seen,) = await alice.rest.fills()
    # 0.07 * 2.5 * 0.6 * 0.4 = 0.042; 1.00 + 0.042 is charged as 1.05.
    assert seen == ExchangeFill(
        fill_id=seen.fill_id,
        order_id=made.order_id,
        client_order_id=None,
        ticker=LOW,
        book_side=ASK,
        qty_e2=2_50,
        yes_price_e4=6000,
        is_taker=True,
        fee_usd_e6=50_000,
        at_us=NOW_US,
        exchange_index=CRYPTO,
        subaccount=0,
    )


@case(195, OPENAPI)
async def fill_filters(scene: Scene) -> None:
    """Fills are filtered by market, order and time, newest first, in pages."""
    alice = await scene.member()
    orders = []
    for ticker in (LOW, HIGH, LOW):
        await scene.offer("no", 5000, 1_00, ticker)
        orders.append((await scene.place(alice, BID, 5000, 1_00, IOC, ticker=ticker)).order_id)
        await scene.advance(10)

    async def found(**filters: object) -> list[str]:
        return [one.order_id for one in await alice.rest.fills(**filters)]

    assert await found() == orders[::-1]
    assert await found(ticker=LOW) == [orders[2], orders[0]]
    assert await found(order_id=orders[1]) == [orders[1]]
    assert await found(min_us=NOW_US + 5 * SECOND_US) == [orders[2], orders[1]]
    assert await found(max_us=NOW_US + 15 * SECOND_US) == [orders[1], orders[0]]
    answer = await alice.raw("GET", "/portfolio/fills?limit=2")
    rest = await alice.raw("GET", f"/portfolio/fills?limit=2&cursor={answer.body['cursor']}")
    assert (len(answer.body["fills"]), len(rest.body["fills"]), rest.body["cursor"]) == (2, 1, "")
    assert (await alice.raw("GET", "/portfolio/fills?limit=1001")).status == 400


@case(196, SHARDS)
async def transfer(scene: Scene) -> None:
    """Money moves between shards in centicents, and is listed with its state."""
    alice = await scene.member(dollars=100)
    made = await alice.rest.transfer(25_500_000, source_shard=CRYPTO, destination_shard=0)
    seen = await alice.rest.balance()
    assert (seen.on_shard(CRYPTO), seen.on_shard(0)) == (74_500_000, 25_500_000)
    assert seen.cash_usd_e6 == 100_000_000
    (listed,) = await alice.rest.transfers()
    assert (listed.transfer_id, listed.status) == (made, "complete")
    assert (listed.amount_usd_e6, listed.source_shard, listed.destination_shard) == (
        25_500_000,
        CRYPTO,
        0,
    )
    assert listed.created_at_us == NOW_US
    one = await alice.raw("GET", f"/portfolio/intra_exchange_instance_transfers/{made}")
    assert one.body["transfer"]["transfer_id"] == made


@case(197, SHARDS)
async def impossible_transfers(scene: Scene) -> None:
    """More than there is, to the same shard, or to none, is not transferred."""
    alice = await scene.member(dollars=100)
    for amount, source, destination in (
        (100_010_000, CRYPTO, 0),
        (1_000_000, CRYPTO, CRYPTO),
        (1_000_000, CRYPTO, 9),
        (1_000_000, 0, CRYPTO),
    ):
        with pytest.raises(KalshiRejected):
            await alice.rest.transfer(amount, source_shard=source, destination_shard=destination)
    assert (await alice.rest.balance()).on_shard(CRYPTO) == 100_000_000
    assert await alice.rest.transfers() == ()


@case(198, SHARDS)
async def held_money_stays(scene: Scene) -> None:
    """What resting orders hold cannot be moved away."""
    alice = await scene.member(dollars=10)
    made = await scene.place(alice, BID, 5000, 10_00)
    with pytest.raises(KalshiRejected):
        await alice.rest.transfer(6_000_000, source_shard=CRYPTO, destination_shard=0)
    await alice.rest.cancel_order(ref(made.order_id))
    assert await alice.rest.transfer(6_000_000, source_shard=CRYPTO, destination_shard=0)


@case(199, LIMITS, tier="Basic")
async def limits_of_basic(scene: Scene) -> None:
    """A new account has 200 and 100 tokens a second, two seconds of reads and one of writes."""
    seen = await (await scene.member()).rest.limits()
    assert seen.tier == "basic"
    assert (seen.read.refill_per_s, seen.read.capacity) == (200, 400)
    assert (seen.write.refill_per_s, seen.write.capacity) == (100, 100)


@case(200, LIMITS, tier="Advanced")
async def limits_of_advanced(scene: Scene) -> None:
    """An advanced account has 300 tokens a second of each, and two seconds of them."""
    seen = await (await scene.member()).rest.limits()
    assert seen.tier == "advanced"
    assert (seen.read.refill_per_s, seen.read.capacity) == (300, 600)
    assert (seen.write.refill_per_s, seen.write.capacity) == (300, 600)


@case(201, OPENAPI)
async def cash_movements(scene: Scene) -> None:
    """Deposits and withdrawals are listed; opening cash is neither."""
    alice = await scene.member()
    assert (await alice.rest.deposits(), await alice.rest.withdrawals()) == ((), ())
    for name in ("deposits", "withdrawals"):
        assert (await alice.raw("GET", f"/portfolio/{name}?limit=501")).status == 400


@case(202, OPENAPI)
async def resting_value(scene: Scene) -> None:
    """The value of all resting orders is told in cents, by shard in dollars."""
    alice = await scene.member()
    await scene.place(alice, BID, 4000, 10_00)
    await scene.place(alice, ASK, 7000, 10_00)
    seen = (await alice.raw("GET", "/portfolio/summary/total_resting_order_value")).body
    assert seen["total_resting_order_value"] == 700
    breakdown = {
        one["exchange_index"]: one["balance"] for one in seen["resting_order_value_breakdown"]
    }
    assert breakdown == {CRYPTO: "7.000000"}


@case(203, OPENAPI)
async def subaccounts(scene: Scene) -> None:
    """The primary subaccount is number 0, and its balances are listed by shard."""
    alice = await scene.member(dollars=42)
    (row,) = (await alice.raw("GET", "/portfolio/subaccounts/balances")).body["subaccount_balances"]
    assert (row["subaccount_number"], row["exchange_index"]) == (0, CRYPTO)
    assert row["balance"] == "42.000000"
    assert (await alice.raw("GET", "/portfolio/subaccounts/netting")).status == 200
    assert (await alice.raw("GET", "/portfolio/balance?subaccount=0")).status == 200


@case(204, OBSERVED)
async def stale_reads(scene: Scene) -> None:
    """Portfolio reads may be old; user_data_timestamp says up to when they are complete."""
    alice = await scene.member()
    await scene.control("POST", "/exchange", {"action": "read_lag", "milliseconds": 400})
    made = await scene.place(alice, BID, 5000, 1_00)
    await scene.advance(0.5)
    await alice.rest.cancel_order(ref(made.order_id))
    canceled_us = scene.now_us
    assert (await alice.rest.order(made.order_id)).status == "resting"
    assert await alice.rest.as_of_us() < canceled_us
    with pytest.raises(KalshiRejected) as refused:
        await alice.rest.cancel_order(ref(made.order_id))
    assert refused.value.status == 404
    await scene.advance(0.4)
    assert await alice.rest.as_of_us() >= canceled_us
    assert (await alice.rest.order(made.order_id)).status == "canceled"


@case(205, OBSERVED)
async def stale_money(scene: Scene) -> None:
    """Balance, positions and fills lag together."""
    await scene.offer("no", 5000, 1_00)
    alice = await scene.member()
    await scene.control("POST", "/exchange", {"action": "read_lag", "milliseconds": 400})
    await scene.advance(1)
    await scene.place(alice, BID, 5000, 1_00, IOC)
    assert (await alice.rest.balance()).cash_usd_e6 == 1_000_000_000
    assert (await alice.rest.positions(), await alice.rest.fills()) == ((), ())
    await scene.advance(0.4)
    assert (await alice.rest.balance()).cash_usd_e6 == 999_480_000
    assert len(await alice.rest.positions()) == len(await alice.rest.fills()) == 1


@case(206, OPENAPI)
async def history_is_empty(scene: Scene) -> None:
    """What is younger than the border is not in the historical tier."""
    alice = await scene.member()
    await scene.place(alice, BID, 5000, 1_00)
    for name in ("orders", "fills", "positions", "markets", "trades"):
        answer = await alice.raw("GET", f"/historical/{name}")
        rows = next(value for value in answer.body.values() if isinstance(value, list))
        assert (answer.status, rows) == (200, []), name
