"""The yardstick of the volatility model: `python -m benchmarks.model_report --data DIR`.

At T = 60, 30, 15, 10, 5, 3 and 2 minutes before every full hour of a range each model states
P(settlement > strike) for the nine $250 steps nearest to the price, from minutes that ended by then;
the settlement is the mean of open, high, low and close of the hour's last minute. Printed is the
mean log loss, probabilities clipped to 0.001 … 0.999. The model is the packaged artefact in the
product's own evaluator, fed minute by minute; it must have been fitted on earlier minutes only, and
the report says whether it was. Beside it stand two baselines that need no data of the future:

* constant volatility: 0.075 % a minute (2022 and 2023 together had 0.076 %), normal, no averaging;
* twenty lines: normal, variance of half-lives 30, 240 and 1440 minutes at .5, .3 and .2, averaging.

`--history N` also tells what the model is worth when it knows only the last N minutes, on every
twentieth hour; `--monte-carlo` compares the formula for a known volatility with 200,000 simulated paths.
`--out FILE` writes the figures as JSON.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random  # noqa: TID251  # seeded: the same paths each time
import sys
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import exp, inf, log, sqrt
from pathlib import Path
from statistics import NormalDist

from recio import data
from recio.domain.settlement import NO_MEAN, RunningMean, effective_seconds, outlook
from recio.domain.units import MINUTE_US, SECOND_US
from recio.domain.volatility import Volatility
from recio.domain.volatility_model import Spread, VolatilityModel

AHEAD = (60, 30, 15, 10, 5, 3, 2)
AT_MOST = (0.2480, 0.1805, 0.1234, 0.0983, 0.0628, 0.0448, 0.0328)
AIM = (0.2450, 0.1790, 0.1222, 0.0972, 0.0620, 0.0442, 0.0323)
STEP, SIDE = 250.0, 4
CONSTANT = 7.5e-4
HALVES = ((30, 0.5), (240, 0.3), (1440, 0.2))
WARM_DAYS = 40
EVERY = 20
_SAME = f"the model, every {EVERY}th hour"
PATHS = 200_000
YEAR_S = 365.25 * 86_400
_NORMAL = NormalDist()

Bars = dict[int, tuple[float, float, float, float]]


def load(folder: Path, symbol: str, first: datetime, last: datetime) -> Bars:
    """Return (open, high, low, close) by the minute's number since 1970, without the gaps."""
    found: Bars = {}
    begin, end = first.timestamp() // 60, last.timestamp() // 60 + 1440
    for path in sorted(folder.glob(f"{symbol}_1m_*.csv.gz")):
        opened, closed = path.name.removesuffix(".csv.gz").split("_")[2:]
        if closed < f"{first:%Y-%m-%d}" or opened > f"{last:%Y-%m-%d}":
            continue
        print(f"  reading {path.name}", file=sys.stderr)
        with gzip.open(path, "rt") as lines:
            for row in csv.DictReader(lines):
                minute = int(row["ts"]) // 60
                if begin <= minute < end:
                    prices = (float(row[k]) for k in ("open", "high", "low", "close"))
                    found[minute] = tuple(prices)  # type: ignore[assignment]
    return found


class Twenty:
    """The baseline of twenty lines."""

    def __init__(self, first: float) -> None:
        self._means = [first for _ in HALVES]

    def add(self, change: float) -> None:
        """Take a minute's log return in."""
        for place, (half, _) in enumerate(HALVES):
            kept = 0.5 ** (1 / half)
            self._means[place] = kept * self._means[place] + (1 - kept) * change * change

    def variance(self) -> float:
        """Return that of a minute."""
        return sum(mean * share for mean, (_, share) in zip(self._means, HALVES, strict=True))


