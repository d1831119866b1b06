"""Statistics of ended trades."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from recio.domain import figures
from recio.domain.figures import Ended

WIN = Ended(
    pnl_usd_e6=50_000, cost_usd_e6=940_000, fees_usd_e6=10_000, qty_e2=100, p_entry_e6=960_000
)
LOSS = Ended(
    pnl_usd_e6=-950_000, cost_usd_e6=940_000, fees_usd_e6=10_000, qty_e2=100, p_entry_e6=955_000
)


def test_a_high_win_rate_can_lose_money():
    """90.8 % of wins at 95 cents all in: below break-even, so the sum is negative."""
    found = figures.figures([WIN] * 158 + [LOSS] * 16)

    assert (found.trades, found.wins, found.losses) == (174, 158, 16)
    assert found.win_rate_e6 == 908_045
    assert found.break_even_e6 == 950_000
    assert found.pnl_usd_e6 < 0
    assert found.expectancy_usd_e6 < 0
    assert found.profit_factor_e6 < 1_000_000


def test_nothing_to_divide_by_is_none():
    """No trade has no rate, no loss has no profit factor."""
    empty = figures.figures([])

    assert (empty.win_rate_e6, empty.break_even_e6, empty.return_e6) == (None, None, None)
    assert figures.figures([WIN]).profit_factor_e6 is None


def test_calibration_compares_chance_and_outcome():
    """Nine of ten won where 0.959 was predicted."""
    (decile,) = figures.calibration([WIN] * 9 + [LOSS])

    assert (decile.from_e6, decile.trades) == (900_000, 10)
    assert (decile.predicted_e6, decile.won_e6) == (959_500, 900_000)


@given(st.lists(st.integers(-(10**9), 10**9), max_size=40))
def test_drawdown_is_the_worst_fall_from_a_high(results):
    """Compared with all pairs of points."""
    sums = [0]
    for result in results:
        sums.append(sums[-1] + result)
    expected = max(high - low for at, high in enumerate(sums) for low in sums[at:])

    assert figures.max_drawdown(results) == expected
