"""A strategy that answers alike, and ones that do not; the example; the command."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import yaml

from recio import cli
from recio.domain.account_config import parse_account
from recio.engine.entry import Known, State, step
from recio.runtime.sandbox import checking
from recio.runtime.sandbox.client import Sandbox, answer, propose
from recio.testing.pictures import BELOW, PICTURE, later
from recio.testing.views import KNOWN, VIEW, seen

EXAMPLES = Path(__file__).parents[4] / "k8s/examples"
STEADY = EXAMPLES / "steady/strategy.py"
VIEWS = [msgspec.structs.replace(VIEW, generation=number) for number in range(1, 6)]
HEAD = "from recio.strategy import *\nfrom datetime import datetime\nclass Mine:\n"
INIT = "    def __init__(self, p): self.count = 0\n    def propose(self, view):\n        "
PARTING = {
    "the order of a set": "return [Proposal(sorted({'a', 'b', 'c', 'd', 'e', 'f', 'g'}, key=hash)[0], 'yes', 1, 1)]",
    "the time": "return [Proposal('T', 'yes', 1 + datetime.now().microsecond % 9999, 1)]",
}


@pytest.mark.parametrize("name", PARTING)
def test_what_changes_from_run_to_run_is_found(name, tmp_path):
    """A backtest of it could not be repeated."""
    file = tmp_path / "mine.py"
    file.write_text(HEAD + INIT + PARTING[name], encoding="utf-8")

    found = checking.differences(file, "Mine", {}, VIEWS)

    assert found
    assert found[0].startswith(f"{VIEW.event_ticker}, snapshot ")


def test_memory_of_its_own_is_no_difference(tmp_path):
    """It may count; both runs count alike. A failure is an answer too."""
    file = tmp_path / "mine.py"
    line = "self.count += 1; assert self.count < 4; return [Proposal('T', 'yes', self.count, 1)]"
    file.write_text(HEAD + INIT + line, encoding="utf-8")

    assert checking.differences(file, "Mine", {}, VIEWS) == []


def test_the_example_proposes_what_it_says():
    """It believes the model in part, and buys only what is worth more than ask and fee even so."""
    document = yaml.safe_load((EXAMPLES / "custom-account.yaml").read_text("utf-8"))
    custom = parse_account(document).strategy.custom
    file = EXAMPLES / custom.config_map_ref.name / custom.config_map_ref.key
    lower = msgspec.structs.replace(VIEW, strikes=VIEW.strikes[:5])

    with Sandbox(file, custom.class_name, custom.parameters | {"trust": "90"}) as sandbox:
        (found,) = sandbox.ask(lower)
        restless = msgspec.structs.replace(lower, momentum_bucket=11)
        assert sandbox.ask(restless) == ()
    with Sandbox(file, custom.class_name, custom.parameters) as sandbox:
        assert sandbox.ask(lower) == ()

    assert (found.market_ticker, found.side, found.contracts) == (BELOW, "yes", 2)
    assert found.p_e6 == 940_000 + (980_000 - 940_000) * 90 // 100
    assert found.reason == "model 98.0 %, market 94.0 %"
    assert checking.differences(STEADY, "Steady", {"trust": "90"}, VIEWS) == []


def test_asked_by_the_fold_or_by_a_snapshot_it_answers_alike():
    """What a backtest calls."""
    state = State("paper")
    step(state, KNOWN)
    (ask, *_) = step(state, PICTURE)[1]

    with Sandbox(STEADY, "Steady", {"trust": "90"}) as sandbox:
        told = answer(sandbox, ask)
        assert propose(sandbox, PICTURE, KNOWN) == told
        assert propose(sandbox, later(PICTURE, 1), KNOWN).generation == 2

    assert isinstance(KNOWN, Known)
    assert ask.view == seen(PICTURE)
    assert told.strategy == sandbox.source.name


def test_the_command_says_what_came_of_it(tmp_path, capsys):
    """Walls, proposals, and whether a second run was the same."""
    assert cli.main(["strategy", str(STEADY), "--class", "Steady", "--parameter", "trust=90"]) == 0
    said = capsys.readouterr().out
    assert "loaded Custom Steady " in said
    assert "seccomp" in said
    assert "asked again got the same answers" in said

    (tmp_path / "mine.py").write_text("import os", encoding="utf-8")
    assert cli.main(["strategy", str(tmp_path / "mine.py"), "--class", "Mine"]) == 1
    assert (
        "refused: not_loaded: ImportError: a strategy may not import 'os'"
        in capsys.readouterr().out
    )


def test_the_command_names_what_it_cannot_read(capsys):
    """A parameter without a value."""
    assert cli.main(["strategy", str(STEADY), "--class", "Steady", "--parameter", "trust"]) == 1
    assert "--parameter: expected NAME=TEXT, received 'trust'" in capsys.readouterr().err
