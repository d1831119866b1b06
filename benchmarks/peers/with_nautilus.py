"""Measures nautilus_trader in its own environment; prints one JSON object a load.

500,000 quote ticks on a random walk (seed 1) of one instrument into a Python strategy that counts them,
without orders; then 100,000 ticks with a market order at each 20th, alternately buying and selling.
The clock runs over ``engine.run()`` alone: the ticks are made before it.
"""

from __future__ import annotations

import json
import random  # noqa: TID251  # seeded: the same walk each time
import resource
import time
from decimal import Decimal
from importlib.metadata import version
from typing import Any

from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, StrategyConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Venue
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

EACH = 20


class Config(StrategyConfig, frozen=True):
    """What the strategy trades; ``each`` 0: nothing."""

    instrument_id: InstrumentId
    each: int = 0


class Counter(Strategy):
    """Counts ticks and sends a market order at each ``each``-th."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.ticks = self.orders = 0

    def on_start(self) -> None:
        """Subscribe."""
        self.subscribe_quote_ticks(self.config.instrument_id)

    def on_quote_tick(self, _tick: QuoteTick) -> None:
        """Count, and order now and then."""
        self.ticks += 1
        if self.config.each and self.ticks % self.config.each == 0:
            side = OrderSide.BUY if self.orders % 2 == 0 else OrderSide.SELL
            self.orders += 1
            order = self.order_factory.market(
                self.config.instrument_id, side, Quantity.from_int(1000)
            )
            self.submit_order(order)


def ticks(count: int, instrument_id: InstrumentId) -> list[QuoteTick]:
    """Return a random walk of quotes."""
    chance, size, middle, found = random.Random(1), Quantity.from_int(1_000_000), 110_000, []
    for number in range(count):
        middle += chance.choice((-1, 0, 1))
        at = 1_700_000_000_000_000_000 + number * 100_000_000
        found.append(
            QuoteTick(
                instrument_id,
                Price(middle / 1e5, 5),
                Price((middle + 1) / 1e5, 5),
                size,
                size,
                at,
                at,
            )
        )
    return found


def measure(load: str, count: int, each: int) -> dict[str, Any]:
    """Run once."""
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    venue = Venue("SIM")
    engine.add_venue(
        venue,
        OmsType.NETTING,
        AccountType.MARGIN,
        [Money(1_000_000, USD)],
        base_currency=USD,
        default_leverage=Decimal(10),
    )
    instrument = TestInstrumentProvider.default_fx_ccy("EUR/USD", venue)
    engine.add_instrument(instrument)
    engine.add_data(ticks(count, instrument.id))
    strategy = Counter(Config(instrument_id=instrument.id, each=each))
    engine.add_strategy(strategy)
    begun = time.process_time()
    engine.run()
    seconds = time.process_time() - begun
    engine.dispose()
    return {
        "peer": f"nautilus_trader {version('nautilus_trader')}",
        "load": load,
        "unit": "ticks",
        "events": strategy.ticks,
        "orders": strategy.orders,
        "cpu_seconds": seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


if __name__ == "__main__":
    print(json.dumps(measure("no orders", 500_000, 0)))
    print(json.dumps(measure(f"an order each {EACH}th tick", 100_000, EACH)))
