"""What is there, what is missing, and out again."""

from __future__ import annotations

import gzip

import pytest
from tests.integration.history.conftest import MINUTES, START_S, minute_rows, write

BTC = ("--symbol", "BTC", "--source", "binance")


@pytest.fixture
def two_days(tmp_path, history):
    """Two days of minutes with one hole of 80 minutes."""
    rows = minute_rows(2880)
    path = write(tmp_path / "m.csv.gz", MINUTES, [*rows[:760], *rows[840:]])
    history("import", path, *BTC)
    return rows


@pytest.mark.usefixtures("two_days")
def test_show_tells_kind_range_rows_gaps_and_size(history):
    """One line for each thing that was recorded."""
    said = history("show")[1]
    line = next(line for line in said.splitlines() if line.startswith("minutes"))
    assert line.split() == [
        "minutes", "BTC", "binance", "2024-01-01", "00:01", "2024-01-03", "00:00", "2,800", "1",
    ]  # fmt: skip
    assert "market.history_minutes" in said


def test_an_empty_history_says_what_to_do(history):
    """Rather than an empty table."""
    assert "recio history import FILE" in history("show")[1]
    assert "nothing was imported yet" in history("log")[1]
    assert "no gaps" in history("gaps")[1]


@pytest.mark.usefixtures("two_days")
def test_gaps_name_the_stretch_and_how_many_are_missing(history):
    """From the end of the last minute to the opening of the next."""
    said = history("gaps", "--kind", "minutes")[1]
    assert "1 gap, 1 h 20 min in all" in said
    assert "2024-01-01 12:40  2024-01-01 14:00  1 h 20 min  80 missing" in said
    assert "no gaps" in history("gaps", "--from", "2024-01-02")[1]


def test_missing_results_are_counted_by_close_and_an_hour_without_a_name_is_none(tmp_path, history):
    """In autumn New York has one hour twice and the exchange's names have it once."""
    rows = [
        "KXBTCD-24NOV0300-T69999.99,1730606400,,,yes,",
        "KXBTCD-24NOV0301-T69999.99,1730610000,,,yes,",
        "KXBTCD-24NOV0302-T69999.99,1730617200,,,yes,",
        "KXBTCD-24NOV0305-T69999.99,1730628000,,,yes,",
    ]
    header = "ticker,close_ts,strike,settlement_price,result,settlement_ts"
    history("import", write(tmp_path / "r.csv", header, rows))
    said = history("gaps", "--kind", "settlements")[1]
    assert "1 gap" in said
    assert "2 missing" in said


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.parquet"])
@pytest.mark.usefixtures("two_days")
def test_what_is_exported_is_imported_again_to_the_same_rows(tmp_path, history, name):
    """Out and in again: nothing is new, nothing contradicts."""
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    path = tmp_path / name
    assert "2,800 rows" in history("export", "--kind", "minutes", *BTC, path)[1]
    said = history("import", path, *BTC)[1]
    assert "2,800 were there already" in said
    assert "0 refused" in said
    assert not list(tmp_path.glob("*.unfinished"))


@pytest.mark.usefixtures("two_days")
def test_an_export_is_cut_to_the_stretch(tmp_path, history):
    """From the first minute that opens in it to the last that opens before its end."""
    path = tmp_path / "out.csv.gz"
    history("export", "--kind", "minutes", *BTC, "--from", "2024-01-02", path)
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    assert lines[0] == MINUTES
    assert [lines[1].split(",")[0], len(lines)] == [str(START_S + 86_400), 1441]


@pytest.mark.usefixtures("two_days")
def test_two_sources_of_one_symbol_are_not_mixed(tmp_path, history):
    """Their rows would contradict each other in one file."""
    path = write(tmp_path / "other.csv", MINUTES, minute_rows(10))
    history("import", path, "--symbol", "BTC", "--source", "kraken")
    status, said = history("export", "--kind", "minutes", "--symbol", "BTC", tmp_path / "o.csv")
    assert status == 1
    assert "BTC from binance, BTC from kraken" in said
    assert not (tmp_path / "o.csv").exists()


def test_an_export_of_nothing_leaves_no_file(history, tmp_path):
    """An empty file would look like a history without trades."""
    status, said = history("export", "--kind", "seconds", tmp_path / "o.csv")
    assert status == 1
    assert "holds no seconds" in said
    assert list(tmp_path.iterdir()) == []
