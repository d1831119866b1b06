"""A daily card in words: the same lines for a terminal and for a message."""

from __future__ import annotations

from typing import Final

from recio.domain.day_card import DayCard
from recio.domain.tickers import NEW_YORK
from recio.domain.units import P_ONE_E6, USD_E6, as_datetime

FEW: Final = 100
"""Below so many trades a card says that they are few."""

HEADER: Final = (
    "day", "watched", "trades", "won", "needed", "pnl after fees", "fees", "promised", "realised",
    "slippage", "Brier", "market's",
)  # fmt: skip


def row(card: DayCard) -> tuple[str, ...]:
    """Return the cells of a card under ``HEADER``; a dash: not known or nothing to divide by."""
    got = card.figures
    return (
        _day(card.day_start_us),
        _hours(card.watched_minutes),
        str(got.trades),
        _percent(got.win_rate_e6),
        _percent(got.break_even_e6),
        dollars(got.pnl_usd_e6),
        dollars(got.fees_usd_e6).lstrip("+"),
        _cents(card.promised_edge_e4),
        _cents(card.realised_e4),
        _cents(card.slippage_e4),
        _brier(card.brier_e6),
        _brier(card.market_brier_e6),
    )


def summary(card: DayCard) -> str:
    """Return one line about all days: the result, and what it cannot tell."""
    got = card.figures
    if not got.trades:
        return f"no ended trade in {_hours(card.watched_minutes)} watched"
    line = (
        f"{got.trades} trades, {dollars(got.pnl_usd_e6)} after fees, won "
        f"{_percent(got.win_rate_e6)} where {_percent(got.break_even_e6)} breaks even, "
        f"{_hours(card.watched_minutes)} watched"
    )
    if card.brier_e6 is not None and card.market_brier_e6 is not None:
        verdict = "better" if card.brier_e6 < card.market_brier_e6 else "no better"
        line += f"; chances {verdict} than the market's price ({card.compared} compared)"
    return line + ("; too few to prove anything" if got.trades < FEW else "")


def dollars(usd_e6: int) -> str:
    """Return money with its sign: "+$1.25", "-$0.40", "$0.00".

    >>> dollars(1_250_000), dollars(-400_000), dollars(0)
    ('+$1.25', '-$0.40', '$0.00')
    """
    cents = round(usd_e6 * 100 / USD_E6)
    sign = "+" if cents > 0 else "-" if cents < 0 else ""
    return f"{sign}${abs(cents) // 100:,}.{abs(cents) % 100:02d}"


def _day(day_start_us: int | None) -> str:
    return "all" if day_start_us is None else f"{as_datetime(day_start_us).astimezone(NEW_YORK):%F}"


def _hours(minutes: int | None) -> str:
    return "-" if minutes is None else f"{minutes / 60:.1f} h"


def _percent(share_e6: int | None) -> str:
    return "-" if share_e6 is None else f"{100 * share_e6 / P_ONE_E6:.1f} %"


def _cents(price_e4: int | None) -> str:
    return "-" if price_e4 is None else f"{price_e4 / 100:+.2f}¢"


def _brier(value_e6: int | None) -> str:
    return "-" if value_e6 is None else f"{value_e6 / P_ONE_E6:.4f}"
