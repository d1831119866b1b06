"""Orders that take what rests: fills, partial fills, kills, and what is refused at the door."""

from __future__ import annotations

from typing import Any

import pytest
from tests.contract.listing import CRYPTO, HIGH, LOW, NOW_US, QUARTER
from tests.contract.scene import ASK, BID, FOK, IOC, MAKER, ORDERS, Scene, ref
from tests.contract.suite import (
    CHANGELOG,
    DECIMALS,
    DIRECTION,
    ERRORS,
    FIRST_ORDER,
    OBSERVED,
    OPENAPI,
    SHARDS,
    case,
)

from recio.adapters.kalshi.errors import KalshiRejected


@case(60, FIRST_ORDER)
async def immediate_fill(scene: Scene) -> None:
    """An IOC order fills at the resting price, and its reply tells count, price and fee."""
    await scene.offer("no", 4500, 10_00)
    alice = await scene.member()
    reply = await scene.place(alice, BID, 5900, 3_00, IOC, client_order_id="mine")
    assert (reply.fill_qty_e2, reply.remaining_qty_e2) == (3_00, 0)
    assert reply.average_price_usd_e6 == 550_000
    # 0.07 * 3 * 0.55 * 0.45 = 0.051975, up to 0.0520; 1.65 + 0.0520 is charged as 1.71.
    assert reply.average_fee_usd_e6 == 20_000
    assert (reply.client_order_id, reply.at_us) == ("mine", NOW_US)
    order = await alice.rest.order(reply.order_id)
    assert (order.status, order.fill_qty_e2, order.remaining_qty_e2) == ("executed", 3_00, 0)


@case(61, OPENAPI)
async def partial_fill(scene: Scene) -> None:
    """An IOC order takes what is there and the rest of it is canceled."""
    await scene.offer("no", 4500, 2_00)
    alice = await scene.member()
    reply = await scene.place(alice, BID, 5500, 5_00, IOC)
    assert (reply.fill_qty_e2, reply.remaining_qty_e2) == (2_00, 0)
    order = await alice.rest.order(reply.order_id)
    assert (order.status, order.initial_qty_e2, order.fill_qty_e2) == ("canceled", 5_00, 2_00)
    assert (await alice.rest.orderbook(LOW)).yes == ()


@case(62, OPENAPI)
async def several_levels(scene: Scene) -> None:
    """An order walks the levels from the best price on; the average is per contract."""
    await scene.offer("no", 4500, 1_00)
    await scene.offer("no", 4400, 1_00)
    await scene.offer("no", 4000, 9_00)
    alice = await scene.member()
    reply = await scene.place(alice, BID, 5900, 5_00, IOC)
    assert (reply.fill_qty_e2, reply.average_price_usd_e6) == (2_00, 555_000)
    prices = [one.yes_price_e4 for one in await alice.rest.fills()]
    assert prices == [5600, 5500]


@case(63, OBSERVED)
async def nothing_to_take(scene: Scene) -> None:
    """An IOC order that finds nothing is accepted with nothing filled and nothing left."""
    await scene.offer("no", 4000, 9_00)
    alice = await scene.member()
    reply = await scene.place(alice, BID, 5900, 5_00, IOC)
    assert (reply.fill_qty_e2, reply.remaining_qty_e2) == (0, 0)
    assert (reply.average_price_usd_e6, reply.average_fee_usd_e6) == (None, None)
    assert (await alice.rest.order(reply.order_id)).status == "canceled"
    assert await scene.cash() == 1_000_000_000


@case(64, OPENAPI)
async def fill_or_kill_fills(scene: Scene) -> None:
    """A FOK order that can be filled completely is."""
    await scene.offer("no", 4500, 2_00)
    await scene.offer("no", 4400, 3_00)
    alice = await scene.member()
    reply = await scene.place(alice, BID, 5600, 5_00, FOK)
    assert (reply.fill_qty_e2, reply.remaining_qty_e2) == (5_00, 0)


