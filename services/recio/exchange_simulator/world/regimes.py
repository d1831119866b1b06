"""Kinds of markets: how the simulated prices move and how its makers quote, by one name.

A strategy that lives on quiet hours and deep books should be tried where it hurts. A regime changes
the prices of recorded minutes (``RegimeMinutes``) and what the market makers do with them; the
exchange's rules, its calendar and the makers' knowledge stay. The numbers below are chosen, not
measured: they say what a regime is, and tests hold the simulation to them.

                   recorded  calm   trending  jumpy   thin
    volatility         1      0.5      0.8      1       1     factor on the logarithm of every move
    trend              -       -     60 bp/h    -       -     180 bp there and back in legs of 2 … 4 h
    jumps              -       -        -     1.5/h     -     within a second, 20 … 80 bp, either way
    spread             1       1        1       2       3     factor on the ticks
    depth              1      1.5       1       0.6     0.1   factor on the size of each level
    quoted every       -       -        -       -      4 s    else as often as recorded
    makers leave       -       -        -      10 s    90 s   so long before the close
    takers             1      0.7       1       1.3     0.4   factor on how often they come

``recorded`` is the default and changes nothing at all. All of it is a function of (recording, seed,
market time), like everything in this world, so a restart finds the same prices:

* volatility scales the logarithm of the price about the recording's first price, so each return is
  scaled and the level stays where it was;
* a trend goes one way and comes back within six hours; which way comes first, and when it turns
  (after a third to two thirds of them), is drawn for each six hours;
* jumps are drawn for each minute and stay; what a day's jumps moved in sum is taken back evenly over
  that day (New Year 1970 UTC onward), so that the price does not run away from the recording.

Live prices are what they are: there a regime concerns the makers alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import exp, log
from typing import Final, Protocol

from recio.data.minutes import MINUTE_S, Ohlc
from recio.domain.errors import InvalidValue
from recio.exchange_simulator.world.chance import draw_unit, draw_words

BASIS_POINT: Final = 1e-4
LEGS_S: Final = 6 * 3600
DAY_S: Final = 86_400
_WORD: Final = 65_536
_DAY_MINUTES: Final = DAY_S // MINUTE_S
_KEPT_DAYS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """One kind of market; see the module for what each number means.

    ``quoted_every_s`` divides 8; 1 is as often as recorded.
    """

    name: str
    summary: str
    volatility: float = 1.0
    trend_bp_an_hour: float = 0.0
    jumps_an_hour: float = 0.0
    jump_bp: tuple[float, float] = (0.0, 0.0)
    spread: int = 1
    depth: float = 1.0
    quoted_every_s: int = 1
    leave_s: int = 0
    takers: float = 1.0

    @property
    def moves_prices(self) -> bool:
        """Whether prices differ from the recorded ones."""
        return self.volatility != 1.0 or bool(self.trend_bp_an_hour or self.jumps_an_hour)


RECORDED: Final = Regime(name="recorded", summary="as the recordings are")
REGIMES: Final[Mapping[str, Regime]] = {
    one.name: one
    for one in (
        RECORDED,
        Regime(
            name="calm",
            summary="half the volatility, deeper books, fewer takers",
            volatility=0.5,
            depth=1.5,
            takers=0.7,
        ),
        Regime(
            name="trending",
            summary="hours that go one way, then turn",
            volatility=0.8,
            trend_bp_an_hour=60.0,
        ),
        Regime(
            name="jumpy",
            summary="jumps within a second, wider quotes",
            jumps_an_hour=1.5,
            jump_bp=(20.0, 80.0),
            spread=2,
            depth=0.6,
            leave_s=10,
            takers=1.3,
        ),
        Regime(
            name="thin",
            summary="a tenth of the depth, wide and slow quotes, nobody near the close",
            spread=3,
            depth=0.1,
            quoted_every_s=4,
            leave_s=90,
            takers=0.4,
        ),
    )
}


def regime_of(name: str) -> Regime:
    """Return a regime by its name; no name is the default.

    Raises:
        InvalidValue: there is no such regime.
    """
    found = REGIMES.get(name or RECORDED.name)
    if found is None:
        raise InvalidValue(f"no regime is called {name!r}; there are {', '.join(REGIMES)}")
    return found


class MinuteSource(Protocol):
    """Recorded minutes, as ``recio.data.minutes`` and ``repeating`` give them."""

    symbol: str

    @property
    def start_s(self) -> int:
        """The second at which the first minute opens."""

    @property
    def end_s(self) -> int:
        """The second after the last minute."""

    def at(self, minute_s: int) -> Ohlc | None:
        """Return (open, high, low, close) in cents of the minute that opens at ``minute_s``."""


class RegimeMinutes:
    """Recorded minutes as they would be in a regime; ``seed`` selects one of many equal pasts.

    Raises:
        InvalidValue: the first minute is not known, so there is no level to scale about.
    """

    def __init__(self, recorded: MinuteSource, regime: Regime, *, seed: int = 0) -> None:
        self.symbol = recorded.symbol
        self.start_s, self.end_s = recorded.start_s, recorded.end_s
        self._recorded = recorded
        self._regime = regime
        self._key = f"{seed}|regime"
        first = recorded.at(recorded.start_s)
        if first is None:
            raise InvalidValue("expected a recording whose first minute is known")
        self._level = log(first[0])
        self._day_jumps = lru_cache(maxsize=_KEPT_DAYS)(self._draw_day)
        self._turns = lru_cache(maxsize=_KEPT_DAYS)(self._draw_turn)

    def at(self, minute_s: int) -> Ohlc | None:
        """Return (open, high, low, close) in cents of the minute that opens at ``minute_s``."""
        bar = self._recorded.at(minute_s)
        if bar is None or not self._regime.moves_prices:
            return bar
        jumped = self._jumped(minute_s)
        opening = jumped + self._trended(minute_s)
        closing = jumped + self._trended(minute_s + MINUTE_S)
        middle = (opening + closing) / 2
        opened, close = self._cents(bar[0], opening), self._cents(bar[3], closing)
        high = max(self._cents(bar[1], middle), opened, close)
        return opened, high, min(self._cents(bar[2], middle), opened, close), close

    def jump(self, minute_s: int) -> float:
        """Return by how much the logarithm of the price jumps as a minute opens; mostly 0."""
        levels = self._day_jumps(minute_s // DAY_S)
        minute = minute_s % DAY_S // MINUTE_S
        return levels[minute] - (levels[minute - 1] if minute else 0.0)

    def _cents(self, price_cents: int, moved: float) -> int:
        scaled = (log(price_cents) - self._level) * self._regime.volatility
        return max(round(exp(self._level + scaled + moved)), 1)

    def _jumped(self, minute_s: int) -> float:
        if not self._regime.jumps_an_hour:
            return 0.0
        levels = self._day_jumps(minute_s // DAY_S)
        minute = minute_s % DAY_S // MINUTE_S
        return levels[minute] - levels[-1] * minute / _DAY_MINUTES

    def _draw_day(self, day: int) -> tuple[float, ...]:
        """Return the sum of the day's jumps up to and with each minute."""
        threshold = self._regime.jumps_an_hour / 60 * _WORD
        low, high = self._regime.jump_bp
        words = draw_words(f"{self._key}|jumps|{day}", 2 * _DAY_MINUTES)
        sizes = []
        for chance, size in zip(words[::2], words[1::2], strict=True):
            jump = (low + (high - low) * (size >> 1) / (_WORD // 2)) * BASIS_POINT
            sizes.append((jump if size & 1 else -jump) if chance < threshold else 0.0)
        return tuple(accumulate(sizes))

    def _trended(self, second: int) -> float:
        if not self._regime.trend_bp_an_hour:
            return 0.0
        turn_s, way = self._turns(second // LEGS_S)
        passed_s = second % LEGS_S
        top = self._regime.trend_bp_an_hour * BASIS_POINT * LEGS_S / 2 / 3600 * way
        if passed_s <= turn_s:
            return top * passed_s / turn_s
        return top * (LEGS_S - passed_s) / (LEGS_S - turn_s)

    def _draw_turn(self, leg: int) -> tuple[int, int]:
        chance = draw_unit(f"{self._key}|trend|{leg}")
        way = 1 if draw_unit(f"{self._key}|way|{leg}") < 0.5 else -1
        return round(LEGS_S / 3 * (1 + chance)), way
