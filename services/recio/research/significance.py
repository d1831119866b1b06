"""What a result proves: intervals and tests that fit bets with small wins and large losses.

Everything is drawn from ``random.Random(seed)``: the same input gives the same figures. Strikes of
one event are one bet, so events are drawn, never trades.

Sources: the expected largest Sharpe ratio of many trials and the deflated Sharpe ratio are from
D. Bailey and M. Lopez de Prado, "The Deflated Sharpe Ratio", Journal of Portfolio Management 40(5),
2014; the bootstrap for the best of many is H. White, "A Reality Check for Data Snooping",
Econometrica 68(5), 2000.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from random import Random  # noqa: TID251 (seeded by the caller)
from statistics import NormalDist
from typing import Final, Protocol

import msgspec

from recio.domain.errors import InvalidValue

DRAWS: Final = 2000
FEWEST_DRAWS: Final = 400
MOST_WORK: Final = 2_000_000
"""Draws times events: about a second."""
_EULER_GAMMA: Final = 0.5772156649015329
_NORMAL: Final = NormalDist()
_LEVEL: Final = 0.95
_FEWEST: Final = 2
"""Fewer events, returns or settings than this say nothing of a spread."""


class Interval(msgspec.Struct, frozen=True):
    """A figure and the bounds that a bootstrap gives it."""

    value: float
    low: float
    high: float


class Bet(msgspec.Struct, frozen=True):
    """One contract count at a price: what is lost with it, what is won, and the fair chance of it."""

    event: str
    loss: float
    win: float

    @property
    def fair(self) -> float:
        """The chance of winning at which it earns nothing."""
        return self.loss / (self.loss + self.win)


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """What a Sharpe ratio's error depends on: not annualised; kurtosis of a normal is 3."""

    sharpe: float
    skewness: float
    kurtosis: float
    count: int


def ratio_interval(
    top: Sequence[float], bottom: Sequence[float], *, seed: int = 1, draws: int | None = None
) -> Interval | None:
    """Return the sum of ``top`` over the sum of ``bottom``, one entry each for an event.

    None: fewer than two events, or nothing to divide by.
    """
    if len(top) != len(bottom):
        raise InvalidValue(f"expected as many of both, received {len(top)} and {len(bottom)}")
    if len(top) < _FEWEST or not sum(bottom):
        return None
    made = []
    for chosen in _drawn(len(top), seed, draws or draws_for(len(top))):
        below = sum(map(bottom.__getitem__, chosen))
        if below:
            made.append(sum(map(top.__getitem__, chosen)) / below)
    made.sort()
    low, high = _quantile(made, (1 - _LEVEL) / 2), _quantile(made, (1 + _LEVEL) / 2)
    return Interval(sum(top) / sum(bottom), low, high)


def _chance(seed: int) -> Random:
    return Random(seed)  # noqa: S311 (a simulation, no secret)


