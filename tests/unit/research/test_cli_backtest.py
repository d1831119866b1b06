"""`recio backtest`: a document and a tape in, a folder out; what cannot be is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recio.cli import main

ACCOUNT = """
apiVersion: recio.io/v1alpha1
kind: TradingAccount
metadata: {name: fifteen}
spec:
  series: [KXBTC15M]
  strategy:
    autoEntry:
      {enabled: true, minProbabilityPermille: 600, minSecondsToClose: 60, minVolumeContracts: 0}
"""


@pytest.fixture
def document(tmp_path) -> Path:
    """Return the path of an account that trades the packaged recording."""
    path = tmp_path / "account.yaml"
    path.write_text(ACCOUNT)
    return path


def test_a_recorded_market_becomes_a_page_and_tables(document, tmp_path, capsys):
    """The packaged recording is played to its settlement; the same run gives the same figures."""
    for folder in ("one", "two"):
        words = ["backtest", "-f", str(document), "--tape", "packaged"]
        assert main([*words, "--out", str(tmp_path / folder)]) == 0
    told = capsys.readouterr().out
    assert "Profit after fees" in told
    first, second = (
        json.loads((tmp_path / name / "result.json").read_bytes()) for name in ("one", "two")
    )
    first.pop("cpu_seconds", None), second.pop("cpu_seconds", None)
    assert first["orders"] == second["orders"] > 0
    trades = (tmp_path / "one" / "trades.csv").read_text()
    assert trades == (tmp_path / "two" / "trades.csv").read_text()
    assert trades.count("\n") > 1
    assert "<script" not in (tmp_path / "one" / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--tape", "nowhere:x"], "tape"),
        (["--latency-ms", "-1"], "--latency-ms from 0"),
        (["--strategy-file", "mine.py"], "only with strategy.name Custom"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(document, tmp_path, capsys, words, told):
    """Nothing is played and nothing is written over."""
    assert main(["backtest", "-f", str(document), "--out", str(tmp_path / "out"), *words]) == 1
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
