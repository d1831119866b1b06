"""Rows of files from outside: CSV and lines of text, plain or gzip.

What cannot be read is counted by reason in the tally and never guessed: a row with another number of
fields, a column that nobody knows, the lost end of a half-written file. A file that lacks a column
that is needed, or that is none of ours, is refused as a whole.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from recio.domain.errors import InvalidValue
from recio.domain.units import SECOND_US
from recio.research.tapes.tally import Tally

OLDEST_S: Final = 1_262_304_000
"""2010: older than every market of this kind."""
NEWEST_S: Final = 4_102_444_800
_PER_SECOND: Final = {"seconds": 1, "milliseconds": 1_000, "nanoseconds": 1_000_000_000}


def lines(path: Path, tally: Tally) -> Iterator[str]:
    """Yield the lines of a text file, as far as it can be read.

    Raises:
        InvalidValue: there is no such file, or not even its first line can be read.
    """
    count = 0
    with _opened(path) as file:
        try:
            for line in file:
                count += 1
                yield line
        except (EOFError, OSError, zlib.error) as error:
            if not count:
                raise InvalidValue(f"{path.name}: cannot be read: {error}") from error
            tally.refuse(f"half-written file {path.name}: its end is lost")


def rows(
    path: Path, needed: Sequence[str], tally: Tally, *, known: Sequence[str] = ()
) -> Iterator[list[str]]:
    """Yield the ``needed`` columns of each row of a CSV file, in that order.

    ``known`` are columns that may be there and are not used; others are counted.

    Raises:
        InvalidValue: no such file, or a column that is needed is missing.
    """
    reader = csv.reader(lines(path, tally))
    header = _next_row(reader, tally) or []
    missing = [name for name in needed if name not in header]
    if missing:
        raise InvalidValue(
            f"{path.name}: expected the columns {','.join(needed)}; {','.join(missing)} missing, "
            f"received {','.join(header)[:200]!r}"
        )
    for name in header:
        if name not in needed and name not in known:
            tally.refuse(f"column {name[:40]!r}, which is not known")
    places = [header.index(name) for name in needed]
    width = len(header)
    while (row := _next_row(reader, tally)) is not None:
        if len(row) != width:
            tally.refuse(f"row with another number of fields than {width}")
        else:
            yield [row[place] for place in places]


def header_of(path: Path) -> list[str]:
    """Return the names of a CSV file's columns.

    Raises:
        InvalidValue: it cannot be read.
    """
    with _opened(path) as file:
        try:
            return next(csv.reader(file), [])
        except (EOFError, OSError, zlib.error, csv.Error) as error:
            raise InvalidValue(f"{path.name}: cannot be read: {error}") from error


def time_us(text: str, unit: str) -> int:
    """Return a time of a row in microseconds.

    Raises:
        InvalidValue: no number, or a time that cannot be when it is in ``unit``.
    """
    per_second = _PER_SECOND[unit]
    try:
        value = int(text)
    except ValueError as error:
        raise InvalidValue("time that is no whole number") from error
    if not OLDEST_S * per_second <= value < NEWEST_S * per_second:
        for other, factor in _PER_SECOND.items():
            if OLDEST_S * factor <= value < NEWEST_S * factor:
                raise InvalidValue(f"time in {other}, expected {unit}")
        raise InvalidValue(f"time that is not in {unit} since 1970")
    return value * SECOND_US // per_second


def number(text: str, name: str, least: float, most: float) -> float:
    """Return a number between two bounds, which it may reach.

    Raises:
        InvalidValue: it is none; the message says which bound it does not keep.
    """
    try:
        value = float(text)
    except ValueError as error:
        raise InvalidValue(f"{name} that is no number") from error
    if not least <= value <= most:
        raise InvalidValue(f"{name} outside of {least:g} to {most:g}: another unit?")
    return value


def _next_row(reader: Iterator[list[str]], tally: Tally) -> list[str] | None:
    while True:
        try:
            return next(reader, None)
        except csv.Error:
            tally.refuse("row that is no CSV")


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        file = opener(path, "rt", encoding="utf-8", errors="replace", newline="")
    except OSError as error:
        raise InvalidValue(f"cannot open {path}: {error.strerror or error}") from error
    with file:
        yield file
