"""Minutes of the database play as those of the file they came from."""

from __future__ import annotations

import pytest
from tests.integration.history.conftest import MINUTES, START_S, minute_rows, write

from recio.domain.errors import InvalidValue
from recio.research.history.database_bars import DatabaseBars
from recio.research.tapes.along_minutes import MinutesTape, Plan
from recio.research.tapes.bars import BarFiles

VENUE = ("--symbol", "BTC", "--source", "x")


@pytest.fixture
def path(tmp_path, history):
    """Two days of minutes with a hole, in a file and in the database."""
    rows = minute_rows(2880)
    made = write(tmp_path / "m.csv", MINUTES, [*rows[:500], *rows[520:]])
    history("import", made, *VENUE)
    return made


def tape(bars):
    """Return two hours of made-up seconds along these minutes."""
    since_s = START_S + 86_400
    return MinutesTape("t", bars, Plan(series="KXBTCD", since_s=since_s, until_s=since_s + 7200))


def test_a_tape_along_them_is_the_same_tape(path, database_url):
    """Event by event, and with the same coverage."""
    ours, theirs = tape(DatabaseBars(database_url, "BTC")), tape(BarFiles([path]))
    assert list(ours.events()) == list(theirs.events())
    assert ours.coverage().holes == theirs.coverage().holes
    assert ours.coverage().closes_whole == theirs.coverage().closes_whole == 2


def test_minutes_of_two_sources_are_not_mixed(path, database_url, history):
    """One has to be named."""
    history("import", path, "--symbol", "BTC", "--source", "y")
    with pytest.raises(InvalidValue, match="there are those of x, y"):
        list(tape(DatabaseBars(database_url, "BTC")).events())
    assert list(tape(DatabaseBars(database_url, "BTC", "y")).events())


def test_a_symbol_without_minutes_is_named(database_url):
    """Rather than a tape of nothing."""
    with pytest.raises(InvalidValue, match="minutes of ETH from one source"):
        list(tape(DatabaseBars(database_url, "ETH")).events())
