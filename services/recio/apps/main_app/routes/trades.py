"""Trades: lists, one trade, and the chain from the decision to the settlement."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, HTTPException

from recio.adapters.postgres.chain import chain
from recio.apps.main_app import reads, valuation
from recio.apps.main_app.desk import DeskPart
from recio.domain.trades import TradeState

router = APIRouter(tags=["trades"])


@router.get("/trades")
@router.get("/api/trades")
async def trades(
    desk: DeskPart, account: str | None = None, status: TradeState | None = None
) -> list[dict[str, Any]]:
    """Return the trades that are not over and the newest hundred others."""
    name = desk.account_or_first(account)
    async with desk.database.transaction() as tx:
        found = await reads.trades(tx, name)
    return [row for row in found if status in (None, row["state"])]


@router.get("/api/active_trades")
async def active_trades(desk: DeskPart, account: str | None = None) -> list[dict[str, Any]]:
    """Return what is held now, valued at the newest snapshot."""
    name = desk.account_or_first(account)
    environment = desk.environment_of(name)
    async with desk.database.transaction() as tx:
        found = await reads.trades(tx, name)
    model = desk.accounts.model_of(name)
    return [
        {
            **row,
            "value": valuation.value(
                row, desk.market.find_row(environment, row["market_ticker"]), model
            ),
        }
        for row in found
        if valuation.is_held(row)
    ]


@router.get("/trades/{trade_id}")
@router.get("/api/trades/{trade_id}")
async def trade(desk: DeskPart, trade_id: UUID) -> dict[str, Any]:
    """Return one trade."""
    async with desk.database.transaction() as tx:
        found = await reads.trade(tx, trade_id)
    if found is None:
        raise HTTPException(404, f"there is no trade {trade_id}")
    return found


@router.get("/api/trace/{wanted}")
async def trace(desk: DeskPart, wanted: str) -> dict[str, Any]:
    """Return the chain of a trade, or of a refused intent: as `recio trace` prints it.

    ``wanted`` is any id of it: trade, intent, order, fill or decision, or account#number.
    """
    async with desk.database.transaction() as tx:
        found = await chain(tx, wanted)
    if found is None:
        raise HTTPException(404, f"nothing has the id {wanted!r}")
    answer: dict[str, Any] = msgspec.to_builtins(found)
    return answer
