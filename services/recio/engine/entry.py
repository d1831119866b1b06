"""The fold that enters: snapshots and what is known of the account in, intents and records out.

    step(state, event) -> (state, commands)

Events: a ``Snapshot``; ``Known`` (settings, switch, trades, attempts, cash, as read from the
database); ``Restored`` (the durable spike state, once at the start); ``ProposalFailed``; ``Proposed``
(what a strategy of one's own answered); ``Tick`` (market time passes). Commands: ``Propose`` an intent,
``Record`` a decision, ``Show`` the automation's status, ``Ask`` a strategy of one's own. The state is
changed in place; time is the events' own.

An intent's id is a function of account, market, side and the number of the wish, and the number is
raised before the next one, so that a wish that was committed without us knowing is not made twice.

Decisions are recorded once a second of market time for each event while its entry window is open,
and otherwise when the outcome of the event changed.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

import msgspec

from recio.domain import entry, spike
from recio.domain.account_config import AccountConfig
from recio.domain.entry import PASSED, Attempt, Check
from recio.domain.intents import Intent, derived_id
from recio.domain.messages import Snapshot
from recio.domain.units import SECOND_US
from recio.engine import proposing
from recio.engine.automation import EventGate, Show, status_of
from recio.engine.choosing import choose, current_attempt
from recio.engine.entry_state import (
    Ask,
    Command,
    Event,
    EventView,
    Known,
    ProposalFailed,
    Propose,
    Proposed,
    Restored,
    State,
    Tick,
    is_custom,
)
from recio.engine.records import ENTRY, Record, Told, entry_record

__all__ = [
    "Ask",
    "Command",
    "Event",
    "Known",
    "ProposalFailed",
    "Propose",
    "Proposed",
    "Restored",
    "State",
    "Tick",
    "step",
]

RECORD_INTERVAL_US: Final = SECOND_US
SPIKE_SAVE_US: Final = 10 * SECOND_US
OUTSIDE: Final = frozenset({"not_open", "too_early", "too_late", "disabled"})


def step(state: State, event: Event) -> tuple[State, tuple[Command, ...]]:
    """Fold one event into the state and return the commands that follow from it."""
    if isinstance(event, Snapshot):
        return state, _on_snapshot(state, event)
    if isinstance(event, Proposed):
        return state, _on_proposed(state, event)
    if isinstance(event, Known):
        state.learn(event)
        return state, _show(state)
    if isinstance(event, Restored):
        state.spikes = dict(event.spikes)
    elif isinstance(event, ProposalFailed):
        _on_failure(state, event.intent)
    else:
        state.now_us = max(state.now_us, event.at_us)
        _forget(state)
        return state, _show(state)
    return state, ()


def _on_failure(state: State, intent: Intent) -> None:
    key = (intent.market_ticker, intent.side)
    own = state.attempts.get(key)
    if own is not None:
        state.attempts[key] = Attempt(own.number, own.at_us, is_pending=False)


def _on_snapshot(state: State, snapshot: Snapshot) -> tuple[Command, ...]:
    state.now_us = max(state.now_us, snapshot.at_us)
    known = state.known
    if known is None or snapshot.series_ticker not in state.series:
        return ()
    view = state.events.get(snapshot.event_ticker)
    if view is None:
        view = state.events[snapshot.event_ticker] = EventView(snapshot.close_us)
    if snapshot.generation <= view.generation:
        return ()
    view.generation, view.snapshot_at_us = snapshot.generation, snapshot.at_us
    was_spike = state.spikes.get(snapshot.symbol, spike.QUIET).is_alarmed
    is_spike = _watch_spike(state, known.config, snapshot)
    gate = entry.event_gate(known.config, known.switch, snapshot, is_spike=is_spike)
    if is_spike or was_spike:
        view.shown_gate = None
    if gate in OUTSIDE and gate == view.gate:
        return _show_new(state, view)
    if is_custom(known.config):
        return _ask(state, known, snapshot, view, gate)
    checks = _checks(state, known, snapshot)
    wishes: list[Intent] = []
    if gate == PASSED:
        checks, wishes = choose(state, known, snapshot, checks)
    made = _record(view, known, snapshot, gate, checks=checks, wishes=wishes)
    return (*made, *_show_new(state, view))


def _ask(
    state: State, known: Known, snapshot: Snapshot, view: EventView, gate: str
) -> tuple[Command, ...]:
    view.snapshot = snapshot
    if gate != PASSED:
        checks = proposing.unasked(state, known, snapshot)
        return (*_record(view, known, snapshot, gate, checks=checks, wishes=[]), *_show(state))
    if view.gate not in (PASSED, proposing.FAILED):
        view.gate = proposing.WAITS
    question = Ask(
        snapshot.event_ticker,
        snapshot.generation,
        snapshot.at_us,
        proposing.view_of(snapshot, known),
    )
    return (question, *_show(state))


def _on_proposed(state: State, proposed: Proposed) -> tuple[Command, ...]:
    """Judge an answer on the newest snapshot of its event."""
    known, view = state.known, state.events.get(proposed.event_ticker)
    if known is None or view is None or view.snapshot is None or not is_custom(known.config):
        return ()
    snapshot = view.snapshot
    state.strategy, state.failure = proposed.strategy, proposed.failure
    is_spike = state.spikes.get(snapshot.symbol, spike.QUIET).is_alarmed
    gate = entry.event_gate(known.config, known.switch, snapshot, is_spike=is_spike)
    gate = gate or proposing.answer_gate(known, snapshot, proposed)
    wishes: list[Intent] = []
    if gate == PASSED:
        checks = proposing.checks_of(state, known, snapshot, proposed)
        by_ticker = {one.market_ticker: one for one in proposed.proposals}
        checks, wishes = choose(state, known, snapshot, checks, by_ticker)
    else:
        checks = proposing.unasked(state, known, snapshot)
    # Of the question, not of the snapshot: two answers may be judged on one, but each is asked once.
    decided = derived_id(state.account, ENTRY, proposed.event_ticker, proposed.generation)
    wishes = [msgspec.structs.replace(wish, decision_id=decided) for wish in wishes]
    told = Told(proposed.strategy, proposed.failure, proposed.proposals)
    made = _record(
        view, known, snapshot, gate, checks=checks, wishes=wishes, told=told, decided=decided
    )
    return (*made, *_show(state))


def _watch_spike(state: State, config: AccountConfig, snapshot: Snapshot) -> bool:
    old = state.spikes.get(snapshot.symbol, spike.QUIET)
    settings = config.strategy.spike_alert
    new = spike.step(old, settings, snapshot.momentum.score_e6, snapshot.at_us)
    state.spikes[snapshot.symbol] = new
    return new.is_alarmed


def _checks(state: State, known: Known, snapshot: Snapshot) -> list[Check]:
    bounds, held, attempts = (
        state.bounds or entry.bounds_of(known.config),
        state.held,
        state.attempts,
    )
    return [
        entry.check_strike(
            bounds,
            snapshot,
            row,
            held=held,
            # Hardly any strike was ever attempted, and this is the hot path.
            attempt=current_attempt(state, snapshot, (row.ticker, row.side)) if attempts else None,
        )
        for row in snapshot.rows
    ]


def _record(
    view: EventView,
    known: Known,
    snapshot: Snapshot,
    gate: str,
    *,
    checks: list[Check],
    wishes: list[Intent],
    told: Told | None = None,
    decided: UUID | None = None,
) -> tuple[Propose | Record, ...]:
    is_soon = snapshot.at_us - view.recorded_us < RECORD_INTERVAL_US
    view.gate = gate
    if not wishes and is_soon and gate not in OUTSIDE:
        return ()
    view.recorded_us = snapshot.at_us
    record = entry_record(
        known.config.name,
        snapshot,
        gate,
        checks=checks,
        wishes=wishes,
        model=known.config.strategy.model,
        told=told,
        decided=decided,
    )
    return tuple(Propose(wish, record) for wish in wishes) or (record,)


def _forget(state: State) -> None:
    """Drop what belongs to events that are over for an hour."""
    limit = state.now_us - 3600 * SECOND_US
    for ticker in [ticker for ticker, view in state.events.items() if view.close_us < limit]:
        del state.events[ticker]
        for key in [key for key in state.attempts if key[0].startswith(f"{ticker}-")]:
            del state.attempts[key]
            state.wishes.pop(key, None)


def _show_new(state: State, view: EventView) -> tuple[Show, ...]:
    """Look at the status if the event's gate is another one; each second a tick looks anyway."""
    if view.gate == view.shown_gate:
        return ()
    view.shown_gate = view.gate
    return _show(state)


def _show(state: State) -> tuple[Show, ...]:
    """Return the automation's status if it changed, or if the spike's clock must be saved."""
    if state.known is None:
        return ()
    known = state.known
    status = status_of(known.config, known.switch, _gates(state), state.spikes, state.now_us)
    if status.reason == proposing.FAILED:
        status = msgspec.structs.replace(
            status, reason=f"{proposing.FAILED}: {state.failure}"[:300]
        )
    is_save_due = any(one.is_alarmed for one in state.spikes.values()) and (
        state.now_us - state.spike_saved_us >= SPIKE_SAVE_US
    )
    if status == state.shown and not is_save_due:
        return ()
    state.shown, state.spike_saved_us = status, state.now_us
    return (Show(status, state.now_us, dict(state.spikes)),)


def _gates(state: State) -> list[EventGate]:
    return [
        EventGate(ticker, view.gate, view.close_us, view.snapshot_at_us)
        for ticker, view in state.events.items()
        if view.close_us > state.now_us
    ]
