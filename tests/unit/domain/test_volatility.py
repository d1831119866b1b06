"""Realised volatility: unknown until enough was seen, then near the truth."""

from __future__ import annotations

import random  # noqa: TID251  # seeded: the same walk each time
from math import exp

import pytest

from recio.domain.units import MINUTE_US, SECOND_US
from recio.domain.volatility import Volatility

START = 1_754_100_000 * SECOND_US


def walk(volatility, seconds, deviation, *, step_s=1, start_us=START, seed=3):
    """Feed a geometric walk; return its last price."""
    chance = random.Random(seed)
    level = 0.0
    for second in range(0, seconds, step_s):
        volatility.add(start_us + second * SECOND_US, round(100_000_000_000 * exp(level)))
        level += chance.gauss(0, deviation * step_s**0.5)


def test_it_finds_the_deviation_of_a_walk():
    """Within a tenth after two hours of seconds."""
    volatility = Volatility()
    walk(volatility, 7200, 9e-5)

    assert volatility.per_second() == pytest.approx(9e-5, rel=0.1)


def test_minute_closes_count_as_well():
    """History in minutes gives the same unit."""
    volatility = Volatility()
    walk(volatility, 12 * 3600, 9e-5, step_s=60)

    assert volatility.per_second() == pytest.approx(9e-5, rel=0.3)


def test_unknown_until_a_quarter_of_an_hour_was_seen():
    """A few returns are no estimate."""
    volatility = Volatility()
    walk(volatility, 900, 9e-5)
    assert volatility.per_second() is None

    walk(volatility, 60, 9e-5, start_us=START + 900 * SECOND_US)
    assert volatility.per_second() is not None


def test_a_price_that_does_not_move_gives_no_volatility():
    """Zero deviation would be certainty: it is unknown instead."""
    volatility = Volatility()
    walk(volatility, 3600, 0.0)

    assert volatility.per_second() is None


def test_a_gap_starts_anew():
    """What was before a gap of more than ten minutes says nothing about now."""
    volatility = Volatility()
    walk(volatility, 3600, 9e-5)
    volatility.add(START + 3600 * SECOND_US + 11 * MINUTE_US, 100_000_000_000)

    assert volatility.per_second() is None


def test_impossible_prices_are_left_out():
    """Zero and negative prices have no logarithm."""
    volatility = Volatility()
    volatility.add(START, 0)
    volatility.add(START, -1)

    assert volatility.per_second() is None
