"""The mirror gives what the real exchange displays, never more, and pays what it pays."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.exchange_simulator_world.member import join, place

from recio.adapters.kalshi.model import EventRecord, MarketRecord, SeriesRecord
from recio.domain.messages import PriceRange
from recio.domain.units import SECOND_US
from recio.exchange_simulator.api.messages import Request
from recio.exchange_simulator.core import orders
from recio.exchange_simulator.core.orders import NewOrder
from recio.exchange_simulator.core.records import Account
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.gateway import Gateway
from recio.exchange_simulator.world.mirror import Mirror
from recio.runtime import stepped
from recio.runtime.clock import SteppedClock

EVENT = "KXBTC15M-26MAY130915"
TICKER = f"{EVENT}-15"
OPEN_US = 1_778_677_200 * SECOND_US
CLOSE_US = OPEN_US + 900 * SECOND_US
NOW_US = OPEN_US + 60 * SECOND_US
STRIKE = 80_285_680_000
TAPERED = (PriceRange(0, 1000, 10), PriceRange(1000, 9000, 100), PriceRange(9000, 10_000, 10))


def series() -> SeriesRecord:
    """The series as production tells it, with fees of its own."""
    return SeriesRecord(
        ticker="KXBTC15M",
        title="Bitcoin",
        category="Crypto",
        frequency="fifteen_min",
        fee_type="quadratic",
        fee_multiplier_e6=1_000_000,
        exchange_index=2,
    )


def event(**changes: object) -> EventRecord:
    """The event as production tells it; changes are of its market."""
    known = {
        "ticker": TICKER,
        "event_ticker": EVENT,
        "title": "Bitcoin price up?",
        "status": "active",
        "result": "",
        "open_us": OPEN_US,
        "close_us": CLOSE_US,
        "strike_type": "greater_or_equal",
        "floor_strike_usd_e6": STRIKE,
        "price_ranges": TAPERED,
        "settlement_timer_s": 1,
        "expiration_value_usd_e6": None,
        "payout_usd_e6": None,
    }
    others = {field: None for field in MarketRecord.__struct_fields__ if field not in known}
    market = MarketRecord(**(others | known | {"can_close_early": True} | changes))
    return EventRecord(
        event_ticker=EVENT,
        series_ticker="KXBTC15M",
        title="Bitcoin up?",
        sub_title="",
        is_mutually_exclusive=False,
        fee_type_override=None,
        fee_multiplier_override_e6=None,
        strike_at_us=None,
        exchange_index=2,
        markets=(market,),
    )


def mirrored() -> tuple[Mirror, Exchange, Account]:
    """A mirror of one open market, and somebody to trade there."""
    exchange = Exchange()
    mirror = Mirror(exchange, NOW_US)
    mirror.take_series(series())
    mirror.take_event(event(), NOW_US)
    exchange.advance(NOW_US)
    return mirror, exchange, join(exchange)


def take(exchange: Exchange, who: Account, qty_e2: int, price_e4: int = 6_000) -> int:
    """Buy YES at once, and return how much of it was got."""
    new = NewOrder(
        ticker=TICKER,
        is_bid=True,
        price_e4=price_e4,
        qty_e2=qty_e2,
        time_in_force="immediate_or_cancel",
        self_trade="taker_at_cross",
        client_order_id=f"take-{len(exchange.state.orders)}",
    )
    return orders.create(exchange.state, who, new).filled_e2


def test_an_order_takes_what_is_displayed_and_no_more() -> None:
    """Rule: 500 displayed at the limit and 300 beyond it give 500."""
    mirror, exchange, who = mirrored()
    mirror.follow(TICKER, {5_000: 100}, {4_000: 500, 3_900: 300}, NOW_US)
    assert take(exchange, who, 2_000) == 500
    assert take(exchange, who, 100) == 0


def test_what_was_taken_stays_taken_until_the_level_is_made_anew() -> None:
    """Rule: a real level that never felt us gives nothing twice; a new one is a new one."""
    mirror, exchange, who = mirrored()
    mirror.follow(TICKER, {}, {4_000: 500}, NOW_US)
    assert take(exchange, who, 300) == 300
    mirror.follow(TICKER, {}, {4_000: 600}, NOW_US + 1)
    assert exchange.external_level(TICKER, "no", 4_000) == 300
    mirror.follow(TICKER, {}, {4_000: 200}, NOW_US + 2)
    assert exchange.external_level(TICKER, "no", 4_000) == 0
    mirror.follow(TICKER, {}, {4_000: 250}, NOW_US + 3)
    assert take(exchange, who, 300) == 50
    mirror.follow(TICKER, {}, {}, NOW_US + 4)
    mirror.follow(TICKER, {}, {4_000: 400}, NOW_US + 5)
    assert take(exchange, who, 1_000) == 400


def test_a_book_that_is_not_known_gives_nothing() -> None:
    """Rule: no fill without a book; a lost connection gives back nothing of what was taken."""
    mirror, exchange, who = mirrored()
    mirror.follow(TICKER, {}, {4_000: 500}, NOW_US)
    assert take(exchange, who, 200) == 200
    mirror.lose_all(NOW_US + 1)
    assert take(exchange, who, 100) == 0
    mirror.follow(TICKER, {}, {4_000: 500}, NOW_US + 2)
    assert take(exchange, who, 1_000) == 300


def test_a_resting_order_fills_when_the_real_book_crosses_it_and_not_before() -> None:
    """Rule: what rests waits behind what is displayed."""
    mirror, exchange, who = mirrored()
    mirror.follow(TICKER, {5_000: 400}, {4_000: 500}, NOW_US)
    order = place(exchange, who, TICKER, is_bid=True, price_e4=5_000, qty_e2=200)
    mirror.follow(TICKER, {5_000: 100}, {4_500: 500}, NOW_US + 1)
    assert order.filled_e2 == 0
    mirror.follow(TICKER, {}, {5_000: 300}, NOW_US + 2)
    assert order.filled_e2 == 200
    assert exchange.external_level(TICKER, "no", 5_000) == 100


LEVELS = st.dictionaries(
    st.sampled_from([3_800, 3_900, 4_000, 4_100]), st.integers(1, 9).map(lambda n: 100 * n)
)
STEPS = st.one_of(LEVELS, st.integers(1, 12).map(lambda n: 100 * n), st.none())


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=30))
def test_nothing_is_ever_added_to_what_is_displayed(
    steps: list[dict[int, int] | int | None],
) -> None:
    """Rule: of one life of a level members get at most the most that it displayed."""
    mirror, exchange, who = mirrored()
    shown: dict[int, int] = {}
    most: dict[int, int] = {}
    got: dict[int, int] = {}
    for number, step in enumerate(steps):
        if isinstance(step, dict):
            for price in [price for price in most if price not in step]:
                del most[price]
                got.pop(price, None)
            shown = step
            most |= {price: max(qty, most.get(price, 0)) for price, qty in step.items()}
            mirror.follow(TICKER, {}, step, NOW_US + number)
        elif step is None:
            mirror.lose(TICKER, NOW_US + number)
            shown = {}
        else:
            before = len(exchange.state.fills_of.get("alice", ()))
            take(exchange, who, step, 9_000)
            for fill in exchange.state.fills_of.get("alice", ())[before:]:
                price = 10_000 - fill.price_e4
                got[price] = got.get(price, 0) + fill.qty_e2
                assert got[price] <= most[price]
        for price in (3_800, 3_900, 4_000, 4_100):
            assert exchange.external_level(TICKER, "no", price) <= shown.get(price, 0)


@pytest.mark.parametrize(("result", "revenue"), [("yes", 500), ("no", 0)])
def test_a_market_is_paid_when_and_as_the_real_one_is(result: str, revenue: int) -> None:
    """Rule: a result that is only determined may still change; the final one pays."""
    mirror, exchange, who = mirrored()
    mirror.follow(TICKER, {}, {4_000: 500}, NOW_US)
    take(exchange, who, 500)
    exchange.advance(CLOSE_US)
    told = {"result": result, "expiration_value_usd_e6": 80_300_120_000}
    mirror.take_event(event(status="determined", **told), CLOSE_US + SECOND_US)
    assert dict(exchange.event_status(EVENT)) == {TICKER: "closed"}
    mirror.take_event(event(status="finalized", **told), CLOSE_US + 2 * SECOND_US)
    (settled,) = exchange.state.settlements_of["alice"]
    assert (settled.result, settled.revenue_cents) == (result, revenue)
    assert exchange.state.markets[TICKER].expiration_value == "80300.12"
    mirror.take_event(event(status="finalized", **told), CLOSE_US + 3 * SECOND_US)
    assert len(exchange.state.settlements_of["alice"]) == 1


def test_a_scalar_result_without_a_payout_is_told_and_not_guessed() -> None:
    """Rule: unknown is not zero."""
    mirror, exchange, _ = mirrored()
    exchange.advance(CLOSE_US)
    mirror.take_event(event(status="finalized", result="scalar"), CLOSE_US + SECOND_US)
    assert "in part" in mirror.refused[TICKER]
    assert dict(exchange.event_status(EVENT)) == {TICKER: "closed"}


def test_a_strike_that_comes_later_is_taken() -> None:
    """Rule: a 15-minute market has its strike only when its window is open."""
    exchange = Exchange()
    mirror = Mirror(exchange, OPEN_US - SECOND_US)
    mirror.take_series(series())
    early = event(status="initialized", floor_strike_usd_e6=None, strike_type="")
    mirror.take_event(early, OPEN_US - SECOND_US)
    assert mirror.wants_strike(EVENT)
    mirror.take_event(event(), NOW_US)
    assert not mirror.wants_strike(EVENT)
    assert exchange.state.markets[TICKER].spec.floor_strike_usd_e6 == STRIKE


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"price_ranges": (PriceRange(0, 10_000, 70),)}, "no market that we can mirror"),
        ({"price_ranges": ()}, "no market that we can mirror"),
        ({"close_us": CLOSE_US + SECOND_US}, "no market that we can mirror"),
    ],
)
def test_a_market_that_we_cannot_play_is_refused_by_name(
    changes: dict[str, object], reason: str
) -> None:
    """Rule: nothing is mirrored approximately."""
    exchange = Exchange()
    mirror = Mirror(exchange, NOW_US)
    mirror.take_series(series())
    mirror.take_event(event(**changes), NOW_US)
    assert not exchange.has_event(EVENT)
    assert reason in mirror.refused[EVENT]
    assert TICKER in mirror.refused
    mirror.forget_refused(())
    assert not mirror.refused


def test_after_a_pause_the_book_is_whole_again() -> None:
    """Rule: what could not be quoted during a pause is quoted after it."""
    mirror, exchange, who = mirrored()
    mirror.take_status(is_trading=False, now_us=NOW_US)
    mirror.follow(TICKER, {}, {4_000: 500}, NOW_US)
    assert exchange.external_level(TICKER, "no", 4_000) == 0
    mirror.take_status(is_trading=True, now_us=NOW_US + SECOND_US)
    mirror.step(NOW_US + SECOND_US)
    assert take(exchange, who, 1_000) == 500


def test_an_order_meets_what_is_displayed_when_it_arrives() -> None:
    """Rule: the way to the exchange takes its time; reading does not."""
    mirror, exchange, _ = mirrored()
    loop = stepped.SteppedLoop()
    clock = SteppedClock(loop, NOW_US)
    gateway = Gateway(exchange, clock, order_latency_us=150_000)

    async def script() -> tuple[int, int]:
        await gateway.request(Request("GET", "/trade-api/v2/portfolio/balance", {}))
        read_us = clock.market_us() - NOW_US
        await gateway.request(Request("POST", "/trade-api/v2/portfolio/orders", {}))
        return read_us, clock.market_us() - NOW_US

    assert stepped.run(script(), loop=loop) == (0, 150_000)
    assert gateway.asked == {"GET": 1, "POST": 1}
    assert mirror.next_event_us() is None
