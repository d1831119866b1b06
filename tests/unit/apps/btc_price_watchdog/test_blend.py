"""What several sources say of one symbol, as one update."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.adapters.kalshi.events import IndexSeen
from recio.adapters.price_feeds.feed import FeedTick
from recio.apps.btc_price_watchdog.app import price_body
from recio.apps.btc_price_watchdog.blend import FRESH_US, SymbolPrices
from recio.domain.units import MINUTE_US, SECOND_US

NOW = 1_780_000_020_000_000
USD = 1_000_000


def tick(source, dollars, at_us=NOW):
    """Return a venue's price."""
    return FeedTick(source, "BTC", round(dollars * USD), at_us, at_us)


def index(dollars, at_us=NOW, **more):
    """Return an index value."""
    fields = {
        "index_id": "BRTI",
        "value_usd_e6": round(dollars * USD),
        "at_us": at_us,
        "trailing_usd_e6": None,
        "window_usd_e6": None,
        "window_count": 0,
        "window_close_us": None,
    }
    return IndexSeen(**(fields | more))


def blend(*said, now_us=NOW):
    """Feed prices and return the update."""
    prices = SymbolPrices("paper", "BTC")
    for one in said:
        if isinstance(one, FeedTick):
            prices.take_tick(one)
        else:
            prices.take_index(one, one.at_us)
    return prices.update(now_us)


def test_nothing_heard_is_nothing():
    """Not a price of 0."""
    assert blend() is None


@pytest.mark.parametrize(
    ("dollars", "spot"),
    [([100], 100), ([100, 100.2], 100.1), ([100, 90, 101], 100), ([100, 100.2, 99, 150], 100.1)],
)
def test_spot_is_the_median_of_the_venues(dollars, spot):
    """One venue gone wild does not move it."""
    ticks = [tick(f"venue{number}", each) for number, each in enumerate(dollars)]
    assert blend(*ticks).spot_usd_e6 == round(spot * USD)


def test_two_venues_apart_need_the_index_to_tell_who_is_right():
    """Without it nobody knows."""
    ticks = (tick("a", 100), tick("b", 101))
    assert blend(*ticks).spot_usd_e6 is None
    assert blend(*ticks, index(100.9)).spot_usd_e6 == 101 * USD


def test_basis_is_spot_minus_index():
    """Both must be known."""
    update = blend(tick("a", 100), index(99.5))
    assert update.basis_usd_e6 == 500_000
    assert blend(tick("a", 100)).basis_usd_e6 is None


def test_what_is_too_old_is_unknown_and_its_source_is_shown_as_stale():
    """Staleness is explicit."""
    update = blend(tick("a", 100), index(99.5), now_us=NOW + FRESH_US + 1)
    assert (update.index_usd_e6, update.index_at_us) == (None, None)
    assert (update.spot_usd_e6, update.spot_at_us, update.basis_usd_e6) == (None, None, None)
    assert [state.is_fresh for state in update.sources] == [False]


def test_an_old_value_that_arrives_now_is_not_fresh():
    """The exchange may be late too."""
    prices = SymbolPrices("paper", "BTC")
    prices.take_index(index(100, NOW - FRESH_US - 1), NOW)
    assert prices.update(NOW).index_usd_e6 is None


def test_a_trade_of_long_ago_that_is_told_now_is_not_fresh():
    """A venue's first frame after connecting tells its last trade."""
    update = blend(FeedTick("a", "BTC", 99 * USD, NOW - FRESH_US - 1, NOW))
    assert (update.spot_usd_e6, update.sources[0].is_fresh) == (None, False)


def test_times_that_go_back_or_lie_ahead_are_refused_and_counted():
    """Clock jumps of a venue or of the exchange."""
    prices = SymbolPrices("paper", "BTC")
    assert prices.take_index(index(100), NOW)
    assert not prices.take_index(index(101), NOW)
    assert not prices.take_index(index(101, NOW + 60 * SECOND_US), NOW)
    prices.take_tick(tick("a", 100))
    prices.take_tick(tick("a", 99, NOW - 1))
    prices.take_tick(FeedTick("a", "BTC", 99 * USD, NOW + 3600 * SECOND_US, NOW))
    prices.take_tick(tick("a", 100, NOW + 1))
    assert prices.refused == 4
    assert prices.update(NOW).spot_usd_e6 == 100 * USD


def test_missing_seconds_are_counted_as_gap():
    """A value a little late or early is none."""
    prices = SymbolPrices("paper", "BTC")
    for seconds in (0, 1.02, 1.98, 3, 7):
        at_us = NOW + round(seconds * SECOND_US)
        prices.take_index(index(100, at_us), at_us)
    assert prices.gaps == 3


def test_the_settlement_window_is_handed_on():
    """The running mean and its count."""
    update = blend(index(100, window_usd_e6=99, window_count=7, window_close_us=NOW + 9))
    assert (update.window_average_usd_e6, update.window_count) == (99, 7)
    assert update.window_close_us == NOW + 9


def test_seconds_are_stored_once_without_filling():
    """A second without a price has no row; spot and index share one."""
    prices = SymbolPrices("paper", "BTC")
    prices.take_index(index(100), NOW)
    prices.take_tick(tick("a", 101, NOW + 300_000))
    prices.take_tick(tick("a", 102, NOW + 2 * SECOND_US))
    assert prices.drain_seconds(NOW + 2 * SECOND_US) == [("BTC", NOW, 100 * USD, 101 * USD)]
    assert prices.drain_seconds(NOW + 9 * SECOND_US) == [
        ("BTC", NOW + 2 * SECOND_US, None, 102 * USD)
    ]


END = NOW // MINUTE_US * MINUTE_US + MINUTE_US


@pytest.mark.parametrize(
    ("offsets", "closes"),
    [
        ((-1, 0, 1), [0]),
        ((-2, -1, 1), [-1]),
        ((-30, 1), []),
        ((0, 60, 61), [0, 60]),
    ],
)
def test_a_minute_closes_at_the_last_price_at_or_before_its_end(offsets, closes):
    """One without a price in its last five seconds has no close."""
    prices = SymbolPrices("paper", "BTC")
    for offset in offsets:
        at_us = END + offset * SECOND_US
        prices.take_index(index(1000 + offset, at_us), at_us)
    found = prices.drain_minutes()
    assert [close for _, _, close, _ in found] == [(1000 + each) * USD for each in closes]
    assert all(at_us % MINUTE_US == 0 and source == "index" for _, at_us, _, source in found)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 10**6), st.integers(0, 20))))
def test_spot_lies_between_the_fresh_venues(said):
    """Whatever comes, in whatever order."""
    prices = SymbolPrices("paper", "BTC")
    now_us = NOW
    for source, dollars, seconds in said:
        now_us += seconds * SECOND_US
        prices.take_tick(tick(source, dollars, now_us))
        update = prices.update(now_us)
        fresh = [state.price_usd_e6 for state in update.sources if state.is_fresh]
        if update.spot_usd_e6 is not None:
            assert min(fresh) <= update.spot_usd_e6 <= max(fresh)


def test_the_answer_to_btc_price_tells_source_and_age():
    """The index first, spot where there is none, nothing where nothing is known."""
    said = json.loads(price_body(blend(tick("a", 100), index(99.5)), NOW + 1_500_000))
    assert (said["price"], said["source"], said["age_ms"]) == (99.5, "index", 1500)
    said = json.loads(price_body(blend(tick("a", 100)), NOW))
    assert (said["price"], said["source"]) == (100.0, "spot")
    assert price_body(blend(tick("a", 100), now_us=NOW + 60 * SECOND_US), NOW) is None
