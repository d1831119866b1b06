"""What each channel tells, by value: through our stream, and frame by frame beside it."""

from __future__ import annotations

from typing import Any

from tests.contract.listing import (
    CLOSE_US,
    CRYPTO,
    HIGH,
    INDEX,
    LOW,
    NOW_US,
    QUARTER,
    SECOND_US,
)
from tests.contract.scene import ASK, BID, IOC, Scene, ref
from tests.contract.suite import ASYNCAPI, DECIMALS, LIFE, NO_STREAM, case
from tests.contract.suite import INDEX as INDEX_PAGE

from recio.adapters.kalshi.events import (
    Connected,
    EventCreated,
    GroupSeen,
    IndexSeen,
    LifecycleSeen,
    TickerSeen,
)
from recio.adapters.kalshi.model import (
    ExchangeFill,
    ExchangeOrder,
    ExchangePosition,
    PublicTrade,
)
from recio.adapters.kalshi.stream import Subscription
from recio.domain.messages import PriceRange
from recio.domain.orders import BookSide
from recio.exchange_simulator.specs import EventSpec, MarketSpec


def channel(name: str, *tickers: str) -> Subscription:
    """Return a subscription to one channel."""
    return Subscription(key=name, channel=name, tickers=tickers)


@case(250, ASYNCAPI)
async def ticker(scene: Scene) -> None:
    """ticker: quotes, last price, volume, and the first state when it is asked for."""
    await scene.offer("yes", 5400, 10_00)
    await scene.offer("no", 4400, 10_00)
    follower = await scene.follow(await scene.member(), channel("ticker", LOW))
    first = await follower.next(TickerSeen)
    assert (first.ticker, first.yes_bid_e4, first.yes_ask_e4) == (LOW, 5400, 5600)
    assert (first.last_price_e4, first.volume_e2) == (None, 0)
    await scene.advance(2)
    await scene.take("yes", 5600, 3_00)
    second = await follower.next(TickerSeen)
    assert second == TickerSeen(
        ticker=LOW,
        yes_bid_e4=5400,
        yes_ask_e4=5600,
        last_price_e4=5600,
        volume_e2=3_00,
        open_interest_e2=3_00,
        at_us=NOW_US + 2 * SECOND_US,
    )


@case(251, ASYNCAPI)
async def trade(scene: Scene) -> None:
    """trade: every public trade with the taker's side."""
    await scene.offer("yes", 5400, 10_00)
    follower = await scene.follow(await scene.member(), channel("trade", LOW))
    await scene.take("no", 4600, 2_50)
    seen = await follower.next(PublicTrade)
    assert seen == PublicTrade(
        trade_id=seen.trade_id,
        ticker=LOW,
        yes_price_e4=5400,
        qty_e2=2_50,
        taker_side=BookSide.ASK,
        at_us=NOW_US,
    )


@case(252, ASYNCAPI)
async def fill(scene: Scene) -> None:
    """fill: price, count, fee, side, and the position after it."""
    await scene.offer("no", 4500, 10_00)
    alice = await scene.member()
    follower = await scene.follow(alice, channel("fill"))
    made = await scene.place(alice, BID, 5500, 10_00, IOC, client_order_id="mine")
    seen = await follower.next(ExchangeFill)
    assert seen == ExchangeFill(
        fill_id=seen.fill_id,
        order_id=made.order_id,
        client_order_id="mine",
        ticker=LOW,
        book_side=BID,
        qty_e2=10_00,
        yes_price_e4=5500,
        is_taker=True,
        fee_usd_e6=180_000,
        at_us=NOW_US,
        exchange_index=CRYPTO,
        subaccount=0,
        post_position_e2=10_00,
    )
    (from_rest,) = await alice.rest.fills()
    assert from_rest.fill_id == seen.fill_id


@case(253, ASYNCAPI)
async def fill_of_an_ask(scene: Scene) -> None:
    """fill: an ask fills on the YES scale and its position is negative."""
    await scene.offer("yes", 6000, 10_00)
    alice = await scene.member()
    follower = await scene.follow(alice, channel("fill"))
    await scene.place(alice, ASK, 6000, 4_00, IOC)
    seen = await follower.next(ExchangeFill)
    assert (seen.book_side, seen.yes_price_e4, seen.post_position_e2) == (ASK, 6000, -4_00)


