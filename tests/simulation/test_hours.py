"""Simulated hours: the same seed is the same hour, no fault breaks an invariant, failing ones shrink.

Hundreds of seeds are played by ``make simulate``; here a few, so that a change is judged at once.
"""

from __future__ import annotations

import os
import signal
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from recio.domain.errors import Broken
from recio.simulation import catalogue
from recio.simulation.campaign import Tally, Worker, command_for, read_results, shrink
from recio.simulation.plan import ACCOUNTS, Enter, Leave, Plan, Strike, make_plan
from recio.simulation.recording import Records, record
from recio.simulation.run import Outcome
from recio.simulation.worker import Reply


@pytest.fixture(scope="module")
def worker():
    """A worker with a PostgreSQL server of its own."""
    with closing(Worker()) as made:
        yield made


def outcome(seed=1, *violations, hits=None):
    """Return an outcome made by hand."""
    return Outcome(
        seed=seed,
        violations=violations,
        hits=hits or {},
        intents=30,
        orders=20,
        fills=10,
        settlements=3,
        commits=100,
        requests=200,
        steps=1_000,
        digest="",
    )


@pytest.mark.parametrize("seed", range(1, 6))
def test_no_fault_breaks_an_invariant(worker, seed):
    """Wishes, faults, deaths and second copies by chance: every commit and request is judged."""
    reply = worker.play(make_plan(seed))

    assert reply.error == ""
    assert reply.outcome.violations == ()
    assert reply.outcome.fills > 0
    assert reply.outcome.settlements > 0
    assert reply.outcome.hits


def test_the_same_seed_is_the_same_hour(worker):
    """Another worker, another database server, another moment: every commit and byte is the same."""
    plan = make_plan(2)
    with closing(Worker()) as other:
        # The other one has played something else before.
        other.play(make_plan(3, ()))
        first, second = worker.play(plan), other.play(plan)

    assert first.outcome.digest
    assert first == second


def test_a_worker_that_is_told_to_end_takes_its_server_along():
    """SIGTERM: neither its PostgreSQL nor its directory stays behind."""
    with closing(Worker()) as ended:
        ended.play(make_plan(3, ()))
        pid = ended.pid
        servers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        directories = {Path(f"/proc/{server}/cwd").readlink() for server in servers}
        os.kill(pid, signal.SIGTERM)
        with pytest.raises(Broken, match="ended with status 143"):
            ended.play(make_plan(3, ()))

    assert servers
    assert not [server for server in servers if Path(f"/proc/{server}").exists()]
    assert not [directory for directory in directories if directory.exists()]


def test_a_plan_has_what_an_hour_needs():
    """Two accounts, thirty wishes, five faults, and it survives being written down."""
    for seed in range(50):
        plan = make_plan(seed)
        kinds = [type(act) for act in plan.acts]
        assert kinds.count(Enter) + kinds.count(Leave) >= 30
        assert kinds.count(Strike) >= 5
        assert {act.account for act in plan.acts if isinstance(act, Enter)} == set(ACCOUNTS)
        assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan
    assert make_plan(7) == make_plan(7)
    assert make_plan(7) != make_plan(8)


def test_only_the_wanted_faults_are_drawn():
    """--faults names them; what brings an order into doubt may come along."""
    plan = make_plan(5, ("disk full",))

    drawn = {act.fault for act in plan.acts if isinstance(act, Strike)}
    assert "disk full" in drawn
    assert drawn <= {"disk full", *catalogue.DOUBTS}


class ScriptedWorker:
    """Answers as if the acts at some seconds together broke something."""

    def __init__(self, *culprits):
        self.culprits = set(culprits)
        self.played = 0

    def play(self, plan):
        """Return violations when all culprits are in the plan."""
        self.played += 1
        is_broken = self.culprits <= {act.at_s for act in plan.acts}
        return Reply(outcome=outcome(plan.seed, *(["broken"] if is_broken else [])))


def test_a_failing_plan_is_made_small():
    """What is left is what breaks it, and nothing else."""
    plan = make_plan(1)
    first, last = plan.acts[3].at_s, plan.acts[-5].at_s

    small = shrink(ScriptedWorker(first, last), plan, lambda _: None)

    assert [act.at_s for act in small.acts] == [first, last]


def test_results_are_resumed_after_a_cut(tmp_path):
    """A line that was half written when the machine went away is played again."""
    path = tmp_path / "results.jsonl"
    lines = [msgspec.json.encode(outcome(seed)) for seed in (1, 2, 3)]
    path.write_bytes(b"\n".join(lines)[:-10])

    assert [one.seed for one in read_results(path)] == [1, 2]
    assert list(read_results(tmp_path / "none")) == []


def test_a_cell_that_was_never_hit_is_told():
    """Every fault must meet every order state that it can meet."""
    tally = Tally()
    tally.add(outcome(1, hits=dict.fromkeys(catalogue.cells()[1:], 1)))

    assert tally.empty_cells() == [catalogue.cells()[0]]
    assert any("EMPTY" in line for line in tally.table())


def test_a_failure_names_the_command_that_repeats_it():
    """Somebody else can play it again."""
    assert command_for(17, catalogue.NAMES) == "recio simulate --first-seed 17 --seeds 1"
    assert "--faults 'disk full'" in command_for(17, ("disk full",))


def test_what_was_played_is_kept_once(tmp_path):
    """Campaigns of the same code add up; the same seed again changes nothing."""
    path = tmp_path / "simulation.json"
    first, second = Tally(), Tally()
    for seed in (1, 2):
        first.add(outcome(seed, hits={"disk full | created": 1}))
    for seed in (2, 3):
        second.add(outcome(seed, hits={"disk full | created": 1}))

    record(path, first)
    record(path, second)

    (held,) = msgspec.json.decode(path.read_bytes(), type=Records).campaigns
    assert held.seeds == [1, 2, 3]
    assert held.hits == {"disk full | created": 3}
    assert held.counts["fills"] == 30
    assert held.failed == {}
