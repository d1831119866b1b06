"""The live events of a series: calendar, markets, life."""

from __future__ import annotations

import msgspec
import pytest

from recio.adapters.kalshi.events import FeeOverride, LifecycleSeen
from recio.adapters.kalshi.model import EventRecord, MarketRecord, SeriesRecord
from recio.apps.kalshi_api_watchdog.listing import AHEAD_US, LONGEST_WAIT_US, Listing
from recio.domain.messages import PriceRange
from recio.domain.tickers import parse_event
from recio.domain.units import HOUR_US, MINUTE_US, SECOND_US

EVENT = "KXBTCD-25AUG0122"
TICKER = f"{EVENT}-T119499.99"
CLOSE_US = parse_event(EVENT).close_us
OPEN_US = CLOSE_US - HOUR_US
NOW_US = CLOSE_US - 21 * MINUTE_US
GRID = (PriceRange(0, 10_000, 100),)
FEES = SeriesRecord(
    ticker="KXBTCD",
    title="",
    category="Crypto",
    frequency="hourly",
    fee_type="quadratic",
    fee_multiplier_e6=1_000_000,
    exchange_index=2,
)
MARKET = MarketRecord(
    ticker=TICKER,
    event_ticker=EVENT,
    title="$119,500 or above",
    status="active",
    result="",
    open_us=OPEN_US,
    close_us=CLOSE_US,
    strike_type="greater",
    floor_strike_usd_e6=119_499_990_000,
    cap_strike_usd_e6=None,
    price_ranges=GRID,
    exchange_index=2,
    yes_bid_e4=None,
    yes_ask_e4=None,
    last_price_e4=None,
    volume_e2=500,
    open_interest_e2=None,
    settlement_timer_s=60,
    expected_expiration_us=None,
    expiration_value_usd_e6=None,
    payout_usd_e6=None,
    settled_at_us=None,
    can_close_early=True,
    updated_at_us=None,
    fee_waived_until_us=None,
)


def record(*markets, **more):
    """Return an event with markets."""
    fields = {
        "event_ticker": EVENT,
        "series_ticker": "KXBTCD",
        "title": "Bitcoin at 10pm",
        "sub_title": "",
        "is_mutually_exclusive": False,
        "fee_type_override": None,
        "fee_multiplier_override_e6": None,
        "strike_at_us": None,
        "exchange_index": 2,
        "markets": markets,
    }
    return EventRecord(**(fields | more))


def step(event_type, **more):
    """Return a step in the market's life."""
    fields = dict.fromkeys(LifecycleSeen.__struct_fields__)
    fields |= {"ticker": TICKER, "event_type": event_type, "price_ranges": ()}
    return LifecycleSeen(**(fields | more))


def listing(*markets, now_us=NOW_US):
    """Return a listing that has read the event."""
    made = Listing(["KXBTCD"])
    made.take_series(FEES)
    made.advance(now_us)
    made.take_event(record(*(markets or (MARKET,))), now_us)
    return made


def changed(**fields):
    """Return the market with other fields."""
    return msgspec.structs.replace(MARKET, **fields)


def only(made):
    """Return the message of the event."""
    return made.events[EVENT].message("paper", NOW_US)


def test_the_calendar_names_the_running_and_the_last_event():
    """The next one joins five minutes before its window opens."""
    made = Listing(["KXBTCD", "KXBTC15M"])
    made.advance(NOW_US)
    assert set(made.events) == {
        "KXBTCD-25AUG0121",
        EVENT,
        "KXBTC15M-25AUG012130",
        "KXBTC15M-25AUG012145",
    }
    assert made.next_change_us(NOW_US) == NOW_US + MINUTE_US
    made.advance(CLOSE_US - AHEAD_US)
    assert "KXBTCD-25AUG0123" in made.events


def test_an_hour_that_occurs_twice_is_listed_once():
    """The second 1 a.m. of a 25-hour day has no name: nothing is traded in it."""
    first_us = parse_event("KXBTCD-25NOV0201").close_us
    made = Listing(["KXBTCD"])
    made.advance(first_us + HOUR_US - MINUTE_US)
    assert set(made.events) == {"KXBTCD-25NOV0201", "KXBTCD-25NOV0202"}


def test_markets_are_told_with_grid_fee_and_shard():
    """What the trader needs to price and to send."""
    made = listing()
    assert made.events[EVENT].changed
    message = only(made)
    (market,) = message.markets
    assert (message.symbol, message.open_us, message.close_us) == ("BTC", OPEN_US, CLOSE_US)
    assert (market.strike_usd_e6, market.exchange_index) == (119_499_990_000, 2)
    assert (market.fee_type, market.fee_multiplier_e6) == ("quadratic", 1_000_000)
    assert made.events[EVENT].volumes_e2 == {TICKER: 500}


def test_markets_ascend_by_strike():
    """Whatever the exchange's order."""
    other = changed(ticker=f"{EVENT}-T119249.99", floor_strike_usd_e6=119_249_990_000)
    strikes = [market.strike_usd_e6 for market in only(listing(MARKET, other)).markets]
    assert strikes == sorted(strikes)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"close_us": CLOSE_US + 1}, "close_differs"),
        ({"event_ticker": "KXBTCD-25AUG0121"}, "event_differs"),
        ({"price_ranges": ()}, "grid_unknown"),
    ],
)
def test_a_market_that_does_not_fit_is_refused_and_counted(fields, reason):
    """It is not told, so nobody trades it."""
    made = listing(changed(**fields))
    assert made.refused == {reason: 1}
    assert not made.events[EVENT].is_known


