"""Counts fingerprints anew from minutes: how often the price moved by so much within so many minutes.

For each minute, by its momentum bucket (``domain.momentum``, computed for all minutes at once), and
for each of 1 to 60 minutes ahead: the move of the close, in steps of 0.05 % up to 2 %. One histogram
for a bucket and time; its sums from the far end are the shares, so they cannot rise with the move.

* Time is the stamps': a look-ahead or look-back that meets a missing minute is no case. As in the
  live momentum, a look-back of four minutes and more may be one minute older.
* A bucket with few cases takes its neighbours' in, one on each side at a time, until the cases that
  do not overlap at an hour ahead are enough; the width is kept. The outermost buckets hold all
  beyond them, so no other takes them in, and momentum is never pooled with the opposite sign's
  outermost.
* With ``half_life_days`` a case weighs less the older it is; without, all weigh one (the default:
  on 2024 no half-life was better than none, docs/model.md).

The artefact is what ``domain.fingerprints`` reads: shares, cases, weighted cases, and how many
cases of equal weight they are worth.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
import numpy as np

from recio.domain import fingerprints
from recio.domain.errors import InvalidValue
from recio.domain.fingerprints import BASELINE, FULL, STEP_BP
from recio.domain.momentum import LOOKBACK_MINUTES, MAX_BUCKET, WEIGHTS, max_staleness_us
from recio.domain.units import MINUTE_US
from recio.research.models.minutes import Flags, Floats, Integers, Minutes

AHEAD: Final = 60
COLUMNS: Final = 41
"""Thresholds 0, 0.05, … 2.00 %."""
LEAST_CASES: Final = 100
"""Cases that do not overlap at an hour ahead; fewer are pooled with the neighbours'."""

_BUCKETS: Final = 2 * MAX_BUCKET + 1
_NONE: Final = _BUCKETS
"""The row of minutes without momentum: they count in the baseline only."""
_CELLS: Final = 2 * COLUMNS
_STEPS: Final = 100 * 100 / STEP_BP
"""Steps of the threshold in a move of one."""
_ROUND: Final = 1e-7
"""A move this close to a threshold, in steps, reaches it: prices have cents, not binary fractions."""
_CHUNK: Final = 1 << 15
_DAY_MINUTES: Final = 1440


class Counts(NamedTuple):
    """What was counted: ``moves`` by bucket (the last one: none), minute ahead and cell.

    A cell is direction (up, down) times threshold step; an unchanged price stands in both first
    ones, and ``cases`` (by bucket and minute) counts it once. ``squares`` is the sum of the squared
    weights.
    """

    moves: Floats
    cases: Floats
    weighted: Floats
    squares: Floats


class Wanted(NamedTuple):
    """How to build: the parameters that the artefact names."""

    half_life_days: float | None = None
    least_cases: int = LEAST_CASES


class Bucket(NamedTuple):
    """One table: its counts after pooling, and how many buckets on each side it took in."""

    name: int | str
    width: int
    counts: Counts


def buckets_of(close: Floats) -> Integers:
    """Return the momentum bucket of every minute, 61 above -30; 61 where there is none."""
    total = np.zeros(len(close))
    weight = np.zeros(len(close))
    for back, share in zip(LOOKBACK_MINUTES, WEIGHTS, strict=True):
        past = _shifted(close, back)
        if max_staleness_us(back) >= MINUTE_US:
            past = np.where(np.isnan(past), _shifted(close, back + 1), past)
        delta = np.rint((close - past) / past * 1e8)
        known = ~np.isnan(delta)
        total[known] += share * delta[known]
        weight += share * known
    found = np.full(len(close), _NONE, dtype=np.int64)
    some = weight > 0
    score = np.rint(total[some] / weight[some])
    found[some] = np.clip(np.rint(score / 1e4), -MAX_BUCKET, MAX_BUCKET) + MAX_BUCKET
    return found


