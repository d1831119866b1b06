"""What a trade costs: the trader's own copy of the exchange's fee formula.

    taker fee = M x 0.07 x C x P x (1 - P) dollars, rounded up to $0.0001 for each fill

M is the series' or event's multiplier, C the contracts, P the price in dollars; P(1 - P) is the
same seen from either side. There is no fee at settlement. The account's balance then moves in
whole cents, the difference being kept by an accumulator of each order, so a budget adds one cent
for each order: it is never too low. ``flat`` fees have no published formula and are unknown here.

Sources: the fee schedule effective 2026-07-07 and docs.kalshi.com/getting_started/fee_rounding
(one contract at $0.52 paid 0.0175).
"""

from __future__ import annotations

from typing import Final

from recio.domain.errors import InvalidValue
from recio.domain.units import CENT_E6, P_ONE_E6, PRICE_ONE_E4, UsdE6

TAKER_PERCENT: Final = 7
ORDER_ROUNDING_E6: Final = CENT_E6
_QUADRATIC: Final = frozenset(
    {"quadratic", "quadratic_with_maker_fees", "quadratic_with_combo_maker_fees"}
)


def is_known(fee_type: str) -> bool:
    """Tell whether the taker fee of this type has a formula here."""
    return fee_type in _QUADRATIC


def taker_fee_usd_e6(price_e4: int, qty_e2: int, multiplier_e6: int = P_ONE_E6) -> UsdE6:
    """Return the trade fee of one fill as a taker.

    >>> taker_fee_usd_e6(5200, 100), taker_fee_usd_e6(500, 10_000)
    (17500, 332500)

    Raises:
        InvalidValue: a price outside 0 … 1 dollar, or a negative quantity or multiplier.
    """
    if not 0 <= price_e4 <= PRICE_ONE_E4 or qty_e2 < 0 or multiplier_e6 < 0:
        raise InvalidValue(f"no fee for price {price_e4}, quantity {qty_e2}, times {multiplier_e6}")
    # Units: 1e-2 (percent) x 1e-6 x 1e-2 x 1e-8 = 1e-18 dollars; the step is 1e-4 dollars.
    exact = TAKER_PERCENT * multiplier_e6 * qty_e2 * price_e4 * (PRICE_ONE_E4 - price_e4)
    return UsdE6(-(-exact // 10**14) * 100)


def fee_per_contract_e4(price_e4: int, multiplier_e6: int = P_ONE_E6) -> int:
    """Return the taker fee of one contract in 1e-4 dollar, rounded up: what an edge must beat.

    >>> fee_per_contract_e4(9600), fee_per_contract_e4(5000), fee_per_contract_e4(5000, 0)
    (27, 175, 0)
    """
    exact = TAKER_PERCENT * multiplier_e6 * price_e4 * (PRICE_ONE_E4 - price_e4)
    return -(-exact // 10**12)


def budget_usd_e6(price_e4: int, qty_e2: int, multiplier_e6: int = P_ONE_E6) -> UsdE6:
    """Return the most that one order's fees can be: for reservations before it is sent.

    A fill at a better price may pay a higher fee, but then its price is lower by more.

    >>> budget_usd_e6(9600, 1000)
    36900
    """
    return UsdE6(taker_fee_usd_e6(price_e4, qty_e2, multiplier_e6) + ORDER_ROUNDING_E6)


def break_even_e6(price_e4: int, multiplier_e6: int = P_ONE_E6) -> int:
    """Return the win probability at which a contract held to settlement earns nothing.

    >>> break_even_e6(9600)
    962700
    """
    return (price_e4 + fee_per_contract_e4(price_e4, multiplier_e6)) * 100
