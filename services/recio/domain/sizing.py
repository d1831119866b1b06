"""How many contracts an entry asks for.

Fixed: the number in the settings. CappedKelly: a fraction of the Kelly stake

    f = (p - a) / (1 - a)        a = ask + fee, the cost of a contract that pays 1 with chance p

of the account's cash, but at most the number in the settings. Both stay within the limit of
contracts for one order; whole contracts only. None: the cash is not known.
"""

from __future__ import annotations

from recio.domain.account_config import Risk, Sizing, SizingMethod
from recio.domain.units import CONTRACT_E2, P_ONE_E6, PRICE_ONE_E4


def qty_e2(
    sizing: Sizing, risk: Risk, *, p_e6: int, ask_e4: int, fee_e4: int, cash_usd_e6: int | None
) -> int | None:
    """Return the quantity to ask for, 0 if the stake does not reach one contract.

    >>> qty_e2(Sizing(contracts=5), Risk(), p_e6=970_000, ask_e4=9500, fee_e4=34, cash_usd_e6=None)
    500
    """
    most = min(sizing.contracts, risk.max_contracts_per_order)
    if sizing.method is SizingMethod.FIXED:
        return most * CONTRACT_E2
    if cash_usd_e6 is None:
        return None
    cost_e4 = ask_e4 + fee_e4
    gain_e4 = PRICE_ONE_E4 - cost_e4
    if gain_e4 <= 0 or cost_e4 <= 0 or cash_usd_e6 <= 0:
        return 0
    edge_e6 = p_e6 - cost_e4 * (P_ONE_E6 // PRICE_ONE_E4)
    if edge_e6 <= 0:
        return 0
    # stake = cash x permille x edge / gain; a contract costs cost_e4 x 100 in 1e-6 dollar.
    stake = cash_usd_e6 * sizing.kelly_permille * edge_e6
    contracts = stake // (1000 * gain_e4 * 100 * cost_e4 * 100)
    return min(contracts, most) * CONTRACT_E2