@case(65, ERRORS)
async def fill_or_kill_kills(scene: Scene) -> None:
    """A FOK order that cannot is an error, 409, and takes nothing."""
    await scene.offer("no", 4500, 4_99)
    alice = await scene.member()
    with pytest.raises(KalshiRejected) as refused:
        await scene.place(alice, BID, 5500, 5_00, FOK)
    assert refused.value.status == 409
    assert refused.value.code == "fill_or_kill_insufficient_resting_volume"
    assert await alice.rest.fills() == ()
    assert dict((await alice.rest.orderbook(LOW)).no) == {4500: 4_99}


@case(66, ERRORS)
async def killed_orders_use_their_id(scene: Scene) -> None:
    """The client_order_id of a killed order stays used."""
    alice = await scene.member()
    with pytest.raises(KalshiRejected):
        await scene.place(alice, BID, 5500, 5_00, FOK, client_order_id="once")
    with pytest.raises(KalshiRejected) as refused:
        await scene.place(alice, BID, 5500, 5_00, client_order_id="once")
    assert (refused.value.status, refused.value.code) == (409, "order_already_exists")


@case(67, DIRECTION)
async def selling(scene: Scene) -> None:
    """An ask sells YES at a YES price; beyond what is held it buys NO at 1 - price."""
    await scene.offer("yes", 6000, 10_00)
    alice = await scene.member()
    reply = await scene.place(alice, ASK, 6000, 4_00, IOC)
    assert (reply.fill_qty_e2, reply.average_price_usd_e6) == (4_00, 600_000)
    (position,) = await alice.rest.positions()
    assert (position.qty_e2, position.exposure_usd_e6) == (-4_00, 1_600_000)
    (fill,) = await alice.rest.fills()
    assert (fill.book_side, fill.yes_price_e4) == (ASK, 6000)


@case(68, DIRECTION)
async def netting(scene: Scene) -> None:
    """Opposite purchases net at once: YES and NO of one market are worth a dollar."""
    await scene.offer("no", 4500, 4_00)
    alice = await scene.member()
    await scene.place(alice, BID, 5500, 4_00, IOC)
    await scene.offer("yes", 6000, 10_00)
    await scene.place(alice, ASK, 6000, 4_00, IOC)
    (position,) = await alice.rest.positions()
    assert (position.qty_e2, position.exposure_usd_e6) == (0, 0)
    assert position.realized_pnl_usd_e6 == 200_000
    # Fees 0.0693 and 0.0672, each balance change floored to the cent: 2.27 out, 2.33 in.
    assert await scene.cash() == 1_000_000_000 - 2_270_000 + 2_330_000


@case(69, OBSERVED)
async def numbers_instead_of_strings(scene: Scene) -> None:
    """Price and count as JSON numbers are refused with 400."""
    alice = await scene.member()
    for wrong in ({"price": 0.55}, {"count": 1}, {"count": 1.5, "price": "0.55"}):
        answer = await alice.raw("POST", ORDERS, _body() | wrong)
        assert answer.status == 400, wrong
    assert await alice.rest.orders() == ()


def _body() -> dict[str, Any]:
    return {
        "ticker": LOW,
        "side": "bid",
        "count": "1.00",
        "price": "0.5500",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
        "exchange_index": CRYPTO,
    }


@case(70, OPENAPI)
async def missing_fields(scene: Scene) -> None:
    """Each required field of an order is required, and enumerations are closed."""
    alice = await scene.member()
    required = ("ticker", "side", "count", "price", "time_in_force", "self_trade_prevention_type")
    for name in required:
        body = {field: value for field, value in _body().items() if field != name}
        assert (await alice.raw("POST", ORDERS, body)).status == 400, name
    for wrong in ({"side": "yes"}, {"time_in_force": "day"}, {"self_trade_prevention_type": "x"}):
        assert (await alice.raw("POST", ORDERS, _body() | wrong)).status == 400, wrong
    assert (await alice.raw("POST", ORDERS, _body())).status == 201


