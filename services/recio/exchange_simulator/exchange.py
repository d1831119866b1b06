"""The exchange in memory: the one object that the world, the API and the streams work on.

Synchronous, without I/O and without a clock: every call brings its market time in microseconds,
and ``advance`` runs the timers (opening, closing, expiry, pauses, settlement, 15-second windows).
Market time never runs backwards here: an earlier ``at_us`` counts as the latest one seen.

The world drives it with anonymous liquidity and index values; members drive it through the API.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from recio.domain.errors import Broken, InvalidValue
from recio.domain.units import MINUTE_US
from recio.exchange_simulator.core import liquidity, markets, pauses, timers
from recio.exchange_simulator.core.index import Index
from recio.exchange_simulator.core.records import Event, Market, MarketStatus
from recio.exchange_simulator.core.spot import Spot, SpotTrade
from recio.exchange_simulator.core.state import Config, State
from recio.exchange_simulator.specs import (
    Candle,
    EventSpec,
    Levels,
    Result,
    SeriesSpec,
    Side,
    StrikeType,
    Taken,
)


class Exchange:
    """Markets, books, members and money of one simulated exchange.

    ``state`` belongs to the API, the streams and the store; the world uses the methods here.
    ``fresh`` is the source of secrets for generated keys, handed in by the shell.
    """

    def __init__(
        self, config: Config | None = None, *, fresh: Callable[[], UUID] | None = None
    ) -> None:
        self.state = State(config)
        self.fresh = fresh or self._no_chance
        self.indexes: dict[str, Index] = {}
        self.spot = Spot()

    def list_series(self, spec: SeriesSpec) -> None:
        """Make a series known, or replace its terms."""
        markets.list_series(self.state, spec)

    def list_event(self, spec: EventSpec, at_us: int) -> None:
        """List an event with its markets (status initialized); listing it again changes nothing.

        ``advance`` activates the markets at ``open_us`` and closes them at ``close_us``.
        """
        markets.list_event(self.state, spec, at_us)

    def has_event(self, event_ticker: str) -> bool:
        """Tell whether the event is listed (after a restart it is: the store keeps it)."""
        return event_ticker in self.state.events

    def event_status(self, event_ticker: str) -> tuple[tuple[str, str], ...]:
        """Return (market ticker, lifecycle status) of the event's markets, in listing order."""
        event = self._event(event_ticker)
        return tuple((market.ticker, str(market.status)) for market in event.markets)

    def open_events(self) -> tuple[EventSpec, ...]:
        """Return the events that are not finalized, oldest close first."""
        live = [
            event.spec
            for event in self.state.events.values()
            if any(market.status is not MarketStatus.FINALIZED for market in event.markets)
        ]
        return tuple(sorted(live, key=lambda spec: spec.close_us))

    def set_strike(
        self,
        ticker: str,
        floor_strike_usd_e6: int,
        at_us: int,
        *,
        strike_type: StrikeType = "greater_or_equal",
        yes_sub_title: str | None = None,
    ) -> None:
        """Give a market its strike (pushed as ``metadata_updated``)."""
        self.state.at(at_us)
        market = self._market(ticker)
        markets.set_strike(self.state, market, floor_strike_usd_e6, strike_type, yes_sub_title)

    def set_external_level(
        self, ticker: str, side: Side, price_e4: int, qty_e2: int, at_us: int
    ) -> bool:
        """Set the anonymous resting quantity of bids of ``side`` at ``price_e4`` (that side's scale).

        Absolute. An increase joins at the back of the queue; if it crosses members' orders it
        trades with them first, and what is left rests; anonymous levels that it crosses on the
        other side are withdrawn (a recorded book is crossed only between two messages of one
        match). A decrease leaves from the back, behind members' orders first. Returns
        whether the market took it: not when it is not active, and no increase during a pause (quote
        again after it).
        """
        return not self.set_external_levels(ticker, side, ((price_e4, qty_e2),), at_us)

    def set_external_levels(
        self, ticker: str, side: Side, levels: Iterable[tuple[int, int]], at_us: int
    ) -> list[int]:
        """Set several (price, quantity) of one side, one after the other; return the refused prices."""
        self.state.at(at_us)
        return liquidity.set_levels(self.state, self._market(ticker), side, levels)

    def external_level(self, ticker: str, side: Side, price_e4: int) -> int:
        """Return the anonymous quantity resting at a level now (1e-2 contract)."""
        return liquidity.external_qty(self._market(ticker), side, price_e4)

    def external_levels(self, ticker: str) -> Levels:
        """Return all anonymous levels of a market."""
        return liquidity.levels(self._market(ticker))

    def taken(self, ticker: str, side: Side, price_e4: int) -> int:
        """Return what members took of a level since ``set_external_level`` last changed it."""
        return liquidity.taken_qty(self._market(ticker), side, price_e4)

    def on_taken(self, listener: Callable[[Taken], None]) -> None:
        """Call ``listener`` at once whenever a member's order takes anonymous liquidity."""
        self.state.taken_listeners.append(listener)

    def external_trade(
        self, ticker: str, taker_side: Side, price_e4: int, qty_e2: int, at_us: int
    ) -> int:
        """Let an anonymous taker buy ``taker_side`` up to ``price_e4`` (that side's scale).

        It hits the book in price-time priority, members' orders included, and prints public
        trades at the makers' prices. What finds no counterparty vanishes. Returns the quantity
        traded.
        """
        self.state.at(at_us)
        return liquidity.trade(self.state, self._market(ticker), taker_side, price_e4, qty_e2)

    def activate(self, ticker: str, at_us: int) -> None:
        """Activate a market; after a deactivation this cancels every resting order in it."""
        self.state.at(at_us)
        markets.activate(self.state, self._market(ticker))

    def deactivate(self, ticker: str, at_us: int) -> None:
        """Pause one market (status inactive): every order operation is refused."""
        self.state.at(at_us)
        markets.deactivate(self.state, self._market(ticker))

    def close(self, ticker: str, at_us: int) -> None:
        """Close a market before its time; its resting orders are canceled (CloseCancel)."""
        self.state.at(at_us)
        markets.close(self.state, self._market(ticker))

    def determine(
        self,
        ticker: str,
        result: Result,
        at_us: int,
        *,
        expiration_value: str,
        yes_payout_cents: int | None = None,
    ) -> None:
        """State the outcome of a closed market; ``advance`` finalizes it after its timer.

        ``expiration_value`` is the text the market shows ("80285.68"); ``yes_payout_cents`` is
        needed for a scalar result only.
        """
        self.state.at(at_us)
        market = self._market(ticker)
        markets.determine(self.state, market, result, expiration_value, yes_payout_cents)

    def finalize(self, ticker: str, at_us: int) -> None:
        """Pay a determined market now, without waiting for its timer."""
        self.state.at(at_us)
        markets.finalize(self.state, self._market(ticker))

    def set_index(self, index_id: str, value_usd_e6: int, at_us: int) -> None:
        """Publish one index value (BRTI, ETHUSD_RTI); one a second, ``at_us`` is its source time."""
        self.state.at(at_us)
        if value_usd_e6 <= 0:
            raise InvalidValue(f"expected an index value above 0, received {value_usd_e6}e-6")
        index = self.indexes.setdefault(index_id, Index())
        if index.publish(value_usd_e6, at_us):
            self.state.listener.index_published(index_id, value_usd_e6, at_us)

    def index_window(self, index_id: str, end_us: int) -> tuple[int, int]:
        """Return (sum of usd_e6, count) of the index values in (end - 60 s, end].

        With count 60 the sum / 60 is the statistic that settles a market closing at ``end_us``.
        """
        index = self.indexes.get(index_id)
        return index.window_sum(end_us - MINUTE_US, end_us) if index else (0, 0)

    def index_history(self, index_id: str) -> Sequence[tuple[int, int]]:
        """Return the recent (at_us, value_usd_e6), ascending; at least the last 120 seconds."""
        index = self.indexes.get(index_id)
        return tuple(index.values) if index else ()

    def set_spot(
        self,
        venue: str,
        symbol: str,
        price_usd_e6: int,
        at_us: int,
        *,
        spread_usd_e6: int = 10_000,
    ) -> None:
        """Publish a last trade of a spot venue (coinbase, kraken, bitstamp) for BTC or ETH."""
        self.state.at(at_us)
        spot = self.spot
        spot.sequence += 1
        spot.trade(SpotTrade(venue, symbol, price_usd_e6, spread_usd_e6, at_us, spot.sequence))

    def set_spot_history(self, venue: str, symbol: str, candles: Iterable[Candle]) -> None:
        """Give the minutes before the start, for the venue's candle endpoint."""
        self.spot.load(venue, symbol, candles)

    def pause_trading(self, at_us: int, *, until_us: int | None = None) -> None:
        """Pause trading: cancels work, creates and amends do not."""
        self.state.at(at_us)
        pauses.pause(self.state, until_us, is_exchange=False)

    def pause_exchange(self, at_us: int, *, until_us: int | None = None) -> None:
        """Pause the exchange: nothing works, not even cancels."""
        self.state.at(at_us)
        pauses.pause(self.state, until_us, is_exchange=True)

    def resume(self, at_us: int) -> None:
        """End the pauses made by ``pause_trading`` and ``pause_exchange`` (not the weekly one)."""
        self.state.at(at_us)
        pauses.resume(self.state)

    def advance(self, now_us: int) -> None:
        """Run every timer due up to ``now_us``."""
        timers.advance(self.state, now_us)

    @property
    def now_us(self) -> int:
        """Return the latest market time seen."""
        return self.state.now_us

    @staticmethod
    def _no_chance() -> UUID:
        raise Broken("this exchange was given no source of secrets: pass fresh= or a public key")

    def _market(self, ticker: str) -> Market:
        found = self.state.markets.get(ticker)
        if found is None:
            raise InvalidValue(f"market {ticker} is not listed: list its event first")
        return found

    def _event(self, event_ticker: str) -> Event:
        found = self.state.events.get(event_ticker)
        if found is None:
            raise InvalidValue(f"event {event_ticker} is not listed")
        return found
