"""The world over a restart of the exchange, with the exchange's memory in a real database."""

from __future__ import annotations

import asyncio

from tests.unit.exchange_simulator_world.member import join, place, touch

from recio.adapters.postgres.database import PostgresDatabase
from recio.domain.units import SECOND_US, parse_time_us
from recio.exchange_simulator.core.state import Config
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.specs import Levels
from recio.exchange_simulator.store import DatabaseStore
from recio.exchange_simulator.world import MinutesSource, RecordingSource, Source, attach

HOUR_START_US = int(parse_time_us("2024-07-30T13:00:00-04:00"))
NOW_US = HOUR_START_US + 10 * 60 * SECOND_US


def books(exchange: Exchange) -> dict[str, Levels]:
    """All anonymous levels of the open markets."""
    return {
        market.ticker: exchange.external_levels(market.ticker)
        for spec in exchange.open_events()
        for market in spec.markets
    }


async def restarted(
    database: PostgresDatabase, exchange: Exchange, source: Source, now_us: int
) -> Exchange:
    """Save an exchange, load it into a new one, and bring the world up there."""
    store = DatabaseStore(database)
    await store.save(exchange, exchange.state.take_changes())
    assert await store.stopped_us() == exchange.now_us
    second = Exchange(Config(namespace="paper"))
    assert await store.load(second)
    attach(second, source, is_fine=False).step(now_us)
    return second


def test_books_and_volumes_are_the_same_after_a_restart(
    database: PostgresDatabase, runner: asyncio.Runner
) -> None:
    """Stopped and started at the same market time: the same books, volumes, strikes, events."""
    source = MinutesSource(start_us=HOUR_START_US)
    first = Exchange(Config(namespace="paper"))
    attach(first, source, is_fine=False).step(NOW_US)
    second = runner.run(restarted(database, first, source, NOW_US))
    assert books(second) == books(first)
    assert [spec.event_ticker for spec in second.open_events()] == [
        spec.event_ticker for spec in first.open_events()
    ]
    for ticker, market in first.state.markets.items():
        other = second.state.markets[ticker]
        assert (other.volume_e2, other.status) == (market.volume_e2, market.status)
        assert other.spec.floor_strike_usd_e6 == market.spec.floor_strike_usd_e6


def test_what_closed_during_the_stop_is_settled(
    database: PostgresDatabase, runner: asyncio.Runner
) -> None:
    """Stopped at 13:10 and started at 14:05: the event of 14:00 is paid, the next one runs."""
    source = MinutesSource(start_us=HOUR_START_US)
    first = Exchange(Config(namespace="paper"))
    attach(first, source, is_fine=False).step(NOW_US)
    later_us = HOUR_START_US + 65 * 60 * SECOND_US
    second = runner.run(restarted(database, first, source, later_us))
    closed = {status for _, status in second.event_status("KXBTCD-24JUL3014")}
    running = {status for _, status in second.event_status("KXBTCD-24JUL3015")}
    assert (closed, running) == ({"finalized"}, {"active"})


def test_what_a_member_took_of_the_recording_stays_taken(
    database: PostgresDatabase, runner: asyncio.Runner
) -> None:
    """The recorded book after a restart lacks what was bought before it."""
    source, market = RecordingSource(), "KXBTC15M-26MAY130915-15"
    first = Exchange(Config(namespace="paper"))
    world = attach(first, source, is_fine=False)
    world.step(world.start_us)
    now_us = world.start_us + 30 * SECOND_US
    world.step(now_us)
    _, ask_e4 = touch(first.external_levels(market))
    place(first, join(first), market, is_bid=True, price_e4=ask_e4, qty_e2=100)
    second = runner.run(restarted(database, first, source, now_us))
    assert second.external_levels(market) == first.external_levels(market)
