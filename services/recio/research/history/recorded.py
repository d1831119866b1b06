"""Public trades and tops of books as blocks, and the strikes that come along.

Rows of one market follow each other in time, give or take ten seconds (the exchange's own lists are
not quite in order); markets may be mixed or one after the other. A file that
is newest first is refused as a whole, because its blocks would be, too. Trades that carry an id are
duplicates by it; without one, two equal trades of one moment are two trades. A quote that repeats the
one before at a later time is kept: it says that somebody was looking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Final

from recio.domain.errors import InvalidValue
from recio.domain.units import PRICE_ONE_E4
from recio.research.history.blocks import Block, Blocks, Entry
from recio.research.history.decoding import (
    Market,
    Reading,
    keep_latest,
    named,
    times_of,
)
from recio.research.history.files import Numbered, Row, Table
from recio.research.history.kinds import Plan
from recio.research.history.refusals import Refusals, Refused
from recio.research.history.values import Times, contract_unit, price_e4, qty_e2, usd_e6

SAMPLED: Final = 2000
"""Rows that are looked at before the first is taken."""
SLACK_US: Final = 10_000_000
MARKS_MOST: Final = 8192
_TAKERS: Final = {"yes": 1, "y": 1, "no": 0, "n": 0, "": -1}

Decode = Callable[[Row], tuple[str, int, str, Entry, int | None]]
"""Ticker, time, what names the row among those of its moment ("": nothing), entry, strike."""


class Tracks:
    """The last moment of each market, of the latest few thousand markets."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, dict[str, int]]] = {}

    def check(self, ticker: str, at_us: int, mark: str, floor_us: int | None) -> None:
        """Refuse a row that is too late, or one that was there.

        ``floor_us`` is where the market's open block begins: what is before it came too late.

        Raises:
            Refused: out of order, or a duplicate.
        """
        last_us, marks = self._last.get(ticker, (0, {}))
        if at_us < last_us and (floor_us is None or at_us < max(floor_us, last_us - SLACK_US)):
            raise Refused("out of order", f"{ticker}, after {last_us}")
        last_us = max(last_us, at_us)
        if mark:
            if marks.get(mark) == at_us:
                raise Refused("duplicate", f"{ticker} {mark}")
            marks[mark] = at_us
            if len(marks) > MARKS_MOST:
                marks = {one: own for one, own in marks.items() if own >= last_us - SLACK_US}
        keep_latest(self._last, ticker, (last_us, marks))


def trades(
    table: Table, plan: Plan, reading: Reading, refusals: Refusals
) -> Iterator[Block | Market]:
    """Yield blocks of public trades."""
    sample = list(islice(table.rows, SAMPLED))
    unit = reading.prices or contract_unit(
        (plan.name("price"),), (row[plan.place("price")] for _, row in sample)
    )
    time = times_of(plan, "time", reading)
    i_ticker, i_time, i_price, i_count, i_taker, i_id = map(
        plan.place, ("ticker", "time", "price", "count", "taker", "id")
    )

    def decode(row: Row) -> tuple[str, int, str, Entry, int | None]:
        price, qty = price_e4(row[i_price], unit), qty_e2(row[i_count])
        if not 0 < price < PRICE_ONE_E4 or not qty:
            raise Refused("trade without price or count", ",".join(row))
        taker = _TAKERS.get(row[i_taker].strip().lower()) if i_taker >= 0 else -1
        if taker is None:
            raise Refused("taker neither yes nor no", row[i_taker])
        mark = row[i_id] if i_id >= 0 else ""
        return row[i_ticker].strip(), time(row[i_time]), mark, (price, qty, taker), None

    _check_forward(sample, i_ticker, i_time, times_of(plan, "time", reading))
    return _blocks("trades", chain(sample, table.rows), decode, refusals)


def quotes(
    table: Table, plan: Plan, reading: Reading, refusals: Refusals
) -> Iterator[Block | Market]:
    """Yield blocks of tops of books, and each market once with its strike where that is told."""
    sample = list(islice(table.rows, SAMPLED))
    places = plan.place("bid"), plan.place("ask")
    unit = reading.prices or contract_unit(
        (plan.name("bid"), plan.name("ask")),
        (row[place] for _, row in sample for place in places),
    )
    time = times_of(plan, "time", reading)
    i_ticker, i_time, i_strike = map(plan.place, ("ticker", "time", "strike"))
    sizes = plan.place("bid_qty"), plan.place("ask_qty"), plan.place("volume")

    def decode(row: Row) -> tuple[str, int, str, Entry, int | None]:
        bid, ask = (_side(row[place], unit) for place in places)
        if 0 <= ask <= bid:
            raise Refused("bid not below ask", ",".join(row))
        others = [qty_e2(row[place]) if place >= 0 and row[place] else -1 for place in sizes]
        entry = (bid, ask, *others)
        strike = usd_e6(row[i_strike]) if i_strike >= 0 and row[i_strike] else None
        return row[i_ticker].strip(), time(row[i_time]), str(entry), entry, strike

    _check_forward(sample, i_ticker, i_time, times_of(plan, "time", reading))
    return _blocks("quotes", chain(sample, table.rows), decode, refusals)


def _side(text: str, unit: str) -> int:
    # The exchange writes an empty side as 0 (no bid) or a dollar (no ask).
    price = price_e4(text, unit) if text else 0
    return price if 0 < price < PRICE_ONE_E4 else -1


def _blocks(
    channel: str, rows: Iterator[Numbered], decode: Decode, refusals: Refusals
) -> Iterator[Block | Market]:
    blocks, tracks, strikes = Blocks(channel), Tracks(), dict[str, int | None]()
    for number, row in rows:
        try:
            ticker, at_us, mark, entry, strike = decode(row)
            symbol, close_us, _ = named(ticker)
            tracks.check(ticker, at_us, mark, blocks.since_us(ticker))
        except Refused as refused:
            refusals.add(number, refused)
            continue
        current, done, _ = blocks.at(symbol, ticker, at_us)
        if done is not None:
            yield done
        current.add(at_us, entry)
        if strike is not None and strikes.get(ticker) != strike:
            keep_latest(strikes, ticker, strike)
            yield symbol, close_us, ticker, strike, None, None, None
    yield from blocks.finish()


def _check_forward(sample: list[Numbered], i_ticker: int, i_time: int, time: Times) -> None:
    last: dict[str, int] = {}
    ups = downs = 0
    for _, row in sample:
        try:
            at_us = time(row[i_time])
        except Refused:
            continue
        before = last.get(row[i_ticker], at_us)
        ups, downs = ups + (at_us > before), downs + (at_us < before)
        last[row[i_ticker]] = at_us
    if downs > ups:
        raise InvalidValue("the file is newest first: turn it round (tac, or sort by time)")
