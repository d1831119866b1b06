"""Which events exist when, under which names, and how they settle."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.data import minutes
from recio.domain import tickers
from recio.domain.units import HOUR_US, SECOND_US, parse_time_us
from recio.exchange_simulator.world import listings
from recio.exchange_simulator.world.prices import SimulatedPrices


def at(text: str) -> int:
    """Return a time written with its zone in microseconds."""
    return int(parse_time_us(text))


class Steady:
    """Prices that always are $60,000, in any year."""

    symbol, index_id, start_s, end_s = "BTC", "BRTI", 0, 1 << 40

    def index(self, _second: int) -> int | None:
        """Return the price."""
        return 6_000_000

    def bar(self, _minute_s: int) -> tuple[int, int, int, int] | None:
        """Return a minute without movement."""
        return (6_000_000,) * 4

    def venues(self) -> tuple[str, ...]:
        """Return no venue."""
        return ()

    def spot(self, _venue: str, _second: int) -> int | None:
        """Return nothing."""
        return None

    def minute(self, _venue: str, _minute_s: int) -> tuple[int, int, int, int] | None:
        """Return nothing."""
        return None


def closes_of(series: str, start: str, end: str) -> list[int]:
    """Return the closes that come up while the clock goes from ``start`` to ``end``."""

    def seen() -> Iterator[int]:
        for now_us in range(at(start), at(end), HOUR_US // 4):
            for name, close_us in listings.closes_due(Steady(), now_us):
                if name == series and close_us <= at(end):
                    yield close_us

    return sorted(set(seen()))


def test_two_hourly_events_and_five_windows_exist_at_any_time() -> None:
    """At 13:48 New York: the event of 14:00 runs, the one of 15:00 is listed."""
    due = list(listings.closes_due(Steady(), at("2024-07-30T13:48:00-04:00")))
    names = [tickers.format_event(series, close_us) for series, close_us in due]
    assert names == [
        "KXBTCD-24JUL3014",
        "KXBTCD-24JUL3015",
        "KXBTC15M-24JUL301400",
        "KXBTC15M-24JUL301415",
        "KXBTC15M-24JUL301430",
        "KXBTC15M-24JUL301445",
        "KXBTC15M-24JUL301500",
    ]


def test_ladder_is_named_as_the_exchange_does() -> None:
    """Floor strikes end in .99, steps are $250, the price is in the middle."""
    spec = listings.event_spec("KXBTCD", Steady(), at("2024-07-30T14:00:00-04:00"))
    assert spec is not None
    assert len(spec.markets) == 40
    assert spec.markets[20].ticker == "KXBTCD-24JUL3014-T59999.99"
    assert spec.markets[20].yes_sub_title == "$60,000 or above"
    assert spec.open_us == spec.close_us - HOUR_US
    assert spec.price_level_structure == "linear_cent"
    for market in spec.markets:
        assert tickers.parse_market(market.ticker).strike_usd_e6 == market.floor_strike_usd_e6
        assert market.strike_type == "greater"


@given(st.integers(5_000_00, 150_000_00))
def test_ladder_has_equal_steps_around_any_price(price: int) -> None:
    """One step everywhere, and strikes on both sides of the price."""
    strikes = listings.ladder_strikes(price)
    steps = {b - a for a, b in pairwise(strikes)}
    assert len(steps) == 1
    assert strikes[0] < price < strikes[-1]
    if price >= 40_000_00:
        assert steps == {250_00}


def test_window_has_no_strike_until_it_opens() -> None:
    """Before the opening the target is to be determined."""
    spec = listings.event_spec("KXBTC15M", Steady(), at("2024-07-30T14:15:00-04:00"))
    assert spec is not None
    assert spec.event_ticker == "KXBTC15M-24JUL301415"
    (market,) = spec.markets
    assert (market.floor_strike_usd_e6, market.strike_type) == (None, None)
    assert market.yes_sub_title == "Target price: TBD"
    assert spec.open_us == at("2024-07-30T14:00:00-04:00")
    assert spec.price_level_structure == "tapered_deci_cent"
    assert listings.target_words(6_344_103) == "Target Price: $63,441.03"


def test_day_of_25_hours_leaves_out_the_hour_without_a_name() -> None:
    """6 November 2022: two hours are called 01; only the first one has events."""
    closes = closes_of("KXBTCD", "2022-11-06T00:00:00-04:00", "2022-11-07T00:00:00-05:00")
    names = [tickers.format_event("KXBTCD", close_us) for close_us in closes]
    assert len(names) == len(set(names)) == 24
    assert at("2022-11-06T01:00:00-04:00") in closes
    assert at("2022-11-06T01:00:00-05:00") not in closes
    windows = closes_of("KXBTC15M", "2022-11-06T00:00:00-04:00", "2022-11-07T00:00:00-05:00")
    assert len(windows) == 96


def test_day_of_23_hours_has_23_events() -> None:
    """10 March 2024: there is no 02."""
    closes = closes_of("KXBTCD", "2024-03-10T00:00:00-05:00", "2024-03-11T00:00:00-04:00")
    names = [tickers.format_event("KXBTCD", close_us) for close_us in closes]
    assert len(names) == len(set(names)) == 23
    assert "KXBTCD-24MAR1002" not in names
    assert "KXBTCD-24MAR1003" in names


def test_nothing_is_listed_that_cannot_settle() -> None:
    """An event that closes after the recording's end does not exist."""
    prices = SimulatedPrices(minutes.load("btc_minutes_2024q3"))
    end_us = prices.end_s * SECOND_US
    due = [close_us for _, close_us in listings.closes_due(prices, end_us - HOUR_US)]
    assert due
    assert max(due) < end_us


