"""One New York day of an account on a card: was it worth it after fees, and did it know more?

    promised edge    what the entries promised a contract after fees (p - ask - fee), contract-weighted
    realised         what a contract earned in truth, after fees
    slippage         what was paid a contract beyond the ask that the decision saw; less is negative
    Brier            mean of (chance - outcome)², of ours and of the market's price at the decision, over
                     the same trades; less is better, and ours must be less to be worth anything

A trade belongs to the day on which it ended. The market's price is the ask that the decision saw: a
decision keeps no other, and a buyer pays it; it flatters us by half the spread. A trade without a known
result, chance or price is left out of what needs it and counted (``compared``). Few trades prove
nothing: the win rate stands beside the one that breaks even, and neither has an interval here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from recio.domain.figures import Ended, Figures, figures
from recio.domain.tickers import new_york_day_start_us
from recio.domain.units import P_ONE_E6, PRICE_ONE_E4

_E4_TO_E6: Final = P_ONE_E6 // PRICE_ONE_E4


class CardTrade(msgspec.Struct, frozen=True, kw_only=True):
    """One ended trade as a card needs it; None: not known.

    ``p_e6`` and ``ask_e4`` are of the side that was bought, ``edge_e4`` is what was promised after
    fees, ``is_won`` whether that side's market was decided for it (even if it was sold before).
    """

    ended_us: int
    pnl_usd_e6: int
    cost_usd_e6: int
    fees_usd_e6: int
    qty_e2: int
    p_e6: int | None = None
    ask_e4: int | None = None
    edge_e4: int | None = None
    is_won: bool | None = None


class DayCard(msgspec.Struct, frozen=True, kw_only=True):
    """One day, or all of some (``day_start_us`` None). Prices and edges are a contract's, in 1e-4.

    ``watched_minutes`` None: not known. ``brier_e6`` and ``market_brier_e6`` are over ``compared``.
    """

    day_start_us: int | None
    figures: Figures
    promised_edge_e4: int | None
    realised_e4: int | None
    slippage_e4: int | None
    brier_e6: int | None
    market_brier_e6: int | None
    compared: int
    watched_minutes: int | None


def cards(trades: Sequence[CardTrade], watched: Mapping[int, int]) -> tuple[DayCard, ...]:
    """Return a card for each day that had trades or was watched, the newest first.

    Args:
        trades: in any order.
        watched: minutes with a known book, by the start of the day.
    """
    days: dict[int, list[CardTrade]] = {day: [] for day in watched}
    for trade in sorted(trades, key=lambda one: one.ended_us):
        days.setdefault(new_york_day_start_us(trade.ended_us), []).append(trade)
    return tuple(
        card(group, day_start_us=day, watched_minutes=watched.get(day))
        for day, group in sorted(days.items(), reverse=True)
    )


def card(
    trades: Sequence[CardTrade],
    *,
    day_start_us: int | None = None,
    watched_minutes: int | None = None,
) -> DayCard:
    """Return the card of some trades, given in the order in which they ended."""
    compared = [one for one in trades if None not in (one.p_e6, one.ask_e4, one.is_won)]
    qty_e2 = sum(one.qty_e2 for one in trades)
    return DayCard(
        day_start_us=day_start_us,
        figures=figures([_ended(one) for one in trades]),
        promised_edge_e4=_weighted((one.edge_e4, one.qty_e2) for one in trades),
        realised_e4=_per_contract_e4(sum(one.pnl_usd_e6 for one in trades), qty_e2),
        slippage_e4=_weighted((_slippage_e4(one), one.qty_e2) for one in trades),
        brier_e6=_brier_e6([(one.p_e6 or 0, one.is_won) for one in compared]),
        market_brier_e6=_brier_e6(
            [((one.ask_e4 or 0) * _E4_TO_E6, one.is_won) for one in compared]
        ),
        compared=len(compared),
        watched_minutes=watched_minutes,
    )


def _ended(trade: CardTrade) -> Ended:
    return Ended(
        pnl_usd_e6=trade.pnl_usd_e6,
        cost_usd_e6=trade.cost_usd_e6,
        fees_usd_e6=trade.fees_usd_e6,
        qty_e2=trade.qty_e2,
        p_entry_e6=trade.p_e6,
    )


def _slippage_e4(trade: CardTrade) -> int | None:
    paid_e4 = _per_contract_e4(trade.cost_usd_e6, trade.qty_e2)
    return None if paid_e4 is None or trade.ask_e4 is None else paid_e4 - trade.ask_e4


def _per_contract_e4(usd_e6: int, qty_e2: int) -> int | None:
    """Return money a contract in 1e-4 dollar, to the nearest: 1e-6 / 1e-2 is 1e-4."""
    return round(usd_e6 / qty_e2) if qty_e2 else None


def _weighted(values: Iterable[tuple[int | None, int]]) -> int | None:
    """Return the contract-weighted mean of what is known."""
    known = [(value, qty_e2) for value, qty_e2 in values if value is not None and qty_e2]
    total_e2 = sum(qty_e2 for _, qty_e2 in known)
    return round(sum(value * qty_e2 for value, qty_e2 in known) / total_e2) if known else None


def _brier_e6(pairs: Sequence[tuple[int, bool | None]]) -> int | None:
    if not pairs:
        return None
    squares = sum((p_e6 - (P_ONE_E6 if is_won else 0)) ** 2 for p_e6, is_won in pairs)
    return round(squares / (P_ONE_E6 * len(pairs)))
