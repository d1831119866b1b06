"""The market makers: what rests on the book of a simulated market, as a function of market time.

One consolidated ladder of anonymous levels a market. Its middle is the makers' belief (belief.py);
the spread and the size of every level are drawn for the market, the price and the time, so the
same moment always has the same book, in any process.

Measured on the nine recordings of KXBTC15M of 11-14 May 2026 (436,000 deltas, 25 order books), and
used as follows:

    spread, price 0.30 … 0.70     one cent 83 % of the seconds, two 15 %, more 2 %
    spread to 0.10 and 0.90       one cent 71 %, two 24 %, more 5 %
    spread beyond                 in tenths of a cent: 1 20 %, 2 16 %, 3 15 %, 4 12 %, 5 11 %, 6 6 %,
                                  7 9 %, 8 4 %, more 7 %. The hourly ladder was recorded in 2025
                                  only, with 1 … 4 cents: a wider class of its own, assumed
    size of the first four levels contracts, quantiles 10/25/50/75/90 %: 50, 115, 550, 1150, 2000;
                                  here of the first one to eight
    size of the next levels       65, 100, 220, 450, 900
    levels a side                 20 … 180; here 7 … 14, because deeper ones move nothing
    changes                       40 … 99 deltas a second and market, half of them on the best two
                                  levels; the best prices change 2 … 7 times a second. Here a market
                                  near the money is quoted anew 4 times a second (6 for 15 minutes),
                                  others once a second, far ones every 8 seconds

Orders are whole contracts. Makers keep quoting a level that an anonymous taker hit; what a member
took stays away until the level's size is drawn anew (every 48 seconds, every 8 minutes far from the
money) or a taker trades there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from typing import Final

from recio.domain.units import CONTRACT_E2
from recio.exchange_simulator.world.belief import FAR_DEVIATIONS, mixture_cdf
from recio.exchange_simulator.world.chance import Wander, draw_bytes, quantile_table
from recio.exchange_simulator.world.regimes import RECORDED, Regime

Levels = dict[int, int]
"""Price on that side's own scale (1e-4 dollar) -> quantity (1e-2 contract)."""

NEAR_DEVIATIONS: Final = 1.0
QUOTED_DEVIATIONS: Final = 3.5
_ANCHOR_TICKS: Final = 8
_BACK_TICKS: Final = 6
_UNKNOWN: Final = -1
_REFRESH_S: Final = 48
_QUIET_REFRESH_S: Final = 480
_NEAR_SIZES_S: Final = 4
_SIZES_S: Final = 16
_QUIET_SIZES_S: Final = 64
_MARKET_ERROR: Final = (0.03, 20)
_SPREAD_S: Final = 10

_FRONT: Final = tuple(
    CONTRACT_E2 * round(value)
    for value in quantile_table(
        ((0, 5), (0.1, 50), (0.25, 115), (0.5, 550), (0.75, 1150), (0.9, 2000), (1, 6000))
    )
)
_BACK: Final = tuple(
    CONTRACT_E2 * round(value)
    for value in quantile_table(
        ((0, 10), (0.1, 65), (0.25, 100), (0.5, 220), (0.75, 450), (0.9, 900), (1, 4000))
    )
)


@dataclass(frozen=True, slots=True)
class Grid:
    """Ticks of a market and how wide its makers quote.

    ``middle_spreads``, ``outer_spreads`` and ``edge_spreads`` are equally likely numbers of ticks:
    for prices of 0.30 … 0.70, outside of it, and where the ticks are fine.
    """

    tick_e4: int
    edge_tick_e4: int
    middle_spreads: tuple[int, ...]
    outer_spreads: tuple[int, ...]
    edge_spreads: tuple[int, ...]

    def tick_at(self, price_e4: float) -> int:
        """Return the tick at a price."""
        return self.tick_e4 if 1_000 <= price_e4 <= 9_000 else self.edge_tick_e4


WINDOW_GRID: Final = Grid(
    tick_e4=100,
    edge_tick_e4=10,
    middle_spreads=(1,) * 26 + (2,) * 5 + (3,),
    outer_spreads=(1,) * 22 + (2,) * 8 + (3, 4),
    edge_spreads=(1,) * 6
    + (2,) * 5
    + (3,) * 5
    + (4,) * 4
    + (5,) * 3
    + (6,) * 2
    + (7,) * 3
    + (8, 9, 10, 11),
)
LADDER_GRID: Final = Grid(
    tick_e4=100,
    edge_tick_e4=100,
    middle_spreads=(1,) * 12 + (2,) * 12 + (3,) * 5 + (4,) * 3,
    outer_spreads=(1,) * 14 + (2,) * 11 + (3,) * 5 + (4, 5),
    edge_spreads=(1,) * 18 + (2,) * 11 + (3,) * 3,
)


