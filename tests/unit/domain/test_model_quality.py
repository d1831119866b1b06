"""The packaged model on recorded minutes that it was not fitted on."""

from __future__ import annotations

import numpy as np

from recio import data
from recio.data import minutes
from recio.domain.volatility_model import VolatilityModel
from recio.research.models import hours
from recio.research.models.minutes import Minutes
from recio.research.models.scores import log_losses

WARM_MINUTES = 6 * 1440
JUDGED_MINUTES = 18 * 1440


def test_it_loses_less_than_both_baselines_at_every_time_to_the_close():
    """July 2024: constant volatility and three half-lives are worse at all seven times."""
    model = VolatilityModel(data.volatility_bytes("btc"))
    recorded = minutes.load("btc_minutes_2024q3")
    start_s = recorded.pieces[0][0]
    assert model.parameters.fitted.last < "2024-07"
    bars = [recorded.at(start_s + 60 * place) for place in range(WARM_MINUTES + JUDGED_MINUTES)]
    history = Minutes("BTC", start_s, *(np.array(bars, dtype=float) / 100).T, ())

    begin_s = start_s + 60 * WARM_MINUTES
    cases = hours.judge(history, model, (), begin_s=begin_s, deviation=7.5e-4).cases

    assert len(cases.event) == len(hours.AHEAD) * 9 * JUDGED_MINUTES // 60
    losses = {name: log_losses(p, cases.is_yes) for name, p in cases.stated.items()}
    for ahead in hours.AHEAD:
        here = cases.ahead == ahead
        ours = losses[hours.VOLATILITY][here].mean()
        for other in (hours.CONSTANT, hours.TWENTY):
            assert ours < losses[other][here].mean(), (other, ahead)