@case(254, ASYNCAPI)
async def fill_and_trade(scene: Scene) -> None:
    """A fill and its public trade share id and time."""
    await scene.offer("no", 4500, 10_00)
    alice = await scene.member()
    fills = await scene.follow(alice, channel("fill"))
    trades = await scene.follow(alice, channel("trade", LOW))
    await scene.place(alice, BID, 5500, 1_00, IOC)
    mine, public = await fills.next(ExchangeFill), await trades.next(PublicTrade)
    assert (mine.fill_id, mine.at_us) == (public.trade_id, public.at_us)


@case(255, ASYNCAPI)
async def user_orders(scene: Scene) -> None:
    """user_orders: an order is told when it rests, fills, changes and goes, with the reason."""
    alice = await scene.member()
    follower = await scene.follow(alice, channel("user_orders"))
    made = await scene.place(alice, BID, 5000, 5_00, client_order_id="mine")
    seen = await follower.next(ExchangeOrder)
    assert seen == ExchangeOrder(
        order_id=made.order_id,
        client_order_id="mine",
        ticker=LOW,
        book_side=BID,
        status="resting",
        yes_price_e4=5000,
        initial_qty_e2=5_00,
        fill_qty_e2=0,
        remaining_qty_e2=5_00,
        taker_cost_usd_e6=0,
        maker_cost_usd_e6=0,
        taker_fees_usd_e6=0,
        maker_fees_usd_e6=0,
        created_at_us=NOW_US,
        updated_at_us=NOW_US,
        expires_at_us=None,
        order_group_id=None,
        exchange_index=CRYPTO,
        subaccount=0,
    )
    await scene.take("no", 5000, 1_00)
    filled = await follower.next(ExchangeOrder)
    assert (filled.reason, filled.fill_qty_e2, filled.remaining_qty_e2) == ("Trade", 1_00, 4_00)
    assert filled.maker_cost_usd_e6 == 500_000
    await alice.rest.decrease_order(ref(made.order_id), by_qty_e2=1_00)
    assert (await follower.next(ExchangeOrder)).reason == "Decrease"
    await alice.rest.amend_order(ref(made.order_id), BID, yes_price_e4=5000, total_qty_e2=3_00)
    amended = await follower.next(ExchangeOrder)
    assert (amended.reason, amended.remaining_qty_e2) == ("Amend", 2_00)
    await alice.rest.cancel_order(ref(made.order_id))
    gone = await follower.next(ExchangeOrder)
    assert (gone.status, gone.remaining_qty_e2) == ("canceled", 0)


@case(256, ASYNCAPI)
async def reasons(scene: Scene) -> None:
    """user_orders: what ended an order is told as last_update_reason."""
    alice = await scene.member()
    follower = await scene.follow(alice, channel("user_orders"))

    async def ended() -> str:
        while (seen := await follower.next(ExchangeOrder)).status == "resting":
            pass
        return seen.reason

    await scene.place(alice, ASK, 6000, 1_00)
    await scene.place(alice, BID, 6000, 1_00)
    assert await ended() == "SelfTradeCancel"
    await scene.place(alice, BID, 6000, 1_00, is_post_only=True)
    assert await ended() == "PostOnlyCrossCancel"
    await scene.place(alice, BID, 5000, 1_00, IOC, is_reduce_only=True)
    assert await ended() == "ReduceOnlyCancel"
    await scene.place(alice, BID, 5000, 1_00, expires_at_us=NOW_US + SECOND_US)
    await scene.advance(1)
    assert await ended() == "ExpiryCancel"
    await scene.place(alice, BID, 5000, 1_00, is_canceled_on_pause=True)
    await scene.control("POST", "/exchange", {"action": "pause_trading"})
    assert await ended() == "HaltCancel"
    await scene.control("POST", "/exchange", {"action": "resume"})
    await scene.advance_to(CLOSE_US)
    assert await ended() == "CloseCancel"


