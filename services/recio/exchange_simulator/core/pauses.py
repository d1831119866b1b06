"""When nobody trades: the weekly window, and pauses by order of the exchange.

The weekly window is Thursday 03:00 to 05:00 New York time (docs.kalshi.com, "Maintenance and pauses");
it follows the city's daylight saving.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from recio.domain.units import as_datetime, time_us
from recio.exchange_simulator.core import resting
from recio.exchange_simulator.core.records import Reason
from recio.exchange_simulator.core.state import State

NEW_YORK: Final = ZoneInfo("America/New_York")
THURSDAY: Final = 3
START_HOUR: Final = 3
END_HOUR: Final = 5


def weekly_window(at_us: int) -> tuple[int, int]:
    """Return the window that is on at ``at_us``, or else the next one, as [start, end).

    >>> from recio.domain.units import format_time_us, parse_time_us
    >>> [format_time_us(t) for t in weekly_window(parse_time_us("2026-11-24T00:00:00Z"))]
    ['2026-11-26T08:00:00.000000Z', '2026-11-26T10:00:00.000000Z']
    """
    local = as_datetime(at_us).astimezone(NEW_YORK)
    day = local.date() + timedelta(days=(THURSDAY - local.weekday()) % 7)
    while True:
        start = datetime(day.year, day.month, day.day, START_HOUR, tzinfo=NEW_YORK)
        end = datetime(day.year, day.month, day.day, END_HOUR, tzinfo=NEW_YORK)
        if time_us(end) > at_us:
            return time_us(start), time_us(end)
        day += timedelta(days=7)


def follow_calendar(state: State) -> None:
    """Switch the weekly pause on or off when its time has come."""
    if not state.config.has_weekly_pause or state.now_us < state.weekly_boundary_us:
        return
    start, end = weekly_window(state.now_us)
    is_on = start <= state.now_us
    state.weekly_boundary_us = end if is_on else start
    if is_on and not state.pauses.is_weekly:
        cancel_flagged(state)
    state.pauses.is_weekly = is_on


def cancel_flagged(state: State) -> None:
    """Cancel the resting orders that asked for it on a pause."""
    for orders in list(state.resting_of.values()):
        for order in list(orders.values()):
            if order.is_canceled_on_pause:
                resting.cancel(state, order, Reason.HALT_CANCEL)


def pause(state: State, until_us: int | None, *, is_exchange: bool) -> None:
    """Pause trading, or the whole exchange."""
    cancel_flagged(state)
    state.pauses.is_trading_paused = True
    state.pauses.is_exchange_paused = is_exchange
    state.pauses.resume_us = until_us
    if until_us is not None:
        state.set_timer(until_us, "resume", "")


def resume(state: State) -> None:
    """End the pauses made by ``pause``."""
    state.pauses.is_trading_paused = state.pauses.is_exchange_paused = False
    state.pauses.resume_us = None


def is_trading_active(state: State) -> bool:
    """Tell whether orders may be made."""
    paused = state.pauses
    return not (paused.is_weekly or paused.is_trading_paused or paused.is_exchange_paused)
