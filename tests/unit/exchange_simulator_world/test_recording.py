"""The recorded market: real frames, real seconds, its real settlement."""

from __future__ import annotations

from functools import cache

import pytest
from tests.unit.exchange_simulator_world.member import join, place, touch

from recio.data import frames
from recio.domain.units import SECOND_US, parse_time_us
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.specs import Levels
from recio.exchange_simulator.world.recording import RecordedSeconds, RecordedWorld

RECORDING = "kxbtc15m_ws_2026-05-13T125943Z"
SECONDS = "btc_seconds_2026-05-13T12"
MARKET = "KXBTC15M-26MAY130915-15"
EVENT = "KXBTC15M-26MAY130915"
START_US = int(parse_time_us("2026-05-13T13:00:35Z"))
CLOSE_US = int(parse_time_us("2026-05-13T13:15:00Z"))


def start(
    now_us: int = START_US, *, exchange: Exchange | None = None, is_fine: bool = False
) -> tuple[RecordedWorld, Exchange]:
    """Begin or restart the recorded world."""
    exchange = exchange or Exchange()
    world = RecordedWorld(exchange, RECORDING, SECONDS, MARKET, is_fine=is_fine)
    world.step(now_us)
    return world, exchange


def run(world: RecordedWorld, until_us: int) -> None:
    """Step whenever the world asks for it."""
    while (due_us := world.next_event_us()) is not None and due_us <= until_us:
        world.step(due_us)


@cache
def rebuilt(until_us: int) -> Levels | None:
    """The book of the recorded frames at a time; None: crossed between two frames of a match."""
    book: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for frame in frames.load(RECORDING):
        if frame.market != MARKET:
            continue
        if isinstance(frame, frames.SnapshotFrame):
            if frame.received_ms * 1000 > until_us:
                break
            book = dict(frame.yes), dict(frame.no)
        elif isinstance(frame, frames.DeltaFrame):
            if frame.at_us > until_us:
                break
            side = book[0 if frame.is_yes else 1]
            side[frame.price_e4] = side.get(frame.price_e4, 0) + frame.change_e2
            if side[frame.price_e4] == 0:
                del side[frame.price_e4]
    yes, no = book
    if yes and no and max(yes) + max(no) >= 10_000:
        return None
    return Levels(tuple(sorted(yes.items())), tuple(sorted(no.items())))


def test_the_book_equals_the_frames_all_the_way() -> None:
    """Every 10 s of 14 minutes the exchange's book is the recorded one."""
    world, exchange = start()
    compared = 0
    for now_us in range(START_US + 10 * SECOND_US, CLOSE_US, 10 * SECOND_US):
        run(world, now_us)
        expected = rebuilt(now_us)
        if expected is not None:
            assert exchange.external_levels(MARKET) == expected
            compared += 1
    assert compared > 80


def test_it_settles_as_it_did() -> None:
    """Strike 80193.52, settlement 80285.68, yes, seven seconds after the close."""
    world, exchange = start()
    market = exchange.state.markets[MARKET]
    assert market.spec.floor_strike_usd_e6 == 80_193_520_000
    run(world, CLOSE_US)
    assert exchange.event_status(EVENT) == ((MARKET, "closed"),)
    assert exchange.external_levels(MARKET) == Levels((), ())
    run(world, CLOSE_US + 300 * SECOND_US)
    assert (market.result, market.expiration_value) == ("yes", "80285.68")
    assert market.status == "finalized"
    assert market.settled_us is not None
    assert 5 * SECOND_US < market.settled_us - CLOSE_US < 9 * SECOND_US
    assert world.next_event_us() is None


def test_trades_are_a_part_of_the_recorded_volume() -> None:
    """Volume grows by what is known to be traded: about half, never more."""
    world, exchange = start()
    run(world, CLOSE_US)
    volumes = [
        one.volume_e2
        for one in frames.load(RECORDING)
        if isinstance(one, frames.TickerFrame) and one.market == MARKET
    ]
    grown = volumes[-1] - volumes[0]
    assert 0.4 * grown < exchange.state.markets[MARKET].volume_e2 <= grown


def test_pace_and_restart_change_nothing() -> None:
    """By 10 ms or by the second, from the start or from the middle: the same book."""
    now_us = START_US + 120 * SECOND_US
    fine, fine_exchange = start(is_fine=True)
    run(fine, now_us)
    _, late_exchange = start(now_us)
    assert fine_exchange.external_levels(MARKET) == rebuilt(now_us)
    assert late_exchange.external_levels(MARKET) == rebuilt(now_us)


def test_what_a_member_took_stays_taken_over_a_restart() -> None:
    """Bought quantity is missing from the recorded level until that level has less."""
    world, exchange = start()
    run(world, START_US + 30 * SECOND_US)
    alice = join(exchange)
    _, ask_e4 = touch(exchange.external_levels(MARKET))
    place(exchange, alice, MARKET, is_bid=True, price_e4=ask_e4, qty_e2=100)
    now_us = START_US + 30 * SECOND_US
    run(world, now_us)
    kept = exchange.external_levels(MARKET)
    expected = rebuilt(now_us)
    assert expected is not None
    taken = sum(qty for _, qty in expected.no) - sum(qty for _, qty in kept.no)
    assert taken == 100
    exchange.state.markets[MARKET].book.clear()
    start(now_us, exchange=exchange)
    assert exchange.external_levels(MARKET) == kept


def test_a_member_at_the_front_is_filled_by_recorded_trades() -> None:
    """A bid better than all others is the first that a seller meets."""
    world, exchange = start()
    alice = join(exchange)
    run(world, START_US + 60 * SECOND_US)
    bid_e4, ask_e4 = touch(exchange.external_levels(MARKET))
    order = place(
        exchange, alice, MARKET, is_bid=True, price_e4=min(bid_e4 + 100, ask_e4), qty_e2=100
    )
    run(world, CLOSE_US)
    assert order.filled_e2 == 100


def test_index_is_carried_three_seconds_and_no_longer() -> None:
    """A longer silence is a gap; a minute of silence ends the piece."""
    values = {100: 1, 101: 2, 106: 3, 200: 4}
    seconds = RecordedSeconds(values, 103)
    assert [seconds.index(s) for s in (99, 100, 104, 105, 106, 109, 110)] == [
        None, 1, 2, None, 3, 3, None,
    ]  # fmt: skip
    assert (seconds.start_s, seconds.end_s) == (100, 107)
    assert seconds.trade(104) is None
    assert seconds.index(200) is None
    assert RecordedSeconds(values, 10).start_s == 100


def test_history_begins_when_the_recorder_did() -> None:
    """Index from 12:59:41 on, Coinbase minutes from 12:59 on, nothing older."""
    _, exchange = start(START_US + 300 * SECOND_US)
    candles = exchange.spot.candles["coinbase", "BTC"]
    assert min(candles) == int(parse_time_us("2026-05-13T12:59:00Z"))
    _, exchange = start()
    assert exchange.index_history("BRTI")[0][0] == int(parse_time_us("2026-05-13T12:59:41Z"))


def test_an_unknown_market_is_refused() -> None:
    """A recording without frames of a market cannot be played."""
    with pytest.raises(Exception, match="no settlement is recorded"):
        RecordedWorld(Exchange(), RECORDING, SECONDS, "KXBTC15M-26MAY130945-45")
