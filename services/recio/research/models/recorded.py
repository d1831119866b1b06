"""What results of 15-minute markets tell alone, where neither prices nor minutes were recorded.

Rows of ``ticker,close_ts,strike,settlement_price,result,…``: whether they agree with their own strikes,
how often YES won, how far the settlement moved from strike to strike. No model can be asked about
them, so they judge none.

Refused: half-written files and rows that are no result, with their place.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Mapping, Sequence
from math import log, sqrt
from pathlib import Path
from typing import Final, NamedTuple

from recio.domain.errors import InvalidValue
from recio.research.models.minutes import told

_BOUND: Final = 1.645
_MOST_USD: Final = 1e12


class Settled(NamedTuple):
    """How one market ended; strike and settlement only where they were recorded."""

    ticker: str
    close_s: int
    strike: float | None
    settlement: float | None
    is_yes: bool


class Results(NamedTuple):
    """What the results alone tell."""

    markets: int
    first: str
    last: str
    share_yes: float
    low: float
    high: float
    with_strike: int
    disagreeing: int
    """Results that differ from settlement at or above strike."""
    deviation: float | None
    """Of log(settlement / strike)."""


def read_settled(paths: Sequence[Path]) -> list[Settled]:
    """Read results.

    Raises:
        InvalidValue: a row is no result.
    """
    return [row for path in paths for row in decode_settled(path.name, path.read_bytes())]


def decode_settled(name: str, raw: bytes) -> list[Settled]:
    """Return the results of one file.

    Raises:
        InvalidValue: it is half-written, or a row is no result.
    """
    found = []
    try:
        rows = list(csv.DictReader(io.StringIO(_text(name, raw))))
    except csv.Error as error:
        raise InvalidValue(f"{name}: expected lines of commas: {error}") from error
    for number, row in enumerate(rows, 2):
        try:
            found.append(_settled(row))
        except (KeyError, ValueError, TypeError) as error:
            raise InvalidValue(
                f"{name}: row {number}: expected a result, received {row}"
            ) from error
    return found


def _settled(row: Mapping[str, str]) -> Settled:
    strike, settlement = (
        float(row[key]) if row[key] else None for key in ("strike", "settlement_price")
    )
    is_yes, close_s = {"yes": True, "no": False}[row["result"]], int(row["close_ts"])
    if close_s <= 0 or not all(
        0 < each < _MOST_USD for each in (strike, settlement) if each is not None
    ):
        raise ValueError
    return Settled(row["ticker"], close_s, strike, settlement, is_yes)


def results(rows: Sequence[Settled]) -> Results:
    """Return what results tell without any model.

    Raises:
        InvalidValue: there is none.
    """
    if not rows:
        raise InvalidValue("expected at least one result")
    n, yes = len(rows), sum(row.is_yes for row in rows)
    share, square = yes / n, _BOUND * _BOUND / n
    middle = (share + square / 2) / (1 + square)
    reach = _BOUND * sqrt(share * (1 - share) / n + square / (4 * n)) / (1 + square)
    known = [(row, row.strike, row.settlement) for row in rows if row.strike and row.settlement]
    moves = [log(settled / strike) for _, strike, settled in known if strike and settled]
    return Results(
        markets=n,
        first=told(min(row.close_s for row in rows)),
        last=told(max(row.close_s for row in rows)),
        share_yes=share,
        low=middle - reach,
        high=middle + reach,
        with_strike=len(known),
        disagreeing=sum(
            row.is_yes != (settled >= strike)
            for row, strike, settled in known
            if strike and settled
        ),
        deviation=sqrt(sum(move * move for move in moves) / len(moves)) if moves else None,
    )


def _text(name: str, raw: bytes) -> str:
    try:
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode()
    except (EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
        raise InvalidValue(f"{name}: half-written or damaged: {error}") from error
    if not text.endswith("\n"):
        raise InvalidValue(f"{name}: half-written: the last line has no end")
    return text
