"""How many contracts an entry asks for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from recio.domain import sizing
from recio.domain.account_config import Risk, Sizing, SizingMethod

KELLY = Sizing(method=SizingMethod.CAPPED_KELLY, contracts=1_000, kelly_permille=100)
WIDE = Risk(max_contracts_per_order=10_000)


def qty(settings, risk=WIDE, *, p_e6=970_000, ask_e4=9_500, fee_e4=34, cash=1_000_000_000):
    """Return the quantity in 1e-2 contracts."""
    return sizing.qty_e2(settings, risk, p_e6=p_e6, ask_e4=ask_e4, fee_e4=fee_e4, cash_usd_e6=cash)


def test_fixed_is_the_number_within_the_limit_of_an_order():
    """Settings ask for 20, one order may have 10."""
    assert qty(Sizing(contracts=20), Risk()) == 1_000
    assert qty(Sizing(contracts=3), Risk(), cash=None) == 300


def test_kelly_worked_example():
    """At p 0.97, cost 0.9534: f = 0.0166 / 0.0466 = 0.3562; a tenth of it of $1000 buys 37."""
    assert qty(KELLY) == 3_700


def test_kelly_without_an_edge_asks_for_nothing():
    """At or below break-even the stake is zero."""
    assert qty(KELLY, p_e6=953_400) == 0
    assert qty(KELLY, p_e6=500_000) == 0
    assert qty(KELLY, ask_e4=9_999, fee_e4=1) == 0


def test_kelly_needs_to_know_the_cash():
    """Unknown cash is no stake, and it is said."""
    assert qty(KELLY, cash=None) is None
    assert qty(KELLY, cash=0) == 0


@given(
    st.integers(500_000, 999_950),
    st.integers(1, 9_999),
    st.integers(0, 175),
    st.integers(0, 10**12),
)
def test_kelly_never_stakes_more_than_its_share(p_e6, ask_e4, fee_e4, cash):
    """Whole contracts, within the cap, and within the fraction of the cash."""
    found = qty(KELLY, p_e6=p_e6, ask_e4=ask_e4, fee_e4=fee_e4, cash=cash)

    assert found % 100 == 0
    assert 0 <= found <= 100_000
    assert found * (ask_e4 + fee_e4) * 10 <= cash
