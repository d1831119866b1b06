"""A trade's figures and its state are functions of its facts, and nothing else."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain import ledger, trade_book
from recio.domain.errors import Broken
from recio.domain.intents import Purpose
from recio.domain.ledger import Holding
from recio.domain.orders import TERMINAL, BookSide, OrderState
from recio.domain.trade_book import Figures, FillFact, OrderFact, SettlementFact
from recio.domain.trades import TRANSITIONS, TradeState

ONE_E4 = 10_000
SIDES = st.sampled_from(["yes", "no"])
STATES = st.sampled_from(TradeState)
FILLS = st.lists(
    st.builds(
        FillFact,
        st.sampled_from(BookSide),
        st.integers(0, ONE_E4),
        st.integers(1, 5000),
        st.integers(0, 100_000),
        st.integers(0, 10**9),
    ),
    max_size=12,
)
ORDER_STATES = st.sampled_from(OrderState)
FACTS = st.lists(
    st.builds(
        lambda purpose, state, filled, booked: OrderFact(purpose, state, filled + booked, booked),
        st.sampled_from(Purpose),
        ORDER_STATES,
        st.integers(0, 500),
        st.integers(0, 500),
    ),
    max_size=4,
)


def entry(state=OrderState.EXECUTED, filled=1000, booked=1000):
    """Return where the entry order stands."""
    return OrderFact(Purpose.ENTRY, state, filled, booked)


def leaving(state=OrderState.SUBMITTED, filled=0, booked=0):
    """Return where an exit order stands."""
    return OrderFact(Purpose.EXIT, state, filled, booked)


def sums(filled=1000, exited=0):
    """Return figures of so many contracts."""
    return Figures(filled_qty_e2=filled, exited_qty_e2=exited)


def state(figures, *facts, is_past_close=False, is_settled=False):
    """Return where a trade with these facts stands."""
    return trade_book.state(figures, facts, is_past_close=is_past_close, is_settled=is_settled)


@given(SIDES, FILLS.flatmap(lambda fills: st.tuples(st.just(fills), st.permutations(fills))))
def test_the_order_of_facts_does_not_matter(side, both):
    """Stream and reads tell fills in any order."""
    assert trade_book.figures(side, both[0]) == trade_book.figures(side, both[1])


@given(SIDES, FILLS)
def test_computing_again_changes_nothing(side, fills):
    """The fold recomputes the whole: it may be run as often as one likes."""
    assert trade_book.figures(side, fills) == trade_book.figures(side, tuple(fills))


@given(FILLS)
def test_no_is_yes_seen_from_the_other_side(fills):
    """The mirrored fills of a NO trade are a YES trade's."""
    mirrored = [
        FillFact(f.book_side.opposite, ONE_E4 - f.yes_price_e4, f.qty_e2, f.fee_usd_e6, f.at_us)
        for f in fills
    ]
    assert trade_book.figures("no", fills) == trade_book.figures("yes", mirrored)


@given(SIDES, st.integers(0, ONE_E4))
def test_own_price_is_its_own_inverse(side, price_e4):
    """There and back."""
    assert trade_book.own_price_e4(side, trade_book.own_price_e4(side, price_e4)) == price_e4


@given(SIDES, FILLS, st.booleans())
def test_a_trade_that_is_the_position_earns_what_the_ledger_says(side, fills, is_win):
    """Result by the trade's fills equals result by the account's books, fees included."""
    opening = trade_book.opening_side(side)
    fills = sorted(fills, key=lambda f: f.book_side is not opening)
    figures = trade_book.figures(side, fills)
    if figures.open_qty_e2 < 0:
        return
    held, cash = Holding(), 0
    for fill in fills:
        booking = ledger.book_fill(
            held,
            "M",
            side=fill.book_side,
            yes_price_e4=fill.yes_price_e4,
            qty_e2=fill.qty_e2,
            fee_usd_e6=fill.fee_usd_e6,
        )
        held, cash = booking.holding, cash + booking.cash_usd_e6
    revenue = figures.open_qty_e2 * ONE_E4 if is_win else 0
    end = ledger.book_settlement(held, "M", revenue_usd_e6=revenue, fee_usd_e6=0)

    pnl = trade_book.pnl_usd_e6(figures, revenue)
    assert abs(held.qty_e2) == figures.open_qty_e2
    assert pnl == cash + revenue == end.holding.realised_usd_e6 - end.holding.fees_usd_e6