@case(71, DECIMALS)
async def price_grid(scene: Scene) -> None:
    """A price off the market's grid is invalid_price; grids differ between markets."""
    alice = await scene.member()
    for ticker, price_e4 in ((LOW, 5550), (LOW, 55), (QUARTER, 5550), (QUARTER, 9_005)):
        with pytest.raises(KalshiRejected) as refused:
            await scene.place(alice, BID, price_e4, 1_00, ticker=ticker)
        assert (refused.value.status, refused.value.code) == (400, "invalid_price"), price_e4
    for ticker, price_e4 in ((LOW, 5500), (QUARTER, 5500), (QUARTER, 50), (QUARTER, 9_010)):
        reply = await scene.place(alice, BID, price_e4, 1_00, ticker=ticker)
        assert reply.remaining_qty_e2 == 1_00


@case(72, DECIMALS)
async def impossible_prices(scene: Scene) -> None:
    """Prices of 0 and 1, below, above and with five decimals are refused."""
    alice = await scene.member()
    for price in ("0.0000", "1.0000", "-0.5000", "1.5000", "0.50001", "NaN", "", "0,50"):
        answer = await alice.raw("POST", ORDERS, _body() | {"price": price})
        assert answer.status == 400, price
    assert await alice.rest.orders() == ()


@case(73, DECIMALS)
async def counts(scene: Scene) -> None:
    """Counts go down to 0.01; zero, negative and three decimals are refused."""
    await scene.offer("no", 4500, 10_00)
    alice = await scene.member()
    reply = await scene.place(alice, BID, 5500, 1, IOC)
    assert (reply.fill_qty_e2, reply.average_price_usd_e6) == (1, 550_000)
    for count in ("0", "0.00", "-1.00", "1.234", "abc", "1e3"):
        answer = await alice.raw("POST", ORDERS, _body() | {"count": count})
        assert answer.status == 400, count
    for count in ("2", "2.5", "2.50"):
        assert (await alice.raw("POST", ORDERS, _body() | {"count": count})).status == 201, count


@case(74, ERRORS)
async def repeated_id(scene: Scene) -> None:
    """A client_order_id is refused with 409 while its order rests, after it, and elsewhere."""
    await scene.offer("no", 4500, 10_00)
    alice = await scene.member()
    resting = await scene.place(alice, BID, 5000, 1_00, client_order_id="rests")
    await scene.place(alice, BID, 5500, 1_00, IOC, client_order_id="executed")
    await alice.rest.cancel_order(ref(resting.order_id))
    for used in ("rests", "executed"):
        for ticker in (LOW, HIGH):
            with pytest.raises(KalshiRejected) as refused:
                await scene.place(alice, BID, 4000, 1_00, client_order_id=used, ticker=ticker)
            assert (refused.value.status, refused.value.code) == (409, "order_already_exists")
    assert len(await alice.rest.orders()) == 2
    bob = await scene.member("bob")
    assert (await scene.place(bob, BID, 4000, 1_00, client_order_id="rests")).order_id


@case(75, OPENAPI)
async def reduce_only(scene: Scene) -> None:
    """A reduce-only order is cut to what closes the position."""
    await scene.offer("no", 4500, 10_00)
    await scene.offer("yes", 5000, 10_00)
    alice = await scene.member()
    await scene.place(alice, BID, 5500, 3_00, IOC)
    reply = await scene.place(alice, ASK, 5000, 8_00, IOC, is_reduce_only=True)
    assert (reply.fill_qty_e2, reply.remaining_qty_e2) == (3_00, 0)
    (position,) = await alice.rest.positions()
    assert position.qty_e2 == 0
    nothing = await scene.place(alice, ASK, 5000, 8_00, IOC, is_reduce_only=True)
    assert (nothing.fill_qty_e2, nothing.remaining_qty_e2) == (0, 0)