class Losses:
    """Sums of log losses by model and T."""

    def __init__(self) -> None:
        self.sums: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        self.counts: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))

    def add(self, model: str, ahead: int, p: float, *, is_above: bool) -> None:
        """Take a statement in."""
        p = min(max(p, 0.001), 0.999)
        self.sums[model][ahead] -= log(p if is_above else 1 - p)
        self.counts[model][ahead] += 1

    def row(self, model: str) -> list[float]:
        """Return mean losses."""
        return [self.sums[model][t] / max(self.counts[model][t], 1) for t in AHEAD]


def strikes(price: float) -> list[float]:
    """Return the nine nearest steps."""
    middle = round(price / STEP)
    return [STEP * (middle + k) for k in range(-SIDE, SIDE + 1)]


def score(bars: Bars, model: VolatilityModel, begin: int) -> Losses:
    """Walk through all minutes; decide from minute ``begin`` on."""
    losses, ours, twenty, before = Losses(), Volatility(model), Twenty(CONSTANT**2), 0.0
    for place, (minute, (_, _, _, close)) in enumerate(bars.items()):
        if place % 100_000 == 0:
            print(f"  {place} of {len(bars)} minutes", file=sys.stderr)
        at_us = (minute + 1) * MINUTE_US
        ours.add(at_us, round(close * 1e6))
        if before:
            twenty.add(log(close / before))
        before = close
        ahead = 60 - (minute + 1) % 60
        end = bars.get(minute + ahead)
        if ahead not in AHEAD or minute + ahead < begin or end is None:
            continue
        spread = foretold(ours, at_us, ahead)
        rough = Spread(CONSTANT * sqrt(ahead))
        lines = Spread(sqrt(twenty.variance() * effective_seconds(60, ahead * MINUTE_US) / 60))
        for strike in strikes(close):
            is_above = sum(end) / 4 > strike
            losses.add("constant volatility", ahead, rough.above(close / strike), is_above=is_above)
            losses.add("twenty lines", ahead, lines.above(close / strike), is_above=is_above)
            if spread is not None:
                stated = spread.above(close / strike)
                losses.add("the model", ahead, stated, is_above=is_above)
                if (minute + 1 + ahead) // 60 % EVERY == 0:
                    losses.add(_SAME, ahead, stated, is_above=is_above)
    return losses


def foretold(ours: Volatility, at_us: int, ahead: int) -> Spread | None:
    """Return the spread of the close so many minutes later."""
    left_us = ahead * MINUTE_US
    return ours.spread(at_us, at_us + left_us, effective_seconds(60, left_us))


