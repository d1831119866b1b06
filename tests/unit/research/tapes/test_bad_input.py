"""Bad rows are named, counted and left out; a file of which nothing can be used is refused."""

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.research.tapes import files

from recio.domain.errors import InvalidValue
from recio.research.tapes.opening import open_tape

PERIOD = "?from=2026-04-27T18:00&until=2026-04-27T19:00"


def spoiled(tmp_path, source, spoil, name=None):
    """Write a source with its rows spoiled; return the path."""
    lines = files.lines_of(source)
    return files.write(tmp_path / (name or source.name), [lines[0], *spoil(lines[1:])])


def refused(spec):
    """Return what a tape refused, by reason."""
    tape = open_tape(str(spec))
    list(tape.events())
    return dict(tape.coverage().refused)


def with_field(row, place, value):
    """Return a row with one field replaced."""
    fields = row.split(",")
    fields[place] = value
    return ",".join(fields)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda rows: [*rows[:50], rows[49], *rows[50:]], "duplicate minute"),
        (lambda rows: [*rows[:50], rows[10], *rows[50:]], "minute out of order"),
        (
            lambda rows: [*rows[:50], with_field(rows[50], 4, "7"), *rows[51:]],
            "minute that is no bar",
        ),
        (
            lambda rows: [*rows[:50], with_field(rows[50], 1, "x"), *rows[51:]],
            "minute that is no num",
        ),
        (lambda rows: [*rows[:50], with_field(rows[50], 5, "0"), *rows[51:]], "nothing was traded"),
        (
            lambda rows: [*rows[:50], with_field(rows[50], 0, "1777312861"), *rows[51:]],
            "begin a minute",
        ),
        (lambda rows: [*rows[:50], rows[50] + ",1,2", *rows[51:]], "number of fields"),
        (
            lambda rows: [
                *rows[:50],
                ",".join([rows[50].split(",")[0], *("7700000",) * 4, "1"]),
                *rows[51:],
            ],
            "another unit",
        ),
    ],
)
def test_a_bad_minute_is_counted_by_its_reason_and_is_a_hole(tmp_path, spoil, reason):
    """The others are used."""
    path = spoiled(tmp_path, files.MINUTES, spoil)
    (found,) = refused(f"minutes:{path}{PERIOD}")
    assert reason in found


@pytest.mark.parametrize(
    ("source", "kind", "place", "change", "words"),
    [
        (files.MINUTES, "minutes", 0, lambda text: text + "000", "in milliseconds"),
        (files.TRADES, "trades", 1, lambda text: text[:-3], "time in seconds, expected milli"),
        (files.TRADES, "trades", 2, lambda text: f"{float(text) * 100:.0f}", "not in dollars"),
        (files.TRADES, "trades", 4, lambda _: "maybe", "neither y nor n"),
        (files.QUOTES, "quotes", 0, lambda text: text + "000000", "time in nanoseconds"),
        (
            files.ETH_QUOTES,
            "quotes",
            3,
            lambda text: str(float(text) * 100 + 2),
            "ask outside of 0 to 1",
        ),
    ],
)
def test_a_file_in_another_unit_is_refused_as_a_whole(tmp_path, source, kind, place, change, words):
    """The message says what was expected and what the rows are instead."""

    def spoil(rows):
        return [with_field(row, place, change(row.split(",")[place])) for row in rows]

    path = spoiled(tmp_path, source, spoil)
    with pytest.raises(InvalidValue, match=f"not one row can be used.*{words}"):
        list(open_tape(f"{kind}:{path}").events())


@pytest.mark.parametrize("source", [files.MINUTES, files.TRADES, files.QUOTES, files.SECONDS])
def test_a_half_written_file_is_used_as_far_as_it_goes(tmp_path, source):
    """And its lost end is told."""
    path = files.half(source, tmp_path / source.name)
    if source == files.MINUTES:
        spec = f"minutes:{path}?from=2026-04-27T17:00"
    elif source == files.SECONDS:
        files.write(tmp_path / "kxbtc15m_ws_x.jsonl.gz", files.recording())
        spec = f"recording:{tmp_path}"
    else:
        spec = f"{'trades' if source == files.TRADES else 'quotes'}:{path}"
    assert refused(spec)[f"half-written file {path.name}: its end is lost"] == 1


