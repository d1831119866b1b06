"""The mirror: an exchange of ours whose markets, books and results are those of a real exchange.

A shadow account trades here. Its orders meet what the real exchange displays at the moment at which
they arrive, so its fills are imagined but its decisions, orders, facts and books are handled by the
same code as with money. What is known of the real exchange is told to this world by a shell that only
reads (``mirroring``):

* every level of every followed book (followed.py): an order takes what is displayed, never more; what
  it took stays taken until the real level shrinks below it or is made anew;
* markets, strikes, pauses and states. A market whose price grid we do not know is not mirrored;
* results: a market is determined and paid here once the real exchange has paid it.

While a book is not known (no connection, a gap) there is nothing to take. Real traders do not react to
imagined orders, and nobody's place in the queue is known better than "behind what was displayed": a
result here is at best what real orders of that size might have got.

Nothing here waits, reads a clock or does I/O. The records are those of the exchange's adapter, known
here by their shape only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol, get_args

from recio.domain import tickers
from recio.domain.errors import InvalidValue
from recio.domain.units import CENT_E6, format_scaled
from recio.exchange_simulator.core.grids import STRUCTURES
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.specs import (
    CRYPTO_SHARD,
    EventSpec,
    MarketSpec,
    SeriesSpec,
    StrikeType,
    Taken,
)
from recio.exchange_simulator.world import members
from recio.exchange_simulator.world.followed import FollowedBook

_STRIKE_TYPES: Final[dict[str, StrikeType]] = {kind: kind for kind in get_args(StrikeType)}
_OVER: Final = frozenset({"closed", "determined", "disputed", "amended", "finalized"})
_RESULTS: Final = frozenset({"yes", "no", "scalar"})
_TIMER_S: Final = 60
"""Between result and payment when the exchange does not say: both are told at once, so unused."""


class Range(Protocol):
    """Prices from start to end are valid in steps."""

    @property
    def start_e4(self) -> int: ...  # noqa: D102 (a record's field)
    @property
    def end_e4(self) -> int: ...  # noqa: D102
    @property
    def step_e4(self) -> int: ...  # noqa: D102


class SeriesSeen(Protocol):
    """A series as the real exchange tells it."""

    @property
    def ticker(self) -> str: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def category(self) -> str: ...  # noqa: D102
    @property
    def frequency(self) -> str: ...  # noqa: D102
    @property
    def fee_type(self) -> str: ...  # noqa: D102
    @property
    def fee_multiplier_e6(self) -> int: ...  # noqa: D102
    @property
    def exchange_index(self) -> int | None: ...  # noqa: D102


class MarketSeen(Protocol):
    """A market as the real exchange tells it."""

    @property
    def ticker(self) -> str: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def status(self) -> str: ...  # noqa: D102
    @property
    def result(self) -> str: ...  # noqa: D102
    @property
    def open_us(self) -> int | None: ...  # noqa: D102
    @property
    def close_us(self) -> int | None: ...  # noqa: D102
    @property
    def strike_type(self) -> str: ...  # noqa: D102
    @property
    def floor_strike_usd_e6(self) -> int | None: ...  # noqa: D102
    @property
    def price_ranges(self) -> Sequence[Range]: ...  # noqa: D102
    @property
    def settlement_timer_s(self) -> int | None: ...  # noqa: D102
    @property
    def expiration_value_usd_e6(self) -> int | None: ...  # noqa: D102
    @property
    def payout_usd_e6(self) -> int | None: ...  # noqa: D102


class EventSeen(Protocol):
    """An event as the real exchange tells it; a fee of None is the series' own."""

    @property
    def event_ticker(self) -> str: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def sub_title(self) -> str: ...  # noqa: D102
    @property
    def fee_type_override(self) -> str | None: ...  # noqa: D102
    @property
    def fee_multiplier_override_e6(self) -> int | None: ...  # noqa: D102
    @property
    def markets(self) -> Sequence[MarketSeen]: ...  # noqa: D102


