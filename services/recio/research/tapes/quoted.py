"""Tapes of recorded best bid and ask of 15-minute markets, with spot beside them.

Two forms are known by their columns: ``yes_bid_cents,yes_ask_cents,volume,floor_strike`` (a row every
two seconds, with the strike) and ``yes_bid,yes_ask,spot_ok`` in dollars (without one). Sizes at the top
were not recorded in either: ``size`` contracts are assumed, one unless asked otherwise.

A strike that was not recorded is the mean of the recorded spot over the minute before the window, if
three quarters of that minute are there; it is an estimate some basis points off, and without it the
market is not tradable. A result is the next window's recorded strike; failing that, what the quotes of
the last half minute say beyond 0.90; else it is unknown. A bid of 0 and an ask of 1 are empty sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from recio.domain import tickers
from recio.domain.errors import InvalidValue
from recio.domain.messages import MarketQuote
from recio.domain.settlement import NO_MEAN, RunningMean, result_of
from recio.domain.units import CENT_E6, CONTRACT_E2, MINUTE_US, PRICE_ONE_E4, SECOND_US
from recio.engine.tape import Event
from recio.research.tapes import messages
from recio.research.tapes.closes import Closes
from recio.research.tapes.reading import header_of, number, rows, time_us
from recio.research.tapes.results import STATED_AFTER_US
from recio.research.tapes.settling import Settling
from recio.research.tapes.tally import Tally, Track
from recio.research.tapes.tape import Coverage
from recio.research.tapes.windows import RunningWindow

_WITH_STRIKE: Final = (
    "ts_ms", "ticker", "yes_bid_cents", "yes_ask_cents", "spot", "volume", "floor_strike",
)  # fmt: skip
_WITHOUT: Final = ("ts_ms", "ticker", "yes_bid", "yes_ask", "spot", "spot_ok")
_UNUSED: Final = ("open_interest", "yes_depth", "no_depth")
_WINDOW_US: Final = 15 * MINUTE_US
_SILENCE_US: Final = 10 * SECOND_US
_LAST_US: Final = 30 * SECOND_US
_DECIDED_E4: Final = 9_000
_LEAST_SAMPLES: Final = 45
_MOST_USD: Final = 10_000_000


class Row(NamedTuple):
    """One row; prices on the YES scale, None where a side is empty or a value is not known."""

    at_us: int
    ticker: str
    bid_e4: int | None
    ask_e4: int | None
    spot_usd_e6: int | None
    volume_e2: int | None
    strike_usd_e6: int | None


class QuotesTape:
    """See the module."""

    is_synthetic = False

    def __init__(self, name: str, paths: Sequence[Path], *, size: int = 1) -> None:
        self.name = name
        self.caveat = (
            f"Real best bids and asks; their sizes were not recorded: {size} contract(s) assumed. "
            "Spot stands for the settlement index. A strike that was not recorded is an estimate. "
            "Hours of one day say nothing about other days."
        )
        self._paths = tuple(paths)
        self._size_e2 = size * CONTRACT_E2
        self._tally = _new_tally()

    def events(self) -> Iterator[Event]:
        """Yield everything in order.

        Raises:
            InvalidValue: a file is none of this kind, or not one row of it can be used.
        """
        tally = self._tally = _new_tally()
        closes = Closes(tally)
        player = _Player(tally, closes, self._size_e2)
        for path in self._paths:
            before = tally.rows
            for row in read_rows(path, tally):
                yield from player.row(row)
            tally.expect_rows(path.name, before)
        yield from player.finish()
        closes.finish()

    def coverage(self) -> Coverage:
        """Return what was there."""
        return self._tally.coverage()


def read_rows(path: Path, tally: Tally) -> Iterator[Row]:
    """Yield the rows of a file; what is none is counted.

    Raises:
        InvalidValue: the file has neither form, or cannot be read.
    """
    has_strike = "floor_strike" in header_of(path)
    columns = _WITH_STRIKE if has_strike else _WITHOUT
    for row in rows(path, columns, tally, known=_UNUSED):
        try:
            yield decode(row, has_strike=has_strike)
        except InvalidValue as error:
            tally.refuse(str(error))


def decode(row: Sequence[str], *, has_strike: bool) -> Row:
    """Return what one row says.

    Raises:
        InvalidValue: it is none; the message is a reason to count by.
    """
    moment, ticker, bid, ask, spot, *rest = row
    at_us = time_us(moment, "milliseconds")
    try:
        named = tickers.parse_market(ticker)
    except InvalidValue as error:
        raise InvalidValue("quote of a market that is not known") from error
    if tickers.SERIES[named.series].has_ladder:
        raise InvalidValue("quote of a market that is not a 15-minute one")
    if not named.close_us - _WINDOW_US <= at_us < named.close_us:
        raise InvalidValue("quote outside of its market's window")
    most, scale = (100, 100) if has_strike else (1, PRICE_ONE_E4)
    bid_e4 = round(number(bid, "bid", 0, most) * scale)
    ask_e4 = round(number(ask, "ask", 0, most) * scale)
    if 0 < ask_e4 <= bid_e4:
        raise InvalidValue("quote that is crossed")
    volume = strike = None
    is_spot_good = bool(spot)
    if has_strike:
        volume = round(number(rest[0], "volume", 0, 1e9) * CONTRACT_E2) if rest[0] else None
        strike = round(number(rest[1], "strike", 1, _MOST_USD) * 100) * CENT_E6 if rest[1] else None
    else:
        is_spot_good = is_spot_good and rest[0] == "1"
    usd = round(number(spot, "spot", 1, _MOST_USD) * 1_000_000) if is_spot_good else None
    return Row(
        at_us,
        ticker,
        bid_e4 if 0 < bid_e4 < PRICE_ONE_E4 else None,
        ask_e4 if 0 < ask_e4 < PRICE_ONE_E4 else None,
        usd,
        volume,
        strike,
    )


class _Market:
    __slots__ = ("close_us", "last", "strike_usd_e6")

    def __init__(self, close_us: int) -> None:
        self.close_us = close_us
        self.strike_usd_e6: int | None = None
        self.last: Row | None = None


class _Symbol:
    __slots__ = ("at_us", "ended", "window")

    def __init__(self) -> None:
        self.at_us = 0
        self.window = RunningWindow()
        self.ended: RunningMean = NO_MEAN


class _Player:
    def __init__(self, tally: Tally, closes: Closes, size_e2: int) -> None:
        self._tally = tally
        self._closes = closes
        self._size_e2 = size_e2
        self._settling = Settling(closes)
        self._markets: dict[str, _Market] = {}
        self._symbols: dict[str, _Symbol] = {}
        self._now_us = self._seq = 0

    def row(self, row: Row) -> Iterator[Event]:
        """Yield what follows from one row."""
        if row.at_us < self._now_us:
            self._tally.refuse("quote out of order")
            return
        known = self._markets.get(row.ticker)
        if known is not None and known.last == row:
            self._tally.refuse("duplicate quote")
            return
        if not self._now_us:
            yield messages.status(row.at_us)
        self._now_us = row.at_us
        self._tally.rows += 1
        self._tally.span(row.at_us)
        self._settle(row.at_us)
        yield from self._settling.until(row.at_us)
        yield from self._price(row)
        yield from self._quote(row)

    def finish(self) -> Iterator[Event]:
        """Yield the results that are stated after the last row."""
        self._settle(self._now_us + STATED_AFTER_US)
        yield from self._settling.rest()

    def _price(self, row: Row) -> Iterator[Event]:
        if row.spot_usd_e6 is None:
            return
        name = tickers.series_of(row.ticker).symbol
        symbol = self._symbols.setdefault(name, _Symbol())
        if row.at_us == symbol.at_us:
            return
        symbol.at_us = row.at_us
        mean = symbol.window.add(row.at_us // SECOND_US, row.spot_usd_e6)
        if mean.close_us is not None:
            symbol.ended = mean
        self._tally.prices.hear(row.at_us)
        self._closes.priced(row.at_us, _WINDOW_US)
        yield messages.price(name, row.at_us, row.spot_usd_e6, mean)

    def _quote(self, row: Row) -> Iterator[Event]:
        market = self._markets.get(row.ticker)
        is_new = market is None
        if market is None:
            market = self._markets[row.ticker] = _Market(tickers.parse_market(row.ticker).close_us)
        strike = row.strike_usd_e6 or market.strike_usd_e6 or self._estimate(row, market)
        if is_new or strike != market.strike_usd_e6:
            market.strike_usd_e6 = strike
            yield messages.window_event(row.ticker, strike, row.at_us)
        market.last = row
        self._seq += 1
        self._tally.quotes.hear(row.at_us)
        self._closes.quoted(row.ticker, market.close_us, row.at_us)
        quote = MarketQuote(
            ticker=row.ticker,
            yes_bid_e4=row.bid_e4,
            yes_bid_qty_e2=0 if row.bid_e4 is None else self._size_e2,
            yes_ask_e4=row.ask_e4,
            yes_ask_qty_e2=0 if row.ask_e4 is None else self._size_e2,
            volume_e2=row.volume_e2,
            at_us=row.at_us,
            seq=self._seq,
            is_valid=True,
        )
        event_ticker = tickers.parse_market(row.ticker).event_ticker
        yield messages.books(event_ticker, (quote,), row.at_us)

    def _estimate(self, row: Row, market: _Market) -> int | None:
        symbol = self._symbols.get(tickers.series_of(row.ticker).symbol)
        if symbol is None:
            return None
        average, samples, close_us = symbol.ended
        if average is None or samples < _LEAST_SAMPLES or close_us != market.close_us - _WINDOW_US:
            return None
        return (2 * average + CENT_E6) // (2 * CENT_E6) * CENT_E6

    def _settle(self, now_us: int) -> None:
        """Find the results of markets that closed long enough ago; forget these markets."""
        for ticker, market in tuple(self._markets.items()):
            if now_us >= market.close_us + STATED_AFTER_US:
                del self._markets[ticker]
                value = self._next_strike(ticker, market)
                if value is not None and market.strike_usd_e6 is not None:
                    result = result_of(value, market.strike_usd_e6, "greater_or_equal")
                else:
                    result = _said_by(market)
                if result:
                    self._settling.find_out(ticker, market.close_us, result, value)

    def _next_strike(self, ticker: str, market: _Market) -> int | None:
        """Return the recorded strike of the window after a market's."""
        series = tickers.series_of(ticker).ticker
        event_ticker = tickers.format_event(series, market.close_us + _WINDOW_US)
        following = self._markets.get(tickers.format_market(event_ticker))
        last = None if following is None else following.last
        return None if last is None else last.strike_usd_e6


def _said_by(market: _Market) -> str:
    """Return what the last quotes of a market say about its result, or nothing."""
    last = market.last
    if last is None or market.close_us - last.at_us > _LAST_US:
        return ""
    if last.bid_e4 is not None and last.bid_e4 >= _DECIDED_E4:
        return "yes"
    is_no = last.ask_e4 is not None and last.ask_e4 <= PRICE_ONE_E4 - _DECIDED_E4
    return "no" if is_no else ""


def _new_tally() -> Tally:
    return Tally(
        Track(_SILENCE_US, "no quotes were recorded"), Track(_SILENCE_US, "no spot was recorded")
    )
