"""Losses, Murphy's decomposition, and bounds that resample whole events."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.research.models import scores


def cases(stated, is_yes, event=None):
    """Return cases of one model."""
    count = len(is_yes)
    return scores.Cases(
        np.arange(count) if event is None else np.asarray(event),
        np.full(count, 5.0),
        np.zeros(count),
        np.asarray(is_yes, dtype=bool),
        {name: np.asarray(p, dtype=float) for name, p in stated.items()},
    )


def test_losses_are_clipped():
    """A certainty that was wrong costs as much as 0.001."""
    found = scores.log_losses(np.array([0.5, 0.0, 1.0]), np.array([True, True, True]))

    assert found == pytest.approx([log(2), -log(0.001), -log(0.999)])


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_the_parts_make_the_brier_score(rows):
    """Reliability - resolution + uncertainty + rest, whatever was stated."""
    p, is_yes = (np.array(column) for column in zip(*rows, strict=True))
    parts = scores.murphy(p.astype(float), is_yes.astype(bool))

    made = parts.reliability - parts.resolution + parts.uncertainty + parts.rest
    assert made == pytest.approx(parts.brier)
    assert parts.brier == pytest.approx(((p - is_yes) ** 2).mean())
    assert parts.reliability >= 0
    assert parts.resolution >= 0


def test_a_forecast_of_the_base_rate_is_reliable_and_resolves_nothing():
    """And one that knows the outcome resolves everything."""
    is_yes = np.array([True, True, True, False])
    base = scores.murphy(np.full(4, 0.75), is_yes)
    known = scores.murphy(is_yes.astype(float), is_yes)

    assert (base.reliability, base.resolution) == pytest.approx((0.0, 0.0))
    assert base.uncertainty == pytest.approx(0.1875)
    assert (known.brier, known.resolution) == pytest.approx((0.0, 0.1875))


def test_bounds_resample_events_not_statements():
    """A hundred copies of each of ten events tell no more than the ten."""
    chance = np.random.default_rng(1)
    values = chance.normal(0, 1, 10)
    once = scores.bounds(values, np.arange(10))
    often = scores.bounds(np.repeat(values, 100), np.repeat(np.arange(10), 100))

    assert often == pytest.approx(once)
    assert once.low < once.mean < once.upper_90 < once.high
    blind = scores.bounds(np.repeat(values, 100), np.arange(1_000))
    assert blind.high - blind.low < (once.high - once.low) / 4


def test_bounds_are_the_same_each_time_and_about_as_wide_as_theory():
    """Seeded; the 90 % interval of a mean of 400 has 3.29 deviations of 1/20."""
    values = np.random.default_rng(2).normal(0, 1, 400)
    found = scores.bounds(values, np.arange(400))

    assert found == scores.bounds(values, np.arange(400))
    assert found.high - found.low == pytest.approx(3.29 / 20, rel=0.15)


def test_nothing_has_no_score():
    """Not a number, instead of a number that means nothing."""
    assert np.isnan(scores.bounds(np.array([]), np.array([]))).all()
    assert np.isnan(scores.murphy(np.array([]), np.array([], dtype=bool))).all()


def test_bins_hold_what_came_true():
    """Two of three in the bin of 0.7, with a band around it."""
    p, is_yes = np.array([0.7, 0.7, 0.7, 0.01]), np.array([True, True, False, False])
    low, high = scores.bins(p, is_yes, np.arange(4))

    assert (low.count, low.share_yes) == (1, 0.0)
    assert (high.count, high.mean_p, high.share_yes) == (
        3,
        pytest.approx(0.7),
        pytest.approx(2 / 3),
    )
    assert high.low <= high.share_yes <= high.high


def test_models_are_judged_on_cases_that_all_of_them_know():
    """A model that is silent in hard moments is not the better for it."""
    made = cases({"a": [0.5, np.nan, 0.5], "b": [0.5, 0.5, np.nan]}, [True, False, True])

    assert made.known_to(["a", "b"]).event.tolist() == [0]
    assert made.known_to(["a"]).event.tolist() == [0, 2]
