"""Decisions as rows: what is new by default, everything on demand, nothing held for long."""

import csv
from uuid import UUID

import msgspec
import pytest

from recio.domain.stop import StopState
from recio.engine.records import ENTRY, STOP, EntryBody, Record, StopBody, StrikeDecision
from recio.research.report.decision_file import COLUMNS, DecisionFile

CLOSE_US = 1_709_301_600_000_000


def entry(generation, *gates, event="KXBTCD-1", whole="", intents=()):
    """Return the record of a look at some strikes."""
    body = EntryBody(
        gate=whole,
        close_us=CLOSE_US,
        price_usd_e6=60_000_000_000,
        price_age_us=1,
        spot_usd_e6=None,
        momentum_e6=None,
        momentum_bucket=2,
        is_momentum_complete=False,
        model="Volatility",
        snapshot_model="Volatility",
        model_version="v1",
        volatility_e9=None,
        window_average_usd_e6=None,
        window_count=0,
        strikes=tuple(
            StrikeDecision(f"{event}-T{at}", "yes", 960_000, 9600, 10, 5, 1, gate)
            for at, gate in enumerate(gates)
        ),
        intents=intents,
    )
    return record(ENTRY, generation, body, event)


def stop(generation):
    """Return the record of a stop."""
    body = StopBody(
        trade_id=UUID(int=9),
        market_ticker="KXBTCD-1-T1",
        side="yes",
        close_us=CLOSE_US,
        p_e6=300_000,
        bid_e4=4000,
        momentum_e6=None,
        is_flatten=False,
        price_usd_e6=None,
        generation=generation,
        state=StopState(),
        intent_id=UUID(int=10),
    )
    return record(STOP, generation, body, "KXBTCD-1")


def record(kind, generation, body, event):
    """Return a record around a body."""
    return Record(
        decision_id=UUID(int=generation),
        account="paper",
        kind=kind,
        event_ticker=event,
        generation=generation,
        at_us=CLOSE_US - 600_000_000 + generation * 1_000_000,
        body=msgspec.msgpack.encode(body),
    )


def written(tmp_path, records, **how):
    """Return the rows that a file of these decisions holds."""
    path = tmp_path / "decisions.csv"
    with DecisionFile(path, **how) as file:
        for one in records:
            file.decision(one)
    with path.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert len(rows) == file.rows
    return [(row["generation"], row["market_ticker"][-2:], row["gate"]) for row in rows]


RECORDS = [
    entry(1, "edge", "edge"),
    entry(2, "edge", "probability"),
    entry(3, "edge", "probability"),
    entry(4, "", "probability", intents=(UUID(int=4),)),
    entry(5, "", "probability"),
    entry(6, whole="too_late"),
    entry(7, whole="too_late"),
    stop(8),
]


def test_only_what_is_new_is_written(tmp_path):
    """Rule: a strike's row when its first failed rule changed, every wish, every stop."""
    assert written(tmp_path, RECORDS) == [
        ("1", "T0", "edge"),
        ("1", "T1", "edge"),
        ("2", "T1", "probability"),
        ("4", "T0", ""),
        ("5", "T0", ""),
        ("6", "", "too_late"),
        ("8", "T1", ""),
    ]


def test_everything_is_written_on_demand(tmp_path):
    """Rule: one row for each strike looked at and each look that ended whole."""
    assert len(written(tmp_path, RECORDS, everything=True)) == 5 * 2 + 2 + 1


def test_a_row_has_what_was_seen(tmp_path):
    """Rule: times, prices and ids stand under the names of their units."""
    path = tmp_path / "decisions.csv"
    with DecisionFile(path) as file:
        file.decision(RECORDS[3])
        file.decision(stop(8))
    with path.open(newline="") as opened:
        wish, _, stopped = csv.DictReader(opened)
    assert list(wish) == list(COLUMNS)
    assert wish["seconds_to_close"] == "596"
    assert (wish["p_e6"], wish["ask_e4"], wish["edge_e4"]) == ("960000", "9600", "10")
    assert wish["intents"] == str(UUID(int=4))
    assert wish["at"] == "2024-03-01 13:50:04"
    assert (stopped["kind"], stopped["bid_e4"]) == (STOP, "4000")
    assert stopped["intents"] == str(UUID(int=10))


def test_memory_does_not_grow_with_the_history(tmp_path):
    """Rule: only the events looked at last are remembered."""
    with DecisionFile(tmp_path / "decisions.csv.gz") as file:
        for number in range(500):
            file.decision(entry(number, "edge", event=f"KXBTCD-{number}"))
        assert len(file._last) == 64
        assert file.rows == file.decisions == 500


def test_parquet_too(tmp_path):
    """Rule: the same rows by the name's ending."""
    parquet = pytest.importorskip("pyarrow.parquet")
    with DecisionFile(tmp_path / "decisions.parquet") as file:
        for one in RECORDS:
            file.decision(one)
    assert parquet.read_table(tmp_path / "decisions.parquet").num_rows == 7
