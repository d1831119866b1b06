"""The exchange in memory: the one object that the world, the API and the streams work on.

Synchronous, without I/O and without a clock: every call brings its market time in microseconds,
and ``advance`` runs the timers (opening, closing, expiry, pauses, settlement, 15-second windows).
Market time never runs backwards here: an earlier ``at_us`` counts as the latest one seen.

The world drives it with anonymous liquidity and index values; members drive it through the API.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

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
    """Markets, books, members and money of one simulated exchange."""

    # --- what the world does -----------------------------------------------------------------

    def list_series(self, spec: SeriesSpec) -> None:
        """Make a series known, or replace its terms."""
        raise NotImplementedError

    def list_event(self, spec: EventSpec, at_us: int) -> None:
        """List an event with its markets (status initialized); listing it again changes nothing.

        ``advance`` activates the markets at ``open_us`` and closes them at ``close_us``.
        """
        raise NotImplementedError

    def has_event(self, event_ticker: str) -> bool:
        """Tell whether the event is listed (after a restart it is: the store keeps it)."""
        raise NotImplementedError

    def event_status(self, event_ticker: str) -> tuple[tuple[str, str], ...]:
        """Return (market ticker, lifecycle status) of the event's markets, in listing order."""
        raise NotImplementedError

    def open_events(self) -> tuple[EventSpec, ...]:
        """Return the events that are not finalized, oldest close first."""
        raise NotImplementedError

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
        raise NotImplementedError

    def set_external_level(
        self, ticker: str, side: Side, price_e4: int, qty_e2: int, at_us: int
    ) -> None:
        """Set the anonymous resting quantity of bids of ``side`` at ``price_e4`` (that side's scale).

        Absolute. An increase joins at the back of the queue; if it crosses members' orders it
        trades with them first, and what is left rests; anonymous levels that it crosses on the
        other side are withdrawn (a recorded book is crossed only between two messages of one
        match). A decrease leaves from the back, behind members' orders first. Ignored when the
        market is not active.
        """
        raise NotImplementedError

    def external_level(self, ticker: str, side: Side, price_e4: int) -> int:
        """Return the anonymous quantity resting at a level now (1e-2 contract)."""
        raise NotImplementedError

    def external_levels(self, ticker: str) -> Levels:
        """Return all anonymous levels of a market."""
        raise NotImplementedError

    def taken(self, ticker: str, side: Side, price_e4: int) -> int:
        """Return what members took of a level since ``set_external_level`` last changed it."""
        raise NotImplementedError

    def on_taken(self, listener: Callable[[Taken], None]) -> None:
        """Call ``listener`` at once whenever a member's order takes anonymous liquidity."""
        raise NotImplementedError

    def external_trade(
        self, ticker: str, taker_side: Side, price_e4: int, qty_e2: int, at_us: int
    ) -> int:
        """Let an anonymous taker buy ``taker_side`` up to ``price_e4`` (that side's scale).

        It hits the book in price-time priority, members' orders included, and prints public
        trades at the makers' prices. What finds no counterparty vanishes. Returns the quantity
        traded.
        """
        raise NotImplementedError

    def activate(self, ticker: str, at_us: int) -> None:
        """Activate a market; after a deactivation this cancels every resting order in it."""
        raise NotImplementedError

    def deactivate(self, ticker: str, at_us: int) -> None:
        """Pause one market (status inactive): every order operation is refused."""
        raise NotImplementedError

    def close(self, ticker: str, at_us: int) -> None:
        """Close a market before its time; its resting orders are canceled (CloseCancel)."""
        raise NotImplementedError

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
        raise NotImplementedError

    def finalize(self, ticker: str, at_us: int) -> None:
        """Pay a determined market now, without waiting for its timer."""
        raise NotImplementedError

    def set_index(self, index_id: str, value_usd_e6: int, at_us: int) -> None:
        """Publish one index value (BRTI, ETHUSD_RTI); one a second, ``at_us`` is its source time."""
        raise NotImplementedError

    def index_window(self, index_id: str, end_us: int) -> tuple[int, int]:
        """Return (sum of usd_e6, count) of the index values in (end - 60 s, end].

        With count 60 the sum / 60 is the statistic that settles a market closing at ``end_us``.
        """
        raise NotImplementedError

    def index_history(self, index_id: str) -> Sequence[tuple[int, int]]:
        """Return the recent (at_us, value_usd_e6), ascending; at least the last 120 seconds."""
        raise NotImplementedError

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
        raise NotImplementedError

    def set_spot_history(self, venue: str, symbol: str, candles: Iterable[Candle]) -> None:
        """Give the minutes before the start, for the venue's candle endpoint."""
        raise NotImplementedError

    def pause_trading(self, at_us: int, *, until_us: int | None = None) -> None:
        """Pause trading: cancels work, creates and amends do not."""
        raise NotImplementedError

    def pause_exchange(self, at_us: int, *, until_us: int | None = None) -> None:
        """Pause the exchange: nothing works, not even cancels."""
        raise NotImplementedError

    def resume(self, at_us: int) -> None:
        """End the pauses made by ``pause_trading`` and ``pause_exchange`` (not the weekly one)."""
        raise NotImplementedError

    def advance(self, now_us: int) -> None:
        """Run every timer due up to ``now_us``."""
        raise NotImplementedError

    @property
    def now_us(self) -> int:
        """Return the latest market time seen."""
        raise NotImplementedError
