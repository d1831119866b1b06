"""The exchange's names for events and markets, and the New York hours inside them.

    KXBTCD-25AUG0122                event: year 25, August 1, closes 22:00 New York time
    KXBTCD-25AUG0122-T119499.99     its market "$119,500 or above"
    KXBTC15M-26MAY130915            event: 2026, May 13, closes 09:15 New York time
    KXBTC15M-26MAY130915-15         its only market (the minute of the close again)

Refuses everything else: other series, lower case, hours that the clocks skip in spring. In autumn
one hour occurs twice and both would have one name; what the exchange calls the second one is not
known, so a name means the first, and no name is made for the second: nothing is traded in an hour
that cannot be named. Parsing a known event of the exchange can name the wanted one by
``near_us``, the close time that the exchange itself gave.

Source: docs.kalshi.com market tickers as recorded in 2025 and 2026; "Market close times in tickers
are US Eastern". The year is written first (26MAY13 is 13 May 2026).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from recio.domain.errors import InvalidValue
from recio.domain.units import SECOND_US, as_datetime, format_scaled, parse_scaled, time_us

NEW_YORK: Final = ZoneInfo("America/New_York")

_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                  "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")  # fmt: skip
_EVENT: Final = re.compile(r"([A-Z0-9]{3,12})-(\d\d)([A-Z]{3})(\d\d)(\d\d)(\d\d)?", re.ASCII)
_STRIKE: Final = re.compile(r"\d{1,9}(?:\.\d{1,2})?", re.ASCII)
_CENT_E6: Final = 10_000


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One series of crypto events.

    ``cadence_seconds`` is the time between closes and the length of a window. ``has_ladder``: many
    strikes an event, named by ``-T<floor strike>``; otherwise one market named by its minute.
    """

    ticker: str
    symbol: str
    cadence_seconds: int
    has_ladder: bool


SERIES: Final[dict[str, Series]] = {
    row.ticker: row
    for row in (
        Series(ticker="KXBTCD", symbol="BTC", cadence_seconds=3600, has_ladder=True),
        Series(ticker="KXBTC15M", symbol="BTC", cadence_seconds=900, has_ladder=False),
        Series(ticker="KXETHD", symbol="ETH", cadence_seconds=3600, has_ladder=True),
        Series(ticker="KXETH15M", symbol="ETH", cadence_seconds=900, has_ladder=False),
    )
}


class EventTicker(msgspec.Struct, frozen=True):
    """What an event's name says."""

    series: str
    close_us: int


class MarketTicker(msgspec.Struct, frozen=True):
    """What a market's name says.

    ``strike_usd_e6`` is the floor strike as named (119499.99); None for series whose strike is
    published only when the window opens.
    """

    event_ticker: str
    series: str
    close_us: int
    strike_usd_e6: int | None


def series_of(ticker: str) -> Series:
    """Return the series that an event's, market's or series' ticker belongs to.

    Raises:
        InvalidValue: not a series that we know.
    """
    series = SERIES.get(ticker.partition("-")[0])
    if series is None:
        raise InvalidValue(f"expected a ticker of {', '.join(SERIES)}, received {ticker!r}")
    return series


@lru_cache(maxsize=512)
def parse_event(ticker: str, near_us: int | None = None) -> EventTicker:
    """Read an event's ticker; ``near_us`` chooses between the two hours of one name in autumn.

    >>> parse_event("KXBTCD-25AUG0122")
    EventTicker(series='KXBTCD', close_us=1754100000000000)

    Raises:
        InvalidValue: not a name of this grammar, or a New York time that does not exist.
    """
    match = _EVENT.fullmatch(ticker)
    series = SERIES.get(match.group(1)) if match else None
    if match is None or series is None or (match.group(6) is None) is not series.has_ladder:
        raise InvalidValue(
            f"expected an event ticker such as KXBTCD-25AUG0122 or KXBTC15M-26MAY130915, "
            f"received {ticker!r}"
        )
    local = _local_time(ticker, match)
    if local.minute * 60 % series.cadence_seconds:
        raise InvalidValue(f"event {ticker!r} does not close at a step of its series")
    return EventTicker(series.ticker, _close_us(ticker, local, near_us))


def format_event(series: str, close_us: int) -> str:
    """Return the ticker of the event of ``series`` that closes at ``close_us``.

    >>> format_event("KXBTC15M", 1778678100_000_000)
    'KXBTC15M-26MAY130915'

    Raises:
        InvalidValue: not a close of the series, or the second one of a repeated autumn hour.
    """
    row = series_of(series)
    local = as_datetime(close_us).astimezone(NEW_YORK)
    is_step = close_us % (row.cadence_seconds * SECOND_US) == 0
    if row.ticker != series or not is_step or not 2000 <= local.year <= 2099:
        raise InvalidValue(f"series {series!r} has no close at {as_datetime(close_us)}")
    if local.fold:
        raise InvalidValue(f"{local} repeats an hour of New York time: no ticker is known for it")
    stamp = f"{local.year % 100:02d}{_MONTHS[local.month - 1]}{local.day:02d}{local.hour:02d}"
    return f"{series}-{stamp}" if row.has_ladder else f"{series}-{stamp}{local.minute:02d}"


