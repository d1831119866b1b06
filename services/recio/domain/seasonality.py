"""How much more the price moves at some minutes of the week than at others.

The factor of a minute is the exponential of a sum of tables: half hours of New York's day and of
UTC's day (weekdays and weekends apart), the shape of Monday, Friday, Saturday and Sunday, the minute
of the hour, the day of the week, and the minutes after fixed times of New York's weekdays (the
releases of 8:30 and 10:00, the opening and the close of the stock exchange, Wednesday's 14:00) and
after the full eight hours of UTC. Half hours are points in their middle, with straight lines
between them. New York's clock is the real one, so both changes of the clocks are right.

The mean over the data that the tables were fitted on is one. Only the calendar is used: no list of
announcements, so an unscheduled day is like any other.

Invariant: a factor is positive; the tables have exactly the lengths that ``check`` names.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import exp
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from recio.domain.errors import InvalidValue

MINUTE_S: Final = 60
DAY_MINUTES: Final = 1440
SHAPED_DAYS: Final = (0, 4, 5, 6)
"""Monday, Friday, Saturday, Sunday."""
EVENTS: Final = ((510, False), (570, False), (600, False), (840, True), (840, False), (870, True),
                 (960, False))  # fmt: skip
"""(minute of New York's day, whether only on Wednesdays); the others on all weekdays."""
AFTER_EVENT: Final = (0, 1, 2, 5, 10, 20, 40)
MARKS: Final = (0, 480, 960)
"""Minutes of UTC's day at which perpetual futures settle their funding."""
AFTER_MARK: Final = (0, 1, 5, 15)

_NEW_YORK: Final = ZoneInfo("America/New_York")
_WEDNESDAY: Final = 2
_SATURDAY: Final = 5
_KEEP_MINUTES: Final = 8 * DAY_MINUTES


class Tables(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Logarithms of factors; the names say of what."""

    level: float
    ny_weekday: tuple[float, ...]
    ny_weekend: tuple[float, ...]
    ny_shape: tuple[tuple[float, ...], ...]
    utc_weekday: tuple[float, ...]
    utc_weekend: tuple[float, ...]
    minute_of_hour: tuple[float, ...]
    ny_day: tuple[float, ...]
    utc_day: tuple[float, ...]
    events: tuple[tuple[float, ...], ...]
    marks: tuple[tuple[float, ...], ...]


class Moment(msgspec.Struct, frozen=True):
    """A minute on both clocks: minutes of the day and days of the week, Monday is 0."""

    ny_minute: int
    ny_day: int
    utc_minute: int
    utc_day: int


def moment(minute: int) -> Moment:
    """Return the minute that begins ``minute`` minutes after 1970."""
    utc = datetime.fromtimestamp(minute * MINUTE_S, UTC)
    local = utc.astimezone(_NEW_YORK)
    return Moment(
        local.hour * 60 + local.minute, local.weekday(), utc.hour * 60 + utc.minute, utc.weekday()
    )


def check(tables: Tables) -> None:
    """Refuse tables of other lengths.

    Raises:
        InvalidValue: a table has not the expected number of values.
    """
    segments, marks = len(AFTER_EVENT) - 1, len(AFTER_MARK) - 1
    expected = {
        "ny_weekday": [48], "ny_weekend": [48], "utc_weekday": [48], "utc_weekend": [48],
        "ny_shape": [12] * len(SHAPED_DAYS), "minute_of_hour": [60], "ny_day": [7], "utc_day": [7],
        "events": [segments] * len(EVENTS), "marks": [marks] * len(MARKS),
    }  # fmt: skip
    for name, lengths in expected.items():
        found = getattr(tables, name)
        rows = found if found and isinstance(found[0], tuple) else (found,)
        if [len(row) for row in rows] != lengths:
            raise InvalidValue(f"season table {name}: expected lengths {lengths}, received others")


def factor(tables: Tables, minute: int) -> float:
    """Return the variance of a minute as a multiple of the mean minute's."""
    at = moment(minute)
    is_weekday, is_utc_weekday = at.ny_day < _SATURDAY, at.utc_day < _SATURDAY
    total = tables.level + tables.minute_of_hour[at.ny_minute % 60]
    total += tables.ny_day[at.ny_day] + tables.utc_day[at.utc_day]
    total += _between(tables.ny_weekday if is_weekday else tables.ny_weekend, at.ny_minute)
    total += _between(tables.utc_weekday if is_utc_weekday else tables.utc_weekend, at.utc_minute)
    if at.ny_day in SHAPED_DAYS:
        total += _between(tables.ny_shape[SHAPED_DAYS.index(at.ny_day)], at.ny_minute)
    if is_weekday:
        for (start, is_wednesday), row in zip(EVENTS, tables.events, strict=True):
            if at.ny_day == _WEDNESDAY or not is_wednesday:
                total += _after(row, AFTER_EVENT, at.ny_minute - start)
    for start, row in zip(MARKS, tables.marks, strict=True):
        total += _after(row, AFTER_MARK, at.utc_minute - start)
    return exp(total)


def _between(row: tuple[float, ...], minute: int) -> float:
    count = len(row)
    place = (minute * count / DAY_MINUTES - 0.5) % count
    before = int(place)
    share = place - before
    return row[before % count] * (1 - share) + row[(before + 1) % count] * share


def _after(row: tuple[float, ...], bounds: tuple[int, ...], since: int) -> float:
    if 0 <= since < bounds[-1]:
        for place, bound in enumerate(bounds[1:]):
            if since < bound:
                return row[place]
    return 0.0


class Season:
    """Factors of consecutive minutes and their running sum, made when they are first needed."""

    __slots__ = ("_factors", "_first", "_sums", "_tables")

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._start(0)

    def of(self, minute: int) -> float:
        """Return one minute's factor."""
        self._reach(minute, minute + 1)
        return self._factors[minute - self._first]

    def total(self, start: int, end: int) -> float:
        """Return the sum of the factors from minute ``start`` up to, without, minute ``end``."""
        self._reach(start, end)
        return self._sums[end - self._first] - self._sums[start - self._first]

    def _reach(self, start: int, end: int) -> None:
        known = self._first + len(self._factors)
        if start < self._first or start > known or end - self._first > 2 * _KEEP_MINUTES:
            self._start(start)
            known = start
        for minute in range(known, end):
            value = factor(self._tables, minute)
            self._factors.append(value)
            self._sums.append(self._sums[-1] + value)

    def _start(self, minute: int) -> None:
        self._first = minute
        self._factors: list[float] = []
        self._sums = [0.0]
