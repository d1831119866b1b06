"""One live event: its makers quote and its takers trade, second by second, on the exchange.

A second has eight slots, 60 … 900 ms after its start. Markets near the money are quoted in four of
them (15-minute markets in six), others in one, and far ones in the first slot of every eighth
second; takers come in the first four slots, so that every market they can hit is quoted after them.
Which market is near is decided every eighth second. All of it is a function of market time: a world
that starts at a whole second, with a run-up of 16 to 24 seconds, has the same books as one
that came there.

The makers see a new index value gradually within 0.6 s of its second (the recorded books follow
spot within the same second; see belief.py).

Takers: 15-minute markets saw 5.2 trades a second of 43 contracts on average (quantiles 10/25/50/
75/90/99 %: 1, 3, 10, 33, 90, 500; 310,393 trades of 66 markets, April 2026), as many on either
side. Here they come at a ninth of that rate, and with no public record of the hourly ladder at a
twentieth for a strike at the money, falling with exp(-d²/6): markets within two deviations see
more than a thousand contracts in the first minutes of their hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, sqrt
from typing import Final

from recio.domain.units import CONTRACT_E2, SECOND_US
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.specs import EventSpec, Side
from recio.exchange_simulator.world.belief import (
    SETTLEMENT_S,
    Errors,
    realised_variance,
    settlement_outlook,
)
from recio.exchange_simulator.world.chance import draw_bytes, quantile_table
from recio.exchange_simulator.world.makers import (
    LADDER_GRID,
    NEAR_DEVIATIONS,
    QUOTED_DEVIATIONS,
    WINDOW_GRID,
    Levels,
    Quotes,
    changes,
    distance_of,
)
from recio.exchange_simulator.world.prices import Prices
from recio.exchange_simulator.world.regimes import RECORDED, Regime

SLOTS_US: Final = tuple(60_000 + 120_000 * slot for slot in range(8))
BLOCK_S: Final = 8
RUN_UP_S: Final = 16
_SEEN_WITHIN_US: Final = 600_000
_TAKER_SLOTS: Final = 4
_NEAR_SLOTS: Final = ((0, 2, 4, 6), (1, 3, 5, 7))
_WINDOW_SLOTS: Final = ((0, 1, 3, 4, 6, 7),)
_LADDER_TAKERS: Final = 0.26
_WINDOW_TAKERS: Final = 0.58
_TAKER_CONTRACTS: Final = quantile_table(
    ((0, 1), (0.1, 1), (0.25, 3), (0.5, 10), (0.75, 33), (0.9, 90), (0.99, 500), (1, 2000))
)


class Volatility:
    """The makers' variance of a one-second return, one value a minute, kept for the last minute."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._minute: int | None = None
        self._deviation: float | None = None

    def deviation(self, second: int) -> float | None:
        """Return the standard deviation of a one-second return; None without any history."""
        if second // 60 != self._minute:
            self._minute = second // 60
            variance = realised_variance(self._prices.bar, second)
            self._deviation = None if variance is None else sqrt(variance)
        return self._deviation


@dataclass(slots=True)
class _Second:
    """What the makers know in one second; values in cents."""

    second: int
    before: int
    value: int
    deviation: float
    error: float
    known_sum: int
    known_count: int


