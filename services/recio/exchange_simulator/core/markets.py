"""Series, events, markets and their life: initialized, active, closed, determined, finalized.

Opening and closing happen by the clock and are silent on the wire; activation after a deactivation,
determination, settlement and a new strike are told (docs.kalshi.com, "Market lifecycle").
Reactivating a deactivated market cancels every resting order in it; closing cancels leftovers with
CloseCancel and empties the book.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from recio.domain.errors import InvalidValue
from recio.domain.units import HOUR_US
from recio.exchange_simulator.core import grids, resting, settlement
from recio.exchange_simulator.core.fees import FeeTerms
from recio.exchange_simulator.core.naming import derived_uuid
from recio.exchange_simulator.core.records import Event, Market, MarketStatus, Reason
from recio.exchange_simulator.core.state import State
from recio.exchange_simulator.specs import EventSpec, MarketSpec, Result, SeriesSpec, StrikeType

CANDLES_KEPT_US: Final = 2 * HOUR_US
"""How long a settled market keeps its candles: memory must not grow with the days."""


def list_series(state: State, spec: SeriesSpec) -> None:
    """Make a series known, or replace its terms for events listed from now on."""
    if state.series.get(spec.ticker) != spec:
        state.series[spec.ticker] = spec
        state.changes.series[spec.ticker] = spec


def list_event(state: State, spec: EventSpec, at_us: int) -> None:
    """List an event and its markets; listing it again changes nothing.

    Raises:
        InvalidValue: unknown series or price structure, no market, or it closes before it opens.
    """
    if spec.event_ticker in state.events:
        return
    series = state.series.get(spec.series_ticker)
    if series is None:
        raise InvalidValue(f"list series {spec.series_ticker} before event {spec.event_ticker}")
    if spec.price_level_structure not in grids.STRUCTURES:
        raise InvalidValue(f"unknown price level structure {spec.price_level_structure}")
    if not spec.markets or spec.close_us <= spec.open_us:
        raise InvalidValue(f"event {spec.event_ticker} needs markets and must close after it opens")
    now = state.at(at_us)
    event = Event(
        spec=spec,
        exchange_index=series.exchange_index,
        fee_terms=FeeTerms(series.fee_type, series.fee_multiplier_e6),
        number=state.next_number(),
        created_us=now,
        updated_us=now,
    )
    event.markets = [_market(state, event, one) for one in spec.markets]
    _enter(state, event)


def _market(state: State, event: Event, spec: MarketSpec) -> Market:
    structure = event.spec.price_level_structure
    return Market(
        spec=spec,
        event=event,
        market_id=derived_uuid(state.config.namespace, "market", spec.ticker),
        number=state.next_number(),
        exchange_index=event.exchange_index,
        price_level_structure=structure,
        price_ranges=grids.STRUCTURES[structure],
        open_us=event.spec.open_us,
        close_us=event.spec.close_us,
        created_us=state.now_us,
        updated_us=state.now_us,
    )


def _enter(state: State, event: Event) -> None:
    spec = event.spec
    state.events[spec.event_ticker] = event
    state.changes.events[spec.event_ticker] = event
    state.listener.event_listed(event)
    for market in event.markets:
        state.markets[market.ticker] = market
        state.touch_market(market, "created")
    state.set_timer(spec.open_us, "open", spec.event_ticker)
    state.set_timer(spec.close_us, "close", spec.event_ticker)


def open_event(state: State, event_ticker: str) -> None:
    """Activate the markets of an event at its opening, silently."""
    for market in state.events[event_ticker].markets:
        if market.status is MarketStatus.INITIALIZED:
            market.status = MarketStatus.ACTIVE
            state.touch_market(market)


def close_event(state: State, event_ticker: str) -> None:
    """Close the markets of an event at its time, silently."""
    for market in state.events[event_ticker].markets:
        close(state, market)


def activate(state: State, market: Market) -> None:
    """Activate a market; after a deactivation its resting orders are canceled."""
    if market.status is MarketStatus.INACTIVE:
        _cancel_all(state, market, Reason.NONE)
    elif market.status is not MarketStatus.INITIALIZED:
        return
    market.status = MarketStatus.ACTIVE
    state.touch_market(market, "activated")


def deactivate(state: State, market: Market) -> None:
    """Pause one market."""
    if market.status is MarketStatus.ACTIVE:
        market.status = MarketStatus.INACTIVE
        state.touch_market(market, "deactivated")


def close(state: State, market: Market) -> None:
    """Close a market: cancel what rests, empty its book."""
    if market.status not in (MarketStatus.INITIALIZED, MarketStatus.ACTIVE, MarketStatus.INACTIVE):
        return
    market.status = MarketStatus.CLOSED
    _cancel_all(state, market, Reason.CLOSE_CANCEL)
    if state.now_us < market.close_us:
        market.close_us = state.now_us
        state.listener.market_changed(market, "close_date_updated")
    market.book.clear()
    state.listener.book_reset(market)
    state.touch_top(market)
    state.touch_market(market)


def determine(
    state: State, market: Market, result: Result, expiration_value: str, payout_cents: int | None
) -> None:
    """State the outcome of a closed market and start its settlement timer.

    Raises:
        InvalidValue: not closed, determined otherwise before, or a scalar result without payout.
    """
    if market.status is MarketStatus.DETERMINED or market.status is MarketStatus.FINALIZED:
        if market.result != result:
            raise InvalidValue(f"market {market.ticker} was determined {market.result} before")
        return
    if market.status is not MarketStatus.CLOSED:
        raise InvalidValue(
            f"market {market.ticker} is {market.status}: close it before its outcome"
        )
    market.payout_cents = settlement.payout_cents(result, payout_cents)
    market.result, market.expiration_value = result, expiration_value
    market.determined_us = state.now_us
    market.status = MarketStatus.DETERMINED
    state.touch_market(market, "determined")
    state.set_timer(finalize_at(state, market), "finalize", market.ticker)


def finalize_at(state: State, market: Market) -> int:
    """Return when a determined market is due to be paid."""
    timer = market.event.spec.settlement_timer_seconds + state.config.settle_delay_seconds
    return (market.determined_us or state.now_us) + timer * 1_000_000


def finalize(state: State, market: Market) -> None:
    """Pay a determined market."""
    if market.status is not MarketStatus.DETERMINED:
        return
    market.status = MarketStatus.FINALIZED
    market.settled_us = state.now_us
    settlement.pay_all(state, market)
    state.set_timer(state.now_us + CANDLES_KEPT_US, "forget", market.ticker)
    state.touch_market(market, "settled")


def set_strike(
    state: State, market: Market, strike_usd_e6: int, kind: StrikeType, yes_sub_title: str | None
) -> None:
    """Give a market its strike and tell it as ``metadata_updated``."""
    title = market.spec.yes_sub_title if yes_sub_title is None else yes_sub_title
    spec = replace(
        market.spec, floor_strike_usd_e6=strike_usd_e6, strike_type=kind, yes_sub_title=title
    )
    if spec != market.spec:
        market.spec = spec
        state.touch_market(market, "metadata_updated")


def _cancel_all(state: State, market: Market, reason: Reason) -> None:
    for order in list(market.resting.values()):
        resting.cancel(state, order, reason)