@given(STATES, STATES)
def test_a_path_takes_legal_steps_only_and_ends_where_it_should(old, new):
    """Each step leaves its own audit row, so each must stand in the table."""
    try:
        way = trade_book.path(old, new)
    except Broken:
        return
    assert set(pairwise((old, *way))) <= TRANSITIONS
    assert (old, *way)[-1] is new


@given(STATES, STATES)
def test_a_path_is_found_when_there_is_one(old, new):
    """And is as short as can be: no state is visited that need not be."""
    distance, reached = {old: 0}, {old}
    while frontier := {end for start, end in TRANSITIONS if start in reached} - reached:
        steps = max(distance.values()) + 1
        distance |= dict.fromkeys(frontier, steps)
        reached |= frontier
    if new in distance:
        assert len(trade_book.path(old, new)) == distance[new]
    else:
        with pytest.raises(Broken, match=f"no way from {old} to {new}"):
            trade_book.path(old, new)


def test_a_heap_of_facts_is_walked_through():
    """A fill and its exit between two folds: created, open, closed."""
    assert trade_book.path(TradeState.CREATED, TradeState.CLOSED) == (
        TradeState.OPEN,
        TradeState.CLOSED,
    )
    assert trade_book.path(TradeState.CREATED, TradeState.SETTLED) == (
        TradeState.OPEN,
        TradeState.SETTLED,
    )


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([entry(OrderState.CREATED, 0, 0)], TradeState.CREATED),
        ([entry(OrderState.SUBMITTED, 0, 0)], TradeState.ENTERING),
        ([entry(OrderState.UNKNOWN, 0, 0)], TradeState.ENTERING),
        ([entry(OrderState.RESTING, 0, 0)], TradeState.ENTERING),
        ([entry(OrderState.EXECUTED, 1000, 0)], TradeState.ENTERING),
        ([entry(OrderState.CANCELED, 0, 0)], TradeState.ABANDONED),
        ([entry(OrderState.REJECTED, 0, 0)], TradeState.ABANDONED),
        ([entry(OrderState.EXPIRED_UNSENT, 0, 0)], TradeState.ABANDONED),
    ],
)
def test_without_a_fill_the_entry_order_says_where_a_trade_stands(facts, expected):
    """Filled and not booked yet is still entering: the fill will come."""
    assert state(sums(0), *facts) is expected


@pytest.mark.parametrize(
    ("figures", "facts", "expected"),
    [
        (sums(), [entry()], TradeState.OPEN),
        (sums(400), [entry(OrderState.CANCELED, 400, 400)], TradeState.OPEN),
        (sums(400), [entry(OrderState.UNKNOWN, 400, 400)], TradeState.OPEN),
        (sums(), [entry(), leaving()], TradeState.CLOSING),
        (sums(), [entry(), leaving(OrderState.CANCELED, 0, 0)], TradeState.OPEN),
        (sums(1000, 400), [entry(), leaving(OrderState.CANCELED, 400, 400)], TradeState.OPEN),
        (sums(1000, 400), [entry(), leaving(OrderState.EXECUTED, 1000, 400)], TradeState.CLOSING),
        (sums(1000, 1000), [entry(), leaving(OrderState.EXECUTED, 1000, 1000)], TradeState.CLOSED),
        (sums(1000, 1000), [entry()], TradeState.CLOSED),
        (sums(400, 400), [entry(OrderState.UNKNOWN, 400, 400)], TradeState.OPEN),
    ],
)
def test_what_is_held_says_where_a_trade_stands(figures, facts, expected):
    """Sold to nothing is closed, but not while the entry can still fill."""
    assert state(figures, *facts) is expected


