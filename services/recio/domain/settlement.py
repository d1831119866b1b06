"""How an event settles, and what is still uncertain about it.

The settlement value is the plain mean of the 60 one-second values of the index in the minute before
the close: the tick at the close counts, the tick that opens the minute does not. KXBTCD pays YES if
the mean is greater than the floor strike, KXBTC15M if it is at least the strike.

With m samples to come at price S, the first of them after d seconds, and 60 - m known:

    centre    = (sum of the known + m x S) / 60
    variance  = s^2 x S^2 x [m^2 d + (m-1) m (2m-1) / 6] / 3600       (s: one-second deviation)

so the bracket over 3600 is the *effective horizon* in seconds: of t seconds to the close it is
t - 39.5 before the last minute (20.5 at its start). An option on the last price with that horizon
has the same variance. Source: moments of the mean of a random walk; the feed's definition of the
window is docs.kalshi.com/websockets/cfbenchmarks-value.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from recio.domain.errors import InvalidValue
from recio.domain.units import CENT_E6, SECOND_US, UsdE6

WINDOW_SAMPLES: Final = 60
WINDOW_US: Final = WINDOW_SAMPLES * SECOND_US
MAX_MISSED_SAMPLES: Final = 3
"""How far the running mean may lag behind the seconds gone by before it counts as unknown."""

ABOVE: Final = frozenset({"greater", "greater_or_equal"})
_MIN_SECONDS: Final = 0.001


class Outlook(NamedTuple):
    """What the settlement value is expected to be, and over how many seconds it may still move.

    ``reason`` is not empty when this cannot be known; then the numbers mean nothing.
    """

    centre_usd_e6: int
    seconds: float
    reason: str = ""


class RunningMean(NamedTuple):
    """The exchange's running settlement value: mean of the known samples of one window."""

    average_usd_e6: int | None
    samples: int
    close_us: int | None


NO_MEAN: Final = RunningMean(None, 0, None)
_CLOSED: Final = Outlook(0, 0.0, "closed")
_UNKNOWN_WINDOW: Final = Outlook(0, 0.0, "window_unknown")


def outlook(price_usd_e6: int, price_at_us: int, close_us: int, mean: RunningMean) -> Outlook:
    """Return centre and effective horizon of the settlement seen from a price and its own time.

    >>> outlook(80_000_000_000, 0, 600_000_000, NO_MEAN).seconds
    560.5027777777777
    """
    left_us = close_us - price_at_us
    if left_us <= 0:
        return _CLOSED
    if left_us >= WINDOW_US:
        return Outlook(price_usd_e6, effective_seconds(WINDOW_SAMPLES, left_us))
    known = mean.samples if mean.close_us == close_us and mean.average_usd_e6 is not None else 0
    expected = (WINDOW_US - left_us) // SECOND_US
    if abs(known - expected) > MAX_MISSED_SAMPLES:
        return _UNKNOWN_WINDOW
    if known >= WINDOW_SAMPLES:
        return _CLOSED
    ahead = WINDOW_SAMPLES - known
    total = ahead * price_usd_e6 + known * (mean.average_usd_e6 or 0)
    return Outlook(total // WINDOW_SAMPLES, effective_seconds(ahead, left_us))


def effective_seconds(samples_ahead: int, left_us: int) -> float:
    """Return the horizon over which the last price would vary as much as the mean still can."""
    m = samples_ahead
    first_us = max(left_us - (m - 1) * SECOND_US, 0)
    squares = (m - 1) * m * (2 * m - 1) // 6
    return max((m * m * first_us / SECOND_US + squares) / WINDOW_SAMPLES**2, _MIN_SECONDS)


def settlement_value_usd_e6(samples_usd_e6: list[int]) -> UsdE6:
    """Return the mean of the window's 60 values, rounded to the cent as it is published.

    Raises:
        InvalidValue: not 60 values.
    """
    if len(samples_usd_e6) != WINDOW_SAMPLES:
        raise InvalidValue(f"expected 60 samples, received {len(samples_usd_e6)}")
    unit = WINDOW_SAMPLES * CENT_E6
    return UsdE6((2 * sum(samples_usd_e6) + unit) // (2 * unit) * CENT_E6)


def result_of(value_usd_e6: int, strike_usd_e6: int, strike_type: str) -> str:
    """Return "yes" or "no".

    >>> result_of(80_285_680_000, 80_193_520_000, "greater_or_equal")
    'yes'

    Raises:
        InvalidValue: a strike type that this system does not trade.
    """
    if strike_type not in ABOVE:
        raise InvalidValue(f"expected greater or greater_or_equal, received {strike_type!r}")
    is_tie = value_usd_e6 == strike_usd_e6 and strike_type == "greater_or_equal"
    return "yes" if value_usd_e6 > strike_usd_e6 or is_tie else "no"
