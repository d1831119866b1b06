"""Rows of a table as rows of the database, one generator for each kind of file.

A generator yields what is good and counts the rest in ``Refusals``; it never raises for a row. Rows
have to follow each other in time. Minutes and seconds may also come newest first (as many downloads
do): which of the two, the first two rows say. A row that goes the other way is out of order, and one
at the time of the row before is a duplicate, or a contradiction if it says something else. A price
three times as high or a third of the one before within a day is another unit, not a market.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

from recio.domain.errors import InvalidValue
from recio.domain.tickers import SERIES, parse_market
from recio.domain.units import MINUTE_US, SECOND_US
from recio.research.history.blocks import Block, unknown
from recio.research.history.files import Row, Table
from recio.research.history.kinds import Plan
from recio.research.history.refusals import Refusals, Refused
from recio.research.history.values import Times, time_unit, usd_e6, volume_e8

T = TypeVar("T")

DAY_US: Final = 86_400 * SECOND_US
JUMP: Final = 3
TICKERS_KEPT: Final = 4096
"""Markets of which the last row is remembered: of one that was quiet for longer no order is known."""
_RESULTS: Final = {"yes": "yes", "no": "no", "y": "yes", "n": "no"}

Minute = tuple[int, int, int, int, int, int | None]
"""End of the minute, open, high, low, close, volume_e8."""
Second = tuple[int, int]
Market = tuple[str, int, str, int | None, int | None, int | None, str | None]
"""Symbol, close, ticker, strike, value, when it was settled, result."""
Item = Minute | Second | Market | Block


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How to read a file, beyond its columns."""

    latest_us: int
    is_utc: bool = False
    is_stamp_close: bool = False
    prices: str = ""


def times_of(plan: Plan, role: str, reading: Reading) -> Times:
    """Return the reader of a column of times."""
    return Times(time_unit(plan.name(role)), latest_us=reading.latest_us, is_utc=reading.is_utc)


class Course:
    """The way that the times of one series go: up or down, as the first two rows say."""

    def __init__(self) -> None:
        self._last_us = 0
        self._last: tuple[int, ...] = ()
        self._way = 0

    def check(self, at_us: int, values: tuple[int, ...]) -> None:
        """Refuse a row that is no step further.

        Raises:
            Refused: a duplicate, a contradiction, out of order, or a price in another unit.
        """
        step = at_us - self._last_us
        if step * self._way <= 0 and self._last_us:
            self._judge(step, values)
        last = self._last
        if last and abs(step) <= DAY_US and not last[0] < JUMP * values[0] < JUMP * JUMP * last[0]:
            raise Refused("price jumps threefold within a day", f"{last[0]} to {values[0]} e-6")
        self._last_us, self._last = at_us, values

    def _judge(self, step: int, values: tuple[int, ...]) -> None:
        if not step:
            reason = "duplicate" if values == self._last else "duplicate that says otherwise"
            raise Refused(reason, f"after {self._last_us}")
        if self._way:
            raise Refused("out of order", f"after {self._last_us}")
        self._way = 1 if step > 0 else -1


def minutes(table: Table, plan: Plan, reading: Reading, refusals: Refusals) -> Iterator[Minute]:
    """Yield the minutes of one symbol."""
    time, course = times_of(plan, "time", reading), Course()
    i_time, i_open, i_high, i_low, i_close, i_volume = map(
        plan.place, ("time", "open", "high", "low", "close", "volume")
    )
    later_us = 0 if reading.is_stamp_close else MINUTE_US
    for number, row in table.rows:
        try:
            at_us = time(row[i_time])
            if at_us % MINUTE_US:
                raise Refused("time not on a minute", row[i_time])  # noqa: TRY301
            opened, high = usd_e6(row[i_open]), usd_e6(row[i_high])
            low, close = usd_e6(row[i_low]), usd_e6(row[i_close])
            volume = volume_e8(row[i_volume]) if i_volume >= 0 else None
            if high < opened or high < close or low > opened or low > close:
                raise Refused("open, high, low and close contradict each other", ",".join(row))  # noqa: TRY301
            course.check(at_us, (close, opened, high, low, unknown(volume)))
        except Refused as refused:
            refusals.add(number, refused)
        else:
            yield at_us + later_us, opened, high, low, close, volume


