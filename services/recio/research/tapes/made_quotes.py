"""Quotes that are made up: the tops of an event's books around what market makers believe.

The belief and the shape of the quotes are those of the paper exchange's makers, whose module tells
what of it was measured (``exchange_simulator.world.belief`` and ``makers``): a normal mixture around
the price, with volatility from the minutes that have ended, errors that come and go within a minute
and within ten, spreads and sizes as recorded. Nothing here knows more than the price now and the
minutes before. Only best bid and ask are made, not what rests behind them.

Spreads, depth, how often they quote and when they leave are those of a regime of the paper exchange
(``exchange_simulator.world.regimes``). They follow the price by ``LAG_US``.

``edge_e4`` plants a known mistake, for trying whether a backtest finds one: every belief is moved by so
many 1e-4 dollars towards a half. Volume is made up as well, so that a rule on volume can be tried.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache
from math import floor, log, sqrt
from typing import Final

from recio.data.minutes import MINUTE_S
from recio.domain.messages import MarketQuote
from recio.domain.units import CONTRACT_E2, PRICE_ONE_E4
from recio.exchange_simulator.world.belief import Errors, mixture_cdf
from recio.exchange_simulator.world.chance import Wander, draw_bytes, quantile_table
from recio.exchange_simulator.world.makers import Grid
from recio.exchange_simulator.world.regimes import Regime

LAG_US: Final = 200_000
NEAR: Final = 4.5
"""Deviations from the money beyond which a quote does not change any more."""
_STEPS: Final = 256
_FAR: Final = 8
_REFRESH_S: Final = 4
_MOST_PASSED: Final = 15
_SIZES_S: Final = 48
_SPREAD_S: Final = 10
_OUTER: Final = (1_000, 9_000)
_MIDDLE: Final = (3_000, 7_000)
_HALVES: Final = ((0.5 ** (1 / 15), 0.7), (0.5 ** (1 / 120), 0.3))
_FLOOR_VARIANCE: Final = 1e-8
_OWN_ERROR: Final = (0.03, 20)
_VOLUME: Final = quantile_table(((0, 1), (0.25, 5), (0.5, 20), (0.75, 60), (1, 600)))
"""Contracts traded in four seconds near the money (assumed)."""
_FRONT: Final = tuple(
    round(value)
    for value in quantile_table(
        ((0, 5), (0.1, 50), (0.25, 115), (0.5, 550), (0.75, 1150), (0.9, 2000), (1, 6000))
    )
)


_BELIEFS: Final = tuple(
    round(PRICE_ONE_E4 * mixture_cdf(place / _STEPS))
    for place in range(-_FAR * _STEPS, _FAR * _STEPS + 1)
)


class Belief:
    """The makers' volatility: two exponential means of squared minute returns."""

    __slots__ = ("_close", "_sums", "_weights", "deviation")

    def __init__(self) -> None:
        self.deviation: float | None = None
        """Of a one-second return; None: no two neighbouring minutes are known."""
        self._close: int | None = None
        self._sums = [0.0, 0.0]
        self._weights = [0.0, 0.0]

    def add(self, close: int | None) -> None:
        """Take the close of the next minute; None: it is missing."""
        if close is not None and self._close is not None:
            square = log(close / self._close) ** 2
            for place, (decay, _) in enumerate(_HALVES):
                self._sums[place] = decay * self._sums[place] + square
                self._weights[place] = decay * self._weights[place] + 1
            shares = zip(self._sums, self._weights, _HALVES, strict=True)
            minute = sum(share * total / weight for total, weight, (_, share) in shares)
            self.deviation = sqrt(max(minute, _FLOOR_VARIANCE) / MINUTE_S)
        self._close = close


