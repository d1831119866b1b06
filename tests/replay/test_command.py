"""`recio replay`: from the database, from a file, with other settings, and from files gone bad."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from recio import cli
from recio.domain.account_config import AccountConfig, Model
from recio.domain.errors import InvalidValue
from recio.domain.intents import Intent
from recio.engine import export, records
from recio.engine.export import Artefact, Decided, Frame, Kept, Opening
from recio.engine.journal import (
    Batch,
    EntryStarted,
    Packer,
    SnapshotStarted,
    decoded_events,
    opened,
    sealed,
)
from recio.engine.records import Record
from recio.engine.replay import ENTRY, snapshot_fold
from recio.engine.replaying import COORDINATOR, ENTRIES, Replaying, Report
from recio.engine.what_if import ALSO_MADE, NOT_MADE, WhatIf, changed, setting


@pytest.fixture(scope="module")
def frames(exported: Path) -> list[Frame]:
    """Everything that the file holds."""
    return list(export.frames(BytesIO(exported.read_bytes()).read))


def replayed(frames: Iterable[Frame], watcher: WhatIf | None = None) -> Report:
    """Replay frames."""
    replaying = Replaying(code="here", watcher=watcher)
    for frame in frames:
        replaying.take(frame)
    return replaying.finish()


def host(report: Report, name: str):
    """Return one host's part."""
    return next(one for one in report.hosts if one.host == name)


def intents(frames: Iterable[Frame]) -> list[Intent]:
    """Return the stored intents."""
    return [one for frame in frames if isinstance(frame, Decided) for one in frame.intents]


def test_a_file_replays_as_its_database_does(stepped_url, exported, capsys):
    """The same report, everything equal, without any database."""
    words = ["replay", "--json"]
    assert cli.main([*words, "--database-url", stepped_url]) == 0
    from_database = json.loads(capsys.readouterr().out)
    assert cli.main([*words, str(exported)]) == 0
    from_file = json.loads(capsys.readouterr().out)

    assert from_file == from_database
    entries = next(one for one in from_file["hosts"] if one["host"] == ENTRIES)
    assert entries["compared"] == entries["equal"] == entries["made"] > 100
    assert entries["sessions"] == 2
    assert entries["holes"] == entries["damage"] == entries["differences"] == []


def test_a_report_says_what_was_compared(exported, capsys):
    """With a line for each host and one sentence at the end."""
    assert cli.main(["replay", str(exported)]) == 0
    said = capsys.readouterr().out
    assert f"{ENTRIES} (paper)" in said
    assert said.splitlines()[-1].startswith("equal: ")


def test_an_account_that_is_not_there_is_told(stepped_url, capsys):
    """With those that are."""
    assert cli.main(["replay", "--account", "x", "--database-url", stepped_url]) == 1
    assert "received 'x': there are paper" in capsys.readouterr().err


def test_the_time_wanted_chooses_sessions(stepped_url, tmp_path, capsys):
    """Nothing of the future; a part of the past with whole sessions."""
    words = ["replay", "--database-url", stepped_url]
    assert cli.main([*words, "--since", "2031-01-01T00:00:00Z"]) == 1
    assert "no journal of paper in that time" in capsys.readouterr().err
    file = tmp_path / "part.journal"
    first = "2024-07-30T17:52:00Z"
    assert cli.main([*words, "--before", first, "--export", str(file)]) == 0
    report = replayed(export.frames(BytesIO(file.read_bytes()).read))
    assert report.is_equal
    assert host(report, ENTRIES).sessions == 1
    assert [one.reason for one in host(report, ENTRIES).holes] == ["the session has no end"]


def test_a_changed_decision_names_its_first_field(frames):
    """The field's path, what is stored and what the replay makes."""

    def other(frame: Frame) -> Frame:
        if not isinstance(frame, Decided) or not frame.records:
            return frame
        return Decided(records=tuple(map(nudged, frame.records)))

    def nudged(one: Record) -> Record:
        body = records.read_entry(one.body)
        strikes = list(body.strikes)
        if len(strikes) < 4 or strikes[3].p_e6 is None:
            return one
        strikes[3] = msgspec.structs.replace(strikes[3], p_e6=strikes[3].p_e6 + 1)
        body = msgspec.structs.replace(body, strikes=tuple(strikes))
        return msgspec.structs.replace(one, body=msgspec.msgpack.encode(body))

    report = replayed(map(other, frames))

    (difference, *_) = host(report, ENTRIES).differences
    assert not report.is_equal
    assert re.fullmatch(r"strikes\[3\].p_e6 \d+ -> \d+ \(stored -> replay\)", difference.text)


