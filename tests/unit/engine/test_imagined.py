"""Imagined fills: only what is displayed, only once, never beyond the limit."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from recio.domain.messages import MarketQuote
from recio.domain.orders import BookSide, Order, OrderState
from recio.domain.units import CENT_E6, PRICE_ONE_E4
from recio.engine import tape
from recio.engine.imagined import ImaginedMarket

ID = UUID(int=1)
ONE = 1_000_000


def order(side: BookSide, yes_price_e4: int, qty_e2: int) -> Order:
    """Return an order that is immediate or canceled."""
    return Order(
        order_id=ID,
        trade_id=ID,
        account="paper",
        intent_id=ID,
        attempt=1,
        market_ticker="M",
        purpose="entry",
        book_side=side,
        yes_price_e4=yes_price_e4,
        qty_e2=qty_e2,
        time_in_force="immediate_or_cancel",
        is_reduce_only=False,
        state=OrderState.SUBMITTED,
        exchange_order_id=None,
        filled_qty_e2=0,
        reserved_usd_e6=0,
        created_at_us=0,
    )


def market(yes: tape.Levels = (), no: tape.Levels = ()) -> ImaginedMarket:
    """Return a market with a whole book."""
    made = ImaginedMarket("M")
    made.load(tape.Loaded("M", yes, no, 1))
    return made


def buy(of: ImaginedMarket, limit_e4: int, qty_e2: int) -> list[tuple[int, int]]:
    """Return price and quantity of the fills of a YES bought."""
    fills = of.take(order(BookSide.BID, limit_e4, qty_e2), multiplier_e6=ONE, at_us=2)
    return [(fill.yes_price_e4, fill.qty_e2) for fill in fills]


def test_the_best_levels_are_taken_first_and_none_beyond_the_limit():
    """A YES at 0.60 takes NO bids from 0.40 up, the dearest NO (cheapest YES) first."""
    book = market(no=((3900, 500), (4100, 200), (4000, 300)))
    assert buy(book, 6000, 10_000) == [(5900, 200), (6000, 300)]


def test_what_was_taken_stays_taken_until_the_level_changes():
    """The tape does not know of us: the same size displayed again is not there for us again."""
    book = market(no=((4000, 300),))
    assert buy(book, 6000, 200) == [(6000, 200)]
    assert buy(book, 6000, 200) == [(6000, 100)]
    assert buy(book, 6000, 200) == []
    book.change(tape.Changed("M", is_yes=False, price_e4=4000, delta_e2=50, at_us=3))
    assert buy(book, 6000, 200) == [(6000, 50)]


def test_a_level_that_was_gone_is_new_when_it_comes_back():
    """Who left took his place with him; who comes is somebody else."""
    book = market(no=((4000, 300),))
    assert buy(book, 6000, 300) == [(6000, 300)]
    book.change(tape.Changed("M", is_yes=False, price_e4=4000, delta_e2=-300, at_us=3))
    book.change(tape.Changed("M", is_yes=False, price_e4=4000, delta_e2=300, at_us=4))
    assert buy(book, 6000, 300) == [(6000, 300)]


def test_a_book_that_is_not_known_fills_nothing():
    """After a gap nobody knows what is displayed."""
    book = market(no=((4000, 300),))
    book.lose("gap")
    assert buy(book, 9900, 100) == []


def test_of_a_market_with_tops_only_there_is_only_the_top():
    """What lies behind the top is not known, so it is not taken."""
    made = ImaginedMarket("M")
    made.see(MarketQuote("M", 5500, 100, 5700, 250, None, 1, 1, is_valid=True))
    assert buy(made, 9900, 1000) == [(5700, 250)]
    made.see(MarketQuote("M", 5500, 100, 5700, 300, None, 2, 2, is_valid=True))
    assert buy(made, 9900, 1000) == [(5700, 50)]
    made.see(MarketQuote("M", 5500, 100, 5800, 300, None, 3, 3, is_valid=True))
    assert buy(made, 9900, 1000) == [(5800, 300)]


levels = st.dictionaries(
    st.integers(1, 99).map(lambda cents: cents * 100), st.integers(1, 5000), max_size=6
)


@given(
    yes=levels,
    no=levels,
    orders=st.lists(
        st.tuples(st.sampled_from(BookSide), st.integers(1, 99), st.integers(1, 40)), max_size=6
    ),
)
def test_together_orders_get_at_most_what_is_displayed(yes, no, orders):
    """However often we ask: no level gives more than it shows, no price is worse than the limit."""
    book = market(tuple(yes.items()), tuple(no.items()))
    got: dict[tuple[bool, int], int] = {}
    for side, cents, contracts in orders:
        asked = order(side, cents * 100, contracts * 100)
        fills = book.take(asked, multiplier_e6=ONE, at_us=2)
        assert sum(fill.qty_e2 for fill in fills) <= asked.qty_e2
        for fill in fills:
            is_buying = side is BookSide.BID
            assert (
                (fill.yes_price_e4 <= cents * 100)
                if is_buying
                else (fill.yes_price_e4 >= cents * 100)
            )
            own_e4 = PRICE_ONE_E4 - fill.yes_price_e4 if is_buying else fill.yes_price_e4
            got[is_buying, own_e4] = got.get((is_buying, own_e4), 0) + fill.qty_e2
        if fills:
            sign = -1 if side is BookSide.BID else 1
            moved = sum(sign * f.yes_price_e4 * f.qty_e2 - f.fee_usd_e6 for f in fills)
            assert moved % CENT_E6 == 0, "an order moves whole cents"
    for (is_no, price_e4), qty in got.items():
        assert qty <= (no if is_no else yes)[price_e4]
