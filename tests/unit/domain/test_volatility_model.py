"""The artefact: read whole or refused; its distribution: Student's, and normal in the limit."""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import pairwise
from math import atan, erf, inf, log, log1p, pi, sqrt
from statistics import NormalDist

import pytest

from recio import data
from recio.domain.errors import InvalidValue
from recio.domain.volatility_model import Spread, VolatilityModel, chance


@lru_cache(maxsize=1)
def stored():
    """Return the packaged artefact as a document."""
    return json.loads(data.volatility_bytes("btc"))


def student_three(d):
    """Return P(X < d) with three degrees of freedom, exactly."""
    x = d / sqrt(3)
    return 0.5 + (x / (1 + x * x) + atan(x)) / pi


def student_four(d):
    """Return P(X < d) with four degrees of freedom, exactly."""
    x = 1 + d * d / 4
    return 0.5 + 0.375 * d / sqrt(x) * (1 - d * d / x / 12)


BLEND = {
    "on": "2026-11-22", "first": "a", "last": "b", "markets": 66, "sha256": "00", "source": "c",
    "minutes": [1.0, 4.0], "weights": [0.2, 0.6],
}  # fmt: skip


def test_the_weight_of_a_blend_is_interpolated_in_the_logarithm_of_the_time():
    """Outside of the fitted times it is the nearest one's; without a blend there is none."""
    model = VolatilityModel(json.dumps(stored() | {"blend": BLEND}).encode())

    def weight(minutes, model=model):
        levels = (-13.0,) * 4
        return model.spread(
            levels, freedom_shift=0.0, drift=0.0, minutes_left=minutes, seasonal_minutes=minutes
        ).weight

    found = [weight(minutes) for minutes in (0.1, 1.0, 2.0, 4.0, 60.0)]
    assert found == pytest.approx([0.2, 0.2, 0.4, 0.6, 0.6])
    assert weight(2.0, VolatilityModel(json.dumps(stored() | {"blend": None}).encode())) is None


@pytest.mark.parametrize("name", data.volatility_names())
def test_every_packaged_model_can_be_read_and_names_its_data(name):
    """Range, number of minutes and checksum of what it was fitted on."""
    model = VolatilityModel(data.volatility_bytes(name))

    assert model.symbol == name.upper()
    assert model.name.startswith(f"volatility-{name}-")
    assert len(model.parameters.fitted.sha256) == 64
    assert model.parameters.fitted.minutes > 500_000


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": 2}, "expected format 1"),
        ({"lows": [0.0]}, "do not fit"),
        ({"freedom": [1.0]}, "do not fit"),
        ({"horizons_minutes": [60.0, 15.0, 5.0, 2.0]}, "do not fit"),
        ({"extra": 1}, "expected an artefact"),
        ({"weights": "none"}, "expected an artefact"),
        ({"blend": BLEND | {"weights": [0.5, 1.5]}}, "do not fit"),
        ({"blend": BLEND | {"weights": [0.5]}}, "do not fit"),
        ({"blend": BLEND | {"minutes": [5.0, 1.0]}}, "do not fit"),
        ({"blend": BLEND | {"minutes": [0.0, 1.0]}}, "do not fit"),
    ],
)
def test_what_does_not_fit_is_refused(change, told):
    """With what was expected."""
    with pytest.raises(InvalidValue, match=told):
        VolatilityModel(json.dumps(stored() | change).encode())


def test_half_an_artefact_is_refused():
    """A torn file is no model."""
    with pytest.raises(InvalidValue, match="expected an artefact"):
        VolatilityModel(data.volatility_bytes("btc")[:1000])


def test_the_distribution_is_students():
    """Within 0.001 of the exact one, rising, symmetric; normal for infinitely many degrees."""
    points = [place / 20 for place in range(-200, 201)]
    for freedom, exact in ((3.0, student_three), (4.0, student_four)):
        values = [chance(d, freedom) for d in points]
        assert max(abs(p - exact(d)) for p, d in zip(values, points, strict=True)) < 0.001
        assert all(a < b for a, b in pairwise(values))
    assert all(chance(d, inf) == pytest.approx(NormalDist().cdf(d), abs=1e-12) for d in points)
    assert chance(1.3, 5.0) + chance(-1.3, 5.0) == pytest.approx(1.0)


def test_a_spread_knows_its_variance_and_its_lean():
    """Student's variance is larger than the square of its scale; a lean moves the centre."""
    assert Spread(0.01).variance == pytest.approx(1e-4)
    assert Spread(0.01, 4.0).variance == pytest.approx(2e-4)
    assert Spread(0.01, 2.0).variance == inf
    assert Spread(0.01, 4.0).above(1.0) == 0.5
    assert Spread(0.01, 4.0, lean=0.001).above(1.0) > 0.5


def test_places_between_horizons():
    """Outside of them the nearest one holds."""
    model = VolatilityModel(data.volatility_bytes("btc"))

    assert model.place(0.0) == model.place(2.0) == (0, 0.0)
    assert model.place(15.0) == (2, pytest.approx(0.0))
    assert model.place(30.0) == (2, pytest.approx(0.5))
    assert model.place(600.0) == (2, 1.0)


@pytest.mark.parametrize("freedom", [3.0, 4.7, 30.0, inf])
def test_the_prepared_form_says_the_same(freedom):
    """What a strike table uses equals the plain one."""
    spread = Spread(0.004, freedom, lean=0.0003)
    lean, share, stretch = spread.prepared()
    for place in range(-40, 41):
        ratio = 1 + place / 2000
        move = log(ratio) + lean
        half = 0.5 * erf(sqrt(log1p(move * move * share)) * stretch)
        stated = 0.5 + (half if move > 0 else -half)
        assert stated == pytest.approx(spread.above(ratio), abs=1e-6)
