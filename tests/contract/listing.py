"""What is listed on the exchange under test: a ladder, a 15-minute market, and a quiet one.

The market clock begins on Friday 2026-11-20 at 16:48 UTC, twelve minutes before both close. The
quiet event stays open for a month, so that pauses and long waits find it trading.
"""

from __future__ import annotations

from typing import Final

from recio.domain.units import parse_time_us
from recio.exchange_simulator.core.state import Config
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.specs import EventSpec, MarketSpec, SeriesSpec

SECOND_US: Final = 1_000_000
OPEN_US: Final = parse_time_us("2026-11-20T16:00:00Z")
QUARTER_OPEN_US: Final = parse_time_us("2026-11-20T16:45:00Z")
NOW_US: Final = parse_time_us("2026-11-20T16:48:00Z")
CLOSE_US: Final = parse_time_us("2026-11-20T17:00:00Z")
QUIET_CLOSE_US: Final = parse_time_us("2026-12-18T17:00:00Z")

EVENT: Final = "KXBTCD-26NOV2012"
LOW: Final = "KXBTCD-26NOV2012-T89999.99"
HIGH: Final = "KXBTCD-26NOV2012-T90249.99"
QUARTER_EVENT: Final = "KXBTC15M-26NOV201200"
QUARTER: Final = "KXBTC15M-26NOV201200-00"
QUIET_EVENT: Final = "KXBTCMAXM-26DEC18"
QUIET: Final = "KXBTCMAXM-26DEC18-T99999.99"
INDEX: Final = "BRTI"
CRYPTO: Final = 2
"""The shard of crypto events."""


def exchange(
    config: Config, *, fee_type: str = "quadratic", fee_multiplier_e6: int = 1_000_000
) -> Exchange:
    """Return an exchange whose market clock stands at ``NOW_US``."""
    made = Exchange(config)
    for ticker, frequency in (
        ("KXBTCD", "hourly"),
        ("KXBTC15M", "fifteen_min"),
        ("KXBTCMAXM", "monthly"),
    ):
        made.list_series(
            SeriesSpec(
                ticker=ticker,
                title="Bitcoin",
                frequency=frequency,
                fee_type=fee_type,
                fee_multiplier_e6=fee_multiplier_e6,
                settlement_sources=(
                    ("CF Benchmarks", "https://www.cfbenchmarks.com/data/indices/BRTI"),
                ),
            )
        )
    made.advance(OPEN_US - SECOND_US)
    for spec in (ladder(), quarter(), quiet()):
        made.list_event(spec, OPEN_US - SECOND_US)
    made.advance(NOW_US)
    return made


def _greater(ticker: str, dollars: int) -> MarketSpec:
    return MarketSpec(
        ticker=ticker,
        yes_sub_title=f"${dollars:,} or above",
        no_sub_title=f"${dollars:,} or above",
        strike_type="greater",
        floor_strike_usd_e6=dollars * 1_000_000 - 10_000,
    )


def ladder() -> EventSpec:
    """Return an hourly event of two strikes, in whole cents."""
    return EventSpec(
        event_ticker=EVENT,
        series_ticker="KXBTCD",
        title="Bitcoin price on Nov 20, 2026 at 12pm EST?",
        sub_title="On Nov 20, 2026 at 12pm EST",
        open_us=OPEN_US,
        close_us=CLOSE_US,
        markets=(_greater(LOW, 90_000), _greater(HIGH, 90_250)),
    )


def quarter() -> EventSpec:
    """Return a 15-minute event without a strike yet, in tenths of a cent at the edges."""
    return EventSpec(
        event_ticker=QUARTER_EVENT,
        series_ticker="KXBTC15M",
        title="BTC price up in next 15 mins?",
        sub_title="12:00PM EST",
        open_us=QUARTER_OPEN_US,
        close_us=CLOSE_US,
        price_level_structure="tapered_deci_cent",
        settlement_timer_seconds=1,
        markets=(
            MarketSpec(
                ticker=QUARTER,
                yes_sub_title="Target price: TBD",
                no_sub_title="Target price: TBD",
            ),
        ),
    )


def quiet() -> EventSpec:
    """Return an event that is open for a month."""
    return EventSpec(
        event_ticker=QUIET_EVENT,
        series_ticker="KXBTCMAXM",
        title="How high will Bitcoin get?",
        sub_title="Before Dec 18, 2026",
        open_us=OPEN_US,
        close_us=QUIET_CLOSE_US,
        markets=(_greater(QUIET, 100_000),),
    )
