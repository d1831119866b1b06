"""The chance that a market settles YES.

Both models see the settlement through ``settlement.outlook``: the expected mean of the last minute
and the seconds over which it may still move, so the averaging is in both.

* Fingerprints: the published share of moves of at least |strike - centre| after that many seconds in
  the current momentum bucket; up for strikes above the centre, down for strikes below.
* Volatility: the settlement's log return has Student's distribution with the scale, the degrees of
  freedom and the lean that ``volatility.Volatility`` foretells for this close
  (``volatility_model``, docs/model.md).
* Blend: the log odds of the market's own middle, moved towards the volatility model's by a weight
  for the time left that the artefact holds. Unknown if either is: without a weight for the symbol,
  without a book, with one side only, or with sides more than 20 cents apart, whose middle is nobody's
  opinion.

What is not known is None with a reason, never a number. No probability is 0 or 1: nothing is known
better than to 0.005 points, half of the tables' resolution.
"""

from __future__ import annotations

from functools import lru_cache
from math import erf, exp, log, log1p, sqrt
from typing import Final

from recio.domain.account_config import Model
from recio.domain.fingerprints import DOWN, UP, Curve, Fingerprints
from recio.domain.settlement import Outlook
from recio.domain.units import P_ONE_E6, PRICE_ONE_E4
from recio.domain.volatility_model import Spread

REVISION: Final = "avg60-t2"
"""Changes when a formula of this module does."""
LEAST_E6: Final = 50
NO_FINGERPRINT: Final = "fingerprints_unknown"
NO_VOLATILITY: Final = "volatility_unknown"
NO_BLEND: Final = "blend_unknown"
MODEL_REASONS: Final = frozenset({NO_FINGERPRINT, NO_VOLATILITY, NO_BLEND})
"""Reasons of one model; every other reason stands against all models."""

MOST_SPREAD_E4: Final = 2_000
"""Sides further apart have no middle."""

# An enumeration's member costs 0.3 us to look up, and these are looked up for every strike.
_FINGERPRINTS: Final = Model.FINGERPRINTS
_VOLATILITY: Final = Model.VOLATILITY

_SHARE_E6: Final = 100
_HALF_E6: Final = P_ONE_E6 // 2
_MOST_E6: Final = P_ONE_E6 - LEAST_E6
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
        "_weight",
        "fingerprints_reason",
        "reason",
        "volatility_reason",
    )

    def __init__(self, outlook: Outlook, curve: Curve | None, spread: Spread | None) -> None:
        """Prepare the odds.

        Args:
            outlook: expected settlement and effective horizon.
            curve: the fingerprints at that horizon; None: not known.
            spread: the distribution of the settlement's log return; None: not known.
        """
        self.reason = outlook.reason
        self._centre = outlook.centre_usd_e6
        self._curve = curve
        self._spread = None if spread is None else spread.prepared()
        self._weight = None if spread is None else spread.weight
        self.fingerprints_reason = outlook.reason or ("" if curve else NO_FINGERPRINT)
        self.volatility_reason = outlook.reason or ("" if spread else NO_VOLATILITY)

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
        """Return P(settlement above the strike) by the foretold volatility."""
        if self._spread is None or self.reason:
            return None
        lean, share, stretch = self._spread
        move = log(self._centre / strike_usd_e6) + lean
        far = erf(sqrt(log1p(move * move * share)) * stretch) * _HALF_E6
        found = round(_HALF_E6 + far if move > 0 else _HALF_E6 - far)
        if LEAST_E6 <= found <= _MOST_E6:
            return found
        return LEAST_E6 if found < LEAST_E6 else _MOST_E6

    def all_e6(
        self, strike_usd_e6: int, bid_e4: int | None, ask_e4: int | None, *, is_whole: bool
    ) -> tuple[int | None, int | None, int | None]:
        """Return P(settlement above the strike) by moves, by volatility, and blended.

        ``is_whole``: the book is whole and valid; else there is no market to blend with.
        """
        by_moves = self.fingerprints_e6(strike_usd_e6) if self._curve is not None else None
        by_spread = self.volatility_e6(strike_usd_e6)
        blend = None
        if is_whole and self._weight is not None:
            blend = self.blend_e6(by_spread, bid_e4, ask_e4)
        return by_moves, by_spread, blend

    def blend_e6(
        self, volatility_e6: int | None, bid_e4: int | None, ask_e4: int | None
    ) -> int | None:
        """Return the market's odds moved towards ours; the book is one that is whole and valid."""
        weight = self._weight
        if weight is None or volatility_e6 is None or bid_e4 is None or ask_e4 is None:
            return None
        if not 0 < ask_e4 - bid_e4 <= MOST_SPREAD_E4:
            return None
        market = _odds_of_prices()[bid_e4 + ask_e4]
        ours = log(volatility_e6 / (P_ONE_E6 - volatility_e6))
        found = round(P_ONE_E6 / (1 + exp(-market - weight * (ours - market))))
        return min(max(found, LEAST_E6), _MOST_E6)


@lru_cache(maxsize=1)
def _odds_of_prices() -> tuple[float, ...]:
    """Return the log odds of every sum of a bid and an ask."""
    both = 2 * PRICE_ONE_E4
    return (0.0, *(log(total / (both - total)) for total in range(1, both)), 0.0)


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
    spread: Spread | None,
) -> Odds:
    """Return the odds at one moment; ``bucket`` None: no momentum, hence no fingerprint."""
    curve = None
    if fingerprints is not None and bucket is not None and not outlook.reason:
        curve = fingerprints.curve(bucket, outlook.seconds)
    return Odds(outlook, curve, spread)


def choose(
    model: Model, fingerprints_e6: int | None, volatility_e6: int | None, blend_e6: int | None
) -> int | None:
    """Return the probability of the wanted model.

    >>> choose(Model.BLEND, 960_000, 940_001, 950_000), choose(Model.VOLATILITY, 960_000, None, None)
    (950000, None)
    """
    if model is _FINGERPRINTS:
        return fingerprints_e6
    return volatility_e6 if model is _VOLATILITY else blend_e6


def version(model: Model, fingerprints: Fingerprints | None, volatility: str = "") -> str:
    """Return what a probability was made with: formulas and the artefacts' names."""
    names = [REVISION]
    if fingerprints is not None and model is Model.FINGERPRINTS:
        names.append(fingerprints.name)
    if volatility and model is not Model.FINGERPRINTS:
        names.append(volatility)
    return "+".join(names)