@pytest.mark.parametrize("kind", ["minutes", "trades", "quotes", "recording"])
@pytest.mark.parametrize("content", [b"", b"\x00\xff\x1f\x8b", b"a,b,c\n1,2,3\n"])
def test_a_file_of_something_else_is_refused_with_its_name(tmp_path, kind, content):
    """Nothing is played from it."""
    names = {"minutes": "btc_1m_x.csv", "trades": "kxbtc15m_trades_x.csv"}
    names |= {"quotes": "kx15m_quotes_x.csv", "recording": "kxbtc15m_ws_x.jsonl"}
    path = tmp_path / names[kind]
    path.write_bytes(content)
    with pytest.raises(InvalidValue, match=names[kind].partition(".")[0]):
        list(open_tape(f"{kind}:{path}").events())


def test_a_column_that_nobody_knows_is_told(tmp_path):
    """It may be what somebody relies on."""
    lines = files.lines_of(files.TRADES)[:500]
    path = files.write(
        tmp_path / files.TRADES.name, [lines[0] + ",mood", *(line + ",good" for line in lines[1:])]
    )
    assert refused(f"trades:{path}")["column 'mood', which is not known"] == 1


def test_results_that_contradict_themselves_are_refused(tmp_path):
    """A yes below its strike is somebody's mistake."""
    lines = files.lines_of(files.SETTLED)
    wrong = [with_field(line, 4, "yes" if ",no," in line else "no") for line in lines[1:]]
    settled = files.write(tmp_path / files.SETTLED.name, [lines[0], *wrong])
    recording = files.write(tmp_path / "kxbtc15m_ws_x.jsonl.gz", files.recording())
    counts = refused(f"recording:{recording},{settled}")
    assert counts["result that contradicts its own price"] > 10


def test_lines_of_a_recording_that_are_no_messages_are_counted(tmp_path):
    """And the book they might have changed is not trusted until it is whole again."""
    lines = files.recording()
    lines[3_000] = '{"recv_ns": 1, "type": "orderbook_delta"}'
    lines[4_000] = lines[4_000][:40]
    lines[4_100] = '{"recv_ns":1778677187393441024,"type":"news","seq":null,"msg":{}}'
    path = files.write(tmp_path / "kxbtc15m_ws_x.jsonl.gz", lines)
    counts = refused(f"recording:{path}")
    assert counts["line that is no recorded message"] == 2
    assert counts["message of a type that is not known"] == 1
    assert counts["delta after a gap in seq"] == 1


ODD = st.one_of(
    st.sampled_from(["", "0", "-1", "nan", "inf", "1e400", "٣", "0.5", "99", "y", '"', "\x00"]),
    st.integers(-(10**20), 10**20).map(str),
    st.text(max_size=8),
)


@pytest.mark.parametrize(
    ("source", "kind"),
    [(files.MINUTES, "minutes"), (files.TRADES, "trades"), (files.QUOTES, "quotes"),
     (files.ETH_QUOTES, "quotes")],
)  # fmt: skip
@given(data=st.data())
def test_hostile_rows_never_break_a_tape(source, kind, data):
    """Whatever a field holds: used, counted, or the file is refused; time never falls."""
    lines = files.lines_of(source)[:80]
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(1, len(lines) - 1))
        fields = lines[place].split(",")
        fields[data.draw(st.integers(0, len(fields) - 1))] = data.draw(ODD)
        lines[place] = ",".join(fields)
    with TemporaryDirectory() as folder:
        path = Path(folder) / source.name.removesuffix(".gz")
        path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="replace")
        tape = open_tape(f"{kind}:{path}")
        try:
            events = list(tape.events())
        except InvalidValue:
            return
    assert all(b.at_us >= a.at_us for a, b in pairwise(events))
    coverage = tape.coverage()
    assert 0 <= coverage.share <= 1
    assert coverage.first_us <= coverage.last_us
