"""Whether the formula is right and quick: `python -m benchmarks.model_accuracy`.

For Gaussian increments of a known volatility (50 % a year) the stated P(settlement > strike) is compared
with 200,000 simulated paths of the averaged settlement, half a deviation from the price, at 3600, 600,
180, 60, 30 and 5 seconds to the close; wanted is a difference of at most 0.005. Beside it stands the
naive model, which takes the last price for the settlement. Then: how long the probabilities of 21
strikes take by each model, and the whole table with prices, fees and edges. Best of repeated runs, since
other work shares the machine. What a model is worth is told by `recio model report`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from math import exp, inf, sqrt

import numpy as np

from recio import data
from recio.domain.account_config import Model
from recio.domain.fingerprints import Fingerprints
from recio.domain.messages import MarketInfo, MarketQuote
from recio.domain.probability import Odds, odds
from recio.domain.settlement import NO_MEAN, Outlook, RunningMean, outlook
from recio.domain.strike_table import Ladder
from recio.domain.units import SECOND_US
from recio.domain.volatility_model import Spread

LEFT_S = (3600, 600, 180, 60, 30, 5)
PATHS = 200_000
WANTED = 0.005
DEVIATION = 0.5 / sqrt(365.25 * 86_400)
PRICE = 80_000_000_000
REPEATS, ROUNDS = 40, 100


def simulated(left_s: int, ratio: float) -> float:
    """Return the share of paths whose settlement is above ``ratio`` times the expected one."""
    chance, ahead = np.random.default_rng(left_s), min(left_s, 60)
    level = chance.normal(0, DEVIATION * sqrt(left_s - ahead + 1), PATHS)
    total = np.exp(level)
    for _ in range(ahead - 1):
        level += chance.normal(0, DEVIATION, PATHS)
        total += np.exp(level)
    return float(((total + 60 - ahead) / 60 > ratio).mean())


def accuracy() -> Iterator[tuple[int, float, float, float]]:
    """Yield (seconds to the close, simulated, stated, naive)."""
    close_us = 3600 * SECOND_US
    for left_s in LEFT_S:
        known = max(60 - left_s, 0)
        mean = RunningMean(PRICE, known, close_us) if known else NO_MEAN
        view = outlook(PRICE, close_us - left_s * SECOND_US, close_us, mean)
        spread = Spread(DEVIATION * sqrt(view.seconds), inf)
        ratio = exp(0.5 * spread.scale)
        naive = Spread(DEVIATION * sqrt(left_s), inf).above(1 / ratio)
        yield left_s, simulated(left_s, ratio), spread.above(1 / ratio), naive


def best_us(work: Callable[[], object]) -> float:
    """Return the least CPU time of one call."""
    found = inf
    for _ in range(REPEATS):
        begin = time.process_time_ns()
        for _ in range(ROUNDS):
            work()
        found = min(found, (time.process_time_ns() - begin) / ROUNDS / 1000)
    return found


def timings() -> Iterator[tuple[str, float]]:
    """Yield what was timed, and microseconds."""
    markets = tuple(
        MarketInfo(ticker=f"M{k:+d}", strike_usd_e6=PRICE + k * 250_000_000 - 10_000,
                   strike_type="greater", status="active", price_ranges=())
        for k in range(-40, 41)
    )  # fmt: skip
    quotes = {
        each.ticker: MarketQuote(each.ticker, 4_000, 1_000, 4_200, 2_000, 3, 1, 7, is_valid=True)
        for each in markets
    }
    prints, ladder = Fingerprints(data.fingerprints_bytes("btc_2025-08-11")), Ladder(markets)
    seen, spread = Outlook(PRICE, 600.0), Spread(9e-5 * sqrt(600), 4.0, 0.0, 0.5)
    near = [each.strike_usd_e6 for each in markets[30:51] if each.strike_usd_e6]

    def here() -> Odds:
        return odds(seen, fingerprints=prints, bucket=3, spread=spread)

    yield "21 strikes, volatility model", best_us(lambda: [*map(here().volatility_e6, near)])
    yield "21 strikes, fingerprints", best_us(lambda: [*map(here().fingerprints_e6, near)])

    def blended() -> list[int | None]:
        view = here()
        return [view.blend_e6(view.volatility_e6(strike), 4_000, 4_200) for strike in near]

    yield "21 strikes, blend", best_us(blended)
    yield (
        "the whole table: all three models, prices, fees, edges",
        best_us(lambda: ladder.rows(here(), quotes, price_usd_e6=PRICE, model=Model.VOLATILITY,
                                    known_at_us={}, all_known_at_us=1)),
    )  # fmt: skip


def main() -> None:
    """Measure and print."""
    print("seconds to close   simulated    stated   difference    naive")
    worst = 0.0
    for left_s, share, stated, naive in accuracy():
        worst = max(worst, abs(stated - share))
        print(f"{left_s:16}{share:12.4f}{stated:10.4f}{stated - share:+13.4f}{naive:9.4f}")
    print(f"largest difference {worst:.4f}; wanted: at most {WANTED}\n")
    for name, microseconds in timings():
        print(f"{name:56}{microseconds:8.1f} us")
    sys.exit(worst > WANTED)


if __name__ == "__main__":
    main()
