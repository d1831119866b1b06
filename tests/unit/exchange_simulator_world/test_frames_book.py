"""Recorded frames become level changes; only what the ticker saw traded counts as trade."""

from __future__ import annotations

import pytest

from recio.data import frames
from recio.domain.errors import Broken
from recio.exchange_simulator.world.frames_book import level_changes

MARKET = "KXBTC15M-26MAY130915-15"
START_MS = 1_778_677_200_000


def snapshot(yes: frames.Levels, no: frames.Levels, ms: int = 0) -> frames.Frame:
    """A whole book."""
    return frames.SnapshotFrame(START_MS + ms, MARKET, "id", 1, yes, no)


def delta(price_e4: int, change_e2: int, ms: int, *, is_yes: bool = True) -> frames.Frame:
    """A change of a level."""
    at_us = (START_MS + ms) * 1000
    return frames.DeltaFrame(START_MS + ms, MARKET, "id", 2, at_us, price_e4, change_e2, is_yes)


def ticker(price_e4: int, volume_e2: int, ms: int) -> frames.Frame:
    """The last trade's price and the volume so far."""
    at_us = (START_MS + ms) * 1000
    rest = (0,) * 5
    return frames.TickerFrame(
        START_MS + ms, MARKET, "id", at_us, price_e4, *rest, volume_e2, 0, 0, 0
    )


def test_a_decrease_is_a_trade_as_far_as_volume_grew_at_its_price() -> None:
    """300 left at 0.50, volume grew by 200: 200 traded, 100 canceled, the latest first."""
    found = level_changes(
        [
            snapshot(((5_000, 1_000), (4_900, 50)), ((4_900, 70),)),
            ticker(5_000, 10_000, 1),
            delta(5_000, -150, 2),
            delta(4_900, -50, 3),
            delta(5_000, -150, 4),
            ticker(5_000, 10_200, 5),
        ],
        MARKET,
    )
    changed = [(one.price_e4, one.qty_e2, one.trade_e2) for one in found[3:]]
    assert changed == [(5_000, 850, 50), (4_900, 0, 0), (5_000, 700, 150)]


def test_a_buyer_of_yes_takes_no_bids() -> None:
    """The ticker's price is on the YES scale, a NO level on its own."""
    found = level_changes(
        [
            snapshot((), ((4_000, 500),)),
            ticker(5_500, 100, 1),
            delta(4_000, -200, 2, is_yes=False),
            ticker(6_000, 250, 3),
        ],
        MARKET,
    )
    assert (found[-1].side, found[-1].qty_e2, found[-1].trade_e2) == ("no", 300, 150)


def test_volume_before_the_first_ticker_is_nobodys_trade() -> None:
    """The first ticker only tells where counting begins."""
    found = level_changes(
        [snapshot(((5_000, 500),), ()), delta(5_000, -200, 1), ticker(5_000, 9_999, 2)], MARKET
    )
    assert [one.trade_e2 for one in found] == [0, 0]


def test_a_snapshot_replaces_the_book() -> None:
    """Levels that it does not name are gone; equal ones do not change."""
    found = level_changes(
        [snapshot(((5_000, 500), (4_000, 1)), ()), snapshot(((4_000, 1),), ((100, 2),), 9)], MARKET
    )
    assert [(one.side, one.price_e4, one.qty_e2) for one in found] == [
        ("yes", 4_000, 1),
        ("yes", 5_000, 500),
        ("yes", 5_000, 0),
        ("no", 100, 2),
    ]


def test_time_never_runs_backwards() -> None:
    """A frame stamped earlier than its predecessor is simultaneous with it."""
    found = level_changes(
        [snapshot((), ()), delta(5_000, 100, 9), delta(5_000, 100, 4), ticker(1, 1, 5)], MARKET
    )
    assert found[0].at_us == found[1].at_us


def test_less_than_nothing_is_a_broken_recording() -> None:
    """No level goes below zero; other markets' frames do not matter."""
    with pytest.raises(Broken, match="would hold -100"):
        level_changes([snapshot((), ()), delta(5_000, -100, 1)], MARKET)
    assert level_changes([delta(5_000, -100, 1)], "KXBTC15M-26MAY130930-30") == []
