"""How many contracts an entry asks for."""

from __future__ import annotations

import itertools
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from recio.domain import kelly, sizing
from recio.domain.account_config import Risk, Sizing, SizingMethod
from recio.domain.sizing import Bet, Holding

KELLY = Sizing(method=SizingMethod.CAPPED_KELLY, contracts=1_000, kelly_permille=100)
WIDE = Risk(max_contracts_per_order=10_000)


def qty(rules, risk=WIDE, *, p_e6=970_000, ask_e4=9_500, fee_e4=34, cash=1_000_000_000):
    """Return the quantity in 1e-2 contracts."""
    return sizing.qty_e2(rules, risk, p_e6=p_e6, ask_e4=ask_e4, fee_e4=fee_e4, cash_usd_e6=cash)


def test_fixed_is_the_number_within_the_limit_of_an_order():
    """Settings ask for 20, one order may have 10."""
    assert qty(Sizing(contracts=20), Risk()) == 1_000
    assert qty(Sizing(contracts=3), Risk(), cash=None) == 300


def test_kelly_worked_example():
    """At p 0.97, cost 0.9534: f = 0.0166 / 0.0466 = 0.3562; a tenth of it of $1000 buys 37."""
    assert qty(KELLY) == 3_700


def test_kelly_without_an_edge_asks_for_nothing():
    """At or below break-even the stake is zero."""
    assert qty(KELLY, p_e6=953_400) == 0
    assert qty(KELLY, p_e6=500_000) == 0
    assert qty(KELLY, ask_e4=9_999, fee_e4=1) == 0


def test_kelly_needs_to_know_the_cash():
    """Unknown cash is no stake, and it is said."""
    assert qty(KELLY, cash=None) is None
    assert qty(KELLY, cash=0) == 0


@given(
    st.integers(500_000, 999_950),
    st.integers(1, 9_999),
    st.integers(0, 175),
    st.integers(0, 10**12),
)
def test_kelly_never_stakes_more_than_its_share(p_e6, ask_e4, fee_e4, cash):
    """Whole contracts, within the cap, and within the fraction of the cash."""
    found = qty(KELLY, p_e6=p_e6, ask_e4=ask_e4, fee_e4=fee_e4, cash=cash)

    assert found % 100 == 0
    assert 0 <= found <= 100_000
    assert found * (ask_e4 + fee_e4) * 10 <= cash


def bet(strike=1, *, is_yes=True, p_e6=970_000, cost_e4=9_534):
    """Return an entry that may be made."""
    return Bet(strike, is_yes, p_e6, cost_e4)


def held(strike, *, qty_e2, cost_usd_e6, p_e6=970_000, is_yes=True, is_paid=True):
    """Return something that the event holds already."""
    return Holding(strike, is_yes, p_e6, qty_e2, cost_usd_e6, is_paid)


def together(bets, holdings=(), *, cash=1_000_000_000, rules=KELLY):
    """Return the quantities of entries that are sized together."""
    return sizing.joint_qty_e2(rules, WIDE, bets, holdings, cash_usd_e6=cash)


def alone(one, cash=1_000_000_000):
    """Return the quantity of an entry that is sized by itself, in closed form."""
    return sizing.qty_e2(
        KELLY, WIDE, p_e6=one.p_e6, ask_e4=one.cost_e4, fee_e4=0, cash_usd_e6=cash
    )  # fmt: skip


BETS = st.builds(
    bet,
    st.integers(1, 6),
    is_yes=st.booleans(),
    p_e6=st.integers(300_000, 999_000),
    cost_e4=st.integers(500, 9_900),
)


@given(BETS, st.integers(0, 10**11))
def test_one_strike_alone_is_the_closed_form(one, cash):
    """Nothing to be joined: the formula to the contract."""
    assert together([one], cash=cash) == (alone(one, cash),)


@given(BETS, st.integers(10**8, 10**11))
def test_the_search_finds_the_closed_form_too(one, cash):
    """With a worthless holding beside it the search runs, and ends within a contract of the formula."""
    nothing = held(one.strike_usd_e6, qty_e2=0, cost_usd_e6=0, p_e6=one.p_e6, is_yes=one.is_yes)

    (found,) = together([one], [nothing], cash=cash)

    assert alone(one, cash) - 100 <= found <= alone(one, cash)


