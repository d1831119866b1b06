"""What makers believe: volatility from the index, fat tails, the averaging of the last minute."""

from __future__ import annotations

from math import exp, sqrt

import pytest

from recio.exchange_simulator.world import belief
from recio.exchange_simulator.world.chance import draw_words, gaussian


def test_variance_of_a_known_walk_is_found() -> None:
    """Alternating returns of 0.1 % a minute have that deviation."""
    closes = {minute * 60: round(6_000_000 * exp(0.001 * (minute % 2))) for minute in range(300)}
    variance = belief.realised_variance(
        lambda s: (closes[s],) * 4 if s in closes else None, 300 * 60
    )
    assert variance is not None
    assert sqrt(variance * 60) == pytest.approx(0.001, rel=1e-3)


def test_no_neighbouring_minutes_no_variance() -> None:
    """Without history nothing is believed."""
    assert belief.realised_variance(lambda _: None, 600) is None
    assert belief.realised_variance(lambda s: (1,) * 4 if s % 120 == 0 else None, 60_000) is None


def test_mixture_is_a_distribution_with_fat_tails_and_variance_one() -> None:
    """Monotone, symmetric, variance 0.7 * 0.75² + 0.3 * 1.4213² = 1."""
    values = [belief.mixture_cdf(x / 10) for x in range(-80, 81)]
    assert values == sorted(values)
    assert belief.mixture_cdf(0.0) == pytest.approx(0.5)
    assert belief.mixture_cdf(-3.0) > 1.5 * 0.00135
    assert pytest.approx(1, abs=1e-3) == 0.7 * 0.75**2 + 0.3 * 1.4213**2


def test_outlook_agrees_with_a_simulated_mean() -> None:
    """Deviation of the mean of 60 seconds, 180 and 20 seconds before the close (Monte Carlo)."""
    deviation, index = 1e-4, 6_000_000.0
    for left, known_sum, known_count in ((180, 0.0, 0), (20, index * 40, 40)):
        means = []
        for run in range(2_000):
            value, total = index, known_sum
            for step, word in enumerate(draw_words(f"walk {run}", left)):
                value *= 1 + deviation * gaussian(word)
                if step >= left - 60:
                    total += value
            means.append(total / 60)
        spread = sqrt(sum((mean - index) ** 2 for mean in means) / len(means))
        mean, expected = belief.settlement_outlook(index, deviation, left, known_sum, known_count)
        assert mean == pytest.approx(index)
        assert spread == pytest.approx(expected, rel=0.08)


def test_nothing_is_left_to_chance_at_the_close() -> None:
    """With all 60 values known the mean is certain."""
    assert belief.settlement_outlook(5.0, 1e-4, 0, 600.0, 60) == (10.0, 0.0)


def test_errors_are_small_and_belong_to_their_key() -> None:
    """Distances are off by less than about a quarter of a deviation, volatility by a fifth."""
    one, same = belief.Errors("k"), belief.Errors("k")
    for second in range(0, 5_000, 37):
        assert one.distance(second) == same.distance(second)
        assert abs(one.distance(second)) < 0.35
        assert 0.8 < one.volatility_factor(second) < 1.2
