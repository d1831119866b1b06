"""What each switch lets through, and who wins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain.account_config import Trading
from recio.domain.intents import Purpose, Source
from recio.domain.switches import SwitchRow, allows, cancels_resting, effective

ORDER = list(Trading)
A_PERSON_S = {Source.MANUAL, Source.FLATTEN, Source.PANIC}


def row(state, source="person", scope="paper", reason="because"):
    """Return one source's word."""
    return SwitchRow(scope=scope, source=source, state=state, reason=reason, changed_at_us=0)


ROWS = st.lists(
    st.builds(
        row,
        st.sampled_from(Trading),
        st.sampled_from(["resource", "fleet", "person", "breaker:books"]),
        st.sampled_from(["paper", "*"]),
    ),
    max_size=8,
)


@pytest.mark.parametrize("source", list(Source))
@pytest.mark.parametrize("state", list(Trading))
def test_entries_need_active(state, source):
    """Any other word of anybody stops them."""
    assert allows(state, Purpose.ENTRY, source) is (state is Trading.ACTIVE)


@pytest.mark.parametrize("source", list(Source))
@pytest.mark.parametrize("state", list(Trading))
def test_exits_pass_except_automatic_ones_under_halted(state, source):
    """Halted: nothing goes out but what a person closes."""
    is_allowed = state is not Trading.HALTED or source in A_PERSON_S
    assert allows(state, Purpose.EXIT, source) is is_allowed


@given(ROWS)
def test_the_strictest_row_wins(rows):
    """Whatever the order of the rows."""
    expected = max((r.state for r in rows), key=ORDER.index, default=Trading.ACTIVE)

    assert effective(rows).state is expected
    assert effective(reversed(rows)).state is expected


@given(ROWS, st.sampled_from(Trading))
def test_another_row_never_loosens(rows, state):
    """A source can only add strictness; it takes back only its own."""
    before, after = effective(rows).state, effective([*rows, row(state, "another")]).state

    assert ORDER.index(after) >= ORDER.index(before)


def test_the_reason_is_the_strictest_source_s():
    """A person reads who stopped it and why."""
    held = effective(
        [
            row(Trading.ACTIVE, "resource", reason="fine"),
            row(Trading.NO_NEW_ENTRIES, "breaker:books", reason="cash differs"),
            row(Trading.HALTED, "person", scope="*", reason="lunch"),
        ]
    )

    assert held.reason == "person (*): lunch"
    assert [r.source for r in held.rows] == ["breaker:books", "person"]


def test_nobody_s_word_is_active():
    """Without any row there is nothing to obey, and no reason."""
    assert effective([]).state is Trading.ACTIVE
    assert effective([]).reason == ""


def test_halted_and_flatten_take_what_rests_off_the_book():
    """The milder ones leave resting orders alone."""
    assert {state for state in Trading if cancels_resting(state)} == {
        Trading.HALTED,
        Trading.FLATTEN,
    }


def test_every_source_of_the_strictest_state_is_told():
    """A person sees all who would have to release it."""
    rows = [
        SwitchRow(
            scope="*", source="person", state=Trading.HALTED, reason="lunch", changed_at_us=0
        ),
        SwitchRow(scope="a", source="risk", state=Trading.HALTED, reason="loss", changed_at_us=0),
        SwitchRow(scope="a", source="x", state=Trading.REDUCE_ONLY, reason="no", changed_at_us=0),
    ]
    assert effective(rows).reason == "person (*): lunch; risk (a): loss"
