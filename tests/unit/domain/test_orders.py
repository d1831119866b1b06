"""The order state machine: what may follow what, and which word wins."""

from __future__ import annotations

from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain import orders
from recio.domain.errors import Broken
from recio.domain.orders import IN_FLIGHT, TERMINAL, TRANSITIONS, BookSide, OrderState

ORDER = UUID(int=7)
STATES = st.sampled_from(OrderState)
REPORTS = st.sampled_from(
    [
        OrderState.UNKNOWN,
        OrderState.RESTING,
        OrderState.PARTIALLY_FILLED,
        OrderState.EXECUTED,
        OrderState.CANCELED,
        OrderState.REJECTED,
    ]
)


@given(STATES, STATES)
def test_only_the_table_s_steps_are_taken(old, new):
    """Staying is no step; every other one stands in the table or breaks."""
    if old is new or (old, new) in TRANSITIONS:
        assert orders.advance(ORDER, old, new) is new
    else:
        with pytest.raises(Broken, match=f"no transition from {old} to {new}"):
            orders.advance(ORDER, old, new)


def test_every_state_can_be_reached_from_created():
    """No state is there for nothing."""
    reached = {OrderState.CREATED}
    while new := {end for start, end in TRANSITIONS if start in reached} - reached:
        reached |= new

    assert reached == set(OrderState)


@pytest.mark.parametrize("state", sorted(IN_FLIGHT))
def test_whatever_is_in_flight_can_end(state):
    """Exposure is never reserved for ever: each open state has a way to an end."""
    reached = {state}
    while new := {end for start, end in TRANSITIONS if start in reached} - reached:
        reached |= new

    assert reached & TERMINAL


def test_an_order_that_was_never_sent_stays_unsent():
    """Nothing follows; only a created order can end so."""
    assert not [end for start, end in TRANSITIONS if start is OrderState.EXPIRED_UNSENT]
    assert [start for start, end in TRANSITIONS if end is OrderState.EXPIRED_UNSENT] == [
        OrderState.CREATED
    ]


def test_nothing_is_at_the_exchange_before_it_was_claimed():
    """From created there is only the claim, or giving up."""
    assert {end for start, end in TRANSITIONS if start is OrderState.CREATED} == {
        OrderState.SUBMITTED,
        OrderState.EXPIRED_UNSENT,
    }


def test_a_fill_after_a_cancel_or_a_rejection_is_the_truth():
    """The exchange's own record wins over what a reply said."""
    assert orders.later_of(OrderState.CANCELED, OrderState.EXECUTED) is OrderState.EXECUTED
    assert orders.later_of(OrderState.REJECTED, OrderState.EXECUTED) is OrderState.EXECUTED
    assert orders.later_of(OrderState.REJECTED, OrderState.PARTIALLY_FILLED) is (
        OrderState.PARTIALLY_FILLED
    )


def test_an_executed_order_stays_executed():
    """Whatever comes late."""
    for state in OrderState:
        assert orders.later_of(OrderState.EXECUTED, state) is OrderState.EXECUTED


@given(STATES, st.lists(REPORTS, max_size=12))
def test_late_words_move_an_order_only_along_the_table(start, words):
    """Replies, stream and reads may come in any order: each step is one of the table's."""
    held = [start]
    for word in words:
        held.append(orders.later_of(held[-1], word))

    steps = {(old, new) for old, new in pairwise(held) if old is not new}
    assert steps <= TRANSITIONS


@given(
    STATES.filter(lambda state: state not in {OrderState.CREATED, OrderState.EXPIRED_UNSENT}),
    st.permutations(
        [
            OrderState.UNKNOWN,
            OrderState.RESTING,
            OrderState.PARTIALLY_FILLED,
            OrderState.EXECUTED,
            OrderState.CANCELED,
        ]
    ),
)
def test_an_order_ends_executed_in_whatever_order_its_words_arrive(start, words):
    """Once told that all is filled, no older word turns it back."""
    state = start
    for word in words:
        state = orders.later_of(state, word)

    assert state is OrderState.EXECUTED


@given(st.integers(1, 10_000), st.integers(0, 10_000), st.booleans())
def test_what_the_exchange_reports(qty_e2, filled_e2, is_resting):
    """Filled whole: executed. Not resting: over. Else it rests, partly filled or not."""
    state = orders.reported_state(qty_e2, filled_e2, is_resting=is_resting)

    if filled_e2 >= qty_e2:
        assert state is OrderState.EXECUTED
    elif not is_resting:
        assert state is OrderState.CANCELED
    else:
        assert state is (OrderState.PARTIALLY_FILLED if filled_e2 else OrderState.RESTING)


def test_the_other_side_s_other_side_is_the_side():
    """Bid and ask."""
    assert BookSide.BID.opposite is BookSide.ASK
    assert BookSide.ASK.opposite.opposite is BookSide.ASK


def test_the_table_is_this_one():
    """The words stand in rows of every account; the steps are those that the database allows."""
    steps = {}
    for start, end in sorted(TRANSITIONS):
        steps.setdefault(start.value, []).append(end.value)
    ends = ["canceled", "executed", "partially_filled", "rejected", "resting"]

    assert steps == {
        "created": ["expired_unsent", "submitted"],
        "submitted": sorted([*ends, "unknown"]),
        "unknown": sorted([*ends, "submitted"]),
        "resting": ["canceled", "executed", "partially_filled"],
        "partially_filled": ["canceled", "executed"],
        "canceled": ["executed"],
        "rejected": ["canceled", "executed", "partially_filled", "resting"],
    }
    assert {state.value for state in TERMINAL} == {
        "executed",
        "canceled",
        "rejected",
        "expired_unsent",
    }
    assert set(OrderState) == IN_FLIGHT | TERMINAL
    assert not IN_FLIGHT & TERMINAL


def test_sides_are_the_exchange_s_words():
    """They go onto the wire as they are."""
    assert [side.value for side in BookSide] == ["bid", "ask"]


def test_the_exchange_knows_an_order_by_our_id():
    """The same on every resend: the id follows from the intent and the attempt."""
    order = orders.Order(
        order_id=ORDER,
        trade_id=ORDER,
        account="a",
        intent_id=ORDER,
        attempt=1,
        market_ticker="M",
        purpose="entry",
        book_side=BookSide.BID,
        yes_price_e4=1,
        qty_e2=1,
        time_in_force="immediate_or_cancel",
        is_reduce_only=False,
        state=OrderState.CREATED,
        exchange_order_id=None,
        filled_qty_e2=0,
        reserved_usd_e6=0,
        created_at_us=0,
    )
    assert order.client_order_id == str(ORDER)