@case(257, ASYNCAPI)
async def market_positions(scene: Scene) -> None:
    """market_positions: the position with its cost, profit and fees after every change."""
    await scene.offer("no", 4500, 4_00)
    alice = await scene.member()
    follower = await scene.follow(alice, channel("market_positions"))
    await scene.place(alice, BID, 5500, 4_00, IOC)
    seen = await follower.next(ExchangePosition)
    assert seen == ExchangePosition(
        ticker=LOW,
        qty_e2=4_00,
        exposure_usd_e6=2_200_000,
        traded_usd_e6=None,
        realized_pnl_usd_e6=0,
        fees_usd_e6=70_000,
        updated_at_us=None,
        exchange_index=None,
        subaccount=0,
    )
    await scene.offer("yes", 6000, 4_00)
    await scene.place(alice, ASK, 6000, 4_00, IOC)
    flat = await follower.next(ExchangePosition)
    assert (flat.qty_e2, flat.exposure_usd_e6, flat.realized_pnl_usd_e6) == (0, 0, 200_000)


@case(258, ASYNCAPI)
async def private_channels(scene: Scene) -> None:
    """Private channels tell each member of his own only."""
    await scene.offer("no", 5000, 10_00)
    alice, bob = await scene.member("alice"), await scene.member("bob")
    private = ["fill", "user_orders", "market_positions"]
    spy = await scene.commands(bob)
    await spy.send("subscribe", {"channels": private})
    await spy.frames(3)
    await scene.place(alice, BID, 5000, 1_00, IOC)
    assert await spy.is_quiet()
    await scene.place(bob, BID, 5000, 1_00, IOC)
    assert {one["type"] for one in await spy.frames(3)} == {
        "fill",
        "user_order",
        "market_position",
    }


@case(259, ASYNCAPI)
async def filtered_channels(scene: Scene) -> None:
    """A filter by market keeps other markets out."""
    for name in (LOW, HIGH):
        await scene.offer("no", 5000, 10_00, name)
    alice = await scene.member()
    commands = await scene.commands(alice)
    channels = ["ticker", "trade", "fill", "user_orders", "market_positions"]
    await commands.send("subscribe", {"channels": channels, "market_tickers": [HIGH]})
    await commands.frames(5)
    await scene.place(alice, BID, 5000, 1_00, IOC, ticker=LOW)
    assert await commands.is_quiet()
    await scene.place(alice, BID, 5000, 1_00, IOC, ticker=HIGH)
    assert len({one["type"] for one in await commands.frames(5)}) == 5


@case(260, LIFE)
async def lifecycle(scene: Scene) -> None:
    """market_lifecycle_v2: what is listed, stopped, determined and settled is told, in order."""
    follower = await scene.follow(await scene.member(), channel("market_lifecycle_v2"))
    name = "KXBTCD-26NOV2013-T89999.99"
    spec = EventSpec(
        event_ticker="KXBTCD-26NOV2013",
        series_ticker="KXBTCD",
        title="Bitcoin at 1pm EST?",
        sub_title="At 1pm EST",
        open_us=CLOSE_US,
        close_us=CLOSE_US + 3600 * SECOND_US,
        markets=(
            MarketSpec(
                ticker=name,
                yes_sub_title="$90,000 or above",
                no_sub_title="$90,000 or above",
                strike_type="greater",
                floor_strike_usd_e6=89_999_990_000,
            ),
        ),
    )
    await scene.act("list_event", spec)
    listed = await follower.next(EventCreated)
    assert (listed.event_ticker, listed.series_ticker) == ("KXBTCD-26NOV2013", "KXBTCD")
    created = await follower.next(LifecycleSeen)
    assert (created.ticker, created.event_type) == (name, "created")
    assert (created.open_us, created.close_us) == (spec.open_us, spec.close_us)
    assert (created.strike_type, created.floor_strike_usd_e6) == ("greater", 89_999_990_000)
    assert created.event_ticker == "KXBTCD-26NOV2013"
    await scene.act("deactivate", LOW)
    await scene.act("activate", LOW)
    steps = [await follower.next(LifecycleSeen) for _ in range(2)]
    assert [(one.ticker, one.event_type) for one in steps] == [
        (LOW, "deactivated"),
        (LOW, "activated"),
    ]
    await scene.advance_to(CLOSE_US)
    await scene.act("determine", LOW, "yes", expiration_value="90000.50")
    determined = await follower.next(LifecycleSeen)
    assert (determined.event_type, determined.result) == ("determined", "yes")
    assert determined.determined_at_us == CLOSE_US
    await scene.advance(60)
    settled = await follower.next(LifecycleSeen)
    assert (settled.event_type, settled.settled_at_us) == ("settled", CLOSE_US + 60 * SECOND_US)


