"""What trade_manager reads of a trade's facts and writes back."""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from uuid import UUID

from recio.domain.intents import Purpose
from recio.domain.orders import BookSide, OrderState
from recio.domain.trade_book import Figures, FillFact, OrderFact, SettlementFact
from recio.domain.trades import Trade, TradeState
from recio.domain.units import as_datetime, time_us
from recio.ports import Query, Transaction

_LIVE: Final = "account = %s AND state NOT IN ('closed', 'settled', 'abandoned')"


class Waiting(NamedTuple):
    """The trades whose facts may have changed (the live ones), and when the next of them closes."""

    trades: list[UUID]
    next_close_us: int | None


async def waiting(tx: Transaction, account: str, now_us: int) -> Waiting:
    """Return what there is to fold."""
    live, closes = await tx.fetch_many(
        Query(f"SELECT trade_id FROM trading.trades WHERE {_LIVE} ORDER BY number", (account,)),  # noqa: S608
        Query(
            f"SELECT min(close_at) FROM trading.trades WHERE {_LIVE} AND close_at > %s",  # noqa: S608
            (account, as_datetime(now_us)),
        ),
    )
    close_at = closes[0][0]
    return Waiting([row[0] for row in live], None if close_at is None else time_us(close_at))


class Facts(NamedTuple):
    """What a trade is folded from."""

    orders: list[OrderFact]
    settlement: SettlementFact | None
    fills: list[FillFact]


async def facts_of(tx: Transaction, trade: Trade) -> Facts:
    """Return a trade's facts, fills read last and oldest first."""
    orders, settled, fills = await tx.fetch_many(
        Query(
            "SELECT purpose, state, filled_qty_e2, booked_qty_e2 FROM trading.orders "
            "WHERE trade_id = %s ORDER BY created_at, order_id",
            (trade.trade_id,),
        ),
        Query(
            "SELECT result, yes_qty_e2 - no_qty_e2, revenue_usd_e6 FROM trading.settlements "
            "WHERE account = %s AND market_ticker = %s",
            (trade.account, trade.market_ticker),
        ),
        Query(
            "SELECT book_side, yes_price_e4, qty_e2, fee_usd_e6, at FROM trading.fills "
            "WHERE trade_id = %s ORDER BY at, fill_id",
            (trade.trade_id,),
        ),
    )
    return Facts(
        [OrderFact(Purpose(row[0]), OrderState(row[1]), row[2], row[3]) for row in orders],
        SettlementFact(*settled[0]) if settled else None,
        [FillFact(BookSide(row[0]), row[1], row[2], row[3], time_us(row[4])) for row in fills],
    )


async def write_figures(
    tx: Transaction,
    trade_id: UUID,
    sums: Figures,
    state: TradeState,
    *,
    settlement_usd_e6: int | None,
    pnl_usd_e6: int | None,
    symbol_close_usd_e6: int | None,
    close_reason: str,
    at_us: int,
) -> None:
    """Write a trade's figures and its (next) state; unchanged rows are left alone."""
    values: tuple[Any, ...] = (
        state.value,
        sums.filled_qty_e2,
        sums.exited_qty_e2,
        sums.entry_cost_usd_e6,
        sums.exit_proceeds_usd_e6,
        sums.fees_usd_e6,
        settlement_usd_e6,
        pnl_usd_e6,
        None if sums.opened_at_us is None else as_datetime(sums.opened_at_us),
        as_datetime(at_us) if pnl_usd_e6 is not None else None,
        symbol_close_usd_e6,
        close_reason,
    )
    await tx.execute(
        "UPDATE trading.trades SET state = n.state, filled_qty_e2 = n.filled, "
        "exited_qty_e2 = n.exited, entry_cost_usd_e6 = n.cost, exit_proceeds_usd_e6 = n.proceeds, "
        "fees_usd_e6 = n.fees, settlement_usd_e6 = n.settlement, pnl_usd_e6 = n.pnl, "
        "opened_at = n.opened, "
        "ended_at = CASE WHEN n.ended IS NULL THEN NULL ELSE coalesce(ended_at, n.ended) END, "
        "symbol_close_usd_e6 = coalesce(symbol_close_usd_e6, n.symbol_close), "
        "close_reason = n.reason, changed_at = %s "
        "FROM (VALUES (%s::trading.trade_state, %s::bigint, %s::bigint, %s::bigint, %s::bigint, "
        "%s::bigint, %s::bigint, %s::bigint, %s::timestamptz, %s::timestamptz, %s::bigint, "
        "%s::text)) AS n (state, filled, exited, cost, proceeds, fees, settlement, pnl, opened, "
        "ended, symbol_close, reason) "
        "WHERE trade_id = %s AND (trades.state <> n.state OR filled_qty_e2 <> n.filled "
        "OR exited_qty_e2 <> n.exited OR fees_usd_e6 <> n.fees "
        "OR settlement_usd_e6 IS DISTINCT FROM n.settlement OR pnl_usd_e6 IS DISTINCT FROM n.pnl)",
        as_datetime(at_us),
        *values,
        trade_id,
    )


async def exit_reason(tx: Transaction, trade_id: UUID) -> str:
    """Return why a trade was sold: the source of its last exit that filled; external if none did."""
    row = await tx.fetch_one(
        "SELECT i.source, i.reason FROM trading.orders o JOIN trading.intents i USING (intent_id) "
        "WHERE o.trade_id = %s AND o.purpose = 'exit' AND o.booked_qty_e2 > 0 "
        "ORDER BY o.created_at DESC LIMIT 1",
        trade_id,
    )
    return f"{row[0]}: {row[1]}" if row else "external: sold outside this system"


async def price_at(tx: Transaction, environment: str, symbol: str, at_us: int) -> int | None:
    """Return the symbol's last known price at or up to a minute before a time."""
    row = await tx.fetch_one(
        "SELECT coalesce(index_usd_e6, spot_usd_e6) FROM market.prices "
        "WHERE environment = %s AND symbol = %s AND at <= %s AND at > %s - interval '1 minute' "
        "ORDER BY at DESC LIMIT 1",
        environment,
        symbol,
        as_datetime(at_us),
        as_datetime(at_us),
    )
    return None if row is None else int(row[0])
