"""Names of events and markets, and New York time inside them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain import tickers
from recio.domain.errors import InvalidValue
from recio.domain.tickers import SERIES, EventTicker
from recio.domain.units import HOUR_US, time_us


def at(text: str) -> int:
    """Return a UTC time."""
    return time_us(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("ticker", "series", "close"),
    [
        ("KXBTCD-25AUG0122", "KXBTCD", "2025-08-02T02:00:00"),
        ("KXBTCD-26AUG1717", "KXBTCD", "2026-08-17T21:00:00"),
        ("KXBTCD-25AUG0200", "KXBTCD", "2025-08-02T04:00:00"),
        ("KXBTC15M-26MAY130915", "KXBTC15M", "2026-05-13T13:15:00"),
        ("KXBTC15M-26AUG170100", "KXBTC15M", "2026-08-17T05:00:00"),
        ("KXETHD-26JAN0512", "KXETHD", "2026-01-05T17:00:00"),
    ],
)
def test_event_tickers_name_new_york_closes(ticker, series, close):
    """The hour in a ticker is New York's, the year comes first."""
    assert tickers.parse_event(ticker) == EventTicker(series, at(close))
    assert tickers.format_event(series, at(close)) == ticker


def test_market_ticker_carries_the_floor_strike():
    """KXBTCD markets are named by their floor strike, a cent under what people say."""
    market = tickers.parse_market("KXBTCD-26AUG1717-T72749.99")

    assert market.strike_usd_e6 == 72_749_990_000
    assert tickers.displayed_strike_usd_e6(market.strike_usd_e6) == 72_750_000_000
    assert market.event_ticker == "KXBTCD-26AUG1717"
    assert tickers.format_market(market.event_ticker, market.strike_usd_e6).endswith("-T72749.99")


def test_quarter_hour_market_repeats_its_minute():
    """A 15-minute market has no strike in its name."""
    market = tickers.parse_market("KXBTC15M-26AUG170100-00")

    assert (market.strike_usd_e6, market.close_us) == (None, at("2026-08-17T05:00:00"))
    assert tickers.format_market("KXBTC15M-26AUG170100") == "KXBTC15M-26AUG170100-00"


@pytest.mark.parametrize(
    "ticker",
    [
        "", "KXBTCD", "KXBTCD-25AUG01", "KXBTCD-25AUG0124", "KXBTCD-25AUG3222", "KXBTCD-25XXX0122",
        "kxbtcd-25AUG0122", "KXBTCD-25AUG012200", "KXBTC15M-26MAY1309", "KXBTC15M-26MAY130907",
        "KXSOLD-25AUG0122", "KXBTCD-25FEB2912", "KXBTCD-\u0662\u0665AUG0122", "KXBTCD-25AUG0122\n",
    ],
)  # fmt: skip
def test_strange_event_tickers_are_refused(ticker):
    """What is not of the grammar is refused, never guessed."""
    with pytest.raises(InvalidValue):
        tickers.parse_event(ticker)


@pytest.mark.parametrize(
    "ticker",
    [
        "KXBTCD-25AUG0122", "KXBTCD-25AUG0122-B119500", "KXBTCD-25AUG0122-T",
        "KXBTCD-25AUG0122-T-5", "KXBTCD-25AUG0122-T1.999", "KXBTCD-25AUG0122-TNaN",
        "KXBTC15M-26MAY130915-30", "KXBTC15M-26MAY130915-T1.00", "-", "",
    ],
)  # fmt: skip
def test_strange_market_tickers_are_refused(ticker):
    """Range markets and nonsense are refused."""
    with pytest.raises(InvalidValue):
        tickers.parse_market(ticker)


def test_hour_that_spring_skips_does_not_exist():
    """On 8 March 2026 New York goes from 01:59 to 03:00."""
    with pytest.raises(InvalidValue):
        tickers.parse_event("KXBTCD-26MAR0802")
    assert tickers.parse_event("KXBTCD-26MAR0803").close_us == at("2026-03-08T07:00:00")


def test_hour_that_autumn_repeats_means_the_first_one():
    """On 1 November 2026 01:00 occurs at 05:00 and at 06:00 UTC; only the first has a name."""
    first, second = at("2026-11-01T05:00:00"), at("2026-11-01T06:00:00")

    assert tickers.parse_event("KXBTCD-26NOV0101").close_us == first
    assert tickers.parse_event("KXBTCD-26NOV0101", second).close_us == second
    assert tickers.format_event("KXBTCD", first) == "KXBTCD-26NOV0101"
    with pytest.raises(InvalidValue):
        tickers.format_event("KXBTCD", second)


@pytest.mark.parametrize(
    ("day", "hours", "closes"),
    [("2026-03-08", 23, 23), ("2026-07-01", 24, 24), ("2026-11-01", 25, 24)],
)
def test_days_of_23_and_25_hours(day, hours, closes):
    """Days follow New York; the repeated hour has no event."""
    noon = at(f"{day}T16:00:00")
    start, end = tickers.new_york_day_start_us(noon), tickers.new_york_day_end_us(noon)

    assert (end - start) // HOUR_US == hours
    assert len(list(tickers.closes_between("KXBTCD", start, end))) == closes


def test_titles_say_the_new_york_hour():
    """Titles and labels are what the trader reads."""
    assert tickers.event_title(tickers.parse_event("KXBTCD-25AUG0117")) == "BTC price today at 5pm?"
    assert tickers.contract_label(tickers.parse_event("KXBTCD-25AUG0200")) == "BTC 12am"
    assert tickers.contract_label(tickers.parse_event("KXETH15M-26MAY130915")) == "ETH 9:15am"


@given(st.sampled_from(sorted(SERIES)), st.integers(0, 15 * 365 * 24 * 4))
def test_event_tickers_round_trip(series, step):
    """Every close that has a name comes back from it."""
    cadence_us = SERIES[series].cadence_seconds * 1_000_000
    close_us = at("2020-01-01T00:00:00") + step * cadence_us
    try:
        ticker = tickers.format_event(series, close_us)
    except InvalidValue:
        assert close_us not in set(tickers.closes_between(series, close_us - 1, close_us))
    else:
        assert tickers.parse_event(ticker) == EventTicker(series, close_us)


@given(st.text(max_size=40))
def test_parsers_refuse_any_other_text(text):
    """Nothing but InvalidValue comes out of bad text."""
    for parse in (tickers.parse_event, tickers.parse_market):
        with pytest.raises(InvalidValue):
            parse(text)


@given(st.integers(1, 10**9))
def test_market_tickers_round_trip(cents):
    """A ladder's strike in cents comes back from its name."""
    ticker = tickers.format_market("KXBTCD-25AUG0122", cents * 10_000)

    assert tickers.parse_market(ticker).strike_usd_e6 == cents * 10_000
