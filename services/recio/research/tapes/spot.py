"""Prices of a tape from recorded seconds: the last trade of each second that had one.

A trade of second ``s`` is known at ``s + 1``. Before the tape begins, seconds become minute closes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from recio.domain.units import CENT_E6, HOUR_US, MINUTE_US, SECOND_US
from recio.engine.tape import Event
from recio.research.tapes import messages
from recio.research.tapes.closes import Closes
from recio.research.tapes.reading import NEWEST_S, OLDEST_S, rows
from recio.research.tapes.tally import Tally
from recio.research.tapes.windows import RunningWindow

Seconds = Iterator[tuple[int, int]]
"""(second since 1970, price in 1e-6 dollar), ascending."""

_WARM_US: Final = 24 * HOUR_US
_QUARTER_US: Final = 15 * MINUTE_US
_MINUTE_S: Final = 60
_MOST_USD: Final = 10_000_000


def read_seconds(paths: Sequence[Path], tally: Tally) -> Seconds:
    """Yield the seconds of CSV files ``ts,price``; what is none is counted.

    Raises:
        InvalidValue: a file cannot be read, or lacks a column.
    """
    last_s = last = 0
    for path in paths:
        for row in rows(path, ("ts", "price"), tally):
            try:
                second, usd_e6 = int(row[0]), round(float(row[1]) * 100) * CENT_E6
            except (ValueError, OverflowError):
                tally.refuse("second that is no number")
                continue
            fault = _fault(second, usd_e6, last_s, last)
            if fault:
                tally.refuse(fault)
                continue
            tally.rows += 1
            last_s, last = second, usd_e6
            yield second, usd_e6


def _fault(second: int, usd_e6: int, last_s: int, last: int) -> str:
    fault = ""
    if not OLDEST_S <= second < NEWEST_S:
        is_ms = OLDEST_S <= second // 1000 < NEWEST_S
        fault = f"second whose time is {'in milliseconds' if is_ms else 'no time'}"
    elif second == last_s:
        fault = "duplicate second"
    elif second < last_s:
        fault = "second out of order"
    elif not 0 < usd_e6 <= _MOST_USD * 1_000_000:
        fault = "price of a second out of range"
    elif last and second - last_s < _MINUTE_S and not last < 2 * usd_e6 < 4 * last:
        fault = "price that doubled or halved within a minute: another unit?"
    return fault


def spot_events(
    symbol: str, seconds: Seconds, tally: Tally, closes: Closes, *, since_us: int
) -> Iterator[Event]:
    """Yield the minute closes of the day before ``since_us``, then a price for each second."""
    mean, minutes, is_begun = RunningWindow(), dict[int, int](), False
    for second, usd_e6 in seconds:
        at_s = second + 1
        at_us = at_s * SECOND_US
        if at_us < since_us:
            if at_us >= since_us - _WARM_US:
                minutes[-(-at_us // MINUTE_US) * MINUTE_US] = usd_e6
            continue
        if not is_begun:
            is_begun = True
            ended = [each for each in minutes.items() if each[0] <= since_us]
            if ended:
                yield messages.history(symbol, since_us, ended, "seconds")
        tally.prices.hear(at_us)
        closes.priced(at_us, _QUARTER_US)
        yield messages.price(symbol, at_us, usd_e6, mean.add(at_s, usd_e6))
