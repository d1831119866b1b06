"""Choosing before, judging after; recomputed by hand on small tables."""

from random import Random  # noqa: TID251 (seeded)

import pytest

from recio.domain.errors import InvalidValue
from recio.research.running import EventLine, Found
from recio.research.tapes.tape import Coverage
from recio.research.walking import Tried, judge


def tried(name, cents):
    """Return a setting that earned so many cents in each event; None: it did not trade it."""
    lines = tuple(
        EventLine(f"E{at}", 1000 + at, value * 10_000, 100, 500, 1, int(value > 0))
        for at, value in enumerate(cents)
        if value is not None
    )
    found = Found(
        name=name,
        digest="",
        events=lines,
        unknown=0,
        decisions=1,
        orders=1,
        is_synthetic=False,
        caveat="",
        coverage=Coverage(first_us=0, last_us=1),
        cpu_seconds=0.1,
    )
    return Tried(settings={"name": name}, found=found)


def test_each_part_is_traded_with_what_was_best_before():
    """Rule: by hand: b leads after the first part and is chosen, a leads after the second."""
    a = tried("a", [1, 1, 9, 9, 2, 2])
    b = tried("b", [5, 5, -3, -3, 8, 8])
    found = judge([a, b], folds=2)
    assert [fold.chosen for fold in found.folds] == [1, 0]
    assert [fold.learned_usd_e6 for fold in found.folds] == [100_000, 200_000]
    assert [fold.pnl_usd_e6 for fold in found.folds] == [-60_000, 40_000]
    assert [fold.best_usd_e6 for fold in found.folds] == [180_000, 160_000]
    assert found.forward_usd_e6 == -20_000
    assert found.forward_trades == 4
    assert found.best == 0


def test_later_results_never_change_an_earlier_choice():
    """Rule: whatever comes in the last part, the choices before it stay."""
    chance = Random(3)
    rows = [[chance.randrange(-9, 10) for _ in range(20)] for _ in range(5)]
    first = judge([tried(str(at), row) for at, row in enumerate(rows)], folds=4)
    changed = [row[:16] + [chance.randrange(-99, 99) for _ in range(4)] for row in rows]
    second = judge([tried(str(at), row) for at, row in enumerate(changed)], folds=4)
    assert [fold.chosen for fold in first.folds] == [fold.chosen for fold in second.folds]
    assert first.folds[:3] == second.folds[:3]


def test_not_to_trade_is_a_choice():
    """Rule: a setting that trades nothing is better than one that loses."""
    found = judge([tried("loses", [-1] * 8), tried("waits", [])], folds=1)
    assert found.best == 1
    assert found.folds[0].chosen == 1
    assert found.folds[0].pnl_usd_e6 == 0
    assert found.sharpe is None


def test_equal_settings_are_taken_in_order():
    """Rule: the first of equals, so that the answer does not depend on chance."""
    assert judge([tried("a", [1, 2]), tried("b", [2, 1])], folds=1).best == 0


def test_by_the_sharpe_ratio_the_steadier_one_is_best():
    """Rule: less profit with less scatter wins by that criterion only."""
    wild, calm = tried("wild", [9, -5, 9, -5]), tried("calm", [1, 2, 1, 2])
    assert judge([wild, calm], folds=1, by="profit").best == 0
    assert judge([wild, calm], folds=1, by="sharpe").best == 1


def test_skill_among_many_is_believed_and_luck_is_not():
    """Rule: forty settings of pure luck: the best of them is not believed; a good one is."""
    chance = Random(8)
    lucky = [tried(str(at), [chance.randrange(-9, 10) for _ in range(80)]) for at in range(40)]
    found = judge(lucky, folds=4)
    assert lucky[found.best].pnl_usd_e6 > 0
    assert found.deflated < 0.95
    assert found.reality_p > 0.05
    good = tried("good", [chance.randrange(-4, 15) for _ in range(80)])
    found = judge([*lucky, good], folds=4)
    assert found.best == 40
    assert found.deflated > 0.95
    assert found.reality_p < 0.01
    assert all(fold.chosen == 40 for fold in found.folds[1:])


def test_too_little_is_said():
    """Rule: no events, no parts; nonsense is refused."""
    found = judge([tried("a", [])], folds=4)
    assert (found.events, found.folds, found.deflated, found.reality_p) == (0, (), None, None)
    assert judge([tried("a", [1] * 9)], folds=4).folds == ()
    with pytest.raises(InvalidValue, match="folds from 1"):
        judge([tried("a", [1])], folds=0)
    with pytest.raises(InvalidValue, match="expected settings"):
        judge([], folds=1)