def test_after_the_close_it_waits_for_the_result():
    """Expired, then settled; closed stays closed."""
    assert state(sums(), entry(), is_past_close=True) is TradeState.EXPIRED
    assert state(sums(), entry(), leaving(), is_past_close=True) is TradeState.EXPIRED
    assert state(sums(), entry(), is_past_close=True, is_settled=True) is TradeState.SETTLED
    assert state(sums(), entry(), is_settled=True) is TradeState.SETTLED
    assert state(sums(1000, 1000), entry(), is_past_close=True, is_settled=True) is (
        TradeState.CLOSED
    )
    assert state(
        sums(0), entry(OrderState.CANCELED, 0, 0), is_past_close=True, is_settled=True
    ) is (TradeState.ABANDONED)


def test_an_external_trade_needs_no_orders():
    """A position that somebody else opened has fills only."""
    assert state(sums()) is TradeState.OPEN
    assert state(sums(1000, 1000)) is TradeState.CLOSED


@given(
    st.builds(
        lambda exited, left: sums(exited + left, exited), st.integers(0, 500), st.integers(0, 500)
    ),
    FACTS,
    st.booleans(),
    st.booleans(),
)
def test_contracts_are_never_forgotten(figures, facts, is_past_close, is_settled):
    """While something is held, a trade ends only by its settlement."""
    got = state(figures, *facts, is_past_close=is_past_close, is_settled=is_settled)

    if figures.open_qty_e2:
        assert got not in {TradeState.CLOSED, TradeState.ABANDONED}
        assert (got is TradeState.SETTLED) is is_settled
    if any(fact.is_alive for fact in facts if fact.purpose is Purpose.ENTRY):
        assert got not in {TradeState.CLOSED, TradeState.ABANDONED}


@given(ORDER_STATES, st.integers(0, 1000), st.integers(0, 1000))
def test_an_order_lives_until_its_fills_are_booked(order_state, filled, booked):
    """What the exchange says is filled may still have to arrive."""
    fact = OrderFact(Purpose.ENTRY, order_state, filled, min(booked, filled))

    assert fact.is_alive is (order_state not in TERMINAL or fact.booked_qty_e2 < filled)


@pytest.mark.parametrize(
    ("side", "open_qty_e2", "fact", "paid"),
    [
        ("yes", 1000, SettlementFact("yes", 1000, 10_000_000), 10_000_000),
        ("no", 1000, SettlementFact("yes", -1000, 0), 0),
        ("yes", 1000, SettlementFact("scalar", 1000, 3_700_000), 3_700_000),
        # Beside a position that was opened by hand: each has its own contracts.
        ("yes", 1000, SettlementFact("yes", 1500, 15_000_000), 10_000_000),
        ("no", 300, SettlementFact("no", 700, 0), 3_000_000),
        ("yes", 1000, SettlementFact("no", 700, 0), 0),
        ("yes", 1000, SettlementFact("scalar", 1500, 5_550_000), 3_700_000),
        ("yes", 1000, SettlementFact("void", 0, 0), 0),
    ],
)
def test_what_a_settlement_pays_for_a_trade(side, open_qty_e2, fact, paid):
    """The position's own payout where the trade is the position, else by contracts."""
    assert trade_book.payout_usd_e6(side, open_qty_e2, fact) == paid


@given(st.integers(0, 2000), st.integers(0, 2000), st.sampled_from(["yes", "no"]))
def test_trades_of_one_market_share_what_it_pays(ours_e2, other_e2, result):
    """To the cent: nothing is paid twice and nothing stays behind."""
    net_e2 = ours_e2 + other_e2
    fact = SettlementFact(result, net_e2, net_e2 * ONE_E4 if result == "yes" else 0)

    assert fact.revenue_usd_e6 == sum(
        trade_book.payout_usd_e6("yes", part_e2, fact) for part_e2 in (ours_e2, other_e2)
    )


