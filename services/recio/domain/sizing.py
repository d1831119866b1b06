"""How many contracts the entries of one moment ask for.

Fixed: the number in the settings. CappedKelly: a fraction of the Kelly stake. For one contract that
is

    f = (p - a) / (1 - a)        a = ask + fee, the cost of a contract that pays 1 with chance p

of the account's money. Strikes of one event are bets on one price: bought one by one at that size
they stake the same opinion several times. They are therefore sized together (``kelly.stakes``), with
what is already held in the event counted in full, out of the same fraction of the money:

    stakes of a fraction k of Kelly on money B  =  full Kelly stakes on k B

A strike never gets more than it would get alone, no entry more than the number in the settings or
than one order may have, whole contracts only. None: the cash, or the probability of something held in
the event, is not known; then there is no size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from recio.domain import kelly
from recio.domain.account_config import Risk, Sizing, SizingMethod
from recio.domain.units import CONTRACT_E2, P_ONE_E6, PRICE_ONE_E4, USD_E6

_ROUNDING: Final = 1e-3
"""The search ends this near to a whole contract, which it then has reached."""


class Bet(msgspec.Struct, frozen=True):
    """One entry that may be made: ``cost_e4`` is what a contract costs with its fee."""

    strike_usd_e6: int
    is_yes: bool
    p_e6: int
    cost_e4: int


class Holding(msgspec.Struct, frozen=True):
    """What is held, or may be, of the same event.

    ``p_e6`` is its own side's probability now. ``cost_usd_e6`` is what it cost, with fees; ``is_paid``
    says that this has left the cash.
    """

    strike_usd_e6: int
    is_yes: bool
    p_e6: int | None
    qty_e2: int
    cost_usd_e6: int
    is_paid: bool


def qty_e2(
    sizing: Sizing, risk: Risk, *, p_e6: int, ask_e4: int, fee_e4: int, cash_usd_e6: int | None
) -> int | None:
    """Return the quantity of one entry alone, 0 if the stake does not reach one contract.

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


def joint_qty_e2(
    sizing: Sizing,
    risk: Risk,
    bets: Sequence[Bet],
    holdings: Sequence[Holding],
    *,
    cash_usd_e6: int | None,
) -> tuple[int | None, ...]:
    """Return the quantity of each of the entries that may be made in one event now."""
    money = cash_usd_e6
    if money is not None:
        money += sum(held.cost_usd_e6 for held in holdings if held.is_paid)
    alone = tuple(
        qty_e2(sizing, risk, p_e6=bet.p_e6, ask_e4=bet.cost_e4, fee_e4=0, cash_usd_e6=money)
        for bet in bets
    )
    if sizing.method is SizingMethod.FIXED or money is None:
        return alone
    if any(held.p_e6 is None for held in holdings):
        return (None,) * len(bets)
    most = [one or 0 for one in alone]
    if not holdings and sum(one > 0 for one in most) < 2:
        return alone
    return _together(bets, holdings, most, money * sizing.kelly_permille / (1000 * USD_E6))


def _together(
    bets: Sequence[Bet], holdings: Sequence[Holding], most: Sequence[int], money: float
) -> tuple[int, ...]:
    known: list[Bet | Holding] = [*bets, *holdings]
    strikes = sorted({one.strike_usd_e6 for one in known})
    p = kelly.regions([_p_above(strike, known) for strike in strikes])
    base = [money - sum(held.cost_usd_e6 for held in holdings) / USD_E6] * len(p)
    for held in holdings:
        pays = _pays(held, strikes)
        base = [
            wealth + pay * held.qty_e2 / CONTRACT_E2 for wealth, pay in zip(base, pays, strict=True)
        ]
    gains = [[pay - bet.cost_e4 / PRICE_ONE_E4 for pay in _pays(bet, strikes)] for bet in bets]
    found = kelly.stakes(p, base, gains, [limit / CONTRACT_E2 for limit in most])
    return tuple(
        min(int(share + _ROUNDING) * CONTRACT_E2, limit)
        for share, limit in zip(found, most, strict=True)
    )


def _pays(one: Bet | Holding, strikes: Sequence[int]) -> list[float]:
    """Return what a contract pays in each region; the first one lies below the lowest strike."""
    edge = strikes.index(one.strike_usd_e6)
    return [float((place > edge) == one.is_yes) for place in range(len(strikes) + 1)]


def _p_above(strike: int, known: Sequence[Bet | Holding]) -> float:
    """Return the chance to end above a strike; the mean, if several opinions were given."""
    said = [
        one.p_e6 if one.is_yes else P_ONE_E6 - one.p_e6
        for one in known
        if one.strike_usd_e6 == strike and one.p_e6 is not None
    ]
    return sum(said) / len(said) / P_ONE_E6
