"""Prices of spot venues as the world sets them: last trade, and minute candles made of trades."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from recio.domain.units import MINUTE_US
from recio.exchange_simulator.specs import Candle

KEPT_CANDLES: Final = 400
"""Coinbase answers with at most 300 candles; some more for requests that end earlier."""


@dataclass(frozen=True, slots=True)
class SpotTrade:
    """One trade of a venue, with the quotes around it."""

    venue: str
    symbol: str
    price_usd_e6: int
    spread_usd_e6: int
    at_us: int
    sequence: int


@dataclass(slots=True)
class Spot:
    """All venues. ``listeners`` hear each trade at once."""

    last: dict[tuple[str, str], SpotTrade] = field(default_factory=dict)
    candles: dict[tuple[str, str], dict[int, Candle]] = field(default_factory=dict)
    listeners: list[Callable[[SpotTrade], None]] = field(default_factory=list)
    sequence: int = 0

    def trade(self, trade: SpotTrade) -> None:
        """Take a trade."""
        key = (trade.venue, trade.symbol)
        self.last[key] = trade
        self._into_candle(key, trade)
        for listener in self.listeners:
            listener(trade)

    def load(self, venue: str, symbol: str, candles: Iterable[Candle]) -> None:
        """Take candles of the past; they replace what is there for the same minute."""
        own = self.candles.setdefault((venue, symbol), {})
        own.update((one.start_us, one) for one in candles)
        self._trim(own)

    def _into_candle(self, key: tuple[str, str], trade: SpotTrade) -> None:
        own = self.candles.setdefault(key, {})
        start, price = trade.at_us // MINUTE_US * MINUTE_US, trade.price_usd_e6
        old = own.get(start)
        if old is None:
            own[start] = Candle(start, price, price, price, price)
            self._trim(own)
        else:
            low, high = min(old.low_usd_e6, price), max(old.high_usd_e6, price)
            own[start] = Candle(start, low, high, old.open_usd_e6, price, old.volume_e8)

    @staticmethod
    def _trim(own: dict[int, Candle]) -> None:
        for start in sorted(own)[:-KEPT_CANDLES]:
            del own[start]