def test_settlement_is_the_mean_of_the_sixty_seconds_up_to_the_close() -> None:
    """The second that opens the window is out, the closing one in; halves are rounded up."""
    prices = SimulatedPrices(minutes.load("btc_minutes_2024q3"))
    close_s = at("2024-07-30T14:00:00-04:00") // SECOND_US
    values = [prices.index(second) for second in range(close_s - 59, close_s + 1)]
    known = [value for value in values if value is not None]
    assert len(known) == 60
    assert listings.settlement_cents(prices, close_s) == round(sum(known) / 60 + 1e-9)
    assert listings.mean_cents([1, 2]) == 2
    assert listings.mean_cents([]) is None
    assert listings.settlement_cents(prices, prices.end_s + 100) is None
    assert listings.value_words(8_028_568) == "80285.68"


def test_ties_settle_by_the_kind_of_strike() -> None:
    """At the floor a ladder market loses and a 15-minute market wins."""
    assert not listings.is_yes("greater", 119_499_990_000, 11_949_999)
    assert listings.is_yes("greater", 119_499_990_000, 11_950_000)
    assert listings.is_yes("greater_or_equal", 80_193_520_000, 8_019_352)
    assert not listings.is_yes("greater_or_equal", 80_193_520_000, 8_019_351)


def test_determinations_come_when_recorded_ones_did() -> None:
    """Fifteen-minute markets within half a minute, ladders within one and a half minutes."""
    for day in range(50):
        close_us = day * HOUR_US
        window = listings.determination_us(f"KXBTC15M-{day}", close_us, 0) - close_us
        ladder = listings.determination_us(f"KXBTCD-{day}", close_us, 0) - close_us
        assert 5 * SECOND_US <= window <= 24 * SECOND_US
        assert 60 * SECOND_US <= ladder <= 90 * SECOND_US


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-08-01T02:59:59-04:00", False),
        ("2024-08-01T03:00:00-04:00", True),
        ("2024-08-01T04:59:59-04:00", True),
        ("2024-08-01T05:00:00-04:00", False),
        ("2024-12-26T03:30:00-05:00", True),
        ("2024-12-26T03:30:00-04:00", False),
        ("2024-07-30T13:48:00-04:00", False),
    ],
)
def test_pause_follows_new_york(text: str, expected: bool) -> None:  # noqa: FBT001 (a table's value)
    """Thursdays three to five in New York, summer and winter."""
    assert listings.is_paused(at(text)) is expected
