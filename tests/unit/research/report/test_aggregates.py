"""Sums over trades, each computed again by hand in another way."""

from collections import defaultdict
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.research.report.made_up import HOUR_US, START_US, many, trade

from recio.research.report import aggregates
from recio.research.result import EquityPoint

TRADES = many()
JUDGED = [one for one in TRADES if one.filled_qty_e2 and one.pnl_usd_e6 is not None]
GROUPINGS = [
    aggregates.by_hour,
    aggregates.by_day,
    aggregates.by_time_to_close,
    aggregates.by_probability,
    aggregates.by_edge,
    aggregates.by_slippage,
]


def test_the_totals_are_what_the_trades_say():
    """Rule: profit, fees and counts are plain sums over the judged trades; the rest is counted."""
    found = aggregates.sums(TRADES)
    assert found.trades == len(JUDGED) == 121 - 4 - 3
    assert found.pnl_usd_e6 == sum(one.pnl_usd_e6 for one in JUDGED)
    assert found.pnl_usd_e6 == found.gross_usd_e6 - found.fees_usd_e6
    assert found.pnl_usd_e6 == found.gains_usd_e6 - found.losses_usd_e6
    assert found.gross_usd_e6 == sum(
        one.proceeds_usd_e6 + (one.payout_usd_e6 or 0) - one.cost_usd_e6 for one in JUDGED
    )
    assert found.won == sum(one.is_won for one in JUDGED)
    assert sum(found.left_out.values()) + found.trades == len(TRADES)
    assert found.left_out["nothing was filled"] == 3
    assert aggregates.judged(TRADES) == JUDGED


def test_the_needed_win_rate_is_where_wins_and_losses_come_out_even():
    """Rule: at that rate, with the mean win and the mean loss, nothing is earned."""
    found = aggregates.sums(TRADES)
    win = Fraction(found.gains_usd_e6, found.won)
    loss = Fraction(found.losses_usd_e6, found.trades - found.won)
    rate = Fraction(found.needed_rate)
    assert float(rate * win - (1 - rate) * loss) == pytest.approx(0, abs=1e-6)
    assert aggregates.sums([trade()]).needed_rate is None, "no loss: its size is not known"


def test_a_held_trade_breaks_even_at_what_it_paid():
    """Rule: 96 cents and 0.27 cents of fee need 96.27 of 100; a sold one the same by the formula."""
    held = trade(entry_price_e4=9600)
    assert aggregates.cost_per_contract(held) == pytest.approx(0.9627)
    sold = trade(entry_price_e4=9600, exit_price_e4=4000, fees_usd_e6=97_500)
    assert aggregates.cost_per_contract(sold) == pytest.approx(0.9627)
    free = trade(entry_price_e4=9600, fees_usd_e6=0)
    assert aggregates.cost_per_contract(free) == pytest.approx(0.96)


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_each_grouping_holds_each_trade_once(grouping):
    """Rule: the buckets' sums equal the totals to a millionth of a dollar."""
    found, total = grouping(JUDGED), aggregates.sums(TRADES)
    assert sum(one.trades for one in found) == total.trades
    assert sum(one.won for one in found) == total.won
    assert sum(one.pnl_usd_e6 for one in found) == total.pnl_usd_e6
    assert sum(one.fees_usd_e6 for one in found) == total.fees_usd_e6
    assert sum(one.qty_e2 for one in found) == total.qty_e2
    assert len({one.name for one in found}) == len(found)
    assert grouping([]) is not None


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=120))
def test_tenths_are_equal_by_rank_and_never_part_equal_values(drawn):
    """Rule: at most ten parts, in order, each value in one part only, no part empty."""
    trades = [trade(at, edge_e4=edge, won=won) for at, (edge, won) in enumerate(drawn, 1)]
    parts = aggregates.tenths(trades, lambda one: one.edge_e4)
    assert sum(map(len, parts)) == len(trades)
    assert len(parts) <= 10
    assert all(parts)
    values = [[one.edge_e4 for one in part] for part in parts]
    assert all(max(low) < min(high) for low, high in pairwise(values))


