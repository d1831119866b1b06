"""Axes of charts: round ticks, spans that hold the data, and how numbers and times read.

Times are microseconds since 1970, shown in UTC. A span is never empty, so that a scale can divide
by it. Values that are not finite are the caller's mistake and refused: a plot would hide them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from recio.domain.errors import InvalidValue

MINUS: Final = "\N{MINUS SIGN}"
NOT_KNOWN: Final = "\N{EN DASH}"
_ROUND: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_MOST_DECIMALS: Final = 9
_NEARLY: Final = 1e-6
_EXACT_BELOW: Final = 1e15
_SECOND_US: Final = 1_000_000
_HOUR_US: Final = 3600 * _SECOND_US
_DAY_US: Final = 24 * _HOUR_US
_TIME_STEPS_US: Final = tuple(
    seconds * _SECOND_US
    for seconds in (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 10800, 21600, 43200)
) + tuple(days * _DAY_US for days in (1, 2, 3, 7, 14))
_MONTH_STEPS: Final = (1, 2, 3, 6, 12, 24, 60)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Axis(msgspec.Struct, frozen=True, kw_only=True):
    """A span of values on a stretch of pixels, and the ticks on it."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    first_px: float
    last_px: float

    def px(self, value: float) -> float:
        """Return where a value lies, kept inside the stretch."""
        share = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        return self.first_px + share * (self.last_px - self.first_px)


def value_axis(
    values: Iterable[float], first_px: float, last_px: float, *, count: int = 5, zero: bool = False
) -> Axis:
    """Return an axis with round ticks that holds all values, and zero if asked.

    Raises:
        InvalidValue: a value that is not finite.
    """
    low, high = _span(values, zero=zero)
    step = round_step(high - low, count)
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    number = round((high - low) / step)
    ticks = tuple((low + step * at, tick_text(low + step * at, step)) for at in range(number + 1))
    return Axis(low=low, high=high, ticks=ticks, first_px=first_px, last_px=last_px)


def tight_axis(values: Iterable[float], first_px: float, last_px: float, *, count: int = 6) -> Axis:
    """Return an axis that ends where the values end, with the round ticks between."""
    low, high = _span(values, zero=False)
    step = round_step(high - low, count)
    at, ticks = math.ceil(low / step - 1e-9) * step, []
    while at <= high + step * 1e-9:
        ticks.append((at, tick_text(at, step)))
        at += step
    return Axis(low=low, high=high, ticks=tuple(ticks), first_px=first_px, last_px=last_px)


def time_axis(values: Iterable[float], first_px: float, last_px: float, *, count: int = 5) -> Axis:
    """Return an axis of microseconds with ticks at round times."""
    low, high = _span(values, zero=False)
    ticks = tuple(_time_ticks(low, high, count))
    return Axis(low=low, high=high, ticks=ticks, first_px=first_px, last_px=last_px)


def _span(values: Iterable[float], *, zero: bool) -> tuple[float, float]:
    held = list(values)
    for value in held:
        if not math.isfinite(value):
            raise InvalidValue(f"expected finite values to draw, received {value!r}")
    if zero or not held:
        held.append(0.0)
    low, high = min(held), max(held)
    if high > low:
        return low, high
    room = abs(low) * 0.05 or 1.0
    return (low, high + room) if zero else (low - room, high + room)


def round_step(span: float, count: int) -> float:
    """Return the round step that divides a span into about so many parts.

    >>> round_step(97, 5), round_step(0.8, 4)
    (20.0, 0.2)
    """
    power: float = 10.0 ** math.floor(math.log10(span / count))
    best = min(_ROUND, key=lambda one: abs(math.log(one * power * count / span)))
    return best * power


def tick_text(value: float, step: float) -> str:
    """Return a tick's text with as many decimals as its step needs.

    >>> tick_text(1500.0, 500.0), tick_text(0.25, 0.05), tick_text(2_500_000, 500_000)
    ('1,500', '0.25', '2.5M')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if step >= size / 10 and abs(value) >= size:
            unit = 1e3 if letter == "k" else size
            return tick_text(value / unit, step / unit) + letter
    decimals = next(at for at in range(_MOST_DECIMALS + 1) if _is_whole(step * 10**at, at))
    if abs(value) < step / 2:
        value = 0.0
    return f"{value:,.{decimals}f}".replace("-", MINUS)


def _is_whole(value: float, decimals: int) -> bool:
    return decimals == _MOST_DECIMALS or abs(value - round(value)) < _NEARLY


def number_text(value: float | None) -> str:
    """Return a value with about four digits, for tables and tooltips.

    >>> number_text(1234.567), number_text(0.012345), number_text(3.0)
    ('1,234.57', '0.01235', '3')
    """
    if value is None:
        return NOT_KNOWN
    if value == round(value) and abs(value) < _EXACT_BELOW:
        return f"{value:,.0f}".replace("-", MINUS)
    decimals = 2 if abs(value) >= 1 else min(3 - math.floor(math.log10(abs(value))), 9)
    return f"{value:,.{decimals}f}".replace("-", MINUS)


def time_text(at_us: float) -> str:
    """Return a time to the second.

    >>> time_text(1_715_600_000_000_000)
    '2024-05-13 11:33:20'
    """
    return _moment(at_us).strftime("%Y-%m-%d %H:%M:%S")


def _moment(at_us: float) -> datetime:
    return _EPOCH + timedelta(microseconds=round(at_us))


def _time_ticks(low: float, high: float, count: int) -> Iterable[tuple[float, str]]:
    step = next((one for one in _TIME_STEPS_US if (high - low) / one <= count + 1), None)
    if step is None:
        return _month_ticks(low, high, count)
    first = math.ceil(low / step) * step
    times = range(first, math.floor(high) + 1, step)
    form = "%H:%M:%S" if step < 60 * _SECOND_US else "%H:%M" if step < _DAY_US else "%d %b"
    is_days_apart = _moment(low).date() != _moment(high).date()
    if step < _DAY_US and is_days_apart:
        form = "%d %b %H:%M" if step < _HOUR_US else "%d %b %Hh"
    return [(float(at), _moment(at).strftime(form)) for at in times]


def _month_ticks(low: float, high: float, count: int) -> Iterable[tuple[float, str]]:
    first, last = _moment(low), _moment(high)
    months = (last.year - first.year) * 12 + last.month - first.month
    step = next((one for one in _MONTH_STEPS if months / one <= count + 1), _MONTH_STEPS[-1])
    start = first.year * 12 + first.month - 1
    start += -start % step
    found: Sequence[int] = range(start, last.year * 12 + last.month, step)
    starts = [datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in found]
    times = [((at - _EPOCH) // timedelta(microseconds=1), at) for at in starts]
    return [(float(us), at.strftime("%b %Y")) for us, at in times if low <= us <= high]
