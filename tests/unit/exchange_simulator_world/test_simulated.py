"""The default world: a function of market time, from price to paid market."""

from __future__ import annotations

import pytest

from recio.data import minutes
from recio.domain.units import HOUR_US, SECOND_US, parse_time_us
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.specs import Levels
from recio.exchange_simulator.world import listings
from recio.exchange_simulator.world.prices import CENT_E6, SimulatedPrices
from recio.exchange_simulator.world.simulated import SimulatedWorld

START_US = int(parse_time_us("2024-07-30T13:48:00-04:00"))
CLOSE_US = START_US + 720 * SECOND_US
EARLY_US = CLOSE_US - 48 * 60 * SECOND_US
"""12 minutes into the hour, three before a 15-minute close: quick to bring up."""
MINUTE_US = 60 * SECOND_US


def recorded(seed: int = 0) -> SimulatedPrices:
    """The default recording."""
    return SimulatedPrices(minutes.load("btc_minutes_2024q3"), seed=seed)


def world_at(
    now_us: int, *, exchange: Exchange | None = None, is_fine: bool = False, seed: int = 0
) -> tuple[SimulatedWorld, Exchange]:
    """A world that begins at a time, on a new exchange or on one that was stopped."""
    exchange = exchange or Exchange()
    world = SimulatedWorld(exchange, recorded(seed), start_us=now_us, seed=seed, is_fine=is_fine)
    world.step(now_us)
    return world, exchange


def run(world: SimulatedWorld, until_us: int) -> None:
    """Step whenever the world asks for it."""
    while (due_us := world.next_event_us()) is not None and due_us <= until_us:
        world.step(due_us)


def books(exchange: Exchange) -> dict[str, Levels]:
    """All anonymous levels of all markets that are not over."""
    return {
        market.ticker: exchange.external_levels(market.ticker)
        for spec in exchange.open_events()
        for market in spec.markets
    }


def status(exchange: Exchange, event_ticker: str) -> set[str]:
    """The statuses of an event's markets."""
    return {word for _, word in exchange.event_status(event_ticker)}


@pytest.fixture(scope="module")
def started() -> tuple[SimulatedWorld, Exchange]:
    """A world at its default start; tests that step it must not share it."""
    return world_at(START_US)


def test_start_has_a_history(started: tuple[SimulatedWorld, Exchange]) -> None:
    """Twelve minutes before the close the running event has volume, the next one is listed."""
    _, exchange = started
    names = [spec.event_ticker for spec in exchange.open_events()]
    assert names[0] == "KXBTCD-24JUL3014"
    assert "KXBTCD-24JUL3015" in names
    assert status(exchange, "KXBTCD-24JUL3014") == {"active"}
    assert status(exchange, "KXBTCD-24JUL3015") == {"initialized"}
    index = exchange.index_history("BRTI")[-1]
    assert index[0] == START_US
    spec = exchange.open_events()[0]
    near = sorted(spec.markets, key=lambda one: abs((one.floor_strike_usd_e6 or 0) - index[1]))
    volumes = [exchange.state.markets[one.ticker].volume_e2 for one in near[:4]]
    assert min(volumes) > 1_000 * 100


def test_every_live_market_is_quoted_around_one_price(
    started: tuple[SimulatedWorld, Exchange],
) -> None:
    """YES bids fall with the strike, no book is crossed, the middle of the ladder has both sides."""
    _, exchange = started
    best = []
    for market in exchange.open_events()[0].markets:
        levels = exchange.external_levels(market.ticker)
        assert levels.yes or levels.no
        bid = levels.yes[-1][0] if levels.yes else 0
        ask = 10_000 - levels.no[-1][0] if levels.no else 10_000
        assert bid < ask
        best.append((bid, ask))
    assert best[0][0] >= 9_700
    assert best[-1][1] <= 300
    assert any(bid > 2_000 and ask < 8_000 for bid, ask in best)


def test_pace_does_not_change_the_books() -> None:
    """Stepped by tenths of seconds or once a second: the same books at whole seconds."""
    fine, fine_exchange = world_at(EARLY_US, is_fine=True)
    coarse, coarse_exchange = world_at(EARLY_US)
    for seconds in (1, 2, 7, 8, 61):
        until_us = EARLY_US + seconds * SECOND_US
        run(fine, until_us)
        run(coarse, until_us)
        assert books(fine_exchange) == books(coarse_exchange)


@pytest.mark.parametrize("seconds", [0, 3, 37, 130, 179])
def test_a_world_started_later_has_the_same_books(seconds: int) -> None:
    """Restart equivalence: stepped to t equals started at t, also in the closing minute."""
    now_us = EARLY_US + seconds * SECOND_US
    first, first_exchange = world_at(EARLY_US)
    run(first, now_us)
    _, second_exchange = world_at(now_us)
    assert books(first_exchange) == books(second_exchange)


def test_seeds_differ_and_repeat() -> None:
    """The same seed gives the same everything, another one other books."""
    one, again, other = (world_at(EARLY_US, seed=seed)[1] for seed in (1, 1, 2))
    assert books(one) == books(again)
    assert [market.volume_e2 for market in one.state.markets.values()] == [
        market.volume_e2 for market in again.state.markets.values()
    ]
    assert books(one) != books(other)


