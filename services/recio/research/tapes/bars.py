"""One-minute prices for tapes: from CSV files, or from what ships with the product.

CSV: columns ``ts,open,high,low,close[,volume]``, ``ts`` the second since 1970 at which the minute
opens, prices in dollars. A bar is in whole cents. Rows must ascend; what does not, what repeats a
minute, what is no bar, and prices in another unit (a jump by more than half, or out of any range) are
refused and counted. A minute in which nothing was traded (volume 0) is no price: it is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from recio.data import minutes
from recio.data.minutes import MINUTE_S
from recio.domain.errors import InvalidValue
from recio.domain.units import SECOND_US
from recio.research.tapes.reading import NEWEST_S, OLDEST_S, header_of, rows
from recio.research.tapes.tally import Tally

_COLUMNS: Final = ("ts", "open", "high", "low", "close")
_NAME: Final = re.compile(r"_1m_(\d{4}-\d\d-\d\d)_(\d{4}-\d\d-\d\d)\.csv(\.gz)?")
_PACKAGED: Final = (
    ("btc_minutes_2022q4", 1_664_582_400, 1_672_531_200),
    ("btc_minutes_2024q3", 1_719_792_000, 1_727_740_800),
)
"""(name, first second, second after the last minute)."""
_MOST_USD: Final = 10_000_000
_MOST_MOVE: Final = 2


class Bar(NamedTuple):
    """One minute, in cents; ``start_s`` is the second at which it opens."""

    start_s: int
    open: int
    high: int
    low: int
    close: int


class BarFiles:
    """Minutes of one symbol in CSV files, in order of their names."""

    def __init__(self, paths: list[Path]) -> None:
        if not paths:
            raise InvalidValue("expected at least one file of minutes, received none")
        self._paths = paths

    def read(self, since_s: int, until_s: int, tally: Tally) -> Iterator[Bar]:
        """Yield the bars that open in a period; rows of other times are not counted."""
        last = Bar(0, 0, 0, 0, 0)
        for path in self._paths:
            if not _may_hold(path, since_s * SECOND_US, until_s * SECOND_US):
                continue
            before = tally.rows + sum(tally.refused.values())
            columns = _COLUMNS + (("volume",) if "volume" in header_of(path) else ())
            for row in rows(path, columns, tally):
                if row[0].isdigit() and OLDEST_S <= int(row[0]) < since_s - MINUTE_S:
                    continue
                bar = _bar(row, last, tally)
                if bar is None:
                    continue
                if bar.start_s >= until_s:
                    return
                last = bar
                if bar.start_s >= since_s:
                    tally.rows += 1
                    yield bar
            if sum(tally.refused.values()) > before and not last.start_s:
                tally.expect_rows(path.name, tally.rows)


class PackagedBars:
    """The minutes that ship with the product: the fourth quarter of 2022, the third of 2024."""

    def read(self, since_s: int, until_s: int, tally: Tally) -> Iterator[Bar]:
        """Yield the bars that open in a period."""
        for name, first, end in _PACKAGED:
            if end <= since_s or first >= until_s:
                continue
            held = minutes.load(name)
            first_s = max(since_s, held.start_s) // MINUTE_S * MINUTE_S
            for start_s in range(first_s, min(until_s, held.end_s), MINUTE_S):
                bar = held.at(start_s)
                if bar is not None:
                    tally.rows += 1
                    yield Bar(start_s, *bar)


def bar_paths(source: Path, symbol: str, since_us: int | None, until_us: int | None) -> list[Path]:
    """Return the files of a symbol's minutes that may hold a period, in order.

    Raises:
        InvalidValue: there is none.
    """
    if source.is_file():
        return [source]
    pattern = f"{symbol.lower()}_1m_*.csv*"
    found = sorted(path for path in source.glob(pattern) if _may_hold(path, since_us, until_us))
    if not found:
        raise InvalidValue(
            f"{source}: expected files such as {symbol.lower()}_1m_2024-01-01_2024-03-31.csv.gz "
            "that hold the period, found none"
        )
    return found


def _may_hold(path: Path, since_us: int | None, until_us: int | None) -> bool:
    match = _NAME.search(path.name)
    if match is None:
        return True
    try:
        days = [datetime.fromisoformat(match[place]).replace(tzinfo=UTC) for place in (1, 2)]
    except ValueError:
        return True
    # A day more on the left: minutes of the day before warm the model up.
    first_us = int(days[0].timestamp()) * SECOND_US
    last_us = int((days[1] + timedelta(days=2)).timestamp()) * SECOND_US
    return (since_us is None or last_us > since_us) and (until_us is None or first_us < until_us)


def _bar(row: list[str], last: Bar, tally: Tally) -> Bar | None:
    try:
        start_s = int(row[0])
        opened, high, low, close = (round(float(text) * 100) for text in row[1:5])
        is_traded = len(row) == len(_COLUMNS) or float(row[5]) > 0
    except (ValueError, OverflowError):
        tally.refuse("minute that is no number")
        return None
    bar = Bar(start_s, opened, high, low, close)
    fault = _fault(bar, last) if is_traded else "minute in which nothing was traded"
    if fault:
        tally.refuse(fault)
        return None
    return bar


def _fault(bar: Bar, last: Bar) -> str:
    """Return what is wrong with a bar after the last good one, or nothing."""
    fault = ""
    if not OLDEST_S <= bar.start_s < NEWEST_S:
        is_ms = OLDEST_S <= bar.start_s // 1000 < NEWEST_S
        fault = f"minute whose time is {'in milliseconds' if is_ms else 'no time'}"
    elif bar.start_s % MINUTE_S:
        fault = "time that does not begin a minute"
    elif bar.start_s == last.start_s:
        fault = "duplicate minute"
    elif bar.start_s < last.start_s:
        fault = "minute out of order"
    elif not 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        fault = "minute that is no bar"
    elif bar.high > _MOST_USD * 100:
        fault = f"price over ${_MOST_USD:,}: another unit?"
    elif last.close and not last.close < _MOST_MOVE * bar.close < _MOST_MOVE**2 * last.close:
        fault = "price that doubled or halved in a minute: another unit?"
    return fault
