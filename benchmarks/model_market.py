"""The model against the market's own price: `python -m benchmarks.model_market --data DIR`.

Reads the recorded trades of consecutive 15-minute markets (`kalshi/kxbtc15m_trades_*.csv.gz`, columns
ticker,ts_ms,yes_price,count,taker) and the minutes of those days (`btc_1m_*.csv.gz`). At 12, 10, 7,
5, 3, 2 and 1 minutes before each close it takes three probabilities of YES:

* the market's: the last trade's price up to then;
* the model's: from minutes that ended by then; the strike is the mean of the minute before the
  window opens, at the same venue, because the recording does not name the strike;
* a blend: the market's log odds moved towards the model's by a weight that was fitted on the markets
  that closed before this one's window opened (0 until there are ten), with a ridge towards 0.

The result is what the last trades paid: over 0.5 is YES. Printed are mean log losses, the paired
difference of the blend to the market with the upper bound of 90 % of a bootstrap over markets, and
the weight. A market whose result or price is not known is left out and counted.

What this cannot tell: 66 markets are sixteen hours of one night and morning. The bound is about as
wide as the loss itself; a weight of 0 and one of 0.5 are not told apart. The model sees another
venue's minutes, up to a minute old at no moment but without the seconds inside; the exchange's index
differs from that venue by some basis points, which near the strike decides the last minutes.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random  # noqa: TID251  # seeded: the same resamples each time
from bisect import bisect_right
from collections import defaultdict
from datetime import UTC, datetime
from math import exp, log
from pathlib import Path
from typing import NamedTuple

from benchmarks.model_report import Bars, foretold, load
from recio import data
from recio.domain.tickers import parse_market
from recio.domain.units import MINUTE_US
from recio.domain.volatility import Volatility
from recio.domain.volatility_model import VolatilityModel

AHEAD = (12, 10, 7, 5, 3, 2, 1)
WINDOW = 15
LEAST_MARKETS = 10
RIDGE = 2.0
RESAMPLES = 5_000
DECIDED = 0.5
WEIGHTS = tuple(place / 20 for place in range(21))


class Case(NamedTuple):
    """One market at one moment."""

    close: int
    ahead: int
    market: float
    model: float
    is_yes: bool


def loss(p: float, *, is_yes: bool) -> float:
    """Return the log loss of a clipped probability."""
    p = min(max(p, 0.001), 0.999)
    return -log(p if is_yes else 1 - p)


def blend(case: Case, weight: float) -> float:
    """Return the market's log odds moved towards the model's."""
    odds = [log(p / (1 - p)) for p in (min(max(q, 0.001), 0.999) for q in case[2:4])]
    return 1 / (1 + exp(-(odds[0] + weight * (odds[1] - odds[0]))))


def trades(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return (time in ms, price) of all trades by ticker."""
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for path in sorted((folder / "kalshi").glob("kxbtc15m_trades_*.csv.gz")):
        with gzip.open(path, "rt") as lines:
            for row in csv.DictReader(lines):
                found[row["ticker"]].append((int(row["ts_ms"]), float(row["yes_price"])))
    return {ticker: sorted(rows) for ticker, rows in found.items()}


def spreads(bars: Bars, model: VolatilityModel, wanted: set[int]) -> dict[tuple[int, int], float]:
    """Return P(settlement > strike) by close (minute) and minutes ahead."""
    ours, found = Volatility(model), {}
    for minute, (_, _, _, close) in bars.items():
        end = minute + 1
        ours.add(end * MINUTE_US, round(close * 1e6))
        for ahead in AHEAD:
            strike = bars.get(end + ahead - WINDOW - 1)
            if end + ahead in wanted and strike is not None:
                spread = foretold(ours, end * MINUTE_US, ahead)
                if spread is not None:
                    found[end + ahead, ahead] = spread.above(close / (sum(strike) / 4))
    return found


def cases(folder: Path, bars: Bars, model: VolatilityModel) -> tuple[list[Case], int]:
    """Return all cases in order of close, and how many were left out."""
    rows = trades(folder)
    closes = {ticker: parse_market(ticker).close_us // MINUTE_US for ticker in rows}
    stated = spreads(bars, model, set(closes.values()))
    found, left_out = [], 0
    for ticker, close in sorted(closes.items(), key=lambda each: each[1]):
        times = [at for at, _ in rows[ticker]]
        result = rows[ticker][-1][1]
        for ahead in AHEAD:
            place = bisect_right(times, (close - ahead) * 60_000) - 1
            p = stated.get((close, ahead))
            if place < 0 or p is None or 0.1 < result < 0.9:
                left_out += 1
                continue
            market = rows[ticker][place][1]
            found.append(Case(close, ahead, market, p, result > DECIDED))
    return found, left_out


def fitted(known: list[Case]) -> float:
    """Return the weight with the least loss over these cases and a ridge."""
    if len({case.close for case in known}) < LEAST_MARKETS:
        return 0.0

    def total(weight: float) -> float:
        losses = (loss(blend(case, weight), is_yes=case.is_yes) for case in known)
        return sum(losses) + RIDGE * weight * weight

    return min(WEIGHTS, key=total)


def bound(differences: list[float]) -> float:
    """Return the 90 % quantile of the mean over resampled markets."""
    chance, count = random.Random(1), len(differences)
    means = sorted(sum(chance.choices(differences, k=count)) / count for _ in range(RESAMPLES))
    return means[int(0.9 * RESAMPLES)]


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the recordings")
    parser.add_argument("--first", default="2026-04-24", help="first day of the minutes, UTC")
    parser.add_argument("--last", default="2026-04-28", help="last day, UTC")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    wanted = parser.parse_args()
    days = [datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (wanted.first, wanted.last)]
    bars = load(wanted.data, "btc", *days)
    model = VolatilityModel(data.volatility_bytes("btc"))
    found, left_out = cases(wanted.data, bars, model)
    weights = {
        close: fitted([case for case in found if case.close <= close - WINDOW])
        for close in sorted({case.close for case in found})
    }
    print(f"{len(weights)} markets, {len(found)} cases, {left_out} left out; {model.name}")
    print("minutes   market    model    blend   blend - market   upper 90 %")
    rows = []
    for ahead in AHEAD:
        here = [case for case in found if case.ahead == ahead]
        losses = [
            (loss(case.market, is_yes=case.is_yes), loss(case.model, is_yes=case.is_yes),
             loss(blend(case, weights[case.close]), is_yes=case.is_yes))
            for case in here
        ]  # fmt: skip
        means = [sum(column) / len(here) for column in zip(*losses, strict=True)]
        upper = bound([each[2] - each[0] for each in losses])
        rows.append([ahead, *(round(value, 4) for value in (*means, means[2] - means[0], upper))])
        print(f"{ahead:7}{means[0]:9.4f}{means[1]:9.4f}{means[2]:9.4f}"
              f"{means[2] - means[0]:17.4f}{upper:13.4f}")  # fmt: skip
    last = fitted(found)
    print(f"weight of the model: {min(weights.values())} to {max(weights.values())} on the way, "
          f"{last} over all")  # fmt: skip
    if wanted.out:
        document = {
            "command": "python -m benchmarks.model_market", "model": model.name,
            "markets": len(weights), "left_out": left_out, "weight_over_all": last,
            "columns": ["minutes", "market", "model", "blend", "difference", "upper_90"],
            "rows": rows,
        }  # fmt: skip
        wanted.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