@case(261, LIFE)
async def silent_steps(scene: Scene) -> None:
    """Opening and closing at their times are silent; an early close is told."""
    commands = await scene.commands(await scene.member())
    await commands.ask("subscribe", {"channels": ["market_lifecycle_v2"]})
    await scene.act("close", HIGH)
    early = await commands.frame()
    assert (early["msg"]["market_ticker"], early["msg"]["event_type"]) == (
        HIGH,
        "close_date_updated",
    )
    assert early["msg"]["close_ts"] == NOW_US // SECOND_US
    await scene.advance_to(CLOSE_US)
    assert await commands.is_quiet()


@case(262, LIFE)
async def strike_arrives(scene: Scene) -> None:
    """A 15-minute market's strike arrives as metadata_updated."""
    follower = await scene.follow(await scene.member(), channel("market_lifecycle_v2"))
    await scene.act("set_strike", QUARTER, 90_011_230_000, yes_sub_title="Target Price: $90,011.23")
    seen = await follower.next(LifecycleSeen)
    assert (seen.ticker, seen.event_type) == (QUARTER, "metadata_updated")
    assert (seen.strike_type, seen.floor_strike_usd_e6) == ("greater_or_equal", 90_011_230_000)


@case(263, DECIMALS)
async def grid_of_a_new_market(scene: Scene) -> None:
    """A new market is announced with its price grid."""
    follower = await scene.follow(await scene.member(), channel("market_lifecycle_v2"))
    spec = EventSpec(
        event_ticker="KXBTC15M-26NOV201215",
        series_ticker="KXBTC15M",
        title="BTC price up in next 15 mins?",
        sub_title="12:15PM EST",
        open_us=CLOSE_US,
        close_us=CLOSE_US + 900 * SECOND_US,
        price_level_structure="tapered_deci_cent",
        markets=(
            MarketSpec(ticker="KXBTC15M-26NOV201215-15", yes_sub_title="TBD", no_sub_title="TBD"),
        ),
    )
    await scene.act("list_event", spec)
    seen = await follower.next(LifecycleSeen)
    assert seen.price_ranges == (
        PriceRange(0, 1000, 10),
        PriceRange(1000, 9000, 100),
        PriceRange(9000, 10_000, 10),
    )


@case(264, ASYNCAPI)
async def group_updates(scene: Scene) -> None:
    """order_group_updates: a group is told when it is made, limited, tripped, reset, deleted."""
    alice = await scene.member()
    follower = await scene.follow(alice, channel("order_group_updates"))
    group = (await alice.rest.create_order_group(3_00, exchange_index=CRYPTO)).group_id
    await alice.rest.limit_order_group(group, 2_00, exchange_index=CRYPTO)
    await scene.offer("no", 5000, 10_00)
    await scene.place(alice, BID, 5000, 5_00, IOC, order_group_id=group)
    await alice.rest.reset_order_group(group, exchange_index=CRYPTO)
    await alice.rest.delete_order_group(group, exchange_index=CRYPTO)
    seen = [await follower.next(GroupSeen) for _ in range(5)]
    assert [(one.event_type, one.limit_qty_e2) for one in seen] == [
        ("created", 3_00),
        ("limit_updated", 2_00),
        ("triggered", None),
        ("reset", None),
        ("deleted", None),
    ]
    assert {one.group_id for one in seen} == {group}


async def follow_index(scene: Scene) -> Any:
    """Follow BRTI."""
    wanted = Subscription(key="index", channel="cfbenchmarks_value", index_ids=(INDEX,))
    return await scene.follow(await scene.member(), wanted)


