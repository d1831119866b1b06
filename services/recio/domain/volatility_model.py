"""The artefact from which the variance of the coming minutes is foretold, and how it is read.

A model is a table of numbers that ``benchmarks/model_fit.py`` fitted: season tables, half-lives of
running means, and for each of four horizons one weight a feature. It answers for one moment and one
close with a ``Spread``: Student's distribution of the settlement's log return.

    log(scale^2) = log(seasonal minutes to come) + constant + sum(weight x feature)

Weights between two horizons are interpolated in the logarithm of the time left; under two minutes
those of two minutes hold, over an hour those of an hour. A feature beyond five deviations of what
the fit saw is taken as five: the model does not extrapolate. The last minute counts by its effective
seconds (``settlement.outlook``), so the averaging is in.

``chance`` is Wallace's normal approximation of Student's distribution, within 0.001 of the exact
one for 3 and more degrees of freedom, monotone, and the normal distribution itself for infinitely
many (Wallace 1959, Annals of Mathematical Statistics 30).

Refused when loading: unknown fields, tables of other lengths, numbers that are not finite.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import erf, exp, inf, isfinite, log, log1p, sqrt
from typing import Final, NamedTuple

import msgspec

from recio.domain import seasonality
from recio.domain.errors import InvalidValue

FORMAT: Final = 1
"""Of the artefact; another one is refused."""
LEAST_FREEDOM: Final = 1.5
_HALF_ROOT: Final = sqrt(0.5)
_MANY: Final = 1e9
"""As many degrees of freedom as make no difference to the normal distribution."""
_MOST_LOG_FREEDOM: Final = 4.0
_LEAST_LOG_FREEDOM: Final = -0.5


class Fitted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model was fitted on and with: ``first`` and ``last`` minute, checksum of the data."""

    on: str
    first: str
    last: str
    minutes: int
    sha256: str
    source: str
    revision: str


