"""Fit the volatility model: `python -m benchmarks.model_fit --data DIR --last 2023-12-31 --out FILE`.

Reads minute files `<symbol>_1m_<from>_<to>.csv.gz` (columns ts,open,high,low,close,volume; ts is the
minute's open) and writes the artefact that `recio.domain.volatility_model` reads. Needs numpy and
scipy, which the product does not: install them beside it, they are in no requirements file.

Three steps, each on minutes from --first to --last alone:

1. season tables: a gamma regression with a ridge of each minute's variance (mean of the squared
   return and Garman-Klass) over the mean of the half day around it, at most 25 times that;
2. features: the means that `recio.domain.volatility` keeps, computed for all minutes at once;
3. weights: the likelihood of log(mean of the last minute / price T minutes before it) under
   Student's distribution whose scale and degrees of freedom are linear in the features, for T of 2
   to 60 minutes together; weights are tied to four horizons and interpolated in log T. Three tenths
   of the samples end at full hours. Adam, fixed seed, so that a run can be repeated.

Rows out of order, twice, or with impossible prices are refused with their place. Missing minutes
are counted; no sample crosses one.
"""

from __future__ import annotations

import argparse
import calendar
import hashlib
import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from gzip import decompress
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from scipy.signal import lfilter
from scipy.special import digamma, gammaln

from recio.domain.seasonality import AFTER_EVENT, AFTER_MARK, EVENTS, MARKS, SHAPED_DAYS

HORIZONS = (2.0, 5.0, 15.0, 60.0)
AHEAD = (2, 3, 4, 5, 7, 10, 15, 20, 30, 45, 60)
ABSOLUTE = (3, 8, 20, 90, 240, 1440, 4320)
SQUARED = (8, 90, 720)
MOVES = ((5, 60), (15, 480), (60, 240))
DRIFTS = ((5, 0), (10, 1), (30, 2), (60, 3), (240, 4))
FREEDOM_OF = (len(ABSOLUTE) + 1, 3)  # squares and sizes of the last hour and a half
REVERSION = (0.0, 0.0, 0.0, 0.025)
REVERSION_OF = 1
LAST_MINUTE = 0.34
WARM = 43_200
CAP, RIDGE = 25.0, 40.0
SAMPLES, HOURLY, EPOCHS, BATCH, SEED = 30_000, 0.3, 10, 2048, 0


def load(folder: Path, symbol: str, first: str, last: str) -> tuple[np.ndarray, int, str, int]:
    """Return (open, high, low, close) of all minutes, the first one's time, checksum, missing."""
    start, end = (calendar.timegm(datetime.fromisoformat(d).timetuple()) for d in (first, last))
    count = (end - start) // 60 + 1440
    bars = np.full((count, 4), np.nan)
    digest, before = hashlib.sha256(), 0
    for path in sorted(folder.glob(f"{symbol}_1m_*.csv.gz")):
        opened, closed = path.name.removesuffix(".csv.gz").split("_")[2:]
        if closed < first or opened > last:
            continue
        content = decompress(path.read_bytes())
        digest.update(content)
        rows = np.loadtxt(io.BytesIO(content), delimiter=",", skiprows=1, usecols=range(5))
        times = rows[:, 0].astype(np.int64)
        bad = (np.diff(times, prepend=before) <= 0) | (times % 60 != 0) | (rows[:, 1:5].min(1) <= 0)
        bad |= (rows[:, 2] < rows[:, [1, 4]].max(1)) | (rows[:, 3] > rows[:, [1, 4]].min(1))
        if bad.any():
            place = int(np.argmax(bad))
            sys.exit(f"{path.name}: row {place + 2} is out of order or impossible: {rows[place]}")
        before = times[-1]
        place = (times - start) // 60
        inside = (place >= 0) & (place < count)
        bars[place[inside]] = rows[inside, 1:5]
    missing = int(np.isnan(bars[:, 0]).sum())
    if missing == count:
        sys.exit(f"no minutes of {symbol} between {first} and {last} in {folder}")
    return bars, start, digest.hexdigest(), missing


