"""Chance as a function: the same key, the same draws, with the promised distribution."""

from __future__ import annotations

from statistics import fmean, pstdev

import pytest

from recio.exchange_simulator.world import chance


def test_draws_belong_to_their_key() -> None:
    """The same key draws the same for ever; these values are fixed across machines."""
    assert list(chance.draw_words("a key", 3)) == [60609, 3608, 41810]
    assert chance.draw_bytes("a key", 2) == chance.draw_bytes("a key", 9)[:2]
    assert 0 <= chance.draw_unit("a key") < 1
    assert chance.draw_unit("a key") != chance.draw_unit("another key")


def test_gaussians_are_standard_normal() -> None:
    """Mean 0, deviation 1, symmetric."""
    assert fmean(chance.GAUSSIANS) == pytest.approx(0, abs=1e-9)
    assert pstdev(chance.GAUSSIANS) == pytest.approx(1, abs=0.003)
    assert chance.normal_cdf(1.96) == pytest.approx(0.975, abs=1e-4)


def test_quantile_table_keeps_its_quantiles() -> None:
    """A tenth of the values lies below the 10 % point, half below the median."""
    table = chance.quantile_table(((0, 1), (0.1, 50), (0.5, 550), (1, 6000)))
    assert table == tuple(sorted(table))
    assert sum(value <= 50 for value in table) == pytest.approx(25.6, abs=1)
    assert sum(value <= 550 for value in table) == 128


def test_wander_keeps_its_variance_and_forgets() -> None:
    """Deviation one at every time; neighbours agree, values two periods apart do not."""
    values = [chance.Wander(f"{key}", 10).at(1_003.7) for key in range(2_000)]
    assert fmean(values) == pytest.approx(0, abs=0.08)
    assert pstdev(values) == pytest.approx(1, abs=0.08)
    wander = chance.Wander("one", 10)
    assert wander.at(50.0) == pytest.approx(wander.at(50.001), abs=0.01)
    assert wander.at(70.0) == chance.Wander("one", 10).at(70.0)
    pairs = [(w.at(3.0), w.at(24.0)) for w in (chance.Wander(f"p{k}", 10) for k in range(2_000))]
    assert fmean(a * b for a, b in pairs) == pytest.approx(0, abs=0.08)
