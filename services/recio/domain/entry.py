"""The entry rules: which strike may be bought now, and for every other one the first gate it failed.

Rules are tried in one fixed order, those of the whole event first. Every number that is not known
fails its gate. Times are the snapshot's own.

    disabled, not_open, too_early, too_late, switch_*, exchange_not_trading, no_index, price_stale,
    spike_pause                                                             of the event
    <the strike's own reason>, book_stale, volume, no_ask, price_band, probability, edge,
    live_trade, entered_before, attempt_pending, cooldown                   of the strike
    size, max_open_trades, event_contracts, total_contracts, event_cost, total_cost   of the account

A strategy of one's own passes the same gates, with its own probability, on either side. Of the event
it adds strategy_failed, strategy_late and strategy_changed; of a strike not_proposed, not_in_picture
(a market that the snapshot does not have) and limit (it pays less than is asked).

Re-entry false means: at most one entry for a market's side in an event, ever, also after a stop-out;
an attempt that bought nothing is not an entry. True means: again once the former trade is over, after
the cool-down. The account's limits are looked at here so that hopeless wishes are not made; the gate
that reserves them decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from recio.domain import sides
from recio.domain.account_config import AccountConfig, AutoEntry, Model, Trading
from recio.domain.messages import Snapshot, StrikeRow
from recio.domain.probability import MODEL_REASONS
from recio.domain.proposals import Proposal
from recio.domain.trades import FINAL, Trade
from recio.domain.units import CONTRACT_E2, P_ONE_E6, PRICE_ONE_E4, SECOND_US, USD_E6

PASSED: Final = ""
NOT_PROPOSED: Final = "not_proposed"

Key = tuple[str, str]
"""(market ticker, side)."""


class Attempt(msgspec.Struct, frozen=True):
    """The newest wish to enter one side of one market.

    ``number`` counts the wishes so far; ``is_pending``: the gate has not decided on it yet.
    """

    number: int
    at_us: int
    is_pending: bool


class Check(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one strike was judged by; ``gate`` is the first rule it failed, empty if it may be bought.

    It is kept in decision records as it is.
    """

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


def held_of(trades: Sequence[Trade]) -> Held:
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


class Bounds(msgspec.Struct, frozen=True):
    """What a strike is judged by, in the units of a snapshot: made once for each configuration."""

    model: Model
    max_book_age_us: int
    min_volume_e2: int
    min_price_e4: int
    max_price_e4: int
    min_p_e6: int
    min_edge_e4: int
    cooldown_us: int
    allow_reentry: bool


def bounds_of(config: AccountConfig) -> Bounds:
    """Return what a configuration asks of a strike."""
    rules, risk = config.strategy.auto_entry, config.risk
    return Bounds(
        model=config.strategy.model,
        max_book_age_us=risk.max_book_age_milliseconds * 1000,
        min_volume_e2=rules.min_volume_contracts * CONTRACT_E2,
        min_price_e4=risk.min_price_cents * 100,
        max_price_e4=risk.max_price_cents * 100,
        min_p_e6=rules.min_probability_permille * 1000,
        min_edge_e4=rules.min_net_edge_basis_points,
        cooldown_us=rules.cooldown_seconds * SECOND_US,
        allow_reentry=rules.allow_reentry,
    )


def check_strike(
    bounds: Bounds,
    snapshot: Snapshot,
    row: StrikeRow,
    *,
    held: Held,
    attempt: Attempt | None,
) -> Check:
    """Judge one strike's active side by every rule that is the strike's own."""
    p_e6, ask_e4, fee_e4 = _seen(bounds, snapshot, row, row.side)
    edge_e4 = _edge(p_e6, ask_e4, fee_e4)
    book_age_us = snapshot.at_us - row.book_at_us if row.book_at_us else None
    gate = (
        _data_gate(bounds, row, p_e6, ask_e4, book_age_us)
        or _value_gate(bounds, p_e6, ask_e4, edge_e4)
        or _history_gate(bounds, snapshot, (row.ticker, row.side), held, attempt)
    )
    return Check(row.ticker, row.side, p_e6, ask_e4, edge_e4, row.volume_e2, book_age_us, gate)


