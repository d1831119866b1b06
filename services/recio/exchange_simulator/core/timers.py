"""What happens by itself when market time goes on."""

from __future__ import annotations

from heapq import heappop

from recio.exchange_simulator.core import markets, pauses, resting
from recio.exchange_simulator.core.records import Reason
from recio.exchange_simulator.core.state import State


def advance(state: State, now_us: int) -> None:
    """Run every timer due up to ``now_us``, each at its own time, in order."""
    while state.timers and state.timers[0][0] <= now_us:
        due_us, _, kind, key = heappop(state.timers)
        state.at(due_us)
        pauses.follow_calendar(state)
        _run(state, kind, key)
    state.at(now_us)
    pauses.follow_calendar(state)


def _run(state: State, kind: str, key: str) -> None:
    if kind == "open":
        markets.open_event(state, key)
    elif kind == "close":
        markets.close_event(state, key)
    elif kind == "finalize":
        markets.finalize(state, state.markets[key])
    elif kind == "forget":
        state.markets[key].candles.minutes.clear()
    elif kind == "expire":
        _expire(state, key)
    elif kind == "resume" and state.pauses.resume_us is not None:
        pauses.resume(state)


def _expire(state: State, order_id: str) -> None:
    order = state.orders.get(order_id)
    if order is not None and order.is_resting and order.expiration_us is not None:
        resting.cancel(state, order, Reason.EXPIRY_CANCEL)
