"""Makers quote both sides on the market's grid, around their belief, and only tell changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.exchange_simulator.core import grids
from recio.exchange_simulator.world import makers

OUTLOOK = st.tuples(st.floats(-900, 900), st.floats(0.0, 300))
GRIDS = {"linear_cent": makers.LADDER_GRID, "tapered_deci_cent": makers.WINDOW_GRID}


def is_on_grid(structure: str, price_e4: int) -> bool:
    """Tell whether the exchange would take the price."""
    return any(
        row.start_e4 <= price_e4 <= row.end_e4 and (price_e4 - row.start_e4) % row.step_e4 == 0
        for row in grids.STRUCTURES[structure]
    )


@pytest.mark.parametrize("structure", list(GRIDS))
@given(outlook=OUTLOOK, error=st.floats(-0.3, 0.3), at_s=st.floats(0, 1e6))
def test_quotes_are_tradable_and_never_crossed(
    structure: str, outlook: tuple[float, float], error: float, at_s: float
) -> None:
    """All levels on the grid, between 0 and 1, best bids together under a dollar."""
    quotes = makers.Quotes("M", 0.0, GRIDS[structure], "key")
    wanted = quotes.aim(outlook, error, at_s)
    assert wanted is not None
    bids, asks = wanted
    assert bids or asks
    for price_e4, qty_e2 in [*bids.items(), *asks.items()]:
        assert 0 < price_e4 < 10_000
        assert is_on_grid(structure, price_e4)
        assert qty_e2 >= 100
        assert qty_e2 % 100 == 0
    if bids and asks:
        assert max(bids) + max(asks) < 10_000


def test_the_same_moment_has_the_same_quotes() -> None:
    """No memory: a new object at the same time wants the same levels."""
    for at_s in (1_000.06, 1_007.9, 90_000.5):
        first = makers.Quotes("M", 0.0, makers.LADDER_GRID, "key")
        first.aim((55.0, 200.0), 0.1, at_s - 3)
        second = makers.Quotes("M", 0.0, makers.LADDER_GRID, "key")
        assert first.aim((50.0, 200.0), 0.1, at_s) == second.aim((50.0, 200.0), 0.1, at_s)


def test_nothing_changed_tells_nothing() -> None:
    """The second quote of a second at the same price says so."""
    quotes = makers.Quotes("M", 0.0, makers.LADDER_GRID, "key")
    assert quotes.aim((0.0, 200.0), 0.0, 1_000.1) is not None
    assert quotes.aim((0.0, 200.0), 0.0, 1_000.3) is None


def test_a_higher_belief_never_lowers_the_quotes() -> None:
    """At one moment bids and asks rise with the expected value."""
    previous = 0
    for mean in range(-600, 601, 10):
        quotes = makers.Quotes("M", 0.0, makers.LADDER_GRID, "key")
        wanted = quotes.aim((float(mean), 200.0), 0.0, 64.0)
        assert wanted is not None
        bids, asks = wanted
        middle = max(bids, default=0) + 10_000 - max(asks, default=0)
        assert middle >= previous - 300
        previous = max(previous, middle)
    assert previous > 19_000


def test_certain_outcomes_have_one_side_only() -> None:
    """Nobody sells a dollar that is certain for less than a dollar."""
    quotes = makers.Quotes("M", 0.0, makers.LADDER_GRID, "key")
    assert quotes.aim((10.0, 0.0), 0.0, 64.0) is not None
    assert makers.distance_of((10.0, 0.0), 0.0) == 8.0
    assert makers.distance_of((-1e9, 1.0), 0.0) == -8.0
    wanted = quotes.aim((10.0, 0.0), 0.0, 400.0)
    assert wanted is not None
    bids, asks = wanted
    assert max(bids) >= 9_700
    assert not asks


def test_changes_withdraw_before_they_add() -> None:
    """Levels that go are named first, equal ones never."""
    found = makers.changes({100: 5, 200: 7, 300: 1}, {200: 7, 300: 2, 400: 9})
    assert found == [(100, 0), (300, 2), (400, 9)]


def test_hit_and_refused_levels_are_told_again() -> None:
    """After a trade the best level of that side is renewed; after a refusal the level."""
    quotes = makers.Quotes("M", 0.0, makers.LADDER_GRID, "key")
    wanted = quotes.aim((0.0, 200.0), 0.0, 1_000.1)
    assert wanted is not None
    quotes.bids, quotes.asks = wanted
    quotes.was_hit(is_bid=True)
    again = quotes.aim((0.0, 200.0), 0.0, 1_000.2)
    assert again is not None
    assert [price for price, _ in makers.changes(quotes.bids, again[0])] == [max(again[0])]
    assert not makers.changes(quotes.asks, again[1])
    quotes.bids, quotes.asks = again
    quotes.was_refused(quotes.asks, max(quotes.asks))
    third = quotes.aim((0.0, 200.0), 0.0, 1_000.3)
    assert third is not None
    assert len(makers.changes(quotes.asks, third[1])) == 1
    quotes.forget()
    assert (quotes.bids, quotes.asks) == ({}, {})
