"""Files as tables of text: CSV, JSON lines and Parquet, gzip or zip; streamed, never held whole.

Before a row is read the whole file is looked through once: its SHA-256, and for gzip and zip whether it is
whole, so that nothing of a half-written archive is stored. A last line without its end is refused:
nobody can tell whether its last number is. Refused as a whole: an unknown kind of file, a damaged or
empty one, a CSV without a header line (unless it is a kline file of Binance, which never has one).

Sources: RFC 4180 (CSV), github.com/binance/binance-public-data (klines: 12 columns, no header, times
in milliseconds, since 2025 in microseconds).
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from recio.domain.errors import InvalidValue, Unavailable
from recio.research.history.refusals import Refusals, Refused

CHUNK_BYTES: Final = 1 << 20
LINE_BYTES_MOST: Final = 16 << 20
PARQUET_ROWS: Final = 16_384
KLINES: Final = (
    "open_time", "open", "high", "low", "close", "volume", "close_time",
    "quote_volume", "trades", "taker_volume", "taker_quote_volume", "ignore",
)  # fmt: skip
_DELIMITERS: Final = (",", ";", "\t")
_DAMAGED: Final = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile)

Row = Sequence[str]
Numbered = tuple[int, Row]


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is whole."""

    path: Path
    form: str
    sha256: str
    size_bytes: int


class Table(msgspec.Struct, frozen=True):
    """Columns in lower case, and rows with their numbers (the first is 1)."""

    columns: tuple[str, ...]
    rows: Iterator[Numbered]


Tell = Callable[[int], None]
"""Told now and then how many bytes of the file are behind us."""


def examine(path: Path) -> Input:
    """Look a file through.

    Raises:
        InvalidValue: not there, of an unknown kind, empty, or damaged.
    """
    form = _form(path)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
        size = file.tell()
    if not size:
        raise InvalidValue(f"{path} is empty")
    if path.suffix in {".gz", ".zip"}:
        _check_whole(path)
    return Input(path=path, form=form, sha256=digest.hexdigest(), size_bytes=size)


def _form(path: Path) -> str:
    if not path.is_file():
        raise InvalidValue(f"expected a file, found none at {path}")
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(".zip"):
        name = _member(path).lower()
    for form, endings in _ENDINGS.items():
        if name.endswith(endings):
            return form
    raise InvalidValue(
        f"expected a name ending in .csv, .jsonl, .ndjson (each also .gz or .zip) or .parquet, "
        f"received {path.name}"
    )


_ENDINGS: Final = {
    "csv": (".csv", ".tsv", ".txt"),
    "lines": (".jsonl", ".ndjson"),
    "parquet": (".parquet",),
}


def _check_whole(path: Path) -> None:
    try:
        with path.open("rb") as raw, _unpacked(path, raw) as file:
            while file.read(CHUNK_BYTES):
                pass
    except _DAMAGED as error:
        raise InvalidValue(
            f"{path} is half-written or damaged ({error}): nothing of it was taken; fetch it again"
        ) from error


def _unpacked(path: Path, raw: IO[bytes]) -> io.BufferedReader:
    opened: Any = raw
    if path.suffix == ".gz":
        opened = gzip.GzipFile(fileobj=raw)
    elif path.suffix == ".zip":
        opened = zipfile.ZipFile(raw).open(_member(path))  # noqa: SIM115  (raw is closed by its opener)
    return io.BufferedReader(opened, CHUNK_BYTES)


def _member(path: Path) -> str:
    """Return the name of the one file in an archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise InvalidValue(
            f"{path} is half-written or damaged ({error}): nothing of it was taken; fetch it again"
        ) from error
    if len(names) != 1 or names[0].lower().endswith(".parquet"):
        raise InvalidValue(f"expected an archive of one text file, {path.name} holds {len(names)}")
    return names[0]


def table(given: Input, refusals: Refusals, tell: Tell = lambda _bytes: None) -> Table:
    """Open a file as a table.

    Raises:
        InvalidValue: there are no columns to be found.
    """
    if given.form == "parquet":
        return _parquet(given.path, tell)
    lines = lines_of(given.path, tell)
    if given.form == "lines":
        return json_table(lines, refusals)
    return csv_table(given.path, lines, refusals)


def lines_of(path: Path, tell: Tell = lambda _bytes: None) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file with their numbers, as they are."""
    with path.open("rb") as raw:
        file = _unpacked(path, raw)
        number = 0
        while line := file.readline(LINE_BYTES_MOST):
            number += 1
            if not number % 4096:
                tell(raw.tell())
            yield number, line


def _ended(lines: Iterator[tuple[int, bytes]], refusals: Refusals) -> Iterator[tuple[int, bytes]]:
    for number, line in lines:
        if line.endswith(b"\n"):
            yield number, line
        else:
            said = line[-60:].decode(errors="replace")
            refusals.add(number, Refused("line cut off before its end", said))


