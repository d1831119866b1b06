"""Brings a file into the history: read, judged, stored in batches, reported.

What a file becomes depends on nothing but its bytes and the options, so a run that was cut off reads
it again from its start, judges every row again, and leaves out of the writing what was stored: counts
are those of the whole file, however often it was begun. Memory holds one batch.

Refused as a whole: a file that is damaged, that fits no kind, or whose prices are several times what
is stored for that time (cents for dollars).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from recio.adapters.postgres.history import Begun, HistoryStore, Key, Stored, Told
from recio.domain.errors import InvalidValue
from recio.research.history import books, decoding, recorded
from recio.research.history.blocks import Block
from recio.research.history.decoding import JUMP, Item, Reading
from recio.research.history.files import Input, Table, examine, table
from recio.research.history.kinds import WITH_SYMBOL, Plan, plan_of
from recio.research.history.refusals import Refusals

BATCH: Final = 20_000
BLOCK_WEIGHT: Final = 400
"""How many rows a block stands for when a batch is measured."""
EXCHANGE: Final = "kalshi"
Decoder = Callable[[Table, Plan, Reading, Refusals], Iterator[Item]]
_DECODERS: Final[Mapping[str, Decoder]] = {
    "minutes": decoding.minutes,
    "seconds": decoding.seconds,
    "settlements": decoding.settlements,
    "trades": recorded.trades,
    "quotes": recorded.quotes,
}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a person said of a file."""

    kind: str = "auto"
    symbol: str = ""
    source: str = ""
    is_utc: bool = False
    is_stamp_close: bool = False
    prices: str = ""

    @property
    def text(self) -> str:
        """The options that change what a row means, for the log."""
        said = [
            "utc" if self.is_utc else "",
            "stamp close" if self.is_stamp_close else "",
            self.prices,
        ]
        return ", ".join(word for word in said if word)


class Report(msgspec.Struct, kw_only=True):
    """What became of a file."""

    name: str
    kind: str
    source: str
    symbol: str
    refusals: Refusals
    read: int = 0
    good: int = 0
    new: int = 0
    known: int = 0
    first_us: int | None = None
    last_us: int | None = None
    is_stored: bool = True
    resumed_at: int = 0
    was_complete: bool = False
    seconds: float = 0.0
    strikes: int = 0
    symbols: set[str] = set()


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """Clocks and the one who is told: bytes behind us, of how many, rows so far."""

    wall_us: Callable[[], int]
    tell: Callable[[int, int, int], None]


def import_file(path: Path, options: Options, store: HistoryStore | None, watch: Watch) -> Report:
    """Import a file; without a store only say what would come of it.

    Raises:
        InvalidValue: the file as a whole is not taken; the message says why.
        Rejected: somebody else is importing the same source.
        Unavailable: the database, or Parquet without pyarrow.
    """
    given = examine(path)
    refusals = Refusals()
    behind = [0, 0]

    def tell(done_bytes: int) -> None:
        behind[0] = done_bytes
        watch.tell(done_bytes, given.size_bytes, behind[1])

    reading = Reading(
        latest_us=watch.wall_us(),
        is_utc=options.is_utc,
        is_stamp_close=options.is_stamp_close,
        prices=options.prices,
    )
    kind, items = _items(given, options, reading, refusals, tell)
    report = Report(
        name=path.name,
        kind=kind,
        source=_source(kind, options),
        symbol=options.symbol if kind in WITH_SYMBOL else "",
        refusals=refusals,
        is_stored=store is not None,
        symbols={options.symbol} if kind in WITH_SYMBOL else set(),
    )
    if store is None:
        for _ in _batches(items, report, behind):
            pass
    else:
        begun = _begun(store, given, options, report, watch.wall_us())
        if begun.is_complete:
            return was_complete(report, begun)
        report.resumed_at = begun.done
        _write_all(store, begun, report, _batches(items, report, behind), watch)
    report.read = report.good + refusals.total
    return report


def was_complete(report: Report, begun: Begun) -> Report:
    """Tell what the log knows of an import that is done; nothing is read or written."""
    report.was_complete = True
    report.read, report.known = begun.read, begun.stored + begun.known
    report.first_us, report.last_us = begun.first_us, begun.last_us
    for reason, count in begun.refused.items():
        report.refusals.add_many(reason, count, "when it was imported")
    return report


def _source(kind: str, options: Options) -> str:
    if options.source:
        return options.source
    if kind in WITH_SYMBOL:
        raise InvalidValue(f"{kind} need --source: who recorded them, such as binance or coinbase")
    return EXCHANGE