class Blend(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far the market's log odds are moved towards the model's, by minutes to the close.

    Fitted on recorded markets: ``first`` and ``last`` close, ``markets`` how many, ``sha256`` of their
    trades. Between two times the weight is a straight line in the logarithm of the time; outside it
    is the nearest one.
    """

    on: str
    first: str
    last: str
    markets: int
    sha256: str
    source: str
    minutes: tuple[float, ...]
    weights: tuple[float, ...]

    def weight(self, minutes_left: float) -> float:
        """Return the model's share at this time, 0 to 1."""
        known = self.minutes
        if minutes_left <= known[0]:
            return self.weights[0]
        if minutes_left >= known[-1]:
            return self.weights[-1]
        upper = bisect_right(known, minutes_left)
        low, high = known[upper - 1], known[upper]
        share = log(minutes_left / low) / log(high / low)
        return self.weights[upper - 1] * (1 - share) + self.weights[upper] * share


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The artefact as it is stored.

    ``absolute`` and ``squared``: half-lives in minutes of the running means of |z| and z^2, z a
    minute's log return over the root of its seasonal factor. ``moves``: (minutes of a move,
    half-life of the mean of its size). ``drifts``: (half-life of the mean of z, index into
    ``absolute`` of the size that it is measured by). ``weights``: one row a horizon, constant first,
    then features in the order of ``volatility.Volatility``. ``freedom``: a row of constants, one a
    horizon, and the weights of the two features named by ``freedom_of``. ``reversion``: by which
    share of its deviation the expected price leans against the drift ``reversion_of``. ``blend``:
    with the market; None: no markets of this symbol were recorded together with its minutes.
    """

    format: int
    name: str
    symbol: str
    fitted: Fitted
    season: seasonality.Tables
    absolute: tuple[int, ...]
    squared: tuple[int, ...]
    moves: tuple[tuple[int, int], ...]
    drifts: tuple[tuple[int, int], ...]
    horizons_minutes: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    freedom: tuple[float, ...]
    freedom_of: tuple[int, ...]
    freedom_weights: tuple[float, ...]
    reversion: tuple[float, ...]
    reversion_of: int
    blend: Blend | None = None


class Spread(NamedTuple):
    """The distribution of the settlement's log return: ``lean + scale x Student(freedom)``.

    ``weight``: how far the market's log odds are moved towards these in a blend; None: not known.
    """

    scale: float
    freedom: float = inf
    lean: float = 0.0
    weight: float | None = None

    def above(self, ratio: float) -> float:
        """Return P(settlement > centre / ``ratio``)."""
        return chance((log(ratio) + self.lean) / self.scale, self.freedom)

    def prepared(self) -> tuple[float, float, float]:
        """Return (lean, share, stretch) for ``erf(sqrt(log1p(move^2 x share)) x stretch)``.

        The move is ``log(ratio) + lean``. For many strikes this saves most of the work.
        """
        freedom = min(self.freedom, _MANY)
        return self.lean, 1 / (self.scale * self.scale * freedom), _stretch(freedom)

    @property
    def variance(self) -> float:
        """Of the log return; infinite up to two degrees of freedom."""
        square, freedom = self.scale * self.scale, self.freedom
        if freedom == inf:
            return square
        return square * freedom / (freedom - 2) if freedom > 2 else inf


class VolatilityModel:
    """A checked artefact, ready to answer."""

    __slots__ = ("_horizons", "name", "parameters", "symbol")

    def __init__(self, data: bytes) -> None:
        """Read an artefact.

        Raises:
            InvalidValue: it is not one of this format, or its tables do not fit each other.
        """
        try:
            read = msgspec.json.decode(data, type=Parameters)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise InvalidValue(
                f"volatility model: expected an artefact, received {error}"
            ) from error
        _check(read)
        self.parameters = read
        self.name, self.symbol = read.name, read.symbol
        self._horizons = tuple(log(each) for each in read.horizons_minutes)

    def place(self, minutes_left: float) -> tuple[int, float]:
        """Return between which horizons a time lies: index of the lower one, share of the upper."""
        at, known = log(minutes_left) if minutes_left > 0 else -inf, self._horizons
        if at <= known[0]:
            return 0, 0.0
        if at >= known[-1]:
            return len(known) - 2, 1.0
        lower = bisect_right(known, at) - 1
        return lower, (at - known[lower]) / (known[lower + 1] - known[lower])

    def levels(self, features: Sequence[float]) -> tuple[float, ...]:
        """Return log(scale^2) of one seasonal minute, for each horizon."""
        read = self.parameters
        bounded = [
            low if x < low else min(x, high)
            for x, low, high in zip(features, read.lows, read.highs, strict=True)
        ]
        return tuple(
            row[0] + sum(w * x for w, x in zip(row[1:], bounded, strict=True))
            for row in read.weights
        )

    def freedom_shift(self, features: Sequence[float]) -> float:
        """Return what the features add to the logarithm of the degrees of freedom."""
        read = self.parameters
        return sum(
            weight * min(max(features[index], read.lows[index]), read.highs[index])
            for weight, index in zip(read.freedom_weights, read.freedom_of, strict=True)
        )

    def spread(
        self,
        levels: Sequence[float],
        *,
        freedom_shift: float,
        drift: float,
        minutes_left: float,
        seasonal_minutes: float,
    ) -> Spread:
        """Return the distribution at one close.

        Args:
            levels: of ``levels``.
            freedom_shift: of ``freedom_shift``.
            drift: the recent move in its own deviations.
            minutes_left: to the close.
            seasonal_minutes: effective minutes to come, each times its seasonal factor.
        """
        read = self.parameters
        lower, share = self.place(minutes_left)
        scale = sqrt(seasonal_minutes * exp(_mix(levels, lower, share)))
        exponent = _mix(read.freedom, lower, share) + freedom_shift
        exponent = min(max(exponent, _LEAST_LOG_FREEDOM), _MOST_LOG_FREEDOM)
        lean = -_mix(read.reversion, lower, share) * drift * scale
        weight = None if read.blend is None else read.blend.weight(minutes_left)
        return Spread(scale, LEAST_FREEDOM + exp(exponent), lean, weight)


def chance(d: float, freedom: float) -> float:
    """Return P(X < d) of Student's distribution.

    >>> [round(chance(d, 4.0), 3) for d in (-3.0, 0.0, 1.0)], round(chance(1.0, inf), 4)
    ([0.02, 0.5, 0.813], 0.8413)
    """
    if freedom == inf:
        return 0.5 + 0.5 * erf(d * _HALF_ROOT)
    root = sqrt(log1p(d * d / freedom)) * _stretch(freedom)
    return 0.5 + 0.5 * erf(root if d > 0 else -root)


def _stretch(freedom: float) -> float:
    return sqrt(freedom) * (8 * freedom + 1) / (8 * freedom + 3) * _HALF_ROOT


def _mix(row: Sequence[float], lower: int, share: float) -> float:
    return row[lower] * (1 - share) + row[lower + 1] * share


def _check(read: Parameters) -> None:
    if read.format != FORMAT:
        raise InvalidValue(f"volatility model: expected format {FORMAT}, received {read.format}")
    seasonality.check(read.season)
    horizons, count = len(read.horizons_minutes), len(read.lows)
    lengths = [len(row) == count + 1 for row in read.weights]
    fits = (
        horizons >= 2
        and all(lengths)
        and len(lengths) == len(read.freedom) == len(read.reversion) == horizons
        and len(read.highs) == count
        and len(read.freedom_of) == len(read.freedom_weights)
        and all(0 <= index < count for index in read.freedom_of)
        and all(0 <= index < len(read.absolute) for _, index in read.drifts)
        and 0 <= read.reversion_of < len(read.drifts)
        and min(read.horizons_minutes) > 0
        and sorted(set(read.horizons_minutes)) == list(read.horizons_minutes)
    )
    if not fits or not _is_blend(read.blend):
        raise InvalidValue("volatility model: its tables do not fit each other: fit it again")
    numbers = [*read.lows, *read.highs, *read.freedom, *read.freedom_weights, *read.reversion]
    numbers += [each for row in read.weights for each in row]
    if not all(isfinite(each) for each in numbers):
        raise InvalidValue("volatility model: expected finite numbers: fit it again")


def _is_blend(blend: Blend | None) -> bool:
    if blend is None:
        return True
    minutes, weights = blend.minutes, blend.weights
    return (
        len(minutes) == len(weights) > 0
        and minutes[0] > 0
        and sorted(set(minutes)) == list(minutes)
        and minutes[-1] < inf
        and all(0 <= each <= 1 for each in weights)
    )