def test_tenths_of_different_values_hold_as_many():
    """Rule: 100 different values give ten parts of ten."""
    parts = aggregates.tenths([trade(at, p_e6=at) for at in range(100)], lambda one: one.p_e6)
    assert [len(part) for part in parts] == [10] * 10


def test_hours_and_days_are_new_yorks():
    """Rule: also on the night when the clocks change; computed here with the time zone itself."""
    spring_us = 1_710_053_400_000_000  # 2024-03-10 06:50 UTC = 01:50 in New York
    trades = [trade(at, decided_us=spring_us + at * HOUR_US) for at in range(3)]
    found = {one.name: one.trades for one in aggregates.by_hour(trades) if one.trades}
    assert found == {"01": 1, "03": 1, "04": 1}
    expected = defaultdict(int)
    for one in JUDGED:
        at = datetime.fromtimestamp(one.close_us / 1e6, ZoneInfo("America/New_York"))
        expected[at.date().isoformat()] += one.pnl_usd_e6
    assert {one.name: one.pnl_usd_e6 for one in aggregates.by_day(JUDGED)} == expected


def test_the_time_to_close_ends_its_bucket():
    """Rule: 600 seconds belong to 7-10 minutes, 601 to 10-15."""
    found = aggregates.by_time_to_close([trade(seconds_to_close=at) for at in (600, 601, 4000)])
    assert [(one.name, one.trades) for one in found if one.trades] == [
        ("7-10", 1),
        ("10-15", 1),
        ("over 60", 1),
    ]


def test_the_deepest_fall():
    """Rule: from the highest value before to the lowest after it, not the last peak's."""
    values = [100, 120, 90, 110, 130, 105]
    points = [EquityPoint(START_US + at, value, value) for at, value in enumerate(values)]
    found = aggregates.fall_of(points)
    assert (found.usd_e6, found.peak_us, found.bottom_us) == (30, START_US + 1, START_US + 2)
    assert [usd for _, usd in aggregates.drawdown(points)] == [0, 0, -30, -10, 0, -25]
    assert aggregates.fall_of(points[:2]) is None


def test_forecasts_are_judged_only_where_the_market_settled_yes_or_no():
    """Rule: a sold trade and a market that paid in between say nothing of the prediction."""
    trades = [
        trade(1),
        trade(2, won=False),
        trade(3, payout_usd_e6=None, state="closed", exit_price_e4=100),
        trade(4, payout_usd_e6=2_500_000),
        trade(5, p_e6=None),
        trade(6, market_p_e6=None),
    ]
    found = aggregates.forecasts(trades)
    assert [(one.p, one.market_p, one.came) for one in found] == [
        (0.97, 0.955, True),
        (0.97, 0.955, False),
    ]
    assert aggregates.brier((one.p, one.came) for one in found) == pytest.approx(
        (0.03**2 + 0.97**2) / 2
    )
    assert aggregates.brier([]) is None


def test_slippage_is_what_was_paid_above_the_ask():
    """Rule: one cent on five contracts is five cents; paying less counts against it."""
    paid = [trade(1, ask_e4=9500), trade(2, ask_e4=9700), trade(3, ask_e4=None)]
    assert aggregates.slippage_usd_e6(paid[:1]) == 50_000
    assert aggregates.slippage_usd_e6(paid) == 0
    assert [one.name for one in aggregates.by_slippage(paid)] == ["-1", "1", "not known"]


def test_events_gather_their_strikes():
    """Rule: profit, contracts and trades of an event's strikes are one entry."""
    found = aggregates.per_event([trade(2), trade(3, won=False), trade(4)])
    assert found == [
        (trade(2).pnl_usd_e6 + trade(3, won=False).pnl_usd_e6, 1000, 2),
        (trade(4).pnl_usd_e6, 500, 1),
    ]