@lru_cache(maxsize=8192)
def parse_market(ticker: str, near_us: int | None = None) -> MarketTicker:
    """Read a market's ticker.

    >>> parse_market("KXBTCD-25AUG0122-T119499.99").strike_usd_e6
    119499990000

    Raises:
        InvalidValue: not a name of this grammar; range markets (``-B``) are not supported.
    """
    event_ticker, _, tail = ticker.rpartition("-")
    event = parse_event(event_ticker, near_us)
    if not SERIES[event.series].has_ladder:
        if tail != event_ticker[-2:]:
            raise InvalidValue(f"market {ticker!r} does not end in the minute of its close")
        return MarketTicker(event_ticker, event.series, event.close_us, None)
    if tail[:1] != "T" or _STRIKE.fullmatch(tail[1:]) is None:
        raise InvalidValue(f"expected a market ticker ending in -T<strike>, received {ticker!r}")
    return MarketTicker(event_ticker, event.series, event.close_us, parse_scaled(tail[1:], 6))


def format_market(event_ticker: str, strike_usd_e6: int | None = None) -> str:
    """Return the ticker of an event's market: by floor strike in a ladder, else without one.

    >>> format_market("KXBTCD-25AUG0122", 119_499_990_000)
    'KXBTCD-25AUG0122-T119499.99'

    Raises:
        InvalidValue: a strike finer than a cent, or one where the series has none.
    """
    series = series_of(event_ticker)
    if series.has_ladder is (strike_usd_e6 is None):
        raise InvalidValue(f"event {event_ticker!r} and strike {strike_usd_e6!r} do not fit")
    if strike_usd_e6 is None:
        return f"{event_ticker}-{event_ticker[-2:]}"
    if strike_usd_e6 <= 0:
        raise InvalidValue(f"expected a positive strike, received {strike_usd_e6} e-6 dollars")
    return f"{event_ticker}-T{format_scaled(strike_usd_e6, 6, shown=2)}"


def displayed_strike_usd_e6(strike_usd_e6: int, strike_type: str = "greater") -> int:
    """Return the strike as people say it: a floor of 119499.99 is "$119,500 or above"."""
    return strike_usd_e6 + _CENT_E6 if strike_type == "greater" else strike_usd_e6


def closes_between(series: str, start_us: int, end_us: int) -> Iterator[int]:
    """Yield the closes of ``series`` after ``start_us`` up to and including ``end_us``, in order.

    The second one of a repeated autumn hour is left out: it has no name (25-hour day: 24 closes).
    """
    step_us = series_of(series).cadence_seconds * SECOND_US
    for close_us in range((start_us // step_us + 1) * step_us, end_us + 1, step_us):
        if not as_datetime(close_us).astimezone(NEW_YORK).fold:
            yield close_us


def open_us_of(event: EventTicker) -> int:
    """Return when the event's window opens: one cadence before its close."""
    return event.close_us - SERIES[event.series].cadence_seconds * SECOND_US


def event_title(event: EventTicker) -> str:
    """Return the question as a person reads it.

    >>> event_title(EventTicker("KXBTCD", 1754082000_000_000))
    'BTC price today at 5pm?'
    """
    series = SERIES[event.series]
    if series.has_ladder:
        return f"{series.symbol} price today at {clock_label(event.close_us)}?"
    return f"{series.symbol} price up at {clock_label(event.close_us)}?"


def contract_label(event: EventTicker) -> str:
    """Return the short name of an event's contracts in lists: "BTC 5pm"."""
    return f"{SERIES[event.series].symbol} {clock_label(event.close_us)}"


def clock_label(at_us: int) -> str:
    """Return New York time as people say it: "5pm", "9:15am", "12am" for midnight."""
    local = as_datetime(at_us).astimezone(NEW_YORK)
    minutes = f":{local.minute:02d}" if local.minute else ""
    return f"{(local.hour + 11) % 12 + 1}{minutes}{'am' if local.hour < 12 else 'pm'}"


def _local_time(ticker: str, match: re.Match[str]) -> datetime:
    try:
        return datetime(
            year=2000 + int(match.group(2)),
            month=_MONTHS.index(match.group(3)) + 1,
            day=int(match.group(4)),
            hour=int(match.group(5)),
            minute=int(match.group(6) or 0),
            tzinfo=NEW_YORK,
        )
    except ValueError as error:
        raise InvalidValue(f"event {ticker!r} does not name a date and an hour") from error


def _close_us(ticker: str, local: datetime, near_us: int | None) -> int:
    closes = []
    for fold in (0, 1):
        moment = local.replace(fold=fold)
        # In spring an hour is skipped: the trip through UTC does not come back to it.
        if moment.astimezone(UTC).astimezone(NEW_YORK).replace(fold=0) == local:
            closes.append(time_us(moment))
    if not closes:
        raise InvalidValue(f"event {ticker!r} closes in an hour that New York's clocks skip")
    if near_us is None:
        return closes[0]
    return min(closes, key=lambda close_us: abs(close_us - near_us))


def new_york_day_start_us(at_us: int) -> int:
    """Return when the New York day of ``at_us`` began: days of 23 and 25 hours included."""
    local = as_datetime(at_us).astimezone(NEW_YORK)
    return time_us(local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0))


def new_york_day_end_us(at_us: int) -> int:
    """Return when the New York day of ``at_us`` ends: the start of the next one."""
    return new_york_day_start_us(new_york_day_start_us(at_us) + int(_NOON_NEXT_DAY))


_NOON_NEXT_DAY: Final = timedelta(hours=36).total_seconds() * SECOND_US
