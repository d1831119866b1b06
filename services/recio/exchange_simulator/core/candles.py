"""Minute candles of one market: quotes and trades, for the candlestick endpoints.

Quotes are those of YES; an empty bid counts as 0 and an empty ask as 1 dollar, as the exchange
shows them. Kept in memory only: after a restart a market's candles begin anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from recio.domain.units import MINUTE_US

_ONE_E4: Final = 10_000


@dataclass(slots=True)
class Range:
    """Open, low, high and close of a price in 1e-4 dollar."""

    open: int
    low: int
    high: int
    close: int

    def take(self, value: int) -> None:
        """Take the next value."""
        self.low = min(self.low, value)
        self.high = max(self.high, value)
        self.close = value

    def join(self, later: Range) -> Range:
        """Return the range over this and a later one."""
        return Range(self.open, min(self.low, later.low), max(self.high, later.high), later.close)


@dataclass(slots=True)
class MarketCandle:
    """One minute. ``turnover_e6`` is price times quantity of its trades."""

    end_us: int
    bid: Range
    ask: Range
    price: Range | None = None
    previous_e4: int | None = None
    turnover_e6: int = 0
    volume_e2: int = 0
    open_interest_e2: int = 0


@dataclass(slots=True)
class Candles:
    """The minutes of one market, ascending; a minute without any change is absent."""

    minutes: list[MarketCandle] = field(default_factory=list)
    last_bid_e4: int = 0
    last_ask_e4: int = _ONE_E4
    last_price_e4: int | None = None

    def quote(self, bid_e4: int, ask_e4: int, at_us: int) -> None:
        """Take the top of the book."""
        if bid_e4 == self.last_bid_e4 and ask_e4 == self.last_ask_e4:
            return
        candle = self._at(at_us)
        candle.bid.take(bid_e4)
        candle.ask.take(ask_e4)
        self.last_bid_e4, self.last_ask_e4 = bid_e4, ask_e4

    def trade(self, price_e4: int, qty_e2: int, open_interest_e2: int, at_us: int) -> None:
        """Take a trade."""
        candle = self._at(at_us)
        if candle.price is None:
            candle.price = Range(price_e4, price_e4, price_e4, price_e4)
        candle.price.take(price_e4)
        candle.turnover_e6 += price_e4 * qty_e2
        candle.volume_e2 += qty_e2
        candle.open_interest_e2 = open_interest_e2
        self.last_price_e4 = price_e4

    def _at(self, at_us: int) -> MarketCandle:
        end_us = -(-max(at_us, 1) // MINUTE_US) * MINUTE_US
        if self.minutes and self.minutes[-1].end_us >= end_us:
            return self.minutes[-1]
        bid, ask = self.last_bid_e4, self.last_ask_e4
        candle = MarketCandle(
            end_us,
            Range(bid, bid, bid, bid),
            Range(ask, ask, ask, ask),
            previous_e4=self.last_price_e4,
            open_interest_e2=self.minutes[-1].open_interest_e2 if self.minutes else 0,
        )
        self.minutes.append(candle)
        return candle


def regroup(minutes: list[MarketCandle], period_us: int) -> list[MarketCandle]:
    """Return candles of a longer period, ascending."""
    groups: dict[int, MarketCandle] = {}
    for one in minutes:
        end_us = -(-one.end_us // period_us) * period_us
        known = groups.get(end_us)
        if known is None:
            groups[end_us] = MarketCandle(
                end_us,
                one.bid,
                one.ask,
                one.price,
                one.previous_e4,
                one.turnover_e6,
                one.volume_e2,
                one.open_interest_e2,
            )
        else:
            _absorb(known, one)
    return list(groups.values())


def _absorb(into: MarketCandle, later: MarketCandle) -> None:
    into.bid, into.ask = into.bid.join(later.bid), into.ask.join(later.ask)
    if later.price is not None:
        into.price = into.price.join(later.price) if into.price else later.price
    into.turnover_e6 += later.turnover_e6
    into.volume_e2 += later.volume_e2
    into.open_interest_e2 = later.open_interest_e2
