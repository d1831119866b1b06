"""What our adapter sends is what the official client declares: every body, field by field."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from tests.contract.house import ManualClock
from tests.contract.listing import CRYPTO, LOW, NOW_US
from tests.contract.official import Driver
from tests.contract.ours import Unbound
from tests.contract.scene import ASK, BID, GTC, IOC, MAKER, rsa_pems

from recio.adapters.kalshi.model import NewOrder, OrderRef
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.kalshi.signing import RequestSigner
from recio.domain.errors import NoAnswer, Unavailable

ORDER = OrderRef(order_id="abc", ticker=LOW, exchange_index=CRYPTO, subaccount=0)
FULL = NewOrder(
    ticker=LOW,
    book_side=BID,
    qty_e2=1_50,
    yes_price_e4=5500,
    client_order_id="mine",
    time_in_force=GTC,
    exchange_index=CRYPTO,
    self_trade=MAKER,
    is_post_only=True,
    is_canceled_on_pause=True,
    expires_at_us=NOW_US,
    order_group_id="group",
    subaccount=0,
)
REDUCING = NewOrder(
    ticker=LOW,
    book_side=ASK,
    qty_e2=1,
    yes_price_e4=100,
    client_order_id="exit",
    time_in_force=IOC,
    exchange_index=CRYPTO,
    is_reduce_only=True,
)

CALLS: dict[str, tuple[str, Any]] = {
    "create": ("CreateOrderV2Request", lambda rest: rest.create_order(FULL)),
    "reduce": ("CreateOrderV2Request", lambda rest: rest.create_order(REDUCING)),
    "amend": (
        "AmendOrderV2Request",
        lambda rest: rest.amend_order(
            ORDER,
            BID,
            yes_price_e4=5500,
            total_qty_e2=1_00,
            client_order_id="old",
            updated_client_order_id="new",
        ),
    ),
    "decrease by": (
        "DecreaseOrderV2Request",
        lambda rest: rest.decrease_order(ORDER, by_qty_e2=1_00),
    ),
    "decrease to": (
        "DecreaseOrderV2Request",
        lambda rest: rest.decrease_order(ORDER, to_qty_e2=1_00),
    ),
    "create batch": (
        "BatchCreateOrdersV2Request",
        lambda rest: rest.create_orders([FULL, REDUCING]),
    ),
    "cancel batch": ("BatchCancelOrdersV2Request", lambda rest: rest.cancel_orders([ORDER])),
    "create group": (
        "CreateOrderGroupRequest",
        lambda rest: rest.create_order_group(3_00, exchange_index=CRYPTO),
    ),
    "limit group": (
        "UpdateOrderGroupLimitRequest",
        lambda rest: rest.limit_order_group("group", 3_00, exchange_index=CRYPTO),
    ),
    "transfer": (
        "IntraExchangeInstanceTransferRequest",
        lambda rest: rest.transfer(1_500_000, source_shard=0, destination_shard=CRYPTO),
    ),
}


class Recorder:
    """A transport that keeps what it is given and answers nothing."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []

    async def request(self, method: str, target: str, headers: Any, body: bytes, **_: Any) -> Any:
        """Keep the body."""
        del method, target, headers
        self.bodies.append(msgspec.json.decode(body))
        raise NoAnswer("nobody is there", sent=True)

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("name", CALLS)
def test_our_requests_fit_the_official_models(
    name: str, loop: asyncio.Runner, driver: Driver
) -> None:
    """Required fields are there, types are right, and nothing undeclared is sent."""
    model, call = CALLS[name]

    async def run() -> None:
        clock, recorder = ManualClock(NOW_US), Recorder()
        signer = RequestSigner("key", rsa_pems(0)[0])
        with pytest.raises(Unavailable):
            await call(KalshiRest(recorder, signer, clock, Unbound(clock)))
        (body,) = recorder.bodies
        answer = await driver.ask("check", model=model, value=body)
        assert answer["misfits"] == []

    loop.run(run())


def test_the_check_finds_what_is_wrong(loop: asyncio.Runner, driver: Driver) -> None:
    """A missing field, a number for a string, a wrong word and a foreign field are all named."""
    wrong = {"ticker": LOW, "side": "yes", "count": 1, "price": "0.5", "limit": 3}
    wrong |= {"time_in_force": "good_till_canceled", "exchange_index": CRYPTO}

    async def run() -> None:
        answer = await driver.ask("check", model="CreateOrderV2Request", value=wrong)
        named = [
            line.partition(":")[0].removeprefix("CreateOrderV2Request.")
            for line in answer["misfits"]
        ]
        assert sorted(named) == ["count", "limit", "self_trade_prevention_type", "side"]

    loop.run(run())
