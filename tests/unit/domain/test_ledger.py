"""Double entry: nothing appears, nothing vanishes, whatever is bought, sold and settled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain import ledger
from recio.domain.errors import InvalidValue
from recio.domain.ledger import Holding
from recio.domain.orders import BookSide

ONE_E4 = 10_000

SIDES = st.sampled_from(BookSide)
PRICES = st.integers(0, ONE_E4)
QUANTITIES = st.integers(1, 5_000)
FEES = st.integers(-5_000, 100_000)
FILLS = st.lists(st.tuples(SIDES, PRICES, QUANTITIES, FEES), max_size=25)


def total(postings):
    """Return the sum of all lines."""
    return sum(line.amount_usd_e6 for line in postings)


def book(fills, held=None):
    """Book fills one after the other; return the last holding and every booking."""
    held = held or Holding()
    bookings = []
    for side, price_e4, qty_e2, fee in fills:
        bookings.append(
            ledger.book_fill(
                held, "M", side=side, yes_price_e4=price_e4, qty_e2=qty_e2, fee_usd_e6=fee
            )
        )
        held = bookings[-1].holding
    return held, bookings


def settle(held, *, is_yes):
    """Book the payout of a dollar a winning contract."""
    winning_e2 = max(held.qty_e2, 0) if is_yes else max(-held.qty_e2, 0)
    return ledger.book_settlement(held, "M", revenue_usd_e6=winning_e2 * ONE_E4, fee_usd_e6=0)


@given(FILLS, st.booleans())
def test_every_transaction_sums_to_zero(fills, is_yes):
    """Each fact is balanced by itself, fees and results included, and has no empty line."""
    held, bookings = book(fills)

    for booking in (*bookings, settle(held, is_yes=is_yes)):
        assert total(booking.postings) == 0
        assert all(line.amount_usd_e6 for line in booking.postings)


@given(FILLS)
def test_cash_and_positions_at_cost_are_what_came_in_and_was_earned(fills):
    """Equity changes by results and fees alone: buying moves cash into a position."""
    held, bookings = book(fills)

    for booking in bookings:
        fee = sum(line.amount_usd_e6 for line in booking.postings if line.book == "fees")
        assert booking.equity_usd_e6 == booking.result_usd_e6 - fee
    cash = sum(booking.cash_usd_e6 for booking in bookings)
    assert cash + held.cost_usd_e6 == held.realised_usd_e6 - held.fees_usd_e6


@given(FILLS, st.booleans())
def test_money_is_conserved_to_the_settlement(fills, is_yes):
    """In the end cash is the result less fees, and a market's books are empty."""
    held, bookings = book(fills)
    end = settle(held, is_yes=is_yes)
    every = [*bookings, end]

    cash = sum(booking.cash_usd_e6 for booking in every)
    result = sum(booking.result_usd_e6 for booking in every)
    fees = sum(fee for *_, fee in fills)
    assert cash == result - fees == end.holding.realised_usd_e6 - end.holding.fees_usd_e6
    assert end.holding.qty_e2 == end.holding.cost_usd_e6 == 0
    positions = [line for b in every for line in b.postings if line.book == "position"]
    assert total(positions) == 0


@given(FILLS, st.booleans())
def test_the_end_is_what_a_plain_sum_says(fills, is_yes):
    """Without any book: buying YES pays p, selling receives it, each YES held pays a dollar or none.

    (A NO bought at 1 - p is a YES sold at p with a dollar of collateral, which comes back.)
    """
    held, bookings = book(fills)
    cash = sum(b.cash_usd_e6 for b in (*bookings, settle(held, is_yes=is_yes)))

    signed = [(1 if side is BookSide.BID else -1, p, q, fee) for side, p, q, fee in fills]
    position_e2 = sum(sign * qty for sign, _, qty, _ in signed)
    plain = sum(-sign * price * qty - fee for sign, price, qty, fee in signed)
    assert held.qty_e2 == position_e2
    assert cash == plain + (position_e2 * ONE_E4 if is_yes else 0)


@given(FILLS, st.booleans())
def test_no_is_yes_seen_from_the_other_side(fills, is_yes):
    """An ask at p for a holder of NO does what a bid at 1 - p does for a holder of YES."""
    mirrored = [(side.opposite, ONE_E4 - price, qty, fee) for side, price, qty, fee in fills]
    held, bookings = book(fills)
    other, others = book(mirrored)

    assert other.qty_e2 == -held.qty_e2
    assert (other.cost_usd_e6, other.realised_usd_e6, other.fees_usd_e6) == (
        held.cost_usd_e6,
        held.realised_usd_e6,
        held.fees_usd_e6,
    )
    assert [b.postings for b in bookings] == [b.postings for b in others]
    assert settle(held, is_yes=is_yes).postings == settle(other, is_yes=not is_yes).postings


@given(FILLS.flatmap(lambda fills: st.tuples(st.just(fills), st.permutations(fills))))
def test_the_order_of_fills_changes_neither_quantity_nor_cash(both):
    """Fills are told in any order; only what each one is said to have earned depends on it."""
    (held, bookings), (other, others) = (book(fills) for fills in both)

    assert held.qty_e2 == other.qty_e2
    assert sum(b.cash_usd_e6 for b in bookings) == sum(b.cash_usd_e6 for b in others)


@given(FILLS, SIDES, PRICES, QUANTITIES, FEES)
def test_a_fill_through_zero_is_a_close_and_an_opening(fills, side, price_e4, qty_e2, fee):
    """Cut in two where the position is flat, it books the same."""
    held, _ = book(fills)
    sign = 1 if side is BookSide.BID else -1
    closing_e2 = min(qty_e2, abs(held.qty_e2)) if held.qty_e2 * sign < 0 else 0
    if not 0 < closing_e2 < qty_e2:
        return
    parts = [(side, price_e4, closing_e2, fee), (side, price_e4, qty_e2 - closing_e2, 0)]

    whole, _ = book([(side, price_e4, qty_e2, fee)], held)
    cut, _ = book(parts, held)
    assert whole == cut


