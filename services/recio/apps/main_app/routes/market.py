"""Prices, momentum, time to close and strike tables, from memory; the original's paths among them."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, HTTPException

from recio.apps.main_app.desk import Desk, DeskPart
from recio.domain.messages import Snapshot
from recio.domain.units import SECOND_US

router = APIRouter(tags=["market"])


@router.get("/api/momentum")
@router.get("/api/momentum_score")
async def momentum(desk: DeskPart, symbol: str = "BTC") -> dict[str, Any]:
    """Return momentum with its six look-backs (1, 2, 3, 4, 15, 30 minutes) in 1e-6 percent."""
    snapshot = _front(desk, symbol)
    return {"symbol": symbol, "at_us": snapshot.at_us, **msgspec.to_builtins(snapshot.momentum)}


@router.get("/api/ttc")
@router.get("/api/unified_ttc/{symbol}")
async def time_to_close(desk: DeskPart, symbol: str = "BTC") -> dict[str, Any]:
    """Return the seconds of market time to the close of the next event."""
    snapshot = _front(desk, symbol)
    now_us = desk.clock.market_us()
    return {
        "symbol": symbol,
        "event_ticker": snapshot.event_ticker,
        "market_title": snapshot.title,
        "is_trading_active": snapshot.is_trading_active,
        "now_us": now_us,
        "close_us": snapshot.close_us,
        "ttc_seconds": max(0, (snapshot.close_us - now_us) // SECOND_US),
    }


@router.get("/api/strike_table")
@router.get("/api/strike_tables/{symbol}")
async def strike_table(
    desk: DeskPart, symbol: str = "BTC", event: str | None = None
) -> dict[str, Any]:
    """Return the newest snapshot of the next event, or of the one named."""
    table: dict[str, Any] = msgspec.to_builtins(_front(desk, symbol, event))
    return table


@router.get("/api/events")
async def events(desk: DeskPart) -> list[dict[str, Any]]:
    """Return the live events, the next to close first."""
    return [
        {
            "event_ticker": snapshot.event_ticker,
            "series_ticker": snapshot.series_ticker,
            "symbol": snapshot.symbol,
            "title": snapshot.title,
            "open_us": snapshot.open_us,
            "close_us": snapshot.close_us,
            "generation": snapshot.generation,
            "at_us": snapshot.at_us,
        }
        for snapshot in desk.market.live_events(desk.environment)
    ]


@router.get("/api/prices/{symbol}")
async def price(desk: DeskPart, symbol: str) -> dict[str, Any]:
    """Return index, spot, basis and every source of one symbol."""
    known = desk.market.prices.get((desk.environment, symbol))
    if known is None:
        raise HTTPException(404, f"no price of {symbol!r} has arrived")
    answer: dict[str, Any] = msgspec.to_builtins(known)
    return answer


@router.get("/api/system-health")
async def system_health(desk: DeskPart) -> dict[str, Any]:
    """Return what system_monitor measured of each service, and n of m healthy."""
    rows = [msgspec.to_builtins(item) for item in desk.market.health.values()]
    return {
        "services": rows,
        "services_healthy": sum(row["is_ready"] for row in rows),
        "services_total": len(rows),
        "database_reason": desk.accounts.reason,
    }


def _front(desk: Desk, symbol: str, event: str | None = None) -> Snapshot:
    for snapshot in desk.market.live_events(desk.environment):
        if snapshot.symbol == symbol and event in (None, snapshot.event_ticker):
            return snapshot
    raise HTTPException(503, f"no strike table of {event or symbol} is known")
