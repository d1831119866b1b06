"""The settlement's mean of sixty seconds: horizon, centre, results."""

from __future__ import annotations

import random  # noqa: TID251  # seeded: the same walk each time
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain import settlement
from recio.domain.errors import InvalidValue
from recio.domain.settlement import NO_MEAN, RunningMean, outlook
from recio.domain.units import SECOND_US

CLOSE = 1_754_100_000 * SECOND_US
PRICE = 80_000_000_000


@pytest.mark.parametrize(
    ("left_s", "seconds"), [(3600, 3560.5), (600, 560.5), (180, 140.5), (60, 20.5)]
)
def test_effective_time_is_less_by_39_and_a_half_seconds(left_s, seconds):
    """Before the last minute the mean varies like a price of t - 39.5 seconds."""
    seen = outlook(PRICE, CLOSE - left_s * SECOND_US, CLOSE, NO_MEAN)

    assert seen.centre_usd_e6 == PRICE
    assert seen.seconds == pytest.approx(seconds, abs=0.01)


def test_inside_the_window_the_known_part_is_fixed():
    """Thirty seconds at 79,000 and thirty to come at 80,000 make 79,500."""
    mean = RunningMean(79_000_000_000, 30, CLOSE)

    seen = outlook(PRICE, CLOSE - 30 * SECOND_US, CLOSE, mean)

    assert seen.centre_usd_e6 == 79_500_000_000
    # m(m+1)(2m+1)/6 over 3600 with m = 30
    assert seen.seconds == pytest.approx(30 * 31 * 61 / 6 / 3600)


def test_the_horizon_is_that_of_simulated_means():
    """Variance of the mean of sixty steps of a random walk, 20,000 walks."""
    chance = random.Random(7)
    for ahead in (60, 30, 5):
        squares = 0.0
        for _ in range(20_000):
            level = total = 0.0
            for _ in range(ahead):
                level += chance.gauss(0, 1)
                total += level
            squares += (total / 60) ** 2
        simulated = sqrt(squares / 20_000)
        expected = sqrt(settlement.effective_seconds(ahead, ahead * SECOND_US))
        assert simulated == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    ("mean", "reason"),
    [
        (NO_MEAN, "window_unknown"),
        (RunningMean(PRICE, 30, CLOSE + SECOND_US), "window_unknown"),
        (RunningMean(PRICE, 20, CLOSE), "window_unknown"),
        (RunningMean(None, 30, CLOSE), "window_unknown"),
        (RunningMean(PRICE, 40, CLOSE), "window_unknown"),
        (RunningMean(PRICE, 28, CLOSE), ""),
    ],
)
def test_an_unknown_window_gives_no_outlook(mean, reason):
    """Without the running mean nothing can be said in the last minute; a short lag is allowed."""
    assert outlook(PRICE, CLOSE - 30 * SECOND_US, CLOSE, mean).reason == reason


def test_at_the_close_there_is_no_outlook():
    """What is over has no probability."""
    assert outlook(PRICE, CLOSE, CLOSE, NO_MEAN).reason == "closed"
    assert outlook(PRICE, CLOSE - 1, CLOSE, RunningMean(PRICE, 60, CLOSE)).reason == "closed"


@given(st.integers(0, 3_600_000_000 - 1))
def test_the_horizon_shrinks_with_time_and_without_a_jump(left_us):
    """Never negative, never more than the time left, no step at the start of the window."""
    left_us += 1
    count = max((60_000_000 - left_us) // SECOND_US, 0)
    seen = outlook(PRICE, CLOSE - left_us, CLOSE, RunningMean(PRICE, count, CLOSE))

    assert 0 < seen.seconds <= max(left_us / SECOND_US, 0.001)
    assert seen.centre_usd_e6 == PRICE


def test_settlement_value_is_the_mean_to_the_cent():
    """Sixty values, rounded half up to two decimals."""
    assert settlement.settlement_value_usd_e6([PRICE] * 59 + [PRICE + 300_000]) == PRICE + 10_000
    assert settlement.settlement_value_usd_e6([PRICE] * 59 + [PRICE + 299_999]) == PRICE
    with pytest.raises(InvalidValue):
        settlement.settlement_value_usd_e6([PRICE] * 59)


@pytest.mark.parametrize(
    ("value", "strike_type", "result"),
    [
        (PRICE + 1, "greater", "yes"), (PRICE, "greater", "no"), (PRICE - 1, "greater", "no"),
        (PRICE, "greater_or_equal", "yes"), (PRICE - 1, "greater_or_equal", "no"),
    ],
)  # fmt: skip
def test_ties_follow_the_strike_type(value, strike_type, result):
    """KXBTCD must be above its floor strike, KXBTC15M at least at its strike."""
    assert settlement.result_of(value, PRICE, strike_type) == result


def test_recorded_market_settles_as_it_did():
    """KXBTC15M-26MAY130915-15: strike 80193.52, value 80285.68, yes."""
    assert settlement.result_of(80_285_680_000, 80_193_520_000, "greater_or_equal") == "yes"


def test_other_strike_types_are_refused():
    """Ranges are not traded here."""
    with pytest.raises(InvalidValue):
        settlement.result_of(PRICE, PRICE, "between")


CLOSE_US = 900_000_000


def test_the_running_mean_may_lag_three_samples_and_no_more():
    """Beyond that nobody knows what is missing."""
    left_us = 30_000_000
    for samples, reason in ((27, ""), (33, ""), (26, "window_unknown"), (34, "window_unknown")):
        mean = RunningMean(PRICE, samples, CLOSE_US)
        assert settlement.outlook(PRICE, CLOSE_US - left_us, CLOSE_US, mean).reason == reason


def test_another_window_s_mean_says_nothing():
    """In the first second of the window nothing is known yet: the centre is the price."""
    other = RunningMean(PRICE // 2, 1, CLOSE_US - 900_000_000)
    found = settlement.outlook(PRICE, CLOSE_US - 59_000_000, CLOSE_US, other)
    assert (found.centre_usd_e6, found.reason) == (PRICE, "")


def test_the_horizon_of_samples_that_are_overdue():
    """Only their own spread counts: (m-1) m (2m-1) / 6 / 3600."""
    assert settlement.effective_seconds(10, 0) == 285 / 3600
