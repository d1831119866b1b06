"""What the page shows of the database: one function a section, each a few statements.

Rows become plain mappings whose names carry their units; times are microseconds since 1970. The
functions run inside a transaction of the caller and write nothing.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from recio.adapters.postgres import gate
from recio.domain.account_config import Risk
from recio.domain.figures import Ended
from recio.domain.risk import Exposure, breaches
from recio.domain.tickers import new_york_day_start_us
from recio.domain.units import USD_E6, as_datetime, time_us
from recio.engine.records import read_entry
from recio.ports import Transaction

Row = dict[str, Any]

TRADES_SHOWN: Final = 100
INTENTS_SHOWN: Final = 50

_TRADE: Final = (
    "trade_id, account, number, state, source, strategy, symbol, event_ticker, market_ticker,"
    " strike_usd_e6, side, close_at, wanted_qty_e2, filled_qty_e2, exited_qty_e2,"
    " entry_cost_usd_e6, exit_proceeds_usd_e6, fees_usd_e6, settlement_usd_e6, pnl_usd_e6,"
    " p_entry_e6, symbol_open_usd_e6, symbol_close_usd_e6, momentum_bucket, close_reason,"
    " opened_at, ended_at, created_at, changed_at"
)
_INTENT: Final = (
    "intent_id, account, purpose, source, market_ticker, event_ticker, side, qty_e2,"
    " limit_price_e4, at, valid_until, trade_id, snapshot_generation, p_e6, edge_e4, reason,"
    " state, refusal, changed_at"
)
_FILL: Final = (
    "fill_id, order_id, trade_id, market_ticker, event_ticker, book_side, yes_price_e4, qty_e2,"
    " fee_usd_e6, is_taker, at"
)
_SETTLEMENT: Final = (
    "market_ticker, event_ticker, result, yes_qty_e2, no_qty_e2, revenue_usd_e6, fee_usd_e6,"
    " settled_at"
)
_POSITION: Final = (
    "market_ticker, event_ticker, qty_e2, cost_usd_e6, realised_usd_e6, fees_usd_e6, changed_at"
)
_ORDER: Final = (
    "order_id, trade_id, intent_id, attempt, market_ticker, purpose, book_side, yes_price_e4,"
    " qty_e2, time_in_force, is_reduce_only, state, exchange_order_id, filled_qty_e2,"
    " reserved_usd_e6, reason, created_at, changed_at"
)
_LISTS: Final = {
    "fills": (_FILL, "trading.fills", "at DESC, fill_id"),
    "settlements": (_SETTLEMENT, "trading.settlements", "settled_at DESC, market_ticker"),
    "positions": (_POSITION, "trading.positions", "changed_at DESC, market_ticker"),
    "orders": (_ORDER, "trading.orders", "created_at DESC, order_id"),
    "intents": (_INTENT, "trading.intents", "at DESC, intent_id"),
    "trades": (_TRADE, "trading.trades", "number DESC"),
}


async def accounts(tx: Transaction) -> list[Row]:
    """Return every account that is not retired, by name."""
    columns = "account, environment, mode"
    return await fetch(
        tx, columns, "FROM trading.accounts WHERE retired_at IS NULL ORDER BY account"
    )


async def newest(
    tx: Transaction, section: str, account: str, limit: int = TRADES_SHOWN
) -> list[Row]:
    """Return the newest rows of fills, settlements, positions, orders, intents or trades."""
    columns, table, order = _LISTS[section]
    tail = f"FROM {table} WHERE account = %s ORDER BY {order} LIMIT %s"
    return await fetch(tx, columns, tail, account, limit)


async def trades(tx: Transaction, account: str) -> list[Row]:
    """Return the trades that are not over, and the newest hundred of the others."""
    live = "('closed', 'settled', 'abandoned')"
    return [
        *await fetch(
            tx,
            _TRADE,
            f"FROM trading.trades WHERE account = %s AND state NOT IN {live} ORDER BY number",
            account,
        ),
        *await fetch(
            tx,
            _TRADE,
            f"FROM trading.trades WHERE account = %s AND state IN {live}"
            " ORDER BY number DESC LIMIT %s",
            account,
            TRADES_SHOWN,
        ),
    ]


async def ended_trades(tx: Transaction, account: str) -> list[Ended]:
    """Return every closed or settled trade that bought something, in the order they ended."""
    rows = await tx.fetch(
        "SELECT pnl_usd_e6, entry_cost_usd_e6, fees_usd_e6, filled_qty_e2, p_entry_e6"
        " FROM trading.trades WHERE account = %s AND state IN ('closed', 'settled')"
        " AND filled_qty_e2 > 0 ORDER BY coalesce(ended_at, changed_at), number",
        account,
    )
    return [
        Ended(pnl_usd_e6=pnl, cost_usd_e6=cost, fees_usd_e6=fees, qty_e2=qty, p_entry_e6=p_entry)
        for pnl, cost, fees, qty, p_entry in rows
    ]


async def trade(tx: Transaction, trade_id: UUID) -> Row | None:
    """Return one trade, or None."""
    rows = await fetch(tx, _TRADE, "FROM trading.trades WHERE trade_id = %s", trade_id)
    return rows[0] if rows else None


async def intent(tx: Transaction, intent_id: UUID) -> Row | None:
    """Return one intent, or None."""
    rows = await fetch(tx, _INTENT, "FROM trading.intents WHERE intent_id = %s", intent_id)
    return rows[0] if rows else None


async def automation(tx: Transaction, account: str) -> Row | None:
    """Return what auto_entry_supervisor says of itself, or None before its first word."""
    rows = await fetch(
        tx, "status, body, changed_at", "FROM trading.automation WHERE account = %s", account
    )
    return rows[0] if rows else None


async def decision(tx: Transaction, account: str) -> Row | None:
    """Return the newest entry decision: what stood against it, and against how many strikes."""
    rows = await fetch(
        tx,
        "event_ticker, generation, at, body",
        "FROM trading.decisions WHERE account = %s AND kind = 'entry' ORDER BY at DESC LIMIT 1",
        account,
    )
    if not rows:
        return None
    row = rows[0]
    body = read_entry(row.pop("body"))
    gates = Counter(strike.gate or "bought" for strike in body.strikes)
    strikes = {strike.ticker: (strike.side, strike.gate) for strike in body.strikes}
    return {**row, "gate": body.gate, "gates": dict(gates), "strikes": strikes}


async def stops(tx: Transaction, account: str) -> list[Row]:
    """Return the stop engine's state of each trade that is not over."""
    return await fetch(
        tx,
        "trade_id, body, changed_at",
        "FROM trading.stops WHERE account = %s AND trade_id IN (SELECT trade_id"
        " FROM trading.trades WHERE account = %s"
        " AND state NOT IN ('closed', 'settled', 'abandoned'))",
        account,
        account,
    )