def _shifted(close: Floats, back: int) -> Floats:
    past = np.full(len(close), np.nan)
    past[back:] = close[:-back] if len(close) > back else past[back:]
    return past


def count(
    minutes: Minutes,
    wanted: Wanted,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Counts:
    """Count every move of a history.

    Args:
        minutes: the history.
        wanted: parameters.
        progress: is told how many minutes of how many are done.
    """
    close = minutes.close
    bucket, weights = buckets_of(close), _weights(len(close), wanted.half_life_days)
    rows = _BUCKETS + 1
    moves = np.zeros((AHEAD, rows * _CELLS))
    totals = np.zeros((3, AHEAD, rows))
    for begin in range(0, len(close), _CHUNK):
        end = min(begin + _CHUNK, len(close))
        _count_chunk(_Chunk(close, bucket, weights, begin, end), moves, totals)
        if progress is not None:
            progress(end, len(close))
    shape = (AHEAD, rows, _CELLS)
    by_bucket = moves.reshape(shape).transpose(1, 0, 2)
    return Counts(by_bucket, *(each.T for each in totals))


class _Chunk(NamedTuple):
    close: Floats
    bucket: Integers
    weights: Floats | None
    begin: int
    end: int


def _weights(length: int, half_life_days: float | None) -> Floats | None:
    if half_life_days is None:
        return None
    age_days = (length - 1 - np.arange(length)) / _DAY_MINUTES
    return np.asarray(0.5 ** (age_days / half_life_days), dtype=np.float64)


def _count_chunk(chunk: _Chunk, moves: Floats, totals: Floats) -> None:
    close, begin = chunk.close, chunk.begin
    scaled = _STEPS / close[begin : chunk.end]
    bucket = chunk.bucket[begin : chunk.end]
    is_whole = not np.isnan(close[begin : chunk.end + AHEAD]).any()
    for ahead in range(1, AHEAD + 1):
        size = min(chunk.end, len(close) - ahead) - begin
        if size <= 0:
            return
        move = close[begin + ahead : begin + ahead + size] * scaled[:size]
        move -= _STEPS
        rows, weight = bucket[:size], None
        if chunk.weights is not None:
            weight = chunk.weights[begin : begin + size]
        if not is_whole:
            known = ~np.isnan(move)
            move, rows = move[known], rows[known]
            weight = None if weight is None else weight[known]
        _count_moves(move, rows, weight, moves[ahead - 1])
        _count_totals(rows, weight, totals[:, ahead - 1])


def _count_moves(move: Floats, rows: Integers, weight: Floats | None, into: Floats) -> None:
    size = np.abs(move)
    size += _ROUND
    step = np.minimum(size, COLUMNS - 1).astype(np.int64)
    place = rows * _CELLS + step
    place += COLUMNS * (move < 0)
    into += np.bincount(place, weight, minlength=len(into))
    # An unchanged price is a rise and a fall of nothing: it is counted above as a rise.
    same: Flags = size <= 2 * _ROUND
    if same.any():
        falls = rows[same] * _CELLS + np.where(move[same] < 0, 0, COLUMNS)
        into += np.bincount(falls, None if weight is None else weight[same], minlength=len(into))


def _count_totals(rows: Integers, weight: Floats | None, into: Floats) -> None:
    plain = np.bincount(rows, minlength=_BUCKETS + 1)
    into[0] += plain
    into[1] += plain if weight is None else np.bincount(rows, weight, minlength=_BUCKETS + 1)
    squares = plain if weight is None else np.bincount(rows, weight**2, minlength=_BUCKETS + 1)
    into[2] += squares


def pooled(counts: Counts, least_cases: int) -> list[Bucket]:
    """Return the baseline and every momentum bucket, pooled where cases are few."""
    numbers = range(-MAX_BUCKET, MAX_BUCKET + 1)
    baseline = Bucket(BASELINE, 0, _sum(counts, range(_BUCKETS + 1)))
    return [baseline, *(_widened(counts, number, least_cases) for number in numbers)]


def _widened(counts: Counts, number: int, least_cases: int) -> Bucket:
    for width in range(2 * MAX_BUCKET):
        taken = _sum(counts, _neighbours(number, width))
        if effective(taken)[-1] / AHEAD >= least_cases or width >= MAX_BUCKET:
            return Bucket(number, width, taken)
    raise AssertionError


def _neighbours(number: int, width: int) -> range:
    """Return the rows of the buckets around one; the outermost belong to nobody else."""
    low, high = number - width, number + width
    if number > -MAX_BUCKET:
        low = max(low, 1 - MAX_BUCKET)
    if number < MAX_BUCKET:
        high = min(high, MAX_BUCKET - 1)
    low, high = max(low, -MAX_BUCKET), min(high, MAX_BUCKET)
    return range(low + MAX_BUCKET, high + MAX_BUCKET + 1)


def _sum(counts: Counts, rows: range) -> Counts:
    part = slice(rows.start, rows.stop)
    return Counts(*(each[part].sum(axis=0) for each in counts))


def effective(counts: Counts) -> Floats:
    """Return how many cases of equal weight the cases are worth, by minutes ahead."""
    squares = np.maximum(counts.squares, 1e-300)
    return np.asarray(np.where(counts.squares > 0, counts.weighted**2 / squares, 0.0))


def shares(counts: Counts) -> Integers:
    """Return (minute, threshold, direction) in 0.01 points: reverse sums over all cases."""
    sides = counts.moves.reshape(AHEAD, 2, COLUMNS)
    reach = np.cumsum(sides[:, :, ::-1], axis=2)[:, :, ::-1]
    total = np.maximum(counts.weighted, 1e-300)[:, None, None]
    found = np.rint(np.clip(reach / total, 0, 1) * FULL).astype(np.int64)
    return np.asarray(found.transpose(0, 2, 1))


def artefact(minutes: Minutes, counts: Counts, wanted: Wanted, day: str) -> bytes:
    """Return the bytes that ``domain.fingerprints`` reads.

    Args:
        minutes: what was counted.
        counts: of ``count``.
        wanted: its parameters.
        day: on which it is built, for the provenance.

    Raises:
        InvalidValue: a minute ahead has no case at all.
    """
    tables = pooled(counts, wanted.least_cases)
    if tables[0].counts.cases.min() < 1:
        raise InvalidValue(
            f"expected more than {AHEAD} minutes in a row, received {minutes.first} to "
            f"{minutes.last} with {minutes.missing} missing"
        )
    header = fingerprints.Header(
        symbol=minutes.symbol,
        name=f"{minutes.symbol.lower()}_{minutes.first[:10]}_{minutes.last[:10]}",
        buckets=tuple(table.name for table in tables),
        ttc_minutes=tuple(range(1, AHEAD + 1)),
        thresholds_bp=tuple(range(0, COLUMNS * STEP_BP, STEP_BP)),
        format=fingerprints.WITH_COUNTS,
        built=fingerprints.Built(
            on=day,
            first=minutes.first,
            last=minutes.last,
            minutes=len(minutes.close) - minutes.missing,
            missing=minutes.missing,
            sha256=minutes.sha256,
            files=tuple((one.name, one.sha256) for one in minutes.sources),
            half_life_days=wanted.half_life_days,
            least_cases=wanted.least_cases,
        ),
        pooled=tuple(table.width for table in tables),
    )
    kept = [[t.counts.cases, t.counts.weighted, effective(t.counts)] for t in tables]
    columns = [np.floor(np.stack(column) + 1e-6) for column in zip(*kept, strict=True)]
    body = _words("H", np.stack([shares(table.counts) for table in tables]))
    body += b"".join(_words("I", column) for column in columns)
    return msgspec.json.encode(header) + b"\n" + body


def _words(kind: str, values: Floats | Integers) -> bytes:
    words = array(kind, values.astype(np.int64).ravel().tolist())
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()