def seconds(table: Table, plan: Plan, reading: Reading, refusals: Refusals) -> Iterator[Second]:
    """Yield the seconds of one symbol."""
    time, course = times_of(plan, "time", reading), Course()
    i_time, i_price = plan.place("time"), plan.place("price")
    for number, row in table.rows:
        try:
            at_us = time(row[i_time])
            if at_us % SECOND_US:
                raise Refused("time not on a second", row[i_time])  # noqa: TRY301
            price = usd_e6(row[i_price])
            course.check(at_us, (price,))
        except Refused as refused:
            refusals.add(number, refused)
        else:
            yield at_us, price


def settlements(table: Table, plan: Plan, reading: Reading, refusals: Refusals) -> Iterator[Market]:
    """Yield markets with their results."""
    judge = _Settlement(plan, reading)
    kept: dict[str, Market] = {}
    for number, row in table.rows:
        try:
            market = judge(row)
            before = kept.get(market[2])
            if before is not None:
                reason = "duplicate" if before == market else "duplicate that says otherwise"
                raise Refused(reason, market[2])  # noqa: TRY301
        except Refused as refused:
            refusals.add(number, refused)
        else:
            keep_latest(kept, market[2], market)
            yield market


class _Settlement:
    def __init__(self, plan: Plan, reading: Reading) -> None:
        self._at = plan.place
        self._close = times_of(plan, "close", reading) if "close" in plan.places else None
        self._settled = times_of(plan, "settled", reading) if "settled" in plan.places else None

    def __call__(self, row: Row) -> Market:
        ticker = row[self._at("ticker")].strip()
        close_us = None if self._close is None else self._close(row[self._at("close")])
        symbol, named_us, strike = named(ticker, close_us)
        if close_us not in {None, named_us}:
            raise Refused("close differs from the ticker's", f"{ticker} at {close_us}")
        strike = self._strike(row, ticker, strike)
        value = _optional_usd(row, self._at("value"))
        result = _RESULTS.get(row[self._at("result")].strip().lower())
        if result is None:
            raise Refused("result neither yes nor no", row[self._at("result")] or "(empty)")
        if strike is not None and value is not None and value != strike:
            _agreed(ticker, is_above=value > strike, is_yes=result == "yes")
        text = row[self._at("settled")] if self._settled is not None else ""
        settled_us = self._settled(text) if self._settled is not None and text else None
        return symbol, named_us, ticker, strike, value, settled_us, result

    def _strike(self, row: Row, ticker: str, named_usd_e6: int | None) -> int | None:
        told = _optional_usd(row, self._at("strike"))
        if named_usd_e6 is not None and told is not None and abs(told - named_usd_e6) > _CENT_E6:
            raise Refused("strike differs from the ticker's", f"{ticker} at {told} e-6")
        return told if named_usd_e6 is None else named_usd_e6


_CENT_E6: Final = 10_000
"""$119,500 or above is named by its floor, 119499.99."""


def _agreed(ticker: str, *, is_above: bool, is_yes: bool) -> None:
    if is_above is not is_yes:
        raise Refused("result contradicts strike and value", ticker)


def _optional_usd(row: Row, place: int) -> int | None:
    return usd_e6(row[place]) if place >= 0 and row[place] else None


def named(ticker: str, near_us: int | None = None) -> tuple[str, int, int | None]:
    """Return symbol, close and strike that a market's ticker names.

    Raises:
        Refused: not a ticker that we know.
    """
    try:
        known = parse_market(ticker, near_us)
    except InvalidValue:
        raise Refused("ticker of no series that we know", ticker) from None
    return SERIES[known.series].symbol, known.close_us, known.strike_usd_e6


def keep_latest(kept: dict[str, T], key: str, value: T) -> None:
    """Remember a value, and forget the one that was touched longest ago when there are too many."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > TICKERS_KEPT:
        del kept[next(iter(kept))]
