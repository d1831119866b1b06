"""The chance that a market settles YES.

Both models see the settlement through ``settlement.outlook``: the expected mean of the last minute
and the seconds over which it may still move, so the averaging is in both.

* Fingerprints: the published share of moves of at least |strike - centre| after that many seconds in
  the current momentum bucket; up for strikes above the centre, down for strikes below.
* Volatility: p = F(d), d = ln(centre / strike) / v with v = s x sqrt(seconds), s the realised deviation
  of one second, and F Student's distribution with 4 degrees of freedom scaled to variance one:
  against a normal distribution it has the lower log loss and Brier score on the hours of two
  recorded quarters (benchmarks/calibration.py, docs/decisions/0008).
* Blend: the plain mean of the two; unknown if either is.

What is not known is None with a reason, never a number. No probability is 0 or 1: nothing is known
better than to 0.005 points, half of the tables' resolution.
"""

from __future__ import annotations

from math import log, sqrt
from typing import Final

from recio.domain.account_config import Model
from recio.domain.fingerprints import DOWN, UP, Curve, Fingerprints
from recio.domain.settlement import Outlook
from recio.domain.units import P_ONE_E6

REVISION: Final = "avg60-t4"
"""Changes when a formula of this module does."""
LEAST_E6: Final = 50
NO_FINGERPRINT: Final = "fingerprints_unknown"
NO_VOLATILITY: Final = "volatility_unknown"
MODEL_REASONS: Final = frozenset({NO_FINGERPRINT, NO_VOLATILITY})
"""Reasons of one model; every other reason stands against all models."""

_SHARE_E6: Final = 100
_FACTOR: Final = 0.375 * sqrt(2)


class Odds:
    """P(YES) of every strike of one event at one moment, by each model.

    ``reason`` says why neither model knows; ``fingerprints_reason`` and ``volatility_reason`` why
    that one does not.
    """

    __slots__ = (
        "_centre",
        "_curve",
        "_spread",
        "fingerprints_reason",
        "reason",
        "volatility_reason",
    )

    def __init__(self, outlook: Outlook, curve: Curve | None, deviation: float | None) -> None:
        """Prepare the odds.

        Args:
            outlook: expected settlement and effective horizon.
            curve: the fingerprints at that horizon; None: not known.
            deviation: of one second's log return; None: not known.
        """
        self.reason = outlook.reason
        self._centre = outlook.centre_usd_e6
        self._curve = curve
        self._spread = deviation * sqrt(outlook.seconds) if deviation else 0.0
        self.fingerprints_reason = outlook.reason or ("" if curve else NO_FINGERPRINT)
        self.volatility_reason = outlook.reason or ("" if self._spread else NO_VOLATILITY)

    @property
    def centre_usd_e6(self) -> int:
        """The expected settlement value."""
        return self._centre

    def fingerprints_e6(self, strike_usd_e6: int) -> int | None:
        """Return P(settlement above the strike) by the published moves."""
        curve = self._curve
        if curve is None or self.reason:
            return None
        gap = strike_usd_e6 - self._centre
        if gap > 0:
            return round(curve.share(gap * 100 / self._centre, UP) * _SHARE_E6)
        return P_ONE_E6 - round(curve.share(-gap * 100 / self._centre, DOWN) * _SHARE_E6)

    def volatility_e6(self, strike_usd_e6: int) -> int | None:
        """Return P(settlement above the strike) by the realised volatility."""
        spread = self._spread
        if not spread or self.reason:
            return None
        d = log(self._centre / strike_usd_e6) / spread
        return min(max(round(student(d) * P_ONE_E6), LEAST_E6), P_ONE_E6 - LEAST_E6)


def student(d: float) -> float:
    """Return P(X < d) of Student's distribution with 4 degrees of freedom and variance one.

    >>> round(student(0.0), 4), round(student(1.0), 4), round(student(-3.0), 4)
    (0.5, 0.8849, 0.0066)
    """
    spread = 1 + d * d / 2
    return 0.5 + _FACTOR * d / sqrt(spread) * (1 - d * d / (6 * spread))


def odds(
    outlook: Outlook,
    *,
    fingerprints: Fingerprints | None,
    bucket: int | None,
    deviation: float | None,
) -> Odds:
    """Return the odds at one moment; ``bucket`` None: no momentum, hence no fingerprint."""
    curve = None
    if fingerprints is not None and bucket is not None and not outlook.reason:
        curve = fingerprints.curve(bucket, outlook.seconds)
    return Odds(outlook, curve, deviation)


def choose(model: Model, fingerprints_e6: int | None, volatility_e6: int | None) -> int | None:
    """Return the probability of the wanted model.

    >>> choose(Model.BLEND, 960_000, 940_001), choose(Model.BLEND, 960_000, None)
    (950000, None)
    """
    if model is Model.FINGERPRINTS:
        return fingerprints_e6
    if model is Model.VOLATILITY:
        return volatility_e6
    if fingerprints_e6 is None or volatility_e6 is None:
        return None
    return (fingerprints_e6 + volatility_e6) // 2


def version(model: Model, fingerprints: Fingerprints | None) -> str:
    """Return what a probability was made with: formulas and the artefact's name."""
    name = "" if fingerprints is None or model is Model.VOLATILITY else f"+{fingerprints.name}"
    return f"{REVISION}{name}"
