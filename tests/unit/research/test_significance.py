"""Intervals and tests against published figures, exact answers, and planted luck."""

import math
import sys
from random import Random  # noqa: TID251 (seeded)

import pytest

from recio.domain.errors import InvalidValue
from recio.research.significance import (
    Bet,
    Moments,
    deflated_sharpe,
    fair_price_p,
    largest_by_luck,
    moments,
    permutation_p,
    ratio_interval,
    reality_check_p,
    sharpe_is_above,
)


def test_the_published_example_of_the_deflated_sharpe_ratio():
    """Rule: Bailey and Lopez de Prado 2014: 100 trials, 1250 days, skew -3, kurtosis 10: 0.9004."""
    chosen = Moments(sharpe=2.5 / math.sqrt(250), skewness=-3, kurtosis=10, count=1250)
    assert largest_by_luck(0.5 / 250, 100) == pytest.approx(0.1132, abs=5e-5)
    assert sharpe_is_above(chosen, largest_by_luck(0.5 / 250, 100)) == pytest.approx(
        0.9004, abs=1e-4
    )
    assert sharpe_is_above(chosen, largest_by_luck(0.5 / 250, 46)) == pytest.approx(
        0.9505, abs=1e-4
    )


def test_the_deflated_ratio_takes_the_variance_from_the_trials():
    """Rule: the threshold comes from the trials themselves; more scatter, less belief."""
    chosen = Moments(sharpe=0.2, skewness=0, kurtosis=3, count=400)
    alike = deflated_sharpe(chosen, [0.19, 0.2, 0.21])
    apart = deflated_sharpe(chosen, [-0.2, 0.0, 0.2])
    alone = deflated_sharpe(chosen, [0.2])
    assert alone > alike > apart
    assert alone == sharpe_is_above(chosen, 0.0)


def test_moments_by_hand():
    """Rule: the ratio uses the sample's deviation, the shape its population's."""
    found = moments([1.0, 2.0, 3.0, 6.0])
    assert found.sharpe == pytest.approx(3 / math.sqrt(14 / 3))
    assert found.skewness == pytest.approx((-8 - 1 + 0 + 27) / 4 / (14 / 4) ** 1.5)
    assert found.kurtosis == pytest.approx((16 + 1 + 0 + 81) / 4 / (14 / 4) ** 2)
    assert moments([1.0]) is None
    assert moments([1.0, 1.0]) is None


def test_a_ratio_with_its_interval():
    """Rule: the value is the plain ratio; the interval of a mean has about the textbook's width."""
    chance = Random(4)
    values = [chance.gauss(0.3, 1.0) for _ in range(400)]
    found = ratio_interval(values, [1.0] * 400)
    assert found.value == pytest.approx(sum(values) / 400)
    assert found.high - found.low == pytest.approx(2 * 1.96 / math.sqrt(400), rel=0.1)
    assert ratio_interval(values, [1.0] * 400) == found
    assert ratio_interval([1.0], [1.0]) is None
    assert ratio_interval([1.0, 2.0], [0.0, 0.0]) is None
    with pytest.raises(InvalidValue, match="as many"):
        ratio_interval([1.0], [])


def test_an_interval_holds_the_truth_as_often_as_it_says():
    """Rule: over 200 samples the 95 % interval holds the true mean about 95 times in 100."""
    chance = Random(11)
    held = 0
    for seed in range(200):
        values = [chance.gauss(1.0, 2.0) for _ in range(40)]
        found = ratio_interval(values, [1.0] * 40, seed=seed, draws=600)
        held += found.low <= 1.0 <= found.high
    assert 178 <= held <= 198


def test_wins_without_the_large_loss_are_what_luck_gives():
    """Rule: thirty wins at 96 cents come by luck alone in 0.963**30 = 32 of 100 cases."""
    bets = [Bet(str(at), 0.963, 0.037) for at in range(30)]
    assert fair_price_p(bets, 30 * 0.037) == pytest.approx(0.963**30, abs=0.03)
    values = [0.037] * 30
    assert ratio_interval(values, [1.0] * 30).low > 0, "what a bootstrap alone would believe"


def test_strikes_of_one_event_are_one_bet():
    """Rule: ten contracts on one event prove no more than one."""
    one = [Bet("a", 0.9, 0.1)] * 10
    assert fair_price_p(one, 1.0) == pytest.approx(0.9, abs=0.03)
    assert fair_price_p([], 1.0) is None


def _luck(chance, settings, events):
    return [[chance.gauss(0, 1) for _ in range(events)] for _ in range(settings)]


def test_the_best_of_many_without_skill_is_rarely_believed():
    """Rule: at 5 % the reality check is wrong in about one case of twenty, however many settings."""
    chance = Random(7)
    found = [reality_check_p(_luck(chance, 10, 40), seed=seed, draws=400) for seed in range(60)]
    assert sum(p < 0.05 for p in found) <= 8
    assert sum(p < 0.5 for p in found) >= 15


def test_a_setting_with_skill_is_found_among_many():
    """Rule: what earns half a deviation an event is told from luck in 200 events."""
    chance = Random(7)
    rows = _luck(chance, 10, 200)
    rows[3] = [one + 0.5 for one in rows[3]]
    assert reality_check_p(rows) < 0.01
    assert permutation_p(rows) < 0.01


def test_settings_that_do_alike_cannot_be_told_apart():
    """Rule: equal settings give p = 1, whatever they earn; that they earn is another question."""
    row = [1.0, 2.0, 0.5, 1.5]
    assert permutation_p([row, row, row]) == 1.0
    assert reality_check_p([row, row]) < 0.01
    assert permutation_p([row]) is None
    assert reality_check_p([]) is None
    with pytest.raises(InvalidValue, match="as many events"):
        permutation_p([[1.0], [1.0, 2.0]])


def test_numpy_changes_nothing_but_the_time(monkeypatch):
    """Rule: the same draws, the same shares, with the library and without."""
    pytest.importorskip("numpy")
    rows = _luck(Random(2), 7, 30)
    with_it = reality_check_p(rows), permutation_p(rows)
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert (reality_check_p(rows), permutation_p(rows)) == with_it


def test_the_permutation_is_exact_for_a_small_case():
    """Rule: of two settings over three events, one always ahead: 2 of 8 orders lead as far."""
    p = permutation_p([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    assert p == pytest.approx(0.25, abs=0.03)
