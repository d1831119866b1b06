"""The packaged model on recorded minutes that it was not fitted on."""

from __future__ import annotations

from benchmarks.model_report import AHEAD, score

from recio import data
from recio.data import minutes
from recio.domain.volatility_model import VolatilityModel

WARM_MINUTES = 6 * 1440
JUDGED_MINUTES = 18 * 1440


def test_it_loses_less_than_both_baselines_at_every_time_to_the_close():
    """July 2024: constant volatility and three half-lives are worse at all seven times."""
    model = VolatilityModel(data.volatility_bytes("btc"))
    recorded = minutes.load("btc_minutes_2024q3")
    first = recorded.pieces[0][0] // 60
    assert model.parameters.fitted.last < "2024-07"
    bars = {
        minute: tuple(price / 100 for price in bar)
        for minute in range(first, first + WARM_MINUTES + JUDGED_MINUTES)
        if (bar := recorded.at(minute * 60)) is not None
    }

    losses = score(bars, model, first + WARM_MINUTES)

    ours = losses.row("the model")
    assert losses.counts["the model"][AHEAD[0]] == 9 * JUDGED_MINUTES // 60
    for other in ("constant volatility", "twenty lines"):
        assert all(a < b for a, b in zip(ours, losses.row(other), strict=True)), other
