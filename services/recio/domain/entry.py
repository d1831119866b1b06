"""The entry rules: which strike may be bought now, and for every other one the first gate it failed.

Rules are tried in one fixed order, those of the whole event first. Every number that is not known
fails its gate. Times are the snapshot's own.

    disabled, not_open, too_early, too_late, switch_*, exchange_not_trading, no_index, price_stale,
    spike_pause                                                             of the event
    <the strike's own reason>, book_stale, volume, no_ask, price_band, probability, edge,
    live_trade, entered_before, attempt_pending, cooldown                   of the strike
    size, max_open_trades, event_contracts, total_contracts, event_cost, total_cost   of the account

Re-entry false means: at most one entry for a market's side in an event, ever, also after a stop-out;
an attempt that bought nothing is not an entry. True means: again once the former trade is over, after
the cool-down. The account's limits are looked at here so that hopeless wishes are not made; the gate
that reserves them decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from recio.domain import sides, sizing
from recio.domain.account_config import AccountConfig, AutoEntry, Trading
from recio.domain.messages import Snapshot, StrikeRow
from recio.domain.probability import MODEL_REASONS
from recio.domain.sides import SideView
from recio.domain.trades import FINAL, Trade
from recio.domain.units import CONTRACT_E2, SECOND_US, USD_E6

PASSED = ""

Key = tuple[str, str]
"""(market ticker, side)."""


class Attempt(msgspec.Struct, frozen=True):
    """The newest wish to enter one side of one market.

    ``number`` counts the wishes so far; ``is_pending``: the gate has not decided on it yet.
    """

    number: int
    at_us: int
    is_pending: bool


class Check(NamedTuple):
    """What one strike was judged by; ``gate`` is empty if it may be bought."""

    ticker: str
    side: str
    p_e6: int | None
    ask_e4: int | None
    edge_e4: int | None
    volume_e2: int | None
    book_age_us: int | None
    gate: str


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What the account's trades of the live events and its open trades mean for entries."""

    live_markets: frozenset[str] = frozenset()
    entered: frozenset[Key] = frozenset()
    open_trades: int = 0
    qty_e2: int = 0
    cost_usd_e6: int = 0
    event_qty_e2: Mapping[str, int] = {}
    event_cost_usd_e6: Mapping[str, int] = {}


def held_of(trades: list[Trade]) -> Held:
    """Return what these trades mean; an entry in flight counts whole, at the most it may cost."""
    live = [trade for trade in trades if trade.state not in FINAL]
    event_qty: dict[str, int] = {}
    event_cost: dict[str, int] = {}
    for trade in live:
        qty = _at_stake_e2(trade)
        cost = trade.entry_cost_usd_e6 if trade.filled_qty_e2 else qty * 10_000
        event_qty[trade.event_ticker] = event_qty.get(trade.event_ticker, 0) + qty
        event_cost[trade.event_ticker] = event_cost.get(trade.event_ticker, 0) + cost
    return Held(
        live_markets=frozenset(trade.market_ticker for trade in live),
        entered=frozenset((t.market_ticker, t.side) for t in trades if t.filled_qty_e2 > 0),
        open_trades=len(live),
        qty_e2=sum(event_qty.values()),
        cost_usd_e6=sum(event_cost.values()),
        event_qty_e2=event_qty,
        event_cost_usd_e6=event_cost,
    )


def with_entry(held: Held, event_ticker: str, key: Key, qty_e2: int, cost_usd_e6: int) -> Held:
    """Return ``held`` as if this entry were filled whole."""
    event_qty, event_cost = dict(held.event_qty_e2), dict(held.event_cost_usd_e6)
    event_qty[event_ticker] = event_qty.get(event_ticker, 0) + qty_e2
    event_cost[event_ticker] = event_cost.get(event_ticker, 0) + cost_usd_e6
    return Held(
        live_markets=held.live_markets | {key[0]},
        entered=held.entered,
        open_trades=held.open_trades + 1,
        qty_e2=held.qty_e2 + qty_e2,
        cost_usd_e6=held.cost_usd_e6 + cost_usd_e6,
        event_qty_e2=event_qty,
        event_cost_usd_e6=event_cost,
    )


def event_gate(
    config: AccountConfig, switch: Trading, snapshot: Snapshot, *, is_spike: bool
) -> str:
    """Return the first rule that keeps the whole event from being entered, or nothing."""
    entry = config.strategy.auto_entry
    if not entry.enabled:
        return "disabled"
    timing = _window_gate(entry, snapshot)
    if timing:
        return timing
    if switch is not Trading.ACTIVE:
        return f"switch_{switch.value}"
    if snapshot.is_trading_active is not True:
        return "exchange_not_trading"
    return _price_gate(config, snapshot) or ("spike_pause" if is_spike else PASSED)


