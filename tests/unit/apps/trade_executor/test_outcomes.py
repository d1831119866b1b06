"""What an answer of the exchange, or the lack of one, is taken for."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from recio.adapters.kalshi.errors import KalshiRejected
from recio.adapters.kalshi.model import ExchangeOrder, OrderReply, TimeInForce
from recio.adapters.postgres.orders import OrderRow
from recio.apps.trade_executor import resolving, sending
from recio.domain.orders import BookSide, Order, OrderState

ORDER = Order(
    order_id=UUID(int=1),
    trade_id=UUID(int=2),
    account="paper",
    intent_id=UUID(int=3),
    attempt=1,
    market_ticker="KXBTCD-25AUG0122-T119499.99",
    purpose="entry",
    book_side=BookSide.BID,
    yes_price_e4=9600,
    qty_e2=1000,
    time_in_force="immediate_or_cancel",
    is_reduce_only=False,
    state=OrderState.SUBMITTED,
    exchange_order_id=None,
    filled_qty_e2=0,
    reserved_usd_e6=9_636_900,
    created_at_us=0,
    exchange_index=2,
)


def row(**changes):
    """Return an order's row."""
    return OrderRow(
        order=replace(ORDER, **changes),
        event_ticker="KXBTCD-25AUG0122",
        booked_qty_e2=0,
        valid_until_us=0,
        claimed_market_us=None,
        source="auto_entry",
    )


def reply(fill_e2, remaining_e2):
    """Return an answer to a create."""
    return OrderReply(
        order_id="x",
        client_order_id=None,
        fill_qty_e2=fill_e2,
        remaining_qty_e2=remaining_e2,
        average_price_usd_e6=None,
        average_fee_usd_e6=None,
        at_us=None,
    )


@pytest.mark.parametrize(
    ("time_in_force", "fill_e2", "remaining_e2", "state"),
    [
        ("immediate_or_cancel", 1000, 0, OrderState.EXECUTED),
        ("immediate_or_cancel", 400, 0, OrderState.CANCELED),
        ("immediate_or_cancel", 400, 600, OrderState.CANCELED),
        ("immediate_or_cancel", 0, 0, OrderState.CANCELED),
        ("good_till_canceled", 0, 1000, OrderState.RESTING),
        ("good_till_canceled", 400, 600, OrderState.PARTIALLY_FILLED),
        ("good_till_canceled", 400, 0, OrderState.CANCELED),
        ("immediate_or_cancel", None, 0, OrderState.UNKNOWN),
        ("immediate_or_cancel", 0, None, OrderState.UNKNOWN),
    ],
)
def test_what_a_reply_means(time_in_force, fill_e2, remaining_e2, state):
    """Only what can rest rests; what is not said is not guessed."""
    outcome = sending._of_reply(row(time_in_force=time_in_force), reply(fill_e2, remaining_e2))

    assert outcome.state is state
    assert outcome.exchange_order_id == "x"
    assert outcome.filled_qty_e2 == (fill_e2 if state is not OrderState.UNKNOWN else None)


def test_a_used_id_is_no_rejection():
    """It was used by this very order, whose first answer nobody saw."""
    used = KalshiRejected(409, "order_already_exists", "")
    refused = KalshiRejected(400, "insufficient_balance", "")

    assert sending._of_rejection(used).state is OrderState.UNKNOWN
    assert sending._of_rejection(refused).state is OrderState.REJECTED


def test_what_is_sent_is_what_was_decided():
    """Ticker, side, price, size and id are the order's; everything goes off the book on a pause."""
    exit_row = row(purpose="exit", is_reduce_only=True, book_side=BookSide.ASK)
    request = sending._request(exit_row, None)

    assert (request.ticker, request.book_side) == (ORDER.market_ticker, BookSide.ASK)
    assert (request.qty_e2, request.yes_price_e4) == (1000, 9600)
    assert request.client_order_id == str(ORDER.order_id)
    assert request.time_in_force is TimeInForce.IMMEDIATE_OR_CANCEL
    assert request.is_reduce_only
    assert request.is_canceled_on_pause
    assert request.exchange_index == 2
    assert request.order_group_id is None
    assert sending._request(row(), "fuse").order_group_id == "fuse"


@given(st.integers(0, 1000), st.sampled_from(["resting", "canceled", "executed"]))
def test_what_is_found_is_taken_as_it_is(filled_e2, status):
    """The exchange's own record of an order decides."""
    found = ExchangeOrder(
        order_id="x",
        client_order_id="c",
        ticker="M",
        book_side=BookSide.BID,
        status=status,
        yes_price_e4=9600,
        initial_qty_e2=1000,
        fill_qty_e2=filled_e2,
        remaining_qty_e2=0,
        taker_cost_usd_e6=0,
        maker_cost_usd_e6=0,
        taker_fees_usd_e6=0,
        maker_fees_usd_e6=0,
        created_at_us=None,
        updated_at_us=None,
        expires_at_us=None,
        order_group_id=None,
        exchange_index=2,
        subaccount=None,
    )
    outcome = resolving.found_outcome(row(), found)

    assert (outcome.exchange_order_id, outcome.filled_qty_e2) == ("x", filled_e2)
    assert (outcome.state is OrderState.EXECUTED) is (filled_e2 == 1000)
    assert (outcome.state in {OrderState.RESTING, OrderState.PARTIALLY_FILLED}) is (
        status == "resting" and filled_e2 < 1000
    )


def test_an_event_says_only_what_is_known():
    """No empty fields in the order's story."""
    assert sending.Outcome(OrderState.UNKNOWN, "unknown", reason="gone").body() == {
        "state": "unknown",
        "reason": "gone",
    }
    assert sending.Outcome(OrderState.CANCELED, "found", filled_qty_e2=0).body() == {
        "state": "canceled",
        "filled_qty_e2": 0,
    }
