"""A sweep from the command line: processes, resuming, refusals, the page."""

import csv
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import yaml
from tests.unit.research.test_walking import tried

from recio.cli import main
from recio.cli_sweep import bar_line
from recio.domain.errors import InvalidValue
from recio.research.grid import cells, parse_axis
from recio.research.report.sweep_page import sweep_page, verdict, write_sweep
from recio.research.running import Job, Worker, play
from recio.research.sweep import Asked, Progress, key_of, read_found
from recio.research.walking import judge
from recio.runtime.local.documents import read_document

EXAMPLE = Path(__file__).parents[3] / "k8s" / "examples" / "paper-account.yaml"
EDGE = "strategy.autoEntry.minNetEdgeBasisPoints"


@pytest.fixture
def account(tmp_path):
    """Write an account that trades the packaged recording at any price."""
    document = read_document(EXAMPLE)
    document["spec"]["series"] = ["KXBTC15M"]
    entry = document["spec"]["strategy"]["autoEntry"]
    entry |= {"minProbabilityPermille": 500, "minNetEdgeBasisPoints": -1000}
    path = tmp_path / "account.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def sweep(account, out, *more):
    """Run the command on the packaged recording."""
    words = ["sweep", "-f", str(account), "--tape", "packaged", "--grid", f"{EDGE}=-1000,1000"]
    return main([*words, "--out", str(out), *more])


def test_a_sweep_is_kept_and_not_played_again(account, tmp_path, capsys):
    """Rule: the second run plays nothing; a half-written cell is told and played anew."""
    out = tmp_path / "out"
    assert sweep(account, out, "--jobs", "2") == 0
    first = capsys.readouterr()
    assert "2/2 settings" in first.err
    kept = {path: path.read_bytes() for path in (out / "cells").iterdir()}
    assert len(kept) == 2
    broken = next(iter(kept))
    broken.write_bytes(kept[broken][:50])
    assert sweep(account, out) == 0
    again = capsys.readouterr()
    assert "played anew" in again.err
    assert "1 from before" in again.err
    assert "settings were tried on the same tape" in again.out

    def without_time(data):
        return msgspec.structs.replace(read_found(data), cpu_seconds=0)

    for path, data in kept.items():
        assert without_time(path.read_bytes()) == without_time(data)
    rows = list(csv.DictReader((out / "cells.csv").read_text().splitlines()))
    assert [row[EDGE] for row in rows] == ["-1000", "1000"]
    assert int(rows[0]["trades"]) + int(rows[0]["unknown_trades"]) > 0
    told = json.loads((out / "sweep.json").read_text())
    assert told["about"]["tape"] == "packaged"
    assert "<h2>Walking forward</h2>" in (out / "sweep.html").read_text()


def test_an_interruption_leaves_what_is_done(account, tmp_path):
    """Rule: Ctrl-C ends the workers and keeps the finished cells; the next run takes them up."""
    words = ["sweep", "-f", str(account), "--tape", "packaged", "--jobs", "1", "--out"]
    words += [str(tmp_path / "out"), "--grid", f"{EDGE}=-1000,-500,0,100,500,1000"]
    command = [sys.executable, "-m", "recio", *words]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        folder = tmp_path / "out" / "cells"
        while running.poll() is None and not list(folder.glob("*.json")):
            select.select((), (), (), 0.02)
        # As a terminal does: the whole group, the workers too.
        os.killpg(running.pid, signal.SIGINT)
        told = running.communicate()[1]
    assert running.returncode == 130
    assert "Traceback" not in told
    done = len(list(folder.glob("*.json")))
    assert 0 < done < 6
    assert [each.suffix for each in folder.iterdir()] == [".json"] * done


OWN = """
class Mine:
    def __init__(self, parameters):
        self.least = int(parameters["least"])

    def propose(self, view):
        return []
"""


def test_a_strategy_of_ones_own_is_swept_by_its_parameters(account, tmp_path, capsys):
    """Rule: its file is needed, read into the key of each cell, and its parameters make a grid."""
    document = yaml.safe_load(account.read_text())
    document["spec"]["strategy"] |= {
        "name": "Custom",
        "custom": {"configMapRef": {"name": "a", "key": "b"}, "className": "Mine"},
    }
    account.write_text(yaml.safe_dump(document))
    file = tmp_path / "mine.py"
    file.write_text(OWN)
    grid = ["--grid", "strategy.custom.parameters.least='1','2'", "--out", str(tmp_path / "out")]
    base = ["sweep", "-f", str(account), "--tape", "packaged", *grid]
    assert main(base) == 1
    assert "exactly if strategy.name" in capsys.readouterr().err
    assert main([*base, "--strategy-file", str(file)]) == 0
    file.write_text(OWN + "# another")
    keys = {path.stem for path in (tmp_path / "out" / "cells").iterdir()}
    wanted = cells(document, [parse_axis("strategy.custom.parameters.least='1','2'")])
    asked = Asked(tape="packaged", seed=1, latency_ms=150, strategy_file=str(file))
    assert not keys & {key_of(cell, asked) for cell in wanted}


