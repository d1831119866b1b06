"""Momentum fingerprints: how often the price moved by so much within so many minutes.

One table for each momentum bucket (-30 … 30 hundredths of a percent) and one over everything
("baseline"): share of minutes after which the close, t minutes later, was at least the threshold
higher (up) or lower (down). It is the chance *at* t, not of touching on the way.

Between the grid's points the share is interpolated in minutes and percent. Outside of it:

* bucket: the nearest one there is; bucket None means no momentum, hence no answer;
* move: beyond 2 % the share of 2 % is returned, which is the most it can be;
* time under a minute: moves are scaled by the square root of time onto the first minute;
* time over the last minute of the grid: no answer.

Refused when loading: shares that rise with the threshold or leave 0 … 100 %. At threshold zero an
unchanged price counts both ways; the tie is split so that up and down add to one there. Shares are
published to 0.01 points, so none is taken as less than half of that: nothing is impossible.

Tables that ``recio model build`` counted (format 2) also hold, for each bucket and minute, the cases,
their weights' sum and how many cases of equal weight they are worth; ``bounds`` tells from these what
a share may really be. The published tables (format 1) do not say how many cases they saw.
"""

from __future__ import annotations

import sys
from array import array
from itertools import pairwise
from math import sqrt
from typing import Final, Literal, NamedTuple

import msgspec

from recio.domain.errors import InvalidValue
from recio.domain.momentum import MAX_BUCKET

UP: Final = 0
DOWN: Final = 1
STEP_BP: Final = 5
FULL: Final = 10_000
LEAST: Final = 0.5
"""Half of the published resolution, in 0.01 points."""
BASELINE: Final = "baseline"
"""The table over all minutes, whatever their momentum."""
SHARES_ONLY: Final = 1
WITH_COUNTS: Final = 2
BOUND: Final = 1.645
"""Deviations of a 90 % interval."""

_SECONDS: Final = 60.0


class Built(msgspec.Struct, frozen=True):
    """What rebuilt tables were counted from, and how.

    ``sha256`` is of the input files' checksums in order; ``half_life_days`` None: all cases weigh
    one; ``least_cases``: that many cases without overlap at an hour, or the neighbours are pooled in.
    """

    on: str
    first: str
    last: str
    minutes: int
    missing: int
    sha256: str
    files: tuple[tuple[str, str], ...]
    half_life_days: float | None
    least_cases: int


class Header(msgspec.Struct, frozen=True):
    """First line of the artefact; ``thresholds_bp`` in 0.01 %, ascending from 0, in steps of 5.

    ``pooled``: for each bucket how many of its neighbours on each side were counted with it.
    """

    symbol: str
    name: str
    buckets: tuple[int | str, ...]
    ttc_minutes: tuple[int, ...]
    thresholds_bp: tuple[int, ...]
    format: int = SHARES_ONLY
    built: Built | None = None
    pooled: tuple[int, ...] = ()


class Cases(NamedTuple):
    """How many cases a share was counted from; ``effective``: of equal weight."""

    cases: int
    weighted: int
    effective: int