def csv_table(path: Path, lines: Iterator[tuple[int, bytes]], refusals: Refusals) -> Table:
    """Return the table that lines of CSV are.

    Raises:
        InvalidValue: there is no header line.
    """
    lines = _ended(lines, refusals)
    head = [(number, line.decode("utf-8-sig", "replace")) for number, line in islice(lines, 2)]
    if not head:
        raise InvalidValue(f"{path} holds no whole line")
    # Some publishers put their address above the header.
    if not any(delimiter in head[0][1] for delimiter in _DELIMITERS):
        head = [*head[1:]]
    first = head[0][1] if head else ""
    delimiter = max(_DELIMITERS, key=first.count)
    columns = _columns(path, next(csv.reader([first], delimiter=delimiter), []))
    kept = head if columns == KLINES else head[1:]
    return Table(columns, _csv_rows(kept, lines, delimiter, len(columns), refusals))


def _columns(path: Path, cells: Sequence[str]) -> tuple[str, ...]:
    names = tuple(cell.strip().lower().replace(" ", "_") for cell in cells)
    if cells and cells[0].strip().isdigit():
        if len(cells) == len(KLINES):
            return KLINES
        raise InvalidValue(
            f"{path} has no header line: add one such as ts,open,high,low,close,volume"
        )
    if len(set(names)) != len(names) or len(names) < 2:  # noqa: PLR2004
        raise InvalidValue(
            f"expected a header of different names in {path.name}, such as "
            f"ts,open,high,low,close,volume; received {', '.join(names)[:80] or 'one word'}"
        )
    return names


def _csv_rows(
    head: Sequence[tuple[int, str]],
    lines: Iterator[tuple[int, bytes]],
    delimiter: str,
    width: int,
    refusals: Refusals,
) -> Iterator[Numbered]:
    texts = ((number, line.decode("utf-8", "replace")) for number, line in lines)
    for number, text in chain(head, texts):
        # A quoted field may not hold a line break: one stray quote would swallow what follows it.
        row = text.rstrip("\r\n").split(delimiter) if '"' not in text else _quoted(text, delimiter)
        if len(row) == width:
            yield number, row
        elif any(row):
            refusals.add(number, Refused("another number of columns than the header", text.strip()))


def _quoted(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([text.rstrip("\r\n")], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return [text]


def json_table(lines: Iterator[tuple[int, bytes]], refusals: Refusals) -> Table:
    """Return the table that JSON objects, one a line, are: the first one's members are its columns.

    Raises:
        InvalidValue: there is no object.
    """
    columns: tuple[str, ...] = ()
    first: list[tuple[int, dict[str, Any]]] = []
    for number, line in lines:
        with suppress(Refused):
            first = [(number, _object(line))]
            columns = tuple(name.lower() for name in first[0][1])
            break
        refusals.add(number, Refused("not a JSON object", line[:60].decode(errors="replace")))
    if not columns:
        raise InvalidValue("expected JSON objects, one a line, found none")
    return Table(columns, _object_rows(first, lines, refusals))


def _object_rows(
    first: Sequence[tuple[int, dict[str, Any]]],
    lines: Iterator[tuple[int, bytes]],
    refusals: Refusals,
) -> Iterator[Numbered]:
    names = tuple(first[0][1])
    for number, one in first:
        yield number, [_text(one[name]) for name in names]
    for number, line in lines:
        try:
            one = _object(line)
        except Refused as refused:
            refusals.add(number, refused)
            continue
        yield number, [_text(one.get(name)) for name in names]


def _object(line: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Refused("not a JSON object", line[:60].decode(errors="replace")) from None


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _parquet(path: Path, tell: Tell) -> Table:
    try:
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise Unavailable(
            "Parquet needs pyarrow: install it with pip install 'recio[research]'"
        ) from error
    try:
        file = parquet.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InvalidValue(f"{path} is no whole Parquet file ({error}): fetch it again") from error
    columns = tuple(name.lower() for name in file.schema_arrow.names)
    return Table(columns, _parquet_rows(file, path.stat().st_size, tell))


def _parquet_rows(file: Any, size: int, tell: Tell) -> Iterator[Numbered]:  # noqa: ANN401 (pyarrow has no types)
    number, rows = 0, file.metadata.num_rows
    for batch in file.iter_batches(PARQUET_ROWS):
        columns = [[_cell(value) for value in column.to_pylist()] for column in batch.columns]
        for row in zip(*columns, strict=True):
            number += 1
            yield number, row
        tell(size * number // max(rows, 1))


def _cell(value: object) -> str:
    if value is None:
        return ""
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)