class Mirror:
    """A driver (see ``world``) that does what it is told of a real exchange.

    ``refused`` holds why an event or a market is not mirrored, by its ticker.
    """

    def __init__(self, exchange: Exchange, start_us: int) -> None:
        self.start_us = start_us
        self.refused: dict[str, str] = {}
        self._exchange = exchange
        self._series: dict[str, SeriesSpec] = {}
        self._books: dict[str, FollowedBook] = {}
        exchange.on_taken(self._take)

    def next_event_us(self) -> int | None:
        """Return None: what happens is told."""
        return None

    def step(self, now_us: int) -> None:
        """Tell again the levels that were refused, because the market paused or was not open yet."""
        for ticker in list(self._books):
            market = self._exchange.state.markets[ticker]
            if market.status in _OVER:
                del self._books[ticker]
            elif self._books[ticker].is_behind and market.status == "active":
                self._books[ticker].tell_all(now_us)

    def take_series(self, seen: SeriesSeen) -> None:
        """Learn a series and its fees."""
        self._series[seen.ticker] = SeriesSpec(
            ticker=seen.ticker,
            title=seen.title,
            frequency=seen.frequency,
            category=seen.category,
            fee_type=seen.fee_type,
            fee_multiplier_e6=seen.fee_multiplier_e6,
            exchange_index=CRYPTO_SHARD if seen.exchange_index is None else seen.exchange_index,
        )

    def take_event(self, seen: EventSeen, now_us: int) -> None:
        """List an event when it is first seen, then bring its markets to where the real ones are."""
        if not self._exchange.has_event(seen.event_ticker):
            try:
                self._list(seen, now_us)
            except InvalidValue as error:
                self.refused[seen.event_ticker] = str(error)
                return
        known = dict(self._exchange.event_status(seen.event_ticker))
        for market in seen.markets:
            if market.ticker in known:
                self._take_market(market, known[market.ticker], now_us)

    def forget_refused(self, events: Collection[str]) -> None:
        """Keep only what is refused of these events."""
        self.refused = {
            name: reason
            for name, reason in self.refused.items()
            if name in events or name.rpartition("-")[0] in events
        }

    def wants_strike(self, event_ticker: str) -> bool:
        """Tell whether a market of a listed event has no strike yet."""
        names = [ticker for ticker, _ in self._exchange.event_status(event_ticker)]
        return any(members.strike_usd_e6(self._exchange, ticker) is None for ticker in names)

    def follow(
        self, ticker: str, yes: Mapping[int, int], no: Mapping[int, int], now_us: int
    ) -> None:
        """Let a market's book be the real one; a market that is not mirrored has none."""
        book = self._books.get(ticker) or self._new_book(ticker)
        if book is not None:
            book.follow(yes, no, now_us)

    def lose(self, ticker: str, now_us: int) -> None:
        """Take a book away: it is not known until it is told again."""
        if ticker in self._books:
            self._books[ticker].lose(now_us)

    def lose_all(self, now_us: int) -> None:
        """Take all books away: nothing is known."""
        for book in self._books.values():
            book.lose(now_us)

    def take_status(self, *, is_trading: bool, now_us: int) -> None:
        """Pause with the real exchange, and resume with it."""
        pauses = self._exchange.state.pauses
        if not is_trading and not pauses.is_trading_paused:
            self._exchange.pause_trading(now_us)
        elif is_trading and pauses.is_trading_paused:
            self._exchange.resume(now_us)

    def _take(self, taken: Taken) -> None:
        if taken.ticker in self._books:
            self._books[taken.ticker].take(taken)

    def _new_book(self, ticker: str) -> FollowedBook | None:
        market = self._exchange.state.markets.get(ticker)
        if market is None or market.status in _OVER:
            return None
        book = self._books[ticker] = FollowedBook(self._exchange, ticker)
        for taken in members.taken(self._exchange, ticker):
            # Before a restart. What has been made anew since is not known: the careful reading.
            book.take(taken)
        return book

    def _list(self, seen: EventSeen, now_us: int) -> None:
        event = tickers.parse_event(seen.event_ticker, now_us)
        series = self._series.get(event.series)
        usable = [market for market in seen.markets if self._is_usable(market, event.close_us)]
        if series is None or not usable:
            raise InvalidValue(f"{seen.event_ticker} has no series or no market that we can mirror")
        structures = {_structure(market.price_ranges) for market in usable}
        if len(structures) != 1:
            raise InvalidValue(f"{seen.event_ticker} has markets of {len(structures)} price grids")
        self._exchange.list_series(_with_fees(series, seen))
        first = usable[0]
        self._exchange.list_event(
            EventSpec(
                event_ticker=seen.event_ticker,
                series_ticker=event.series,
                title=seen.title,
                sub_title=seen.sub_title,
                open_us=first.open_us or tickers.open_us_of(event),
                close_us=event.close_us,
                markets=tuple(_market(market) for market in usable),
                price_level_structure=str(structures.pop()),
                settlement_timer_seconds=first.settlement_timer_s or _TIMER_S,
            ),
            now_us,
        )
        self.refused.pop(seen.event_ticker, None)

    def _is_usable(self, market: MarketSeen, close_us: int) -> bool:
        if _structure(market.price_ranges) is None:
            self.refused[market.ticker] = "its price grid is not one that we know"
        elif market.close_us not in {None, close_us}:
            self.refused[market.ticker] = "it does not close when its event's name says"
        else:
            return True
        return False

    def _take_market(self, seen: MarketSeen, status: str, now_us: int) -> None:
        exchange, ticker = self._exchange, seen.ticker
        strike = seen.floor_strike_usd_e6
        kind = _STRIKE_TYPES.get(seen.strike_type)
        if strike is not None and kind and members.strike_usd_e6(exchange, ticker) != strike:
            exchange.set_strike(ticker, strike, now_us, strike_type=kind)
        if seen.status == "active" and status in {"initialized", "inactive"}:
            exchange.activate(ticker, now_us)
        elif seen.status == "inactive":
            exchange.deactivate(ticker, now_us)
        elif seen.status in _OVER:
            exchange.close(ticker, now_us)
        if seen.status == "finalized" and seen.result in _RESULTS and status != "finalized":
            self._settle(seen, now_us)

    def _settle(self, seen: MarketSeen, now_us: int) -> None:
        value, payout = seen.expiration_value_usd_e6, seen.payout_usd_e6
        cents = None if payout is None or seen.result != "scalar" else payout // CENT_E6
        if seen.result == "scalar" and cents is None:
            self.refused[seen.ticker] = "it was settled in part, and the exchange does not say how"
            return
        self._exchange.determine(
            seen.ticker,
            "yes" if seen.result == "yes" else "no" if seen.result == "no" else "scalar",
            now_us,
            expiration_value="" if value is None else format_scaled(value // CENT_E6, 2),
            yes_payout_cents=cents,
        )
        self._exchange.finalize(seen.ticker, now_us)


def _with_fees(series: SeriesSpec, seen: EventSeen) -> SeriesSpec:
    multiplier_e6 = seen.fee_multiplier_override_e6
    return SeriesSpec(
        ticker=series.ticker,
        title=series.title,
        frequency=series.frequency,
        category=series.category,
        fee_type=seen.fee_type_override or series.fee_type,
        fee_multiplier_e6=series.fee_multiplier_e6 if multiplier_e6 is None else multiplier_e6,
        exchange_index=series.exchange_index,
    )


def _market(seen: MarketSeen) -> MarketSpec:
    strike = seen.floor_strike_usd_e6
    return MarketSpec(
        ticker=seen.ticker,
        yes_sub_title=seen.title,
        no_sub_title=seen.title,
        strike_type=None if strike is None else _STRIKE_TYPES.get(seen.strike_type),
        floor_strike_usd_e6=strike,
        title=seen.title,
    )


def _structure(ranges: Sequence[Range]) -> str | None:
    """Return the name of a price grid; None: it is none that this exchange can have."""
    wanted = [(one.start_e4, one.end_e4, one.step_e4) for one in ranges]
    for name, known in STRUCTURES.items():
        if wanted == [(one.start_e4, one.end_e4, one.step_e4) for one in known]:
            return name
    return None
