"""What anybody may read: series, events, markets, books, trades, candles."""

from __future__ import annotations

import pytest
from tests.contract.listing import (
    CLOSE_US,
    EVENT,
    HIGH,
    LOW,
    NOW_US,
    OPEN_US,
    QUARTER,
    QUARTER_EVENT,
    QUARTER_OPEN_US,
    QUIET,
    SECOND_US,
)
from tests.contract.scene import ASK, BID, IOC, Scene
from tests.contract.suite import BOOKS, DECIMALS, LIFE, OBSERVED, OPENAPI, SHARDS, case

from recio.adapters.kalshi.errors import KalshiRejected
from recio.domain.messages import PriceRange
from recio.domain.orders import BookSide

MINUTE_US = 60 * SECOND_US


@case(40, SHARDS)
async def one_series(scene: Scene) -> None:
    """A series has its fee terms and its shard."""
    seen = await (await scene.join(None)).rest.series("KXBTCD")
    assert (seen.category, seen.frequency) == ("Crypto", "hourly")
    assert (seen.fee_type, seen.fee_multiplier_e6) == ("quadratic", 1_000_000)
    assert seen.exchange_index == 2


@case(41, OPENAPI)
async def series_by_category(scene: Scene) -> None:
    """Series are listed by category, in its exact spelling."""
    rest = (await scene.join(None)).rest
    listed = {one.ticker for one in await rest.series_list("Crypto")}
    assert listed == {"KXBTCD", "KXBTC15M", "KXBTCMAXM"}
    assert await rest.series_list("crypto") == ()


@case(42, OPENAPI)
async def events_of_a_series(scene: Scene) -> None:
    """Events of a series come with their markets when asked."""
    rest = (await scene.join(None)).rest
    (plain,) = await rest.events("KXBTCD")
    assert (plain.event_ticker, plain.series_ticker, plain.markets) == (EVENT, "KXBTCD", ())
    assert (plain.exchange_index, plain.strike_at_us) == (2, CLOSE_US)
    (nested,) = await rest.events("KXBTCD", status="open", with_markets=True)
    assert [one.ticker for one in nested.markets] == [LOW, HIGH]
    assert await rest.events("KXBTCD", status="settled") == ()


@case(43, OPENAPI)
async def one_event(scene: Scene) -> None:
    """One event comes with its markets, nested or beside it."""
    visitor = await scene.join(None)
    seen = await visitor.rest.event(EVENT)
    assert [one.ticker for one in seen.markets] == [LOW, HIGH]
    beside = await visitor.raw("GET", f"/events/{EVENT}")
    assert [one["ticker"] for one in beside.body["markets"]] == [LOW, HIGH]
    with pytest.raises(KalshiRejected) as refused:
        await visitor.rest.event("KXBTCD-26NOV2099")
    assert refused.value.status == 404


@case(44, OPENAPI)
async def market_filters(scene: Scene) -> None:
    """Markets are filtered by series, event, ticker, status and close."""
    rest = (await scene.join(None)).rest

    async def found(**filters: object) -> set[str]:
        return {one.ticker for one in await rest.markets(**filters)}

    assert await found() == {LOW, HIGH, QUARTER, QUIET}
    assert await found(series_ticker="KXBTC15M") == {QUARTER}
    assert await found(event_ticker=EVENT) == {LOW, HIGH}
    assert await found(tickers=(HIGH, QUIET)) == {HIGH, QUIET}
    assert await found(status="open", max_close_us=CLOSE_US) == {LOW, HIGH, QUARTER}
    assert await found(min_close_us=CLOSE_US + SECOND_US) == {QUIET}
    assert await found(status="unopened") == set()
    assert await found(status="settled") == set()


@case(45, OPENAPI)
async def market_pages(scene: Scene) -> None:
    """Pages follow the cursor to an empty one, each market once."""
    visitor = await scene.join(None)
    found: list[str] = []
    cursor, pages = "", 0
    while cursor or pages == 0:
        answer = await visitor.raw("GET", f"/markets?limit=3&cursor={cursor}")
        found += [one["ticker"] for one in answer.body["markets"]]
        cursor, pages = answer.body["cursor"], pages + 1
    assert (pages, sorted(found)) == (2, sorted([LOW, HIGH, QUARTER, QUIET]))


@case(46, OBSERVED)
async def limits_and_cursors(scene: Scene) -> None:
    """A limit above the most is 400, a garbage cursor is ignored."""
    visitor = await scene.join(None)
    for path in ("/markets?limit=1001", "/markets?limit=0", "/events?limit=201"):
        assert (await visitor.raw("GET", path)).status == 400, path
    assert (await visitor.raw("GET", "/markets/trades?limit=1001")).status == 400
    answer = await visitor.raw("GET", "/markets?cursor=garbage")
    assert (answer.status, len(answer.body["markets"])) == (200, 4)