def test_without_a_known_fee_no_market_is_told():
    """An edge without its fee is no edge."""
    made = Listing(["KXBTCD"])
    made.advance(NOW_US)
    made.take_event(record(MARKET), NOW_US)
    assert made.refused == {"fee_unknown": 1}


def test_an_event_may_have_a_fee_of_its_own():
    """And lose it again."""
    made = listing()
    made.take_fee(FeeOverride(event_ticker=EVENT, fee_type="flat", fee_multiplier_e6=0))
    assert only(made).markets[0].fee_multiplier_e6 == 0
    made.take_fee(FeeOverride(event_ticker=EVENT, fee_type=None, fee_multiplier_e6=None))
    assert only(made).markets[0].fee_type == "quadratic"
    assert only(made).markets[0].fee_multiplier_e6 == 1_000_000


def test_an_unchanged_event_is_not_told_again():
    """Only changes are news."""
    made = listing()
    made.events[EVENT].changed = False
    made.take_event(record(MARKET), NOW_US)
    assert not made.events[EVENT].changed


def test_the_close_is_seen_by_the_clock():
    """The exchange does not announce it; the result is read until it is final."""
    made = listing()
    assert made.events[EVENT] not in made.unread(NOW_US)
    made.events[EVENT].changed = False
    made.advance(CLOSE_US)
    assert only(made).markets[0].status == "closed"
    assert made.events[EVENT].changed
    assert made.events[EVENT] in made.unread(CLOSE_US)
    assert not made.events[EVENT].is_tradable(CLOSE_US)
    made.take_event(record(changed(status="determined", result="yes")), CLOSE_US)
    assert made.events[EVENT] in made.unread(CLOSE_US)
    final = changed(status="finalized", result="yes", expiration_value_usd_e6=119_600_000_000)
    made.take_event(record(final), CLOSE_US)
    assert made.events[EVENT] not in made.unread(CLOSE_US)
    assert only(made).markets[0].settlement_value_usd_e6 == 119_600_000_000
    made.advance(CLOSE_US + AHEAD_US + 1)
    assert EVENT in made.events  # The calendar still names it as the last one.
    made.advance(CLOSE_US + HOUR_US)
    assert EVENT not in made.events


def test_a_result_that_never_comes_is_not_waited_for_for_ever():
    """Two hours."""
    made = listing()
    made.advance(CLOSE_US + LONGEST_WAIT_US)
    made.advance(CLOSE_US + LONGEST_WAIT_US)
    assert EVENT in made.events
    made.advance(CLOSE_US + LONGEST_WAIT_US + 1)
    assert EVENT not in made.events


def test_an_event_that_never_existed_is_not_asked_for_again():
    """At a fresh start the last event is unknown to the exchange."""
    made = Listing(["KXBTCD"])
    made.advance(NOW_US)
    last = made.events["KXBTCD-25AUG0121"]
    assert last in made.unread(NOW_US)
    last.is_missing = True
    assert made.unread(NOW_US) == [made.events[EVENT]]


def test_the_opening_is_read_until_the_exchange_has_opened():
    """Before it, nothing is asked."""
    made = listing(changed(status="initialized"), now_us=OPEN_US - MINUTE_US)
    early = OPEN_US - SECOND_US
    assert made.events[EVENT] not in made.unread(early)
    assert made.events[EVENT] in made.unread(OPEN_US)
    made.take_event(record(MARKET), OPEN_US)
    assert made.events[EVENT] not in made.unread(OPEN_US)


def test_a_missing_strike_is_read_until_it_comes():
    """A quarter-hour market learns its strike when its window opens."""
    made = listing(changed(floor_strike_usd_e6=None, strike_type=""))
    assert only(made).markets[0].strike_usd_e6 is None
    assert made.events[EVENT] in made.unread(NOW_US)
    metadata = {"strike_type": "greater_or_equal", "floor_strike_usd_e6": 119_000_000_000}
    made.take_lifecycle(step("metadata_updated", **metadata))
    assert only(made).markets[0].strike_usd_e6 == 119_000_000_000
    assert made.events[EVENT] not in made.unread(NOW_US)


@pytest.mark.parametrize(
    ("said", "status", "result"),
    [
        (step("deactivated"), "inactive", ""),
        (step("activated"), "active", ""),
        (step("determined", result="no"), "determined", "no"),
        (step("settled", result="yes"), "finalized", "yes"),
        (step("something_new", result="maybe"), "active", ""),
    ],
)
def test_the_stream_moves_a_market_on(said, status, result):
    """At once, before REST says so."""
    made = listing()
    assert made.take_lifecycle(said) is made.events[EVENT]
    market = only(made).markets[0]
    assert (market.status, market.result) == (status, result)


def test_a_new_grid_is_told():
    """Prices off the grid are refused by the exchange."""
    made = listing()
    made.take_lifecycle(
        step("price_level_structure_updated", price_ranges=(PriceRange(0, 10_000, 10),))
    )
    assert only(made).markets[0].price_ranges[0].step_e4 == 10


def test_a_moved_close_is_refused_and_counted():
    """The event's name says when it closes; what else it may mean is not known."""
    made = listing()
    made.take_lifecycle(step("close_date_updated", close_us=CLOSE_US + 60))
    assert made.refused == {"close_moved": 1}


@pytest.mark.parametrize("ticker", ["KXNFL-1", "", "KXBTCD-25AUG0123-T1.00", "KXBTC-25AUG0122-B1"])
def test_other_markets_of_the_exchange_are_nothing_to_us(ticker):
    """The stream tells of all of them."""
    made = listing()
    said = msgspec.structs.replace(step("determined", result="no"), ticker=ticker)
    assert made.take_lifecycle(said) is None
    assert only(made).markets[0].result == ""
