"""One-second prices: the last trade of each second that had one; other seconds are absent.

Layout of a file (xz): one JSON object with ``symbol``, ``source``, ``first_s`` (seconds since 1970)
and two lists of equal length: ``seconds`` (each minus the one before, the first 0) and ``prices``
(cents, each minus the one before, the first in full). Nothing is carried forward here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise

import msgspec

from recio import data
from recio.domain.errors import Broken, InvalidValue


class _Document(msgspec.Struct, frozen=True):
    symbol: str
    source: str
    first_s: int
    seconds: tuple[int, ...]
    prices: tuple[int, ...]


@lru_cache(maxsize=2)
def load(name: str) -> dict[int, int]:
    """Return {second since 1970: price in cents} of a packaged file; the caller does not change it.

    Raises:
        InvalidValue: no such file.
        Broken: the file is damaged.
    """
    return decode(data.unpack(f"{name}.json.xz"))


def decode(content: bytes) -> dict[int, int]:
    """Read the layout above.

    Raises:
        Broken: the two lists differ in length.
    """
    document = msgspec.json.decode(content, type=_Document)
    if len(document.seconds) != len(document.prices) or not document.prices:
        raise Broken(f"{document.symbol}: seconds and prices differ in number")
    seconds = (document.first_s + passed for passed in accumulate(document.seconds))
    return dict(zip(seconds, accumulate(document.prices), strict=True))


def encode(symbol: str, source: str, rows: Sequence[tuple[int, int]]) -> bytes:
    """Write rows of (second, cents), ascending, in the layout above.

    Raises:
        InvalidValue: no rows, or rows out of order.
    """
    seconds = [second for second, _ in rows]
    if not rows or any(b <= a for a, b in pairwise(seconds)):
        raise InvalidValue(f"expected ascending seconds of {symbol}, received {len(rows)} rows")
    return msgspec.json.encode(
        _Document(
            symbol=symbol,
            source=source,
            first_s=seconds[0],
            seconds=tuple(_differences(seconds, seconds[0])),
            prices=tuple(_differences([price for _, price in rows], 0)),
        )
    )


def _differences(values: Sequence[int], start: int) -> list[int]:
    return [b - a for a, b in zip([start, *values[:-1]], values, strict=True)]
