"""Prices and snapshots of a simulated hour, for the services that decide by themselves.

The price walks by the seed; makers quote around what it makes a strike worth; the snapshot says what
the coordinator would say of it. Between two snapshots there is nothing: what is too old is refused.
Redis can be away (nothing is published) or flushed (what was there last is forgotten).
"""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 (seeded: the same prices in each run)
from math import log, sqrt
from typing import Final, Literal, NamedTuple

from recio.domain.errors import Unavailable
from recio.domain.fees import fee_per_contract_e4
from recio.domain.messages import Message, Momentum, Snapshot, StrikeRow
from recio.domain.probability import student
from recio.domain.units import SECOND_US
from recio.exchange_simulator.exchange import Exchange
from recio.ports import Clock
from recio.simulation import world
from recio.testing.memory_bus import MemoryBus

START_PRICE_USD: Final = 90_110.0
DEVIATION: Final = 0.00012
"""Of one second's log return: about 0.7 % an hour."""
HALF_SPREAD_E4: Final = 100
CENT_E4: Final = 100
_FAR_E4: Final = 9_900


class SimulatedBus(MemoryBus):
    """A bus that can be away, and that can forget."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False

    async def publish(self, topic: str, message: Message) -> None:
        """Hand a message to every reader of the topic, if the bus is there."""
        if self.is_away:
            raise Unavailable("Redis does not answer")
        await super().publish(topic, message)

    def flush(self) -> None:
        """Forget the newest message of every topic."""
        self._newest.clear()


class Quote(NamedTuple):
    """What a maker shows of one market, on the YES scale."""

    p_yes: float
    bid_e4: int
    ask_e4: int
    qty_e2: int


def walk(seed: int, step_s: int) -> list[float]:
    """Return the price at every step of the hour, the last one at the close."""
    chance = random.Random(f"prices {seed}")  # noqa: S311 (repeatable on purpose)
    prices = [START_PRICE_USD * (1 + chance.uniform(-0.002, 0.002))]
    for _ in range(world.LENGTH_S // step_s):
        prices.append(prices[-1] * (1 + chance.gauss(0, DEVIATION * sqrt(step_s))))
    return prices


def results(prices: list[float]) -> dict[str, Literal["yes", "no"]]:
    """Return how the ladder settles."""
    return {
        ticker: "yes" if prices[-1] * 1e6 > strike else "no"
        for ticker, strike in world.STRIKES.items()
    }


class MarketPlane:
    """Whoever makes prices and tells them."""

    def __init__(
        self, exchange: Exchange, bus: MemoryBus, clock: Clock, seed: int, step_s: int
    ) -> None:
        self._exchange = exchange
        self._bus = bus
        self._clock = clock
        self._step_s = step_s
        self._prices = walk(seed, step_s)
        self._chance = random.Random(f"quotes {seed}")  # noqa: S311 (repeatable on purpose)
        self._shown: dict[str, Quote] = {}
        self._generation = 0

    async def run(self) -> None:
        """Quote and tell until the close."""
        for number, price in enumerate(self._prices):
            due_us = world.START_US + number * self._step_s * SECOND_US
            left_s = (due_us - self._clock.market_us()) / SECOND_US
            await self._clock.sleep_market(max(left_s, 0.0))
            now_us = self._clock.market_us()
            if now_us >= world.CLOSE_US:
                break
            for ticker in world.STRIKES:
                self._requote(ticker, price, now_us)
            await self._tell(price, now_us)
        await asyncio.Event().wait()

    def _requote(self, ticker: str, price: float, now_us: int) -> None:
        left_s = max((world.CLOSE_US - now_us) / SECOND_US - 39.5, 5.0)
        strike = world.STRIKES[ticker] / 1e6
        p_yes = student(log(price / strike) / (DEVIATION * sqrt(left_s)))
        fair_e4 = round(p_yes * 100) * CENT_E4
        bid_e4 = min(max(fair_e4 - HALF_SPREAD_E4, CENT_E4), _FAR_E4 - CENT_E4)
        quote = Quote(
            p_yes,
            bid_e4,
            min(max(fair_e4 + HALF_SPREAD_E4, bid_e4 + CENT_E4), _FAR_E4),
            self._chance.choice([200, 500, 1_500]),
        )
        for old, qty_e2 in ((self._shown.get(ticker), 0), (quote, quote.qty_e2)):
            if old is not None:
                sides = (("yes", old.bid_e4), ("no", 10_000 - old.ask_e4))
                for side, price_e4 in sides:
                    self._exchange.set_external_level(
                        ticker,
                        "yes" if side == "yes" else "no",
                        price_e4,
                        qty_e2,
                        now_us,
                    )
        self._shown[ticker] = quote

    async def _tell(self, price: float, now_us: int) -> None:
        self._generation += 1
        try:
            await self._bus.publish("snapshots", self._snapshot(price, now_us))
        except Unavailable:
            # Nobody hears of this one; the next may be heard again.
            return

    def _snapshot(self, price: float, now_us: int) -> Snapshot:
        price_usd_e6 = round(price * 1e6)
        return Snapshot(
            environment=world.ENVIRONMENT,
            symbol="BTC",
            series_ticker="KXBTCD",
            event_ticker=world.HOURLY,
            title="simulated",
            generation=self._generation,
            open_us=world.START_US,
            close_us=world.CLOSE_US,
            at_us=now_us,
            seen_us=now_us,
            price_usd_e6=price_usd_e6,
            price_at_us=now_us,
            spot_usd_e6=price_usd_e6,
            basis_usd_e6=0,
            momentum=Momentum(
                score_e6=self._score_e6(),
                bucket=max(-30, min(30, round(self._score_e6() / 10_000))),
                deltas_e6=(0, 0, 0, 0, 0, 0),
                is_complete=True,
            ),
            model="Volatility",
            model_version="simulated",
            is_trading_active=True,
            rows=tuple(self._row(ticker, price_usd_e6, now_us) for ticker in sorted(world.STRIKES)),
        )

    def _score_e6(self) -> int:
        back = max(self._generation - 1 - 60 // self._step_s, 0)
        now = self._prices[min(self._generation - 1, len(self._prices) - 1)]
        return round((now / self._prices[back] - 1) * 100 * 1e6)

    def _row(self, ticker: str, price_usd_e6: int, now_us: int) -> StrikeRow:
        quote, strike = self._shown[ticker], world.STRIKES[ticker]
        p_e6 = min(max(round(quote.p_yes * 1e6), 50), 999_950)
        yes_fee, no_fee = (
            fee_per_contract_e4(quote.ask_e4),
            fee_per_contract_e4(10_000 - quote.bid_e4),
        )
        return StrikeRow(
            ticker=ticker,
            strike_usd_e6=strike,
            buffer_usd_e6=abs(price_usd_e6 - strike),
            side="yes" if price_usd_e6 > strike else "no",
            p_yes_e6=p_e6,
            p_volatility_e6=p_e6,
            yes_bid_e4=quote.bid_e4,
            yes_ask_e4=quote.ask_e4,
            yes_bid_qty_e2=quote.qty_e2,
            yes_ask_qty_e2=quote.qty_e2,
            yes_edge_e4=p_e6 // 100 - quote.ask_e4 - yes_fee,
            no_edge_e4=quote.bid_e4 - p_e6 // 100 - no_fee,
            volume_e2=5_000_00,
            seq=self._generation,
            book_at_us=now_us,
            is_valid=True,
            yes_fee_e4=yes_fee,
            no_fee_e4=no_fee,
        )
