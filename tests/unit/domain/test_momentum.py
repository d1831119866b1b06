"""Momentum: weights, look-backs, buckets, and what is missing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from recio.domain import momentum
from recio.domain.momentum import PriceSeries
from recio.domain.units import MINUTE_US, SECOND_US

NOW = 1_754_100_000 * SECOND_US
PRICE = 100_000_000_000


def series(*points):
    """Return a series of (seconds ago, price)."""
    made = PriceSeries()
    for ago, price in points:
        made.add(NOW - ago * SECOND_US, price)
    return made


def test_weights_of_the_look_backs():
    """0.30, 0.25, 0.20, 0.15, 0.05, 0.05 for 1, 2, 3, 4, 15 and 30 minutes."""
    deltas = (100_000, 0, 0, 0, 0, 0)

    assert momentum.combine(deltas).score_e6 == 30_000
    assert sum(momentum.WEIGHTS) == 100
    assert momentum.LOOKBACK_MINUTES == (1, 2, 3, 4, 15, 30)


def test_full_momentum():
    """A steady rise of 0.1 % against each look-back is 0.1 %: bucket 10."""
    past = series(*((k * 60, PRICE) for k in (30, 15, 4, 3, 2, 1)))

    measured = momentum.measure(past, NOW, PRICE + PRICE // 1000)

    assert measured.is_complete
    assert (measured.score_e6, measured.bucket) == (100_000, 10)


def test_missing_look_backs_are_flagged_and_left_out():
    """The weights of those that exist are made whole."""
    measured = momentum.measure(series((120, PRICE), (60, PRICE)), NOW, PRICE + PRICE // 1000)

    assert measured.deltas_e6 == (100_000, 100_000, None, None, None, None)
    assert (measured.score_e6, measured.is_complete) == (100_000, False)


def test_without_any_look_back_there_is_no_score():
    """Unknown is None, never zero."""
    assert momentum.measure(series((10, PRICE)), NOW, PRICE) == momentum.NOTHING


def test_a_look_back_takes_the_price_at_or_before_it():
    """A price after now - k does not count; one too old does not either."""
    assert momentum.measure(series((59, PRICE)), NOW, PRICE).deltas_e6[0] is None
    assert momentum.measure(series((75, PRICE)), NOW, PRICE).deltas_e6[0] == 0
    assert momentum.measure(series((76, PRICE)), NOW, PRICE).deltas_e6[0] is None
    assert momentum.measure(series((1860, PRICE)), NOW, PRICE).deltas_e6[5] == 0
    assert momentum.measure(series((1861, PRICE)), NOW, PRICE).deltas_e6[5] is None


def test_buckets_are_hundredths_of_a_percent_and_clamped():
    """0.043 % is bucket 4; beyond 0.30 % the outermost bucket stands for all."""
    assert momentum.bucket_of(43_000) == 4
    assert momentum.bucket_of(-43_000) == -4
    assert momentum.bucket_of(3_000_000) == 30
    assert momentum.bucket_of(-310_000) == -30


def test_history_goes_before_the_stream():
    """Minute closes fill the time before the first live price, and only that."""
    live = series((60, PRICE))
    live.add_history(tuple((NOW - k * MINUTE_US, PRICE // 2) for k in range(1, 31)))

    measured = momentum.measure(live, NOW, PRICE)

    assert measured.is_complete
    assert measured.deltas_e6[:2] == (0, 100_000_000)


def test_a_later_price_of_one_second_replaces_the_earlier():
    """The series holds one price a second, so its memory is bounded."""
    made = PriceSeries()
    for part in range(0, 1_000_000, 100_000):
        made.add(NOW + part, PRICE + part)

    assert len(made) == 1
    assert made.at_or_before(NOW + SECOND_US, SECOND_US) == PRICE + 900_000


def test_strange_prices_are_not_taken():
    """Zero, negative and older prices change nothing."""
    made = series((1, PRICE))

    assert not made.add(NOW, 0)
    assert not made.add(NOW, -5)
    assert not made.add(NOW - SECOND_US, PRICE)
    assert len(made) == 1


def test_the_series_forgets_what_is_too_old():
    """Half an hour is kept, whatever comes in."""
    made = PriceSeries()
    for second in range(10_000):
        made.add(NOW + second * SECOND_US, PRICE)

    assert len(made) <= 4096
    assert momentum.measure(made, NOW + 9_999 * SECOND_US, PRICE).is_complete


@given(st.lists(st.none() | st.integers(-(10**7), 10**7), min_size=6, max_size=6))
def test_the_score_lies_between_its_deltas(deltas):
    """A weighted mean is within what it is a mean of."""
    known = [delta for delta in deltas if delta is not None]
    measured = momentum.combine(tuple(deltas))

    if known:
        assert min(known) <= measured.score_e6 <= max(known)
        assert -30 <= measured.bucket <= 30
    else:
        assert measured == momentum.NOTHING


@given(st.integers(-(10**18), 10**18), st.integers(1, 10**12))
def test_division_is_to_the_nearest(numerator, denominator):
    """Half a unit off at most, and odd in its numerator."""
    quotient = momentum.divide(numerator, denominator)

    assert 2 * abs(quotient * denominator - numerator) <= denominator
    assert momentum.divide(-numerator, denominator) == -quotient
