"""A small tape by hand: one hour of one event, its price and the book of one strike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recio.domain import tickers
from recio.domain.account_config import AccountConfig, parse_account
from recio.domain.messages import (
    BookUpdate,
    EventMarkets,
    ExchangeStatus,
    MarketInfo,
    MarketQuote,
    PriceHistory,
    PriceRange,
    PriceUpdate,
)
from recio.domain.units import HOUR_US, MINUTE_US, SECOND_US
from recio.engine import tape
from recio.engine.backtest import Backtest, Ended
from recio.engine.records import Record
from recio.research.backtest import artefacts

OPEN_US = 1_714_521_600 * SECOND_US
"""2024-05-01 00:00 UTC."""
CLOSE_US = OPEN_US + HOUR_US
EVENT = tickers.format_event("KXBTCD", CLOSE_US)
STRIKE = 59_999_990_000
MARKET = tickers.format_market(EVENT, STRIKE)
PRICE = 60_300_000_000

QUOTE = MarketQuote(MARKET, 8800, 5000, 9000, 5000, 1_000_000, OPEN_US, 1, is_valid=True)


def account(**spec: Any) -> AccountConfig:
    """Return an account that enters by itself; keywords replace parts of its spec."""
    strategy = {
        "autoEntry": {
            "enabled": True,
            "minProbabilityPermille": 900,
            "minNetEdgeBasisPoints": 25,
            "minSecondsToClose": 60,
            "maxSecondsToClose": 900,
        },
        "sizing": {"method": "Fixed", "contracts": 5},
    }
    return parse_account(
        {
            "apiVersion": "recio.io/v1alpha1",
            "kind": "TradingAccount",
            "metadata": {"name": "paper"},
            "spec": {"strategy": strategy, **spec},
        }
    )


def opening(price_usd_e6: int = PRICE) -> Iterator[tape.Event]:
    """Yield what must be known before anything can be traded."""
    env = tape.ENVIRONMENT
    yield ExchangeStatus(
        environment=env,
        is_exchange_active=True,
        is_trading_active=True,
        is_connected=True,
        resume_us=None,
        at_us=OPEN_US,
        seen_us=OPEN_US,
    )
    minutes = tuple(
        (OPEN_US - back * MINUTE_US, price_usd_e6 + (back % 3) * 15_000_000)
        for back in range(1440, 0, -1)
    )
    yield PriceHistory(
        environment=env,
        symbol="BTC",
        at_us=OPEN_US,
        seen_us=OPEN_US,
        source="test",
        minutes=minutes,
    )
    market = MarketInfo(
        ticker=MARKET,
        strike_usd_e6=STRIKE,
        strike_type="greater",
        status="active",
        price_ranges=(PriceRange(100, 9900, 100),),
    )
    yield EventMarkets(
        environment=env,
        symbol="BTC",
        series_ticker="KXBTCD",
        event_ticker=EVENT,
        title="test",
        open_us=OPEN_US,
        close_us=CLOSE_US,
        markets=(market,),
        at_us=OPEN_US,
        seen_us=OPEN_US,
    )


def warmed(price_usd_e6: int = PRICE) -> Iterator[tape.Event]:
    """Yield the opening and the minutes of the hour until its last quarter comes near."""
    yield from opening(price_usd_e6)
    for minute in range(1, 44):
        at_us = OPEN_US + minute * MINUTE_US
        yield price(at_us, price_usd_e6 + (minute % 3) * 15_000_000)


def price(at_us: int, price_usd_e6: int) -> PriceUpdate:
    """Return a price of the index."""
    return PriceUpdate(
        environment=tape.ENVIRONMENT,
        symbol="BTC",
        at_us=at_us,
        seen_us=at_us,
        index_usd_e6=price_usd_e6,
        index_at_us=at_us,
        spot_usd_e6=price_usd_e6,
        spot_at_us=at_us,
    )


def second(at_us: int, price_usd_e6: int, quote: MarketQuote = QUOTE) -> Iterator[tape.Event]:
    """Yield one second: the price and the top of the book."""
    yield price(at_us, price_usd_e6)
    yield BookUpdate(
        environment=tape.ENVIRONMENT,
        event_ticker=EVENT,
        quotes=(quote,),
        is_full=True,
        at_us=at_us,
        seen_us=at_us,
    )


def seconds(
    first: int, last: int, price_usd_e6: int = PRICE, quote: MarketQuote = QUOTE
) -> Iterator[tape.Event]:
    """Yield seconds by how many are left to the close, from ``first`` down to ``last``."""
    for left in range(first, last - 1, -1):
        yield from second(CLOSE_US - left * SECOND_US, price_usd_e6, quote)


def settled(result: str, after_s: int = 60) -> tape.Settled:
    """Return the market's result, told so long after the close."""
    return tape.Settled(MARKET, EVENT, result, CLOSE_US + after_s * SECOND_US)


class Watched:
    """Keeps everything that came out."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.refusals: list[tuple[str, ...]] = []
        self.ends: list[Ended] = []
        self.cash: list[int] = []

    def decided(self, record: Record) -> None:
        """Keep a record."""
        self.records.append(record)

    def refused(self, intent: object, reasons: tuple[str, ...]) -> None:
        """Keep the reasons."""
        del intent
        self.refusals.append(reasons)

    def ended(self, ended: Ended) -> None:
        """Keep the trade."""
        self.ends.append(ended)

    def moved(self, at_us: int, cash_usd_e6: int, equity_usd_e6: int) -> None:
        """Keep the cash."""
        del at_us, equity_usd_e6
        self.cash.append(cash_usd_e6)


def played(
    events: list[tape.Event], config: AccountConfig | None = None, latency_us: int = 150_000
) -> tuple[Watched, Backtest]:
    """Play the events and return what came out."""
    watched = Watched()
    machine = Backtest(
        config or account(), artefacts(), watched, cash_usd_e6=10**9, latency_us=latency_us
    )
    for event in events:
        machine.take(event)
    machine.end()
    return watched, machine
