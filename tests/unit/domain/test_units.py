"""Exact units: what is parsed, what is refused, and that writing and reading agree."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain import units
from recio.domain.errors import InvalidValue

NOT_DECIMALS = [
    "",
    " ",
    "NaN",
    "nan",
    "Infinity",
    "-inf",
    "1e5",
    "1E-2",
    ".5",
    "5.",
    "+1",
    "--1",
    "1,000",
    "1_000",
    " 1",
    "1\n",
    "0x10",
    "\N{ARABIC-INDIC DIGIT ZERO}.5",
    "\N{FULLWIDTH DIGIT ZERO}.5",
    "½",
    "1.2.3",
    "1" * 16,
    None,
    1,
    0.5,
    b"0.5",
]


@pytest.mark.parametrize("text", NOT_DECIMALS)
@pytest.mark.parametrize(
    "parse",
    [
        lambda text: units.parse_scaled(text, 4),
        units.parse_price_e4,
        units.parse_qty_e2,
        units.parse_usd_e6,
        units.round_usd_e6,
    ],
)
def test_what_is_no_plain_decimal_is_refused(parse, text):
    """Exponents, NaN, other scripts' digits, spaces and floats are nobody's money."""
    with pytest.raises(InvalidValue):
        parse(text)


@pytest.mark.parametrize(
    ("text", "places"), [("0.12345", 4), ("1.001", 2), ("0.0000001", 6), ("1.5", 0)]
)
def test_too_many_decimals_are_refused(text, places):
    """Parsing never rounds."""
    with pytest.raises(InvalidValue, match="decimal places"):
        units.parse_scaled(text, places)


def test_zeros_below_the_last_place_are_no_digits():
    """The exchange writes more zeros than a price has places."""
    assert units.parse_scaled("0.560000", 4) == 5600
    assert units.parse_qty_e2("-12.5000") == -1250


def test_a_minus_zero_is_zero():
    """There is one zero."""
    assert units.parse_usd_e6("-0.000000") == 0


@pytest.mark.parametrize("text", ["1.0001", "-0.0001", "2", "-1"])
def test_a_contract_price_lies_between_zero_and_one_dollar(text):
    """A contract pays at most a dollar."""
    with pytest.raises(InvalidValue, match="between 0 and 1"):
        units.parse_price_e4(text)


@pytest.mark.parametrize(("text", "price_e4"), [("0", 0), ("1.0000", 10_000), ("0.9605", 9605)])
def test_prices_are_ten_thousandths(text, price_e4):
    """Both ends are prices, if not tradable ones."""
    assert units.parse_price_e4(text) == price_e4


@given(st.integers(-(10**14), 10**14), st.integers(0, 9))
def test_what_is_written_reads_the_same(value, places):
    """Format and parse are inverses."""
    assert units.parse_scaled(units.format_scaled(value, places), places) == value


@given(st.integers(-(10**12), 10**12), st.integers(0, 6), st.integers(0, 9))
def test_shown_places_are_exact_or_refused(value, places, shown):
    """A number is never shown rounded."""
    try:
        text = units.format_scaled(value, places, shown=shown)
    except InvalidValue:
        assert value % 10 ** (places - shown)
    else:
        assert units.parse_scaled(text, max(places, shown)) == value * 10 ** max(shown - places, 0)
        assert len(text.partition(".")[2]) == shown


@given(st.integers(-(10**14), 10**14))
def test_index_values_that_fit_are_not_rounded(value):
    """Rounding is only for what is finer than a micro-dollar."""
    assert units.round_usd_e6(units.format_scaled(value, 6)) == value


@pytest.mark.parametrize(
    ("text", "usd_e6"),
    [
        ("0.0000005", 0),
        ("0.0000015", 2),
        ("0.0000025", 2),
        ("0.00000250001", 3),
        ("-0.0000015", -2),
        ("80193.520000499", 80_193_520_000),
    ],
)
def test_index_values_are_rounded_half_to_even(text, usd_e6):
    """So that many roundings do not lean to one side."""
    assert units.round_usd_e6(text) == usd_e6


@given(st.integers(0, 10_000), st.integers(0, 10**9))
def test_price_times_quantity_is_money(price_e4, qty_e2):
    """1e-4 dollar times 1e-2 contract is 1e-6 dollar, exactly."""
    assert units.cost_usd_e6(price_e4, qty_e2) == price_e4 * qty_e2


@given(st.integers(-(10**15), 4 * 10**15))
def test_times_survive_the_way_through_text(at_us):
    """Microseconds are kept, whatever the century."""
    text = units.format_time_us(at_us)

    assert text.endswith("Z")
    assert units.parse_time_us(text) == at_us
    assert units.time_us(units.as_datetime(at_us)) == at_us


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T09:00:00+00:00",
        "2026-11-21T10:00:00+01:00",
        "2026-11-21T04:00:00.000000-05:00",
        "2026-11-21T09:00:00.0000009Z",
    ],
)
def test_one_moment_has_many_spellings(text):
    """Zones are honoured; what is finer than a microsecond is cut off."""
    assert units.as_datetime(units.parse_time_us(text)) == datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-21T09:00:00",
        "2026-11-21",
        "2026-13-01T00:00:00Z",
        "2026-11-21T25:00:00Z",
        "2026-11-21T09:00:61Z",
        "\N{FULLWIDTH DIGIT TWO}026-11-21T09:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        None,
        1_764_000_000,
    ],
)
def test_what_is_no_moment_is_refused(text):
    """Without a zone nobody knows when; outside the calendar there is no when."""
    with pytest.raises(InvalidValue):
        units.parse_time_us(text)


def test_the_scales_are_these():
    """Everything else is counted in them."""
    assert (units.PRICE_ONE_E4, units.CONTRACT_E2, units.CENT_E6) == (10_000, 100, 10_000)
    assert (units.USD_E6, units.P_ONE_E6, units.SECOND_US) == (1_000_000,) * 3
    assert (units.MINUTE_US, units.HOUR_US) == (60_000_000, 3_600_000_000)


def test_numbers_are_read_with_and_without_a_fraction():
    """A whole number of dollars is one, whatever the scale."""
    assert units.parse_scaled("5", 0) == 5
    assert units.parse_usd_e6("1.5") == 1_500_000
    assert units.parse_usd_e6("0.000001") == 1
    assert units.round_usd_e6("5") == 5_000_000
    assert units.round_usd_e6("-0.0000015") == -2


def test_numbers_are_written_with_as_many_places_as_wished():
    """Exactly, below zero too; zero has no sign."""
    assert units.format_scaled(0, 2) == "0.00"
    assert units.format_scaled(-150, 2, shown=1) == "-1.5"
    assert units.format_scaled(150, 2, shown=1) == "1.5"
    assert units.format_scaled(-1_230_000, 6, shown=2) == "-1.23"
    for value in (151, -151, -101, 109):
        with pytest.raises(InvalidValue):
            units.format_scaled(value, 2, shown=1)