def _window_gate(entry: AutoEntry, snapshot: Snapshot) -> str:
    left_us = snapshot.close_us - snapshot.at_us
    if snapshot.at_us < snapshot.open_us:
        return "not_open"
    if left_us > entry.max_seconds_to_close * SECOND_US:
        return "too_early"
    if left_us < max(entry.min_seconds_to_close * SECOND_US, 1):
        return "too_late"
    return PASSED


def _price_gate(config: AccountConfig, snapshot: Snapshot) -> str:
    if snapshot.price_usd_e6 is None or snapshot.price_at_us is None:
        return "no_index"
    if snapshot.at_us - snapshot.price_at_us > config.risk.max_price_age_milliseconds * 1000:
        return "price_stale"
    return PASSED


def check_strike(
    config: AccountConfig,
    snapshot: Snapshot,
    row: StrikeRow,
    *,
    held: Held,
    attempt: Attempt | None,
) -> Check:
    """Judge one strike's active side by every rule that is the strike's own."""
    seen = sides.view(snapshot, row, row.side, config.strategy.model)
    book_age_us = snapshot.at_us - row.book_at_us if row.book_at_us else None
    gate = (
        _data_gate(config, row, seen, book_age_us)
        or _value_gate(config, seen)
        or _history_gate(config, snapshot, row, held, attempt)
    )
    return Check(
        row.ticker, row.side, seen.p_e6, seen.ask_e4, seen.edge_e4, row.volume_e2, book_age_us, gate
    )


def _data_gate(
    config: AccountConfig, row: StrikeRow, seen: SideView, book_age_us: int | None
) -> str:
    # The environment's model may not know what the account's own does; any other reason counts.
    if row.reason and (row.reason not in MODEL_REASONS or seen.p_e6 is None):
        return row.reason
    if not row.is_valid:
        return "book_invalid"
    if book_age_us is None or book_age_us > config.risk.max_book_age_milliseconds * 1000:
        return "book_stale"
    least = config.strategy.auto_entry.min_volume_contracts * CONTRACT_E2
    if least and (row.volume_e2 is None or row.volume_e2 < least):
        return "volume"
    return PASSED if seen.ask_e4 is not None else "no_ask"


def _value_gate(config: AccountConfig, seen: SideView) -> str:
    entry, risk = config.strategy.auto_entry, config.risk
    ask = seen.ask_e4 or 0
    if not risk.min_price_cents * 100 <= ask <= risk.max_price_cents * 100:
        return "price_band"
    if seen.p_e6 is None or seen.p_e6 < entry.min_probability_permille * 1000:
        return "probability"
    edge = seen.edge_e4
    return PASSED if edge is not None and edge >= entry.min_net_edge_basis_points else "edge"


def _history_gate(
    config: AccountConfig,
    snapshot: Snapshot,
    row: StrikeRow,
    held: Held,
    attempt: Attempt | None,
) -> str:
    entry = config.strategy.auto_entry
    if row.ticker in held.live_markets:
        return "live_trade"
    if not entry.allow_reentry and (row.ticker, row.side) in held.entered:
        return "entered_before"
    if attempt is None:
        return PASSED
    if attempt.is_pending:
        return "attempt_pending"
    waited_us = snapshot.at_us - attempt.at_us
    return "cooldown" if waited_us < entry.cooldown_seconds * SECOND_US else PASSED


def limit_gate(config: AccountConfig, held: Held, event_ticker: str, qty: int, cost: int) -> str:
    """Return the first limit that an entry of this quantity and worst cost would break."""
    risk = config.risk
    sums = (
        ("max_open_trades", held.open_trades + 1, risk.max_open_trades),
        ("event_contracts", held.event_qty_e2.get(event_ticker, 0) + qty,
         risk.max_contracts_per_event * CONTRACT_E2),
        ("total_contracts", held.qty_e2 + qty, risk.max_contracts_total * CONTRACT_E2),
        ("event_cost", held.event_cost_usd_e6.get(event_ticker, 0) + cost,
         risk.max_cost_per_event_dollars * USD_E6),
        ("total_cost", held.cost_usd_e6 + cost, risk.max_cost_total_dollars * USD_E6),
    )  # fmt: skip
    return next((name for name, value, limit in sums if value > limit), PASSED)


def wanted_qty_e2(
    config: AccountConfig, check: Check, fee_e4: int, cash_usd_e6: int | None
) -> int | None:
    """Return how much to ask for; 0 or None: not even one contract."""
    assert check.p_e6 is not None
    assert check.ask_e4 is not None
    return sizing.qty_e2(
        config.strategy.sizing,
        config.risk,
        p_e6=check.p_e6,
        ask_e4=check.ask_e4,
        fee_e4=fee_e4,
        cash_usd_e6=cash_usd_e6,
    )


def _at_stake_e2(trade: Trade) -> int:
    return trade.open_qty_e2 if trade.filled_qty_e2 else trade.wanted_qty_e2
