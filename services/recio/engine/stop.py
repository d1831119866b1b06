"""The fold that leaves: watches every open trade and proposes its exit.

    step(state, event) -> (state, commands)

Events: a ``Snapshot``; ``Known`` (settings, switch, live trades, as read from the database);
``Restored`` (durable stops, once at the start); ``ExitFailed``; ``Tick`` (market time passes, also
when no snapshot comes). Commands: ``Exit`` (an intent, the stop's new state and its record, for one
transaction), ``Save`` a stop's state, ``Record`` a decision. The state is changed in place.

What a rule may use must be fresh: a probability or a momentum whose index is older than the account's
limit is not known, a bid from a book older than its limit neither. Flatten needs neither of them.
The fold does not know where snapshots come from, and needs nothing of the entry side.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

import msgspec

from recio.domain import sides, stop
from recio.domain.account_config import AccountConfig, Trading
from recio.domain.intents import Intent, Purpose, Source, derived_id
from recio.domain.messages import Snapshot
from recio.domain.sides import SideView
from recio.domain.stop import Look, StopState
from recio.domain.switches import allows
from recio.domain.trades import Trade, TradeState
from recio.domain.units import SECOND_US
from recio.engine.records import Record, StopBody, stop_record

VALID_US: Final = 5 * SECOND_US
WATCHED: Final = frozenset({TradeState.OPEN, TradeState.CLOSING})
_UNSEEN: Final = SideView(None, None, None, None)


class Known(msgspec.Struct, frozen=True, kw_only=True, tag="known"):
    """What the database says of the account, read in one transaction."""

    config: AccountConfig
    switch: Trading
    trades: tuple[Trade, ...] = ()


class Restored(msgspec.Struct, frozen=True, tag="restored"):
    """Durable stops by trade."""

    stops: dict[UUID, StopState]


class ExitFailed(msgspec.Struct, frozen=True, tag="exit_failed"):
    """An exit could not be written, or nobody knows: it is due again under the same number."""

    trade_id: UUID
    number: int


class Tick(msgspec.Struct, frozen=True, tag="tick"):
    """Market time has come to ``at_us``."""

    at_us: int


class Save(msgspec.Struct, frozen=True):
    """Write a stop's state."""

    trade_id: UUID
    stop: StopState
    at_us: int


class Exit(msgspec.Struct, frozen=True):
    """Write intent, state and record in one transaction."""

    intent: Intent
    save: Save
    record: Record


Event = Snapshot | Known | Restored | ExitFailed | Tick
Command = Exit | Save | Record


class LiveView(msgspec.Struct, frozen=True, kw_only=True):
    """One open trade as a person watches it; money after an exit at the bid, before its fee."""

    trade_id: UUID
    number: int
    market_ticker: str
    side: str
    state: str
    open_qty_e2: int
    buffer_usd_e6: int | None
    p_e6: int | None
    bid_e4: int | None
    pnl_usd_e6: int | None
    seconds_to_close: int
    stop: StopState
    snapshot_age_us: int | None


class State:
    """The fold's state for one account."""

    __slots__ = ("account", "known", "now_us", "snapshots", "stops")

    def __init__(self, account: str) -> None:
        self.account = account
        self.known: Known | None = None
        self.stops: dict[UUID, StopState] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.now_us = 0


def step(state: State, event: Event) -> tuple[State, tuple[Command, ...]]:
    """Fold one event into the state and return the commands that follow from it."""
    if isinstance(event, Snapshot):
        if not _is_newer(state, event):
            return state, ()
        state.now_us = max(state.now_us, event.at_us)
        state.snapshots[event.event_ticker] = event
        return state, _watch(state, event.event_ticker)
    if isinstance(event, Restored):
        state.stops = dict(event.stops)
        return state, ()
    if isinstance(event, ExitFailed):
        _undo_attempt(state, event)
        return state, ()
    if isinstance(event, Known):
        state.known = event
    else:
        state.now_us = max(state.now_us, event.at_us)
    _forget(state)
    return state, _watch(state, None)


def live_views(state: State) -> list[LiveView]:
    """Return every watched trade as it stands now."""
    if state.known is None:
        return []
    return [_live(state, state.known.config, trade) for trade in _watched(state)]


