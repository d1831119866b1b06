"""A tape of what the history holds of one series: books, quotes, trades, seconds, strikes, results.

    database_tape(dsn, "KXBTC15M", since_us=…, until_us=…)

Everything is read an hour or a day at a time, so memory does not grow with the period and no
transaction is held open. Nothing is told before it was known: a minute at its end, a second at its
end, a strike ``KNOWN_AFTER_US`` after its window opens (the settlement of the one before is stated
then), a result when it was settled, or ``STATED_AFTER_US`` after the close where that is not stored.

A market of which whole books are stored gets its tops from them; quotes then tell its volume only.
Where sizes of a top are not stored, ``size`` contracts are assumed, and the caveat says so. Trades
alone make no quotes (the tape ``trades:FILE`` infers some). Without seconds, prices are minute closes.
Several sources of one symbol are refused until one is named.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import count
from typing import Any, Final

import msgspec

from recio.adapters.postgres import history_read
from recio.adapters.postgres.history_read import Connection, Held, Stretch
from recio.domain import tickers
from recio.domain.errors import InvalidValue
from recio.domain.messages import EventMarkets, MarketQuote
from recio.domain.units import CONTRACT_E2, HOUR_US, MINUTE_US, SECOND_US
from recio.engine.tape import Changed, Event, Loaded, Lost, Settled, Traded
from recio.research.history.blocks import KEPT_ON, LOADED, LOST, YES, Extra, known, unpack
from recio.research.tapes import messages
from recio.research.tapes.closes import Closes
from recio.research.tapes.results import STATED_AFTER_US
from recio.research.tapes.spot import spot_events
from recio.research.tapes.tally import Tally, Track
from recio.research.tapes.tape import Coverage

DAY_US: Final = 24 * HOUR_US
KNOWN_AFTER_US: Final = 25 * SECOND_US
_SILENCE_US: Final = 30 * SECOND_US
_CHANNELS: Final = ("books", "quotes", "trades")
Columns = Sequence[list[int]]
_LAST_US: Final = 4_102_444_800_000_000


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of the history; ``source`` is that of the prices, "" if there is only one."""

    series: str
    since_us: int = 0
    until_us: int = _LAST_US
    source: str = ""
    size: int = 1


def database_tape(dsn: str, wanted: Wanted) -> DatabaseTape:
    """Return the tape of a series as the database at ``dsn`` has it.

    Raises:
        InvalidValue: a series that is not known.
    """
    tickers.series_of(wanted.series)
    return DatabaseTape(dsn, wanted)


class DatabaseTape:
    """See the module."""

    is_synthetic = False

    def __init__(self, dsn: str, wanted: Wanted) -> None:
        self._dsn = dsn
        self._wanted = wanted
        self._tally = _new_tally()
        self.name = f"database:{wanted.series}"
        self.caveat = (
            "What the history holds: recorded hours say nothing about other days. Prices are those of a "
            "venue, not of the settlement index. Where the size of a quote was not recorded, "
            f"{wanted.size} contract(s) are assumed."
        )

    def events(self) -> Iterator[Event]:
        """Yield everything in order.

        Raises:
            InvalidValue: nothing is stored of the series in that time, or prices of several sources.
            Unavailable: the database is away.
        """
        self._tally = _new_tally()
        with closing(history_read.opened(self._dsn)) as connection:
            yield from _Reading(connection, self._wanted, self._tally).events()

    def coverage(self) -> Coverage:
        """Return what was there."""
        return self._tally.coverage()


