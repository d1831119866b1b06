"""The sections of a backtest's page, each from one run and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Final

from recio.research.axes import NOT_KNOWN, time_text
from recio.research.drawing import (
    Bin,
    Line,
    bar_chart,
    charts,
    heat_map,
    line_chart,
    note,
    paragraph,
    reliability_diagram,
    table,
    tiles,
)
from recio.research.report import aggregates, words
from recio.research.report.aggregates import Bucket, Sums
from recio.research.report.headline import MADE_UP, AgainstMarket, Headline
from recio.research.report.listings import bucket_table
from recio.research.result import Result, TradeLine

_USD_E6: Final = 1e6
_WILSON_Z: Final = 1.96


def opening(result: Result, head: Headline) -> str:
    """Return the figures that matter most, and what they cannot say."""
    made = tiles(figures(result, head))
    notes = [note(MADE_UP)] if result.is_synthetic else []
    if result.caveat:
        notes.append(note(result.caveat))
    return "".join([*notes, made, *map(paragraph, _beside(result, head))])


def figures(result: Result, head: Headline) -> list[tuple[str, str, str]]:
    """Return the figures that matter most: name, value, what stands beside it."""
    return [*_money_tiles(result, head), *_quality_tiles(result, head)]


def _money_tiles(result: Result, head: Headline) -> list[tuple[str, str, str]]:
    total = head.sums
    start = result.initial_cash_usd_e6
    gained = words.signed(total.pnl_usd_e6 / start * 100, after=" %") if start else NOT_KNOWN
    return [
        (
            "Expectancy per contract",
            words.cents(total.usd_per_contract),
            words.cents_interval(head.per_contract_usd),
        ),
        (
            "Expectancy per trade",
            words.cents(total.usd_per_trade),
            words.cents_interval(head.per_trade_usd),
        ),
        (
            "Profit after fees",
            words.dollars(total.pnl_usd_e6),
            f"{gained} of {words.amount(start)}; fees {words.amount(total.fees_usd_e6)}",
        ),
        (
            "Win rate / needed",
            f"{words.share(total.win_rate)} / {words.share(total.break_even)}",
            f"won {total.won} of {total.trades}; needed: price and fee, held to the end",
        ),
    ]


def _quality_tiles(result: Result, head: Headline) -> list[tuple[str, str, str]]:
    coverage = result.coverage
    period = words.span(max(coverage.last_us - coverage.first_us, 0))
    fall = head.fall
    luck = words.share(head.luck, 0)
    return [
        ("Trades", f"{head.sums.trades:,}", f"in {head.sums.events:,} events"),
        ("Fair bets do as well", luck, "how often luck alone earns this at the prices paid"),
        (
            "Deepest fall",
            words.amount(fall.usd_e6) if fall else "none",
            f"until {time_text(fall.bottom_us)} UTC" if fall else "equity never fell",
        ),
        (
            "Tape covers",
            words.share(coverage.share),
            f"of {period}; {sum(coverage.refused.values()):,} rows refused",
        ),
    ]


def _beside(result: Result, head: Headline) -> list[str]:
    total, made = head.sums, []
    if total.needed_rate is not None:
        made.append(
            f"With wins and losses as large as they came ({words.amount(total.gains_usd_e6)} over "
            f"{total.won} wins, {words.amount(total.losses_usd_e6)} over "
            f"{total.trades - total.won} losses) the win rate needed was "
            f"{words.share(total.needed_rate)}."
        )
    elif total.trades:
        made.append(
            "Wins and losses did not both happen, so what a loss costs is not known from this run."
        )
    if total.left_out:
        listed = "; ".join(f"{why} ({count})" for why, count in sorted(total.left_out.items()))
        made.append(f"Not in these figures: {listed}.")
    made += [_market_in_words(head.against_market)] if head.against_market else []
    if not result.trades:
        made.append("Nothing was traded; the section “Why not” tells at which rule it ended.")
    return made


def _market_in_words(found: AgainstMarket) -> str:
    better = "better" if found.ours < found.market else "no better"
    text = (
        f"Against the market's own price, on {found.trades} trades: Brier score {found.ours:.4f} "
        f"for the model, {found.market:.4f} for the middle of bid and ask (less is better), so the "
        f"model was {better}"
    )
    if found.difference is None:
        return f"{text}."
    low, high = found.difference.low, found.difference.high
    sure = "which chance does not explain" if low * high > 0 else "which is within chance"
    return (
        f"{text}, {sure} (95 %: {words.signed(low, 4)} to {words.signed(high, 4)}). These are only "
        "the trades it chose; the model's own report judges all strikes."
    )


def equity(result: Result) -> str:
    """Return equity and how far it is below its peak."""
    points = _steps([(at.at_us, at.equity_usd_e6) for at in result.equity])
    below = _steps(aggregates.drawdown(result.equity))
    return paragraph(
        "Open positions count at what they cost, so equity moves when they end."
    ) + charts(
        [
            line_chart(
                "Equity",
                [Line("equity", points)],
                x_label="time",
                y_label="dollars",
                x_is_time=True,
            ),
            line_chart(
                "Below the highest value before",
                [Line("drawdown", below)],
                x_label="time",
                y_label="dollars",
                x_is_time=True,
            ),
        ]
    )


def _steps(values: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    """Return dollars that stay until they change: a slope between two changes did not happen."""
    made: list[tuple[float, float]] = []
    for at_us, usd_e6 in values:
        if made:
            made.append((float(at_us), made[-1][1]))
        made.append((float(at_us), usd_e6 / _USD_E6))
    return made


def calendar(trades: Sequence[TradeLine]) -> str:
    """Return profit by New York's days."""
    days = aggregates.by_day(trades)
    if not days:
        return paragraph("No trade ended.")
    held = {day.name: day.pnl_usd_e6 / _USD_E6 for day in days}
    months = _months(days[0].name, days[-1].name)
    numbers = [f"{day:02}" for day in range(1, 32)]
    values = [[held.get(f"{month}-{day}") for day in numbers] for month in months]
    drawn = heat_map(
        "Profit by day of the close, dollars", months, [str(int(day)) for day in numbers], values
    )
    return drawn + bucket_table("day", days)


