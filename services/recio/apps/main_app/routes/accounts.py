"""Accounts, their money and their lists: read from the database when asked."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query

from recio.adapters.postgres.day_cards import read_cards, shadow_words
from recio.apps.main_app import reads
from recio.apps.main_app.desk import DeskPart
from recio.domain import figures
from recio.domain.account_config import Mode
from recio.runtime import modes

router = APIRouter(tags=["accounts"])

Limit = Annotated[int, Query(ge=1, le=1000)]
Days = Annotated[int, Query(ge=1, le=90)]


class Section(StrEnum):
    """The lists of an account."""

    TRADES = "trades"
    FILLS = "fills"
    POSITIONS = "positions"
    SETTLEMENTS = "settlements"
    ORDERS = "orders"
    INTENTS = "intents"


@router.get("/api/accounts")
async def accounts(desk: DeskPart) -> list[dict[str, Any]]:
    """Return every account with its environment and mode."""
    async with desk.database.transaction() as tx:
        return await reads.accounts(tx)


@router.get("/api/account/balance")
async def balance(desk: DeskPart, account: str | None = None) -> dict[str, Any]:
    """Return cash, equity and what is at risk against the limits."""
    name = desk.account_or_first(account)
    config = desk.config_of(name)
    async with desk.database.transaction() as tx:
        money = await reads.money(tx, name, config.risk, desk.clock_of_account(name).market_us())
    return {"account": name, "mode": config.mode.value, **money}


@router.get("/api/day_cards")
async def day_cards(desk: DeskPart, account: str | None = None, days: Days = 7) -> dict[str, Any]:
    """Return what each New York day was worth after fees, beside the market's own price.

    ``shadow``: of a prod account what shadow accounts of the same strategy earned, in words, or that
    there is none; None in the other modes.
    """
    name = desk.account_or_first(account)
    now_us = desk.clock_of_account(name).market_us()
    async with desk.database.transaction() as tx:
        found = await read_cards(tx, name, days=days, now_us=now_us)
        is_real = modes.is_real_money(Mode(found.mode))
        shadow = await shadow_words(tx, name, now_us=now_us) if is_real else None
    return {**msgspec.to_builtins(found), "shadow": shadow}


@router.get("/api/auto_entry_indicator")
@router.get("/api/get_auto_entry_status")
async def automation(desk: DeskPart, account: str | None = None) -> dict[str, Any]:
    """Return ACTIVE, INACTIVE, PAUSED or DISABLED with the reasons; None before its first word."""
    name = desk.account_or_first(account)
    async with desk.database.transaction() as tx:
        row = await reads.automation(tx, name)
    return {"account": name, **(row or {"status": None, "body": {}, "changed_at_us": None})}


@router.get("/api/db/{section}")
async def rows(
    desk: DeskPart, section: Section, account: str | None = None, limit: Limit = 100
) -> list[dict[str, Any]]:
    """Return the newest rows of one list."""
    name = desk.account_or_first(account)
    async with desk.database.transaction() as tx:
        return await reads.newest(tx, section.value, name, limit)


@router.get("/api/statistics")
async def statistics(desk: DeskPart, account: str | None = None) -> dict[str, Any]:
    """Return what the account's ended trades were worth after fees, and how chances came true."""
    name = desk.account_or_first(account)
    async with desk.database.transaction() as tx:
        ended = await reads.ended_trades(tx, name)
    return {
        "account": name,
        **msgspec.to_builtins(figures.figures(ended)),
        "calibration": msgspec.to_builtins(figures.calibration(ended)),
    }