def score_short(bars: Bars, model: VolatilityModel, begin: int, history: int) -> Losses:
    """Score some hours with states that begin ``history`` minutes before the first decision."""
    losses, minutes = Losses(), list(bars)
    for hour in range((begin + 59) // 60 + 1, (minutes[-1] + 1) // 60 + 1):
        end = bars.get(hour * 60 - 1)
        if hour % EVERY or end is None:
            continue
        start, ours = hour * 60 - max(AHEAD) - history, Volatility(model)
        for minute in minutes[bisect_left(minutes, start) : bisect_left(minutes, hour * 60 - 1)]:
            close, ahead = bars[minute][3], hour * 60 - minute - 1
            ours.add((minute + 1) * MINUTE_US, round(close * 1e6))
            spread = foretold(ours, (minute + 1) * MINUTE_US, ahead) if ahead in AHEAD else None
            if spread is not None:
                for strike in strikes(close):
                    above = sum(end) / 4 > strike
                    losses.add(known(history), ahead, spread.above(close / strike), is_above=above)
    return losses


def known(history: int) -> str:
    """Return the name of the model with a short past."""
    return f"same hours, last {history} min"


def simulated(left_s: int, deviation: float, ratio: float, chance: random.Random) -> float:
    """Return the share of paths that settle above ``ratio`` times the expected settlement."""
    ahead = min(left_s, 60)
    first = deviation * sqrt(left_s - ahead + 1)
    above = 0
    for _ in range(PATHS):
        level = chance.gauss(0, first)
        total = exp(level)
        for _ in range(ahead - 1):
            level += chance.gauss(0, deviation)
            total += exp(level)
        above += (total + 60 - ahead) / 60 > ratio
    return above / PATHS


def monte_carlo() -> Iterator[tuple[int, float, float]]:
    """Yield (seconds to the close, simulated, stated) at 50 % a year, half a deviation away."""
    chance, deviation, close_us = random.Random(1), 0.5 / sqrt(YEAR_S), 3600 * SECOND_US
    for left_s in (3600, 600, 180, 60, 30, 5):
        known = max(60 - left_s, 0)
        mean = RunningMean(80_000_000_000, known, close_us) if known else NO_MEAN
        view = outlook(80_000_000_000, close_us - left_s * SECOND_US, close_us, mean)
        spread = Spread(deviation * sqrt(view.seconds), inf)
        ratio = exp(0.5 * spread.scale)
        yield left_s, simulated(left_s, deviation, ratio, chance), spread.above(1 / ratio)


def told(name: str, row: list[float] | tuple[float, ...]) -> None:
    """Print a row of the table."""
    print(f"{name:28}" + "".join(f"{value:9.4f}" for value in row))


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the minute files")
    parser.add_argument("--symbol", default="btc")
    parser.add_argument("--first", default="2024-01-01", help="first day, UTC")
    parser.add_argument("--last", default="2024-12-31", help="last day, UTC")
    parser.add_argument("--model", type=Path, help="an artefact; the packaged one if left out")
    parser.add_argument("--history", type=int, nargs="*", default=[], metavar="MINUTES")
    parser.add_argument("--monte-carlo", action="store_true")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    wanted = parser.parse_args()
    if wanted.monte_carlo:
        print("seconds to close   simulated    stated   difference")
        for left_s, share, stated in monte_carlo():
            print(f"{left_s:16}{share:12.4f}{stated:10.4f}{stated - share:13.4f}")
        return
    first, last = (datetime.fromisoformat(day).replace(tzinfo=UTC)
                   for day in (wanted.first, wanted.last))  # fmt: skip
    bars = load(wanted.data, wanted.symbol, first - timedelta(days=WARM_DAYS), last)
    if not bars:
        sys.exit(f"no minutes of {wanted.symbol} in {wanted.data}")
    packaged = wanted.model is None
    content = data.volatility_bytes(wanted.symbol) if packaged else wanted.model.read_bytes()
    model, begin = VolatilityModel(content), int(first.timestamp()) // 60
    losses = score(bars, model, begin)
    names = ["constant volatility", "twenty lines", "the model"]
    rows = {name: losses.row(name) for name in names}
    if wanted.history:
        rows[_SAME] = losses.row(_SAME)
    for history in wanted.history:
        rows[known(history)] = score_short(bars, model, begin, history).row(known(history))
    fitted = model.parameters.fitted
    is_ahead = fitted.last < f"{first:%Y-%m-%dT%H:%MZ}"
    print(f"{model.name}, fitted on {fitted.first} to {fitted.last}: "
          f"{'before' if is_ahead else 'NOT before'} the hours that it is judged on")  # fmt: skip
    print(f"{'minutes to the close':28}" + "".join(f"{t:9}" for t in AHEAD))
    for name, row in rows.items():
        told(name, row)
    if (wanted.symbol, wanted.first, wanted.last) == ("btc", "2024-01-01", "2024-12-31"):
        told("wanted: at most", AT_MOST)
        told("wanted: the aim", AIM)
    if wanted.out:
        figures = {name: [round(value, 5) for value in row] for name, row in rows.items()}
        hours = losses.counts["the model"][AHEAD[0]] // (2 * SIDE + 1)
        document = {
            "command": f"python -m benchmarks.model_report --symbol {wanted.symbol} "
                       f"--first {wanted.first} --last {wanted.last}",
            "model": model.name, "fitted": [fitted.first, fitted.last], "hours": hours,
            "minutes_to_close": AHEAD, "log_loss": figures,
        }  # fmt: skip
        wanted.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
