"""Load, look at and take out a history for research: minutes, seconds, trades, books, results.

Rows go into partitioned tables of their own (market.history_*), which no trading service writes. A file
may be imported twice, and an import that was cut off goes on where it was. Everything refused is named
and counted. recio history export writes what an import takes again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from recio import cli_database
from recio.adapters.postgres import history_read
from recio.adapters.postgres.history import HistoryStore
from recio.adapters.postgres.history_read import Connection, Gap, Stretch
from recio.adapters.price_feeds.coinbase import REST_URL
from recio.domain.errors import InvalidValue, RecioError
from recio.domain.units import time_us
from recio.research.history import coinbase, exporting, telling
from recio.research.history.importing import Options, Report, Watch, import_file
from recio.research.history.kinds import KINDS
from recio.runtime.clock import wall_us

EXAMPLES: Final = """examples:
  recio history import btc_2024.csv.gz --symbol BTC --source binance
  recio history import trades/*.csv.gz settlements.csv.gz --dry-run
  recio history import --coinbase BTC-USD --from 2024-01-01 --until 2024-02-01
  recio history show
  recio history gaps --kind minutes --symbol BTC
  recio history export --kind minutes --symbol BTC --from 2024-01-01 --until 2024-02-01 jan.csv.gz
  recio history log
  recio history forget 7
"""
_BAR: Final = 24
_TELL_TTY_S: Final = 0.2
_TELL_S: Final = 5.0
_LATEST: Final = "2100-01-01"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words and options."""
    words = parser.add_subparsers(dest="word", required=True, metavar="WORD")
    one = words.add_parser("import", help="bring files, or a download, into the history")
    one.add_argument("files", nargs="*", type=Path, metavar="FILE")
    one.add_argument(
        "--kind", choices=["auto", *KINDS], default="auto", help="what it holds (auto)"
    )
    one.add_argument("--symbol", default="", help="of minutes and seconds, such as BTC")
    one.add_argument("--source", default="", help="who recorded it, such as binance")
    one.add_argument("--dry-run", action="store_true", help="read and judge; write nothing")
    one.add_argument("--utc", action="store_true", help="written times without a zone are UTC")
    one.add_argument("--stamp", choices=["open", "close"], default="open", help="which end (open)")
    one.add_argument("--prices", choices=["dollars", "cents"], default="", help="of contracts")
    one.add_argument("--coinbase", metavar="PRODUCT", help="download minutes, such as BTC-USD")
    one.add_argument("--from", dest="since", type=_day, metavar="DAY", help="first day (UTC)")
    one.add_argument("--until", type=_day, metavar="DAY", help="end, not included")
    one.add_argument("--base-url", default=REST_URL, help="where the download comes from")
    cli_database.add_arguments(one)
    for name, about in _READS.items():
        each = words.add_parser(name, help=about)
        if name == "export":
            each.add_argument(
                "file", type=Path, metavar="FILE", help="ends in .csv, .csv.gz, .parquet"
            )
        if name == "forget":
            each.add_argument("number", type=int, metavar="NUMBER", help="of the import, see log")
        if name in {"gaps", "export"}:
            _add_stretch(each, is_kind_needed=name == "export")
        cli_database.add_arguments(each)


_READS: Final = {
    "show": "what is there: kinds, ranges, rows, gaps, size",
    "gaps": "which stretches are missing",
    "export": "write rows to a file",
    "log": "every import, and what it refused",
    "forget": "take the rows of an import back",
}


def _add_stretch(parser: argparse.ArgumentParser, *, is_kind_needed: bool) -> None:
    kinds = exporting.KINDS if is_kind_needed else KINDS
    parser.add_argument("--kind", choices=kinds, required=is_kind_needed)
    parser.add_argument("--symbol", default="", help="such as BTC (any)")
    parser.add_argument("--source", default="", help="such as binance (any)")
    parser.add_argument(
        "--from", dest="since", type=_day, metavar="DAY", default=_day("2009-01-01")
    )
    parser.add_argument("--until", type=_day, metavar="DAY", default=_day(_LATEST))


def _day(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a day such as 2024-01-31, got {text!r}"
        ) from None
    return time_us(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def run(arguments: argparse.Namespace) -> int:
    """Do what the word says."""
    if arguments.word == "import":
        return _import(arguments)
    if arguments.word == "forget":
        return _forget(arguments)
    with closing(history_read.opened(cli_database.url(arguments))) as connection:
        return _WORDS[arguments.word](connection, arguments)


def _import(arguments: argparse.Namespace) -> int:
    if bool(arguments.files) is bool(arguments.coinbase):
        raise InvalidValue("expected either files, or --coinbase with --from and --until")
    if arguments.coinbase and None in {arguments.since, arguments.until}:
        raise InvalidValue("--coinbase needs --from and --until")
    if arguments.dry_run:
        return _files(arguments, None)
    with HistoryStore(cli_database.url(arguments)) as store:
        if not arguments.coinbase:
            return _files(arguments, store)
        report = _timed(lambda watch: _download(arguments, store, watch))
        _told(report, store)
        return 0


def _download(arguments: argparse.Namespace, store: HistoryStore, watch: Watch) -> Report:
    return coinbase.download(
        coinbase.Wanted(
            product=arguments.coinbase, since_us=arguments.since, until_us=arguments.until
        ),
        arguments.base_url,
        store,
        watch,
    )


def _files(arguments: argparse.Namespace, store: HistoryStore | None) -> int:
    if arguments.coinbase:
        raise InvalidValue("a download has no dry run: nothing is known before it is fetched")
    options = Options(
        kind=arguments.kind,
        symbol=arguments.symbol.upper(),
        source=arguments.source.lower(),
        is_utc=arguments.utc,
        is_stamp_close=arguments.stamp == "close",
        prices=arguments.prices,
    )
    failed = 0
    for path in arguments.files:
        try:
            report = _timed(lambda watch, path=path: import_file(path, options, store, watch))  # type: ignore[misc]
        except RecioError as error:
            # The next file may be good; the exit status tells that one was not.
            print(f"{path.name}: refused whole: {error}", file=sys.stderr)
            failed += 1
            continue
        _told(report, store)
    if failed:
        print(f"{failed} of {len(arguments.files)} files were refused whole", file=sys.stderr)
    return 1 if failed else 0


def _timed(work: Callable[[Watch], Report]) -> Report:
    began_s = time.monotonic()
    bar = _Bar(began_s)
    report = work(Watch(wall_us=wall_us, tell=bar.tell))
    bar.clear()
    report.seconds = time.monotonic() - began_s
    return report


def _told(report: Report, store: HistoryStore | None) -> None:
    _print(telling.imported(report))
    if store is None or report.was_complete or report.first_us is None or report.last_us is None:
        return
    stretch = Stretch(
        symbol=report.symbol,
        source=report.source,
        since_us=report.first_us - 1,
        until_us=report.last_us + 1,
    )
    gaps = _gaps(store.connection, stretch, report.kind)
    for line in telling.gap_lines([gap for gap in gaps if gap.symbol in report.symbols]):
        print(f"  {line}")


def _gaps(connection: Connection, stretch: Stretch, kind: str | None) -> list[Gap]:
    found: list[Gap] = []
    for name, read in _GAPS.items():
        if kind is None or kind in name.split():
            found += read(connection, stretch)
    return telling.real_gaps(gap for gap in found if kind in {None, gap.kind})


_GAPS: Final = {
    "minutes": history_read.minute_gaps,
    "seconds": history_read.second_gaps,
    "settlements": history_read.market_gaps,
    "trades quotes books": history_read.recording_gaps,
}


def _show(connection: Connection, _arguments: argparse.Namespace) -> int:
    holdings = history_read.held(connection)
    gaps = _gaps(connection, Stretch(), None) if holdings else []
    _print(telling.shown(holdings, gaps, history_read.sizes(connection)))
    return 0


def _show_gaps(connection: Connection, arguments: argparse.Namespace) -> int:
    gaps = _gaps(connection, _stretch(arguments), arguments.kind)
    _print(telling.gap_lines(gaps, most=len(gaps)))
    return 0


def _export(connection: Connection, arguments: argparse.Namespace) -> int:
    rows = exporting.export(connection, arguments.kind, _stretch(arguments), arguments.file)
    print(f"{rows:,} rows: {arguments.file}")
    return 0


def _stretch(arguments: argparse.Namespace) -> Stretch:
    return Stretch(
        symbol=arguments.symbol.upper(),
        source=arguments.source.lower(),
        since_us=arguments.since,
        until_us=arguments.until,
    )


def _log(connection: Connection, _arguments: argparse.Namespace) -> int:
    _print(telling.logged(history_read.log(connection)))
    return 0


_WORDS: Final = {"show": _show, "gaps": _show_gaps, "export": _export, "log": _log}


def _forget(arguments: argparse.Namespace) -> int:
    with HistoryStore(cli_database.url(arguments)) as store:
        rows = store.forget(arguments.number, wall_us())
    print(f"{rows:,} rows taken back; the import may be run again")
    return 0


def _print(lines: Iterable[str] | Sequence[str]) -> None:
    for line in lines:
        print(line)


class _Bar:
    """A line about how far we are: drawn over itself on a terminal, now and then elsewhere."""

    def __init__(self, began_s: float) -> None:
        self._began_s = began_s
        self._is_tty = sys.stderr.isatty()
        self._told_s = began_s
        self._is_drawn = False

    def tell(self, done: int, whole: int, rows: int) -> None:
        """Show it, if it was not shown just now."""
        now_s = time.monotonic()
        if now_s - self._told_s < (_TELL_TTY_S if self._is_tty else _TELL_S) or not whole:
            return
        self._told_s, share = now_s, min(done / whole, 1.0)
        passed_s = now_s - self._began_s
        left_s = passed_s * (1 - share) / share if share else 0.0
        bar = ("#" * int(share * _BAR)).ljust(_BAR, ".")
        text = (
            f"[{bar}] {share:4.0%}  {rows:,} rows, {rows / passed_s:,.0f} a second, "
            f"{int(left_s) // 60}:{int(left_s) % 60:02d} left"
        )
        self._is_drawn = self._is_tty
        print(f"\r{text}\033[K" if self._is_tty else text, end="" if self._is_tty else "\n",
              file=sys.stderr, flush=True)  # fmt: skip

    def clear(self) -> None:
        """Leave no half line behind."""
        if self._is_drawn:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
