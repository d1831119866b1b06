"""Bugs planted in a copy of the product: the simulation finds them.

All of them are hunted by ``python -m tests.simulation.planted``, which records what it found; here
are the quickest few, and that the table and the record belong to today's sources.
"""

from __future__ import annotations

import json

import pytest
from tests.simulation.planted.__main__ import RESULT
from tests.simulation.planted.bugs import BUGS, DIES
from tests.simulation.planted.planting import ROOT, Garden, changed, hunt

from recio.simulation.invariants import TABLE

QUICK = (
    "the side is swapped on the way out",
    "a position is added to itself",
    "a fee is forgotten",
    "the epoch of a claim is off by one",
)
SEEDS = 2
WITHOUT_BUG = {14, 15, 17}
"""Judged by other tests: sockets, real kills, the operator."""


@pytest.fixture(scope="module")
def garden(tmp_path_factory):
    """A copy of the product."""
    return Garden(tmp_path_factory.mktemp("planted"))


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_found_within_two_seeds(garden, name):
    """What somebody could get wrong breaks the invariant that it should."""
    (bug,) = (bug for bug in BUGS if bug.name == name)

    found = hunt(garden, bug, SEEDS)

    assert found is not None
    assert {*found.breaks} & {*bug.breaks}, found.says


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_every_bug_fits_todays_sources(bug):
    """The text that a bug changes stands once in its file, so that the table cannot rot."""
    text = (ROOT / bug.file).read_text("utf-8")

    assert changed(text, bug) != text


def test_names_are_unique_and_there_are_thirty():
    """A bug is asked for by its name."""
    names = [bug.name for bug in BUGS]
    assert len(set(names)) == len(names) >= 30


def test_every_judged_invariant_has_a_bug():
    """A check that no bug breaks may check nothing."""
    numbers = {number for bug in BUGS for number in bug.breaks} - {DIES}
    assert numbers == {row.number for row in TABLE} - WITHOUT_BUG


def test_the_record_tells_of_no_bug_that_was_missed():
    """Thirty bugs at least were hunted, all were found, and each judged invariant broke of one."""
    recorded = json.loads(RESULT.read_text("utf-8"))
    rows = recorded["bugs"]

    assert len(rows) >= 30
    assert rows.keys() <= {bug.name for bug in BUGS}
    assert [name for name, row in rows.items() if not (row["found"] and row["as expected"])] == []
    # What breaks without a bug as well has found none.
    assert rows.keys().isdisjoint(recorded["control"]["broken"])
    broken = {name for row in rows.values() for name in row["broken"]}
    assert broken >= {f"invariant {row.number}" for row in TABLE if row.number not in WITHOUT_BUG}