def _items(
    given: Input,
    options: Options,
    reading: Reading,
    refusals: Refusals,
    tell: Callable[[int], None],
) -> tuple[str, Iterator[Item]]:
    if options.kind == "books" or (options.kind == "auto" and books.is_recording(given)):
        return "books", books.blocks(given, refusals, tell)
    content = table(given, refusals, tell)
    plan: Plan = plan_of(content.columns, options.kind)
    if plan.kind in WITH_SYMBOL and not options.symbol:
        raise InvalidValue(f"{plan.kind} need --symbol, such as BTC: the file does not name it")
    return plan.kind, _DECODERS[plan.kind](content, plan, reading, refusals)


Batch = dict[str, list[Item]]


def _batches(items: Iterable[Item], report: Report, behind: list[int]) -> Iterator[Batch]:
    batch: Batch = {}
    weight = 0
    for item in items:
        where, count, own = _measured(report, item)
        batch.setdefault(where, []).append(item)
        weight += own
        report.good += count
        behind[1] = report.good
        if weight >= BATCH:
            yield batch
            batch, weight = {}, 0
    if batch:
        yield batch


def _measured(report: Report, item: Item) -> tuple[str, int, int]:
    """Return its table, how many rows of the file it is, and its weight; note its time."""
    if isinstance(item, Block):
        report.symbols.add(item.symbol)
        _span(report, item.first_us, item.last_us)
        return "recordings", item.count, BLOCK_WEIGHT
    if report.kind in WITH_SYMBOL:
        at_us: int = item[0]  # type: ignore[assignment]
        _span(report, at_us, at_us)
        return report.kind, 1, 1
    if report.kind != "settlements":
        # A strike that came along with quotes is no row of its own.
        return "markets", 0, 1
    close_us: int = item[1]
    report.symbols.add(str(item[0]))
    _span(report, close_us, close_us)
    return "markets", 1, 1


def _span(report: Report, first_us: int, last_us: int) -> None:
    report.first_us = first_us if report.first_us is None else min(report.first_us, first_us)
    report.last_us = last_us if report.last_us is None else max(report.last_us, last_us)


def _begun(
    store: HistoryStore, given: Input, options: Options, report: Report, at_us: int
) -> Begun:
    store.lock(report.source)
    key = Key(
        kind=report.kind,
        source=report.source,
        symbol=report.symbol,
        options=options.text,
        sha256=given.sha256,
    )
    return store.begin(key, name=given.path.name, size_bytes=given.size_bytes, at_us=at_us)


def _write_all(
    store: HistoryStore, begun: Begun, report: Report, batches: Iterator[Batch], watch: Watch
) -> None:
    report.new, report.known, done = begun.stored, begun.known, 0
    is_first = True
    for batch in batches:
        if is_first:
            _check_scale(store, report, batch)
            is_first = False
        done += sum(map(len, batch.values()))
        if done <= begun.done:
            continue
        rows = {where: _rows(store, report, where, items) for where, items in batch.items()}
        _count(report, store.write(begun.import_id, rows, _told(report, done, watch)))
    _count(
        report,
        store.write(begun.import_id, {}, _told(report, done, watch, is_complete=True)),
    )


def _told(report: Report, done: int, watch: Watch, *, is_complete: bool = False) -> Told:
    return Told(
        done=done,
        read=report.good + report.refusals.total,
        refused=report.refusals.counts,
        first_us=report.first_us,
        last_us=report.last_us,
        at_us=watch.wall_us(),
        is_complete=is_complete,
        is_about_markets=report.kind == "settlements",
    )


def _count(report: Report, stored: Stored) -> None:
    report.new += stored.new
    report.known += stored.known
    report.strikes += stored.strikes
    for reason, count, example in stored.refused:
        report.refusals.add_many(reason, count, example)
        report.good -= count


def _rows(
    store: HistoryStore, report: Report, where: str, items: Iterable[Any]
) -> list[tuple[Any, ...]]:
    if where == "recordings":
        return [_block_row(store.feed(report.source, one.symbol), one) for one in items]
    if where == "markets":
        return [(store.feed(report.source, one[0]), *one[1:]) for one in items]
    feed = store.feed(report.source, report.symbol)
    return [(feed, *one) for one in items]


def _block_row(feed: int, one: Block) -> tuple[Any, ...]:
    return (
        feed,
        one.first_us,
        one.last_us,
        one.channel,
        one.ticker,
        one.count,
        one.format,
        one.digest,
        one.body,
    )


def _check_scale(store: HistoryStore, report: Report, batch: Mapping[str, list[Any]]) -> None:
    """Refuse a file whose first price is several times what somebody else recorded then."""
    first = next((items[0] for where, items in batch.items() if where in WITH_SYMBOL), None)
    if first is None:
        return
    at_us, price = first[0], first[4] if report.kind == "minutes" else first[1]
    stored = store.nearest_price(report.symbol, at_us)
    if stored is not None and not stored[0] < JUMP * price < JUMP * JUMP * stored[0]:
        raise InvalidValue(
            f"prices of {report.symbol} are {price / stored[0]:.3g} times those of {stored[1]} at that "
            "time: is it another symbol, or cents instead of dollars? Nothing was taken"
        )
