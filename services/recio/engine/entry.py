"""The fold that enters: snapshots and what is known of the account in, intents and records out.

    step(state, event) -> (state, commands)

Events: a ``Snapshot``; ``Known`` (settings, switch, trades, attempts, cash, as read from the
database); ``Restored`` (the durable spike state, once at the start); ``ProposalFailed``; ``Tick``
(market time passes). Commands: ``Propose`` an intent, ``Record`` a decision, ``Show`` the automation's
status. The state is changed in place; time is the events' own.

An intent's id is a function of account, market, side and the number of the wish, and the number is
raised before the next one, so that a wish that was committed without us knowing is not made twice.

Decisions are recorded once a second of market time for each event while its entry window is open,
and otherwise when the outcome of the event changed.
"""

from __future__ import annotations

from typing import Final

import msgspec

from recio.domain import entry, spike
from recio.domain.account_config import AccountConfig, Trading
from recio.domain.entry import PASSED, Attempt, Check, Held, Key
from recio.domain.fees import budget_usd_e6
from recio.domain.intents import Intent, Purpose, Source, derived_id
from recio.domain.messages import Snapshot
from recio.domain.spike import SpikeState
from recio.domain.trades import Trade
from recio.domain.units import SECOND_US
from recio.engine.automation import EventGate, Show, Status, status_of
from recio.engine.records import Record, decision_id, entry_record

VALID_US: Final = 5 * SECOND_US
RECORD_INTERVAL_US: Final = SECOND_US
ATTEMPT_PATIENCE_US: Final = 30 * SECOND_US
"""An attempt that nothing was heard of for so long is no longer waited for."""
SPIKE_SAVE_US: Final = 10 * SECOND_US
OUTSIDE: Final = frozenset({"not_open", "too_early", "too_late", "disabled"})
_CENT_E4: Final = 100


class Known(msgspec.Struct, frozen=True, kw_only=True, tag="known"):
    """What the database says of the account, read in one transaction."""

    config: AccountConfig
    switch: Trading
    trades: tuple[Trade, ...] = ()
    attempts: dict[Key, Attempt] = {}
    cash_usd_e6: int | None = None


class Restored(msgspec.Struct, frozen=True, tag="restored"):
    """The spike state as it was last written, by symbol."""

    spikes: dict[str, SpikeState]


class ProposalFailed(msgspec.Struct, frozen=True, tag="proposal_failed"):
    """An intent could not be written; whether it was is not known."""

    intent: Intent


class Tick(msgspec.Struct, frozen=True, tag="tick"):
    """Market time has come to ``at_us``."""

    at_us: int


class Propose(msgspec.Struct, frozen=True):
    """Write this intent, and the record of why in the same transaction."""

    intent: Intent
    record: Record


Event = Snapshot | Known | Restored | ProposalFailed | Tick
Command = Propose | Record | Show


class EventView:
    """What was last decided of one event."""

    __slots__ = ("close_us", "gate", "generation", "recorded_us", "snapshot_at_us")

    def __init__(self, close_us: int) -> None:
        self.close_us = close_us
        self.gate = ""
        self.generation = 0
        self.recorded_us = 0
        self.snapshot_at_us = 0


class State:
    """The fold's state for one account."""

    __slots__ = (
        "account",
        "attempts",
        "events",
        "held",
        "known",
        "now_us",
        "shown",
        "slippage_cents",
        "spike_saved_us",
        "spikes",
        "wishes",
    )

    def __init__(self, account: str, *, slippage_cents: int = 0) -> None:
        """Start without knowledge: nothing is entered until ``Known`` has come.

        Args:
            account: whose intents these are.
            slippage_cents: how much more than the ask seen an entry may pay.
        """
        self.account = account
        self.slippage_cents = slippage_cents
        self.known: Known | None = None
        self.held = Held()
        self.attempts: dict[Key, Attempt] = {}
        self.wishes: dict[Key, Intent] = {}
        self.spikes: dict[str, SpikeState] = {}
        self.events: dict[str, EventView] = {}
        self.shown: Status | None = None
        self.spike_saved_us = 0
        self.now_us = 0


def step(state: State, event: Event) -> tuple[State, tuple[Command, ...]]:
    """Fold one event into the state and return the commands that follow from it."""
    if isinstance(event, Snapshot):
        return state, _on_snapshot(state, event)
    if isinstance(event, Known):
        _on_known(state, event)
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