class Fingerprints:
    """All tables of one symbol: 62 x 60 x 41 x 2 shares in 600 kB.

    ``share(...)`` answers in parts of 10_000 (0.01 percentage points). ``header`` says where the
    tables come from.
    """

    __slots__ = ("_cells", "_columns", "_counts", "_minutes", "_rows", "header", "name", "symbol")

    def __init__(self, data: bytes) -> None:
        """Decode an artefact: one line of JSON, then 16-bit numbers, low byte first.

        Raises:
            InvalidValue: not such an artefact, or shares that cannot be.
        """
        header, body, self._counts = _split(data)
        self.header = header
        self.symbol = header.symbol
        self.name = header.name
        self._minutes = len(header.ttc_minutes)
        self._columns = header.thresholds_bp[-1] // STEP_BP + 1
        known = {bucket: row for row, bucket in enumerate(header.buckets)}
        self._rows: dict[int | str, int] = {
            bucket: known[_nearest(bucket, known)] for bucket in range(-MAX_BUCKET, MAX_BUCKET + 1)
        }
        if BASELINE in known:
            self._rows[BASELINE] = known[BASELINE]
        self._cells = _regular(header, body)

    def cell(self, bucket: int | str, minute: int, threshold_bp: int, direction: int) -> int:
        """Return one share of the grid, in 0.01 points."""
        row = self._rows[bucket] * self._minutes + minute - 1
        return self._cells[(row * self._columns + threshold_bp // STEP_BP) * 2 + direction]

    def cases(self, bucket: int | str, minute: int) -> Cases | None:
        """Return what the shares of one bucket and minute were counted from; None: not told."""
        if not self._counts:
            return None
        place = self._rows[bucket] * self._minutes + minute - 1
        size = len(self._counts) // len(Cases._fields)
        return Cases(*self._counts[place::size])

    def bounds(
        self, bucket: int | str, minute: int, threshold_bp: int, direction: int
    ) -> tuple[float, float] | None:
        """Return the 90 % interval (Wilson's) of a share, in 0.01 points; None: cases not told.

        Cases that begin within ``minute`` minutes of each other share their moves, so only one in
        ``minute`` counts. Calm and stormy weeks make the truth wider still.
        """
        known = self.cases(bucket, minute)
        if known is None or not known.effective:
            return None
        n = max(known.effective / minute, 1.0)
        p = self.cell(bucket, minute, threshold_bp, direction) / FULL
        square = BOUND * BOUND / n
        middle = (p + square / 2) / (1 + square)
        reach = BOUND * sqrt(p * (1 - p) / n + square / (4 * n)) / (1 + square)
        return max(middle - reach, 0.0) * FULL, min(middle + reach, 1.0) * FULL

    def curve(self, bucket: int | str, seconds: float) -> Curve | None:
        """Return the shares after ``seconds`` for every move; None beyond the grid's last minute.

        A momentum beyond the tables' is the outermost; ``BASELINE`` is the table over everything.
        """
        if seconds <= 0 or seconds > self._minutes * _SECONDS:
            return None
        if isinstance(bucket, int):
            bucket = max(-MAX_BUCKET, min(MAX_BUCKET, bucket))
        elif bucket not in self._rows:
            return None
        minute = max(seconds / _SECONDS, 1.0)
        first = min(int(minute), self._minutes - 1)
        width = self._columns * 2
        start = (self._rows[bucket] * self._minutes + first - 1) * width
        return Curve(
            cells=self._cells,
            here=start,
            there=start + width,
            weight=minute - first,
            last=self._columns - 1,
            scale=sqrt(_SECONDS / seconds) if seconds < _SECONDS else 1.0,
        )


class Curve:
    """The shares of one bucket at one time, as a function of the move."""

    __slots__ = ("_cells", "_here", "_last", "_scale", "_there", "_weight")

    def __init__(
        self, *, cells: array[int], here: int, there: int, weight: float, last: int, scale: float
    ) -> None:
        self._cells = cells
        self._here = here
        self._there = there
        self._weight = weight
        self._last = last
        self._scale = scale

    def share(self, move_percent: float, direction: int) -> float:
        """Return the share of moves of at least ``move_percent`` (0 or more), in 0.01 points."""
        column = move_percent * self._scale * (100 / STEP_BP)
        low = int(column)
        part = column - low
        if low >= self._last:
            low, part = self._last - 1, 1.0
        cells = self._cells
        at = self._here + low * 2 + direction
        early = cells[at] + (cells[at + 2] - cells[at]) * part
        at = self._there + low * 2 + direction
        late = cells[at] + (cells[at + 2] - cells[at]) * part
        share = early + (late - early) * self._weight
        return min(max(share, LEAST), FULL - LEAST)


def _split(data: bytes) -> tuple[Header, array[int], array[int]]:
    line, _, body = data.partition(b"\n")
    try:
        header = msgspec.json.decode(line, type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidValue(f"fingerprints: the first line is not a header: {error}") from error
    _check(header)
    rows = len(header.buckets) * len(header.ttc_minutes)
    size = rows * len(header.thresholds_bp) * 4
    counted = rows * len(Cases._fields) * 4 if header.format == WITH_COUNTS else 0
    if len(body) != size + counted:
        raise InvalidValue(
            f"fingerprints: expected {size + counted} bytes after the header, received {len(body)}"
        )
    return header, _words("H", body[:size]), _words("I", body[size:])


def _words(kind: Literal["H", "I"], body: bytes) -> array[int]:
    words = array(kind, body)
    if sys.byteorder == "big":
        words.byteswap()
    return words


def _check(header: Header) -> None:
    if header.format not in {SHARES_ONLY, WITH_COUNTS}:
        raise InvalidValue(f"fingerprints: expected format 1 or 2, received {header.format}")
    if header.pooled and len(header.pooled) != len(header.buckets):
        raise InvalidValue("fingerprints: expected one pooled width for each bucket")
    thresholds, minutes = header.thresholds_bp, header.ttc_minutes
    is_grid = (
        thresholds[:1] == (0,)
        and all(a < b and b % STEP_BP == 0 for a, b in pairwise(thresholds))
        and thresholds[-1] <= FULL
    )
    if not is_grid or minutes != tuple(range(1, len(minutes) + 1)) or len(minutes) < 2:
        raise InvalidValue(
            "fingerprints: expected minutes 1, 2, … and thresholds 0, 5, … in 0.01 %"
        )
    if not any(isinstance(bucket, int) for bucket in header.buckets):
        raise InvalidValue("fingerprints: expected at least one momentum bucket")


def _nearest(bucket: int, known: dict[int | str, int]) -> int:
    numbers = (number for number in known if isinstance(number, int))
    return min(numbers, key=lambda number: (abs(number - bucket), abs(number)))


def _regular(header: Header, shares: array[int]) -> array[int]:
    """Return the shares on an unbroken grid of thresholds: a missing one is interpolated."""
    width = len(header.thresholds_bp) * 2
    plan = _columns(header.thresholds_bp)
    cells = array("H")
    for start in range(0, len(shares), width):
        ups = _line(shares[start : start + width : 2], plan)
        downs = _line(shares[start + 1 : start + width : 2], plan)
        ups[0], downs[0] = _split_tie(ups, downs)
        for pair in zip(ups, downs, strict=True):
            cells.extend(pair)
    return cells


def _columns(thresholds: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """Return for every regular threshold (source column, the next one, parts, of parts)."""
    plan = []
    for column, (low, high) in enumerate(pairwise(thresholds)):
        plan += [(column, column + 1, at - low, high - low) for at in range(low, high, STEP_BP)]
    last = len(thresholds) - 1
    return [*plan, (last, last, 0, 1)]


def _line(shares: array[int], plan: list[tuple[int, int, int, int]]) -> list[int]:
    if shares[0] > FULL or any(low < high for low, high in pairwise(shares)):
        raise InvalidValue("fingerprints: shares must lie in 0 … 100 % and not rise with the move")
    return [
        shares[here] - (shares[here] - shares[there]) * part // parts
        for here, there, part, parts in plan
    ]


def _split_tie(ups: list[int], downs: list[int]) -> tuple[int, int]:
    total = ups[0] + downs[0]
    up = (ups[0] * FULL + total // 2) // total if total else FULL // 2
    up = min(max(up, ups[1]), FULL - downs[1])
    return up, FULL - up
