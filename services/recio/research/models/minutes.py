"""Reads one-minute prices from files, and refuses what is not one clean history.

Files are CSV (``.csv``, ``.csv.gz``) or Parquet with the columns ts, open, high, low, close and, not
needed, volume; ``ts`` is the second since 1970 at which the minute opens (in Parquet it may be a time
stamp). Several files make one history, in the order of their first minute.

Refused with file, count and first place, all faults of a file together: rows twice or out of order,
times in milliseconds or off the minute, empty or impossible numbers, bars whose high or low lie
inside, prices that cannot be this symbol's or that jump by more than a factor of two between
neighbours (wrong units), files that end in the middle of a line or of their compression.
Missing minutes are no fault: they are counted, stay missing, and no move is taken across them.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv, parquet

from recio.domain.errors import InvalidValue

MINUTE_S: Final = 60
COLUMNS: Final = ("ts", "open", "high", "low", "close")
USUAL_USD: Final = {"BTC": (1_000.0, 1_000_000.0), "ETH": (50.0, 50_000.0)}
"""What a price in dollars may be; a hundredth or a hundredfold of it is another unit."""
MOST_JUMP: Final = 2.0
NEIGHBOURS_S: Final = 3_600
MOST_MINUTES: Final = 30 * 366 * 1440
"""Thirty years: more means that some time stamp is not what it seems."""
_MILLISECONDS: Final = 100_000_000_000
_SHOWN_FAULTS: Final = 12

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Source(NamedTuple):
    """A file that went into a history."""

    name: str
    rows: int
    sha256: str


class Minutes(NamedTuple):
    """Bars of every minute from the first to the last, NaN where one is missing.

    ``start_s`` is the second at which the first minute opens; row ``k`` closes at
    ``start_s + 60 (k + 1)``.
    """

    symbol: str
    start_s: int
    opened: Floats
    high: Floats
    low: Floats
    close: Floats
    sources: tuple[Source, ...]

    @property
    def missing(self) -> int:
        """How many minutes between the first and the last were in no file."""
        return int(np.isnan(self.close).sum())

    @property
    def first(self) -> str:
        """The first minute, UTC."""
        return told(self.start_s)

    @property
    def last(self) -> str:
        """The last minute, UTC."""
        return told(self.start_s + MINUTE_S * (len(self.close) - 1))

    @property
    def sha256(self) -> str:
        """Of all files' checksums in order."""
        return hashlib.sha256("".join(one.sha256 for one in self.sources).encode()).hexdigest()

    def between(self, first_s: int, end_s: int) -> Minutes:
        """Return the part that opens from ``first_s`` on and before ``end_s``."""
        low = max(0, -(-(first_s - self.start_s) // MINUTE_S))
        high = max(low, -(-(end_s - self.start_s) // MINUTE_S))
        part = slice(low, high)
        return self._replace(
            start_s=self.start_s + low * MINUTE_S,
            opened=self.opened[part],
            high=self.high[part],
            low=self.low[part],
            close=self.close[part],
        )


class Rows(NamedTuple):
    """One file: times in seconds, prices as (open, high, low, close)."""

    source: Source
    times: Integers
    prices: Floats


def told(second: int) -> str:
    """Return a second since 1970 as it reads in reports."""
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%MZ}"


def load(
    paths: Sequence[Path], symbol: str, *, progress: Callable[[str], None] | None = None
) -> Minutes:
    """Read files into one history.

    Args:
        paths: the files, in any order.
        symbol: BTC or ETH; its usual prices tell wrong units.
        progress: is told each file that was read.

    Raises:
        InvalidValue: nothing to read, or a fault in what was read; all of them are named.
    """
    if not paths:
        raise InvalidValue("expected at least one file of minutes (CSV, CSV.gz or Parquet)")
    read, faults = [], []
    for path in paths:
        rows = _rows(path)
        faults += [f"{path.name}: {fault}" for fault in faults_of(rows, symbol)]
        read.append(rows)
        if progress is not None:
            progress(f"read {path.name}: {rows.source.rows} minutes")
    if not faults:
        read.sort(key=lambda rows: int(rows.times[0]))
        faults = list(_overlaps(read))
    if faults:
        shown = faults[:_SHOWN_FAULTS]
        more = [f"… and {len(faults) - len(shown)} more"] if len(faults) > len(shown) else []
        raise InvalidValue("these minutes are refused:\n  " + "\n  ".join([*shown, *more]))
    return _dense(symbol, read)


def find(folder: Path, symbol: str, first: str = "", last: str = "~") -> list[Path]:
    """Return the files ``<symbol>_1m_<from>_<to>.csv.gz`` of a folder that touch these days.

    Raises:
        InvalidValue: there is none.
    """
    found = []
    for path in sorted(folder.glob(f"{symbol.lower()}_1m_*.csv.gz")):
        opened, _, closed = path.name.removesuffix(".csv.gz").partition("_1m_")[2].partition("_")
        if closed >= first and opened <= last:
            found.append(path)
    if not found:
        raise InvalidValue(
            f"expected files {symbol.lower()}_1m_<from>_<to>.csv.gz of {first or 'any day'} to "
            f"{last.strip('~') or 'any day'} in {folder}, found none"
        )
    return found


def _rows(path: Path) -> Rows:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InvalidValue(f"{path}: cannot be read: {error.strerror}") from error
    return decode(path.name, raw)


def decode(name: str, raw: bytes) -> Rows:
    """Return the rows of one file, whatever they hold.

    Raises:
        InvalidValue: it is damaged, or lacks columns or numbers.
    """
    table = parquet_table(name, raw) if raw[:4] == b"PAR1" else csv_table(name, raw)
    return minutes_of(Source(name, table.num_rows, hashlib.sha256(raw).hexdigest()), table)


def csv_table(name: str, raw: bytes) -> pa.Table:
    """Return the rows of a CSV file, compressed or not.

    Raises:
        InvalidValue: it ends too early, or its lines or columns are not what they should be.
    """
    content = raw
    if raw[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(raw)
        except (EOFError, OSError, zlib.error) as error:
            raise InvalidValue(f"{name}: half-written or damaged: {error}") from error
    if not content.strip():
        raise InvalidValue(f"{name}: expected minutes, found nothing")
    if not content.endswith(b"\n"):
        raise InvalidValue(
            f"{name}: half-written: the last line has no end; complete the file, or end its last "
            "line if it is whole"
        )
    types = dict.fromkeys(COLUMNS[1:], pa.float64()) | {"ts": pa.int64(), "volume": pa.float64()}
    options = csv.ConvertOptions(column_types=types, include_columns=list(COLUMNS))
    try:
        return csv.read_csv(io.BytesIO(content), convert_options=options)
    except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeDecodeError) as error:
        raise InvalidValue(
            f"{name}: expected the columns {', '.join(COLUMNS)} and a number in each: {error}"
        ) from error


def parquet_table(name: str, raw: bytes) -> pa.Table:
    """Return the rows of a Parquet file.

    Raises:
        InvalidValue: it is damaged or lacks a column.
    """
    try:
        return parquet.read_table(io.BytesIO(raw), columns=list(COLUMNS)).select(list(COLUMNS))
    except (pa.ArrowException, OSError, KeyError) as error:
        raise InvalidValue(
            f"{name}: half-written or damaged, or without the columns {', '.join(COLUMNS)}: {error}"
        ) from error


def minutes_of(source: Source, table: pa.Table) -> Rows:
    """Return a table's numbers; time stamps become seconds, empty cells NaN.

    Raises:
        InvalidValue: a column holds something else, or there are no rows.
    """
    if not source.rows:
        raise InvalidValue(f"{source.name}: expected minutes, found none")
    times = table.column("ts")
    try:
        if pa.types.is_timestamp(times.type):
            times = times.cast(pa.timestamp("s"), safe=True).cast(pa.int64())
        if times.null_count:
            raise InvalidValue(f"{source.name}: {times.null_count} rows have no time")
        seconds = times.cast(pa.int64(), safe=True).to_numpy()
        columns = [table.column(name).cast(pa.float64()).to_numpy() for name in COLUMNS[1:]]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InvalidValue(f"{source.name}: expected numbers: {error}") from error
    return Rows(source, seconds, np.column_stack(columns))


def faults_of(rows: Rows, symbol: str) -> Iterator[str]:
    """Yield every fault of one file, with how often and where first."""
    times, prices = rows.times, rows.prices
    if int(times.max()) > _MILLISECONDS:
        yield f"{len(times)} times look like milliseconds ({times[0]}); expected seconds since 1970"
        return
    if int(times.min()) < 0:
        yield f"{int((times < 0).sum())} times lie before 1970 ({times.min()})"
        return
    step = np.diff(times, prepend=times[0] - MINUTE_S)
    finite: Flags = np.asarray(np.isfinite(prices).all(axis=1), dtype=np.bool_)
    positive: Flags = np.logical_and(finite, (prices > 0).all(axis=1))
    opened, high, low, close = prices.T
    with np.errstate(invalid="ignore"):
        is_bar = (high >= np.maximum(opened, close)) & (low <= np.minimum(opened, close))
    yield from _told("times are off the minute", times % MINUTE_S != 0, rows)
    yield from _told("minutes stand there twice", step == 0, rows)
    yield from _told("minutes are out of order", step < 0, rows)
    yield from _told("rows have an empty or infinite price", ~finite, rows)
    yield from _told("rows have a price that is not positive", finite & ~positive, rows)
    yield from _told("bars have a high or low inside of open and close", positive & ~is_bar, rows)
    yield from _unit_faults(rows, symbol, step, positive)


def _unit_faults(rows: Rows, symbol: str, step: Integers, positive: Flags) -> Iterator[str]:
    least, most = USUAL_USD.get(symbol, (0.0, np.inf))
    close = rows.prices[:, 3]
    strange = positive & ((close < least) | (close > most))
    if strange.any():
        what = f"prices are not {symbol} in dollars ({least:,.0f} to {most:,.0f}): wrong unit?"
        yield from _told(what, strange, rows)
        return
    before = np.concatenate([close[:1], close[:-1]])
    with np.errstate(invalid="ignore", divide="ignore"):
        jump = np.maximum(close / before, before / close) > MOST_JUMP
    near = (step > 0) & (step <= NEIGHBOURS_S) & positive
    yield from _told(
        f"prices jump by more than a factor of {MOST_JUMP:g}: wrong unit?", near & jump, rows
    )


def _told(what: str, wrong: Flags, rows: Rows) -> Iterator[str]:
    count = int(wrong.sum())
    if count:
        place = int(np.argmax(wrong))
        shown = " ".join(f"{price:g}" for price in rows.prices[place])
        yield f"{count} {what}; first in row {place + 1}: {rows.times[place]} {shown}"


def _overlaps(read: Sequence[Rows]) -> Iterator[str]:
    for before, after in pairwise(read):
        shared = int(np.isin(after.times, before.times).sum())
        if shared:
            yield f"{after.source.name}: {shared} minutes are also in {before.source.name}"
        elif after.times[0] < before.times[-1]:
            yield f"{after.source.name}: begins before {before.source.name} has ended"


def _dense(symbol: str, read: Sequence[Rows]) -> Minutes:
    start, end = int(read[0].times[0]), int(read[-1].times[-1])
    count = (end - start) // MINUTE_S + 1
    if count > MOST_MINUTES:
        raise InvalidValue(f"expected thirty years at most, received {told(start)} to {told(end)}")
    bars = np.full((4, count), np.nan)
    for rows in read:
        bars[:, (rows.times - start) // MINUTE_S] = rows.prices.T
    opened, high, low, close = bars
    sources = tuple(rows.source for rows in read)
    return Minutes(symbol, start, opened, high, low, close, sources)
