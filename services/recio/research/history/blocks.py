"""Recordings of one market as compressed blocks: what the table holds of trades, quotes and books.

A block is zlib over MessagePack of columns of integers (columns compress five times better than
rows): first the microseconds since the entry before (of the first: since ``first_us``), then

    trades  price_e4 of YES, qty_e2, taker (1 yes, 0 no, -1 not known)
    quotes  bid_e4, ask_e4 (-1: none), bid_qty_e2, ask_qty_e2, volume_e2 (-1: not known)
    books   what (0 change of YES, 1 change of NO, 2 whole book, 3 lost), price_e4, delta_e2, and
            beside the columns the whole books and the reasons, in order

A block of a book begins with the whole book (or with its loss), so that each can be read alone; price
``KEPT_ON`` says that the exchange sent no such snapshot and that who read the block before knows it.
``digest`` is the SHA-256 of the columns, whatever the compressor made of them. Blocks of a market
never overlap in time; at most ``OPEN_MOST`` markets are open at once, so memory stays flat.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import Final

import msgspec

from recio.domain.errors import InvalidValue
from recio.engine.tape import Levels

FORMAT: Final = 1
ENTRIES_MOST: Final = 4096
SPAN_MOST_US: Final = 3600 * 1_000_000
OPEN_MOST: Final = 256
UNPACKED_MOST: Final = 64 << 20
_LEVEL: Final = 6
YES, NO, LOADED, LOST = range(4)
KEPT_ON: Final = 1

Entry = tuple[int, ...]


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table, without who imported it."""

    symbol: str
    channel: str
    ticker: str
    first_us: int
    last_us: int
    count: int
    digest: bytes
    body: bytes
    format: int = FORMAT


class Extra(msgspec.Struct, frozen=True, array_like=True):
    """What does not fit into a column of a book's block."""

    books: list[tuple[Levels, Levels]] = []
    reasons: list[str] = []


class _Content(msgspec.Struct, frozen=True, array_like=True):
    columns: list[list[int]]
    extra: Extra


class Open:
    """A block of one market that still grows."""

    def __init__(self, symbol: str, channel: str, ticker: str, at_us: int) -> None:
        self.symbol = symbol
        self.channel = channel
        self.ticker = ticker
        self.first_us = at_us
        self.last_us = at_us
        self.entries: list[Entry] = []
        self.extra = Extra(books=[], reasons=[])
        self._is_mixed = False

    def add(self, at_us: int, entry: Entry) -> None:
        """Add an entry; its time is not before the block's first one."""
        self.entries.append((at_us, *entry))
        if at_us < self.last_us:
            self._is_mixed = True
        else:
            self.last_us = at_us

    def is_full_at(self, at_us: int) -> bool:
        """Whether an entry of this time belongs into the next block."""
        # One moment is never split: blocks of a market must not touch.
        if at_us <= self.last_us:
            return False
        return len(self.entries) >= ENTRIES_MOST or at_us - self.first_us > SPAN_MOST_US

    def close(self) -> Block:
        """Return it as a row."""
        if self._is_mixed:
            self.entries.sort(key=itemgetter(0))
        times, *others = (list(column) for column in zip(*self.entries, strict=True))
        columns = [[at_us - before for before, at_us in pairwise([self.first_us, *times])], *others]
        packed = msgspec.msgpack.encode(_Content(columns, self.extra))
        return Block(
            symbol=self.symbol,
            channel=self.channel,
            ticker=self.ticker,
            first_us=self.first_us,
            last_us=self.last_us,
            count=len(self.entries),
            digest=hashlib.sha256(packed).digest(),
            body=zlib.compress(packed, _LEVEL),
        )


class Blocks:
    """The blocks under way of many markets of one channel."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._open: dict[str, Open] = {}

    def at(self, symbol: str, ticker: str, at_us: int) -> tuple[Open, Block | None, bool]:
        """Return the block for an entry, a block that is done if there is one, and whether it is new."""
        current = self._open.pop(ticker, None)
        done: Block | None = None
        is_new = current is None or current.is_full_at(at_us)
        if current is None or is_new:
            if current is not None:
                done = current.close()
            elif len(self._open) >= OPEN_MOST:
                done = self._open.pop(next(iter(self._open))).close()
            current = Open(symbol, self._channel, ticker, at_us)
        # Last touched stands last: the first is the one that was quiet longest.
        self._open[ticker] = current
        return current, done, is_new

    def since_us(self, ticker: str) -> int | None:
        """Return when the open block of a market begins, None if none is open."""
        current = self._open.get(ticker)
        return None if current is None else current.first_us

    def finish(self) -> Iterator[Block]:
        """Close what is still open."""
        for one in self._open.values():
            yield one.close()
        self._open.clear()


def unpack(
    body: bytes, digest: bytes, *, first_us: int, format_: int = FORMAT
) -> tuple[list[int], Sequence[list[int]], Extra]:
    """Return the times, the other columns, and what stands beside them.

    Raises:
        InvalidValue: another format, damaged, or changed after it was written.
    """
    if format_ != FORMAT:
        raise InvalidValue(f"expected a block of format {FORMAT}, received {format_}")
    try:
        opened = zlib.decompressobj()
        packed = opened.decompress(body, UNPACKED_MOST)
        if not opened.eof:
            raise InvalidValue("the block is damaged: its end is missing, or it is too long")
        content = msgspec.msgpack.decode(packed, type=_Content)
    except (zlib.error, msgspec.MsgspecError, RecursionError) as error:
        raise InvalidValue(f"the block is damaged: {error}") from error
    if hashlib.sha256(packed).digest() != digest or not content.columns:
        raise InvalidValue("the block is not what was written: its digest differs")
    times, *others = content.columns
    if any(len(column) != len(times) for column in others):
        raise InvalidValue("the columns of the block differ in length")
    return list(accumulate(times, initial=first_us))[1:], others, content.extra


def known(value: int) -> int | None:
    """Return None for what a column writes as -1."""
    return None if value < 0 else value


def unknown(value: int | None) -> int:
    """Return -1 for None."""
    return -1 if value is None else value
