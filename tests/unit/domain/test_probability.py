"""P(YES): the averaging correction against Monte Carlo, bounds, monotony, unknowns."""

from __future__ import annotations

from functools import lru_cache
from math import exp, log, sqrt
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio import data
from recio.domain.account_config import Model
from recio.domain.fingerprints import Fingerprints
from recio.domain.probability import LEAST_E6, Odds, choose, odds, student, version
from recio.domain.settlement import NO_MEAN, Outlook, outlook
from recio.domain.units import SECOND_US
from recio.domain.volatility_model import Spread, chance

CLOSE = 1_754_100_000 * SECOND_US
PRICE = 80_000_000_000
HALF_A_YEAR = 0.5 / sqrt(365.25 * 86_400)
"""The deviation of a second at 50 % a year."""


@lru_cache(maxsize=1)
def prints():
    """Return the published tables of July 2025."""
    return Fingerprints(data.fingerprints_bytes("btc_2025-07-20"))


def view(left_s, *, bucket=0, deviation=HALF_A_YEAR):
    """Return the odds of an event so many seconds before its close."""
    seen = outlook(PRICE, CLOSE - left_s * SECOND_US, CLOSE, NO_MEAN)
    spread = Spread(deviation * sqrt(seen.seconds), 4.0) if deviation and seen.seconds else None
    return odds(seen, fingerprints=prints(), bucket=bucket, spread=spread)


def normal(seconds, strike_ratio):
    """Return P(settlement above the strike) of a driftless walk over an effective horizon."""
    spread = HALF_A_YEAR * sqrt(seconds)
    return NormalDist().cdf((-log(strike_ratio) - spread * spread / 2) / spread)


@pytest.mark.parametrize(
    ("left_s", "simulated"), [(3600, 0.4625), (600, 0.4054), (180, 0.3156), (60, 0.1066)]
)
def test_averaging_agrees_with_monte_carlo(left_s, simulated):
    """A strike 5 bp above the price at 50 % a year; 200,000 simulated paths of the settlement."""
    seen = outlook(PRICE, CLOSE - left_s * SECOND_US, CLOSE, NO_MEAN)

    assert normal(seen.seconds, 1.0005) == pytest.approx(simulated, abs=0.005)


def test_without_averaging_the_last_minute_would_be_wrong():
    """The naive horizon of 60 seconds says 0.2342 where the mean says 0.1075."""
    assert normal(60.0, 1.0005) == pytest.approx(0.2342, abs=0.001)


def test_students_distribution():
    """Symmetric, variance one, fatter than normal beyond two deviations, thinner at one."""
    assert student(0.0) == 0.5
    assert student(1.3) + student(-1.3) == pytest.approx(1.0)
    assert student(-1.0 * sqrt(0.5)) == pytest.approx(chance(-1.0, 4.0), abs=0.001)
    assert 1 - student(3.0) > 1 - NormalDist().cdf(3.0)
    assert student(1.0) > NormalDist().cdf(1.0)


def test_the_volatility_model_uses_horizon_and_tails():
    """One deviation of the corrected horizon above the price: 1 - F(1)."""
    deviation = 1e-4
    spread = Spread(deviation * 20, 4.0)
    here = odds(Outlook(PRICE, 400.0), fingerprints=None, bucket=None, spread=spread)
    strike = round(PRICE * exp(deviation * 20))

    assert here.volatility_e6(strike) == pytest.approx(1e6 * (1 - chance(1.0, 4.0)), abs=400)


def test_fingerprints_take_up_moves_for_strikes_above():
    """A strike 0.25 % above, 15 minutes effective, bucket -30: YES needs the published up-move."""
    seen = Outlook(PRICE, 900.0)
    here = odds(seen, fingerprints=prints(), bucket=-30, spread=None)

    assert here.fingerprints_e6(round(PRICE * 1.0025)) == 315_300
    assert here.fingerprints_e6(round(PRICE * 0.9975)) == 1_000_000 - 248_600


