"""Minutes become seconds that keep every open, high, low and close."""

from __future__ import annotations

from statistics import fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.data import minutes
from recio.exchange_simulator.world import prices

START_S = 1_722_361_680


@pytest.fixture(scope="module")
def recorded() -> prices.SimulatedPrices:
    """The default recording."""
    return prices.SimulatedPrices(minutes.load("btc_minutes_2024q3"))


@given(
    st.tuples(*(st.integers(1, 9_000_000) for _ in range(4))),
    st.text(max_size=8),
)
def test_bridge_hits_open_high_low_and_close(values: tuple[int, ...], key: str) -> None:
    """60 values; the first is the open, the last the close, the extremes are high and low."""
    opened, close, *others = values
    low, high = min(values), max(values)
    path = prices.bridge((opened, high, low, close), key)
    assert len(path) == 60
    assert (path[0], path[-1]) == (opened, close)
    assert (min(path), max(path)) == (low, high)
    assert path == prices.bridge((opened, high, low, close), key)
    assert others


def test_a_minute_without_movement_stands_still() -> None:
    """Open = high = low = close gives 60 equal values."""
    assert set(prices.bridge((500, 500, 500, 500), "x")) == {500}


def test_shorter_way_is_taken_three_times_in_four() -> None:
    """A rising minute usually has its low before its high."""
    first = 0
    for key in range(1_000):
        path = prices.bridge((1_000, 1_300, 900, 1_200), f"{key}")
        first += path.index(900) < path.index(1_300)
    assert first == pytest.approx(750, abs=50)


def test_every_recorded_minute_is_kept(recorded: prices.SimulatedPrices) -> None:
    """A day of seconds, folded into minutes again, is the recording."""
    for minute_s in range(START_S, START_S + 86_400, 60):
        path = [recorded.index(second) for second in range(minute_s, minute_s + 60)]
        known = [value for value in path if value is not None]
        assert (known[0], max(known), min(known), known[-1]) == recorded.bar(minute_s)


def test_the_same_seed_gives_the_same_path_in_any_order(recorded: prices.SimulatedPrices) -> None:
    """No state: another process that asks in another order sees the same seconds."""
    other = prices.SimulatedPrices(minutes.load("btc_minutes_2024q3"))
    seconds = range(START_S, START_S + 600)
    backwards = {second: other.index(second) for second in reversed(seconds)}
    assert all(recorded.index(second) == backwards[second] for second in seconds)
    assert [recorded.spot("kraken", s) for s in seconds] == [
        other.spot("kraken", s) for s in seconds
    ]
    seeded = prices.SimulatedPrices(minutes.load("btc_minutes_2024q3"), seed=1)
    assert any(seeded.index(second) != recorded.index(second) for second in seconds)


def test_outside_of_the_recording_there_is_a_gap(recorded: prices.SimulatedPrices) -> None:
    """Nothing is guessed before the first minute or after the last one."""
    for second in (recorded.start_s - 1, recorded.end_s):
        assert recorded.index(second) is None
        assert recorded.bar(second // 60 * 60) is None
        assert recorded.spot("coinbase", second) is None
        assert recorded.minute("coinbase", second // 60 * 60) is None
    assert recorded.index(recorded.start_s) is not None
    assert recorded.index(recorded.end_s - 1) is not None


def test_venues_stand_some_basis_points_under_the_index(recorded: prices.SimulatedPrices) -> None:
    """Coinbase: a mean of about -2.5 basis points with a deviation of about 1."""
    basis = []
    for second in range(START_S, START_S + 20 * 86_400, 601):
        index, spot = recorded.index(second), recorded.spot("coinbase", second)
        assert index is not None
        assert spot is not None
        basis.append((spot / index - 1) * 1e4)
    assert fmean(basis) == pytest.approx(-2.5, abs=0.15)
    assert pstdev(basis) == pytest.approx(0.98, abs=0.15)
    assert recorded.venues() == ("coinbase", "kraken", "bitstamp")


def test_venue_minutes_are_bars(recorded: prices.SimulatedPrices) -> None:
    """The venue's high is its highest price, the low its lowest."""
    bar = recorded.minute("bitstamp", START_S)
    assert bar is not None
    opened, high, low, close = bar
    assert low <= min(opened, close)
    assert max(opened, close) <= high
