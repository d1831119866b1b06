"""The trader's own strategy in the entry fold: what it is shown, and how its answer is judged.

The fold stays pure: it says ``Ask`` with a view, somebody asks the strategy in a process of its own,
and the answer comes back as the event ``Proposed``. It is judged on the newest snapshot of its event,
because prices go on while a strategy thinks; after two seconds it is too late. A strategy that
failed, whose source is another than the one that made trades which are still open, or that answers
for a market which is not in the picture enters nothing, and the record says so.
"""

from __future__ import annotations

from typing import Final

from recio.domain import entry, sides
from recio.domain.account_config import AccountConfig
from recio.domain.entry import Check
from recio.domain.intents import Source
from recio.domain.messages import Snapshot, StrikeRow
from recio.domain.proposals import HeldTrade, Rules, Strike, View
from recio.domain.trades import FINAL, Trade
from recio.domain.units import SECOND_US
from recio.engine.choosing import current_attempt
from recio.engine.entry_state import Known, Proposed, State

LATE_US: Final = 2 * SECOND_US
FAILED: Final = "strategy_failed"
LATE: Final = "strategy_late"
CHANGED: Final = "strategy_changed"
WAITS: Final = "strategy_waits"
"""The strategy was asked and has not answered yet."""


def view_of(snapshot: Snapshot, known: Known) -> View:
    """Return what the strategy sees of a snapshot and of the account."""
    config, momentum = known.config, snapshot.momentum
    return View(
        series_ticker=snapshot.series_ticker,
        event_ticker=snapshot.event_ticker,
        title=snapshot.title,
        symbol=snapshot.symbol,
        generation=snapshot.generation,
        at_us=snapshot.at_us,
        open_us=snapshot.open_us,
        close_us=snapshot.close_us,
        price_usd_e6=snapshot.price_usd_e6,
        price_at_us=snapshot.price_at_us,
        spot_usd_e6=snapshot.spot_usd_e6,
        basis_usd_e6=snapshot.basis_usd_e6,
        momentum_score_e6=momentum.score_e6,
        momentum_bucket=momentum.bucket,
        momentum_deltas_e6=momentum.deltas_e6,
        volatility_e9=snapshot.volatility_e9,
        window_average_usd_e6=snapshot.window_average_usd_e6,
        window_count=snapshot.window_count,
        model=config.strategy.model.value,
        model_version=snapshot.model_version,
        cash_usd_e6=known.cash_usd_e6,
        strikes=tuple(_strike(config, snapshot, row) for row in snapshot.rows),
        held=tuple(_held(trade) for trade in known.trades if trade.state not in FINAL),
        rules=_rules(config),
    )


def _strike(config: AccountConfig, snapshot: Snapshot, row: StrikeRow) -> Strike:
    return Strike(
        row.ticker,
        row.strike_usd_e6,
        sides.p_yes_e6(snapshot, row, config.strategy.model),
        row.yes_bid_e4,
        row.yes_ask_e4,
        row.yes_bid_qty_e2,
        row.yes_ask_qty_e2,
        row.yes_fee_e4,
        row.no_fee_e4,
        row.volume_e2,
        row.book_at_us,
        row.reason or ("" if row.is_valid else "book_invalid"),
    )


def _held(trade: Trade) -> HeldTrade:
    return HeldTrade(
        trade.event_ticker,
        trade.market_ticker,
        trade.side,
        trade.strike_usd_e6,
        trade.state.value,
        trade.open_qty_e2 if trade.filled_qty_e2 else trade.wanted_qty_e2,
        trade.entry_cost_usd_e6,
        trade.p_entry_e6,
        trade.opened_at_us,
    )


def _rules(config: AccountConfig) -> Rules:
    settings, risk = config.strategy.auto_entry, config.risk
    return Rules(
        allow_reentry=settings.allow_reentry,
        min_probability_permille=settings.min_probability_permille,
        min_net_edge_basis_points=settings.min_net_edge_basis_points,
        min_seconds_to_close=settings.min_seconds_to_close,
        max_seconds_to_close=settings.max_seconds_to_close,
        most_contracts=min(config.strategy.sizing.contracts, risk.max_contracts_per_order),
        max_open_trades=risk.max_open_trades,
        min_price_cents=risk.min_price_cents,
        max_price_cents=risk.max_price_cents,
    )


def answer_gate(known: Known, snapshot: Snapshot, proposed: Proposed) -> str:
    """Return what stands against the answer as a whole, or nothing."""
    if proposed.failure:
        return FAILED
    if snapshot.at_us - proposed.at_us > LATE_US:
        return LATE
    is_changed = any(
        trade.state not in FINAL
        and trade.source == Source.AUTO_ENTRY.value
        and trade.strategy != proposed.strategy
        for trade in known.trades
    )
    return CHANGED if is_changed else entry.PASSED


def checks_of(state: State, known: Known, snapshot: Snapshot, proposed: Proposed) -> list[Check]:
    """Return how each strike was judged, and proposals for markets that are not in the picture."""
    by_ticker = {one.market_ticker: one for one in proposed.proposals}
    bounds = state.bounds or entry.bounds_of(known.config)
    checks = []
    for row in snapshot.rows:
        proposal = by_ticker.pop(row.ticker, None)
        side = row.side if proposal is None else proposal.side
        checks.append(
            entry.check_proposal(
                bounds,
                snapshot,
                row,
                proposal,
                held=state.held,
                attempt=current_attempt(state, snapshot, (row.ticker, side)),
            )
        )
    return checks + [
        Check(one.market_ticker, one.side, one.p_e6, None, None, None, None, "not_in_picture")
        for one in by_ticker.values()
    ]


def unasked(state: State, known: Known, snapshot: Snapshot) -> list[Check]:
    """Return the strikes as they stand while the strategy is not asked."""
    nothing = Proposed(event_ticker=snapshot.event_ticker, generation=0, at_us=snapshot.at_us)
    return checks_of(state, known, snapshot, nothing)
