"""A tape tells a thing when it was known: cutting the source after a moment changes nothing before it."""

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.unit.research.tapes import files

from recio.research.tapes.opening import open_tape

PHASES = (Phase.explicit, Phase.generate)
"""Shrinking a moment would take minutes and tell nothing more."""


def before(spec, at_us):
    """Return the events of a tape that happened before a time."""
    return [event for event in open_tape(str(spec)).events() if event.at_us < at_us]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder to write into."""
    return tmp_path_factory.mktemp("cut")


@settings(max_examples=6, phases=PHASES)
@given(cut=st.integers(1_777_312_860 // 60, 1_777_316_400 // 60))
@pytest.mark.parametrize("options", ["", "&series=KXBTC15M", "&regime=jumpy"])
def test_minutes_that_end_later_change_nothing(folder, options, cut):
    """The seconds of a minute are drawn when it is reached, the quotes from what was before."""
    lines = files.lines_of(files.MINUTES)
    kept = [line for line in lines[1:] if int(line.split(",")[0]) + 60 <= cut * 60]
    path = files.write(folder / f"btc_1m_{cut}.csv.gz", [lines[0], *kept])
    period = f"?from=2026-04-27T18:00&until=2026-04-27T19:00{options}"
    at_us = cut * 60_000_000
    assert before(f"minutes:{path}{period}", at_us) == before(
        f"minutes:{files.MINUTES}{period}", at_us
    )


@settings(max_examples=4, phases=PHASES)
@given(cut_ms=st.integers(1_777_314_700_000, 1_777_316_300_000))
def test_trades_that_come_later_change_nothing(folder, cut_ms):
    """Neither the quotes nor the strike nor a price may know them."""
    lines = files.lines_of(files.TRADES)
    kept = [line for line in lines[1:] if int(line.split(",")[1]) < cut_ms]
    path = files.write(folder / "kxbtc15m_trades_x.csv.gz", [lines[0], *kept])
    rows = files.lines_of(files.MINUTES)
    kept = [row for row in rows[1:] if (int(row.split(",")[0]) + 60) * 1000 < cut_ms]
    minutes = files.write(folder / "btc_1m_x.csv.gz", [rows[0], *kept])
    at_us = cut_ms * 1000
    whole = before(f"trades:{files.TRADES},{files.MINUTES}", at_us)
    assert before(f"trades:{path},{minutes}", at_us) == whole


@settings(max_examples=6, phases=PHASES)
@given(cut_ms=st.integers(1_771_993_400_000, 1_771_994_700_000))
def test_quotes_that_come_later_change_nothing(folder, cut_ms):
    """A result follows from the next strike only once that was recorded."""
    lines = files.lines_of(files.QUOTES)
    kept = [line for line in lines[1:] if int(line.split(",")[0]) < cut_ms]
    path = files.write(folder / "kx15m_quotes_x.csv.gz", [lines[0], *kept])
    whole = before(f"quotes:{files.QUOTES}", cut_ms * 1000)
    assert before(f"quotes:{path}", cut_ms * 1000) == whole


@pytest.mark.parametrize("share", [0.05, 0.4, 0.9])
def test_frames_and_seconds_that_come_later_change_nothing(folder, share):
    """A recording is cut in the middle of a market."""
    lines = files.recording()
    kept = lines[: int(len(lines) * share)]
    cut_us = int(msgspec.json.decode(kept[-1])["recv_ns"]) // 1000 - 2_000_000
    path = files.write(folder / "kxbtc15m_ws_cut.jsonl.gz", kept)
    whole = files.write(folder / "kxbtc15m_ws_whole.jsonl.gz", lines)
    rows = files.lines_of(files.SECONDS)
    known = [row for row in rows[1:] if (int(row.split(",")[0]) + 1) * 1_000_000 < cut_us]
    seconds = files.write(folder / "btc_1s_cut.csv.gz", [rows[0], *known])
    all_seconds = files.write(folder / "btc_1s_whole.csv.gz", rows)
    for_whole = f"recording:{whole},{all_seconds}"
    # A recording's end says that its connection is down; that is told after the last frame.
    assert before(f"recording:{path},{seconds}", cut_us) == before(for_whole, cut_us)
