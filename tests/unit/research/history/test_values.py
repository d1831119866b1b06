"""Numbers and times of other people's files."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain.errors import InvalidValue
from recio.research.history import values
from recio.research.history.refusals import Refused
from recio.research.history.values import Times, contract_unit, price_e4, scaled

LATEST_US = 1_800_000_000_000_000
AT_US = 1_704_067_200_000_000


@given(st.integers(0, 10**14), st.integers(0, 6))
def test_a_decimal_is_read_exactly(number, places):
    """However many of its places are written."""
    text = str(Decimal(number).scaleb(-places))
    assert scaled(text, 6) == number * 10 ** (6 - places)
    assert scaled(f" {text} ", 6) == number * 10 ** (6 - places)


@pytest.mark.parametrize(
    ("text", "value"), [("1e-05", 10), ("46216.9300000000001", 46_216_930_000), ("1E3", 10**9)]
)
def test_what_programs_write_of_their_floats_is_read(text, value):
    """Rounded where there are more places than a millionth."""
    assert scaled(text, 6) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "NaN",
        "nan",
        "inf",
        "-inf",
        "None",
        "1,5",
        "0x10",
        "1_000",
        "1e999999999",
        "٣",
        "--5",
    ],
)
def test_what_is_no_number_is_refused(text):
    """Never a zero in its place."""
    with pytest.raises(Refused, match="not a number"):
        values.usd_e6(text)


@pytest.mark.parametrize("text", ["0", "-1", "100000000", "0.0000001"])
def test_a_price_is_above_nothing_and_below_the_absurd(text):
    """A price of zero is a price that is missing."""
    with pytest.raises(Refused, match="price not between"):
        values.usd_e6(text)


@pytest.mark.parametrize(
    "text",
    ["1704067200", "1704067200.0", "1704067200000", "1704067200000000", "1704067200000000000",
     "2024-01-01T00:00:00Z", "2024-01-01 00:00:00+00:00", "2023-12-31T19:00:00-05:00",
     "2024-01-01 00:00:00 UTC"],
)  # fmt: skip
def test_a_moment_is_the_same_however_it_is_written(text):
    """Ten digits are seconds, thirteen milliseconds, and so on."""
    assert Times("", latest_us=LATEST_US)(text) == AT_US


def test_a_column_s_name_binds_its_unit():
    """Seconds in a column called ts_ms are a mistake of somebody."""
    assert values.time_unit("ts_ms") == "ms"
    with pytest.raises(Refused, match="time in another unit"):
        Times("ms", latest_us=LATEST_US)("1704067200")


def test_a_file_does_not_change_its_unit():
    """Half of it in another one would be half a file at the wrong time."""
    times = Times("", latest_us=LATEST_US)
    times("1704067200")
    for text in ("1704067260000", "2024-01-01T00:02:00Z"):
        with pytest.raises(Refused, match="time in another unit"):
            times(text)


@pytest.mark.parametrize(
    ("columns", "seen", "unit"),
    [
        (["yes_bid_cents"], ["1"], "cents"),
        (["yes_price_dollars"], ["1"], "dollars"),
        (["yes_bid"], ["0.56", "1"], "dollars"),
        (["yes_bid"], ["0", "1", "56"], "cents"),
    ],
)
def test_dollars_and_cents_are_told_apart_by_name_or_by_value(columns, seen, unit):
    """A point, or a number above one, leaves no doubt."""
    assert contract_unit(columns, seen) == unit


def test_where_both_fit_a_person_has_to_say():
    """Zeros and ones could be either."""
    with pytest.raises(InvalidValue, match="--prices dollars or --prices cents"):
        contract_unit(["yes_bid"], ["0", "1", ""])


def test_a_contract_s_price_fits_its_unit():
    """Or the row is refused under the unit that was decided on."""
    assert (price_e4("0.5600", "dollars"), price_e4("56", "cents")) == (5600, 5600)
    with pytest.raises(Refused, match="read as dollars"):
        price_e4("56", "dollars")
