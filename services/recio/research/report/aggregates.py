"""Sums over a run's trades: pure, exact, and complete.

A trade is judged when something was filled and its profit is known; all others are counted by what
they lack, never dropped in silence. Each grouping holds every judged trade once, so the sums of its
buckets equal the total to a millionth of a dollar. Days and hours are New York's, like the events.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from recio.domain.fees import break_even_e6
from recio.research.result import EquityPoint, TradeLine

NEW_YORK: Final = ZoneInfo("America/New_York")
UNKNOWN: Final = "not known"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_E6: Final = 1_000_000
_USD_E6_OF_QTY_E2: Final = 10_000
_TENTHS: Final = 10
_FEWEST_IN_A_TENTH: Final = 5
_CLOSE_BOUNDS: Final = (60, 120, 180, 300, 420, 600, 900, 1800, 3600)
"""Seconds to the close at which a bucket ends."""

Key = Callable[[TradeLine], str]


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of some trades. ``predicted`` and ``break_even`` are means over those that have one."""

    name: str
    trades: int
    won: int
    qty_e2: int
    pnl_usd_e6: int
    fees_usd_e6: int
    predicted: float | None
    break_even: float | None

    @property
    def win_rate(self) -> float | None:
        """The share of trades that earned something after fees."""
        return self.won / self.trades if self.trades else None


class Fall(msgspec.Struct, frozen=True):
    """The deepest fall of equity below its highest value before: both values and their times."""

    usd_e6: int
    peak_us: int
    bottom_us: int


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """The totals of a run. ``gross_usd_e6`` is profit before fees; gains and losses are after."""

    trades: int
    events: int
    won: int
    qty_e2: int
    gross_usd_e6: int
    fees_usd_e6: int
    pnl_usd_e6: int
    gains_usd_e6: int
    losses_usd_e6: int
    break_even: float | None
    """Mean over trades of the chance at which each, held to its settlement, earns nothing."""
    left_out: dict[str, int]

    @property
    def win_rate(self) -> float | None:
        """The share of trades that earned something after fees."""
        return self.won / self.trades if self.trades else None

    @property
    def needed_rate(self) -> float | None:
        """The win rate at which wins and losses as large as these come out even; None: one lacks."""
        lost = self.trades - self.won
        if not self.won or not lost or not self.losses_usd_e6:
            return None
        win, loss = self.gains_usd_e6 / self.won, self.losses_usd_e6 / lost
        return loss / (win + loss)

    @property
    def usd_per_contract(self) -> float | None:
        """Profit after fees for each contract."""
        return self.pnl_usd_e6 / 1e4 / self.qty_e2 if self.qty_e2 else None

    @property
    def usd_per_trade(self) -> float | None:
        """Profit after fees for each trade."""
        return self.pnl_usd_e6 / _E6 / self.trades if self.trades else None


def judged(trades: Iterable[TradeLine]) -> list[TradeLine]:
    """Return the trades of which something was filled and the profit is known."""
    return [one for one in trades if _is_judged(one)]


def _is_judged(trade: TradeLine) -> bool:
    return trade.filled_qty_e2 > 0 and trade.pnl_usd_e6 is not None


def pnl_of(trade: TradeLine) -> int:
    """Return the profit of a judged trade."""
    assert trade.pnl_usd_e6 is not None
    return trade.pnl_usd_e6


def cost_per_contract(trade: TradeLine) -> float | None:
    """Return price and taker fee of one contract: the chance at which it earns nothing.

    A trade that was held paid exactly its fee; one that was sold paid two, so the formula stands
    for the first.
    """
    if trade.entry_price_e4 is None:
        return None
    if trade.exit_price_e4 is None:
        return (trade.cost_usd_e6 + trade.fees_usd_e6) / 1e4 / trade.filled_qty_e2
    return break_even_e6(trade.entry_price_e4) / _E6


def sums(trades: Sequence[TradeLine]) -> Sums:
    """Return the totals of all trades of a run."""
    held = judged(trades)
    pnls = [pnl_of(one) for one in held]
    fees = sum(one.fees_usd_e6 for one in held)
    return Sums(
        trades=len(held),
        events=len({one.event_ticker for one in held}),
        won=sum(pnl > 0 for pnl in pnls),
        qty_e2=sum(one.filled_qty_e2 for one in held),
        gross_usd_e6=sum(pnls) + fees,
        fees_usd_e6=fees,
        pnl_usd_e6=sum(pnls),
        gains_usd_e6=sum(pnl for pnl in pnls if pnl > 0),
        losses_usd_e6=-sum(pnl for pnl in pnls if pnl <= 0),
        break_even=_mean(cost_per_contract(one) for one in held),
        left_out=dict(Counter(_lack(one) for one in trades if not _is_judged(one))),
    )


