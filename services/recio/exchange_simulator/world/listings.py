"""Which events exist when, and how they settle: a function of market time and prices.

Hourly ladder KXBTCD: strikes in equal steps around the price at listing, "$72,750 or above" is the
floor 72,749.99; opens one hour before its close and is listed one hour before that, so the running
event and the next one always exist beside each other, and a third while the last one settles.
15-minute KXBTC15M: one market whose strike is the mean of the 60 index seconds before its window,
unknown until the window opens; listed one hour before it opens.

Both settle on the mean of the 60 one-second index values of the last minute, the closing second
included and the opening one not, to the cent (halves up). Facts of both series: docs.kalshi.com
"Market lifecycle" and the example markets of the API specification, read in November 2026.

How long a determination takes is drawn for each event: KXBTC15M from 91 recorded settlements of May
2026 (6.4, 14.4, 15.8 and 24.4 seconds after the close; the timer of one second is taken off),
KXBTCD 60 to 90 seconds (71 seconds recorded in August 2025; paid 60 seconds later).

No listing is made for an hour that has no name (the second one of a repeated autumn hour), nor for
one whose recording ends before its close.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from recio.domain import tickers
from recio.domain.units import HOUR_US, SECOND_US, as_datetime, format_scaled
from recio.exchange_simulator.specs import EventSpec, MarketSpec, SeriesSpec
from recio.exchange_simulator.world.belief import SETTLEMENT_S
from recio.exchange_simulator.world.chance import draw_unit
from recio.exchange_simulator.world.prices import CENT_E6, Prices

LADDER: Final = "KXBTCD"
WINDOW: Final = "KXBTC15M"
LADDER_STRIKES: Final = 40
LISTED_BEFORE_S: Final = 3600
STRIKE_DELAY_US: Final = 2 * SECOND_US
_ROUNDED_STEPS: Final = ((4_000_000, 25_000), (1_500_000, 10_000), (0, 5_000))
"""(price from, step) in cents: $250 from $40,000 on (recorded 2025), finer below (assumed)."""
_WINDOW_DELAYS_US: Final = (5_400_000, 13_400_000, 14_800_000, 14_900_000, 23_400_000)
_PAUSE_WEEKDAY: Final = 3
_PAUSE_HOURS: Final = range(3, 5)
_SOURCES: Final = (("CF Benchmarks", "https://www.cfbenchmarks.com/data/indices/BRTI"),)

SERIES: Final = (
    SeriesSpec(
        ticker=LADDER, title="Bitcoin price", frequency="hourly", tags=("BTC", "Hourly"),
        settlement_sources=_SOURCES, product_metadata={"cadence": "hourly"},
    ),
    SeriesSpec(
        ticker=WINDOW, title="Bitcoin price up or down", frequency="fifteen_min",
        tags=("BTC", "15 min"), settlement_sources=_SOURCES,
        product_metadata={"cadence": "fifteen_min"},
    ),
)  # fmt: skip


def is_paused(at_us: int) -> bool:
    """Tell whether trading pauses: Thursdays 03:00-05:00 New York time (docs.kalshi.com)."""
    local = _local(at_us)
    return local.weekday() == _PAUSE_WEEKDAY and local.hour in _PAUSE_HOURS


def ladder_strikes(price_cents: int, count: int = LADDER_STRIKES) -> tuple[int, ...]:
    """Return the displayed strikes in cents, ascending in equal steps, around a price."""
    step = next(step for start, step in _ROUNDED_STEPS if price_cents >= start)
    middle = round(price_cents / step)
    low = max(middle - count // 2, 1)
    return tuple(step * (low + i) for i in range(count))


def closes_due(prices: Prices, now_us: int) -> Iterator[tuple[str, int]]:
    """Yield (series, close) of the events that are listed and not closed at ``now_us``."""
    end_us = (prices.end_s - 1) * SECOND_US
    for series, cadence_us in ((LADDER, HOUR_US), (WINDOW, HOUR_US // 4)):
        horizon_us = now_us + cadence_us + LISTED_BEFORE_S * SECOND_US
        for close_us in tickers.closes_between(series, now_us, min(horizon_us, end_us)):
            yield series, close_us


def event_spec(series: str, prices: Prices, close_us: int) -> EventSpec | None:
    """Return the event of a series that closes at ``close_us``.

    None: a ladder cannot be placed, because the price at listing is not known.
    """
    event_ticker = tickers.format_event(series, close_us)
    if series == WINDOW:
        return window_spec(event_ticker, close_us)
    # At the start of a recording the first events are placed by its first price.
    listed_s = close_us // SECOND_US - 3600 - LISTED_BEFORE_S
    price = prices.index(max(listed_s, prices.start_s))
    if price is None:
        return None
    markets = tuple(_ladder_market(event_ticker, strike) for strike in ladder_strikes(price))
    return _event(event_ticker, close_us, markets)


def window_spec(event_ticker: str, close_us: int, *, strike_cents: int | None = None) -> EventSpec:
    """Return a 15-minute event, with its strike if that is known when it is listed."""
    words = "Target price: TBD" if strike_cents is None else target_words(strike_cents)
    market = MarketSpec(
        ticker=tickers.format_market(event_ticker),
        title=f"Bitcoin price up at {tickers.clock_label(close_us)}?",
        yes_sub_title=words,
        no_sub_title=words,
        strike_type=None if strike_cents is None else "greater_or_equal",
        floor_strike_usd_e6=None if strike_cents is None else strike_cents * CENT_E6,
        custom_strike={"round_digits": "2"},
        rules_primary=(
            "If the simple average of the sixty seconds of CF Benchmarks' Bitcoin Real-Time "
            "Index before the close is at least the average before the window opened, "
            "then the market resolves to Yes."
        ),
    )
    return _event(event_ticker, close_us, (market,))


def _event(event_ticker: str, close_us: int, markets: tuple[MarketSpec, ...]) -> EventSpec:
    event = tickers.parse_event(event_ticker, close_us)
    is_ladder = event.series == LADDER
    return EventSpec(
        event_ticker=event_ticker,
        series_ticker=event.series,
        title=tickers.event_title(event),
        sub_title=_closing_words(close_us),
        open_us=tickers.open_us_of(event),
        close_us=close_us,
        markets=markets,
        price_level_structure="linear_cent" if is_ladder else "tapered_deci_cent",
        settlement_timer_seconds=60 if is_ladder else 1,
        collateral_return_type="DIRECNET" if is_ladder else "",
        expected_expiration_us=close_us + 300 * SECOND_US,
        latest_expiration_us=close_us + 7 * 24 * HOUR_US,
        product_metadata={"cadence": "hourly" if is_ladder else "fifteen_min"},
    )


def _ladder_market(event_ticker: str, strike_cents: int) -> MarketSpec:
    floor_usd_e6 = (strike_cents - 1) * CENT_E6
    words = f"${strike_cents // 100:,} or above"
    return MarketSpec(
        ticker=tickers.format_market(event_ticker, floor_usd_e6),
        title=f"Bitcoin price {words}?",
        yes_sub_title=words,
        no_sub_title=words,
        strike_type="greater",
        floor_strike_usd_e6=floor_usd_e6,
        rules_primary=(
            "If the simple average of the sixty seconds of CF Benchmarks' Bitcoin Real-Time Index "
            f"before the close is above {format_scaled(strike_cents - 1, 2)}, "
            "then the market resolves to Yes."
        ),
    )


def target_words(strike_cents: int) -> str:
    """Return the subtitle of a 15-minute market once its strike is known."""
    return f"Target Price: ${strike_cents // 100:,}.{strike_cents % 100:02d}"


def settlement_cents(prices: Prices, end_s: int) -> int | None:
    """Return the mean in cents of the index over the 60 seconds up to and including ``end_s``.

    Halves are rounded up. Seconds that are missing are left out; None: all of them are missing.
    """
    seconds = range(end_s - SETTLEMENT_S + 1, end_s + 1)
    return mean_cents([value for s in seconds if (value := prices.index(s)) is not None])


def value_words(value_cents: int) -> str:
    """Return a settlement value as the exchange writes it: "80285.68"."""
    return format_scaled(value_cents, 2)


def mean_cents(values: Sequence[int]) -> int | None:
    """Return the mean of whole cents, rounded half up; None without values."""
    return (2 * sum(values) + len(values)) // (2 * len(values)) if values else None


def is_yes(strike_type: str, floor_strike_usd_e6: int, value_cents: int) -> bool:
    """Tell whether a value settles a market YES: above its floor, or at least at it."""
    value_usd_e6 = value_cents * CENT_E6
    if strike_type == "greater_or_equal":
        return value_usd_e6 >= floor_strike_usd_e6
    return value_usd_e6 > floor_strike_usd_e6


def determination_us(event_ticker: str, close_us: int, seed: int) -> int:
    """Return when the outcome of an event is stated."""
    chance = draw_unit(f"{seed}|determination|{event_ticker}")
    if event_ticker.startswith(f"{WINDOW}-"):
        return close_us + _WINDOW_DELAYS_US[int(chance * len(_WINDOW_DELAYS_US))]
    return close_us + 60 * SECOND_US + int(chance * 30 * SECOND_US)


def _closing_words(close_us: int) -> str:
    local = _local(close_us)
    return f"On {local:%b} {local.day}, {local.year} at {tickers.clock_label(close_us)}"


def _local(at_us: int) -> datetime:
    return as_datetime(at_us).astimezone(tickers.NEW_YORK)