@given(FILLS)
def test_the_last_contract_takes_the_last_micro_dollar(fills):
    """A position at cost is never negative, and nothing of it stays behind when it is flat."""
    for booking in book(fills)[1]:
        assert booking.holding.cost_usd_e6 >= 0
        if booking.holding.qty_e2 == 0:
            assert booking.holding.cost_usd_e6 == 0


def test_ten_contracts_at_96_cents_that_win():
    """They cost 9.60 and the fee, pay 10, and earn 0.40 less the fee."""
    bought = ledger.book_fill(
        Holding(), "M", side=BookSide.BID, yes_price_e4=9600, qty_e2=1000, fee_usd_e6=26_900
    )
    paid = ledger.book_settlement(bought.holding, "M", revenue_usd_e6=10_000_000, fee_usd_e6=0)

    assert (bought.cash_usd_e6, paid.cash_usd_e6) == (-9_626_900, 10_000_000)
    assert paid.result_usd_e6 == 400_000
    assert paid.holding == Holding(realised_usd_e6=400_000, fees_usd_e6=26_900)


def test_buying_no_costs_its_own_price():
    """NO at 4 cents is YES sold at 96."""
    booking = ledger.book_fill(
        Holding(), "M", side=BookSide.ASK, yes_price_e4=9600, qty_e2=1000, fee_usd_e6=0
    )

    assert booking.cash_usd_e6 == -400_000
    assert booking.holding == Holding(qty_e2=-1000, cost_usd_e6=400_000)


def test_selling_a_third_takes_a_third_of_the_cost():
    """Rounded half to even at a micro-dollar; the rest stays with what is held."""
    held = Holding(qty_e2=300, cost_usd_e6=100_001)

    sold, _ = book([(BookSide.ASK, 5000, 100, 0)], held)
    assert (sold.qty_e2, sold.cost_usd_e6) == (200, 66_667)


@given(st.integers(-(10**12), 10**12).filter(bool))
def test_money_that_comes_in_is_capital(amount):
    """An opening balance, a deposit, a withdrawal: no result."""
    postings = ledger.book_transfer(amount)

    assert total(postings) == 0
    assert {line.book: line.amount_usd_e6 for line in postings} == {
        "cash": amount,
        "capital": -amount,
    }


def test_an_adopted_position_is_capital_too():
    """It was there before; its cost is not ours to have paid."""
    postings = ledger.book_opening_position("M", 9_600_000)

    assert total(postings) == 0
    assert {line.book for line in postings} == {"position", "capital"}


@pytest.mark.parametrize(("price_e4", "qty_e2"), [(5000, 0), (5000, -1), (-1, 100), (10_001, 100)])
def test_what_is_no_fill_is_refused(price_e4, qty_e2):
    """Nothing is booked at a price or for a quantity that cannot be."""
    with pytest.raises(InvalidValue, match="not a fill"):
        book([(BookSide.BID, price_e4, qty_e2, 0)])


@pytest.mark.parametrize(
    ("cost", "qty_e2", "kept"),
    [
        (1, 2, 1),  # a half leaves nothing: 0 is even
        (3, 2, 1),  # one and a half leaves as two
        (5, 2, 3),
        (7, 2, 3),
        (9, 2, 5),
        (1, 3, 1),
        (2, 3, 1),
        (4, 3, 3),
        (2, 5, 2),
    ],
)
def test_cost_leaves_in_proportion_rounded_half_to_even(cost, qty_e2, kept):
    """The micro-dollar that does not divide stays with the rest of the position."""
    held = Holding(qty_e2=qty_e2, cost_usd_e6=cost)
    sold = ledger.book_fill(
        held, "M", side=BookSide.ASK, yes_price_e4=0, qty_e2=1, fee_usd_e6=0
    ).holding
    assert sold.cost_usd_e6 == kept


def test_a_settlement_books_its_fee_beside_those_before():
    """What the exchange keeps at the end is a fee, and cash is less by it."""
    held = Holding(qty_e2=1000, cost_usd_e6=9_600_000, realised_usd_e6=5, fees_usd_e6=26_900)
    booked = ledger.book_settlement(held, "M", revenue_usd_e6=10_000_000, fee_usd_e6=1_000)
    assert booked.holding == Holding(realised_usd_e6=400_005, fees_usd_e6=27_900)
    assert {line.book: line.amount_usd_e6 for line in booked.postings} == {
        "cash": 9_999_000,
        "position": -9_600_000,
        "fees": 1_000,
        "result": -400_000,
    }


def test_positions_results_and_fees_name_their_market():
    """Cash and capital are the account's own and name none."""
    fill = ledger.book_fill(
        Holding(qty_e2=100, cost_usd_e6=1),
        "M",
        side=BookSide.ASK,
        yes_price_e4=5000,
        qty_e2=100,
        fee_usd_e6=7,
    )
    named = {line.book: line.market_ticker for line in fill.postings}
    assert named == {"cash": "", "position": "M", "fees": "M", "result": "M"}
    assert {line.market_ticker for line in ledger.book_transfer(5)} == {""}
    assert ledger.Posting("cash", 1).market_ticker == ""


def test_a_correction_waits_in_suspense():
    """Cash becomes what the exchange says; what explains it is not known yet."""
    booked = {line.book: line.amount_usd_e6 for line in ledger.book_correction(-7)}
    assert booked == {"cash": -7, "suspense": 7}
