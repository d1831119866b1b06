"""What members take stays away, also over a restart, until the makers renew it."""

from __future__ import annotations

from tests.unit.exchange_simulator_world.member import join, place, touch

from recio.data import minutes
from recio.domain.units import SECOND_US, parse_time_us
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.world import members
from recio.exchange_simulator.world.prices import SimulatedPrices
from recio.exchange_simulator.world.simulated import SimulatedWorld

NOW_US = int(parse_time_us("2024-07-30T13:05:00-04:00"))
MARKET = "KXBTCD-24JUL3014-T65749.99"


def start(exchange: Exchange, now_us: int) -> SimulatedWorld:
    """Begin or restart a world."""
    prices = SimulatedPrices(minutes.load("btc_minutes_2024q3"))
    world = SimulatedWorld(exchange, prices, start_us=NOW_US, is_fine=False)
    world.step(now_us)
    return world


def test_a_restart_leaves_out_what_was_just_taken() -> None:
    """Three contracts bought a moment before the stop are not offered again after it."""
    exchange = Exchange()
    start(exchange, NOW_US)
    alice = join(exchange)
    levels = exchange.external_levels(MARKET)
    _, ask_e4 = touch(levels)
    order = place(exchange, alice, MARKET, is_bid=True, price_e4=ask_e4, qty_e2=300)
    assert order.filled_e2 == 300
    (one,) = members.taken(exchange, MARKET)
    assert (one.side, one.price_e4, one.qty_e2) == ("no", 10_000 - ask_e4, 300)
    exchange.state.markets[MARKET].book.clear()
    start(exchange, NOW_US)
    again = exchange.external_levels(MARKET)
    assert again.yes == levels.yes
    assert again.no[:-1] == levels.no[:-1]
    assert again.no[-1] == (levels.no[-1][0], levels.no[-1][1] - 300)


def test_makers_come_back() -> None:
    """Two minutes later the book is what it would have been without the member."""
    exchange, other = Exchange(), Exchange()
    world, untouched = start(exchange, NOW_US), start(other, NOW_US)
    alice = join(exchange)
    _, ask_e4 = touch(exchange.external_levels(MARKET))
    place(exchange, alice, MARKET, is_bid=True, price_e4=ask_e4, qty_e2=300)
    for one in (world, untouched):
        one.step(NOW_US + 120 * SECOND_US)
    assert exchange.external_levels(MARKET) == other.external_levels(MARKET)


def test_a_resting_order_is_filled_by_takers() -> None:
    """A bid in front of everybody at the money trades within minutes."""
    exchange = Exchange()
    world = start(exchange, NOW_US)
    alice = join(exchange)
    bid_e4, ask_e4 = touch(exchange.external_levels(MARKET))
    order = place(
        exchange, alice, MARKET, is_bid=True, price_e4=min(bid_e4 + 100, ask_e4 - 100), qty_e2=500
    )
    world.step(NOW_US + 600 * SECOND_US)
    assert order.filled_e2 == 500
    assert not members.taken(exchange, MARKET, NOW_US + 601 * SECOND_US)


def test_strikes_are_read_from_the_exchange() -> None:
    """A window that has not opened has none."""
    exchange = Exchange()
    start(exchange, NOW_US)
    assert members.strike_usd_e6(exchange, MARKET) == 65_749_990_000
    assert members.strike_usd_e6(exchange, "KXBTC15M-24JUL301330-30") is None
    assert members.strike_usd_e6(exchange, "KXBTC15M-24JUL301315-15") is not None
