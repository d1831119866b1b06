"""Real minutes as they would be in a regime of the paper exchange: calm, trending, jumpy, thin.

The regimes are those of ``exchange_simulator.world.regimes``; here they are put on a stream of minutes,
one held at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from recio.data.minutes import MINUTE_S, Ohlc
from recio.exchange_simulator.world.regimes import Regime, RegimeMinutes
from recio.research.tapes.bars import Bar


class _One:
    """A recording of one minute, as the regimes want to see it."""

    symbol = ""

    def __init__(self, bar: Bar) -> None:
        self.start_s, self.end_s = bar.start_s, bar.start_s + MINUTE_S
        self.bar = bar

    def at(self, _: int) -> Ohlc:
        """Return the minute."""
        return self.bar[1:]


def shaped(bars: Iterator[Bar], regime: Regime, seed: int) -> Iterator[Bar]:
    """Yield the minutes as they would be in a regime."""
    if not regime.moves_prices:
        yield from bars
        return
    first = next(bars, None)
    if first is None:
        return
    one = _One(first)
    shape = RegimeMinutes(one, regime, seed=seed)
    for bar in chain((first,), bars):
        one.bar = bar
        yield Bar(bar.start_s, *(shape.at(bar.start_s) or bar[1:]))
