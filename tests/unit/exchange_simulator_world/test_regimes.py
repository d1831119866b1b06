"""A regime is what it says: volatility, trend, jumps, width, depth, pace and the makers' leave."""

from __future__ import annotations

import itertools
from math import log
from statistics import median

import pytest

from recio.data import minutes
from recio.data.minutes import MINUTE_S, Ohlc
from recio.domain.errors import InvalidValue
from recio.domain.units import SECOND_US, parse_time_us
from recio.exchange_simulator.app import ExchangeSettings
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.specs import Levels
from recio.exchange_simulator.world import MinutesSource, World, attach
from recio.exchange_simulator.world.regimes import (
    BASIS_POINT,
    RECORDED,
    REGIMES,
    RegimeMinutes,
    regime_of,
)

DAYS = 14
START_US = int(parse_time_us("2024-07-30T13:05:00-04:00"))
CLOSE_US = int(parse_time_us("2024-07-30T14:00:00-04:00"))
RUNNING = "KXBTCD-24JUL3014"


def played(name: str, seed: int = 0) -> RegimeMinutes:
    """The default recording in a regime."""
    return RegimeMinutes(minutes.load("btc_minutes_2024q3"), regime_of(name), seed=seed)


def bars(name: str, seed: int = 0) -> list[Ohlc]:
    """Two weeks of it."""
    source = played(name, seed)
    seconds = range(source.start_s, source.start_s + DAYS * 86_400, MINUTE_S)
    return [bar for second in seconds if (bar := source.at(second))]


def variance(moves: list[float]) -> float:
    """The mean of the squares."""
    return sum(move * move for move in moves) / len(moves)


def within(name: str) -> float:
    """The variance of what a minute moves from its open to its close."""
    return variance([log(close / opened) for opened, _, _, close in bars(name)])


def persistence(name: str) -> float:
    """How much more hours vary than sixty times their minutes: 1 for a random walk."""
    closes = [bar[3] for bar in bars(name)]
    minute = variance([log(b / a) for a, b in itertools.pairwise(closes)])
    hour = variance([log(b / a) for a, b in zip(closes, closes[60:], strict=False)])
    return hour / (60 * minute)


def jumps(name: str) -> list[float]:
    """What lies between a minute's last price and the next one's first, where that is 15 bp."""
    known = bars(name)
    steps = [abs(log(b[0] / a[3])) for a, b in itertools.pairwise(known)]
    return [step for step in steps if step >= 15 * BASIS_POINT]


def world_of(name: str, start_us: int = START_US) -> tuple[World, Exchange]:
    """A world in a regime."""
    exchange = Exchange()
    source = MinutesSource(start_us=start_us, regime=name)
    world = attach(exchange, source, is_fine=False)
    world.step(start_us)
    return world, exchange


def books(exchange: Exchange) -> dict[str, Levels]:
    """The running hour's books."""
    tickers = [ticker for ticker, _ in exchange.event_status(RUNNING)]
    return {ticker: exchange.external_levels(ticker) for ticker in tickers}


