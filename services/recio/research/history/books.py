"""Recordings of the exchange's WebSocket (JSON lines) as blocks: whole books, changes, tickers, strikes.

A book is whole from its snapshot on. A missing ``seq``, a level below nothing, or a time far from that
of receipt makes it lost until the next snapshot; what comes in between is counted and not stored, and
the block says that it was lost, and why. When the file ends all its books are lost. Time is the
exchange's own where it is sent and never falls in a market.

Tickers become quotes (best bid and ask, sizes, volume so far); a recorder's note of a strike becomes a
market. The lines are read as everywhere in research: ``recio.research.tapes.jsonl_frames``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from recio.data.frames import DeltaFrame, Frame, MarketFrame, SnapshotFrame, TickerFrame
from recio.domain.errors import InvalidValue
from recio.domain.units import MINUTE_US, PRICE_ONE_E4
from recio.research.history.blocks import KEPT_ON, LOADED, LOST, NO, YES, Block, Blocks, Open
from recio.research.history.decoding import Market, named
from recio.research.history.files import Input, lines_of
from recio.research.history.refusals import Refusals, Refused
from recio.research.tapes import jsonl_frames

FAR_US: Final = MINUTE_US
LOOKED_AT: Final = 20
MARKETS_MOST: Final = 4096
ENDED: Final = "the recording ended"


def is_recording(given: Input) -> bool:
    """Return whether a file is such a recording, by its first lines."""
    if given.form != "lines":
        return False
    for _, line in islice(lines_of(given.path), LOOKED_AT):
        try:
            jsonl_frames.decode(line)
        except InvalidValue:
            continue
        return True
    return False


def blocks(
    given: Input, refusals: Refusals, tell: Callable[[int], None] = lambda _bytes: None
) -> Iterator[Block | Market]:
    """Yield the blocks and markets of a recording."""
    yield from blocks_of(lines_of(given.path, tell), refusals)


def blocks_of(lines: Iterable[tuple[int, bytes]], refusals: Refusals) -> Iterator[Block | Market]:
    """Yield the blocks and markets of numbered lines."""
    recording = _Recording()
    for number, line in lines:
        try:
            frame = jsonl_frames.decode(line)
            yield from recording.frame(frame)
        except Refused as refused:
            refusals.add(number, refused)
        except InvalidValue as error:
            refusals.add(number, Refused(str(error)))
    yield from recording.end()


class _Book:
    """One market while it is read."""

    __slots__ = ("close_us", "is_whole", "levels", "now_us", "seq", "strike", "symbol", "ticker")

    def __init__(self, ticker: str) -> None:
        self.ticker = ticker
        self.symbol, self.close_us, self.strike = named(ticker)
        self.is_whole = False
        self.seq = 0
        self.now_us = 0
        self.levels: dict[tuple[bool, int], int] = {}

    def sides(self) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
        """Return the levels of YES and of NO, ascending."""
        rows = sorted(self.levels.items())
        yes = tuple((price, qty) for (is_yes, price), qty in rows if is_yes)
        no = tuple((price, qty) for (is_yes, price), qty in rows if not is_yes)
        return yes, no


class _Recording:
    def __init__(self) -> None:
        self._books: dict[str, _Book] = {}
        self._book_blocks = Blocks("books")
        self._quote_blocks = Blocks("quotes")

    def frame(self, frame: Frame) -> Iterator[Block | Market]:
        """Yield what is done with this frame.

        Raises:
            Refused: the frame is not stored.
        """
        book = self._books.get(frame.market)
        if book is None:
            if len(self._books) >= MARKETS_MOST:
                raise Refused("more markets in one recording than can be", frame.market)
            book = self._books[frame.market] = _Book(frame.market)
        if isinstance(frame, DeltaFrame):
            yield from self._delta(book, frame)
        elif isinstance(frame, SnapshotFrame):
            yield from self._snapshot(book, frame)
        elif isinstance(frame, TickerFrame):
            yield from self._ticker(book, frame)
        else:
            yield from _meta(book, frame)

    def end(self) -> Iterator[Block | Market]:
        """Yield what is still open: every book is lost."""
        for book in self._books.values():
            if book.is_whole:
                yield from self._lose(book, ENDED)
        yield from self._book_blocks.finish()
        yield from self._quote_blocks.finish()

    def _delta(self, book: _Book, frame: DeltaFrame) -> Iterator[Block]:
        if not book.is_whole:
            raise Refused("change of a book that is not whole", frame.market)
        if frame.seq <= book.seq:
            raise Refused("duplicate", f"seq {frame.seq} of {frame.market}")
        level = frame.is_yes, frame.price_e4
        left_e2 = book.levels.get(level, 0) + frame.change_e2
        problem = _problem(book, frame, left_e2)
        if problem:
            yield from self._lose(book, problem)
            raise Refused(
                "change that cannot be (a gap, a level below nothing, a time far off)", problem
            )
        book.seq = frame.seq
        book.now_us = max(book.now_us, frame.at_us)
        current, done = self._block(book)
        if done is not None:
            yield done
        if left_e2:
            book.levels[level] = left_e2
        else:
            book.levels.pop(level, None)
        current.add(book.now_us, (YES if frame.is_yes else NO, frame.price_e4, frame.change_e2))

    def _block(self, book: _Book, *, is_loading: bool = False) -> tuple[Open, Block | None]:
        current, done, is_new = self._book_blocks.at(book.symbol, book.ticker, book.now_us)
        if is_new and not is_loading:
            current.extra.books.append(book.sides())
            current.add(book.now_us, (LOADED, KEPT_ON, 0))
        return current, done

    def _snapshot(self, book: _Book, frame: SnapshotFrame) -> Iterator[Block]:
        levels = {(True, price): qty for price, qty in frame.yes}
        levels |= {(False, price): qty for price, qty in frame.no}
        if any(not 0 < price < PRICE_ONE_E4 or qty <= 0 for (_, price), qty in levels.items()):
            raise Refused("whole book with a price or a size that cannot be", frame.market)
        book.levels, book.seq, book.is_whole = levels, frame.seq, True
        book.now_us = max(book.now_us, frame.received_ms * 1000)
        current, done = self._block(book, is_loading=True)
        if done is not None:
            yield done
        current.extra.books.append(book.sides())
        current.add(book.now_us, (LOADED, 0, 0))

    def _lose(self, book: _Book, reason: str) -> Iterator[Block]:
        book.is_whole = False
        current, done = self._block(book, is_loading=True)
        if done is not None:
            yield done
        current.extra.reasons.append(reason)
        current.add(book.now_us, (LOST, 0, 0))

    def _ticker(self, book: _Book, frame: TickerFrame) -> Iterator[Block]:
        if abs(frame.at_us - frame.received_ms * 1000) > FAR_US:
            raise Refused("time far from that of receipt", frame.market)
        book.now_us = max(book.now_us, frame.at_us)
        current, done, _ = self._quote_blocks.at(book.symbol, book.ticker, book.now_us)
        if done is not None:
            yield done
        bid = frame.bid_e4 if 0 < frame.bid_e4 < PRICE_ONE_E4 else -1
        ask = frame.ask_e4 if 0 < frame.ask_e4 < PRICE_ONE_E4 else -1
        entry = (bid, ask, frame.bid_qty_e2, frame.ask_qty_e2, frame.volume_e2)
        current.add(book.now_us, entry)


def _problem(book: _Book, frame: DeltaFrame, left_e2: int) -> str:
    if frame.seq != book.seq + 1:
        return f"gap in seq: expected {book.seq + 1}, received {frame.seq}"
    if left_e2 < 0:
        return f"change {frame.seq} leaves less than nothing"
    if abs(frame.at_us - frame.received_ms * 1000) > FAR_US:
        return f"change {frame.seq} is far from its time of receipt"
    return ""


def _meta(book: _Book, frame: MarketFrame) -> Iterator[Market]:
    if frame.close_us != book.close_us:
        raise Refused("close differs from the ticker's", frame.market)
    strike = frame.strike_usd_e6
    if strike is not None and strike != book.strike:
        book.strike = strike
        yield book.symbol, book.close_us, book.ticker, strike, None, None, None