@case(47, OPENAPI)
async def market_by_value(scene: Scene) -> None:
    """A market by value: times, strike, grid, quotes."""
    await scene.offer("yes", 5400, 10_00)
    await scene.offer("no", 4400, 7_50)
    seen = await (await scene.join(None)).rest.market(LOW)
    assert (seen.event_ticker, seen.status, seen.result) == (EVENT, "active", "")
    assert (seen.open_us, seen.close_us) == (OPEN_US, CLOSE_US)
    assert (seen.strike_type, seen.floor_strike_usd_e6) == ("greater", 89_999_990_000)
    assert seen.price_ranges == (PriceRange(0, 10_000, 100),)
    assert (seen.yes_bid_e4, seen.yes_ask_e4, seen.last_price_e4) == (5400, 5600, None)
    assert (seen.exchange_index, seen.settlement_timer_s, seen.can_close_early) == (2, 60, True)


@case(48, LIFE)
async def late_strike(scene: Scene) -> None:
    """A 15-minute market has no strike until its window opens."""
    rest = (await scene.join(None)).rest
    before = await rest.market(QUARTER)
    assert (before.strike_type, before.floor_strike_usd_e6) == ("", None)
    assert before.title == "Target price: TBD"
    await scene.act("set_strike", QUARTER, 90_011_230_000, yes_sub_title="Target Price: $90,011.23")
    after = await rest.market(QUARTER)
    assert (after.strike_type, after.floor_strike_usd_e6) == ("greater_or_equal", 90_011_230_000)
    assert (after.open_us, after.close_us) == (QUARTER_OPEN_US, CLOSE_US)
    assert after.event_ticker == QUARTER_EVENT


@case(49, DECIMALS)
async def tapered_grid(scene: Scene) -> None:
    """A tapered grid is finer at both edges."""
    seen = await (await scene.join(None)).rest.market(QUARTER)
    assert seen.price_ranges == (
        PriceRange(0, 1000, 10),
        PriceRange(1000, 9000, 100),
        PriceRange(9000, 10_000, 10),
    )


@case(50, BOOKS)
async def book(scene: Scene) -> None:
    """A book lists bids of both sides; the best ask is 1 - the best NO bid."""
    for price_e4, qty_e2 in ((5400, 10_00), (5300, 25_00), (5100, 1)):
        await scene.offer("yes", price_e4, qty_e2)
    for price_e4, qty_e2 in ((4400, 7_50), (4000, 100_00)):
        await scene.offer("no", price_e4, qty_e2)
    rest = (await scene.join(None)).rest
    seen = await rest.orderbook(LOW)
    assert dict(seen.yes) == {5400: 10_00, 5300: 25_00, 5100: 1}
    assert dict(seen.no) == {4400: 7_50, 4000: 100_00}
    assert (await rest.market(LOW)).yes_ask_e4 == 10_000 - 4400


@case(51, OPENAPI)
async def book_depth(scene: Scene) -> None:
    """A book can be cut to its best levels; a depth above 100 is 400."""
    for step in range(5):
        await scene.offer("yes", 5000 - step * 100, 1_00)
        await scene.offer("no", 4000 - step * 100, 1_00)
    visitor = await scene.join(None)
    seen = await visitor.rest.orderbook(LOW, depth=2)
    assert ({p for p, _ in seen.yes}, {p for p, _ in seen.no}) == ({5000, 4900}, {4000, 3900})
    assert (await visitor.raw("GET", f"/markets/{LOW}/orderbook?depth=101")).status == 400


@case(52, OPENAPI)
async def books(scene: Scene) -> None:
    """Several books come in one answer."""
    await scene.offer("yes", 5400, 10_00)
    await scene.offer("no", 60, 3_00, QUARTER)
    found = await (await scene.join(None)).rest.orderbooks([LOW, QUARTER])
    seen = {one.ticker: one for one in found}
    assert (dict(seen[LOW].yes), seen[LOW].no) == ({5400: 10_00}, ())
    assert (seen[QUARTER].yes, dict(seen[QUARTER].no)) == ((), {60: 3_00})


@case(53, OPENAPI)
async def trades(scene: Scene) -> None:
    """Public trades tell price, count and the taker's side, newest first."""
    await scene.offer("yes", 5400, 10_00)
    await scene.offer("no", 4400, 10_00)
    await scene.take("yes", 5600, 2_00)
    await scene.advance(5)
    await scene.take("no", 4600, 1_25)
    rest = (await scene.join(None)).rest
    newest, oldest = await rest.trades(LOW)
    assert (newest.yes_price_e4, newest.qty_e2, newest.taker_side) == (5400, 1_25, BookSide.ASK)
    assert (oldest.yes_price_e4, oldest.qty_e2, oldest.taker_side) == (5600, 2_00, BookSide.BID)
    assert (newest.at_us, oldest.at_us) == (NOW_US + 5 * SECOND_US, NOW_US)
    assert await rest.trades(LOW, min_us=NOW_US + SECOND_US) == (newest,)
    assert await rest.trades(LOW, max_us=NOW_US + SECOND_US) == (oldest,)
    assert await rest.trades(HIGH) == ()