def test_an_intent_that_is_missing_or_invented_is_told(frames):
    """Made and not stored; stored and not made."""
    (first, *_) = intents(frames)
    invented = msgspec.structs.replace(first, intent_id=first.decision_id)

    def other(frame: Frame) -> Frame:
        if isinstance(frame, Decided) and first in frame.intents:
            rest = tuple(one for one in frame.intents if one != first)
            return Decided(intents=(invented, *rest))
        return frame

    report = replayed(map(other, frames))

    told = {one.id: one.text for one in host(report, ENTRIES).differences}
    assert told == {
        first.intent_id: "made in replay, not stored",
        invented.intent_id: "stored, not made in replay",
    }


def test_a_changed_batch_is_a_damage_and_a_hole(frames):
    """Its place is named; what lies behind it until the next start is not judged."""

    def other(frame: Frame) -> Frame:
        if isinstance(frame, Kept) and frame.batch.host == ENTRIES and frame.batch.seq == 2:
            body = bytearray(frame.batch.body)
            body[len(body) // 2] ^= 1
            return Kept(msgspec.structs.replace(frame.batch, body=bytes(body)))
        return frame

    report = replayed(map(other, frames))

    entries = host(report, ENTRIES)
    assert "batch 2: its digest does not fit" in entries.damage[0]
    assert entries.in_holes > 0
    assert entries.differences == ()
    assert not report.is_equal


def test_a_session_whose_beginning_is_gone_is_a_hole_and_no_failure(frames):
    """Retention removes old days: what is left of a session cannot be made again."""
    first = next(f.batch.session for f in frames if isinstance(f, Kept) and f.batch.host == ENTRIES)

    def is_kept(frame: Frame) -> bool:
        return not (
            isinstance(frame, Kept) and frame.batch.session == first and frame.batch.seq == 1
        )

    report = replayed(filter(is_kept, frames))

    entries = host(report, ENTRIES)
    assert report.is_equal
    assert entries.holes[0].reason in {
        "the first 1 batches are not here",
        "no journal of this time is here",
    }
    assert entries.in_holes > 0


def test_a_missing_artefact_is_named(frames):
    """By its checksum; the hosts of the account are replayed as far as they can be."""
    report = replayed(frame for frame in frames if not isinstance(frame, Artefact))

    coordinator = host(report, COORDINATOR)
    assert "expected the fingerprints with SHA-256" in coordinator.damage[0]
    assert not report.is_equal


def test_an_artefact_of_one_s_own_can_be_given(frames, tmp_path, capsys):
    """By its file: the recording names only its checksum."""
    bare = tmp_path / "bare.journal"
    words = ["replay", str(bare)]
    with bare.open("wb") as written:
        writer = export.Writer(written.write)
        for frame in frames[:-1]:
            if isinstance(frame, Artefact):
                (tmp_path / frame.name).write_bytes(frame.body)
                words += ["--artefact", str(tmp_path / frame.name)]
            else:
                writer.add(frame)
        writer.close()

    assert cli.main(["replay", str(bare)]) == 1
    assert "which the host used" in capsys.readouterr().out
    assert cli.main(words) == 0
    assert cli.main([*words, "--artefact", str(tmp_path / "none")]) == 1
    assert "cannot read" in capsys.readouterr().err


def test_a_recording_of_other_code_is_told(frames, capsys, tmp_path):
    """The session names the code that decided; the report names both."""
    previous: dict[object, bytes] = {}

    def other(frame: Frame) -> Frame:
        if not isinstance(frame, Kept) or frame.batch.host != ENTRIES:
            return frame
        batch = frame.batch
        if batch.seq == 1:
            ((_, raw),) = opened([batch])
            packer = Packer()
            for event in decoded_events(batch, raw, ENTRY.decoder):
                is_start = isinstance(event, EntryStarted)
                packer.add(msgspec.structs.replace(event, code="0ther") if is_start else event)
            batch = msgspec.structs.replace(batch, body=packer.body())
        batch = sealed(batch, previous.get(batch.session, b""))
        previous[batch.session] = batch.digest
        return Kept(batch)

    file = tmp_path / "other.journal"
    with file.open("wb") as written:
        writer = export.Writer(written.write)
        for frame in frames[:-1]:
            writer.add(other(frame))
        writer.close()

    assert cli.main(["replay", str(file)]) == 0
    assert "recorded by other code (0ther; this is " in capsys.readouterr().out


def test_until_shows_the_state_at_an_intent(frames, exported, capsys):
    """The intent as it is made, and what the fold knows then."""
    first, *_ = intents(frames)
    assert cli.main(["replay", str(exported), "--until", str(first.intent_id)]) == 0
    said = capsys.readouterr().out
    assert first.market_ticker in said
    assert '"attempts"' in said


def test_until_refuses_what_the_replay_does_not_make(exported, capsys):
    """An id of nobody, and a text that is no id."""
    nobody = "00000000-0000-0000-0000-000000000001"
    assert cli.main(["replay", str(exported), "--until", nobody]) == 1
    assert f"makes no decision and no intent {nobody}" in capsys.readouterr().err
    assert cli.main(["replay", str(exported), "--until", "paper#1"]) == 1
    assert "expected the id of a decision or an intent, received 'paper#1'" in (
        capsys.readouterr().err
    )


def test_what_if_with_the_same_settings_changes_nothing(frames):
    """The second fold is the first one."""
    what_if = WhatIf([])
    replayed(frames, what_if)
    assert what_if.results() == []
    assert what_if.made == what_if.made_now == len(intents(frames))


def test_what_if_names_the_gate_that_would_have_refused(frames, exported, capsys):
    """One open trade at most: later entries fail that gate, and only they."""
    what_if = WhatIf([setting("risk.maxOpenTrades=1")])
    replayed(frames, what_if)
    found = what_if.results()
    assert {one.gate for one in found if one.kind == NOT_MADE} == {"max_open_trades"}
    assert what_if.made_now < what_if.made

    words = ["replay", str(exported), "--what-if", "risk.maxOpenTrades=1"]
    assert cli.main(words) == 0
    assert "not made, by the first gate: max_open_trades" in capsys.readouterr().out


def test_what_if_lists_what_would_also_have_been_bought(frames):
    """A lower probability lets more strikes through."""
    what_if = WhatIf(
        [
            setting("strategy.autoEntry.minProbabilityPermille=500"),
            setting("strategy.autoEntry.minNetEdgeBasisPoints=-1000"),
        ]
    )
    replayed(frames, what_if)
    assert any(one.kind == ALSO_MADE for one in what_if.results())
    assert what_if.made_now > what_if.made


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("risk.maxOpenTrade=1", "did you mean risk.maxOpenTrades?"),
        ("strategy.minNetEdge=1", "did you mean strategy.autoEntry.minNetEdgeBasisPoints?"),
        ("risk=1", "no setting is called so"),
        ("risk.maxOpenTrades=-1", "risk.maxOpenTrades"),
        ("risk.maxOpenTrades", "expected a setting such as"),
        ("=1", "expected a setting such as"),
    ],
)
def test_what_if_refuses_what_is_no_setting(exported, capsys, text, said):
    """The nearest one is named, or the bounds."""
    assert cli.main(["replay", str(exported), "--what-if", text]) == 1
    assert said in capsys.readouterr().err