async def switches(tx: Transaction, account: str) -> list[Row]:
    """Return every source's switch row for the account and for all accounts."""
    return await fetch(
        tx,
        "scope, source, state, reason, author, changed_at",
        "FROM trading.switches WHERE scope IN (%s, '*') ORDER BY scope DESC, source",
        account,
    )


async def money(tx: Transaction, account: str, limits: Risk, now_us: int) -> Row:
    """Return cash, equity and what is at risk against the limits."""
    day_start_us = new_york_day_start_us(now_us)
    at_stake = await gate.exposure(tx, account, now_us=now_us, day_start_us=day_start_us)
    compared = await fetch(
        tx,
        "exchange_usd_e6, ledger_usd_e6, as_of",
        "FROM trading.balances WHERE account = %s ORDER BY at DESC LIMIT 1",
        account,
    )
    cost = at_stake.cost_usd_e6()
    return {
        "cash_usd_e6": at_stake.cash_usd_e6,
        "equity_usd_e6": at_stake.equity_usd_e6,
        "equity_high_usd_e6": at_stake.equity_high_usd_e6,
        "result_today_usd_e6": at_stake.result_today_usd_e6,
        "at_risk_usd_e6": cost,
        "max_at_risk_usd_e6": limits.max_cost_total_dollars * USD_E6,
        "max_daily_loss_usd_e6": limits.max_daily_loss_dollars * USD_E6,
        "worst_today_usd_e6": _worst_today(at_stake, limits),
        "exchange_allows_usd_e6": await _exchange_allows(tx, account, at_stake),
        "open_trades": at_stake.open_trades,
        "max_open_trades": limits.max_open_trades,
        "contracts_e2": at_stake.contracts_e2(),
        "max_contracts_e2": limits.max_contracts_total * 100,
        "orders_in_minute": at_stake.orders_in_minute,
        "max_orders_per_minute": limits.max_orders_per_minute,
        "breaches": list(breaches(limits, at_stake)),
        "compared": compared[0] if compared else None,
    }


