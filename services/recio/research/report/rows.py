"""Rows to a file as they come: CSV, CSV packed with gzip, or Parquet; flat in memory.

The ending of the name chooses: ``.csv``, ``.csv.gz``, ``.parquet``. Columns keep their units in their
names; what is not known is empty. The same rows make the same bytes.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from recio.domain.errors import InvalidValue

Value = str | int | None
Columns = Mapping[str, type[str] | type[int]]

_GROUP_ROWS: Final = 20_000
_QUICK: Final = 4
"""gzip's level: half the time of the default for a tenth more bytes."""


class _Writer(Protocol):
    def write(self, row: Sequence[Value]) -> None: ...

    def close(self) -> None: ...


class RowFile:
    """One file of rows; a context manager, or ``close`` it."""

    def __init__(self, path: Path, columns: Columns) -> None:
        self.path = path
        self.rows = 0
        self._width = len(columns)
        self._writer = _writer(path, columns)

    def write(self, row: Sequence[Value]) -> None:
        """Append a row.

        Raises:
            InvalidValue: more or fewer values than columns.
        """
        if len(row) != self._width:
            raise InvalidValue(f"{self.path}: expected {self._width} values, received {len(row)}")
        self.rows += 1
        self._writer.write(row)

    def close(self) -> None:
        """Write what is left and close the file."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def write_rows(path: Path, columns: Columns, rows: Iterable[Sequence[Value]]) -> None:
    """Write a whole file."""
    with RowFile(path, columns) as file:
        for row in rows:
            file.write(row)


def _writer(path: Path, columns: Columns) -> _Writer:
    if path.name.endswith(".parquet"):
        return _Parquet(path, columns)
    if path.name.endswith((".csv", ".csv.gz")):
        return _Csv(path, columns)
    raise InvalidValue(f"expected a name that ends in .csv, .csv.gz or .parquet, received {path}")


class _Csv:
    def __init__(self, path: Path, columns: Columns) -> None:
        self._raw = path.open("wb")
        # Neither name nor time in the header: the same rows make the same file.
        self._packed = (
            gzip.GzipFile("", "wb", _QUICK, self._raw, mtime=0) if path.suffix == ".gz" else None
        )
        self._text = io.TextIOWrapper(
            io.BufferedWriter(self._packed) if self._packed else self._raw,
            encoding="utf-8",
            newline="",
        )
        self._rows = csv.writer(self._text, lineterminator="\n")
        self._rows.writerow(columns)

    def write(self, row: Sequence[Value]) -> None:
        self._rows.writerow(row)

    def close(self) -> None:
        self._text.close()
        self._raw.close()


class _Parquet:
    def __init__(self, path: Path, columns: Columns) -> None:
        self._arrow, parquet = _pyarrow()
        kinds = {str: self._arrow.string(), int: self._arrow.int64()}
        self._schema = self._arrow.schema([(name, kinds[kind]) for name, kind in columns.items()])
        self._file = parquet.ParquetWriter(path, self._schema)
        self._held: list[Sequence[Value]] = []

    def write(self, row: Sequence[Value]) -> None:
        self._held.append(row)
        if len(self._held) >= _GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        if self._held:
            self._flush()
        self._file.close()

    def _flush(self) -> None:
        columns = list(zip(*self._held, strict=True))
        arrays = [
            self._arrow.array(values, type=field.type)
            for values, field in zip(columns, self._schema, strict=True)
        ]
        self._file.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        self._held.clear()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa  # noqa: PLC0415 (only who asks for Parquet needs it)
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise InvalidValue(
            f"Parquet needs pyarrow: pip install recio[research] ({error}); CSV needs nothing"
        ) from error
    return pa, parquet
