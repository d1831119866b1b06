"""Fees: the formula and the documented worked examples, by value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.exchange_simulator.core import fees
from recio.exchange_simulator.core.fees import MEMBER_PRECISION_E6, FeeTerms


@pytest.mark.parametrize(
    ("revenue_e6", "trade_e6", "nets", "accumulators"),
    [
        (-55_000, 8_500, [15_000, 5_000, 15_000], [6_500, 3_000, 9_500]),
        (-150_000, 4_100, [10_000, 0, 10_000], [5_900, 1_800, 7_700]),
    ],
    ids=["three of 1 at 0.055", "three of 0.30 at 0.50"],
)
def test_documented_examples_of_the_accumulator(revenue_e6, trade_e6, nets, accumulators):
    """docs.kalshi.com "Fee rounding", worked examples: net fee and accumulator of each fill."""
    accumulator, seen_nets, seen_accumulators = 0, [], []
    for _ in range(3):
        one = fees.charge(revenue_e6, trade_e6, accumulator, MEMBER_PRECISION_E6)
        accumulator = one.accumulator_e6
        seen_nets.append(one.net_e6)
        seen_accumulators.append(accumulator)
    assert (seen_nets, seen_accumulators) == (nets, accumulators)


@pytest.mark.parametrize(
    ("price_e4", "qty_e2", "fee_e6"),
    [
        (5200, 100, 17_500),
        (500, 10_000, 332_500),
        (5000, 10_000, 1_750_000),
        (100, 100, 700),
        (9900, 100, 700),
        (550, 100, 3_700),
    ],
)
def test_taker_fee_is_rounded_up_to_a_hundredth_of_a_cent(price_e4, qty_e2, fee_e6):
    """0.07 C P (1 - P), rounded up to $0.0001; 1 at 0.52 was seen as 0.0175 on the demo exchange."""
    assert fees.trade_fee_e6(price_e4, qty_e2, FeeTerms(), is_taker=True) == fee_e6


@pytest.mark.parametrize(
    ("fee_type", "fee_e6"),
    [
        ("quadratic", 0),
        ("quadratic_with_maker_fees", 437_500),
        ("quadratic_with_combo_maker_fees", 875_000),
    ],
)
def test_makers_pay_only_where_the_series_says_so(fee_type, fee_e6):
    """0, 0.0175 or 0.035 C P (1 - P) by fee type: 100 contracts at 0.50."""
    terms = FeeTerms(fee_type)
    assert fees.trade_fee_e6(5000, 10_000, terms, is_taker=False) == fee_e6


def test_the_multiplier_scales_the_fee():
    """A series listed at 0 is free."""
    assert fees.trade_fee_e6(5000, 10_000, FeeTerms(multiplier_e6=0), is_taker=True) == 0


@given(
    st.lists(st.tuples(st.integers(1, 9_999), st.integers(1, 5_000)), min_size=1, max_size=30),
    st.booleans(),
)
def test_balances_keep_their_precision_and_no_fee_is_negative(fills, is_buying):
    """Each balance change is whole cents; net fees are never below zero."""
    accumulator = 0
    for price_e4, qty_e2 in fills:
        revenue = price_e4 * qty_e2 * (-1 if is_buying else 1)
        trade = fees.trade_fee_e6(price_e4, qty_e2, FeeTerms(), is_taker=True)
        one = fees.charge(revenue, trade, accumulator, MEMBER_PRECISION_E6)
        accumulator = one.accumulator_e6
        assert one.net_e6 >= 0
        assert (revenue - one.net_e6) % MEMBER_PRECISION_E6 == 0