def test_ten_contracts_at_96_cents_that_win():
    """Pays 10, cost 9.60, fee 0.0269."""
    figures = trade_book.figures("yes", [FillFact(BookSide.BID, 9600, 1000, 26_900, 7)])

    assert figures.opened_at_us == 7
    assert trade_book.pnl_usd_e6(figures, 10_000_000) == 373_100
    assert trade_book.pnl_usd_e6(figures, 0) == -9_626_900


def test_a_stop_out():
    """Bought NO at 0.90, sold at 0.40, fees on both sides."""
    figures = trade_book.figures(
        "no",
        [
            FillFact(BookSide.ASK, 1000, 500, 31_500, 1),
            FillFact(BookSide.BID, 6000, 500, 84_000, 9),
        ],
    )

    assert (figures.open_qty_e2, figures.last_exit_at_us) == (0, 9)
    assert (figures.entry_cost_usd_e6, figures.exit_proceeds_usd_e6) == (4_500_000, 2_000_000)
    assert trade_book.pnl_usd_e6(figures, None) == -2_615_500


def test_a_trade_without_fills_has_nothing():
    """The defaults are nothing, not one."""
    none = Figures()
    assert none == trade_book.figures("yes", [])
    assert none.open_qty_e2 == none.entry_cost_usd_e6 == none.exit_proceeds_usd_e6 == 0
    assert none.filled_qty_e2 == none.exited_qty_e2 == none.fees_usd_e6 == 0


def test_a_trade_opens_with_its_first_entry_and_ends_with_its_last_exit():
    """Whatever order they were told in."""
    fills = [
        FillFact(side, 5000, 100, 0, at_us)
        for side, at_us in (
            (BookSide.BID, 5),
            (BookSide.BID, 3),
            (BookSide.ASK, 7),
            (BookSide.ASK, 9),
        )
    ]
    sums = trade_book.figures("yes", fills)
    assert (sums.opened_at_us, sums.last_exit_at_us) == (3, 9)


def test_an_exit_alone_keeps_no_empty_trade_alive():
    """Nothing was bought and no entry lives: abandoned, whatever an exit still does."""
    entry = OrderFact(Purpose.ENTRY, OrderState.CANCELED, 0, 0)
    leaving = OrderFact(Purpose.EXIT, OrderState.RESTING, 0, 0)
    found = trade_book.state(Figures(), [entry, leaving], is_past_close=False, is_settled=False)
    assert found is TradeState.ABANDONED


def test_one_order_that_was_sent_is_enough_to_be_entering():
    """Created means that nothing has left yet."""
    facts = [
        OrderFact(Purpose.ENTRY, each, 0, 0) for each in (OrderState.CREATED, OrderState.SUBMITTED)
    ]
    assert (
        trade_book.state(Figures(), facts, is_past_close=False, is_settled=False)
        is TradeState.ENTERING
    )


def test_a_single_hundredth_is_still_open():
    """Sold to nothing means nothing."""
    sums = Figures(filled_qty_e2=100, exited_qty_e2=99)
    assert trade_book.state(sums, [], is_past_close=False, is_settled=False) is TradeState.OPEN


@pytest.mark.parametrize(
    ("side", "open_qty_e2", "fact", "paid"),
    [
        ("yes", 1000, SettlementFact("yes", 1000, 9_990_000), 9_990_000),
        ("no", 1000, SettlementFact("no", -1000, 9_990_000), 9_990_000),
        ("no", 1000, SettlementFact("no", 1000, 9_990_000), 10_000_000),
        ("yes", 1000, SettlementFact("yes", 500, 4_000_000), 10_000_000),
        ("no", 1000, SettlementFact("no", -500, 4_000_000), 10_000_000),
        ("yes", 1000, SettlementFact("no", 500, 4_000_000), 0),
        ("yes", 250, SettlementFact("scalar", -500, 4_000_001), 2_000_000),
        ("yes", 250, SettlementFact("scalar", 0, 4_000_000), 0),
    ],
)
def test_a_trade_is_paid_the_position_s_revenue_or_its_share(side, open_qty_e2, fact, paid):
    """The exchange's own cents where the trade is the position, else a dollar or a share."""
    assert trade_book.payout_usd_e6(side, open_qty_e2, fact) == paid