class LiveEvent:
    """An open event of simulated prices.

    ``strikes`` are in cents, one for each market of ``spec``.
    """

    def __init__(
        self,
        exchange: Exchange,
        prices: Prices,
        spec: EventSpec,
        strikes: tuple[int, ...],
        *,
        seed: int,
        regime: Regime = RECORDED,
    ) -> None:
        self.spec = spec
        self._regime = regime
        self._exchange = exchange
        self._prices = prices
        self._volatility = Volatility(prices)
        self._key = f"{seed}|{spec.event_ticker}"
        self._errors = Errors(self._key)
        self._is_ladder = len(strikes) > 1
        grid = LADDER_GRID if self._is_ladder else WINDOW_GRID
        self._quotes = [
            Quotes(market.ticker, strike, grid, self._key, regime)
            for market, strike in zip(spec.markets, strikes, strict=True)
        ]
        self._slots: tuple[list[Quotes], ...] = ()
        self._plans: dict[tuple[int, int], list[tuple[int, list[Quotes]]]] = {}
        self._quiet: list[Quotes] = []
        self._lively: list[tuple[int, Quotes, float]] = []
        self._now: _Second | None = None
        self._close_s = spec.close_us // SECOND_US

    def begin_second(self, second: int) -> None:
        """Take in the index value of a second; sort the markets by distance in every eighth."""
        self._now = self._know(second)
        is_left = self._close_s - second <= self._regime.leave_s
        if self._now is None or is_left:
            self.withdraw(second * SECOND_US)
            return
        if second % BLOCK_S == 0 or not self._slots:
            self._sort(self._now)

    def run_slots(self, first: int, last: int, *, has_takers: bool) -> None:
        """Let takers trade and makers quote in the slots from ``first`` to ``last`` inclusive.

        A market that is quoted in several of these slots is quoted once, in the last of them.
        """
        now = self._now
        if now is None:
            return
        if first == 0 and now.second % BLOCK_S == 0:
            self._quote(self._quiet, now, 0)
        if has_takers and first < _TAKER_SLOTS:
            self._take(now, first, last)
        if now.second % self._regime.quoted_every_s:
            return
        for slot, due in self._plan(first, last):
            self._quote(due, now, slot)

    def withdraw(self, at_us: int) -> None:
        """Take all anonymous quantity away: prices are missing or trading pauses."""
        for quotes in self._quotes:
            self._tell(quotes, "yes", quotes.bids, {}, at_us)
            self._tell(quotes, "no", quotes.asks, {}, at_us)
            quotes.forget()
        self._slots, self._plans = (), {}
        self._now = None

    def _plan(self, first: int, last: int) -> list[tuple[int, list[Quotes]]]:
        """Return who is quoted in which slot, in the order of time."""
        plan = self._plans.get((first, last))
        if plan is None:
            plan, quoted = [], set[Quotes]()
            for slot in range(last, first - 1, -1):
                due = [quotes for quotes in self._slots[slot] if quotes not in quoted]
                quoted.update(due)
                plan.insert(0, (slot, due))
            self._plans[first, last] = plan
        return plan

    def _know(self, second: int) -> _Second | None:
        value = self._prices.index(second)
        deviation = self._volatility.deviation(second)
        if value is None or deviation is None:
            return None
        before = self._prices.index(second - 1)
        known_sum = known_count = 0
        for known_s in range(self._close_s - SETTLEMENT_S + 1, second + 1):
            known = self._prices.index(known_s)
            if known is not None:
                known_sum += known
                known_count += 1
        return _Second(
            second=second,
            before=value if before is None else before,
            value=value,
            deviation=deviation * self._errors.volatility_factor(second),
            error=self._errors.distance(second),
            known_sum=known_sum,
            known_count=known_count,
        )

    def _sort(self, now: _Second) -> None:
        slots: tuple[list[Quotes], ...] = tuple([] for _ in SLOTS_US)
        self._quiet, self._lively = [], []
        outlook = self._outlook(now, now.value, now.second)
        rate = (_LADDER_TAKERS if self._is_ladder else _WINDOW_TAKERS) * self._regime.takers
        patterns = _NEAR_SLOTS if self._is_ladder else _WINDOW_SLOTS
        for index, quotes in enumerate(self._quotes):
            distance = abs(distance_of(outlook, quotes.strike))
            if distance > QUOTED_DEVIATIONS:
                self._quiet.append(quotes)
                continue
            self._lively.append((index, quotes, 65536 * rate * exp(-distance * distance / 6)))
            is_near = distance <= NEAR_DEVIATIONS
            pattern = patterns[index % len(patterns)] if is_near else (_TAKER_SLOTS + index % 4,)
            for slot in pattern:
                slots[slot].append(quotes)
        self._slots, self._plans = slots, {}

    def _outlook(self, now: _Second, value: float, at_s: float) -> tuple[float, float]:
        left_s = self._close_s - at_s
        return settlement_outlook(value, now.deviation, left_s, now.known_sum, now.known_count)

    def _quote(self, due: Sequence[Quotes], now: _Second, slot: int) -> None:
        passed_us = SLOTS_US[slot]
        seen = min(passed_us / _SEEN_WITHIN_US, 1.0)
        value = now.before + (now.value - now.before) * seen
        at_s = now.second + passed_us / SECOND_US
        at_us = now.second * SECOND_US + passed_us
        outlook = self._outlook(now, value, at_s)
        for quotes in due:
            wanted = quotes.aim(outlook, now.error, now.second)
            if wanted is not None:
                bids, asks = wanted
                self._tell(quotes, "yes", quotes.bids, bids, at_us)
                self._tell(quotes, "no", quotes.asks, asks, at_us)
                quotes.bids, quotes.asks = bids, asks

    def _tell(self, quotes: Quotes, side: Side, told: Levels, wanted: Levels, at_us: int) -> None:
        changed = changes(told, wanted)
        if changed:
            refused = self._exchange.set_external_levels(quotes.ticker, side, changed, at_us)
            for price_e4 in refused:
                quotes.was_refused(wanted, price_e4)

    def _take(self, now: _Second, first: int, last: int) -> None:
        draws = draw_bytes(f"{self._key}|takers|{now.second}", 4 * len(self._quotes))
        for index, quotes, threshold in self._lively:
            low, high, size, way = draws[4 * index : 4 * index + 4]
            slot = way >> 1 & 3
            if low | high << 8 < threshold and first <= slot <= last:
                at_us = now.second * SECOND_US + SLOTS_US[slot]
                qty_e2 = CONTRACT_E2 * round(_TAKER_CONTRACTS[size])
                self._trade(quotes, "yes" if way & 1 else "no", qty_e2, at_us)

    def _trade(self, quotes: Quotes, taker_side: Side, qty_e2: int, at_us: int) -> None:
        # Buying YES takes NO bids and the other way round; an empty side offers nothing to take.
        told = quotes.asks if taker_side == "yes" else quotes.bids
        if told:
            limit_e4 = 10_000 - max(told)
            self._exchange.external_trade(quotes.ticker, taker_side, limit_e4, qty_e2, at_us)
            quotes.was_hit(is_bid=taker_side == "no")
