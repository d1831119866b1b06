"""What a set of ended trades was worth, told honestly: the win rate beside its break-even.

A contract bought at price a with fee f must win with chance a + f to earn nothing, so a win rate says
nothing alone: 90.8 % of wins at an average cost of 94 cents lose money. All money is after fees.

    break-even       = sum(cost + fees) / sum(contracts x $1)
    expectancy       = sum(pnl) / trades
    profit factor    = sum of gains / sum of losses               None without a loss
    drawdown         = largest fall of the running sum of pnl below its highest value so far
    return           = sum(pnl) / sum(cost + fees)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from recio.domain.trades import Trade
from recio.domain.units import P_ONE_E6, PRICE_ONE_E4

DECILES: Final = 10


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What statistics need of one ended trade. ``p_entry_e6`` is the chance it was entered on."""

    pnl_usd_e6: int
    cost_usd_e6: int
    fees_usd_e6: int
    qty_e2: int
    p_entry_e6: int | None = None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics; rates in 1e-6, money in 1e-6 dollar, None where there is nothing to divide by."""

    trades: int
    wins: int
    losses: int
    draws: int
    win_rate_e6: int | None
    break_even_e6: int | None
    predicted_e6: int | None
    pnl_usd_e6: int
    fees_usd_e6: int
    expectancy_usd_e6: int | None
    gains_usd_e6: int
    losses_usd_e6: int
    profit_factor_e6: int | None
    max_drawdown_usd_e6: int
    return_e6: int | None


class Decile(msgspec.Struct, frozen=True, kw_only=True):
    """Trades entered on a chance within one tenth: how often they should win, and how often they did."""

    from_e6: int
    trades: int
    predicted_e6: int
    won_e6: int


def ended(trade: Trade) -> Ended | None:
    """Return what statistics need of a trade; None while it is not over or if it bought nothing."""
    if trade.pnl_usd_e6 is None or trade.filled_qty_e2 <= 0:
        return None
    return Ended(
        pnl_usd_e6=trade.pnl_usd_e6,
        cost_usd_e6=trade.entry_cost_usd_e6,
        fees_usd_e6=trade.fees_usd_e6,
        qty_e2=trade.filled_qty_e2,
        p_entry_e6=trade.p_entry_e6,
    )


def figures(trades: Sequence[Ended]) -> Figures:
    """Return the statistics of ended trades, given in the order in which they ended."""
    results = [trade.pnl_usd_e6 for trade in trades]
    gains = sum(result for result in results if result > 0)
    losses = -sum(result for result in results if result < 0)
    paid = sum(trade.cost_usd_e6 + trade.fees_usd_e6 for trade in trades)
    wins = sum(result > 0 for result in results)
    lost = sum(result < 0 for result in results)
    return Figures(
        trades=len(results),
        wins=wins,
        losses=lost,
        draws=len(results) - wins - lost,
        win_rate_e6=_ratio_e6(wins, len(results)),
        break_even_e6=_ratio_e6(paid, sum(trade.qty_e2 for trade in trades) * PRICE_ONE_E4),
        predicted_e6=_mean([t.p_entry_e6 for t in trades if t.p_entry_e6 is not None]),
        pnl_usd_e6=sum(results),
        fees_usd_e6=sum(trade.fees_usd_e6 for trade in trades),
        expectancy_usd_e6=_mean(results),
        gains_usd_e6=gains,
        losses_usd_e6=losses,
        profit_factor_e6=_ratio_e6(gains, losses),
        max_drawdown_usd_e6=max_drawdown(results),
        return_e6=_ratio_e6(sum(results), paid),
    )


def max_drawdown(results: Iterable[int]) -> int:
    """Return the largest fall of the running sum below its highest value so far, never negative.

    >>> max_drawdown([5, -3, -4, 6, -1])
    7
    """
    total = high = worst = 0
    for result in results:
        total += result
        high = max(high, total)
        worst = max(worst, high - total)
    return worst


def calibration(trades: Iterable[Ended]) -> tuple[Decile, ...]:
    """Return wins against predicted chances by tenths of the chance, those that have trades."""
    groups: dict[int, list[Ended]] = {}
    for trade in trades:
        if trade.p_entry_e6 is not None:
            tenth = min(trade.p_entry_e6 * DECILES // P_ONE_E6, DECILES - 1)
            groups.setdefault(tenth, []).append(trade)
    return tuple(
        Decile(
            from_e6=tenth * P_ONE_E6 // DECILES,
            trades=len(group),
            predicted_e6=sum(trade.p_entry_e6 or 0 for trade in group) // len(group),
            won_e6=sum(trade.pnl_usd_e6 > 0 for trade in group) * P_ONE_E6 // len(group),
        )
        for tenth, group in sorted(groups.items())
    )


def _ratio_e6(part: int, whole: int) -> int | None:
    return part * P_ONE_E6 // whole if whole else None


def _mean(values: Sequence[int]) -> int | None:
    return sum(values) // len(values) if values else None