def _is_newer(state: State, snapshot: Snapshot) -> bool:
    held = state.snapshots.get(snapshot.event_ticker)
    return held is None or snapshot.generation > held.generation


def _undo_attempt(state: State, failed: ExitFailed) -> None:
    held = state.stops.get(failed.trade_id)
    if held is not None and held.attempts == failed.number:
        state.stops[failed.trade_id] = msgspec.structs.replace(held, attempts=failed.number - 1)


def _forget(state: State) -> None:
    over = [
        ticker
        for ticker, snapshot in state.snapshots.items()
        if snapshot.close_us + 600 * SECOND_US < state.now_us
    ]
    for ticker in over:
        del state.snapshots[ticker]
    if state.known is not None:
        live = {trade.trade_id for trade in state.known.trades}
        for trade_id in [trade_id for trade_id in state.stops if trade_id not in live]:
            del state.stops[trade_id]


def _watched(state: State) -> list[Trade]:
    """Return the trades that hold contracts before their close."""
    if state.known is None:
        return []
    return [
        trade
        for trade in state.known.trades
        if trade.state in WATCHED and trade.open_qty_e2 > 0 and trade.close_us > state.now_us
    ]


def _watch(state: State, event_ticker: str | None) -> tuple[Command, ...]:
    commands: list[Command] = []
    for trade in _watched(state):
        if event_ticker in (None, trade.event_ticker) and state.known is not None:
            commands += _watch_trade(state, state.known, trade)
    return tuple(commands)


def _watch_trade(state: State, known: Known, trade: Trade) -> list[Command]:
    snapshot = state.snapshots.get(trade.event_ticker)
    seen = _seen(state, known.config, trade, snapshot)
    look = Look(
        at_us=state.now_us,
        close_us=trade.close_us,
        side=trade.side,
        p_e6=seen.p_e6,
        score_e6=_score(state, known.config, snapshot),
        is_flatten=known.switch is Trading.FLATTEN,
    )
    old = state.stops.get(trade.trade_id, stop.FRESH)
    new = stop.judge(old, known.config.strategy.auto_stop, look)
    state.stops[trade.trade_id] = new
    exit_command = _exit(state, known, trade, new, look=look, bid_e4=seen.bid_e4)
    if exit_command is not None:
        return [exit_command]
    if not _has_turned(old, new):
        return []
    body = _body(trade, look, seen.bid_e4, snapshot, new)
    record = stop_record(state.account, trade.event_ticker, look, body, number=0)
    return [Save(trade.trade_id, new, look.at_us), record]


def _has_turned(old: StopState, new: StopState) -> bool:
    """Tell whether a verification began or ended, or the stop fired: looks alone are not kept."""
    was_verifying, is_verifying = old.below_since_us is not None, new.below_since_us is not None
    return was_verifying is not is_verifying or (old.source, old.reason) != (new.source, new.reason)


def _exit(
    state: State,
    known: Known,
    trade: Trade,
    fired: StopState,
    *,
    look: Look,
    bid_e4: int | None,
) -> Exit | None:
    source = fired.source
    if source is None or not stop.is_exit_due(fired, look.at_us, trade.close_us):
        return None
    if not allows(known.switch, Purpose.EXIT, source):
        return None
    limit_e4 = stop.exit_limit_e4(fired, bid_e4, look.at_us)
    if limit_e4 is None:
        return None
    new = stop.attempted(fired, look.at_us)
    state.stops[trade.trade_id] = new
    snapshot = state.snapshots.get(trade.event_ticker)
    intent = _intent(state.account, trade, new, look, limit_e4=limit_e4, snapshot=snapshot)
    body = msgspec.structs.replace(
        _body(trade, look, bid_e4, snapshot, new),
        limit_price_e4=limit_e4,
        intent_id=intent.intent_id,
    )
    record = stop_record(state.account, trade.event_ticker, look, body, number=new.attempts)
    intent = msgspec.structs.replace(intent, decision_id=record.decision_id)
    return Exit(intent, Save(trade.trade_id, new, look.at_us), record)