def draws_for(events: int) -> int:
    """Return how often so many events are drawn.

    >>> draws_for(100), draws_for(8000), draws_for(10**6)
    (2000, 400, 400)
    """
    return max(FEWEST_DRAWS, min(DRAWS, MOST_WORK // max(events, 1)))


def _drawn(count: int, seed: int, draws: int) -> Iterator[list[int]]:
    chance, numbers = _chance(seed), range(count)
    for _ in range(draws):
        yield chance.choices(numbers, k=count)


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which a share lies, between two neighbours in proportion.

    >>> _quantile([1.0, 2.0, 3.0], 0.25)
    1.5
    """
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def fair_price_p(bets: Sequence[Bet], earned: float, *, seed: int = 1) -> float | None:
    """Return how often bets at a fair price earn at least as much by luck alone.

    A bootstrap knows only losses that happened; fifty small wins without the one large loss look
    certain to it. Here each bet wins with the chance at which it earns nothing after its fee, the
    bets of one event together (the same draw decides all of them, which is the widest spread). A
    trade that was stopped counts as if held: its own spread would be smaller, so the answer errs
    towards luck. None: no bets.
    """
    if not bets:
        return None
    by_event: dict[str, list[Bet]] = {}
    for bet in bets:
        by_event.setdefault(bet.event, []).append(bet)
    groups = [[(bet.fair, bet.win, bet.loss) for bet in group] for group in by_event.values()]
    chance = _chance(seed)
    draws = draws_for(len(bets))
    lucky = sum(_fair_total(groups, chance) >= earned - 1e-9 for _ in range(draws))
    return (1 + lucky) / (1 + draws)


def _fair_total(groups: list[list[tuple[float, float, float]]], chance: Random) -> float:
    total = 0.0
    for group in groups:
        drawn = chance.random()
        for fair, win, loss in group:
            total += win if drawn < fair else -loss
    return total


def moments(returns: Sequence[float]) -> Moments | None:
    """Return the Sharpe ratio of returns and their shape; None if they do not vary."""
    count = len(returns)
    if count < _FEWEST:
        return None
    mean = math.fsum(returns) / count
    off = [one - mean for one in returns]
    variance = math.fsum(one * one for one in off) / count
    if variance <= 0:
        return None
    skewness = math.fsum(one**3 for one in off) / count / variance**1.5
    kurtosis = math.fsum(one**4 for one in off) / count / variance**2
    sharpe = mean / math.sqrt(variance * count / (count - 1))
    return Moments(sharpe=sharpe, skewness=skewness, kurtosis=kurtosis, count=count)


def largest_by_luck(variance: float, trials: int) -> float:
    """Return the Sharpe ratio to expect of the best of ``trials`` settings without any skill.

    ``variance`` is that of the settings' Sharpe ratios.

    >>> round(largest_by_luck(0.5 / 250, 100), 4)
    0.1132
    """
    if trials < _FEWEST:
        return 0.0
    first = _NORMAL.inv_cdf(1 - 1 / trials)
    second = _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * ((1 - _EULER_GAMMA) * first + _EULER_GAMMA * second)


def sharpe_is_above(chosen: Moments, threshold: float) -> float | None:
    """Return the probability that the true Sharpe ratio is above a threshold.

    None: the formula has no value (very skewed returns with a large ratio).
    """
    ratio = chosen.sharpe
    spread = 1 - chosen.skewness * ratio + (chosen.kurtosis - 1) / 4 * ratio * ratio
    if spread <= 0:
        return None
    return _NORMAL.cdf((ratio - threshold) * math.sqrt(chosen.count - 1) / math.sqrt(spread))


def deflated_sharpe(chosen: Moments, sharpes: Sequence[float]) -> float | None:
    """Return the probability that the chosen of these trials has a true Sharpe ratio above zero.

    It assumes that the trials were independent; settings that trade alike were fewer than they
    seem, so it errs towards luck.
    """
    if len(sharpes) < _FEWEST:
        return sharpe_is_above(chosen, 0.0)
    mean = math.fsum(sharpes) / len(sharpes)
    variance = math.fsum((one - mean) ** 2 for one in sharpes) / (len(sharpes) - 1)
    return sharpe_is_above(chosen, largest_by_luck(variance, len(sharpes)))


Rows = Sequence[Sequence[float]]
"""One row for each setting, one column for each event."""


def reality_check_p(rows: Rows, *, seed: int = 1, draws: int | None = None) -> float | None:
    """Return how often luck gives the best of these settings a mean at least as good as it has.

    Each setting's results are moved to a mean of zero; events are drawn for all of them together,
    so that settings which trade alike stay alike. None: nothing to judge.
    """
    count = _columns(rows)
    if count < _FEWEST:
        return None
    held = _table(rows)
    number = draws or draws_for(len(rows) * count)
    return _share_as_good(
        max(map(math.fsum, rows)) / count,
        (held.best_of_drawn(chosen) for chosen in _drawn(count, seed, number)),
    )


def permutation_p(rows: Rows, *, seed: int = 1) -> float | None:
    """Return how often the best setting leads by as much when the settings' names mean nothing.

    Within each event the settings' results move on by a number of places drawn for that event (these
    turns are a group of permutations, which is all that the test needs); that keeps what the event
    did and removes what distinguishes the settings. It tells whether the best differs from the
    others, not whether it earns anything. None: fewer than two settings or events.
    """
    count = _columns(rows)
    if count < _FEWEST or len(rows) < _FEWEST:
        return None
    held, chance, places = _table(rows), _chance(seed), range(len(rows))
    return _share_as_good(
        max(map(math.fsum, rows)),
        (
            held.best_of_turned(chance.choices(places, k=count))
            for _ in range(draws_for(len(rows) * count))
        ),
    )


class _Table(Protocol):
    """The results of settings by event, asked for the best setting of a draw."""

    def best_of_drawn(self, chosen: Sequence[int]) -> float:
        """Return the largest mean over drawn events, each setting's own mean taken off."""
        ...

    def best_of_turned(self, turns: Sequence[int]) -> float:
        """Return the largest sum after each event's results moved on by its number of places."""
        ...


def _table(rows: Rows) -> _Table:
    """Return the table; numpy only makes it quicker, the draws are the same."""
    try:
        return _Fast(rows)
    except ImportError:
        return _Plain(rows)


class _Plain:
    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._means = [math.fsum(row) / len(row) for row in rows]
        self._columns = [list(column) for column in zip(*rows, strict=True)]

    def best_of_drawn(self, chosen: Sequence[int]) -> float:
        return max(
            math.fsum(map(row.__getitem__, chosen)) / len(chosen) - mean
            for row, mean in zip(self._rows, self._means, strict=True)
        )

    def best_of_turned(self, turns: Sequence[int]) -> float:
        turned = [
            column[turn:] + column[:turn] for column, turn in zip(self._columns, turns, strict=True)
        ]
        return max(map(math.fsum, zip(*turned, strict=True)))


class _Fast:
    def __init__(self, rows: Rows) -> None:
        import numpy as np  # noqa: PLC0415 (services do not have it)

        self._np = np
        self._rows = np.array(rows, dtype=float)
        self._centred = self._rows - self._rows.mean(axis=1, keepdims=True)
        self._places = np.arange(len(rows))[:, None]
        self._events = np.arange(self._rows.shape[1])

    def best_of_drawn(self, chosen: Sequence[int]) -> float:
        times = self._np.bincount(chosen, minlength=len(self._events))
        return float((self._centred @ times).max()) / len(chosen)

    def best_of_turned(self, turns: Sequence[int]) -> float:
        places = (self._places + self._np.array(turns)) % len(self._rows)
        return float(self._rows[places, self._events].sum(axis=1).max())


def _columns(rows: Rows) -> int:
    sizes = {len(row) for row in rows}
    if len(sizes) > 1:
        raise InvalidValue(f"expected as many events for each setting, received {sorted(sizes)}")
    return sizes.pop() if sizes else 0


def _share_as_good(seen: float, by_luck: Iterator[float]) -> float:
    made = [one >= seen - 1e-9 for one in by_luck]
    return (1 + sum(made)) / (1 + len(made))
