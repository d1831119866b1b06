"""Trading fees: the formula, rounding to the member's balance precision, and the accumulator.

Trade fee = multiplier · rate · C · P · (1 - P) dollars, rounded up to $0.0001 on each fill; the
rate is 0.07 for takers, and for makers 0, 0.0175 or 0.035 by the series' fee type (fee schedule
effective 2026-07-07). The balance change revenue - trade fee is then floored to the member's
precision; the difference is a rounding fee. An accumulator of each order adds up the rounding
fees and gives $0.01 back whenever it exceeds $0.01, never so that a fill's net fee goes below zero
(docs.kalshi.com, "Fee rounding"; its worked examples are the tests).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TAKER_RATE_E4: Final = 700
MAKER_RATES_E4: Final = {
    "quadratic": 0,
    "flat": 0,
    "quadratic_with_maker_fees": 175,
    "quadratic_with_combo_maker_fees": 350,
}
REBATE_E6: Final = 10_000
"""A rebate is one cent."""

DIRECT_MEMBER_PRECISION_E6: Final = 100
MEMBER_PRECISION_E6: Final = 10_000

_CENTICENT_E6: Final = 100
_FORMULA_SCALE: Final = 10**16


@dataclass(frozen=True, slots=True)
class FeeTerms:
    """Fee type and multiplier (1e-6) of a market."""

    fee_type: str = "quadratic"
    multiplier_e6: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Charge:
    """The fee of one fill: its parts, what it costs in the end, and the accumulator after it."""

    trade_e6: int
    rounding_e6: int
    rebate_e6: int
    accumulator_e6: int

    @property
    def net_e6(self) -> int:
        """Return trade fee + rounding fee - rebate."""
        return self.trade_e6 + self.rounding_e6 - self.rebate_e6


def trade_fee_e6(price_e4: int, qty_e2: int, terms: FeeTerms, *, is_taker: bool) -> int:
    """Return the trade fee of one fill, rounded up to $0.0001.

    >>> trade_fee_e6(5200, 100, FeeTerms(), is_taker=True)
    17500
    """
    rate_e4 = TAKER_RATE_E4 if is_taker else MAKER_RATES_E4.get(terms.fee_type, 0)
    product = rate_e4 * terms.multiplier_e6 * qty_e2 * price_e4 * (10_000 - price_e4)
    return -(-product // _FORMULA_SCALE) * _CENTICENT_E6


def charge(revenue_e6: int, trade_e6: int, accumulator_e6: int, precision_e6: int) -> Charge:
    """Round one fill's balance change and keep the order's accumulator.

    >>> one = charge(-55_000, 8_500, 6_500, MEMBER_PRECISION_E6)
    >>> one.rounding_e6, one.rebate_e6, one.net_e6, one.accumulator_e6
    (6500, 10000, 5000, 3000)
    """
    rounding_e6 = (revenue_e6 - trade_e6) % precision_e6
    accumulated = accumulator_e6 + rounding_e6
    is_due = accumulated > REBATE_E6 and trade_e6 + rounding_e6 >= REBATE_E6
    rebate_e6 = REBATE_E6 if is_due else 0
    return Charge(trade_e6, rounding_e6, rebate_e6, accumulated - rebate_e6)
