"""The folder of a run: what stands in each file, and that nothing hostile becomes HTML."""

import csv
import gzip
import json
import sys
from pathlib import Path

import pytest
from tests.unit.research.report.made_up import many, result, trade

from recio.domain.errors import InvalidValue
from recio.research.report.listings import LISTED_TRADES
from recio.research.report.rows import RowFile, write_rows
from recio.research.report.writing import lines, write


def read(path):
    """Return a CSV file's rows."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_trade_and_every_point_is_written(tmp_path):
    """Rule: trades.csv holds all trades, also without a result; sums are exact."""
    run = result()
    head = write(run, tmp_path, decisions=Path("decisions.csv.gz"))
    rows = read(tmp_path / "trades.csv")
    assert len(rows) == len(run.trades)
    known = [row for row in rows if row["pnl_usd_e6"] and row["filled_qty_e2"] != "0"]
    assert sum(int(row["pnl_usd_e6"]) for row in known) == head.sums.pnl_usd_e6
    points = read(tmp_path / "equity.csv")
    assert int(points[-1]["equity_usd_e6"]) == run.equity[-1].equity_usd_e6
    told = json.loads((tmp_path / "result.json").read_text())
    assert told["headline"]["sums"]["pnl_usd_e6"] == head.sums.pnl_usd_e6
    assert told["coverage"]["refused"] == {"price below zero": 3}
    assert told["gates"] == dict(run.gates)


def test_the_page_tells_what_a_reader_must_know(tmp_path):
    """Rule: verdict, caveat, made-up quotes, needed win rate, holes, refused rows, why not, trades."""
    run = result()
    head = write(run, tmp_path, decisions=Path("decisions.csv.gz"))
    text = (tmp_path / "report.html").read_text()
    for words in (
        head.verdict,
        run.caveat,
        "profit against made-up quotes says nothing about Kalshi",
        "Win rate / needed",
        "price below zero",
        "no row for 2 h",
        "the edge after the fee is too small, or unknown",
        "the entry window has not begun",
        "total cost above the limit",
        "decisions.csv.gz",
        run.trades[0].market_ticker,
        str(run.trades[0].decision_id),
    ):
        assert words in text, words
    assert "<b>" not in text.replace("<b>+", "").replace("</span><b>", "")
    assert "probability stop &lt;b&gt;" in text


def test_a_run_without_trades_says_so(tmp_path):
    """Rule: nothing traded is a result too: the funnel tells why."""
    head = write(result([]), tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert head.verdict.startswith("No trade has a known result")
    assert "Nothing was traded" in text
    assert "Why not" in text


def test_a_long_list_is_cut_and_says_so(tmp_path):
    """Rule: the page holds a thousand trades and names the file with all."""
    write(result([trade(at) for at in range(1, LISTED_TRADES + 3)]), tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert "The first 1,000 of 1,002; all are in trades.csv" in text


def test_parquet_holds_the_same_rows(tmp_path):
    """Rule: the same columns and values as the CSV, with types."""
    parquet = pytest.importorskip("pyarrow.parquet")
    run = result()
    write(run, tmp_path, parquet=True)
    table = parquet.read_table(tmp_path / "trades.parquet").to_pylist()
    plain = read(tmp_path / "trades.csv")
    assert [{k: "" if v is None else str(v) for k, v in row.items()} for row in table] == plain
    assert parquet.read_table(tmp_path / "equity.parquet").num_rows == len(run.equity)


def test_parquet_without_its_library_names_the_way_out(tmp_path, monkeypatch):
    """Rule: the message says what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidValue, match=r"pip install recio\[research\]"):
        write(result([]), tmp_path, parquet=True)


def test_the_same_run_is_the_same_bytes(tmp_path):
    """Rule: no clock and no chance in any file."""
    for folder in ("a", "b"):
        write(result(), tmp_path / folder)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_lines_for_a_terminal():
    """Rule: the verdict first, the figures below, the caveat at the end."""
    from recio.research.report.headline import headline  # noqa: PLC0415

    run = result(many(60))
    told = lines(headline(run), run)
    assert told[0].startswith(("No evidence", "It lost", "Too little"))
    assert told[-1] == run.caveat
    assert max(map(len, told[2:-2])) <= 110


def test_rows_are_packed_alike_and_counted(tmp_path):
    """Rule: .csv.gz unpacks to the .csv; a row of another width is refused, an odd ending too."""
    rows = [("a", 1), ("b", None)]
    for name in ("x.csv", "x.csv.gz"):
        write_rows(tmp_path / name, {"name": str, "value": int}, rows)
    assert (
        gzip.decompress((tmp_path / "x.csv.gz").read_bytes()) == (tmp_path / "x.csv").read_bytes()
    )
    assert (tmp_path / "x.csv").read_text() == "name,value\na,1\nb,\n"
    with RowFile(tmp_path / "y.csv", {"name": str}) as file, pytest.raises(InvalidValue, match="2"):
        file.write(("a", "b"))
    with pytest.raises(InvalidValue, match="ends in"):
        RowFile(tmp_path / "x.txt", {"name": str})