@settings(max_examples=50)
@given(st.lists(BETS, min_size=1, max_size=6, unique_by=lambda one: one.strike_usd_e6))
def test_nested_strikes_never_get_more_than_each_would_alone(bets):
    """So their sum is never more than the sum of the single stakes either."""
    found = together(bets)

    assert len(found) == len(bets)
    for one, qty_e2 in zip(bets, found, strict=True):
        assert 0 <= qty_e2 <= alone(one)
        assert qty_e2 % 100 == 0


@settings(max_examples=20)
@given(
    st.lists(st.integers(800_000, 995_000), min_size=2, max_size=3),
    st.lists(st.integers(20, 900), min_size=3, max_size=3),
)
def test_no_other_split_makes_wealth_grow_faster(chances, edges):
    """Brute force over whole contracts around the answer: none is better by more than rounding."""
    chances = sorted(chances, reverse=True)
    bets = [
        bet(place, p_e6=p, cost_e4=p // 100 - edge)
        for place, (p, edge) in enumerate(zip(chances, edges, strict=False))
    ]
    found = [qty_e2 // 100 for qty_e2 in together(bets)]
    most = [alone(one) // 100 for one in bets]
    p = kelly.regions([one.p_e6 / 1e6 for one in bets])

    def growth(contracts):
        wealth = [
            100 + sum(
                count * ((region > place) - bets[place].cost_e4 / 1e4)
                for place, count in enumerate(contracts)
            )
            for region in range(len(p))
        ]  # fmt: skip
        if min(wealth) <= 0:
            return -math.inf
        return sum(part * math.log(each) for part, each in zip(p, wealth, strict=True))

    best = growth(found)
    for step in itertools.product((-6, -2, 0, 2, 6), repeat=len(bets)):
        other = [count + by for count, by in zip(found, step, strict=True)]
        if all(0 <= count <= limit for count, limit in zip(other, most, strict=True)):
            assert growth(other) <= best + 2e-4


def test_two_strikes_of_one_opinion_share_one_stake():
    """Bought one by one they would stake it twice."""
    found = together([bet(1), bet(2)])

    assert sum(found) <= 3_700
    assert sum(found) >= 3_500


def test_two_strikes_that_cannot_both_lose_keep_their_stakes():
    """YES below and NO above: one of them always wins."""
    assert together([bet(1), bet(2, is_yes=False)]) == (3_700, 3_700)


def test_what_is_held_counts_in_full():
    """Having bought the stake already, the neighbour gets nothing more; money in it is not lost."""
    full = held(1, qty_e2=3_700, cost_usd_e6=35_276_000)
    some = held(1, qty_e2=1_000, cost_usd_e6=9_534_000)

    assert together([bet(2)], [full], cash=964_724_000)[0] <= 200
    assert 2_400 <= together([bet(2)], [some], cash=990_466_000)[0] <= 2_700


def test_a_holding_dearer_than_the_whole_stake_leaves_nothing():
    """A tenth of $100 is staked in the event; $20 of it are gone."""
    big = held(1, qty_e2=2_200, cost_usd_e6=20_000_000)

    assert together([bet(2, p_e6=999_000)], [big], cash=100_000_000) == (0,)


def test_without_a_probability_of_what_is_held_there_is_no_size():
    """Unknown is no number, and cash that is not known neither."""
    blind = held(1, qty_e2=100, cost_usd_e6=950_000, p_e6=None)

    assert together([bet(2)], [blind]) == (None,)
    assert together([bet(1), bet(2)], cash=None) == (None, None)


def test_fixed_is_not_joint():
    """The number in the settings, whatever is held."""
    fixed = Sizing(contracts=3)
    blind = held(1, qty_e2=100, cost_usd_e6=950_000, p_e6=None)

    assert together([bet(1), bet(2)], [blind], rules=fixed, cash=None) == (300, 300)


def test_probabilities_that_rise_with_the_strike_are_pooled():
    """Ending above a higher strike cannot be likelier."""
    found = kelly.regions([0.5, 0.7, 0.2])

    assert math.isclose(sum(found), 1)
    assert math.isclose(found[0], 0.4, abs_tol=1e-5)
    assert found[1] <= 2e-6