@case(76, OPENAPI)
async def reduce_only_is_immediate(scene: Scene) -> None:
    """reduce_only is accepted with immediate_or_cancel only."""
    alice = await scene.member()
    answer = await alice.raw("POST", ORDERS, _body() | {"reduce_only": True})
    assert (answer.status, answer.body["error"]["code"]) == (400, "invalid_order")


@case(77, SHARDS)
async def routing(scene: Scene) -> None:
    """An order goes to its market's shard: named, by ticker, or by -1; elsewhere it is 404."""
    alice = await scene.member()
    for index in (CRYPTO, None, -1):
        reply = await scene.place(alice, BID, 5000, 1_00, exchange_index=index)
        assert (await alice.rest.order(reply.order_id)).exchange_index == CRYPTO
    for index in (0, 1, 3):
        with pytest.raises(KalshiRejected) as refused:
            await scene.place(alice, BID, 5000, 1_00, exchange_index=index)
        assert refused.value.status == 404


@case(78, ERRORS)
async def too_little_money(scene: Scene) -> None:
    """An order that the account cannot pay is refused, to the cent of its collateral."""
    alice = await scene.member(dollars=10)
    with pytest.raises(KalshiRejected) as refused:
        await scene.place(alice, BID, 5000, 20_02)
    assert (refused.value.status, refused.value.code) == (400, "insufficient_balance")
    assert (await scene.place(alice, BID, 5000, 10_00)).remaining_qty_e2 == 10_00
    assert (await scene.place(alice, ASK, 5500, 11_00)).remaining_qty_e2 == 11_00
    with pytest.raises(KalshiRejected):
        await scene.place(alice, BID, 100, 10_00)


@case(79, SHARDS)
async def money_on_another_shard(scene: Scene) -> None:
    """Money on another shard does not count: 404 insufficient_shard_balance."""
    alice = await scene.member(dollars=10)
    await alice.rest.transfer(10_000_000, source_shard=CRYPTO, destination_shard=0)
    with pytest.raises(KalshiRejected) as refused:
        await scene.place(alice, BID, 5000, 1_00)
    assert (refused.value.status, refused.value.code) == (404, "insufficient_shard_balance")


@case(80, CHANGELOG)
async def self_trade_of_the_taker(scene: Scene) -> None:
    """taker_at_cross: the incoming order stops at our own resting one, which stays."""
    alice = await scene.member()
    resting = await scene.place(alice, ASK, 5500, 2_00)
    reply = await scene.place(alice, BID, 5600, 5_00)
    assert (reply.fill_qty_e2, reply.remaining_qty_e2) == (0, 0)
    assert (await alice.rest.order(reply.order_id)).status == "canceled"
    assert (await alice.rest.order(resting.order_id)).status == "resting"
    assert await alice.rest.fills() == ()


@case(81, CHANGELOG)
async def self_trade_behind_others(scene: Scene) -> None:
    """taker_at_cross: what stands before our own order is taken first."""
    await scene.offer("no", 4600, 1_00)
    alice = await scene.member()
    resting = await scene.place(alice, ASK, 5500, 2_00)
    reply = await scene.place(alice, BID, 5600, 5_00)
    assert (reply.fill_qty_e2, reply.remaining_qty_e2) == (1_00, 0)
    assert (await alice.rest.order(resting.order_id)).status == "resting"


@case(82, CHANGELOG)
async def self_trade_of_the_maker(scene: Scene) -> None:
    """maker: our own resting order is canceled and the incoming one goes on."""
    alice = await scene.member()
    resting = await scene.place(alice, ASK, 5500, 2_00)
    await scene.offer("no", 4500, 1_00)
    reply = await scene.place(alice, BID, 5600, 5_00, self_trade=MAKER)
    assert (reply.fill_qty_e2, reply.remaining_qty_e2) == (1_00, 4_00)
    assert (await alice.rest.order(resting.order_id)).status == "canceled"
