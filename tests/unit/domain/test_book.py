"""The order book of one market."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain.book import OrderBook
from recio.domain.errors import InvalidValue
from recio.domain.units import PRICE_ONE_E4

PRICES = st.integers(1, PRICE_ONE_E4 - 1)
SIZES = st.integers(1, 10**9)
LEVELS = st.dictionaries(PRICES, SIZES, max_size=12)
DELTAS = st.lists(
    st.tuples(st.booleans(), st.sampled_from([1, 100, 4500, 4510, 9999]), st.integers(-500, 500)),
    max_size=40,
)


def book(yes=(), no=()):
    """Return a valid book."""
    made = OrderBook("KXBTCD-25AUG0122-T119499.99")
    made.load(yes, no, seq=1, at_us=1)
    return made


def test_it_is_invalid_until_its_first_snapshot():
    """No data is not an empty book."""
    made = OrderBook("A")
    assert not made.apply(made.yes, 4500, 100, 1, 1)
    assert not made.quote().is_valid
    assert made.reason == "no snapshot yet"


def test_the_best_ask_is_one_minus_the_best_no_bid():
    """The exchange lists bids only."""
    quote = book([(4500, 1000), (4400, 5)], [(5300, 700), (5200, 9)]).quote(42)
    assert (quote.yes_bid_e4, quote.yes_bid_qty_e2) == (4500, 1000)
    assert (quote.yes_ask_e4, quote.yes_ask_qty_e2) == (4700, 700)
    assert (quote.volume_e2, quote.is_valid) == (42, True)


def test_an_empty_side_is_none():
    """No bid is not a bid of 0."""
    quote = book([(4500, 1000)]).quote()
    assert quote.yes_ask_e4 is None
    assert quote.yes_ask_qty_e2 == 0
    assert quote.is_valid


@given(LEVELS, LEVELS, DELTAS)
def test_it_equals_a_plain_sum_of_deltas(yes, no, deltas):
    """Best prices and sizes are those of the sums, until a level would fall below nothing."""
    made = book(yes.items(), no.items())
    sums = {True: dict(yes), False: dict(no)}
    for number, (is_yes, price, delta) in enumerate(deltas, start=2):
        side = made.yes if is_yes else made.no
        wanted = sums[is_yes].get(price, 0) + delta
        assert made.apply(side, price, delta, number, number) is (wanted >= 0)
        if wanted < 0:
            assert not made.is_valid
            assert made.seq == number
            break
        sums[is_yes][price] = wanted
        for which, own in ((True, made.yes), (False, made.no)):
            held = {price: qty for price, qty in sums[which].items() if qty}
            assert own.levels == held
            assert own.best_e4 == max(held, default=0)
            assert own.best_qty_e2 == held.get(own.best_e4, 0)


@given(LEVELS, LEVELS)
def test_what_was_added_can_be_taken_away(yes, no):
    """Deltas and their opposites leave an empty book."""
    made = book()
    rows = [(made.yes, *row) for row in yes.items()] + [(made.no, *row) for row in no.items()]
    for sign in (1, -1):
        for side, price, qty in rows:
            assert made.apply(side, price, sign * qty, 2, 2)
    assert made.yes.levels == made.no.levels == {}
    assert made.quote().yes_bid_e4 is None


def test_less_than_nothing_makes_it_invalid_until_the_next_snapshot():
    """A negative level means that a frame was lost or wrong: no data is better than wrong data."""
    made = book([(4500, 100)])
    assert not made.apply(made.yes, 4500, -101, 2, 2)
    assert not made.apply(made.yes, 4500, 500, 3, 3)
    assert "-1e-2 contracts at 4500e-4 after frame 2" in made.reason
    made.load([(4400, 7)], [], seq=9, at_us=9)
    assert made.quote().yes_bid_e4 == 4400
    assert made.is_valid


def test_a_crossed_book_is_kept_but_its_quote_is_not_valid():
    """Between the deltas of one match the best bids may sum to a dollar for a moment."""
    made = book([(4500, 100)], [(5500, 100)])
    assert made.is_crossed
    assert made.is_valid
    assert not made.quote().is_valid
    made.apply(made.yes, 4500, -100, 2, 2)
    assert made.quote().is_valid


@pytest.mark.parametrize("rows", [[(0, 1)], [(PRICE_ONE_E4, 1)], [(4500, 0)], [(4500, -1)]])
def test_an_impossible_snapshot_is_refused(rows):
    """Prices of 0 and 1 are not tradable, sizes are above 0; the book is invalid then."""
    made = book([(4500, 100)])
    with pytest.raises(InvalidValue):
        made.load([], rows, seq=2, at_us=2)
    assert not made.is_valid


def test_fillable_counts_what_a_limit_reaches():
    """Buying YES at 47 cents or better takes NO bids from 53 cents on."""
    made = book([(4500, 1000), (4400, 5)], [(5300, 700), (5200, 9), (5100, 50)])
    assert made.fillable(buy_yes=True, limit_e4=4800) == 709
    assert made.fillable(buy_yes=True, limit_e4=4600) == 0
    assert made.fillable(buy_yes=False, limit_e4=4400) == 1005
