"""Seasonal factors: the calendar's own clock, and running sums that equal plain ones."""

from __future__ import annotations

from functools import lru_cache

import msgspec
import pytest

from recio import data
from recio.domain.errors import InvalidValue
from recio.domain.seasonality import Season, check, factor, moment
from recio.domain.units import MINUTE_US, parse_time_us
from recio.domain.volatility_model import VolatilityModel


@lru_cache(maxsize=1)
def tables():
    """Return the packaged tables."""
    return VolatilityModel(data.volatility_bytes("btc")).parameters.season


def minute(text):
    """Return the number of a minute."""
    return parse_time_us(text) // MINUTE_US


def test_new_yorks_clock_changes_and_utcs_does_not():
    """13:30 UTC is 9:30 in New York in summer and 8:30 in winter."""
    assert moment(minute("2024-07-10T13:30:00Z")).ny_minute == 570
    assert moment(minute("2024-01-10T13:30:00Z")).ny_minute == 510
    assert moment(minute("2024-01-10T03:00:00Z")).ny_day == 1
    assert moment(minute("2024-01-10T03:00:00Z")).utc_day == 2


def test_the_stock_exchanges_opening_is_wilder_than_the_night():
    """Wednesday 9:30 against 3:00 in New York; a Saturday's morning is calm."""
    opening = factor(tables(), minute("2024-07-10T13:30:00Z"))

    assert opening > 2 * factor(tables(), minute("2024-07-10T07:00:00Z"))
    assert opening > 2 * factor(tables(), minute("2024-07-13T13:30:00Z"))


def test_a_weeks_factors_are_about_one_in_the_mean():
    """They multiply a level; they are none."""
    first = minute("2024-07-08T00:00:00Z")
    mean = Season(tables()).total(first, first + 10_080) / 10_080

    assert mean == pytest.approx(1.0, abs=0.1)
    assert all(0.1 < factor(tables(), first + each) < 20 for each in range(0, 10_080, 7))


def test_sums_do_not_depend_on_the_order_of_questions():
    """Backwards, far ahead, and back again."""
    first = minute("2024-07-08T00:00:00Z")
    season, plain = Season(tables()), sum(factor(tables(), first + k) for k in range(30))
    assert season.total(first + 500, first + 600) > 0
    assert season.total(first, first + 30) == pytest.approx(plain)
    assert season.total(first + 40_000, first + 40_001) == season.of(first + 40_000)
    assert season.total(first, first + 30) == pytest.approx(plain)
    assert season.of(first) == factor(tables(), first)


def test_tables_of_another_length_are_refused():
    """Named, not guessed."""
    with pytest.raises(InvalidValue, match="minute_of_hour"):
        check(msgspec.structs.replace(tables(), minute_of_hour=(0.0,) * 59))
    with pytest.raises(InvalidValue, match="events"):
        check(msgspec.structs.replace(tables(), events=((0.0,),)))
