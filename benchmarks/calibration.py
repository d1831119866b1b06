"""How honest the probabilities are: `python benchmarks/calibration.py`.

Replays two recorded quarters of Bitcoin minutes. At 15, 10, 5 and 2 minutes before every hour each
model states P(close above strike) for ten strikes around the price, and is scored by what happened:
Brier score and log loss (lower is better), and a table of stated against realised chance of the
likelier side. Minutes are used as they are, without the averaging of the last minute.
The yardstick of the default model, with the averaging and walk-forward, is `benchmarks.model_report`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from math import log

from recio import data
from recio.data import minutes
from recio.domain import momentum
from recio.domain.fingerprints import Fingerprints
from recio.domain.probability import Odds, odds
from recio.domain.settlement import Outlook
from recio.domain.units import MINUTE_US, SECOND_US
from recio.domain.volatility import Volatility
from recio.domain.volatility_model import VolatilityModel

QUARTERS = ("btc_minutes_2022q4", "btc_minutes_2024q3")
LEVELS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.995)
STEP = 250_000_000
LEAST = 50e-6


class Score:
    """Sums of one model."""

    def __init__(self) -> None:
        self.count = 0
        self.brier = self.loss = 0.0
        self.levels: dict[float, list[float]] = defaultdict(lambda: [0, 0.0, 0])

    def add(self, p: float, *, is_won: bool) -> None:
        """Take one statement and its outcome in."""
        self.count += 1
        self.brier += (p - is_won) ** 2
        self.loss -= log(p if is_won else 1 - p)
        likelier, is_right = (p, is_won) if p >= 0.5 else (1 - p, not is_won)
        level = self.levels[max(each for each in LEVELS if each <= likelier)]
        level[0] += 1
        level[1] += likelier
        level[2] += is_right


def cases(closes: list[int], first_us: int) -> Iterator[tuple[Odds, int, int]]:
    """Yield (odds, price, close) at each moment of decision."""
    prints = Fingerprints(data.fingerprints_bytes("btc_2025-08-11"))
    volatility = Volatility(VolatilityModel(data.volatility_bytes("btc")))
    series = momentum.PriceSeries()
    for place, price in enumerate(closes):
        at_us = first_us + (place + 1) * MINUTE_US
        series.add(at_us, price)
        volatility.add(at_us, price)
        left = 60 - (place + 1) % 60
        if left not in {2, 5, 10, 15} or place < 120 or place + left >= len(closes):
            continue
        seen = momentum.measure(series, at_us, price)
        outlook = Outlook(price, left * 60.0)
        spread = volatility.spread(at_us, at_us + left * MINUTE_US, outlook.seconds)
        if spread is not None:
            here = odds(outlook, fingerprints=prints, bucket=seen.bucket, spread=spread)
            yield here, price, closes[place + left]


def main() -> None:
    """Score and print."""
    for name in QUARTERS:
        recorded = minutes.load(name)
        first_s, count = recorded.pieces[0]
        bars = (recorded.at(first_s + 60 * place) for place in range(count))
        scores = scored([bar[3] * 10_000 for bar in bars if bar is not None], first_s * SECOND_US)
        print(f"\n{name}: {next(iter(scores.values())).count} statements a model")
        print(f"{'':14}{'Brier':>9}{'log loss':>10}   stated / realised chance (statements)")
        for model, score in scores.items():
            levels = "  ".join(
                f"{total / n:.3f}/{right / n:.3f} ({n:.0f})"
                for _, (n, total, right) in sorted(score.levels.items())
            )
            brier, loss = score.brier / score.count, score.loss / score.count
            print(f"{model:14}{brier:9.5f}{loss:10.5f}   {levels}")


def scored(closes: list[int], first_us: int) -> dict[str, Score]:
    """Return the score of each model."""
    scores: dict[str, Score] = defaultdict(Score)
    for here, price, close in cases(closes, first_us):
        for place in range(-4, 6):
            strike = price // STEP * STEP + place * STEP - 10_000
            moves, ours = here.fingerprints_e6(strike), here.volatility_e6(strike)
            assert moves is not None
            assert ours is not None
            stated = {
                "Fingerprints": moves / 1e6,
                "Volatility": ours / 1e6,
                "Blend": (moves + ours) / 2e6,
            }
            for model, chance in stated.items():
                scores[model].add(min(max(chance, LEAST), 1 - LEAST), is_won=close > strike)
    return scores


if __name__ == "__main__":
    main()
