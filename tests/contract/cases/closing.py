"""A market's life, and the times when nobody trades."""

from __future__ import annotations

import pytest
from tests.contract.listing import CLOSE_US, EVENT, LOW, QUIET
from tests.contract.scene import BID, Scene, ref
from tests.contract.suite import LIFE, PAUSES, SETTLEMENT, case

from recio.adapters.kalshi.errors import KalshiRejected
from recio.domain.units import parse_time_us
from recio.exchange_simulator.specs import EventSpec, MarketSpec

THURSDAY_US = parse_time_us("2026-11-26T08:00:00Z")
"""Thursday 03:00 in New York, winter time."""

HOUR_US = 3_600_000_000


@case(210, LIFE)
async def life(scene: Scene) -> None:
    """A market is initialized, active, closed, determined and finalized, by its times."""
    ticker = "KXBTCD-26NOV2013-T89999.99"
    spec = EventSpec(
        event_ticker="KXBTCD-26NOV2013",
        series_ticker="KXBTCD",
        title="Bitcoin at 1pm EST?",
        sub_title="At 1pm EST",
        open_us=CLOSE_US,
        close_us=CLOSE_US + HOUR_US,
        markets=(MarketSpec(ticker=ticker, yes_sub_title="yes", no_sub_title="no"),),
    )
    scene.exchange.list_event(spec, scene.now_us)
    alice = await scene.member()

    async def seen() -> tuple[str, str | None]:
        market = await alice.rest.market(ticker)
        for name in ("unopened", "open", "closed", "settled"):
            if any(one.ticker == ticker for one in await alice.rest.markets(status=name)):
                return market.status, name
        return market.status, None

    assert await seen() == ("initialized", "unopened")
    with pytest.raises(KalshiRejected):
        await scene.place(alice, BID, 5000, 1_00, ticker=ticker)
    await scene.advance_to(CLOSE_US)
    assert await seen() == ("active", "open")
    assert (await scene.place(alice, BID, 5000, 1_00, ticker=ticker)).remaining_qty_e2 == 1_00
    await scene.advance_to(CLOSE_US + HOUR_US)
    assert await seen() == ("closed", "closed")
    await scene.act("determine", ticker, "no", expiration_value="89000.00")
    assert await seen() == ("determined", "closed")
    await scene.advance(60)
    assert await seen() == ("finalized", "settled")


@case(211, LIFE)
async def after_the_close(scene: Scene) -> None:
    """After the close every order operation is refused, and the exchange cancels what rests."""
    alice = await scene.member()
    made = await scene.place(alice, BID, 5000, 1_00)
    await scene.advance_to(CLOSE_US)
    assert (await alice.rest.order(made.order_id)).status == "canceled"
    with pytest.raises(KalshiRejected) as refused:
        await scene.place(alice, BID, 5000, 1_00)
    assert (refused.value.code, refused.value.is_market_closed) == ("market_inactive", True)
    with pytest.raises(KalshiRejected):
        await alice.rest.cancel_order(ref(made.order_id))
    assert (await alice.rest.balance()).cash_usd_e6 == 1_000_000_000
    book = await alice.rest.orderbook(LOW)
    assert (book.yes, book.no) == ((), ())


@case(212, LIFE)
async def deactivated(scene: Scene) -> None:
    """A deactivated market refuses everything, cancels too; reactivation wipes what rests."""
    alice = await scene.member()
    made = await scene.place(alice, BID, 5000, 1_00)
    await scene.control("POST", "/exchange", {"action": "deactivate", "ticker": LOW})
    assert (await alice.rest.market(LOW)).status == "inactive"
    assert [one.ticker for one in await alice.rest.markets(status="paused")] == [LOW]
    for attempt in (
        scene.place(alice, BID, 5000, 1_00),
        alice.rest.cancel_order(ref(made.order_id)),
        alice.rest.amend_order(ref(made.order_id), BID, yes_price_e4=4900, total_qty_e2=1_00),
        alice.rest.decrease_order(ref(made.order_id), by_qty_e2=50),
    ):
        with pytest.raises(KalshiRejected) as refused:
            await attempt
        assert refused.value.code == "market_inactive"
    assert (await alice.rest.order(made.order_id)).status == "resting"
    await scene.control("POST", "/exchange", {"action": "activate", "ticker": LOW})
    assert (await alice.rest.order(made.order_id)).status == "canceled"
    assert (await scene.place(alice, BID, 5000, 1_00)).remaining_qty_e2 == 1_00


