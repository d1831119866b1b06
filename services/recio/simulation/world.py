"""The simulated market: one hour of one ladder and one quarter of an hour, and their exchange.

Nobody trades by himself: the book is what the plan sets. The terms of the markets are the exchange's
own, told to our side in the words in which the market watchdog would tell them.
"""

from __future__ import annotations

from typing import Final

from recio.adapters.postgres.market_history import write_event
from recio.domain.messages import EventMarkets, MarketInfo, PriceRange
from recio.domain.units import MINUTE_US, SECOND_US, parse_time_us
from recio.exchange_simulator.core.state import Config
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.specs import EventSpec, MarketSpec, SeriesSpec, Side
from recio.ports import Ids, Transaction

ENVIRONMENT: Final = "paper"
START_US: Final = parse_time_us("2026-11-20T16:00:00Z")
CLOSE_US: Final = parse_time_us("2026-11-20T17:00:00Z")
QUARTER_CLOSE_US: Final = parse_time_us("2026-11-20T16:30:00Z")
LENGTH_S: Final = (CLOSE_US - START_US) // SECOND_US

HOURLY: Final = "KXBTCD-26NOV2012"
LOW: Final = f"{HOURLY}-T89999.99"
HIGH: Final = f"{HOURLY}-T90249.99"
QUARTERLY: Final = "KXBTC15M-26NOV201130"
QUARTER: Final = f"{QUARTERLY}-30"
TICKERS: Final = (LOW, HIGH, QUARTER)
RESULT_AFTER_S: Final = 5
"""Seconds between a close and its result."""

BOOK: Final[dict[str, tuple[tuple[Side, int, int], ...]]] = {
    LOW: (("no", 400, 700), ("no", 500, 5_000), ("yes", 9_400, 5_000)),
    HIGH: (("yes", 3_000, 400), ("no", 6_800, 2_000)),
    QUARTER: (("no", 4_800, 1_500), ("yes", 4_900, 1_500)),
}
"""The book at the start: side, price and quantity of resting bids."""
STRIKE_OF_QUARTER_E6: Final = 90_100_000_000
STRIKES: Final = {LOW: 89_999_990_000, HIGH: 90_249_990_000}
SIDES: Final[dict[str, Side]] = {LOW: "yes", HIGH: "no", QUARTER: "yes"}
"""The side that the plan enters."""
ENTRY_E4: Final = {LOW: 9_600, HIGH: 7_000, QUARTER: 5_300}
EXIT_E4: Final = {LOW: 9_300, HIGH: 3_100, QUARTER: 4_700}


def close_us(ticker: str) -> int:
    """Return when a market closes."""
    return QUARTER_CLOSE_US if ticker == QUARTER else CLOSE_US


def event_of(ticker: str) -> str:
    """Return a market's event."""
    return ticker.rpartition("-")[0]


def make_exchange(config: Config, ids: Ids, *, scale: int = 1) -> Exchange:
    """Return the exchange as the hour begins; ``scale`` multiplies every quantity of its book."""
    made = Exchange(config, fresh=ids.fresh)
    for ticker in ("KXBTCD", "KXBTC15M"):
        made.list_series(SeriesSpec(ticker=ticker, title="Bitcoin"))
    made.advance(START_US - SECOND_US)
    for event in (_hourly(), _quarterly()):
        made.list_event(event, START_US - SECOND_US)
    made.advance(START_US)
    made.set_strike(QUARTER, STRIKE_OF_QUARTER_E6, START_US)
    for ticker, levels in BOOK.items():
        for side, price_e4, qty_e2 in levels:
            made.set_external_level(ticker, side, price_e4, qty_e2 * scale, START_US)
    return made


def _hourly() -> EventSpec:
    return EventSpec(
        event_ticker=HOURLY,
        series_ticker="KXBTCD",
        title="Bitcoin price on Nov 20, 2026 at 12pm EST?",
        sub_title="On Nov 20, 2026 at 12pm EST",
        open_us=START_US,
        close_us=CLOSE_US,
        markets=tuple(
            MarketSpec(
                ticker=ticker,
                yes_sub_title="or above",
                no_sub_title="or above",
                strike_type="greater",
                floor_strike_usd_e6=strike,
            )
            for ticker, strike in STRIKES.items()
        ),
    )


def _quarterly() -> EventSpec:
    return EventSpec(
        event_ticker=QUARTERLY,
        series_ticker="KXBTC15M",
        title="BTC price up in next 15 mins?",
        sub_title="11:30AM EST",
        open_us=QUARTER_CLOSE_US - 30 * MINUTE_US,
        close_us=QUARTER_CLOSE_US,
        settlement_timer_seconds=1,
        markets=(MarketSpec(ticker=QUARTER, yes_sub_title="up", no_sub_title="up"),),
    )


async def tell_markets(tx: Transaction, exchange: Exchange) -> None:
    """Write the exchange's events and markets where the gate reads them."""
    for event in exchange.state.events.values():
        spec = event.spec
        await write_event(
            tx,
            EventMarkets(
                at_us=START_US,
                seen_us=START_US,
                environment=ENVIRONMENT,
                event_ticker=spec.event_ticker,
                series_ticker=spec.series_ticker,
                symbol="BTC",
                title=spec.title,
                open_us=spec.open_us,
                close_us=spec.close_us,
                markets=tuple(
                    MarketInfo(
                        ticker=market.ticker,
                        strike_usd_e6=market.spec.floor_strike_usd_e6 or STRIKE_OF_QUARTER_E6,
                        strike_type=market.spec.strike_type or "greater_or_equal",
                        status="active",
                        price_ranges=tuple(
                            PriceRange(one.start_e4, one.end_e4, one.step_e4)
                            for one in market.price_ranges
                        ),
                        exchange_index=market.exchange_index,
                    )
                    for market in event.markets
                ),
            ),
        )
