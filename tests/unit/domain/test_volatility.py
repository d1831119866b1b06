"""The running state of the volatility model: unknown until enough was seen, then near the truth."""

from __future__ import annotations

import random  # noqa: TID251  # seeded: the same walk each time
from functools import lru_cache
from math import exp, log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio import data
from recio.domain.units import MINUTE_US, SECOND_US
from recio.domain.volatility import Volatility
from recio.domain.volatility_model import VolatilityModel

START = 1_754_100_000 * SECOND_US
PRICE = 100_000_000_000
AHEAD_US = 15 * MINUTE_US
SECONDS = 860.5


@lru_cache(maxsize=1)
def model():
    """Return the packaged model."""
    return VolatilityModel(data.volatility_bytes("btc"))


def fresh():
    """Return a state without knowledge."""
    return Volatility(model())


def walk(volatility, seconds, deviation, *, step_s=1, start_us=START, seed=3):
    """Feed a geometric walk from the start to the last second, both included."""
    chance = random.Random(seed)
    level = 0.0
    for second in range(0, seconds + 1, step_s):
        volatility.add(start_us + second * SECOND_US, round(PRICE * exp(level)))
        level += chance.gauss(0, deviation * step_s**0.5)
    return start_us + seconds * SECOND_US


def spread(volatility, at_us):
    """Return what is foretold for a close a quarter of an hour later."""
    return volatility.spread(at_us, at_us + AHEAD_US, SECONDS)


def per_second(volatility, at_us):
    """Return the deviation of one second's return."""
    found = spread(volatility, at_us)
    return None if found is None else sqrt(found.variance / SECONDS)


@pytest.mark.parametrize("step_s", [1, 60])
def test_it_finds_the_order_of_a_walks_deviation(step_s):
    """A walk has neither seasons nor tails, which the model expects: within two fifths."""
    volatility = fresh()
    at_us = walk(volatility, 12 * 3600, 9e-5, step_s=step_s)

    assert per_second(volatility, at_us) == pytest.approx(9e-5, rel=0.4)


def test_a_wilder_price_spreads_wider():
    """Three times the deviation, clearly more than twice the spread."""
    calm, wild = fresh(), fresh()
    at_us = walk(calm, 6 * 3600, 5e-5, step_s=60)
    walk(wild, 6 * 3600, 15e-5, step_s=60)

    assert spread(wild, at_us).scale > 2 * spread(calm, at_us).scale


def test_unknown_until_a_quarter_of_an_hour_was_seen():
    """A few returns are no estimate."""
    volatility = fresh()
    at_us = walk(volatility, 899, 9e-5)
    assert spread(volatility, at_us) is None

    at_us = walk(volatility, 60, 9e-5, start_us=START + 900 * SECOND_US)
    assert spread(volatility, at_us) is not None


def test_a_price_that_does_not_move_gives_no_volatility():
    """Zero deviation would be certainty: it is unknown instead."""
    volatility = fresh()
    at_us = walk(volatility, 3600, 0.0)

    assert spread(volatility, at_us) is None


def test_a_long_gap_makes_it_unknown_again():
    """Over ten minutes without a price; a quarter of an hour later it knows again."""
    volatility = fresh()
    at_us = walk(volatility, 3600, 9e-5) + 12 * MINUTE_US
    volatility.add(at_us, PRICE)
    assert spread(volatility, at_us) is None

    at_us = walk(volatility, 16 * 60, 9e-5, start_us=at_us)
    assert spread(volatility, at_us) is not None


def test_a_short_gap_is_spread_over_its_minutes():
    """Five minutes without a price: known, and a move over the gap widens."""
    quiet, moved = fresh(), fresh()
    at_us = walk(quiet, 3600, 5e-5)
    walk(moved, 3600, 5e-5)
    last = at_us + 5 * MINUTE_US
    quiet.add(last, PRICE)
    moved.add(last, round(PRICE * 1.02))

    assert spread(moved, last).scale > spread(quiet, last).scale > 0


def test_a_jump_inside_a_minute_widens_before_the_minute_ends():
    """Half a percent, twenty seconds after the minute began."""
    volatility = fresh()
    at_us = walk(volatility, 3600, 5e-5)
    before = spread(volatility, at_us).scale
    jumped = at_us + 20 * SECOND_US
    volatility.add(jumped, round(PRICE * 1.01))

    assert spread(volatility, jumped).scale > 1.1 * before


def test_seconds_and_minute_closes_agree_at_the_end_of_a_minute():
    """Only the last price of a minute stays: the same closes give the same spread."""
    chance, seconds, minutes, level = random.Random(5), fresh(), fresh(), 0.0
    for second in range(2 * 3600 + 1):
        price = round(PRICE * exp(level))
        seconds.add(START + second * SECOND_US, price)
        if second % 60 == 0:
            minutes.add(START + second * SECOND_US, price)
        level += chance.gauss(0, 8e-5)
    at_us = START + 7200 * SECOND_US

    assert spread(seconds, at_us) == spread(minutes, at_us)


def test_impossible_and_older_prices_are_left_out():
    """Zero and negative prices have no logarithm; the past is not written again."""
    volatility, other = fresh(), fresh()
    at_us = walk(volatility, 3600, 9e-5)
    walk(other, 3600, 9e-5)
    other.add(at_us + SECOND_US, 0)
    other.add(at_us + SECOND_US, -1)
    other.add(at_us - MINUTE_US, 2 * PRICE)

    assert spread(volatility, at_us) == spread(other, at_us)


def test_more_time_is_more_spread():
    """From the last seconds to two days."""
    volatility = fresh()
    at_us = walk(volatility, 3600, 9e-5)
    scales = []
    for left in (5, 30, 60, 180, 600, 3600, 7200, 2 * 86_400):
        seconds = left - 39.5 if left >= 60 else left**3 / 3 / 3600 + 0.01
        scales.append(volatility.spread(at_us, at_us + left * SECOND_US, seconds).scale)

    assert scales == sorted(scales)


def test_nothing_is_foretold_of_a_close_that_is_over():
    """The close itself is the end."""
    volatility = fresh()
    at_us = walk(volatility, 3600, 9e-5)

    assert volatility.spread(at_us, at_us, 0.0) is None


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(-50, 50)), max_size=60))
def test_whatever_comes_it_is_unknown_or_positive_and_finite(script):
    """Gaps, jumps and repetitions never make a wrong number."""
    volatility = fresh()
    at_us = walk(volatility, 1200, 9e-5, step_s=20)
    level = 0.0
    for wait_s, bp in script:
        at_us += wait_s * SECOND_US
        level += bp / 10_000
        volatility.add(at_us, round(PRICE * exp(level)))
        found = spread(volatility, at_us)
        assert found is None or (0 < found.scale < 1 and 2 < found.freedom < 60)
        assert found is None or abs(log(1 + abs(found.lean))) < found.scale