def _lack(trade: TradeLine) -> str:
    if not trade.filled_qty_e2:
        return "nothing was filled"
    return f"{trade.state}: the result is not on the tape"


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def bucket(name: str, trades: Sequence[TradeLine]) -> Bucket:
    """Return the sums of judged trades under a name."""
    return Bucket(
        name=name,
        trades=len(trades),
        won=sum(pnl_of(one) > 0 for one in trades),
        qty_e2=sum(one.filled_qty_e2 for one in trades),
        pnl_usd_e6=sum(map(pnl_of, trades)),
        fees_usd_e6=sum(one.fees_usd_e6 for one in trades),
        predicted=_mean(None if one.p_e6 is None else one.p_e6 / _E6 for one in trades),
        break_even=_mean(map(cost_per_contract, trades)),
    )


def grouped(
    trades: Sequence[TradeLine], key: Key, names: Sequence[str] | None = None
) -> list[Bucket]:
    """Return a bucket for each name; without names in order of first sight."""
    found: dict[str, list[TradeLine]] = {name: [] for name in names or ()}
    for one in trades:
        found.setdefault(key(one), []).append(one)
    return [bucket(name, held) for name, held in found.items()]


def new_york(at_us: int) -> datetime:
    """Return a time as New York's clocks show it."""
    return (_EPOCH + timedelta(microseconds=at_us)).astimezone(NEW_YORK)


def by_hour(trades: Sequence[TradeLine]) -> list[Bucket]:
    """Group by the hour in New York at which it was decided."""
    names = [f"{hour:02}" for hour in range(24)]
    return grouped(trades, lambda one: f"{new_york(one.decided_us).hour:02}", names)


def day_of(trade: TradeLine) -> date:
    """Return New York's day on which the event closes."""
    return new_york(trade.close_us).date()


def by_day(trades: Sequence[TradeLine]) -> list[Bucket]:
    """Group by New York's day of the event's close, in order."""
    ordered = sorted(trades, key=lambda one: one.close_us)
    return grouped(ordered, lambda one: day_of(one).isoformat())