def spreads_and_sizes(name: str) -> tuple[list[int], list[int]]:
    """Spreads in cents where both sides are quoted near the money, and best sizes, over a minute."""
    world, exchange = world_of(name)
    spreads, sizes = [], []
    for step in range(20):
        world.step(START_US + 3 * step * SECOND_US)
        for levels in books(exchange).values():
            if levels.yes and levels.no:
                bid, ask = levels.yes[-1][0], 10_000 - levels.no[-1][0]
                if 2_000 <= bid <= 8_000:
                    spreads.append((ask - bid) // 100)
                    sizes += [levels.yes[-1][1], levels.no[-1][1]]
    return spreads, sizes


def test_the_default_regime_changes_nothing() -> None:
    """Rule: every recorded minute is as it is, to the cent."""
    source, recorded = minutes.load("btc_minutes_2024q3"), played("recorded")
    for second in range(source.start_s, source.start_s + 86_400, MINUTE_S):
        assert recorded.at(second) == source.at(second)
    assert regime_of("") is RECORDED


@pytest.mark.parametrize("name", list(REGIMES))
def test_a_minute_stays_a_minute(name: str) -> None:
    """Rule: the low is the lowest and the high the highest; another seed is another past."""
    for opened, high, low, close in bars(name):
        assert 0 < low <= min(opened, close) <= max(opened, close) <= high
    differs = REGIMES[name].trend_bp_an_hour > 0 or REGIMES[name].jumps_an_hour > 0
    assert (bars(name, seed=1) != bars(name, seed=0)) is differs


def test_calm_has_a_quarter_of_the_variance() -> None:
    """Rule: volatility 0.5 means realised variance 0.25."""
    assert within("calm") / within("recorded") == pytest.approx(0.25, rel=0.02)


def test_trending_hours_go_further_than_their_minutes() -> None:
    """Rule: the variance ratio of an hour to its minutes is well above the recording's."""
    assert persistence("trending") > 1.4 * persistence("recorded")
    assert within("trending") / within("recorded") == pytest.approx(0.64, rel=0.05)


def test_jumpy_jumps_as_often_and_as_far_as_it_says() -> None:
    """Rule: 1.5 jumps an hour of 20 to 80 basis points, and hardly any in the recording."""
    found, expected = jumps("jumpy"), 1.5 * 24 * DAYS
    assert expected - 3 * expected**0.5 < len(found) < expected + 3 * expected**0.5
    assert 40 * BASIS_POINT < median(found) < 60 * BASIS_POINT
    assert max(found) < 90 * BASIS_POINT
    assert len(jumps("recorded")) < expected / 20
    assert within("jumpy") == pytest.approx(within("recorded"), rel=0.02)


def test_what_a_days_jumps_moved_is_taken_back() -> None:
    """Rule: at each midnight UTC the price is the recording's again."""
    jumpy, recorded = played("jumpy"), minutes.load("btc_minutes_2024q3")
    for day in range(recorded.start_s // 86_400 + 1, recorded.start_s // 86_400 + DAYS):
        found, known = jumpy.at(day * 86_400), recorded.at(day * 86_400)
        assert found is not None
        assert known is not None
        moved = jumpy.jump(day * 86_400)
        assert log(found[0] / known[0]) == pytest.approx(moved, abs=1e-5)


def test_books_are_as_wide_and_as_deep_as_their_regime_says() -> None:
    """Rule: thin quotes three times the ticks and a tenth of the size, calm half more of it."""
    plain_spreads, plain_sizes = spreads_and_sizes("recorded")
    thin_spreads, thin_sizes = spreads_and_sizes("thin")
    _, calm_sizes = spreads_and_sizes("calm")
    jumpy_spreads, _ = spreads_and_sizes("jumpy")
    mean = sum(plain_spreads) / len(plain_spreads)
    assert sum(thin_spreads) / len(thin_spreads) == pytest.approx(3 * mean, rel=0.15)
    assert sum(jumpy_spreads) / len(jumpy_spreads) == pytest.approx(2 * mean, rel=0.25)
    assert median(thin_sizes) == pytest.approx(0.1 * median(plain_sizes), rel=0.4)
    assert median(calm_sizes) == pytest.approx(1.5 * median(plain_sizes), rel=0.4)
    assert min(thin_sizes) >= 100


def test_thin_quotes_stand_still_for_four_seconds() -> None:
    """Rule: between two quotes only takers and members change a book, and never add to it."""
    world, exchange = world_of("thin", START_US)
    changed = 0
    for second in range(1, 25):
        before = {key: dict(one.yes) for key, one in books(exchange).items()}
        world.step(START_US + second * SECOND_US)
        after = {key: dict(one.yes) for key, one in books(exchange).items()}
        grown = [
            key
            for key, levels in after.items()
            if any(qty > before[key].get(price, 0) for price, qty in levels.items())
        ]
        # What is quoted within second n is in the book when second n + 1 begins.
        assert not grown or (second - 1) % 4 == 0
        changed += bool(grown)
    assert changed >= 3


@pytest.mark.parametrize(("name", "leave_s"), [("thin", 90), ("jumpy", 10), ("recorded", 0)])
def test_makers_leave_before_the_close(name: str, leave_s: int) -> None:
    """Rule: from then on the running event's books are empty; before, they are not."""
    world, exchange = world_of(name, CLOSE_US - 120 * SECOND_US)
    world.step(CLOSE_US - (leave_s + 2) * SECOND_US)
    assert any(levels.yes or levels.no for levels in books(exchange).values())
    world.step(CLOSE_US - max(leave_s - 1, 1) * SECOND_US)
    is_empty = not any(levels.yes or levels.no for levels in books(exchange).values())
    assert is_empty is (leave_s > 0)


@pytest.mark.parametrize("name", list(REGIMES))
def test_a_regime_is_a_function_of_time(name: str) -> None:
    """Rule: a world that came there and one that starts there quote alike."""
    world, exchange = world_of(name)
    later_us = START_US + 40 * SECOND_US
    world.step(later_us)
    _, fresh = world_of(name, later_us)
    touched = {fill.ticker for fill in exchange.state.trades}
    for ticker, levels in books(fresh).items():
        if ticker not in touched:
            assert levels == exchange.external_levels(ticker)


def test_an_unknown_regime_is_refused() -> None:
    """Rule: the message names those that there are; a recorded market takes none."""
    with pytest.raises(InvalidValue, match="calm, trending, jumpy, thin"):
        regime_of("wild")
    with pytest.raises(InvalidValue, match="what it was"):
        ExchangeSettings(recording="26MAY130915-15", regime="thin").source()
