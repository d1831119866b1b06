"""Recorded minutes go on for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.data import minutes
from recio.data.minutes import MINUTE_S
from recio.domain.errors import InvalidValue
from recio.exchange_simulator.world.repeating import WEEK_S, RepeatedMinutes

RECORDED = minutes.load("btc_minutes_2024q3")
REPEATED = RepeatedMinutes(RECORDED)
INSIDE = st.integers(0, (RECORDED.end_s - RECORDED.start_s) // MINUTE_S - 1)


@given(INSIDE)
def test_inside_the_recording_nothing_changes(index):
    """What was recorded is what is told."""
    minute_s = RECORDED.start_s + index * MINUTE_S
    assert REPEATED.at(minute_s) == RECORDED.at(minute_s)


@given(st.integers(0, 10_000_000))
def test_after_the_end_the_same_hour_of_the_same_day_comes_again(index):
    """A minute beyond the end is a recorded one, whole weeks earlier."""
    minute_s = RECORDED.end_s + index * MINUTE_S
    sources = (minute_s - weeks * WEEK_S for weeks in range(1, 20_000))
    inside = [one for one in sources if RECORDED.start_s <= one < RECORDED.end_s]
    assert REPEATED.at(minute_s) in [RECORDED.at(one) for one in inside]


def test_before_the_start_there_is_nothing():
    """The past is not invented."""
    assert REPEATED.at(RECORDED.start_s - MINUTE_S) is None


def test_a_recording_shorter_than_a_week_is_refused():
    """Days would change places."""
    rows = [(i * MINUTE_S, 100, 101, 99, 100) for i in range(60)]
    short = minutes.decode(minutes.encode("BTC", "made here", rows))
    with pytest.raises(InvalidValue, match="at least a week"):
        RepeatedMinutes(short)
