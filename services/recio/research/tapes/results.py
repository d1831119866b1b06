"""Recorded results of markets: ``ticker,close_ts,strike,settlement_price,result,settlement_ts,source``.

Strike, settlement price and time of settlement may be empty. A result without a time counts as stated
25 seconds after the close, later than any recorded one. A row that contradicts itself is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from recio.domain import tickers
from recio.domain.errors import InvalidValue
from recio.domain.settlement import result_of
from recio.domain.units import SECOND_US, parse_time_us, parse_usd_e6
from recio.research.tapes.reading import rows, time_us
from recio.research.tapes.tally import Tally

STATED_AFTER_US: Final = 25 * SECOND_US
_COLUMNS: Final = ("ticker", "close_ts", "strike", "settlement_price", "result", "settlement_ts")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How the exchange settled one market, known from ``at_us`` on."""

    ticker: str
    close_us: int
    at_us: int
    result: str
    strike_usd_e6: int | None = None
    settlement_usd_e6: int | None = None


def read_results(path: Path, tally: Tally) -> Iterator[Result]:
    """Yield the results of a file; what is none is counted.

    Raises:
        InvalidValue: the file cannot be read, or lacks a column.
    """
    seen = set()
    for row in rows(path, _COLUMNS, tally, known=("source",)):
        try:
            result = decode(row)
        except InvalidValue as error:
            tally.refuse(str(error))
            continue
        if result.ticker in seen:
            tally.refuse("second result of a market")
            continue
        seen.add(result.ticker)
        yield result


def decode(row: list[str]) -> Result:
    """Return the result in one row.

    Raises:
        InvalidValue: it is none; the message is a reason to count by.
    """
    ticker, close, strike, price, word, stated = row
    close_us = time_us(close, "seconds")
    try:
        named = tickers.parse_market(ticker)
        strike_usd_e6 = parse_usd_e6(strike) if strike else None
        settlement_usd_e6 = parse_usd_e6(price) if price else None
        at_us = parse_time_us(stated) if stated else close_us + STATED_AFTER_US
    except InvalidValue as error:
        raise InvalidValue("result with a field that cannot be read") from error
    if named.close_us != close_us or at_us < close_us:
        raise InvalidValue("result whose times do not fit its ticker")
    if word not in ("yes", "no"):
        raise InvalidValue("result that is neither yes nor no")
    if strike_usd_e6 is not None and settlement_usd_e6 is not None:
        kind = "greater" if tickers.series_of(ticker).has_ladder else "greater_or_equal"
        if result_of(settlement_usd_e6, strike_usd_e6, kind) != word:
            raise InvalidValue("result that contradicts its own price")
    return Result(
        ticker=ticker,
        close_us=close_us,
        at_us=at_us,
        result=word,
        strike_usd_e6=strike_usd_e6,
        settlement_usd_e6=settlement_usd_e6,
    )
