"""Tapes of public trades: ``ticker,ts_ms,yes_price,count,taker`` of consecutive 15-minute markets.

No book was recorded, so quotes are inferred, and conservatively: who bought YES paid the ask, who
bought NO hit the bid; the last of each stands for ``VALID_US`` with the size of that one trade. Where
both cross, the older one goes. An order larger than the last trade is not filled in full, and a side
at which nobody traded lately is empty.

Prices are minute closes, known at the end of their minute: between them the price grows old, and a
strategy that asks for a fresh one decides in the seconds after a minute's end only. The strike is the
recorded one or the settlement before; where neither is known it is the mean of open, high, low and
close of the minute before the window, at the venue of the minutes. The result is the recorded one;
otherwise the last minute's last trade says it, at 0.90 or more YES, at 0.10 or less NO, else it is
unknown.

One market is held in memory. A market's rows stand together; what comes late is put in order, what
belongs to a market that is over is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from recio.domain import tickers
from recio.domain.errors import InvalidValue
from recio.domain.messages import MarketQuote
from recio.domain.units import (
    CENT_E6,
    MINUTE_US,
    PRICE_ONE_E4,
    SECOND_US,
    parse_price_e4,
    parse_qty_e2,
)
from recio.engine.tape import Event, Traded
from recio.research.tapes import messages
from recio.research.tapes.bars import Bar
from recio.research.tapes.closes import Closes
from recio.research.tapes.reading import NEWEST_S, rows, time_us
from recio.research.tapes.results import Result
from recio.research.tapes.settling import Settling
from recio.research.tapes.tally import Tally, Track
from recio.research.tapes.tape import Coverage

VALID_US: Final = 5 * SECOND_US
_COLUMNS: Final = ("ticker", "ts_ms", "yes_price", "count", "taker")
_WINDOW_US: Final = 15 * MINUTE_US
_WARM_S: Final = 86_400
_MOST_E2: Final = 10**11
_DECIDED_E4: Final = 9_000
_CAVEAT: Final = (
    "Real trades, inferred quotes: the last price at which each side was taken stands for "
    f"{VALID_US // SECOND_US} seconds with that trade's size. Prices are minute closes of another "
    "venue than the settlement index. A night and a morning say nothing about other days."
)


class Bars(Protocol):
    """A source of minutes."""

    def read(self, since_s: int, until_s: int, tally: Tally) -> Iterator[Bar]:
        """Yield the bars that open in a period, ascending."""
        ...


class Trade(NamedTuple):
    """One public trade."""

    at_us: int
    yes_price_e4: int
    qty_e2: int
    is_taker_yes: bool


class Window(NamedTuple):
    """One market and all its trades, in order of time."""

    ticker: str
    close_us: int
    trades: list[Trade]


class TradesTape:
    """See the module. ``bars`` None: there are no prices, hence no probabilities."""

    is_synthetic = False
    caveat = _CAVEAT

    def __init__(
        self,
        name: str,
        paths: Sequence[Path],
        bars: Bars | None,
        results: Callable[[Tally], Iterable[Result]],
    ) -> None:
        self.name = name
        self._paths = tuple(paths)
        self._bars = bars
        self._results = results
        self._tally = _new_tally()

    def events(self) -> Iterator[Event]:
        """Yield everything in order.

        Raises:
            InvalidValue: a file is none of this kind, or not one trade of it can be used.
        """
        tally = self._tally = _new_tally()
        closes = Closes(tally)
        settling = Settling(closes, self._results(tally))
        prices: _Prices | None = None
        for window in windows(self._paths, tally):
            if prices is None:
                first_us = window.close_us - _WINDOW_US
                tally.span(first_us)
                yield messages.status(first_us)
                symbol = tickers.series_of(window.ticker).symbol
                prices = _Prices(symbol, self._bars, tally, closes, first_us)
                yield from prices.warm()
            yield from _Inferred(window, prices, settling, tally, closes).events()
        if prices is None:
            tally.expect_rows(self.name, tally.rows)
        else:
            yield from prices.until(tally.last_us)
        yield from settling.rest()
        closes.finish()

    def coverage(self) -> Coverage:
        """Return what was there."""
        return self._tally.coverage()


def windows(paths: Iterable[Path], tally: Tally) -> Iterator[Window]:
    """Yield market after market, in order of their closes.

    Raises:
        InvalidValue: a file cannot be read, or lacks a column.
    """
    current: Window | None = None
    refused = ""
    for path in paths:
        for row in rows(path, _COLUMNS, tally):
            if row[0] == refused:
                tally.refuse("trade of a market that cannot be played")
                continue
            if current is None or row[0] != current.ticker:
                following = _begin(row[0], current)
                if following is None:
                    refused = row[0]
                    tally.refuse("trade of a market that cannot be played")
                    continue
                if current is not None and current.trades:
                    yield current
                current = following
            _append(current, row, tally)
    if current is not None and current.trades:
        current.trades.sort(key=lambda trade: trade.at_us)
        yield current


def decode(row: Sequence[str], close_us: int) -> Trade:
    """Return the trade in one row of a market that closes then.

    Raises:
        InvalidValue: it is none; the message is a reason to count by.
    """
    _, moment, price, count, taker = row
    at_us = time_us(moment, "milliseconds")
    try:
        price_e4, qty_e2 = parse_price_e4(price), parse_qty_e2(count)
    except InvalidValue as error:
        raise InvalidValue("trade whose price is not in dollars or whose count is none") from error
    if not 0 < price_e4 < PRICE_ONE_E4 or not 0 < qty_e2 <= _MOST_E2:
        raise InvalidValue("trade at no price or of nothing")
    if taker not in ("y", "n"):
        raise InvalidValue("trade whose taker is neither y nor n")
    if not close_us - _WINDOW_US <= at_us < close_us:
        raise InvalidValue("trade outside of its market's window")
    return Trade(at_us, price_e4, qty_e2, taker == "y")


def _begin(ticker: str, before: Window | None) -> Window | None:
    """Return a new market; None: it is none of ours, or not later than the one before."""
    try:
        named = tickers.parse_market(ticker)
    except InvalidValue:
        return None
    if tickers.SERIES[named.series].has_ladder:
        return None
    if before is not None:
        before.trades.sort(key=lambda trade: trade.at_us)
        is_same_series = before.ticker.partition("-")[0] == named.series
        if named.close_us <= before.close_us or not is_same_series:
            return None
    return Window(ticker, named.close_us, [])


def _append(window: Window, row: list[str], tally: Tally) -> None:
    try:
        trade = decode(row, window.close_us)
    except InvalidValue as error:
        tally.refuse(str(error))
        return
    if window.trades and trade.at_us < window.trades[-1].at_us:
        tally.refuse("trade out of order (put in order and used)")
    tally.rows += 1
    window.trades.append(trade)


class _Prices:
    """Minute closes at the end of their minutes."""

    def __init__(
        self, symbol: str, bars: Bars | None, tally: Tally, closes: Closes, first_us: int
    ) -> None:
        self._symbol = symbol
        self._tally = tally
        self._closes = closes
        self._first_us = first_us
        first_s = first_us // SECOND_US
        empty: Iterator[Bar] = iter(())
        self._bars = empty if bars is None else bars.read(first_s - _WARM_S, NEWEST_S, tally)
        self._next = next(self._bars, None)
        self._last: Bar | None = None

    def warm(self) -> Iterator[Event]:
        """Yield the closes of the day before."""
        minutes = []
        while self._next is not None and _end_us(self._next) <= self._first_us:
            minutes.append((_end_us(self._next), self._next.close * CENT_E6))
            self._last, self._next = self._next, next(self._bars, None)
        if minutes:
            yield messages.history(self._symbol, self._first_us, minutes, "minutes")

    def until(self, at_us: int) -> Iterator[Event]:
        """Yield the closes of minutes that ended by a time."""
        while self._next is not None and (end_us := _end_us(self._next)) <= at_us:
            self._tally.prices.hear(end_us)
            self._closes.priced(end_us, _WINDOW_US)
            yield messages.price(self._symbol, end_us, self._next.close * CENT_E6)
            self._last, self._next = self._next, next(self._bars, None)

    def mean_before(self, open_us: int) -> int | None:
        """Return the mean of the minute that ended at a time."""
        if self._last is None or _end_us(self._last) != open_us:
            return None
        return (2 * sum(self._last[1:]) + 4) // 8 * CENT_E6


class _Inferred:
    """The events of one market."""

    def __init__(
        self, window: Window, prices: _Prices, settling: Settling, tally: Tally, closes: Closes
    ) -> None:
        self._window = window
        self._prices = prices
        self._settling = settling
        self._tally = tally
        self._closes = closes
        self._event_ticker = tickers.parse_market(window.ticker).event_ticker
        self._bid: Trade | None = None
        self._ask: Trade | None = None
        self._volume_e2 = self._seq = 0

    def events(self) -> Iterator[Event]:
        """Yield the market, its trades, the quotes that follow from them, and prices between."""
        window = self._window
        open_us = window.close_us - _WINDOW_US
        yield from self._pass(open_us)
        strike = self._strike(open_us)
        if strike is not None:
            self._closes.strike(window.ticker, strike)
        yield messages.window_event(window.ticker, strike, open_us)
        for trade in window.trades:
            yield from self._pass(trade.at_us)
            yield from self._trade(trade)
        yield from self._pass(window.close_us - 1)
        last = window.trades[-1]
        if window.close_us - last.at_us <= MINUTE_US:
            yes_e4 = last.yes_price_e4
            if yes_e4 >= _DECIDED_E4 or yes_e4 <= PRICE_ONE_E4 - _DECIDED_E4:
                result = "yes" if yes_e4 >= _DECIDED_E4 else "no"
                self._settling.find_out(window.ticker, window.close_us, result, None)
        self._tally.span(window.close_us)

    def _strike(self, open_us: int) -> int | None:
        own = self._settling.recorded(self._window.ticker)
        if own is not None and own.strike_usd_e6 is not None:
            return own.strike_usd_e6
        series = tickers.series_of(self._window.ticker).ticker
        before = tickers.format_market(tickers.format_event(series, open_us))
        result = self._settling.recorded(before)
        if result is not None and result.settlement_usd_e6 is not None:
            return result.settlement_usd_e6
        return self._prices.mean_before(open_us)

    def _pass(self, at_us: int) -> Iterator[Event]:
        """Let time come to a moment: quotes grow too old, minutes end, results are stated."""
        while (due_us := self._expires_us()) is not None and due_us <= at_us:
            yield from self._prices.until(due_us)
            yield from self._settling.until(due_us)
            yield self._expire(due_us)
        yield from self._prices.until(at_us)
        yield from self._settling.until(at_us)

    def _expires_us(self) -> int | None:
        sides = [side.at_us + VALID_US for side in (self._bid, self._ask) if side is not None]
        return min(sides, default=None)

    def _expire(self, at_us: int) -> Event:
        self._bid = _still(self._bid, at_us)
        self._ask = _still(self._ask, at_us)
        return self._book(at_us)

    def _trade(self, trade: Trade) -> Iterator[Event]:
        self._volume_e2 += trade.qty_e2
        yield Traded(
            ticker=self._window.ticker,
            at_us=trade.at_us,
            yes_price_e4=trade.yes_price_e4,
            qty_e2=trade.qty_e2,
            is_taker_yes=trade.is_taker_yes,
            volume_e2=self._volume_e2,
        )
        price_e4 = trade.yes_price_e4
        if trade.is_taker_yes:
            self._ask = trade
            if self._bid is not None and self._bid.yes_price_e4 >= price_e4:
                self._bid = None
        else:
            self._bid = trade
            if self._ask is not None and self._ask.yes_price_e4 <= price_e4:
                self._ask = None
        self._tally.quotes.hear(trade.at_us)
        self._closes.quoted(self._window.ticker, self._window.close_us, trade.at_us)
        yield self._book(trade.at_us)

    def _book(self, at_us: int) -> Event:
        self._seq += 1
        bid, ask = self._bid, self._ask
        quote = MarketQuote(
            ticker=self._window.ticker,
            yes_bid_e4=None if bid is None else bid.yes_price_e4,
            yes_bid_qty_e2=0 if bid is None else bid.qty_e2,
            yes_ask_e4=None if ask is None else ask.yes_price_e4,
            yes_ask_qty_e2=0 if ask is None else ask.qty_e2,
            volume_e2=self._volume_e2,
            at_us=at_us,
            seq=self._seq,
            is_valid=True,
        )
        return messages.books(self._event_ticker, (quote,), at_us)


def _still(side: Trade | None, at_us: int) -> Trade | None:
    return None if side is None or side.at_us + VALID_US <= at_us else side


def _end_us(bar: Bar) -> int:
    return bar.start_s * SECOND_US + MINUTE_US


def _new_tally() -> Tally:
    return Tally(
        Track(MINUTE_US, "no trade"), Track(MINUTE_US + 5 * SECOND_US, "no minutes were there")
    )