@case(265, INDEX_PAGE)
async def index_values(scene: Scene) -> None:
    """cfbenchmarks_value: the value, and the mean of the minute before it, prior ticks only."""
    follower = await follow_index(scene)
    values = [90_000_000_000, 90_010_500_000, 90_003_250_000]
    for value in values:
        await scene.act("set_index", INDEX, value)
        await scene.advance(1)
    seen = [await follower.next(IndexSeen) for _ in values]
    assert [one.value_usd_e6 for one in seen] == values
    assert [one.at_us for one in seen] == [NOW_US + step * SECOND_US for step in range(3)]
    assert [one.trailing_usd_e6 for one in seen] == [
        90_000_000_000,
        90_000_000_000,
        90_005_250_000,
    ]
    assert {one.window_usd_e6 for one in seen} == {None}


@case(266, INDEX_PAGE)
async def settlement_window(scene: Scene) -> None:
    """cfbenchmarks_value: in the last minute before a quarter hour the mean that settles grows."""
    follower = await follow_index(scene)
    start_us = CLOSE_US - 61 * SECOND_US
    for step in range(62):
        await scene.advance_to(start_us + step * SECOND_US)
        await scene.act("set_index", INDEX, 90_000_000_000 + step * 1_000_000)
    seen = [await follower.next(IndexSeen) for _ in range(62)]
    # The opening tick, 60 s before the close, is not in it; the closing one is.
    assert [one.window_count for one in seen] == [0, 0, *range(1, 61)]
    assert {one.window_close_us for one in seen[2:]} == {CLOSE_US}
    first, last = seen[2], seen[61]
    assert first.window_usd_e6 == 90_002_000_000
    assert last.window_usd_e6 == 90_031_500_000
    assert scene.exchange.index_window(INDEX, CLOSE_US) == (60 * 90_031_500_000, 60)


@case(267, ASYNCAPI, only_ours=NO_STREAM)
async def our_book(scene: Scene) -> None:
    """Our book follows snapshot and deltas: it is the one that REST shows."""
    await scene.offer("yes", 5400, 10_00)
    alice = await scene.member()
    follower = await scene.follow(alice, channel("orderbook_delta", LOW, HIGH))
    await follower.change(LOW)
    await follower.change(HIGH)
    await scene.offer("yes", 5300, 2_00)
    await scene.offer("yes", 5400, 1)
    await scene.offer("no", 4400, 3_00)
    await scene.offer("no", 4400, 0)
    await scene.place(alice, BID, 5200, 1_50)
    for _ in range(5):
        await follower.change(LOW)
    book = await alice.rest.orderbook(LOW)
    assert follower.book(LOW) == (dict(book.yes), dict(book.no))
    assert follower.book(LOW) == ({5400: 1, 5300: 2_00, 5200: 1_50}, {})
    assert follower.stream.gaps == 0


@case(268, LIFE, only_ours=NO_STREAM)
async def our_book_at_the_close(scene: Scene) -> None:
    """At the close the book is sent anew, empty, and stays whole."""
    await scene.offer("yes", 5400, 10_00)
    follower = await scene.follow(await scene.member(), channel("orderbook_delta", LOW))
    await follower.change(LOW)
    await scene.advance_to(CLOSE_US)
    await follower.change(LOW)
    assert follower.book(LOW) == ({}, {})


@case(269, ASYNCAPI, only_ours=NO_STREAM)
async def our_subscriptions_change(scene: Scene) -> None:
    """Our stream adds and drops markets on the connection that it has."""
    await scene.offer("yes", 5400, 10_00)
    await scene.offer("yes", 2000, 1_00, HIGH)
    follower = await scene.follow(await scene.member(), channel("orderbook_delta", LOW))
    await follower.next(Connected)
    await follower.change(LOW)
    await follower.want(channel("orderbook_delta", LOW, HIGH))
    await follower.change(HIGH)
    assert follower.book(HIGH) == ({2000: 1_00}, {})
    await follower.want(channel("orderbook_delta", HIGH))
    await scene.until(lambda: LOW not in scene.venue.gateway.hub.books)
    assert set(follower.stream.books) == {HIGH}
    assert (follower.stream.reconnects, sum(follower.stream.refused.values())) == (0, 0)
