"""The live events of some series and their markets: pure, fed with records, asked for messages.

An event is live from ``AHEAD_US`` before its window opens until its results are final, at most
``LONGEST_WAIT_US`` after its close. Which events exist follows from the calendar of the series: the
exchange announces neither the opening nor the closing of a market on time, so both are derived here
from its times. A market whose times are missing, or differ from its event's name, is refused and
counted. A status only moves on by the clock (initialized, active, closed); the rest is the
exchange's word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

from recio.adapters.kalshi.events import FeeOverride, LifecycleSeen
from recio.adapters.kalshi.model import EventRecord, MarketRecord, SeriesRecord
from recio.domain import tickers
from recio.domain.errors import InvalidValue
from recio.domain.messages import EventMarkets, MarketInfo
from recio.domain.units import MINUTE_US, SECOND_US

AHEAD_US: Final = 5 * MINUTE_US
LONGEST_WAIT_US: Final = 120 * MINUTE_US
RESULTS: Final = frozenset({"yes", "no", "scalar"})
_STEPS: Final = {
    "activated": "active",
    "deactivated": "inactive",
    "determined": "determined",
    "settled": "finalized",
}


class LiveEvent:
    """One event and its markets.

    ``changed`` is cleared by the caller once it has told; ``is_missing`` is set by the caller when
    the exchange did not know the event.
    """

    def __init__(self, series: tickers.Series, event_ticker: str, close_us: int) -> None:
        self.series = series
        self.event_ticker = event_ticker
        self.close_us = close_us
        self.open_us = close_us - series.cadence_seconds * SECOND_US
        self.title = ""
        self.markets: dict[str, MarketInfo] = {}
        self.volumes_e2: dict[str, int] = {}
        self.fee_type = ""
        self.fee_multiplier_e6: int | None = None
        self.is_known = False
        self.is_missing = False
        self.changed = False

    def is_tradable(self, now_us: int) -> bool:
        """Whether its books are worth following now."""
        return self.is_known and now_us < self.close_us

    @property
    def is_settled(self) -> bool:
        """Whether every market has its final result."""
        return self.is_known and all(
            market.status == "finalized" and market.result in RESULTS
            for market in self.markets.values()
        )

    def message(self, environment: str, now_us: int) -> EventMarkets:
        """Return it as a message."""
        return EventMarkets(
            environment=environment,
            symbol=self.series.symbol,
            series_ticker=self.series.ticker,
            event_ticker=self.event_ticker,
            title=self.title,
            open_us=self.open_us,
            close_us=self.close_us,
            markets=tuple(sorted(self.markets.values(), key=_by_strike)),
            at_us=now_us,
            seen_us=now_us,
        )


class Listing:
    """All live events of the series. ``refused`` counts what did not fit, by reason."""

    def __init__(self, series: Iterable[str]) -> None:
        self.series = tuple(tickers.series_of(ticker) for ticker in series)
        self.events: dict[str, LiveEvent] = {}
        self.refused: Counter[str] = Counter()
        self._fees: dict[str, SeriesRecord] = {}

    def take_series(self, record: SeriesRecord) -> None:
        """Learn a series' fee."""
        self._fees[record.ticker] = record

    def advance(self, now_us: int) -> None:
        """Start and forget events by the calendar, and move statuses on by the clock."""
        named = {
            ticker
            for series in self.series
            for close_us in _closes(series, now_us)
            if (ticker := self._started(series, close_us)) is not None
        }
        for ticker, event in tuple(self.events.items()):
            is_over = event.is_settled or now_us - event.close_us > LONGEST_WAIT_US
            if ticker not in named and now_us >= event.close_us and is_over:
                del self.events[ticker]
            else:
                _age(event, now_us)

    def next_change_us(self, now_us: int) -> int:
        """Return when the clock changes something next."""
        times = [event.open_us for event in self.events.values()]
        times += [event.close_us for event in self.events.values()]
        for series in self.series:
            step_us = series.cadence_seconds * SECOND_US
            times.append((now_us + AHEAD_US) // step_us * step_us + step_us - AHEAD_US)
        return min(time_us for time_us in times if time_us > now_us)

    def unread(self, now_us: int) -> list[LiveEvent]:
        """Return the events whose markets are to be read: unknown, incomplete, or closed."""
        return [event for event in self.events.values() if _wants_reading(event, now_us)]

    def take_event(self, record: EventRecord, now_us: int) -> None:
        """Learn an event's markets."""
        event = self.events.get(record.event_ticker)
        if event is None:
            return
        event.title = record.title or record.sub_title
        event.fee_type, event.fee_multiplier_e6 = self._fee(event, record)
        for market in record.markets:
            info = self._info(event, market)
            if info is not None:
                event.changed = event.changed or event.markets.get(market.ticker) != info
                event.markets[market.ticker] = info
                if market.volume_e2 is not None:
                    event.volumes_e2.setdefault(market.ticker, market.volume_e2)
        if event.markets and not event.is_known:
            event.is_known = event.changed = True
        _age(event, now_us)

    def take_lifecycle(self, seen: LifecycleSeen) -> LiveEvent | None:
        """Learn a step in a market's life; return its event if that is one of ours."""
        try:
            event = self.events.get(tickers.parse_market(seen.ticker).event_ticker)
        except InvalidValue:
            return None  # The stream tells of every market of the exchange.
        market = None if event is None else event.markets.get(seen.ticker)
        if event is None or market is None:
            return event
        if seen.close_us is not None and seen.close_us != event.close_us:
            self.refused["close_moved"] += 1
            return event
        changes: dict[str, object] = {"status": _STEPS.get(seen.event_type, market.status)}
        if seen.result in RESULTS:
            changes["result"] = seen.result
        if seen.floor_strike_usd_e6 is not None:
            changes["strike_usd_e6"] = seen.floor_strike_usd_e6
            changes["strike_type"] = seen.strike_type or market.strike_type
        if seen.price_ranges:
            changes["price_ranges"] = seen.price_ranges
        info = msgspec.structs.replace(market, **changes)
        event.changed = event.changed or info != market
        event.markets[seen.ticker] = info
        return event

    def take_fee(self, seen: FeeOverride) -> None:
        """Learn an event's own fee; with None the series' fee holds again."""
        event = self.events.get(seen.event_ticker)
        fees = None if event is None else self._fees.get(event.series.ticker)
        if event is None or fees is None:
            return
        multiplier = seen.fee_multiplier_e6
        event.fee_type = seen.fee_type or fees.fee_type
        event.fee_multiplier_e6 = fees.fee_multiplier_e6 if multiplier is None else multiplier
        for ticker, market in event.markets.items():
            event.markets[ticker] = msgspec.structs.replace(
                market, fee_type=event.fee_type, fee_multiplier_e6=event.fee_multiplier_e6
            )
        event.changed = True

    def _started(self, series: tickers.Series, close_us: int) -> str | None:
        """Return the event's name, having started it; None: it cannot be named."""
        try:
            ticker = tickers.format_event(series.ticker, close_us)
        except InvalidValue:
            return None  # An hour without a name is not traded.
        if ticker not in self.events:
            self.events[ticker] = LiveEvent(series, ticker, close_us)
        return ticker

    def _fee(self, event: LiveEvent, record: EventRecord) -> tuple[str, int | None]:
        fees = self._fees.get(event.series.ticker)
        multiplier = record.fee_multiplier_override_e6
        if multiplier is None and fees is not None:
            multiplier = fees.fee_multiplier_e6
        return record.fee_type_override or (fees.fee_type if fees else ""), multiplier

    def _info(self, event: LiveEvent, market: MarketRecord) -> MarketInfo | None:
        """Return a market as a message row; None and counted if it cannot be traded by us."""
        reason = ""
        if market.close_us is not None and market.close_us != event.close_us:
            reason = "close_differs"
        elif market.event_ticker != event.event_ticker:
            reason = "event_differs"
        elif event.fee_multiplier_e6 is None or not event.fee_type:
            reason = "fee_unknown"
        elif not market.price_ranges:
            reason = "grid_unknown"
        if reason or event.fee_multiplier_e6 is None:
            self.refused[reason] += 1
            return None
        return MarketInfo(
            ticker=market.ticker,
            strike_usd_e6=market.floor_strike_usd_e6,
            strike_type=market.strike_type,
            status=market.status,
            price_ranges=market.price_ranges,
            fee_type=event.fee_type,
            fee_multiplier_e6=event.fee_multiplier_e6,
            exchange_index=market.exchange_index,
            result=market.result,
            settlement_value_usd_e6=market.expiration_value_usd_e6,
        )


def _closes(series: tickers.Series, now_us: int) -> tuple[int, ...]:
    step_us = series.cadence_seconds * SECOND_US
    previous_us = now_us // step_us * step_us
    opening_us = (now_us + AHEAD_US) // step_us * step_us + step_us
    return tuple(range(previous_us, opening_us + 1, step_us))


def _age(event: LiveEvent, now_us: int) -> None:
    """Move statuses on that the exchange does not announce when their time has come."""
    if now_us < event.close_us:
        return
    for ticker, market in event.markets.items():
        if market.status in {"initialized", "active", "inactive"}:
            event.markets[ticker] = msgspec.structs.replace(market, status="closed")
            event.changed = True


def _wants_reading(event: LiveEvent, now_us: int) -> bool:
    if now_us >= event.close_us:
        return not event.is_settled and (event.is_known or not event.is_missing)
    if not event.is_known:
        return True
    if now_us < event.open_us:
        return False
    return any(
        market.status == "initialized" or market.strike_usd_e6 is None
        for market in event.markets.values()
    )


def _by_strike(market: MarketInfo) -> tuple[int, str]:
    return market.strike_usd_e6 or 0, market.ticker
