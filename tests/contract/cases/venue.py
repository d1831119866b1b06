"""The exchange itself: status, schedule, error shapes, what is gone."""

from __future__ import annotations

import pytest
from tests.contract.listing import LOW, NOW_US
from tests.contract.members import BASE_PATH
from tests.contract.scene import BID, ORDERS, Scene, ref
from tests.contract.suite import CHANGELOG, ERRORS, HISTORY, LIMITS, OBSERVED, OPENAPI, PAUSES, case

from recio.adapters.kalshi.errors import KalshiRejected
from recio.domain.units import parse_time_us

DAY_US = 86_400_000_000


@case(20, OPENAPI)
async def status(scene: Scene) -> None:
    """The status tells of the exchange and of each shard."""
    seen = await (await scene.join(None)).rest.status()
    assert (seen.is_exchange_active, seen.is_trading_active) == (True, True)
    assert seen.resume_at_us is None
    assert [one.exchange_index for one in seen.shards] == [0, 1, 2, 3]
    assert all(one.is_exchange_active and one.is_trading_active for one in seen.shards)


@case(21, PAUSES)
async def schedule(scene: Scene) -> None:
    """The schedule has the hours of each day and the Thursday window."""
    seen = await (await scene.join(None)).rest.schedule()
    assert {hours.weekday for hours in seen.hours} == set(range(7))
    thursday = [(hours.opens, hours.closes) for hours in seen.hours if hours.weekday == 3]
    assert thursday == [("00:00", "03:00"), ("05:00", "00:00")]
    (window,) = seen.maintenance
    assert window.start_us == parse_time_us("2026-11-26T08:00:00Z")
    assert window.end_us == parse_time_us("2026-11-26T10:00:00Z")


@case(22, OPENAPI)
async def user_data_timestamp(scene: Scene) -> None:
    """user_data_timestamp tells how fresh portfolio reads are."""
    visitor = await scene.join(None)
    assert await visitor.rest.as_of_us() == NOW_US
    await scene.advance(2.5)
    assert await visitor.rest.as_of_us() == NOW_US + 2_500_000


@case(23, OPENAPI)
async def fee_changes(scene: Scene) -> None:
    """Announced fee changes are listed."""
    assert await (await scene.join(None)).rest.fee_changes("KXBTCD") == ()


@case(24, HISTORY)
async def historical_cutoff(scene: Scene) -> None:
    """The historical border lies about three months back."""
    seen = await (await scene.join(None)).rest.historical_cutoff()
    for at_us in (seen.market_settled_us, seen.trades_created_us, seen.orders_updated_us):
        assert 80 * DAY_US < NOW_US - at_us < 100 * DAY_US


@case(25, LIMITS)
async def endpoint_costs(scene: Scene) -> None:
    """The price list names what does not cost the default of ten tokens."""
    seen = await (await scene.join(None)).rest.endpoint_costs()
    assert seen.default_cost == 10
    costs = {(one.method, one.path.removeprefix(BASE_PATH)): one.cost for one in seen.costs}
    assert costs["DELETE", f"{ORDERS}/{{order_id}}"] == 2
    assert costs["DELETE", f"{ORDERS}/batched"] == 2
    assert ("POST", ORDERS) not in costs


@case(30, OBSERVED)
async def nested_error(scene: Scene) -> None:
    """A business error is an object under error."""
    alice = await scene.member()
    answer = await scene.signed(alice, "DELETE", f"{ORDERS}/unknown", query="exchange_index=2")
    assert answer.status == 404
    assert set(answer.body) == {"error"}
    assert answer.body["error"]["code"] == "not_found"
    assert "service" not in answer.body["error"]
    with pytest.raises(KalshiRejected) as refused:
        await alice.rest.cancel_order(ref("unknown"))
    assert (refused.value.status, refused.value.code) == (404, "not_found")


@case(31, OBSERVED)
async def authentication_error(scene: Scene) -> None:
    """An authentication error is an object under error, with details."""
    answer = await scene.http("GET", f"{BASE_PATH}/portfolio/balance")
    assert answer.status == 401
    assert answer.body["error"]["code"] == "authentication_error"
    assert answer.body["error"]["details"]


@case(32, OBSERVED)
async def broken_json(scene: Scene) -> None:
    """A body that is no JSON is refused with a flat code and message."""
    alice = await scene.member()
    answer = await alice.raw("POST", ORDERS, text=b'{"ticker": ')
    assert answer.status == 400
    assert answer.body["code"] == "bad_request"
    assert set(answer.body) == {"code", "message", "details"}


@case(33, OBSERVED)
async def bad_parameter(scene: Scene) -> None:
    """A parameter that does not validate is refused with a flat msg."""
    answer = await (await scene.member()).raw("GET", "/portfolio/orders?limit=1001")
    assert answer.status == 400
    assert set(answer.body) == {"msg"}


@case(34, ERRORS)
async def unknown_things(scene: Scene) -> None:
    """An unknown endpoint and an unknown market are 404."""
    alice = await scene.member()
    assert (await alice.raw("GET", "/nothing/here")).status == 404
    with pytest.raises(KalshiRejected) as refused:
        await alice.rest.market("KXBTCD-26NOV2012-T1")
    assert refused.value.status == 404
    with pytest.raises(KalshiRejected) as refused:
        await scene.place(alice, BID, 5000, 1_00, ticker="KXBTCD-26NOV2012-T1")
    assert (refused.value.status, refused.value.code) == (404, "market_not_found")


@case(35, CHANGELOG)
async def first_version_is_gone(scene: Scene) -> None:
    """Every V1 order mutation answers 410."""
    alice = await scene.member()
    body = {"ticker": LOW, "side": "yes", "action": "buy", "count": 1, "yes_price": 50}
    for method, path in (
        ("POST", "/portfolio/orders"),
        ("DELETE", "/portfolio/orders/abc"),
        ("POST", "/portfolio/orders/abc/amend"),
        ("POST", "/portfolio/orders/abc/decrease"),
        ("POST", "/portfolio/orders/batched"),
        ("DELETE", "/portfolio/orders/batched"),
    ):
        answer = await alice.raw(method, path, body)
        assert answer.status == 410, (method, path)
        assert answer.body["error"]["code"] == "deprecated_v1_order_endpoint"
    assert await alice.rest.orders() == ()
