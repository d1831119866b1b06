"""What ended trades are worth, after fees: expectancy beside the win rate, never the win rate alone.

profit factor        sum of wins / sum of losses
drawdown             the largest fall of the running sum from its highest point
return on risk       sum of results / sum of entry costs
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def figures(trades: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of closed and settled trades, oldest first; ratios are in permille."""
    rows = list(trades)
    results = [row["pnl_usd_e6"] for row in rows]
    won = [result for result in results if result > 0]
    lost = [-result for result in results if result < 0]
    cost = sum(row["entry_cost_usd_e6"] for row in rows)
    contracts = sum(row["filled_qty_e2"] for row in rows)
    return {
        "trades": len(rows),
        "wins": len(won),
        "losses": len(lost),
        "win_permille": _permille(len(won), len(rows)),
        "average_price_permille": _permille(cost, contracts * 10_000),
        "pnl_usd_e6": sum(results),
        "fees_usd_e6": sum(row["fees_usd_e6"] for row in rows),
        "expectancy_usd_e6": sum(results) // len(rows) if rows else None,
        "profit_factor_permille": _permille(sum(won), sum(lost)),
        "max_drawdown_usd_e6": _drawdown(results),
        "return_on_cost_permille": _permille(sum(results), cost),
    }


def _drawdown(results: list[int]) -> int:
    total = highest = deepest = 0
    for result in results:
        total += result
        highest = max(highest, total)
        deepest = max(deepest, highest - total)
    return deepest


def _permille(part: int, whole: int) -> int | None:
    return part * 1000 // whole if whole else None