@case(54, OPENAPI)
async def trade_of_a_fill(scene: Scene) -> None:
    """A member's trade is public under the id of its fill."""
    await scene.offer("no", 4400, 10_00)
    alice = await scene.member()
    await scene.place(alice, BID, 5600, 3_00, IOC)
    (trade,) = await alice.rest.trades(LOW)
    (fill,) = await alice.rest.fills()
    assert (trade.trade_id, trade.qty_e2, trade.at_us) == (fill.fill_id, 3_00, fill.at_us)


@case(55, OPENAPI)
async def candles(scene: Scene) -> None:
    """Minute candles have quotes always and prices only where something traded."""
    await scene.offer("yes", 5400, 10_00)
    await scene.offer("no", 4400, 10_00)
    await scene.advance(60)
    await scene.take("yes", 5600, 2_00)
    await scene.offer("yes", 5500, 10_00)
    visitor = await scene.join(None)
    quiet, traded = await visitor.rest.candlesticks("KXBTCD", LOW, NOW_US - MINUTE_US, CLOSE_US)
    # A candle holds its last instant: both quotes came at the very end of a minute.
    assert (quiet.end_us, traded.end_us) == (NOW_US, NOW_US + MINUTE_US)
    assert (quiet.yes_bid_close_e4, quiet.yes_ask_close_e4) == (5400, 5600)
    assert (quiet.open_e4, quiet.close_e4, quiet.volume_e2) == (None, None, 0)
    assert (traded.open_e4, traded.high_e4, traded.low_e4, traded.close_e4) == (5600,) * 4
    assert (traded.volume_e2, traded.yes_bid_close_e4) == (2_00, 5500)
    start_s, end_s = (NOW_US - MINUTE_US) // SECOND_US, CLOSE_US // SECOND_US
    query = f"start_ts={start_s}&end_ts={end_s}&period_interval=1"
    answer = await visitor.raw("GET", f"/series/KXBTCD/markets/{LOW}/candlesticks?{query}")
    assert "close_dollars" not in answer.body["candlesticks"][0]["price"]


@case(56, OBSERVED)
async def candle_periods(scene: Scene) -> None:
    """Hourly candles gather the minutes; an unknown period is empty."""
    for step in range(3):
        await scene.offer("no", 4400 - step * 100, 10_00)
        await scene.take("yes", 9900, 10_00)
        await scene.advance(60)
    rest = (await scene.join(None)).rest
    bounds = ("KXBTCD", LOW, OPEN_US, CLOSE_US)
    (hour,) = await rest.candlesticks(*bounds, minutes=60)
    assert (hour.open_e4, hour.high_e4, hour.low_e4, hour.close_e4) == (5600, 5800, 5600, 5800)
    assert (hour.end_us, hour.volume_e2) == (CLOSE_US, 30_00)
    answer = await scene.http(
        "GET",
        f"/trade-api/v2/series/KXBTCD/markets/{LOW}/candlesticks"
        f"?start_ts={OPEN_US // SECOND_US}&end_ts={CLOSE_US // SECOND_US}&period_interval=5",
    )
    assert (answer.status, answer.body["candlesticks"]) == (200, [])


@case(57, OPENAPI)
async def many_candles(scene: Scene) -> None:
    """Candles of several markets and of an event come in one answer."""
    await scene.offer("yes", 5400, 10_00)
    visitor = await scene.join(None)
    bounds = f"start_ts={OPEN_US // SECOND_US}&end_ts={CLOSE_US // SECOND_US}&period_interval=1"
    several = await visitor.raw(
        "GET", f"/markets/candlesticks?market_tickers={LOW},{HIGH}&{bounds}"
    )
    counts = {one["market_ticker"]: len(one["candlesticks"]) for one in several.body["markets"]}
    assert counts == {LOW: 1, HIGH: 0}
    event = await visitor.raw("GET", f"/series/KXBTCD/events/{EVENT}/candlesticks?{bounds}")
    assert event.body["market_tickers"] == [LOW, HIGH]
    assert [len(one) for one in event.body["market_candlesticks"]] == [1, 0]
    assert event.body["adjusted_end_ts"] == CLOSE_US // SECOND_US


@case(58, OPENAPI)
async def event_metadata(scene: Scene) -> None:
    """An event's metadata names its markets and what settles them."""
    answer = await (await scene.join(None)).raw("GET", f"/events/{EVENT}/metadata")
    assert [one["market_ticker"] for one in answer.body["market_details"]] == [LOW, HIGH]
    assert answer.body["settlement_sources"][0]["url"].endswith("/BRTI")


@case(59, OPENAPI)
async def volume_and_interest(scene: Scene) -> None:
    """Volume and open interest count contracts."""
    alice, bob = await scene.member("alice"), await scene.member("bob")
    await scene.place(alice, BID, 5000, 4_00)
    await scene.place(bob, ASK, 5000, 3_00, IOC)
    seen = await alice.rest.market(LOW)
    assert (seen.volume_e2, seen.open_interest_e2, seen.last_price_e4) == (3_00, 3_00, 5000)