def test_what_cannot_be_tried_is_refused_before_anything_is_played(account, tmp_path, capsys):
    """Rule: wrong fields, values, tapes and numbers are told in one line; nothing is written."""
    out = tmp_path / "out"
    base = ["sweep", "-f", str(account), "--out", str(out), "--tape"]
    for words, message in [
        (["packaged", "--grid", "strategy.autoEntry.minEdge=1"], "did you mean strategy.autoEntry"),
        (["packaged", "--grid", f"{EDGE}=5000"], "refused"),
        (["nothing", "--grid", f"{EDGE}=1"], "expected a tape of"),
        (
            ["packaged", "--grid", f"{EDGE}=1", "--strategy-file", "x.py"],
            "exactly if strategy.name",
        ),
        (["packaged", "--grid", f"{EDGE}=1", "--folds", "0"], "--folds"),
        (["packaged", "--grid", f"{EDGE}=1", "--latency-ms", "-1"], "--latency-ms"),
    ]:
        assert main([*base, *words]) == 1
        assert message in capsys.readouterr().err
    assert not out.exists()


def test_a_worker_finds_what_this_process_finds(account):
    """Rule: the same bytes here and there; a job that cannot be played is an answer, not an end."""
    job = Job(name="a", document=read_document(account), tape="packaged")
    worker = Worker()
    try:
        worker.send(msgspec.structs.replace(job, tape="nothing"))
        assert "expected a tape of" in worker.hear().error
        there = worker.answer(job)
    finally:
        worker.close()
    here = play(job)
    assert there.digest == here.digest
    assert there.events == here.events


def test_half_a_cell_is_refused():
    """Rule: a file that ends early is not a finished cell."""
    with pytest.raises(InvalidValue, match="not a finished cell"):
        read_found(b'{"name":"a"')


def test_the_bar_tells_how_long_it_takes():
    """Rule: what is done, what was there, what is left, where the workers are."""
    at_us = 1_705_456_800_000_000
    step = Progress(done=3, whole=12, kept=1, playing_us=(at_us, 0))
    assert bar_line(step, 60.0) == (
        "[######..................] 3/12 settings, 1 from before, 4 min 30 s left; "
        "playing 2024-01-17 02:00"
    )
    assert bar_line(Progress(done=2, whole=2, kept=0, playing_us=()), 61.0) == (
        f"[{'#' * 24}] 2/2 settings, 1 min 1 s"
    )


def test_the_page_warns_of_the_best_of_many(tmp_path):
    """Rule: the number of trials, the later parts and the share of luck stand on it; one axis or two."""
    runs = [
        tried(str(at), [(at * 7 + event * 5) % 11 - 5 for event in range(60)]) for at in range(6)
    ]
    runs = [
        msgspec.structs.replace(one, settings={"a<b": at % 2, "c": at // 2})
        for at, one in enumerate(runs)
    ]
    judgement = judge(runs, folds=3)
    axes = [
        msgspec.structs.replace(parse_axis(f"{EDGE}=0,1"), path="a<b"),
        msgspec.structs.replace(parse_axis(f"{EDGE}=0,1,2"), path="c"),
    ]
    text = sweep_page(runs, judgement, axes, {"account": "x<y", "tape": "t"})
    assert "6 settings were tried on the same tape" in text
    assert "a&lt;b" in text
    assert "a<b" not in text
    assert "Deflated Sharpe ratio" in text
    assert verdict(runs, judgement).endswith("no evidence that any of these settings has an edge.")
    write_sweep(tmp_path, runs, judgement, axes, {})
    assert "<svg" in sweep_page(runs, judgement, axes[:1], {})
    assert len((tmp_path / "cells.csv").read_text().splitlines()) == 7
    nothing = [tried("a", [])]
    assert "nothing to choose from" in verdict(nothing, judge(nothing, folds=1))