def by_time_to_close(trades: Sequence[TradeLine]) -> list[Bucket]:
    """Group by the time left when it was decided; empty ends are left out."""
    ends = [bound // 60 for bound in _CLOSE_BOUNDS]
    names = [f"{low}-{high}" for low, high in pairwise([0, *ends])] + [f"over {ends[-1]}"]

    def key(one: TradeLine) -> str:
        return names[sum(one.seconds_to_close > bound for bound in _CLOSE_BOUNDS)]

    found = grouped(trades, key, names)
    filled = [at for at, one in enumerate(found) if one.trades]
    return found[filled[0] : filled[-1] + 1] if filled else []


def tenths(
    trades: Sequence[TradeLine], value: Callable[[TradeLine], int | None]
) -> list[list[TradeLine]]:
    """Return trades of known value in up to ten equal parts by rank; equal values stay together."""
    known = sorted((trade for trade in trades if value(trade) is not None), key=_by(value))
    parts = max(min(_TENTHS, len(known) // _FEWEST_IN_A_TENTH), 1)
    found: list[list[TradeLine]] = []
    last_part, last_value = 0, None
    for rank, one in enumerate(known):
        part = rank * parts // len(known)
        if not found or (part != last_part and value(one) != last_value):
            found.append([])
            last_part = part
        found[-1].append(one)
        last_value = value(one)
    return found


def _by_tenth(
    trades: Sequence[TradeLine],
    value: Callable[[TradeLine], int | None],
    scale: float,
    decimals: int,
) -> list[Bucket]:
    parts = tenths(trades, value)
    made = [bucket(_range([value(one) for one in held], scale, decimals), held) for held in parts]
    unknown = [one for one in trades if value(one) is None]
    return [*made, bucket(UNKNOWN, unknown)] if unknown else made


def _by(value: Callable[[TradeLine], int | None]) -> Callable[[TradeLine], tuple[int, int]]:
    return lambda trade: (value(trade) or 0, trade.number)


def _range(values: Sequence[int | None], scale: float, decimals: int) -> str:
    ends = [f"{(value or 0) / scale:.{decimals}f}" for value in (values[0], values[-1])]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def by_probability(trades: Sequence[TradeLine]) -> list[Bucket]:
    """Group by the probability that was predicted, in percent."""
    return _by_tenth(trades, lambda one: one.p_e6, 10_000, 1)


def parts_by_probability(trades: Sequence[TradeLine]) -> list[list[TradeLine]]:
    """Return trades in up to ten parts by their predicted probability."""
    return tenths(trades, lambda one: one.p_e6)


def by_edge(trades: Sequence[TradeLine]) -> list[Bucket]:
    """Group by the edge after fees that was expected, in cents."""
    return _by_tenth(trades, lambda one: one.edge_e4, 100, 2)


def by_slippage(trades: Sequence[TradeLine]) -> list[Bucket]:
    """Group by how much more than the ask seen was paid, in cents."""
    ordered = sorted(trades, key=lambda one: (one.slippage_e4 is None, one.slippage_e4 or 0))
    return grouped(
        ordered, lambda one: UNKNOWN if one.slippage_e4 is None else f"{one.slippage_e4 / 100:g}"
    )


def slippage_usd_e6(trades: Sequence[TradeLine]) -> int:
    """Return what was paid above the asks that were seen."""
    return sum((one.slippage_e4 or 0) * one.filled_qty_e2 for one in trades)


def fall_of(equity: Sequence[EquityPoint]) -> Fall | None:
    """Return the deepest fall of equity; None: it never fell."""
    deepest: Fall | None = None
    peak: EquityPoint | None = None
    for point in equity:
        if peak is None or point.equity_usd_e6 > peak.equity_usd_e6:
            peak = point
        depth = peak.equity_usd_e6 - point.equity_usd_e6
        if depth > (deepest.usd_e6 if deepest else 0):
            deepest = Fall(depth, peak.at_us, point.at_us)
    return deepest


def drawdown(equity: Sequence[EquityPoint]) -> list[tuple[int, int]]:
    """Return at each point how far equity is below its highest value before: (at_us, usd_e6 <= 0)."""
    made, peak = [], None
    for point in equity:
        peak = point.equity_usd_e6 if peak is None else max(peak, point.equity_usd_e6)
        made.append((point.at_us, point.equity_usd_e6 - peak))
    return made


def per_event(trades: Sequence[TradeLine]) -> list[tuple[int, int, int]]:
    """Return of each event its profit in 1e-6 dollar, its quantity in 1e-2 contract, its trades."""
    found: dict[str, list[int]] = {}
    for one in trades:
        held = found.setdefault(one.event_ticker, [0, 0, 0])
        held[0] += pnl_of(one)
        held[1] += one.filled_qty_e2
        held[2] += 1
    return [(pnl, qty, count) for pnl, qty, count in found.values()]


class Forecast(msgspec.Struct, frozen=True):
    """What was predicted of a trade's side, what the market's middle said, and what came."""

    event: str
    p: float
    market_p: float
    came: bool


def forecasts(trades: Sequence[TradeLine]) -> list[Forecast]:
    """Return the trades of which both predictions and the market's result, yes or no, are known."""
    return [
        Forecast(one.event_ticker, one.p_e6 / _E6, one.market_p_e6 / _E6, bool(one.payout_usd_e6))
        for one in trades
        if one.p_e6 is not None and one.market_p_e6 is not None and _is_yes_or_no(one)
    ]


def _is_yes_or_no(trade: TradeLine) -> bool:
    """Tell whether a market paid all or nothing; what was sold before says nothing of its result."""
    if trade.payout_usd_e6 is None:
        return False
    whole = trade.filled_qty_e2 * _USD_E6_OF_QTY_E2
    return trade.exit_price_e4 is not None or trade.payout_usd_e6 in {0, whole}


def brier(predicted: Iterable[tuple[float, bool]]) -> float | None:
    """Return the mean squared distance between a prediction and what came.

    >>> brier([(1.0, True), (0.5, False)])
    0.125
    """
    return _mean((p - came) ** 2 for p, came in predicted)
