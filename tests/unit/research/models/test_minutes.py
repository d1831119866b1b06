"""Minute files: what is read, and that every fault is named, counted and refused."""

from __future__ import annotations

import gzip

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from recio.domain.errors import InvalidValue
from recio.research.models import minutes

START = 1_704_067_200
HEAD = "ts,open,high,low,close,volume\n"
BLANK = f"{START + 60},nan,nan,nan,nan,1.5\n"


def row(place, price=40_000.0, *, ts=None):
    """Return one good line."""
    second = START + 60 * place if ts is None else ts
    return f"{second},{price},{price + 5},{price - 5},{price + 1},1.5\n"


def written(folder, *rows, name="btc.csv"):
    """Write a file and return its path."""
    path = folder / name
    path.write_text(HEAD + "".join(rows))
    return path


def refusal(*paths, symbol="BTC"):
    """Return what a refusal says."""
    with pytest.raises(InvalidValue) as refused:
        minutes.load(paths, symbol)
    return str(refused.value)


def test_csv_gz_and_parquet_hold_the_same(tmp_path):
    """Three ways to write three minutes; one of them is missing and stays so."""
    lines = HEAD + row(0) + row(1) + row(3, 40_100)
    (tmp_path / "a.csv").write_text(lines)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(lines.encode()))
    columns = {
        "ts": pa.array([START, START + 60, START + 180]).cast(pa.timestamp("s")),
        "open": [40_000.0, 40_000.0, 40_100.0], "high": [40_005.0, 40_005.0, 40_105.0],
        "low": [39_995.0, 39_995.0, 40_095.0], "close": [40_001.0, 40_001.0, 40_101.0],
    }  # fmt: skip
    parquet.write_table(pa.table(columns), tmp_path / "c.parquet")

    read = [minutes.load([path], "BTC") for path in sorted(tmp_path.iterdir())]

    for one in read:
        assert (one.first, one.last, one.missing) == ("2024-01-01T00:00Z", "2024-01-01T00:03Z", 1)
        assert np.array_equal(one.close, [40_001, 40_001, np.nan, 40_101], equal_nan=True)
        assert one.sources[0].rows == 3


def test_files_are_put_in_order_and_may_leave_a_gap(tmp_path):
    """The later file is named first; the minutes between are missing."""
    late = written(tmp_path, row(10), row(11), name="late.csv")
    early = written(tmp_path, row(0), name="early.csv")

    read = minutes.load([late, early], "BTC")

    assert [one.name for one in read.sources] == ["early.csv", "late.csv"]
    assert (len(read.close), read.missing) == (12, 9)
    assert read.between(START + 60 * 10, START + 60 * 11).missing == 0


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row(0), row(1), row(1)], "1 minutes stand there twice; first in row 3"),
        ([row(0), row(2), row(1)], "1 minutes are out of order; first in row 3"),
        ([row(0, ts=START * 1000), row(1, ts=START * 1000 + 60_000)], "2 times look like milli"),
        ([row(0), row(0, ts=START + 90)], "1 times are off the minute"),
        ([row(0), row(1, 4_000_000.0)], "1 prices are not BTC in dollars"),
        ([row(0), row(1, 400_000.0)], "1 prices jump by more than a factor of 2"),
        ([row(0), BLANK, row(2)], "1 rows have an empty or infinite price"),
        ([row(0), f"{START + 60},1,,1,1,1\n"], "1 rows have an empty or infinite price"),
        ([row(0), f"{START + 60},-1,5,-2,1,1\n"], "1 rows have a price that is not positive"),
        ([row(0), f"{START + 60},40000,40000,39000,40001,1\n"], "1 bars have a high or low inside"),
        ([row(0), f"{START + 60},40000,4"], "half-written: the last line has no end"),
        ([row(0), f"{START + 60},40000,4\n"], "expected the columns"),
        ([row(0), f"{START + 60},x,4,1,1,1\n"], "expected the columns"),
        ([], "expected minutes, found none"),
    ],
)  # fmt: skip
def test_faults_are_named_and_counted(tmp_path, rows, said):
    """Nothing is dropped: the file is refused with the count and the first place."""
    assert said in refusal(written(tmp_path, *rows))


def test_all_faults_of_a_file_are_told_together(tmp_path):
    """Whoever mends the file need not come back for each."""
    said = refusal(written(tmp_path, row(0), row(0), BLANK, row(3), row(2)))

    assert "stand there twice" in said
    assert "out of order" in said
    assert "empty or infinite" in said


def test_minutes_of_two_files_at_once_are_refused(tmp_path):
    """The same minute twice, or files that interleave."""
    first = written(tmp_path, row(0), row(1), row(5), name="first.csv")
    assert "1 minutes are also in first.csv" in refusal(
        first, written(tmp_path, row(1), row(2), name="second.csv")
    )
    assert "begins before first.csv has ended" in refusal(
        first, written(tmp_path, row(2), row(7), name="third.csv")
    )


def test_a_half_written_archive_is_refused(tmp_path):
    """A compressed file that ends too early, and a Parquet file without its end."""
    packed = gzip.compress((HEAD + "".join(row(k) for k in range(500))).encode())
    (tmp_path / "cut.csv.gz").write_bytes(packed[:-20])
    (tmp_path / "cut.parquet").write_bytes(b"PAR1" + b"\0" * 100)
    (tmp_path / "empty.csv").write_bytes(b"")

    assert "half-written or damaged" in refusal(tmp_path / "cut.csv.gz")
    assert "half-written or damaged" in refusal(tmp_path / "cut.parquet")
    assert "found nothing" in refusal(tmp_path / "empty.csv")
    assert "cannot be read" in refusal(tmp_path / "none.csv")
    assert "at least one file" in refusal()


def test_a_folder_without_files_of_the_symbol_is_told(tmp_path):
    """The names say which days a file holds."""
    written(tmp_path, row(0), name="btc_1m_2024-01-01_2024-03-31.csv.gz")

    assert len(minutes.find(tmp_path, "BTC", "2024-02-01", "2024-02-02")) == 1
    with pytest.raises(InvalidValue, match=r"eth_1m_.*found none"):
        minutes.find(tmp_path, "ETH")
    with pytest.raises(InvalidValue, match="2025-01-01"):
        minutes.find(tmp_path, "BTC", "2025-01-01", "2025-02-01")