class Clock:
    """Minutes of the day and days of the week on both clocks, for all minutes and two hours more."""

    def __init__(self, start: int, count: int) -> None:
        times = start + 60 * np.arange(count + 120, dtype=np.int64)
        hours = np.unique(times // 3600)
        zone = ZoneInfo("America/New_York")
        shift = np.array(
            [datetime.fromtimestamp(int(h) * 3600, zone).utcoffset().total_seconds() for h in hours]
        )
        local = times + shift.astype(np.int64)[np.searchsorted(hours, times // 3600)]
        self.ny, self.utc = local // 60 % 1440, times // 60 % 1440
        self.ny_day, self.utc_day = (local // 86400 + 3) % 7, (times // 86400 + 3) % 7
        is_summer = (self.ny - self.utc) % 1440 == 1200
        self.cell = (self.ny_day * 1440 + self.ny) * 2 + is_summer


def hats(minute: np.ndarray, count: int) -> np.ndarray:
    """Return weights of the points in the middle of ``count`` equal parts of the day."""
    place = (minute * count / 1440 - 0.5) % count
    lower = np.floor(place).astype(int)
    found = np.zeros((len(minute), count))
    rows = np.arange(len(minute))
    found[rows, lower % count] += 1 - (place - lower)
    found[rows, (lower + 1) % count] += place - lower
    return found


def blocks(ny: np.ndarray, day: np.ndarray, utc: np.ndarray, utc_day: np.ndarray) -> dict:
    """Return the columns of each season table, in the tables' order."""
    week, utc_week = (day < 5)[:, None], (utc_day < 5)[:, None]
    half, utc_half, shape = hats(ny, 48), hats(utc, 48), hats(ny, 12)

    def after(since: np.ndarray, bounds: tuple[int, ...]) -> np.ndarray:
        pairs = pairwise(bounds)
        return np.stack([(since >= a) & (since < b) for a, b in pairs], 1).astype(float)

    events = [after(ny - at, AFTER_EVENT) * ((day == 2)[:, None] if wed else week)
              for at, wed in EVENTS]  # fmt: skip
    return {
        "level": np.ones((len(ny), 1)),
        "ny_weekday": half * week,
        "ny_weekend": half * ~week,
        "ny_shape": np.hstack([shape * (day == k)[:, None] for k in SHAPED_DAYS]),
        "utc_weekday": utc_half * utc_week,
        "utc_weekend": utc_half * ~utc_week,
        "minute_of_hour": np.eye(60)[ny % 60],
        "ny_day": np.eye(7)[day],
        "utc_day": np.eye(7)[utc_day],
        "events": np.hstack(events),
        "marks": np.hstack([after(utc - at, AFTER_MARK) for at in MARKS]),
    }


def season(ratio: np.ndarray, clock: Clock) -> tuple[dict, np.ndarray]:
    """Fit the tables; return them and the factor of every minute."""
    number = np.arange(20160)
    day, ny = number // 2880, number // 2 % 1440
    ahead = ny + 240 + 60 * (1 - number % 2)
    parts = blocks(ny, day, ahead % 1440, (day + ahead // 1440) % 7)
    x = np.hstack(list(parts.values()))
    cell = clock.cell[: len(ratio)]
    count = np.bincount(cell, minlength=20160).astype(float)
    total = np.bincount(cell, ratio, minlength=20160)
    b = np.zeros(x.shape[1])
    b[0] = np.log(total.sum() / count.sum())
    ridge = np.eye(len(b)) * RIDGE
    ridge[0, 0] = 1e-6
    for _ in range(10):
        mean = np.exp(x @ b)
        score = x.T @ (total / mean - count) - ridge @ b
        b += np.linalg.solve((x * count[:, None]).T @ x + ridge, score)
    b[0] -= np.log((np.exp(x @ b) * count).sum() / count.sum())
    tables, place = {}, 0
    rows = {"ny_shape": len(SHAPED_DAYS), "events": len(EVENTS), "marks": len(MARKS)}
    for name, part in parts.items():
        row = [round(float(v), 5) for v in b[place : place + part.shape[1]]]
        place += part.shape[1]
        width = len(row) // rows[name] if name in rows else 0
        tables[name] = [row[i : i + width] for i in range(0, len(row), width)] if width else row
    tables["level"] = tables["level"][0]
    return tables, np.exp(x @ b)[clock.cell]


def running(values: np.ndarray, half: float) -> np.ndarray:
    """Return the exponentially weighted mean with this half-life, from the first value on."""
    gain = 1 - 0.5 ** (1 / half)
    return lfilter([gain], [1, gain - 1], values, zi=[values[:1440].mean() * (1 - gain)])[0]


def features(change: np.ndarray, factors: np.ndarray, clock: Clock) -> np.ndarray:
    """Return the features after each minute; the order is the product's."""
    count = len(change)
    z = change / np.sqrt(factors[:count])
    walk = np.cumsum(z)
    sizes = [running(abs(z), half) for half in ABSOLUTE]
    found = [2 * np.log(mean + 1e-6) for mean in sizes]
    found += [np.log(running(z * z, half) + 1e-9) for half in SQUARED]
    for length, half in MOVES:
        move = np.zeros(count)
        move[length:] = abs(walk[length:] - walk[:-length]) / np.sqrt(length)
        found.append(2 * np.log(running(move, half) + 1e-6))
    for half, by in DRIFTS:
        drift = drift_of(z, half) / (sizes[by] * np.sqrt(np.pi / 2) + 1e-9)
        found.append(np.log(drift**2 + 0.3))
    sums = np.concatenate([[0], np.cumsum(factors)])
    after = np.arange(count) + 1
    found.append(np.log(factors[after]))
    found += [np.log((sums[after + n] - sums[after]) / n) for n in (15, 60)]
    found.append(np.log((sums[after] - sums[np.maximum(after - 60, 0)]) / 60))
    for minute in (clock.ny, clock.utc):
        for k in (1, 2, 3, 4):
            angle = 2 * np.pi * k * minute[after] / 1440
            found += [np.sin(angle), np.cos(angle)]
    day = clock.ny_day[after]
    found += [day >= 5, day == 0, day == 4]
    return np.array(found, dtype=np.float32).T


def drift_of(z: np.ndarray, half: int) -> np.ndarray:
    """Return the mean of z as a multiple of what a walk of unit steps would give."""
    gain = 1 - 0.5 ** (1 / half)
    return lfilter([gain], [1, gain - 1], z) / np.sqrt(gain / (2 - gain))


def between(ahead: np.ndarray) -> np.ndarray:
    """Return each horizon's share at the logarithm of these times."""
    at, known = np.log(ahead), np.log(HORIZONS)
    return np.array([np.interp(at, known, row) for row in np.eye(len(known))], dtype=np.float32).T


def samples(bars: np.ndarray, x: np.ndarray, factors: np.ndarray, start: int) -> tuple:
    """Draw minutes for each T; return features, log of seasonal minutes, target, T."""
    chance, count = np.random.default_rng(SEED), len(bars)
    hole = np.concatenate([[0], np.cumsum(np.isnan(bars[:, 3]))])
    sums = np.concatenate([[0], np.cumsum(factors)])
    drawn: list[tuple] = []
    for ahead in AHEAD:
        last = np.arange(WARM + ahead, count)
        last = last[hole[last + 1] == hole[np.maximum(last - ahead - 60, 0)]]
        hourly = last[(start // 60 + last + 1) % 60 == 0]
        some = int(SAMPLES * HOURLY)
        end = np.concatenate([chance.choice(hourly, some), chance.choice(last, SAMPLES - some)])
        at = end - ahead
        minutes = sums[end] - sums[at + 1] + LAST_MINUTE * factors[end]
        target = np.log(bars[end].mean(1) / bars[at, 3])
        drawn.append((x[at], np.log(minutes), target, np.full(len(at), ahead)))
    return tuple(np.concatenate(column) for column in zip(*drawn, strict=True))


def descend(wide: np.ndarray, tail: np.ndarray, offset: np.ndarray, target: np.ndarray) -> tuple:
    """Return the weights of log(scale^2) and of log(freedom - 1.5) with the greatest likelihood."""
    chance, square = np.random.default_rng(SEED), target * target
    fixed = len(HORIZONS)
    scale, freedom = np.zeros(wide.shape[1]), np.zeros(tail.shape[1])
    scale[:fixed] = np.log(np.median(square / np.exp(offset)) / 0.5)
    freedom[:fixed] = np.log(2.5)
    w = np.concatenate([scale, freedom])
    first, second = np.zeros_like(w), np.zeros_like(w)
    cut, steps = len(scale), EPOCHS * (len(target) // BATCH)
    loss = 0.0
    for step in range(1, steps + 1):
        if (step - 1) % (steps // EPOCHS) == 0:
            order = chance.permutation(len(target))
            print(f"  pass {(step - 1) * EPOCHS // steps + 1} of {EPOCHS}", file=sys.stderr)
        place = (step - 1) % (steps // EPOCHS) * BATCH
        ix = order[place : place + BATCH]
        a, b = wide[ix], tail[ix]
        level = offset[ix] + a @ w[:cut]
        q = 1.5 + np.exp(np.clip(b @ w[cut:], -0.5, 4))
        u = square[ix] * np.exp(-level) / q
        pull = (q + 1) / 2 * u / (1 + u)
        shape = 0.5 * np.log1p(u) - pull / q + 0.5 / q
        shape += 0.5 * (digamma(q / 2) - digamma((q + 1) / 2))
        grow = np.concatenate([a.T @ (0.5 - pull), b.T @ (shape * (q - 1.5))]) / BATCH
        shrink = 1e-4 * w
        shrink[:fixed] = shrink[cut : cut + fixed] = 0
        grow += shrink
        first += 0.1 * (grow - first)
        second += 0.001 * (grow**2 - second)
        rate = 2e-3 * min(1, step / 200) * 0.5 * (1 + np.cos(np.pi * step / steps))
        w -= rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        like = 0.5 * level + (q + 1) / 2 * np.log1p(u) + 0.5 * np.log(q)
        loss += (like - gammaln((q + 1) / 2) + gammaln(q / 2)).mean() / steps
    print(f"  mean loss {loss:.4f}", file=sys.stderr)
    return w[:cut], w[cut:]


def fit(bars: np.ndarray, start: int) -> dict:
    """Return the fitted part of the artefact."""
    filled = bars.copy()
    close = filled[:, 3]
    for at in np.flatnonzero(np.isnan(close)):
        filled[at] = close[at - 1]
    opened, high, low, close = filled.T
    clock = Clock(start, len(bars))
    change = np.diff(np.log(close), prepend=np.log(close[0]))
    before = np.concatenate([opened[:1], close[:-1]])
    klass = 0.5 * np.log(high / low) ** 2 - (2 * np.log(2) - 1) * np.log(close / opened) ** 2
    variance = 0.5 * (change**2 + klass + np.log(opened / before) ** 2)
    around = (running(variance, 720) + running(variance[::-1], 720)[::-1]) / 2
    tables, factors = season(np.minimum(variance / np.maximum(around, 1e-10), CAP), clock)
    x = features(change, factors, clock)
    del filled, variance, around
    drawn, offset, target, ahead = samples(bars, x, factors, start)
    mean, deviation = x[WARM:].mean(0), x[WARM:].std(0) + 1e-6
    drawn = np.clip((drawn - mean) / deviation, -5, 5)
    share = between(ahead)
    wide = np.hstack([share, *(drawn * share[:, [k]] for k in range(len(HORIZONS)))])
    tail = np.hstack([share, drawn[:, FREEDOM_OF]])
    scale, freedom = descend(wide.astype(np.float32), tail.astype(np.float32), offset, target)
    fixed, width = len(HORIZONS), x.shape[1]
    rows = scale[fixed:].reshape(fixed, width) / deviation
    freed = freedom[fixed:] / deviation[list(FREEDOM_OF)]
    return {
        "season": tables,
        "absolute": ABSOLUTE,
        "squared": SQUARED,
        "moves": MOVES,
        "drifts": DRIFTS,
        "horizons_minutes": HORIZONS,
        "weights": [short([c - r @ mean, *r]) for c, r in zip(scale, rows, strict=False)],
        "lows": short(mean - 5 * deviation),
        "highs": short(mean + 5 * deviation),
        "freedom": short(freedom[:fixed] - freed @ mean[list(FREEDOM_OF)]),
        "freedom_of": FREEDOM_OF,
        "freedom_weights": short(freed),
        "reversion": REVERSION,
        "reversion_of": REVERSION_OF,
    }


def short(values: object) -> list[float]:
    """Return numbers with six digits."""
    return [float(f"{value:.6g}") for value in values]


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the minute files")
    parser.add_argument("--symbol", default="btc")
    parser.add_argument("--first", default="2022-01-01", help="first day, UTC")
    parser.add_argument("--last", default="2023-12-31", help="last day, UTC")
    parser.add_argument("--source", default="Binance spot BTCUSDT, one-minute bars")
    parser.add_argument("--out", type=Path, required=True, help="the artefact to write")
    wanted = parser.parse_args()
    bars, start, digest, missing = load(wanted.data, wanted.symbol, wanted.first, wanted.last)
    print(f"{len(bars)} minutes, {missing} missing", file=sys.stderr)
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    revision = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    first = datetime.fromtimestamp(start, UTC)
    last = first + timedelta(minutes=len(bars) - 1)
    fitted = {
        "on": datetime.now(UTC).date().isoformat(),  # noqa: TID251  (a tool)
        "first": f"{first:%Y-%m-%dT%H:%MZ}",
        "last": f"{last:%Y-%m-%dT%H:%MZ}",
        "minutes": len(bars) - missing,
        "sha256": digest,
        "source": wanted.source,
        "revision": revision,
    }
    name = f"volatility-{wanted.symbol}-{wanted.last[:7]}"
    head = {"format": 1, "name": name, "symbol": wanted.symbol.upper(), "fitted": fitted}
    wanted.out.write_text(json.dumps(head | fit(bars, start), separators=(",", ":")) + "\n")
    print(f"wrote {wanted.out}: {wanted.out.stat().st_size} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
