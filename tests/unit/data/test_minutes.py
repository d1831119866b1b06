"""One-minute prices: exact, with their gaps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.data import minutes
from recio.domain.errors import Broken, InvalidValue

BAR = st.tuples(*(st.integers(1, 9_000_000) for _ in range(4)))


@st.composite
def rows(draw: st.DrawFn) -> list[tuple[int, int, int, int, int]]:
    """Bars at ascending minutes with gaps."""
    chosen = sorted(draw(st.sets(st.integers(0, 200), min_size=1, max_size=40)))
    found = []
    for minute in chosen:
        opened, close, a, b = draw(BAR)
        ordered = sorted((opened, close, a, b))
        found.append((minute * 60, opened, ordered[-1], ordered[0], close))
    return found


@given(rows())
def test_bars_come_back_and_gaps_stay_gaps(written: list[tuple[int, int, int, int, int]]) -> None:
    """What was recorded is there to the cent; what was not is None."""
    read = minutes.decode(minutes.encode("BTC", "a test", written))
    known = {second: bar for second, *bar in written}
    for second in range(-60, 202 * 60, 60):
        expected = known.get(second)
        assert read.at(second) == (tuple(expected) if expected else None)
    assert (read.start_s, read.end_s) == (written[0][0], written[-1][0] + 60)
    assert read.at(written[0][0] + 1) is None


@pytest.mark.parametrize(
    "bad",
    [
        [(0, 100, 99, 90, 95)],
        [(0, 100, 100, 101, 100)],
        [(1, 100, 100, 100, 100)],
        [(60, 100, 100, 100, 100), (60, 100, 100, 100, 100)],
        [(0, 100, 100, 0, 100)],
    ],
)
def test_impossible_bars_are_refused(bad: list[tuple[int, int, int, int, int]]) -> None:
    """No bar has a high under its open, a low over it, a second between minutes, or no price."""
    with pytest.raises(InvalidValue):
        minutes.encode("BTC", "a test", bad)


def test_truncated_file_is_broken() -> None:
    """Header and blocks must fit."""
    with pytest.raises(Broken, match="expected 1 minutes"):
        minutes.decode(minutes.encode("BTC", "a test", [(0, 1, 1, 1, 1)])[:-4])


@pytest.mark.parametrize("name", ["btc_minutes_2024q3", "btc_minutes_2022q4"])
def test_recorded_quarters_are_whole(name: str) -> None:
    """92 days without a missing minute."""
    read = minutes.load(name)
    assert read.symbol == "BTC"
    assert [count for _, count in read.pieces] == [92 * 1440]
    assert read.at(read.start_s) is not None
    assert read.at(read.end_s) is None
