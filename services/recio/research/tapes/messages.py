"""The messages of the bus as tapes send them: every one is of the tape's environment.

When something happened and when it was learned are the same moment here: a tape tells a thing at the
time at which it was known. Grids of prices are those of 2026: whole cents on the hourly ladder, tenths
of a cent below 0.10 and above 0.90 in 15-minute markets (docs.kalshi.com, "Fixed-point migration").
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from recio.domain import tickers
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
from recio.domain.settlement import NO_MEAN, RunningMean
from recio.engine.tape import ENVIRONMENT

CENTS: Final = (PriceRange(0, 10_000, 100),)
TAPERED: Final = (
    PriceRange(0, 1_000, 10),
    PriceRange(1_000, 9_000, 100),
    PriceRange(9_000, 10_000, 10),
)


def status(at_us: int, *, is_trading: bool = True, is_connected: bool = True) -> ExchangeStatus:
    """Return whether the exchange trades from now on, and whether its data are on the tape."""
    return ExchangeStatus(
        environment=ENVIRONMENT,
        is_exchange_active=True,
        is_trading_active=is_trading,
        is_connected=is_connected,
        resume_us=None,
        at_us=at_us,
        seen_us=at_us,
    )


def price(symbol: str, at_us: int, usd_e6: int, mean: RunningMean = NO_MEAN) -> PriceUpdate:
    """Return a price that stands for the index and for spot alike."""
    return PriceUpdate(
        environment=ENVIRONMENT,
        symbol=symbol,
        at_us=at_us,
        seen_us=at_us,
        index_usd_e6=usd_e6,
        index_at_us=at_us,
        spot_usd_e6=usd_e6,
        spot_at_us=at_us,
        window_average_usd_e6=mean.average_usd_e6,
        window_count=mean.samples,
        window_close_us=mean.close_us,
    )


def history(
    symbol: str, at_us: int, minutes: Iterable[tuple[int, int]], source: str
) -> PriceHistory:
    """Return minute closes of the time before the tape: (end of the minute, price)."""
    return PriceHistory(
        environment=ENVIRONMENT,
        symbol=symbol,
        at_us=at_us,
        seen_us=at_us,
        source=source,
        minutes=tuple(minutes),
    )


def window_event(ticker: str, strike_usd_e6: int | None, at_us: int) -> EventMarkets:
    """Return the event of a 15-minute market; without a strike it is not tradable.

    Raises:
        InvalidValue: not the ticker of such a market.
    """
    event_ticker = tickers.parse_market(ticker).event_ticker
    market = MarketInfo(
        ticker=ticker,
        strike_usd_e6=strike_usd_e6,
        strike_type="greater_or_equal",
        status="active",
        price_ranges=TAPERED,
    )
    return event(event_ticker, (market,), at_us)


def ladder_event(event_ticker: str, strikes_usd_e6: Iterable[int], at_us: int) -> EventMarkets:
    """Return an hourly event with one market for each floor strike."""
    markets = tuple(
        MarketInfo(
            ticker=tickers.format_market(event_ticker, strike),
            strike_usd_e6=strike,
            strike_type="greater",
            status="active",
            price_ranges=CENTS,
        )
        for strike in strikes_usd_e6
    )
    return event(event_ticker, markets, at_us)


def event(event_ticker: str, markets: tuple[MarketInfo, ...], at_us: int) -> EventMarkets:
    """Return an event with these markets."""
    named = tickers.parse_event(event_ticker)
    return EventMarkets(
        environment=ENVIRONMENT,
        symbol=tickers.SERIES[named.series].symbol,
        series_ticker=named.series,
        event_ticker=event_ticker,
        title=tickers.event_title(named),
        open_us=tickers.open_us_of(named),
        close_us=named.close_us,
        markets=markets,
        at_us=at_us,
        seen_us=at_us,
    )


def books(
    event_ticker: str, quotes: Iterable[MarketQuote], at_us: int, *, is_full: bool = True
) -> BookUpdate:
    """Return the tops of an event's books."""
    return BookUpdate(
        environment=ENVIRONMENT,
        event_ticker=event_ticker,
        quotes=tuple(quotes),
        is_full=is_full,
        at_us=at_us,
        seen_us=at_us,
    )
