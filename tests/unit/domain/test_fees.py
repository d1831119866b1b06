"""The trader's own fee formula against the exchange's documented examples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain import fees
from recio.domain.errors import InvalidValue

PRICES = st.integers(1, 9_999)
QUANTITIES = st.integers(1, 1_000_000)


@pytest.mark.parametrize(
    ("price_e4", "qty_e2", "fee_usd_e6"),
    [
        (5200, 100, 17_500),  # a demo fill: 0.017472 rounded up
        (5000, 100, 17_500),
        (5000, 10_000, 1_750_000),
        (500, 10_000, 332_500),  # the schedule's table says 0.34, its formula 0.3325
        (550, 100, 3_700),  # three fills of 1 at 0.055 paid 0.0037 each before rounding
        (5000, 30, 5_300),
        (9600, 100, 2_700),
    ],
)
def test_documented_taker_fees(price_e4, qty_e2, fee_usd_e6):
    """0.07 x C x P x (1 - P), rounded up to $0.0001."""
    assert fees.taker_fee_usd_e6(price_e4, qty_e2) == fee_usd_e6


def test_multiplier_scales_the_fee():
    """A series may have half the fee or none."""
    assert fees.taker_fee_usd_e6(5000, 10_000, 500_000) == 875_000
    assert fees.taker_fee_usd_e6(5000, 10_000, 0) == 0


@given(PRICES, QUANTITIES)
def test_both_sides_pay_the_same(price_e4, qty_e2):
    """YES at P costs the fee of NO at 1 - P."""
    here = fees.taker_fee_usd_e6(price_e4, qty_e2)

    assert here == fees.taker_fee_usd_e6(10_000 - price_e4, qty_e2)
    assert here % 100 == 0


@given(PRICES, st.integers(1, 10_000), st.lists(st.integers(1, 10_000), min_size=1, max_size=50))
def test_budget_covers_every_way_to_be_filled(price_e4, better_e4, parts):
    """However the order is filled, price and fees together stay within limit price and budget."""
    qty_e2 = sum(parts)
    paid_e4 = max(price_e4 - better_e4, 1)
    worst = price_e4 * qty_e2 + fees.budget_usd_e6(price_e4, qty_e2)

    paid = sum(paid_e4 * part + fees.taker_fee_usd_e6(paid_e4, part) for part in parts)

    # The exchange's own rounding never exceeds a cent an order beyond the fills' fees.
    assert paid <= worst


@given(PRICES, st.integers(1, 1_000))
def test_edge_fee_is_not_below_the_true_fee(price_e4, contracts):
    """The fee that an edge is measured against is never too small for whole contracts."""
    assert fees.fee_per_contract_e4(price_e4) * 100 * contracts >= fees.taker_fee_usd_e6(
        price_e4, contracts * 100
    )


def test_break_even_is_price_plus_fee():
    """A win rate below price plus fee loses money."""
    assert fees.break_even_e6(9600) == 962_700


@pytest.mark.parametrize(("price_e4", "qty_e2"), [(-1, 100), (10_001, 100), (5000, -1)])
def test_impossible_fills_are_refused(price_e4, qty_e2):
    """A fee of nonsense is no number."""
    with pytest.raises(InvalidValue):
        fees.taker_fee_usd_e6(price_e4, qty_e2)


def test_flat_fees_are_unknown():
    """There is no published formula for them."""
    assert fees.is_known("quadratic")
    assert not fees.is_known("flat")


def test_the_types_whose_taker_fee_is_known():
    """The maker's differ; a flat fee has no published formula."""
    known = ("quadratic", "quadratic_with_maker_fees", "quadratic_with_combo_maker_fees")
    assert all(fees.is_known(each) for each in known)
    assert not any(fees.is_known(each) for each in ("flat", "", "other"))


def test_nothing_costs_nothing():
    """The ends of the scale and an empty fill are free, not wrong."""
    assert fees.taker_fee_usd_e6(0, 100) == fees.taker_fee_usd_e6(10_000, 100) == 0
    assert fees.taker_fee_usd_e6(5000, 0) == 0
    for wrong in ((-1, 1, 0), (10_001, 1, 0), (5000, -1, 0), (5000, 1, -1)):
        with pytest.raises(InvalidValue):
            fees.taker_fee_usd_e6(*wrong)