def test_an_event_goes_from_listing_to_payment() -> None:
    """Closed at its time, determined on the mean of the last minute, paid after its timer."""
    world, exchange = world_at(START_US)
    name = "KXBTCD-24JUL3014"
    run(world, CLOSE_US)
    assert status(exchange, name) == {"closed"}
    assert status(exchange, "KXBTCD-24JUL3015") == {"active"}
    run(world, CLOSE_US + 59 * SECOND_US)
    assert status(exchange, name) == {"closed"}
    total, count = exchange.index_window("BRTI", CLOSE_US)
    run(world, CLOSE_US + 91 * SECOND_US)
    assert status(exchange, name) == {"determined"}
    assert count == 60
    value = (2 * total // CENT_E6 + 60) // 120
    for spec in exchange.state.events[name].markets:
        assert spec.expiration_value == listings.value_words(value)
        floor_usd_e6 = spec.spec.floor_strike_usd_e6
        assert floor_usd_e6 is not None
        assert spec.result == ("yes" if value * CENT_E6 > floor_usd_e6 else "no")
    run(world, CLOSE_US + 160 * SECOND_US)
    assert status(exchange, name) == {"finalized"}


def test_a_window_gets_its_strike_from_the_minute_before_it() -> None:
    """The strike of the new window is the settlement of the one before it."""
    world, exchange = world_at(START_US)
    old, new = "KXBTC15M-24JUL301400-00", "KXBTC15M-24JUL301415-15"
    run(world, CLOSE_US + SECOND_US)
    assert exchange.state.markets[new].spec.floor_strike_usd_e6 is None
    assert exchange.external_levels(new) == Levels((), ())
    run(world, CLOSE_US + 60 * SECOND_US)
    strike = exchange.state.markets[new].spec.floor_strike_usd_e6
    assert strike is not None
    assert exchange.state.markets[old].expiration_value == listings.value_words(strike // CENT_E6)
    assert exchange.state.markets[new].spec.yes_sub_title == listings.target_words(
        strike // CENT_E6
    )
    assert exchange.external_levels(new).yes


def test_a_restart_settles_what_closed_meanwhile() -> None:
    """Stopped before a close and started an hour and a half later: paid, and trading goes on."""
    world, exchange = world_at(START_US)
    run(world, START_US + 60 * SECOND_US)
    later_us = CLOSE_US + HOUR_US + 30 * MINUTE_US
    restarted, _ = world_at(later_us, exchange=exchange)
    assert status(exchange, "KXBTCD-24JUL3014") <= {"determined", "finalized"}
    run(restarted, later_us + 120 * SECOND_US)
    assert status(exchange, "KXBTCD-24JUL3014") == {"finalized"}
    assert exchange.state.markets["KXBTCD-24JUL3014-T65999.99"].expiration_value
    assert status(exchange, "KXBTCD-24JUL3016") == {"active"}
    fresh = world_at(later_us + 120 * SECOND_US)[1]
    names = books(fresh).keys()
    assert {name: books(exchange)[name] for name in names} == books(fresh)


def test_nobody_quotes_in_the_weekly_pause() -> None:
    """Thursday 03:00 New York: quotes leave; at 05:00 they are back."""
    pause_us = int(parse_time_us("2024-08-01T03:00:00-04:00"))
    world, exchange = world_at(pause_us - 5 * SECOND_US)
    assert any(levels.yes for levels in books(exchange).values())
    run(world, pause_us + SECOND_US)
    assert not any(levels.yes or levels.no for levels in books(exchange).values())
    end_us = pause_us + 2 * HOUR_US
    world, exchange = world_at(end_us - SECOND_US)
    assert not any(levels.yes or levels.no for levels in books(exchange).values())
    run(world, end_us + 12 * SECOND_US)
    assert any(levels.yes for levels in books(exchange).values())


def test_after_a_pause_by_the_exchange_everything_is_quoted_again() -> None:
    """Levels that were refused in a pause come back after it."""
    world, exchange = world_at(EARLY_US)
    exchange.pause_trading(EARLY_US)
    run(world, EARLY_US + 60 * SECOND_US)
    exchange.resume(EARLY_US + 60 * SECOND_US)
    run(world, EARLY_US + 200 * SECOND_US)
    expected = world_at(EARLY_US + 200 * SECOND_US)[1]
    assert books(exchange) == books(expected)


def test_the_recording_ends_without_a_guess() -> None:
    """After the last minute nothing is published, listed or quoted, and all that closed is paid."""
    prices = recorded()
    end_us = prices.end_s * SECOND_US
    world, exchange = world_at(end_us - 20 * MINUTE_US)
    run(world, end_us + 300 * SECOND_US)
    world.step(end_us + 300 * SECOND_US)
    assert world.next_event_us() is None
    assert exchange.index_history("BRTI")[-1][0] == end_us - SECOND_US
    assert exchange.open_events() == ()


class Holed(SimulatedPrices):
    """A recording without the minute before and the minute after the close of 14:00."""

    def index(self, second: int) -> int | None:
        """Return nothing in the hole."""
        is_missing = abs(second - CLOSE_US // SECOND_US) < 60
        return None if is_missing else super().index(second)


def test_a_gap_is_a_gap() -> None:
    """No index, no quotes; the event settles on the last value before the gap."""
    prices, exchange = Holed(minutes.load("btc_minutes_2024q3")), Exchange()
    world = SimulatedWorld(exchange, prices, start_us=START_US, is_fine=False)
    run(world, CLOSE_US - 30 * SECOND_US)
    assert exchange.index_history("BRTI")[-1][0] == CLOSE_US - 60 * SECOND_US
    assert not any(levels.yes or levels.no for levels in books(exchange).values())
    run(world, CLOSE_US + 100 * SECOND_US)
    last = prices.index(CLOSE_US // SECOND_US - 60)
    assert last is not None
    market = exchange.state.events["KXBTCD-24JUL3014"].markets[0]
    assert market.expiration_value == listings.value_words(last)
    assert any(levels.yes for levels in books(exchange).values())