def check_proposal(
    bounds: Bounds,
    snapshot: Snapshot,
    row: StrikeRow,
    proposal: Proposal | None,
    *,
    held: Held,
    attempt: Attempt | None,
) -> Check:
    """Judge what a strategy of one's own proposed for a strike, by its own probability."""
    side = row.side if proposal is None else proposal.side
    p_e6, ask_e4, fee_e4 = _seen(bounds, snapshot, row, side)
    if proposal is not None:
        p_e6 = proposal.p_e6
    edge_e4 = _edge(p_e6, ask_e4, fee_e4)
    book_age_us = snapshot.at_us - row.book_at_us if row.book_at_us else None
    gate = _data_gate(bounds, row, p_e6, ask_e4, book_age_us)
    if not gate:
        gate = (
            NOT_PROPOSED
            if proposal is None
            else _offer_gate(proposal, ask_e4)
            or _value_gate(bounds, p_e6, ask_e4, edge_e4)
            or _history_gate(bounds, snapshot, (row.ticker, side), held, attempt)
        )
    return Check(row.ticker, side, p_e6, ask_e4, edge_e4, row.volume_e2, book_age_us, gate)


def _seen(
    bounds: Bounds, snapshot: Snapshot, row: StrikeRow, side: str
) -> tuple[int | None, int | None, int | None]:
    """Return probability, ask and fee of one side: ``sides.view`` for the hot path."""
    p_yes = sides.p_yes_e6(snapshot, row, bounds.model)
    if side == sides.YES:
        return p_yes, row.yes_ask_e4, row.yes_fee_e4
    bid = row.yes_bid_e4
    return (
        None if p_yes is None else P_ONE_E6 - p_yes,
        None if bid is None else PRICE_ONE_E4 - bid,
        row.no_fee_e4,
    )


def _edge(p_e6: int | None, ask_e4: int | None, fee_e4: int | None) -> int | None:
    if p_e6 is None or ask_e4 is None or fee_e4 is None:
        return None
    return p_e6 // 100 - ask_e4 - fee_e4


def _data_gate(
    bounds: Bounds, row: StrikeRow, p_e6: int | None, ask_e4: int | None, book_age_us: int | None
) -> str:
    # The environment's model may not know what the account's own does; any other reason counts.
    if row.reason and (row.reason not in MODEL_REASONS or p_e6 is None):
        return row.reason
    if not row.is_valid:
        return "book_invalid"
    if book_age_us is None or book_age_us > bounds.max_book_age_us:
        return "book_stale"
    least = bounds.min_volume_e2
    if least and (row.volume_e2 is None or row.volume_e2 < least):
        return "volume"
    return PASSED if ask_e4 is not None else "no_ask"


def _offer_gate(proposal: Proposal, ask_e4: int | None) -> str:
    limit = proposal.limit_price_e4
    return "limit" if limit is not None and ask_e4 is not None and limit < ask_e4 else PASSED


def _value_gate(bounds: Bounds, p_e6: int | None, ask_e4: int | None, edge_e4: int | None) -> str:
    if not bounds.min_price_e4 <= (ask_e4 or 0) <= bounds.max_price_e4:
        return "price_band"
    if p_e6 is None or p_e6 < bounds.min_p_e6:
        return "probability"
    return PASSED if edge_e4 is not None and edge_e4 >= bounds.min_edge_e4 else "edge"


def _history_gate(
    bounds: Bounds, snapshot: Snapshot, key: Key, held: Held, attempt: Attempt | None
) -> str:
    if key[0] in held.live_markets:
        return "live_trade"
    if not bounds.allow_reentry and key in held.entered:
        return "entered_before"
    if attempt is None:
        return PASSED
    if attempt.is_pending:
        return "attempt_pending"
    return "cooldown" if snapshot.at_us - attempt.at_us < bounds.cooldown_us else PASSED


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


def _at_stake_e2(trade: Trade) -> int:
    return trade.open_qty_e2 if trade.filled_qty_e2 else trade.wanted_qty_e2
