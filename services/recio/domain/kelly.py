"""Joint Kelly stakes: how much of several contracts on one price makes wealth grow fastest.

Contracts on one event are bets on one number, its terminal price. Between two neighbouring strikes
every contract pays the same, so the price's axis falls into one region more than there are strikes,
and the grid of these regions is exact:

    maximise over x:  sum over regions r of  p_r log(base_r + sum over i of x_i (pay_ir - cost_i))
    where             0 <= x_i <= most_i

``base`` is the wealth in each region without the new bets: money, and what held contracts pay there.
The function is concave; a primal-dual interior-point method finds its top in about ten steps. Only
sums, products and quotients of floats are used, in a fixed order, so that equal inputs give equal
bits on every machine.

Sources: J. Kelly, "A New Interpretation of Information Rate", 1956; Boyd and Vandenberghe, "Convex
Optimization", section 11.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from operator import mul
from typing import Final

LEAST_P: Final = 1e-6
"""No region is thought impossible: a wealth of nothing there must never look harmless."""
_STEPS: Final = 40
_ENOUGH: Final = 1e-9
_SHRINK: Final = 0.05
_NEARLY: Final = 0.99
_HALVINGS: Final = 40

Vector = list[float]


def regions(p_above: Sequence[float]) -> Vector:
    """Return the probability of each region from those of ending above each strike, ascending.

    Where they rise with the strike, which cannot be, neighbours are pooled to their mean.
    """
    pooled = _falling(p_above)
    edges = [1.0, *pooled, 0.0]
    raw = [max(low - high, LEAST_P) for low, high in pairwise(edges)]
    total = sum(raw)
    return [part / total for part in raw]


def _falling(values: Sequence[float]) -> Vector:
    """Return the nearest sequence that nowhere rises (pool adjacent violators)."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        total, count = value, 1
        while blocks and total * blocks[-1][1] > blocks[-1][0] * count:
            before, many = blocks.pop()
            total, count = total + before, count + many
        blocks.append((total, count))
    return [total / count for total, count in blocks for _ in range(count)]


def stakes(
    p: Sequence[float], base: Sequence[float], gains: Sequence[Vector], most: Sequence[float]
) -> Vector:
    """Return how much of each bet to take.

    Args:
        p: probability of each region.
        base: wealth in each region without the bets.
        gains: for each bet its gain (pay less cost) of one contract in each region.
        most: the most of each bet.
    """
    taken = [place for place, limit in enumerate(most) if limit > 0]
    if not taken or min(base) <= 0:
        return [0.0] * len(most)
    scaled = [[gain * most[place] for gain in gains[place]] for place in taken]
    found = _Search(p, base, scaled).run()
    made = [0.0] * len(most)
    for place, share in zip(taken, found, strict=True):
        made[place] = share * most[place]
    return made


