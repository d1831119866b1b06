"""One-minute prices: open, high, low and close of every minute of a range, as cents.

Layout of a file (xz): one line of JSON, then four blocks of little-endian signed 32-bit integers,
one integer a minute. The JSON object has ``symbol``, ``source`` and ``pieces``: [first second since
1970, number of minutes] for each run without a gap, in order. The blocks hold

    open - previous close (the first: the open itself)   close - open
    high - max(open, close)                              min(open, close) - low

A minute belongs to the second at which it opens. A missing minute is None, never a guess.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate

import msgspec

from recio import data
from recio.domain.errors import Broken, InvalidValue

Ohlc = tuple[int, int, int, int]
MINUTE_S = 60
_COLUMNS = 4


class _Header(msgspec.Struct, frozen=True):
    symbol: str
    source: str
    pieces: tuple[tuple[int, int], ...]


class Minutes:
    """Prices of one symbol by minute, in cents; immutable.

    ``pieces`` are (first second, number of minutes) without a gap inside.
    """

    __slots__ = ("_columns", "_firsts", "_offsets", "pieces", "symbol")

    def __init__(
        self, symbol: str, pieces: Sequence[tuple[int, int]], columns: Sequence[array[int]]
    ) -> None:
        self.symbol = symbol
        self.pieces = tuple(pieces)
        self._columns = tuple(columns)
        self._firsts = [first for first, _ in pieces]
        self._offsets = [0, *accumulate(count for _, count in pieces)]

    def at(self, minute_s: int) -> Ohlc | None:
        """Return (open, high, low, close) in cents of the minute that opens at ``minute_s``.

        None: the minute was not recorded, or ``minute_s`` is not the start of a minute.
        """
        piece = bisect_right(self._firsts, minute_s) - 1
        if piece < 0 or minute_s % MINUTE_S:
            return None
        first, count = self.pieces[piece]
        index = (minute_s - first) // MINUTE_S
        if index >= count:
            return None
        index += self._offsets[piece]
        opens, highs, lows, closes = self._columns
        return opens[index], highs[index], lows[index], closes[index]

    @property
    def start_s(self) -> int:
        """The second at which the first minute opens."""
        return self._firsts[0]

    @property
    def end_s(self) -> int:
        """The second after the last minute."""
        first, count = self.pieces[-1]
        return first + count * MINUTE_S


@lru_cache(maxsize=2)
def load(name: str) -> Minutes:
    """Return the minutes of a packaged file such as ``btc_minutes_2024q3``.

    Raises:
        InvalidValue: no such file.
        Broken: the file is damaged.
    """
    return decode(data.unpack(f"{name}.i32.xz"))


def decode(content: bytes) -> Minutes:
    """Read the layout above.

    Raises:
        Broken: blocks and header do not fit.
    """
    line, _, body = content.partition(b"\n")
    header = msgspec.json.decode(line, type=_Header)
    count = sum(length for _, length in header.pieces)
    if len(body) != 4 * _COLUMNS * count or not count:
        raise Broken(f"expected {count} minutes of {header.symbol}, found {len(body)} bytes")
    moves, bodies, uppers, lowers = (
        _integers(body[4 * count * i : 4 * count * (i + 1)]) for i in range(_COLUMNS)
    )
    closes = array("i", accumulate(a + b for a, b in zip(moves, bodies, strict=True)))
    opens = array("i", (c - b for c, b in zip(closes, bodies, strict=True)))
    highs = array("i", (max(o, c) + u for o, c, u in zip(opens, closes, uppers, strict=True)))
    lows = array("i", (min(o, c) - d for o, c, d in zip(opens, closes, lowers, strict=True)))
    return Minutes(header.symbol, header.pieces, (opens, highs, lows, closes))


def encode(symbol: str, source: str, rows: Iterable[tuple[int, int, int, int, int]]) -> bytes:
    """Write rows of (second, open, high, low, close) in cents, ascending, in the layout above.

    Raises:
        InvalidValue: rows out of order, off the minute, or with a high below a low.
    """
    pieces: list[list[int]] = []
    columns = [array("i") for _ in range(_COLUMNS)]
    previous_s, previous_close = None, 0
    for second, opened, high, low, close in rows:
        top, bottom = max(opened, close), min(opened, close)
        if second % MINUTE_S or (previous_s is not None and second <= previous_s):
            raise InvalidValue(f"minute {second} is not after {previous_s} or not on a minute")
        if high < top or low > bottom or low <= 0:
            raise InvalidValue(f"minute {second}: {opened}, {high}, {low}, {close} is no bar")
        if previous_s is None or second != previous_s + MINUTE_S:
            pieces.append([second, 0])
        pieces[-1][1] += 1
        row = (opened - previous_close, close - opened, high - top, bottom - low)
        for column, value in zip(columns, row, strict=True):
            column.append(value)
        previous_s, previous_close = second, close
    header = msgspec.json.encode({"symbol": symbol, "source": source, "pieces": pieces})
    return b"\n".join([header, b"".join(_bytes(column) for column in columns)])


def _integers(content: bytes) -> array[int]:
    values = array("i")
    values.frombytes(content)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _bytes(values: array[int]) -> bytes:
    copy = array("i", values)
    if sys.byteorder == "big":
        copy.byteswap()
    return copy.tobytes()