class Quotes:
    """What the makers want to rest on one market, and what they have there.

    ``strike`` is in the unit of the index (cents). ``bids`` and ``asks`` hold YES bids and NO bids as
    they were last told to the exchange.
    """

    __slots__ = (
        "_depth", "_digest", "_drawn_second", "_error", "_grid", "_key", "_own_error", "_shape",
        "_spread", "asks", "bids", "distance", "strike", "ticker",
    )  # fmt: skip

    def __init__(
        self, ticker: str, strike: float, grid: Grid, key: str, regime: Regime = RECORDED
    ) -> None:
        self.ticker = ticker
        self.strike = strike
        self.distance = 0.0
        self.bids: Levels = {}
        self.asks: Levels = {}
        self._grid = grid
        self._spread = regime.spread
        self._depth = regime.depth
        self._key = f"{key}|{ticker}"
        self._error = Wander(f"{self._key}|error", _MARKET_ERROR[1])
        self._digest = draw_bytes(f"{self._key}|sizes", 512)
        self._drawn_second = -1
        self._own_error = 0.0
        self._shape: tuple[int, int, int] | None = None

    def forget(self) -> None:
        """Forget what was told to the exchange, so that the next quote tells everything."""
        self.bids, self.asks, self._shape = {}, {}, None

    def was_refused(self, told: Levels, price_e4: int) -> None:
        """Note that the exchange did not take a level now (a pause): it is told again."""
        self._shape = None
        told[price_e4] = _UNKNOWN

    def was_hit(self, *, is_bid: bool) -> None:
        """Note that the best level of one side was traded away: it is told again."""
        self._shape = None
        told = self.bids if is_bid else self.asks
        if told:
            told[max(told)] = _UNKNOWN

    def aim(
        self, outlook: tuple[float, float], error: float, at_s: float
    ) -> tuple[Levels, Levels] | None:
        """Return the wanted (YES bids, NO bids) at a time; None: as they were the last time.

        ``outlook`` is the settlement's expected value and deviation, ``error`` the distance error of
        the event.
        """
        self.distance = distance_of(outlook, self.strike)
        second = self._sizes_second(int(at_s))
        if second != self._drawn_second:
            self._drawn_second = second
            self._own_error = _MARKET_ERROR[0] * self._error.at(second)
        price_e4 = 10_000 * mixture_cdf(self.distance + (error + self._own_error))
        bid_e4, ask_e4 = self._touch(price_e4, second)
        shape = bid_e4, ask_e4, second
        if shape == self._shape:
            return None
        self._shape = shape
        return self._levels(bid_e4, second, 0), self._levels(10_000 - ask_e4, second, 256)

    def _sizes_second(self, second: int) -> int:
        """Return the second at which spread and sizes were drawn."""
        distance = abs(self.distance)
        if distance <= NEAR_DEVIATIONS:
            return second - second % _NEAR_SIZES_S
        return second - second % (_SIZES_S if distance <= QUOTED_DEVIATIONS else _QUIET_SIZES_S)

    def _touch(self, price_e4: float, second: int) -> tuple[int, int]:
        """Return best bid and ask; 0 and 10 000 stand for an empty side."""
        grid = self._grid
        tick = grid.tick_at(price_e4)
        chance = self._digest[(second // _SPREAD_S) & 255] & 31
        if tick != grid.tick_e4 or not 1_000 <= price_e4 <= 9_000:
            ticks = grid.edge_spreads[chance]
        elif 3_000 <= price_e4 <= 7_000:
            ticks = grid.middle_spreads[chance]
        else:
            ticks = grid.outer_spreads[chance]
        ticks *= self._spread
        bid_e4 = tick * floor(price_e4 / tick - (ticks - 1) / 2)
        ask_e4 = bid_e4 + tick * ticks
        return max(self._on_grid(bid_e4, up=False), 0), min(self._on_grid(ask_e4, up=True), 10_000)

    def _on_grid(self, price_e4: int, *, up: bool) -> int:
        # A spread can reach from fine ticks into coarse ones.
        tick = self._grid.tick_at(price_e4)
        return -(-price_e4 // tick) * tick if up else price_e4 // tick * tick

    def _levels(self, best_e4: int, second: int, offset: int) -> Levels:
        levels: Levels = {}
        digest, coarse, fine = self._digest, self._grid.tick_e4, self._grid.edge_tick_e4
        refresh_s = _REFRESH_S if abs(self.distance) <= QUOTED_DEVIATIONS else _QUIET_REFRESH_S
        tick = coarse if 1_000 < best_e4 <= 9_000 else fine
        # Where sizes fall off and where levels end moves in jumps of eight ticks, so that a best price
        # that goes to and fro leaves the rest of the book alone.
        anchor_e4 = best_e4 // (_ANCHOR_TICKS * tick) * (_ANCHOR_TICKS * tick)
        lowest_e4 = max(anchor_e4 - _BACK_TICKS * tick, 1)
        price_e4 = best_e4
        for _ in range(_ANCHOR_TICKS + _BACK_TICKS):
            if price_e4 < lowest_e4:
                break
            index = (price_e4 // fine) & 255
            chance = digest[offset + index]
            version = (second + chance) // refresh_s
            chance = (chance + 37 * version * (1 + index)) & 255
            qty_e2 = _FRONT[chance] if price_e4 >= anchor_e4 else _BACK[chance]
            levels[price_e4] = qty_e2 if self._depth == 1.0 else _scaled(qty_e2, self._depth)
            price_e4 -= coarse if 1_000 < price_e4 <= 9_000 else fine
        return levels


def _scaled(qty_e2: int, depth: float) -> int:
    return max(round(qty_e2 * depth / CONTRACT_E2), 1) * CONTRACT_E2


def distance_of(outlook: tuple[float, float], strike: float) -> float:
    """Return how many deviations the expected settlement value is above a strike, within ±8."""
    mean, deviation = outlook
    if deviation <= 0:
        return FAR_DEVIATIONS if mean >= strike else -FAR_DEVIATIONS
    return max(-FAR_DEVIATIONS, min(FAR_DEVIATIONS, (mean - strike) / deviation))


def changes(told: Levels, wanted: Levels) -> Sequence[tuple[int, int]]:
    """Return (price, quantity) of the levels to change: withdrawals first, so nothing crosses."""
    gone = [(price_e4, 0) for price_e4 in told if price_e4 not in wanted]
    return gone + [
        (price_e4, qty_e2) for price_e4, qty_e2 in wanted.items() if told.get(price_e4) != qty_e2
    ]
