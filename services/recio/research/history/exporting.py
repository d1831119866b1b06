"""Writes a stretch of the history to a file that an import takes again: CSV, CSV gzip, or Parquet.

The file appears under its name only when it is whole. A stretch in which two sources recorded the same
symbol is refused until one is named: their rows would contradict each other.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final, cast

from recio.adapters.postgres import history_read
from recio.adapters.postgres.history_read import Connection, Stretch
from recio.domain.errors import InvalidValue, Unavailable

KINDS: Final = ("minutes", "seconds", "settlements")
Write = Callable[[Connection, str, Stretch, Path], int]


def export(connection: Connection, kind: str, stretch: Stretch, path: Path) -> int:
    """Write the rows and return how many.

    Raises:
        InvalidValue: an unknown ending, no rows, or several sources of what can have only one.
        Unavailable: Parquet without pyarrow, or the database is away.
    """
    write = _writer(path)
    _check_one(connection, kind, stretch)
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        rows = write(connection, kind, stretch, unfinished)
        if not rows:
            raise InvalidValue(
                f"the history holds no {kind} of that stretch: see recio history show"
            )
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return rows


def _writer(path: Path) -> Write:
    name = path.name.lower()
    if name.endswith((".csv", ".csv.gz")):
        return _csv_gz if name.endswith(".gz") else _csv
    if name.endswith(".parquet"):
        return _parquet
    raise InvalidValue(f"expected a name ending in .csv, .csv.gz or .parquet, received {path.name}")


def _check_one(connection: Connection, kind: str, stretch: Stretch) -> None:
    if kind == "settlements":
        return
    found = {
        (one.symbol, one.source)
        for one in history_read.held(connection)
        if one.kind == kind
        and stretch.symbol in {"", one.symbol}
        and stretch.source in {"", one.source}
        and one.first_us < stretch.until_us
        and one.last_us >= stretch.since_us
    }
    if len(found) > 1:
        names = ", ".join(f"{symbol} from {source}" for symbol, source in sorted(found))
        raise InvalidValue(f"name one of them with --symbol and --source: {names}")


def _csv(connection: Connection, kind: str, stretch: Stretch, path: Path) -> int:
    with path.open("wb") as file:
        return _copied(connection, kind, stretch, file)


def _csv_gz(connection: Connection, kind: str, stretch: Stretch, path: Path) -> int:
    # Without a time inside, the same rows are the same file.
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
        return _copied(connection, kind, stretch, cast("IO[bytes]", file))


def _copied(connection: Connection, kind: str, stretch: Stretch, file: IO[bytes]) -> int:
    lines = 0
    for piece in history_read.copied(connection, kind, stretch):
        lines += piece.count(b"\n")
        file.write(piece)
    return max(lines - 1, 0)


def _parquet(connection: Connection, kind: str, stretch: Stretch, path: Path) -> int:
    try:
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise Unavailable(
            "Parquet needs pyarrow: install it with pip install 'recio[research]'"
        ) from error
    rows = 0
    writer: Any = None
    try:
        for names, batch in history_read.fetched(connection, kind, stretch):
            made = pa.table(dict(_columns(names, batch)), schema=_schema(pa, names))
            writer = writer or parquet.ParquetWriter(path, made.schema, compression="zstd")
            writer.write_table(made)
            rows += len(batch)
    finally:
        if writer is not None:
            writer.close()
    return rows


def _columns(
    names: tuple[str, ...], batch: list[tuple[Any, ...]]
) -> Iterator[tuple[str, list[Any]]]:
    for place, name in enumerate(names):
        scale = _DECIMALS.get(name)
        values = [row[place] for row in batch]
        if scale is not None:
            values = [None if value is None else Decimal(value) for value in values]
        yield name, values


_DECIMALS: Final = {
    **dict.fromkeys(("open", "high", "low", "close", "price", "strike", "settlement_price"), 6),
    "volume": 8,
}


def _schema(pa: Any, names: tuple[str, ...]) -> Any:  # noqa: ANN401 (pyarrow has no types)
    kinds = {
        name: pa.decimal128(24, _DECIMALS[name])
        if name in _DECIMALS
        else pa.int64()
        if name.endswith("ts")
        else pa.string()
        for name in names
    }
    return pa.schema(list(kinds.items()))
