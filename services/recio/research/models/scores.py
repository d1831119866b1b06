"""Judges stated probabilities by what happened, with bounds that know which cases belong together.

Losses are mean log losses of probabilities clipped to 0.001 … 0.999, and Brier scores with Murphy's
decomposition over fixed bins:

    Brier = reliability - resolution + uncertainty + what varies inside the bins

Strikes and moments of one event share its price path, so every bound resamples whole events (a Poisson bootstrap).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from recio.research.drawing import Bin
from recio.research.models.minutes import Flags, Floats, Integers

CLIP: Final = 0.001
EDGES: Final = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98, 0.995, 1.0)
"""Of the bins: narrow at the ends, where most strikes of a ladder lie."""
RESAMPLES: Final = 1_000
SEED: Final = 1


class Cases(NamedTuple):
    """Statements in columns: one row is one strike of one event at one moment.

    ``distance``: |log(strike / price)| in deviations of a constant volatility over the time left.
    ``stated``: P(YES) by model; NaN where a model knows nothing.
    """

    event: Integers
    ahead: Floats
    distance: Floats
    is_yes: Flags
    stated: Mapping[str, Floats]

    def where(self, wanted: Flags) -> Cases:
        """Return the rows that are wanted."""
        kept = {name: p[wanted] for name, p in self.stated.items()}
        return Cases(
            self.event[wanted], self.ahead[wanted], self.distance[wanted], self.is_yes[wanted], kept
        )

    def known_to(self, names: Iterable[str]) -> Cases:
        """Return the rows that all these models know, so that they are judged on the same."""
        known = np.ones(len(self.event), dtype=np.bool_)
        for name in names:
            known &= ~np.isnan(self.stated[name])
        return self.where(known)


class Murphy(NamedTuple):
    """A Brier score and its parts; ``rest`` is what varies inside the bins."""

    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    rest: float


class Bounds(NamedTuple):
    """A mean and the 90 % interval of its bootstrap; ``high`` alone is a one-sided 95 % bound."""

    mean: float
    low: float
    high: float
    upper_90: float
    """The one-sided bound: one resample in ten lies above."""


def log_losses(p: Floats, is_yes: Flags) -> Floats:
    """Return the loss of each statement."""
    clipped = np.clip(p, CLIP, 1 - CLIP)
    return np.asarray(-np.log(np.where(is_yes, clipped, 1 - clipped)))


def murphy(p: Floats, is_yes: Flags) -> Murphy:
    """Decompose the Brier score of some statements."""
    if not len(p):
        nothing = float("nan")
        return Murphy(nothing, nothing, nothing, nothing, nothing)
    place = _bin_of(p)
    count = np.bincount(place, minlength=len(EDGES) - 1)
    some = count > 0
    mean_p = np.bincount(place, p, len(EDGES) - 1)[some] / count[some]
    share = np.bincount(place, is_yes, len(EDGES) - 1)[some] / count[some]
    weight, base = count[some] / len(p), float(is_yes.mean())
    brier = float(((p - is_yes) ** 2).mean())
    reliability = float((weight * (mean_p - share) ** 2).sum())
    resolution = float((weight * (share - base) ** 2).sum())
    uncertainty = base * (1 - base)
    rest = brier - reliability + resolution - uncertainty
    return Murphy(brier, reliability, resolution, uncertainty, rest)


def bounds(values: Floats, event: Integers) -> Bounds:
    """Return the mean of some values and where it lies if other such events had been seen."""
    if not len(values):
        nothing = float("nan")
        return Bounds(nothing, nothing, nothing, nothing)
    sums, counts = _by_event(event, [values, np.ones(len(values))])
    times = _draws(_room(len(sums)))[:, : len(sums)]
    total = times @ counts
    drawn = (times @ sums)[total > 0] / total[total > 0]
    low, high, upper = np.quantile(drawn, (0.05, 0.95, 0.9))
    return Bounds(float(values.mean()), float(low), float(high), float(upper))


def bins(p: Floats, is_yes: Flags, event: Integers) -> list[Bin]:
    """Return what came true in each bin, with a 90 % band."""
    place, found = _bin_of(p), []
    for at in range(len(EDGES) - 1):
        here = place == at
        if here.any():
            share = bounds(is_yes[here].astype(np.float64), event[here])
            mean = float(p[here].mean())
            found.append(
                Bin(
                    mean_p=mean,
                    share_yes=share.mean,
                    low=share.low,
                    high=share.high,
                    count=int(here.sum()),
                )
            )
    return found


def _bin_of(p: Floats) -> Integers:
    return np.clip(np.searchsorted(EDGES, p, side="right") - 1, 0, len(EDGES) - 2)


def _by_event(
    event: Integers, columns: list[Floats]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    _, place = np.unique(event, return_inverse=True)
    first, second = (np.bincount(place, column).astype(np.float32) for column in columns)
    return first, second


def _room(events: int) -> int:
    """Return the next power of two, so that few tables of draws are made."""
    return max(1 << (events - 1).bit_length(), 64)


@lru_cache(maxsize=4)
def _draws(events: int) -> npt.NDArray[np.float32]:
    """Return how often each event is drawn in each resample.

    Independent Poisson counts with mean one, so that the first columns serve fewer events, too.
    """
    chance = np.random.default_rng(SEED)
    return chance.poisson(1.0, (RESAMPLES, events)).astype(np.float32)