class MadeQuotes:
    """The tops of one event. ``strikes`` are floors in cents, ascending, one for each ticker."""

    def __init__(
        self,
        tickers: Sequence[str],
        strikes: Sequence[int],
        *,
        grid: Grid,
        regime: Regime,
        key: str,
        edge_e4: int = 0,
    ) -> None:
        self._tickers = tuple(tickers)
        self._strikes = tuple(strikes)
        self._regime = regime
        self._errors = Errors(key)
        self._digest = draw_bytes(key, 256)
        size, period_s = _OWN_ERROR
        self._own_size = size
        self._own = [Wander(f"{key}|{ticker}", period_s) for ticker in tickers]
        self._tops = _tops(grid, regime.spread, edge_e4)
        count = len(self._tickers)
        self._shifts = [0.0] * count
        self._chances = [0] * count
        self._volumes = [0] * count
        self._shapes: list[tuple[int, int, int]] = [(-1, -1, -1)] * count
        self._quotes: list[MarketQuote] = []
        self._first = self._seq = 0
        self._last = count
        self._drawn = -1
        self._factor = 1.0

    def volatility_factor(self, second: int) -> float:
        """Return the factor by which the makers misjudge the volatility now."""
        if second // _REFRESH_S != self._drawn:
            self._factor = self._errors.volatility_factor(second)
        return self._factor

    def at(self, second: int, at_us: int, mean: float, deviation: float) -> tuple[MarketQuote, ...]:
        """Return all tops.

        Args:
            second: the second whose price the makers see.
            at_us: when the quotes are told.
            mean: what they expect of the settlement, in cents.
            deviation: how far it may be off, in cents.
        """
        strikes, reach = self._strikes, NEAR * deviation
        first, last = bisect_left(strikes, mean - reach), bisect_right(strikes, mean + reach)
        if second // _REFRESH_S != self._drawn:
            self._refresh(second, first, last)
        elif self._quotes and second % self._regime.quoted_every_s:
            return tuple(self._quotes)
        scale, version, tops = _STEPS / deviation, second // _SIZES_S, self._tops
        most, is_new = len(_BELIEFS) - 1, not self._quotes
        for place in range(min(first, self._first), max(last, self._last)):
            step = int((mean - strikes[place]) * scale + self._shifts[place])
            bid_e4, ask_e4 = tops[self._chances[place]][min(max(step, 0), most)]
            shape = bid_e4, ask_e4, version
            if shape != self._shapes[place]:
                self._shapes[place] = shape
                quote = self._quote(place, shape, at_us)
                if is_new:
                    self._quotes.append(quote)
                else:
                    self._quotes[place] = quote
        self._first, self._last = first, last
        return tuple(self._quotes)

    def _refresh(self, second: int, first: int, last: int) -> None:
        """Draw anew what changes every few seconds, near the money only."""
        now = second // _REFRESH_S
        # Outside of the entry window a minute passes between two looks; people traded all the while.
        passed = min(now - self._drawn, _MOST_PASSED) if self._quotes else 1
        self._drawn = now
        shared = self._errors.distance(second)
        digest, regime = self._digest, self._regime
        is_first = not self._quotes
        for place in range(0 if is_first else first, len(self._own) if is_first else last):
            error = shared + self._own_size * self._own[place].at(second)
            self._shifts[place] = (error + _FAR) * _STEPS
            self._chances[place] = digest[(second // _SPREAD_S + 7 * place) & 255] & 31
            traded = passed * _VOLUME[digest[(now + 31 * place) & 255]]
            self._volumes[place] += round(traded * regime.depth * regime.takers) * CONTRACT_E2

    def _quote(self, place: int, shape: tuple[int, int, int], at_us: int) -> MarketQuote:
        self._seq += 1
        bid_e4, ask_e4, version = shape
        has_bid, has_ask = bid_e4 > 0, ask_e4 < PRICE_ONE_E4
        return MarketQuote(
            ticker=self._tickers[place],
            yes_bid_e4=bid_e4 if has_bid else None,
            yes_bid_qty_e2=self._size(bid_e4 + place + version) if has_bid else 0,
            yes_ask_e4=ask_e4 if has_ask else None,
            yes_ask_qty_e2=self._size(ask_e4 + place + 3 * version) if has_ask else 0,
            volume_e2=self._volumes[place],
            at_us=at_us,
            seq=self._seq,
            is_valid=True,
        )

    def _size(self, chance: int) -> int:
        contracts = _FRONT[self._digest[(37 * chance) & 255]] * self._regime.depth
        return max(round(contracts), 1) * CONTRACT_E2


Tops = tuple[tuple[int, int], ...]


@lru_cache(maxsize=8)
def _tops(grid: Grid, spread: int, edge_e4: int) -> tuple[Tops, ...]:
    """Return (best bid, best ask) by chance and belief; 0 and 10 000 stand for an empty side."""
    made: dict[tuple[int, int, int], Tops] = {}
    found = []
    for chance in range(32):
        ticks = grid.edge_spreads[chance], grid.middle_spreads[chance], grid.outer_spreads[chance]
        if ticks not in made:
            made[ticks] = tuple(_touch(grid, _moved(p, edge_e4), chance, spread) for p in _BELIEFS)
        found.append(made[ticks])
    return tuple(found)


def _moved(believed_e4: int, edge_e4: int) -> int:
    """Move a belief towards a half, not over it; a negative edge moves it away."""
    middle = PRICE_ONE_E4 // 2
    if believed_e4 >= middle:
        return min(max(believed_e4 - edge_e4, middle), PRICE_ONE_E4)
    return max(min(believed_e4 + edge_e4, middle), 0)


def _touch(grid: Grid, price_e4: int, chance: int, spread: int) -> tuple[int, int]:
    tick = grid.tick_at(price_e4)
    if tick != grid.tick_e4 or not _OUTER[0] <= price_e4 <= _OUTER[1]:
        ticks = grid.edge_spreads[chance]
    elif _MIDDLE[0] <= price_e4 <= _MIDDLE[1]:
        ticks = grid.middle_spreads[chance]
    else:
        ticks = grid.outer_spreads[chance]
    ticks *= spread
    bid_e4 = tick * floor(price_e4 / tick - (ticks - 1) / 2)
    ask_e4 = bid_e4 + tick * ticks
    # A spread can reach from fine ticks into coarse ones.
    bid_tick, ask_tick = grid.tick_at(bid_e4), grid.tick_at(ask_e4)
    bid_e4, ask_e4 = bid_e4 // bid_tick * bid_tick, -(-ask_e4 // ask_tick) * ask_tick
    edge = grid.edge_tick_e4
    return min(max(bid_e4, 0), PRICE_ONE_E4 - edge), max(min(ask_e4, PRICE_ONE_E4), edge)
