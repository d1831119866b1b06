"""Bugs planted in the running services: the same short day, and the invariants name each.

A made-up history shows that a check can find a bug; these show that the run carries it there.
"""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from tests.simulation.floor import CREATE, Floor, judge, short_day
from tests.unit.exchange_simulator.builders import HIGH, LOW

from recio.apps.trade_executor import app as executor
from recio.apps.trade_executor import sending
from recio.apps.trade_executor.resolving import Verdict
from recio.domain import risk
from recio.domain.account_config import Trading
from recio.exchange_simulator.faults import ArmedFrame, ArmedRequest, FrameFault, RequestFault

TIGHT = {"max_contracts_per_event": 15}


async def _send_again(*_):
    return Verdict.SEND_AGAIN


def _allow(*_, **__):
    return True


def _no_refusal(*_, **__):
    return ()


def _other_side(request):
    def swapped(row):
        made = request(row)
        return msgspec.structs.replace(made, book_side=made.book_side.opposite)

    return swapped


async def _cut_day(floor):
    floor.faults.arm_request(ArmedRequest(RequestFault.CUT_AFTER, 2, **CREATE))
    floor.faults.arm_frame(ArmedFrame(FrameFault.LOSE, 30))
    await short_day(floor)


async def _halted_day(floor):
    await floor.scene.switch(Trading.HALTED)
    await asyncio.sleep(1)
    await floor.scene.propose(floor.scene.wish(market_ticker=LOW))
    await floor.scene.propose(floor.scene.wish(market_ticker=HIGH, side="no", limit_price_e4=7_000))
    await asyncio.sleep(240)
    await judge(floor)


BUGS = {
    "what is in doubt is sent again without a look": (
        "invariant 7: entry .* was sent again", _cut_day, {},
        lambda patch: patch.setattr(executor, "resolve", _send_again),
    ),
    "the limits are not asked": (
        "invariant 8: .* brings contracts in the event to 2000, at most 1500", short_day, TIGHT,
        lambda patch: patch.setattr(risk, "check_entry", _no_refusal),
    ),
    "the side is swapped on the way out": (
        "invariant 2: order .* left as", short_day, {},
        lambda patch: patch.setattr(sending, "_request", _other_side(sending._request)),
    ),
    "the switch is not asked": (
        "invariant 9: entry .* left at", _halted_day, {},
        lambda patch: (
            patch.setattr(risk, "allows", _allow), patch.setattr(sending, "allows", _allow)
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_in_a_running_service_is_found(module_database_url, monkeypatch, name):
    """The history of the day breaks the invariant that the bug breaks."""
    message, day, limits, plant = BUGS[name]
    floor = Floor(module_database_url, **limits)
    plant(monkeypatch)

    with pytest.raises(AssertionError, match=message):
        floor.play(lambda: day(floor))