def _intent(
    account: str,
    trade: Trade,
    fired: StopState,
    look: Look,
    *,
    limit_e4: int,
    snapshot: Snapshot | None,
) -> Intent:
    row = None if snapshot is None else sides.row_of(snapshot, trade.market_ticker)
    return Intent(
        intent_id=derived_id(account, trade.trade_id, "exit", fired.attempts),
        account=account,
        purpose=Purpose.EXIT,
        source=fired.source or Source.AUTO_STOP,
        market_ticker=trade.market_ticker,
        event_ticker=trade.event_ticker,
        side=trade.side,
        qty_e2=trade.open_qty_e2,
        limit_price_e4=limit_e4,
        at_us=look.at_us,
        valid_until_us=min(look.at_us + VALID_US, trade.close_us),
        trade_id=trade.trade_id,
        snapshot_generation=None if snapshot is None else snapshot.generation,
        p_e6=look.p_e6,
        symbol_price_usd_e6=None if snapshot is None else snapshot.price_usd_e6,
        momentum_bucket=None if snapshot is None else snapshot.momentum.bucket,
        price_at_us=None if snapshot is None else snapshot.price_at_us,
        book_at_us=None if row is None else row.book_at_us,
        reason=fired.reason,
    )


def _body(
    trade: Trade, look: Look, bid_e4: int | None, snapshot: Snapshot | None, state: StopState
) -> StopBody:
    return StopBody(
        trade_id=trade.trade_id,
        market_ticker=trade.market_ticker,
        side=trade.side,
        close_us=trade.close_us,
        p_e6=look.p_e6,
        bid_e4=bid_e4,
        momentum_e6=look.score_e6,
        is_flatten=look.is_flatten,
        price_usd_e6=None if snapshot is None else snapshot.price_usd_e6,
        generation=None if snapshot is None else snapshot.generation,
        state=state,
    )


def _seen(state: State, config: AccountConfig, trade: Trade, snapshot: Snapshot | None) -> SideView:
    """Return the trade's side with everything left out that is too old to act on."""
    row = None if snapshot is None else sides.row_of(snapshot, trade.market_ticker)
    if snapshot is None or row is None:
        return _UNSEEN
    seen = sides.view(snapshot, row, trade.side, config.strategy.model)
    book_us = config.risk.max_book_age_milliseconds * 1000
    if not row.is_valid or state.now_us - row.book_at_us > book_us:
        seen = seen._replace(bid_e4=None, ask_e4=None)
    return seen if _is_price_fresh(state, config, snapshot) else seen._replace(p_e6=None)


def _score(state: State, config: AccountConfig, snapshot: Snapshot | None) -> int | None:
    if snapshot is None or not _is_price_fresh(state, config, snapshot):
        return None
    return snapshot.momentum.score_e6


def _is_price_fresh(state: State, config: AccountConfig, snapshot: Snapshot) -> bool:
    limit_us = config.risk.max_price_age_milliseconds * 1000
    at_us = snapshot.price_at_us
    return at_us is not None and state.now_us - at_us <= limit_us


def _live(state: State, config: AccountConfig, trade: Trade) -> LiveView:
    snapshot = state.snapshots.get(trade.event_ticker)
    seen = _seen(state, config, trade, snapshot)
    worth = None if seen.bid_e4 is None else seen.bid_e4 * trade.open_qty_e2
    return LiveView(
        trade_id=trade.trade_id,
        number=trade.number,
        market_ticker=trade.market_ticker,
        side=trade.side,
        state=trade.state.value,
        open_qty_e2=trade.open_qty_e2,
        buffer_usd_e6=_buffer(trade, snapshot),
        p_e6=seen.p_e6,
        bid_e4=seen.bid_e4,
        pnl_usd_e6=None
        if worth is None
        else worth + trade.exit_proceeds_usd_e6 - trade.entry_cost_usd_e6 - trade.fees_usd_e6,
        seconds_to_close=max(trade.close_us - state.now_us, 0) // SECOND_US,
        stop=state.stops.get(trade.trade_id, stop.FRESH),
        snapshot_age_us=None if snapshot is None else state.now_us - snapshot.at_us,
    )


def _buffer(trade: Trade, snapshot: Snapshot | None) -> int | None:
    """Return how far the price is on the winning side of the strike; negative: on the losing one."""
    if snapshot is None or snapshot.price_usd_e6 is None or trade.strike_usd_e6 is None:
        return None
    gap = snapshot.price_usd_e6 - trade.strike_usd_e6
    return -gap if trade.side == sides.NO else gap