def _on_known(state: State, known: Known) -> None:
    state.known = known
    state.held = entry.held_of(list(known.trades))
    for key, read in known.attempts.items():
        own = state.attempts.get(key)
        # A wish made after this was read is newer than what was read.
        if own is None or read.number >= own.number:
            state.attempts[key] = read


def _on_failure(state: State, intent: Intent) -> None:
    key = (intent.market_ticker, intent.side)
    own = state.attempts.get(key)
    if own is not None:
        state.attempts[key] = Attempt(own.number, own.at_us, is_pending=False)


def _on_snapshot(state: State, snapshot: Snapshot) -> tuple[Command, ...]:
    state.now_us = max(state.now_us, snapshot.at_us)
    known = state.known
    if known is None or not _is_own(known.config, snapshot):
        return ()
    view = state.events.get(snapshot.event_ticker)
    if view is None:
        view = state.events[snapshot.event_ticker] = EventView(snapshot.close_us)
    if snapshot.generation <= view.generation:
        return ()
    view.generation, view.snapshot_at_us = snapshot.generation, snapshot.at_us
    is_spike = _watch_spike(state, known.config, snapshot)
    gate = entry.event_gate(known.config, known.switch, snapshot, is_spike=is_spike)
    if gate in OUTSIDE and gate == view.gate:
        return _show(state)
    checks = _checks(state, known, snapshot)
    wishes: list[Intent] = []
    if gate == PASSED:
        checks, wishes = _choose(state, known, snapshot, checks)
    return (*_record(view, known, snapshot, gate, checks=checks, wishes=wishes), *_show(state))


def _is_own(config: AccountConfig, snapshot: Snapshot) -> bool:
    return any(series.value == snapshot.series_ticker for series in config.series)


def _watch_spike(state: State, config: AccountConfig, snapshot: Snapshot) -> bool:
    old = state.spikes.get(snapshot.symbol, spike.QUIET)
    settings = config.strategy.spike_alert
    new = spike.step(old, settings, snapshot.momentum.score_e6, snapshot.at_us)
    state.spikes[snapshot.symbol] = new
    return new.is_alarmed


def _checks(state: State, known: Known, snapshot: Snapshot) -> list[Check]:
    return [
        entry.check_strike(
            known.config,
            snapshot,
            row,
            held=state.held,
            attempt=_current(state, snapshot, (row.ticker, row.side)),
        )
        for row in snapshot.rows
    ]


def _current(state: State, snapshot: Snapshot, key: Key) -> Attempt | None:
    attempt = state.attempts.get(key)
    if attempt is None or not attempt.is_pending:
        return attempt
    if snapshot.at_us - attempt.at_us > ATTEMPT_PATIENCE_US:
        return Attempt(attempt.number, attempt.at_us, is_pending=False)
    return attempt


def _choose(
    state: State, known: Known, snapshot: Snapshot, checks: list[Check]
) -> tuple[list[Check], list[Intent]]:
    """Return the checks with the account's limits applied, and the wishes that pass all of it."""
    held = _with_pending(state, snapshot)
    wishes: list[Intent] = []
    outcome: dict[str, str] = {}
    passing = sorted(
        (check for check in checks if check.gate == PASSED),
        key=lambda check: (-(check.p_e6 or 0), check.ticker),
    )
    for check in passing:
        intent, gate = _wish(state, known, snapshot, check, held)
        if intent is None:
            outcome[check.ticker] = gate
            continue
        key = (check.ticker, check.side)
        held = _with_wish(held, key, intent)
        number = _next_number(state, key)
        state.attempts[key] = Attempt(number, snapshot.at_us, is_pending=True)
        state.wishes[key] = intent
        wishes.append(intent)
    return [check._replace(gate=outcome.get(check.ticker, check.gate)) for check in checks], wishes


def _wish(
    state: State, known: Known, snapshot: Snapshot, check: Check, held: Held
) -> tuple[Intent | None, str]:
    row = next(row for row in snapshot.rows if row.ticker == check.ticker)
    fee_e4 = (row.yes_fee_e4 if check.side == "yes" else row.no_fee_e4) or 0
    qty = entry.wanted_qty_e2(known.config, check, fee_e4, known.cash_usd_e6)
    if not qty:
        return None, "size"
    intent = _intent(state, known, snapshot, check, qty)
    gate = entry.limit_gate(known.config, held, snapshot.event_ticker, qty, _worst_cost(intent))
    return (None, gate) if gate else (intent, PASSED)