def _worst_today(at_stake: Exposure, limits: Risk) -> int | None:
    """Return the most that can be lost today in all.

    Entries stop once the day's loss has reached its limit; the moment before that, the whole cost
    limit may be at stake, and all of it may be lost. No more can be lost than there is.
    """
    if at_stake.cash_usd_e6 is None:
        return None
    by_limits = (limits.max_daily_loss_dollars + limits.max_cost_total_dollars) * USD_E6
    held = sum(item.cost_usd_e6 for item in at_stake.held)
    lost = max(-at_stake.result_today_usd_e6, 0)
    return min(by_limits, lost + at_stake.cash_usd_e6 + held)


async def _exchange_allows(tx: Transaction, account: str, at_stake: Exposure) -> int | None:
    """Return the most that the exchange itself would let be lost, whatever we do.

    All cash where contracts are bought, and all that is held. As long as nobody has read how the
    cash is divided, that is all of it.
    """
    row = await tx.fetch_one(
        "SELECT max(worst_loss_usd_e6) FROM ops.exchange_limits WHERE account = %s", account
    )
    if row is not None and row[0] is not None:
        return int(row[0])
    if at_stake.cash_usd_e6 is None:
        return None
    return at_stake.cash_usd_e6 + sum(item.cost_usd_e6 for item in at_stake.held)


async def price_history(
    tx: Transaction, environment: str, symbol: str, after_us: int, before_us: int
) -> list[tuple[int, int]]:
    """Return (at_us, price_usd_e6) of seconds, and of minutes before the first second, ascending."""
    span = (environment, symbol, as_datetime(after_us), as_datetime(before_us))
    seconds = await tx.fetch(
        "SELECT at, coalesce(index_usd_e6, spot_usd_e6) FROM market.prices"
        " WHERE environment = %s AND symbol = %s AND at > %s AND at < %s ORDER BY at",
        *span,
    )
    minutes = await tx.fetch(
        "SELECT at, close_usd_e6 FROM market.minutes"
        " WHERE environment = %s AND symbol = %s AND at > %s AND at < %s ORDER BY at",
        *span,
    )
    first = seconds[0][0] if seconds else None
    older = [row for row in minutes if first is None or row[0] < first]
    return [(time_us(at), price) for at, price in (*older, *seconds)]


async def overrides(tx: Transaction, account: str) -> Row | None:
    """Return the newest settings that a person made on top of the resource, or None."""
    rows = await fetch(
        tx,
        "generation, resource_generation, author, overrides, changed_at",
        "FROM trading.account_settings WHERE account = %s ORDER BY generation DESC LIMIT 1",
        account,
    )
    return rows[0] if rows else None


async def fetch(tx: Transaction, columns: str, tail: str, *params: object) -> list[Row]:
    """Return rows as mappings: ``*_at`` becomes ``*_at_us``, identifiers become text."""
    names = [_name(column) for column in "".join(columns.split()).split(",")]
    rows = await tx.fetch(f"SELECT {columns} {tail}", *params)
    return [dict(zip(names, map(_value, row), strict=True)) for row in rows]


def _name(column: str) -> str:
    column = column.rpartition(".")[2]
    if column.endswith("_at"):
        return f"{column}_us"
    return {"at": "at_us", "valid_until": "valid_until_us", "as_of": "as_of_us"}.get(column, column)


def _value(value: object) -> object:
    if isinstance(value, datetime):
        return time_us(value)
    return str(value) if isinstance(value, UUID) else value