def flipped(data: bytes, place: int) -> bytes:
    """Return the data with one bit changed."""
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_a_flipped_bit_anywhere_is_refused(exported):
    """In a frame's length, digest or body."""
    data = exported.read_bytes()
    for place in range(16, len(data), len(data) // 40):
        with pytest.raises(InvalidValue, match=r"journal file, frame \d+ at byte \d+"):
            list(export.frames(BytesIO(flipped(data, place)).read))


def test_a_file_that_was_cut_off_is_refused(exported, tmp_path, capsys):
    """Within a frame, between two, and when more follows."""
    data = exported.read_bytes()
    for end in (17, len(data) // 2, len(data) - 1):
        with pytest.raises(InvalidValue, match="cut off"):
            list(export.frames(BytesIO(data[:end]).read))
    with pytest.raises(InvalidValue, match="expected the end of the file"):
        list(export.frames(BytesIO(data + b"x").read))
    half = tmp_path / "half.journal"
    half.write_bytes(data[: len(data) // 2])
    assert cli.main(["replay", str(half)]) == 1
    assert "the file was cut off" in capsys.readouterr().err


def test_a_frame_that_was_left_out_is_refused(frames):
    """The chain of digests does not fit behind it."""
    written = BytesIO()
    writer = export.Writer(written.write)
    for frame in frames[:3]:
        at = written.tell()
        writer.add(frame)
    end = written.tell()
    writer.close()
    data = written.getvalue()
    with pytest.raises(InvalidValue, match="one before it left out"):
        list(export.frames(BytesIO(data[:at] + data[end:]).read))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"recio journal 2\nxxxx", "another format"),
        (b"PK\x03\x04 something else", "no journal file"),
        (b"", "no journal file"),
    ],
)
def test_another_format_is_refused(tmp_path, capsys, data, said):
    """A later format, another kind of file, an empty one."""
    file = tmp_path / "x.journal"
    file.write_bytes(data)
    assert cli.main(["replay", str(file)]) == 1
    assert said in capsys.readouterr().err


def test_a_file_that_is_not_there_is_told(tmp_path, capsys):
    """In one line."""
    assert cli.main(["replay", str(tmp_path / "none")]) == 1
    assert "cannot read" in capsys.readouterr().err


def test_an_unknown_host_is_refused():
    """Names those whose journals can be replayed."""
    packer = Packer()
    packer.add(EntryStarted(at_us=1, account="paper", slippage_cents=0))
    batch = sealed(
        Batch(
            owner="paper", host="x", session=UUID(int=1), seq=1, first_at_us=1, count=1,
            body=packer.body(),
        ),
        b"",
    )  # fmt: skip
    replaying = Replaying(code="")
    replaying.take(Opening(version="", code="", accounts={}))
    with pytest.raises(InvalidValue, match="received one of 'x'"):
        replaying.take(Kept(batch))


def test_settings_reach_the_whole_document():
    """A path may begin with spec; words, truths and numbers are told apart."""
    config = changed(
        AccountConfig(name="paper"),
        [
            setting("spec.strategy.autoEntry.enabled=true"),
            setting("strategy.model=Fingerprints"),
            setting("strategy.autoEntry.minNetEdgeBasisPoints=-5"),
        ],
    )
    assert config.strategy.auto_entry.enabled is True
    assert config.strategy.model.value == "Fingerprints"
    assert config.strategy.auto_entry.min_net_edge_basis_points == -5


def is_of(frame: Frame, name: str) -> bool:
    """Whether a frame is a batch of a host."""
    return isinstance(frame, Kept) and frame.batch.host == name


def test_a_reference_that_nobody_can_resolve_is_a_hole(frames):
    """Without the coordinator's journal nothing is claimed of what was decided on its snapshots."""
    report = replayed(frame for frame in frames if not is_of(frame, COORDINATOR))

    entries = host(report, ENTRIES)
    assert "the coordinator's journal ends before snapshot" in entries.holes[0].reason
    assert entries.in_holes > 100
    assert entries.differences == entries.damage == ()


def test_a_snapshot_that_comes_out_otherwise_is_told(frames):
    """Its generation and both checksums; the host's decisions on it are not judged."""
    previous: dict[object, bytes] = {}
    decoder = snapshot_fold({}).decoder

    def other(frame: Frame) -> Frame:
        if not is_of(frame, COORDINATOR):
            return frame
        batch, packer = frame.batch, Packer()
        raw = zlib.decompress(batch.body)
        while raw:
            end = 4 + int.from_bytes(raw[:4], "big")
            event, raw = decoder.decode(raw[4:end]), raw[end:]
            if isinstance(event, SnapshotStarted):
                event = msgspec.structs.replace(event, model=Model.VOLATILITY)
            packer.add(event)
        batch = msgspec.structs.replace(batch, body=packer.body())
        batch = sealed(batch, previous.get(batch.session, b""))
        previous[batch.session] = batch.digest
        return Kept(batch)

    report = replayed(map(other, frames))

    entries = host(report, ENTRIES)
    assert re.search(r"snapshot \d+ of KXBTCD-\S+ at \S+ comes out otherwise", entries.damage[0])
    assert entries.differences == ()
    assert not report.is_equal