def _with_pending(state: State, snapshot: Snapshot) -> Held:
    """Return what is held as if every wish that the gate has not decided on were filled whole."""
    held = state.held
    for key, wish in tuple(state.wishes.items()):
        attempt = _current(state, snapshot, key)
        if attempt is None or not attempt.is_pending:
            del state.wishes[key]
        elif key[0] not in held.live_markets:
            held = _with_wish(held, key, wish)
    return held


def _with_wish(held: Held, key: Key, wish: Intent) -> Held:
    return entry.with_entry(held, wish.event_ticker, key, wish.qty_e2, _worst_cost(wish))


def _worst_cost(intent: Intent) -> int:
    cost = intent.limit_price_e4 * intent.qty_e2
    return cost + budget_usd_e6(intent.limit_price_e4, intent.qty_e2)


def _next_number(state: State, key: Key) -> int:
    attempt = state.attempts.get(key)
    return 1 if attempt is None else attempt.number + 1


def _intent(state: State, known: Known, snapshot: Snapshot, check: Check, qty_e2: int) -> Intent:
    assert check.ask_e4 is not None
    row = next(row for row in snapshot.rows if row.ticker == check.ticker)
    number = _next_number(state, (check.ticker, check.side))
    return Intent(
        intent_id=derived_id(state.account, check.ticker, check.side, "entry", number),
        account=state.account,
        purpose=Purpose.ENTRY,
        source=Source.AUTO_ENTRY,
        market_ticker=check.ticker,
        event_ticker=snapshot.event_ticker,
        side=check.side,
        qty_e2=qty_e2,
        limit_price_e4=_limit_e4(check.ask_e4, state.slippage_cents, known.config),
        at_us=snapshot.at_us,
        valid_until_us=min(snapshot.at_us + VALID_US, snapshot.close_us),
        snapshot_generation=snapshot.generation,
        decision_id=decision_id(state.account, "entry", snapshot),
        p_e6=check.p_e6,
        edge_e4=check.edge_e4,
        symbol_price_usd_e6=snapshot.price_usd_e6,
        momentum_bucket=snapshot.momentum.bucket,
        price_at_us=snapshot.price_at_us,
        book_at_us=row.book_at_us,
        reason=known.config.strategy.name.value,
    )


def _limit_e4(ask_e4: int, slippage_cents: int, config: AccountConfig) -> int:
    """Return the ask, or a whole cent above it, which every price grid has, within the band."""
    if not slippage_cents:
        return ask_e4
    most = config.risk.max_price_cents * _CENT_E4
    return max(ask_e4, min((ask_e4 // _CENT_E4 + slippage_cents) * _CENT_E4, most))


def _record(
    view: EventView,
    known: Known,
    snapshot: Snapshot,
    gate: str,
    *,
    checks: list[Check],
    wishes: list[Intent],
) -> tuple[Propose | Record, ...]:
    is_soon = snapshot.at_us - view.recorded_us < RECORD_INTERVAL_US
    view.gate = gate
    if not wishes and is_soon and gate not in OUTSIDE:
        return ()
    view.recorded_us = snapshot.at_us
    account = known.config.name
    model = known.config.strategy.model
    record = entry_record(account, snapshot, gate, checks=checks, wishes=wishes, model=model)
    return tuple(Propose(wish, record) for wish in wishes) or (record,)


def _forget(state: State) -> None:
    """Drop what belongs to events that are over for an hour."""
    limit = state.now_us - 3600 * SECOND_US
    for ticker in [ticker for ticker, view in state.events.items() if view.close_us < limit]:
        del state.events[ticker]
        for key in [key for key in state.attempts if key[0].startswith(f"{ticker}-")]:
            del state.attempts[key]
            state.wishes.pop(key, None)


def _show(state: State) -> tuple[Show, ...]:
    """Return the automation's status if it changed, or if the spike's clock must be saved."""
    if state.known is None:
        return ()
    known = state.known
    status = status_of(known.config, known.switch, _gates(state), state.spikes, state.now_us)
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