class _Search:
    """The search for the best shares in 0 … 1 of the bets' limits."""

    def __init__(self, p: Sequence[float], base: Sequence[float], gains: list[Vector]) -> None:
        self.p = p
        self.base = base
        self.gains = gains
        size = len(gains)
        worst = -sum(min(gain) for gain in gains)
        start = min(0.5, 0.5 * min(base) / worst) if worst > 0 else 0.5
        self.share = [start] * size
        self.low = [1.0] * size
        self.high = [1.0] * size

    def run(self) -> Vector:
        """Return the shares."""
        for _ in range(_STEPS):
            gap = self._gap()
            if gap < _ENOUGH:
                break
            self._step(_SHRINK * gap)
        return self.share

    def _gap(self) -> float:
        parts = zip(self.share, self.low, self.high, strict=True)
        return sum(low * at + high * (1 - at) for at, low, high in parts) / (2 * len(self.share))

    def _wealth(self, share: Vector) -> Vector:
        wealth = list(self.base)
        for at, gain in zip(share, self.gains, strict=True):
            wealth = [held + at * each for held, each in zip(wealth, gain, strict=True)]
        return wealth

    def _step(self, target: float) -> None:
        wealth = self._wealth(self.share)
        weight = [p / held for p, held in zip(self.p, wealth, strict=True)]
        curve = [part / held for part, held in zip(weight, wealth, strict=True)]
        slope = [sum(map(mul, weight, gain)) for gain in self.gains]
        parts = list(zip(self.share, self.low, self.high, strict=True))
        push = [
            rise + target / at - target / (1 - at)
            for rise, (at, _, _) in zip(slope, parts, strict=True)
        ]
        matrix = self._curvature(curve)
        for place, (at, low, high) in enumerate(parts):
            matrix[place][place] += low / at + high / (1 - at)
        move = _solved(matrix, push)
        length = self._length(move)
        self.share = [at + length * by for at, by in zip(self.share, move, strict=True)]
        low_move = [
            target / at - low - low / at * by for (at, low, _), by in zip(parts, move, strict=True)
        ]
        high_move = [
            target / (1 - at) - high + high / (1 - at) * by
            for (at, _, high), by in zip(parts, move, strict=True)
        ]
        self.low = _moved(self.low, low_move)
        self.high = _moved(self.high, high_move)

    def _curvature(self, curve: Vector) -> list[Vector]:
        """Return the lower half of the matrix of second derivatives, with its sign turned."""
        made = []
        for place, gain in enumerate(self.gains):
            bent = list(map(mul, curve, gain))
            made.append([sum(map(mul, bent, other)) for other in self.gains[: place + 1]])
        return made

    def _length(self, move: Vector) -> float:
        """Return how far to go: inside the limits, with some wealth left, not past the top."""
        length = 1.0
        for at, by in zip(self.share, move, strict=True):
            if by < 0:
                length = min(length, -_NEARLY * at / by)
            elif by > 0:
                length = min(length, _NEARLY * (1 - at) / by)
        for _ in range(_HALVINGS):
            shares = [at + length * by for at, by in zip(self.share, move, strict=True)]
            wealth = self._wealth(shares)
            if min(wealth) > 0 and self._is_rising(wealth, move):
                break
            length /= 2
        return length

    def _is_rising(self, wealth: Vector, move: Vector) -> bool:
        """Tell whether the step has not gone far beyond the top along its direction."""
        before = self._along(self._wealth(self.share), move)
        return before <= 0 or self._along(wealth, move) >= -before

    def _along(self, wealth: Vector, move: Vector) -> float:
        weight = [p / held for p, held in zip(self.p, wealth, strict=True)]
        slopes = [sum(map(mul, weight, gain)) for gain in self.gains]
        along: float = sum(map(mul, slopes, move))
        return along


def _moved(values: Vector, moves: Vector) -> Vector:
    """Return multipliers after the longest step that keeps all of them above zero."""
    falls = [-_NEARLY * value / by for value, by in zip(values, moves, strict=True) if by < 0]
    length = min([1.0, *falls])
    return [value + length * by for value, by in zip(values, moves, strict=True)]


def _solved(lower: list[Vector], right: Vector) -> Vector:
    """Return the solution of a symmetric, positive definite system, by LDL^T without a root."""
    size = len(right)
    factor: list[Vector] = []
    pivots: Vector = []
    for place in range(size):
        row: Vector = []
        for column in range(place):
            used = sum(a * b * d for a, b, d in zip(row, factor[column], pivots, strict=False))
            row.append((lower[place][column] - used) / pivots[column])
        pivots.append(
            lower[place][place] - sum(a * a * d for a, d in zip(row, pivots, strict=True))
        )
        factor.append(row)
    found = list(right)
    for place in range(size):
        found[place] -= sum(map(mul, factor[place], found))
    found = [value / pivot for value, pivot in zip(found, pivots, strict=True)]
    for place in range(size - 1, -1, -1):
        for column in range(place):
            found[column] -= factor[place][column] * found[place]
    return found
