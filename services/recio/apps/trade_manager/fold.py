"""Fold one trade from its facts, inside an open transaction."""

from __future__ import annotations

from uuid import UUID

from recio.adapters.postgres import folding, trades
from recio.domain import trade_book
from recio.domain.trade_book import Figures
from recio.domain.trades import FINAL, Trade, TradeState
from recio.ports import Transaction


async def fold(
    tx: Transaction, environment: str, trade_id: UUID, *, now_us: int
) -> TradeState | None:
    """Bring one trade up to its facts; return its new state, None if it stays.

    A trade can go several states on at once; each step is written, so that each is in the audit.

    Facts are booked meanwhile, and each read sees what was committed before it. Fills are read
    last: an end that an order or a settlement tells of has its fills then, and a trade never ends
    without one of them.
    """
    trade = await trades.lock_trade(tx, trade_id)
    if trade is None:
        return None
    orders, settled, fills = await folding.facts_of(tx, trade)
    sums = trade_book.figures(trade.side, fills)
    target = trade_book.state(
        sums, orders, is_past_close=now_us >= trade.close_us, is_settled=settled is not None
    )
    if target is trade.state and not _has_changed(trade, sums):
        return None
    settlement = (
        None if settled is None else trade_book.payout_usd_e6(trade.side, sums.open_qty_e2, settled)
    )
    path = trade_book.path(trade.state, target)
    for state in path or (target,):
        await _write(tx, environment, trade, sums, state, settlement=settlement, now_us=now_us)
    return target if path else None


def _has_changed(trade: Trade, sums: Figures) -> bool:
    """Return whether a trade that stays in its state has other figures than are written."""
    held = (trade.filled_qty_e2, trade.open_qty_e2, trade.fees_usd_e6)
    return held != (sums.filled_qty_e2, sums.open_qty_e2, sums.fees_usd_e6)


async def _write(
    tx: Transaction,
    environment: str,
    trade: Trade,
    sums: Figures,
    state: TradeState,
    *,
    settlement: int | None,
    now_us: int,
) -> None:
    is_over = state in FINAL
    paid_out = settlement if state is TradeState.SETTLED else None
    await folding.write_figures(
        tx,
        trade.trade_id,
        sums,
        state,
        settlement_usd_e6=paid_out,
        pnl_usd_e6=trade_book.pnl_usd_e6(sums, paid_out) if is_over else None,
        symbol_close_usd_e6=await _symbol_close(tx, environment, trade, sums, state),
        close_reason=await _reason(tx, trade, state),
        at_us=now_us,
    )


async def _symbol_close(
    tx: Transaction, environment: str, trade: Trade, sums: Figures, state: TradeState
) -> int | None:
    if state is TradeState.CLOSED and sums.last_exit_at_us is not None:
        return await folding.price_at(tx, environment, trade.symbol, sums.last_exit_at_us)
    if state in (TradeState.EXPIRED, TradeState.SETTLED):
        return await folding.price_at(tx, environment, trade.symbol, trade.close_us)
    return None


async def _reason(tx: Transaction, trade: Trade, state: TradeState) -> str:
    if state is TradeState.CLOSED:
        return await folding.exit_reason(tx, trade.trade_id)
    return {
        TradeState.SETTLED: "settled by the exchange",
        TradeState.ABANDONED: "the entry ended without a fill",
    }.get(state, "")
