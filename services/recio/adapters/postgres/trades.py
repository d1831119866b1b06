"""Trades in the database: made by the gate, by account sync for what it finds; folded by trade_manager."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from recio.domain.trades import Trade, TradeState
from recio.domain.units import as_datetime, time_us
from recio.ports import Query, Transaction

_COLUMNS: Final = (
    "trade_id, account, number, state, source, strategy, symbol, event_ticker, market_ticker, "
    "strike_usd_e6, side, close_at, wanted_qty_e2, filled_qty_e2, exited_qty_e2, entry_cost_usd_e6, "
    "exit_proceeds_usd_e6, fees_usd_e6, pnl_usd_e6, opened_at, created_at, p_entry_e6, "
    "symbol_open_usd_e6, symbol_close_usd_e6, momentum_bucket, close_reason"
)
_LIVE: Final = (
    f"SELECT {_COLUMNS} FROM trading.trades "  # noqa: S608 - our own column list
    "WHERE account = %s AND state NOT IN ('closed', 'settled', 'abandoned') ORDER BY number"
)
_ONE: Final = f"SELECT {_COLUMNS} FROM trading.trades WHERE trade_id = %s"  # noqa: S608 - own columns
_EVENT: Final = (
    f"SELECT {_COLUMNS} FROM trading.trades WHERE account = %s "  # noqa: S608 - own columns
    "AND event_ticker = ANY(%s) ORDER BY number"
)
_INSERT: Final = (
    "INSERT INTO trading.trades (trade_id, account, number, state, source, strategy, symbol, "
    "event_ticker, market_ticker, strike_usd_e6, side, close_at, wanted_qty_e2, p_entry_e6, "
    "symbol_open_usd_e6, momentum_bucket, created_at, changed_at) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)


async def live_trades(tx: Transaction, account: str) -> list[Trade]:
    """Return the account's trades that are not over, by number."""
    return [trade(row) for row in await tx.fetch(_LIVE, account)]


def live_query(account: str) -> Query:
    """Return what reads the rows of ``live_trades``."""
    return Query(_LIVE, (account,))


async def event_trades(tx: Transaction, account: str, event_tickers: list[str]) -> list[Trade]:
    """Return all trades of these events, ended ones included: what re-entry rules look at."""
    return [trade(row) for row in await tx.fetch(_EVENT, account, event_tickers)]


async def lock_trade(tx: Transaction, trade_id: UUID) -> Trade | None:
    """Return one trade with its row locked against others that fold or add facts."""
    row = await tx.fetch_one(f"{_ONE} FOR NO KEY UPDATE", trade_id)
    return None if row is None else trade(row)


async def trade_by_id(tx: Transaction, trade_id: UUID) -> Trade | None:
    """Return one trade as it was last folded."""
    row = await tx.fetch_one(_ONE, trade_id)
    return None if row is None else trade(row)


def trade_query(trade_id: UUID) -> Query:
    """Return what reads the row of ``trade_by_id``."""
    return Query(_ONE, (trade_id,))


async def next_number(tx: Transaction, account: str) -> int:
    """Return the account's next trade number. The account's row must be locked already."""
    row = await tx.fetch_one(
        "UPDATE trading.accounts SET last_trade_number = last_trade_number + 1 "
        "WHERE account = %s RETURNING last_trade_number",
        account,
    )
    assert row is not None
    return int(row[0])


async def insert_trade(tx: Transaction, new: Trade) -> None:
    """Write a new trade."""
    created_at = as_datetime(new.created_at_us)
    values = (
        new.trade_id,
        new.account,
        new.number,
        new.state.value,
        new.source,
        new.strategy,
        new.symbol,
        new.event_ticker,
        new.market_ticker,
        new.strike_usd_e6,
        new.side,
        as_datetime(new.close_us),
        new.wanted_qty_e2,
        new.p_entry_e6,
        new.symbol_open_usd_e6,
        new.momentum_bucket,
        created_at,
        created_at,
    )
    await tx.execute_many(_INSERT, [values])


async def revive(tx: Transaction, trade_id: UUID, *, at_us: int) -> None:
    """Open a trade that was given up and then got a fill; its figures follow with the next fold."""
    await tx.execute(
        "UPDATE trading.trades SET state = 'open', pnl_usd_e6 = NULL, ended_at = NULL, "
        "close_reason = '', changed_at = %s WHERE trade_id = %s AND state = 'abandoned'",
        as_datetime(at_us),
        trade_id,
    )


def trade(row: tuple[Any, ...]) -> Trade:
    """Return the trade in a row of this module's column list."""
    (trade_id, account, number, state, source, strategy, symbol, event, market, strike, side, close_at,
     wanted, filled, exited, cost, proceeds, fees, pnl, opened_at, created_at, p_entry, symbol_open,
     symbol_close, bucket, close_reason) = row  # fmt: skip
    return Trade(
        trade_id=trade_id,
        account=account,
        number=number,
        state=TradeState(state),
        source=source,
        strategy=strategy,
        symbol=symbol,
        event_ticker=event,
        market_ticker=market,
        strike_usd_e6=strike,
        side=side,
        close_us=time_us(close_at),
        wanted_qty_e2=wanted,
        filled_qty_e2=filled,
        open_qty_e2=filled - exited,
        entry_cost_usd_e6=cost,
        exit_proceeds_usd_e6=proceeds,
        fees_usd_e6=fees,
        pnl_usd_e6=pnl,
        opened_at_us=None if opened_at is None else time_us(opened_at),
        created_at_us=time_us(created_at),
        p_entry_e6=p_entry,
        symbol_open_usd_e6=symbol_open,
        symbol_close_usd_e6=symbol_close,
        momentum_bucket=bucket,
        close_reason=close_reason,
    )
