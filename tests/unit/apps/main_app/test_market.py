"""The market as the page knows it: of several environments, each by its own clock."""

from __future__ import annotations

import msgspec

from recio.apps.main_app.board import Board
from recio.apps.main_app.market import KEEP_CLOSED_US, Market
from recio.domain.messages import Health
from recio.testing.pictures import PICTURE


class Standing:
    """A clock that the test sets."""

    def __init__(self, at_us):
        self.at_us = at_us

    def market_us(self):
        """Return market time."""
        return self.at_us

    def wall_us(self):
        """Return wall time."""
        return self.at_us


def health(service, account):
    """Return what the monitor says of a service that is well."""
    return Health(
        service=service,
        account=account,
        is_ready=True,
        reason="",
        cpu_permille=None,
        memory_bytes=None,
        level="ok",
        at_us=0,
        seen_us=0,
    )


def test_each_environment_is_judged_by_its_own_clock():
    """A recording of the past is as live as the present."""
    clocks = {"past": Standing(PICTURE.close_us - 1), "now": Standing(PICTURE.close_us + 10**15)}
    market = Market(clocks.__getitem__, Board())
    for environment in clocks:
        market.apply(msgspec.structs.replace(PICTURE, environment=environment))
    market.forget_closed()
    assert [snapshot.environment for snapshot in market.live_events("past")] == ["past"]
    assert market.live_events("now") == []
    clocks["past"].at_us = PICTURE.close_us + KEEP_CLOSED_US + 1
    market.forget_closed()
    assert market.live_events("past") == []


def test_a_row_is_found_in_its_own_environment_only():
    """The same ticker may be listed in two."""
    market = Market(lambda _environment: Standing(0), Board())
    market.apply(msgspec.structs.replace(PICTURE, environment="one"))
    ticker = PICTURE.rows[0].ticker
    assert market.find_row("one", ticker) is not None
    assert market.find_row("other", ticker) is None


def test_the_health_of_what_is_measured_no_more_is_forgotten():
    """While the monitor goes on; when it is silent, what it said last stays."""
    clock = Standing(0)
    market = Market(lambda _environment: clock, Board())
    market.apply(health("trade_manager", "gone"))
    market.apply(health("trade_manager", "kept"))
    clock.at_us = 10**9
    market.forget_unmeasured()
    assert set(market.health) == {("trade_manager", "gone"), ("trade_manager", "kept")}
    market.apply(health("trade_manager", "kept"))
    market.forget_unmeasured()
    assert set(market.health) == {("trade_manager", "kept")}
