"""The trade state machine."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain import trades
from recio.domain.errors import Broken
from recio.domain.trades import FINAL, HOLDING, TRANSITIONS, TradeState

TRADE = UUID(int=9)
STATES = st.sampled_from(TradeState)


@given(STATES, STATES)
def test_only_the_table_s_steps_are_taken(old, new):
    """Staying is no step; every other one stands in the table or breaks."""
    if old is new or (old, new) in TRANSITIONS:
        assert trades.advance(TRADE, old, new) is new
    else:
        with pytest.raises(Broken, match=f"no transition from {old} to {new}"):
            trades.advance(TRADE, old, new)


def test_closed_and_settled_are_the_end():
    """Their result is final; only a trade that never was can still come to life."""
    assert {start for start, _ in TRANSITIONS if start in FINAL} == {TradeState.ABANDONED}
    assert [end for start, end in TRANSITIONS if start is TradeState.ABANDONED] == [TradeState.OPEN]


@pytest.mark.parametrize("state", sorted(set(TradeState) - FINAL))
def test_whatever_lives_can_end(state):
    """No trade hangs for ever."""
    reached = {state}
    while new := {end for start, end in TRANSITIONS if start in reached} - reached:
        reached |= new

    assert reached & {TradeState.CLOSED, TradeState.SETTLED}


def test_what_is_held_can_settle():
    """The exchange's result can be told before our own clock has seen the close."""
    assert {(state, TradeState.SETTLED) for state in HOLDING} <= TRANSITIONS


def test_only_a_trade_without_a_fill_can_be_abandoned():
    """Contracts are never given up."""
    assert {start for start, end in TRANSITIONS if end is TradeState.ABANDONED} == {
        TradeState.CREATED,
        TradeState.ENTERING,
    }


def test_the_table_is_this_one():
    """The words stand in rows of every account; the steps are those that the database allows."""
    steps = {}
    for start, end in sorted(TRANSITIONS):
        steps.setdefault(start.value, []).append(end.value)

    assert steps == {
        "created": ["abandoned", "entering", "open"],
        "entering": ["abandoned", "open"],
        "abandoned": ["open"],
        "open": ["closed", "closing", "expired", "settled"],
        "closing": ["closed", "expired", "open", "settled"],
        "expired": ["closed", "settled"],
    }
    assert {state.value for state in FINAL} == {"closed", "settled", "abandoned"}
    assert {state.value for state in HOLDING} == {"open", "closing", "expired"}