def test_the_horizon_of_fingerprints_is_corrected_too():
    """At 939.5 seconds to the close the table of 15 minutes holds."""
    seen = outlook(PRICE, CLOSE - 939_497_222, CLOSE, NO_MEAN)
    here = odds(seen, fingerprints=prints(), bucket=0, spread=None)

    assert here.fingerprints_e6(round(PRICE * 1.0025)) == pytest.approx(62_300, abs=50)


def test_unknown_inputs_give_no_probability():
    """No momentum, no volatility, no outlook: None and a reason, never one half."""
    strike = PRICE + 100_000_000
    blind = view(600, bucket=None, deviation=None)

    assert blind.fingerprints_e6(strike) is None
    assert blind.volatility_e6(strike) is None
    assert blind.fingerprints_reason == "fingerprints_unknown"
    assert blind.volatility_reason == "volatility_unknown"
    closed = view(0)
    assert (closed.fingerprints_e6(strike), closed.volatility_e6(strike)) == (None, None)
    assert closed.reason == "closed"


def test_beyond_the_tables_hour_there_is_no_fingerprint():
    """A daily event far from its close has none; the volatility model still answers."""
    far = view(7200)

    assert far.fingerprints_e6(PRICE) is None
    assert far.volatility_e6(PRICE) is not None


def test_models_are_chosen():
    """Each account has its own; what its model does not know is not known."""
    assert choose(Model.FINGERPRINTS, 1, 2, 3) == 1
    assert choose(Model.VOLATILITY, 1, 2, 3) == 2
    assert choose(Model.BLEND, 1, 2, 3) == 3
    assert choose(Model.BLEND, 1, 2, None) is None
    assert version(Model.FINGERPRINTS, prints(), "v1") == "avg60-t2+btc_2025-07-20"
    assert version(Model.VOLATILITY, prints(), "v1") == "avg60-t2+v1"
    assert version(Model.BLEND, prints(), "v1") == "avg60-t2+v1"


@given(
    st.integers(1, 9_998), st.integers(1, 2_000), st.floats(0, 1),
    st.integers(LEAST_E6, 1_000_000 - LEAST_E6),
)  # fmt: skip
def test_a_blend_never_leaves_its_two_parts(bid, gap, weight, ours):
    """It lies between the market's middle and the model, whatever the weight, and is never certain."""
    ask = min(bid + gap, 9_999)
    here = Odds(Outlook(PRICE, 600.0), None, Spread(0.002, 4.0, 0.0, weight))
    found, market = here.blend_e6(ours, bid, ask), (bid + ask) * 50

    assert min(ours, market) - 1 <= found <= max(ours, market) + 1
    assert LEAST_E6 <= found <= 1_000_000 - LEAST_E6


STRIKES = st.integers(round(PRICE * 0.9), round(PRICE * 1.1))


@given(st.integers(61, 3600), st.integers(-30, 30), st.lists(STRIKES, min_size=2, max_size=8))
def test_a_higher_strike_is_never_more_likely(left_s, bucket, strikes):
    """P(YES) falls with the strike and stays within (0, 1), also across the price itself."""
    here = view(left_s, bucket=bucket)
    for known in (here.fingerprints_e6, here.volatility_e6):
        values = [known(strike) for strike in [*sorted(strikes), round(PRICE * 1.1)]]
        assert values == sorted(values, reverse=True)
        assert all(0 < value < 1_000_000 for value in values)


@given(st.integers(61, 3600), st.integers(1, 8_000_000_000))
def test_without_drift_both_sides_of_the_price_are_alike(left_s, gap):
    """Complement: above by a ratio is as likely as below by it."""
    here = view(left_s)
    above = here.volatility_e6(PRICE + gap)
    below = here.volatility_e6(round(PRICE * PRICE / (PRICE + gap)))

    assert above + below == pytest.approx(1_000_000, abs=2)


@given(st.integers(-30, 30), st.integers(61, 3500))
def test_fingerprints_have_no_step_at_the_price(bucket, left_s):
    """From just below to just above the price P(YES) changes by next to nothing."""
    here = view(left_s, bucket=bucket)

    assert here.fingerprints_e6(PRICE) == pytest.approx(here.fingerprints_e6(PRICE + 1), abs=50)