class _Reading:
    def __init__(self, connection: Connection, wanted: Wanted, tally: Tally) -> None:
        self._connection = connection
        self._wanted = wanted
        self._tally = tally
        self._closes = Closes(tally)
        self._series = tickers.SERIES[wanted.series]
        self._held = [
            one for one in history_read.held(connection) if one.symbol == self._series.symbol
        ]
        self._seq = 0
        self._seen: set[str] = set()
        self._whole: set[str] = set()
        self._booked: set[str] = set()

    def events(self) -> Iterator[Event]:
        since_us, until_us = self._span()
        prices = self._prices(since_us, until_us)
        streams = (
            self._markets(since_us, until_us),
            prices,
            *(self._recorded(channel, since_us, until_us) for channel in _CHANNELS),
        )
        self._tally.span(since_us)
        yield messages.status(since_us)
        for event in heapq.merge(*streams, key=_at_us):
            if isinstance(event, Settled) and not self._closes.settle(event.ticker):
                continue
            if isinstance(event, EventMarkets):
                self._seen.update(market.ticker for market in event.markets)
            elif not isinstance(event, Settled):
                # A result that comes later does not make the tape longer.
                self._tally.span(event.at_us)
            yield event
        self._closes.finish()

    def _span(self) -> tuple[int, int]:
        wanted = self._wanted
        recorded = [one for one in self._held if one.kind in _CHANNELS]
        if not recorded:
            raise InvalidValue(
                f"the history holds no quotes, books or trades of {self._series.symbol}: see "
                "recio history show"
            )
        since_us = max(wanted.since_us, min(one.first_us for one in recorded))
        until_us = min(wanted.until_us, max(one.last_us for one in recorded) + SECOND_US)
        if since_us >= until_us:
            raise InvalidValue(f"the history holds nothing of {wanted.series} in that time")
        return since_us // MINUTE_US * MINUTE_US, until_us

    def _source(self, kind: str, since_us: int, until_us: int) -> str | None:
        found = [
            one.source
            for one in self._held
            if one.kind == kind and _overlaps(one, since_us, until_us)
            and self._wanted.source in {"", one.source}
        ]  # fmt: skip
        if len(found) > 1:
            raise InvalidValue(
                f"{kind} of {self._series.symbol} come from {', '.join(found)}: name one"
            )
        return found[0] if found else None

    def _rows(
        self, kind: str, since_us: int, until_us: int, step_us: int, source: str = ""
    ) -> Iterator[tuple[Any, ...]]:
        for from_us in range(since_us, until_us, step_us):
            yield from history_read.listed(
                self._connection,
                kind,
                Stretch(
                    symbol=self._series.symbol,
                    source=source,
                    since_us=from_us,
                    until_us=min(from_us + step_us, until_us),
                ),
            )

    def _prices(self, since_us: int, until_us: int) -> Iterator[Event]:
        seconds = self._source("seconds", since_us, until_us)
        minutes = self._source("minutes", since_us - DAY_US, until_us)
        if minutes is not None:
            rows = self._rows("minutes", since_us - DAY_US, since_us, DAY_US, minutes)
            ended = [(row[0], row[4]) for row in rows]
            if ended:
                yield messages.history(self._series.symbol, since_us, ended, minutes)
        if seconds is not None:
            known_us = since_us if minutes is not None else since_us - DAY_US
            rows = self._rows("seconds", known_us, until_us, DAY_US, seconds)
            pairs = ((at_us // SECOND_US, price) for at_us, price in rows)
            yield from spot_events(
                self._series.symbol, pairs, self._tally, self._closes, since_us=since_us
            )
        elif minutes is not None:
            for row in self._rows("minutes", since_us, until_us, DAY_US, minutes):
                self._tally.prices.hear(row[0])
                self._closes.priced(row[0], self._cadence_us)
                yield messages.price(self._series.symbol, row[0], row[4])

    @property
    def _cadence_us(self) -> int:
        return self._series.cadence_seconds * SECOND_US

    def _markets(self, since_us: int, until_us: int) -> Iterator[Event]:
        """Yield each event when it opens, its strikes when they are known, and its results."""
        due: list[tuple[int, int, Event]] = []
        numbers = count()
        last_us = until_us + self._cadence_us
        rows = self._rows("settlements", since_us, last_us, DAY_US)
        for close_us, group in _by_close(rows, self._wanted.series):
            open_us = max(close_us - self._cadence_us, since_us)
            while due and due[0][0] <= open_us:
                yield heapq.heappop(due)[2]
            for event in self._of_close(close_us, open_us, group):
                heapq.heappush(due, (event.at_us, next(numbers), event))
        while due:
            yield heapq.heappop(due)[2]

    def _of_close(
        self, close_us: int, open_us: int, group: list[tuple[Any, ...]]
    ) -> Iterator[Event]:
        strikes = {row[2]: row[3] for row in group}
        known_us = max(close_us - self._cadence_us + KNOWN_AFTER_US, open_us)
        if self._series.has_ladder:
            event_ticker = tickers.parse_market(group[0][2]).event_ticker
            floors = sorted(strike for strike in strikes.values() if strike is not None)
            yield messages.ladder_event(event_ticker, floors, open_us)
        else:
            for ticker, strike in strikes.items():
                yield messages.window_event(ticker, None, open_us)
                if strike is not None:
                    yield messages.window_event(ticker, strike, known_us)
        for _, _, ticker, _, value, settled_us, result in group:
            if result is not None:
                at_us = max(settled_us or close_us + STATED_AFTER_US, close_us)
                event_ticker = tickers.parse_market(ticker).event_ticker
                yield Settled(ticker, event_ticker, result, at_us, value)

    def _recorded(self, channel: str, since_us: int, until_us: int) -> Iterator[Event]:
        """Yield what the blocks of a channel say, all markets merged by time."""
        if channel == "quotes":
            self._booked = history_read.recorded_tickers(
                self._connection,
                "books",
                Stretch(symbol=self._series.symbol, since_us=since_us - HOUR_US, until_us=until_us),
            )
        heap: list[tuple[int, int, Event, Iterator[Event]]] = []
        numbers = count()
        for row in self._rows(channel, since_us - HOUR_US, until_us, HOUR_US):
            _, ticker, first_us, _, format_, digest, body = row
            if tickers.series_of(ticker).ticker != self._wanted.series:
                continue
            yield from self._until(heap, first_us, numbers)
            times, columns, extra = unpack(
                bytes(body), bytes(digest), first_us=first_us, format_=format_
            )
            made = _MAKERS[channel](self, ticker, times, columns, extra)
            inside = (event for event in made if since_us <= event.at_us < until_us)
            _push(heap, inside, numbers)
        yield from self._until(heap, _LAST_US, numbers)

    def _until(
        self, heap: list[tuple[int, int, Event, Iterator[Event]]], at_us: int, numbers: count[int]
    ) -> Iterator[Event]:
        while heap and heap[0][0] < at_us:
            _, _, event, rest = heapq.heappop(heap)
            yield from self._heard(event)
            _push(heap, rest, numbers)

    def _heard(self, event: Event) -> Iterator[Event]:
        ticker = getattr(event, "ticker", "") or event.quotes[0].ticker  # type: ignore[union-attr]
        close_us = tickers.parse_market(ticker).close_us
        if ticker not in self._seen:
            self._seen.add(ticker)
            if not self._series.has_ladder:
                yield messages.window_event(ticker, None, event.at_us)
        self._tally.rows += 1
        self._tally.quotes.hear(event.at_us)
        if event.at_us < close_us:
            self._closes.quoted(ticker, close_us, event.at_us)
        yield event

    def books(
        self, ticker: str, times: list[int], columns: Columns, extra: Extra
    ) -> Iterator[Event]:
        """Yield the events of a block of a book."""
        books, reasons = iter(extra.books), iter(extra.reasons)
        for at_us, what, price, delta in zip(times, *columns, strict=True):
            if what == LOADED:
                yes, no = next(books)
                if price != KEPT_ON or ticker not in self._whole:
                    yield Loaded(ticker, yes, no, at_us)
                self._whole.add(ticker)
            elif what == LOST:
                self._whole.discard(ticker)
                yield Lost(ticker, next(reasons), at_us)
            else:
                yield Changed(ticker, what == YES, price, delta, at_us)

    def trades(
        self, ticker: str, times: list[int], columns: Columns, _extra: Extra
    ) -> Iterator[Event]:
        """Yield the events of a block of trades."""
        for at_us, price, qty, taker in zip(times, *columns, strict=True):
            yield Traded(ticker, at_us, price, qty, None if taker < 0 else bool(taker))

    def quotes(
        self, ticker: str, times: list[int], columns: Columns, _extra: Extra
    ) -> Iterator[Event]:
        """Yield the events of a block of tops; of a market with books only its volume."""
        event_ticker = tickers.parse_market(ticker).event_ticker
        for at_us, bid, ask, bid_qty, ask_qty, volume in zip(times, *columns, strict=True):
            if ticker in self._booked:
                if volume >= 0:
                    yield Traded(ticker, at_us, volume_e2=volume)
                continue
            self._seq += 1
            quote = MarketQuote(
                ticker=ticker,
                yes_bid_e4=known(bid),
                yes_bid_qty_e2=self._size(bid, bid_qty),
                yes_ask_e4=known(ask),
                yes_ask_qty_e2=self._size(ask, ask_qty),
                volume_e2=known(volume),
                at_us=at_us,
                seq=self._seq,
                is_valid=True,
            )
            yield messages.books(event_ticker, (quote,), at_us, is_full=False)

    def _size(self, price: int, qty: int) -> int:
        if price < 0:
            return 0
        return qty if qty >= 0 else self._wanted.size * CONTRACT_E2


Maker = Callable[[_Reading, str, list[int], Columns, Extra], Iterator[Event]]
_MAKERS: Final[dict[str, Maker]] = {
    "books": _Reading.books,
    "trades": _Reading.trades,
    "quotes": _Reading.quotes,
}


def _push(
    heap: list[tuple[int, int, Event, Iterator[Event]]],
    events: Iterator[Event],
    numbers: count[int],
) -> None:
    event = next(events, None)
    if event is not None:
        heapq.heappush(heap, (event.at_us, next(numbers), event, events))


def _by_close(
    rows: Iterable[tuple[Any, ...]], series: str
) -> Iterator[tuple[int, list[tuple[Any, ...]]]]:
    group: list[tuple[Any, ...]] = []
    for row in rows:
        if tickers.series_of(row[2]).ticker != series:
            continue
        if group and group[0][1] != row[1]:
            yield group[0][1], group
            group = []
        group.append(row)
    if group:
        yield group[0][1], group


def _overlaps(one: Held, since_us: int, until_us: int) -> bool:
    return one.first_us < until_us and one.last_us >= since_us


def _at_us(event: Event) -> int:
    return event.at_us


def _new_tally() -> Tally:
    return Tally(
        Track(_SILENCE_US, "no quotes were recorded"),
        Track(MINUTE_US + 5 * SECOND_US, "no prices were recorded"),
    )