def _months(first: str, last: str) -> list[str]:
    year, month = int(first[:4]), int(first[5:7])
    made = []
    while f"{year}-{month:02}" <= last[:7]:
        made.append(f"{year}-{month:02}")
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)  # noqa: PLR2004
    return made


def moments(trades: Sequence[TradeLine]) -> str:
    """Return profit by hour and by time to the close."""
    hours, left = aggregates.by_hour(trades), aggregates.by_time_to_close(trades)
    drawn = charts(
        [_pnl_bars("By hour in New York", hours), _pnl_bars("By minutes to the close", left)]
    )
    return drawn + bucket_table("minutes to close", left) + bucket_table("hour", _filled(hours))


def _filled(buckets: Sequence[Bucket]) -> list[Bucket]:
    return [one for one in buckets if one.trades]


def _pnl_bars(title: str, buckets: Sequence[Bucket]) -> str:
    bars = [(one.name, one.pnl_usd_e6 / _USD_E6) for one in buckets]
    return bar_chart(title, bars, y_label="dollars after fees", signed=True)


def predictions(trades: Sequence[TradeLine], head: Headline) -> str:
    """Return what was predicted against what came, by probability and by edge."""
    tenths, edges = aggregates.by_probability(trades), aggregates.by_edge(trades)
    drawn = charts(
        [
            _pnl_bars("By predicted probability, %", tenths),
            _pnl_bars("By expected edge after fees, ¢", edges),
            reliability_diagram(
                "Predicted and realised, settled trades", settled_bins(trades), zoom=True
            ),
        ]
    )
    said = paragraph(
        "Each part holds about as many trades. Where the win rate lies below the needed rate, the "
        "price and the fee took more than the prediction gave."
    )
    market = paragraph(_market_in_words(head.against_market)) if head.against_market else ""
    return (
        said
        + market
        + drawn
        + bucket_table("predicted, %", tenths)
        + bucket_table("edge, ¢", edges)
    )


def settled_bins(trades: Sequence[TradeLine]) -> list[Bin]:
    """Return parts of the settled trades by their predicted probability, with Wilson's bounds."""
    made = []
    for one in aggregates.parts_by_probability(trades):
        known = aggregates.forecasts(one)
        if known:
            came = sum(each.came for each in known)
            low, high = wilson(came, len(known))
            mean = sum(each.p for each in known) / len(known)
            made.append(Bin(mean, came / len(known), low, high, len(known)))
    return made


def wilson(came: int, count: int) -> tuple[float, float]:
    """Return the 95 % bounds of a share (E. B. Wilson, JASA 22, 1927).

    >>> [round(bound, 4) for bound in wilson(10, 10)]
    [0.7225, 1.0]
    """
    z2 = _WILSON_Z**2
    seen = came / count
    middle = (seen + z2 / (2 * count)) / (1 + z2 / count)
    half = _WILSON_Z * sqrt(seen * (1 - seen) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def costs(trades: Sequence[TradeLine], total: Sums) -> str:
    """Return what fees and slippage took."""
    slipped = aggregates.slippage_usd_e6(trades)
    each = [
        ("profit before fees", total.gross_usd_e6),
        ("fees", -total.fees_usd_e6),
        ("profit after fees", total.pnl_usd_e6),
        ("of it: paid above the ask that was seen", -slipped),
    ]
    rows = [
        (
            name,
            words.dollars(usd_e6),
            words.cents(usd_e6 / 1e4 / total.qty_e2 if total.qty_e2 else None),
        )
        for name, usd_e6 in each
    ]
    groups = aggregates.by_slippage(trades)
    bars = [(one.name, float(one.trades)) for one in groups]
    return table(["", "in all", "per contract"], rows) + charts(
        [
            bar_chart("Paid above the ask seen, ¢", bars, y_label="trades"),
            bar_chart(
                "Fee drag",
                [(name, usd_e6 / _USD_E6) for name, usd_e6 in each[:3]],
                y_label="dollars",
                signed=True,
            ),
        ]
    )
