"""The verdict in plain words: never more than the figures carry."""

import pytest
from tests.unit.research.report.made_up import result, trade

from recio.research.report.headline import MADE_UP, headline


def run(outcomes, **changed):
    """Return the headline of trades at 96 cents, one an event, that won or lost."""
    trades = [
        trade(at, won=won, event_ticker=f"E{at}", market_ticker=f"E{at}-T1")
        for at, won in enumerate(outcomes, 1)
    ]
    return headline(result(trades, is_synthetic=False, **changed))


def test_wins_only_are_no_evidence():
    """Rule: forty wins at 96 cents look certain to a bootstrap; fair bets do it in 22 of 100."""
    found = run([True] * 40)
    assert found.per_contract_usd.low > 0
    assert found.luck == pytest.approx(0.9627**40, abs=0.03)
    assert not found.is_edge
    assert found.verdict.startswith("No evidence of an edge")


def test_the_original_won_nine_of_ten_and_lost_money():
    """Rule: 158 of 174 at 96 cents is a loss beyond bad luck; the win rate stands beside the needed."""
    found = run([at % 11 != 0 for at in range(174)])
    assert found.sums.win_rate == pytest.approx(158 / 174)
    assert found.sums.break_even == pytest.approx(0.9627)
    assert found.verdict.startswith("It lost money after fees, and not by bad luck alone")


def test_an_edge_needs_many_events():
    """Rule: 400 wins at 96 cents are evidence; 20 events are never."""
    assert run([True] * 400).is_edge
    assert "too little to judge" in run([True] * 20).verdict.lower()
    assert run([]).verdict.startswith("No trade has a known result")


def test_the_same_event_often_is_one_event():
    """Rule: 400 strikes of one hour prove nothing."""
    trades = [trade(at, event_ticker="E") for at in range(400)]
    found = headline(result(trades, is_synthetic=False))
    assert not found.is_edge
    assert found.sums.events == 1


def test_made_up_quotes_never_give_an_edge():
    """Rule: the sentence stands in the verdict itself, and no edge is claimed."""
    trades = [trade(at, event_ticker=f"E{at}") for at in range(400)]
    found = headline(result(trades))
    assert not found.is_edge
    assert found.verdict.endswith(MADE_UP)


def test_against_the_market_by_hand():
    """Rule: Brier of both on the same trades, the difference ours minus the market's."""
    found = run([True, False] * 20).against_market
    assert found.trades == 40
    assert found.ours == pytest.approx((0.03**2 + 0.97**2) / 2)
    assert found.market == pytest.approx((0.045**2 + 0.955**2) / 2)
    assert found.difference.value == pytest.approx(found.ours - found.market)
    assert found.difference.low <= found.difference.value <= found.difference.high


def test_the_same_run_has_the_same_headline():
    """Rule: the draws are seeded."""
    assert headline(result()) == headline(result())