@case(213, PAUSES)
async def thursday(scene: Scene) -> None:
    """On Thursdays from 03:00 to 05:00 in New York cancels work and nothing else does."""
    alice = await scene.member()
    first = await scene.place(alice, BID, 5000, 1_00, ticker=QUIET)
    second = await scene.place(alice, BID, 4900, 1_00, ticker=QUIET)
    await scene.advance_to(THURSDAY_US - 1_000_000)
    assert (await alice.rest.status()).is_trading_active
    await scene.advance_to(THURSDAY_US)
    status = await alice.rest.status()
    assert (status.is_exchange_active, status.is_trading_active) == (True, False)
    assert status.resume_at_us == THURSDAY_US + 2 * HOUR_US
    assert not any(one.is_trading_active for one in status.shards)
    order = ref(first.order_id, QUIET)
    for attempt in (
        scene.place(alice, BID, 5000, 1_00, ticker=QUIET),
        alice.rest.amend_order(order, BID, yes_price_e4=4900, total_qty_e2=1_00),
    ):
        with pytest.raises(KalshiRejected):
            await attempt
    assert (await alice.rest.cancel_order(order)).reduced_qty_e2 == 1_00
    assert (await alice.rest.order(second.order_id)).status == "resting"
    await scene.advance_to(THURSDAY_US + 2 * HOUR_US)
    assert (await alice.rest.status()).is_trading_active
    assert (await scene.place(alice, BID, 5000, 1_00, ticker=QUIET)).remaining_qty_e2 == 1_00


@case(214, PAUSES)
async def exchange_pause(scene: Scene) -> None:
    """While the whole exchange is paused not even cancels work; reads do."""
    alice = await scene.member()
    made = await scene.place(alice, BID, 5000, 1_00)
    await scene.control("POST", "/exchange", {"action": "pause_exchange"})
    status = await alice.rest.status()
    assert (status.is_exchange_active, status.is_trading_active) == (False, False)
    for attempt in (
        scene.place(alice, BID, 5000, 1_00),
        alice.rest.cancel_order(ref(made.order_id)),
        alice.rest.cancel_all(),
    ):
        with pytest.raises(Exception, match="503"):
            await attempt
    assert (await alice.rest.order(made.order_id)).status == "resting"
    await scene.control("POST", "/exchange", {"action": "resume"})
    assert (await alice.rest.cancel_order(ref(made.order_id))).reduced_qty_e2 == 1_00


@case(215, PAUSES)
async def pause_with_an_end(scene: Scene) -> None:
    """A pause with an end tells when it resumes, and does."""
    alice = await scene.member()
    await scene.control("POST", "/exchange", {"action": "pause_trading", "seconds": 60})
    status = await alice.rest.status()
    assert (status.is_trading_active, status.resume_at_us) == (False, scene.now_us + 60_000_000)
    with pytest.raises(KalshiRejected):
        await scene.place(alice, BID, 5000, 1_00)
    await scene.advance(60)
    assert (await scene.place(alice, BID, 5000, 1_00)).remaining_qty_e2 == 1_00


@case(216, SETTLEMENT)
async def slow_settlement(scene: Scene) -> None:
    """A settlement may come late; until then the position stays unsettled."""
    alice = await scene.member()
    await scene.offer("no", 5000, 1_00)
    await scene.place(alice, BID, 5000, 1_00)
    await scene.control("POST", "/exchange", {"action": "slow_settlement", "seconds": 600})
    await scene.settle(LOW, "yes")
    assert (await alice.rest.market(LOW)).status == "determined"
    assert [one.ticker for one in await alice.rest.positions()] == [LOW]
    await scene.advance(600)
    assert (await alice.rest.market(LOW)).status == "finalized"
    assert await alice.rest.positions() == ()


@case(217, LIFE)
async def early_close(scene: Scene) -> None:
    """A market that can close early tells its new close."""
    visitor = await scene.join(None)
    await scene.act("close", LOW)
    market = await visitor.rest.market(LOW)
    assert (market.status, market.close_us) == ("closed", scene.now_us)
    (event,) = await visitor.rest.events("KXBTCD", status="open")
    assert event.event_ticker == EVENT
