"""Switches and settings: a person's own row, a person's own edits."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from recio.adapters.postgres.config import newest_overrides, save_overrides
from recio.adapters.postgres.switches import ALL_ACCOUNTS, set_switch
from recio.apps.main_app import reads, settings_view
from recio.apps.main_app.desk import Desk, DeskPart, Person
from recio.domain.account_config import Trading
from recio.domain.errors import Rejected

router = APIRouter(tags=["controls"])

SOURCE: Final = "person"
"""The source of every row that this API sets; rows of other sources it cannot touch."""


class SwitchWish(BaseModel):
    """A person's switch. ``scope`` is an account or ``*``; ``Active`` releases the person's row."""

    scope: str = Field(max_length=32)
    state: Trading
    reason: str = Field(default="", max_length=200)


class Edits(BaseModel):
    """Settings to change, by the document's own names; null takes an edit back."""

    account: str = Field(max_length=32)
    strategy: dict[str, Any] = Field(default_factory=dict)
    risk: dict[str, Any] = Field(default_factory=dict)


class OnOff(BaseModel):
    """One automation on or off."""

    enabled: bool
    account: str | None = Field(default=None, max_length=32)


@router.get("/api/switches")
async def switches(desk: DeskPart, account: str | None = None) -> list[dict[str, Any]]:
    """Return the row of every source for the account and for all accounts."""
    name = desk.account_or_first(account)
    async with desk.database.transaction() as tx:
        return await reads.switches(tx, name)


@router.post("/api/switches")
async def set_a_switch(body: SwitchWish, desk: DeskPart, person: Person) -> list[dict[str, Any]]:
    """Set or release this person's row; the strictest row of all sources wins."""
    is_of_all = body.scope == ALL_ACCOUNTS
    clock = desk.clock if is_of_all else desk.clock_of_account(body.scope)
    reason = body.reason.strip() or f"{body.state.value} by hand"
    async with desk.database.transaction() as tx:
        await set_switch(
            tx,
            body.scope,
            SOURCE,
            body.state,
            reason=reason,
            author=person.name,
            at_us=clock.market_us(),
        )
        return await reads.switches(tx, body.scope)


@router.get("/api/settings")
async def settings(desk: DeskPart, account: str | None = None) -> dict[str, Any]:
    """Return what counts now, the person's edits and the bounds of every setting."""
    name = desk.account_or_first(account)
    async with desk.database.transaction() as tx:
        return await settings_view.view(tx, name)


@router.post("/api/settings")
async def edit_settings(body: Edits, desk: DeskPart, person: Person) -> dict[str, Any]:
    """Lay edits over the resource: strategy inside its bounds, limits only tighter."""
    desk.environment_of(body.account)
    unknown = body.strategy.keys() - set(settings_view.EDITABLE)
    if unknown:
        raise HTTPException(
            422, f"expected {', '.join(settings_view.EDITABLE)}, received {sorted(unknown)}"
        )
    return await _save(
        desk, body.account, person.name, {"strategy": body.strategy, "risk": body.risk}
    )


@router.post("/api/set_auto_entry")
async def set_auto_entry(body: OnOff, desk: DeskPart, person: Person) -> dict[str, Any]:
    """Switch automatic entries on or off."""
    edits = {"strategy": {"autoEntry": {"enabled": body.enabled}}}
    return await _save(desk, desk.account_or_first(body.account), person.name, edits)


@router.post("/api/set_auto_stop")
async def set_auto_stop(body: OnOff, desk: DeskPart, person: Person) -> dict[str, Any]:
    """Switch the probability stop on or off."""
    edits = {"strategy": {"autoStop": {"probability": {"enabled": body.enabled}}}}
    return await _save(desk, desk.account_or_first(body.account), person.name, edits)


async def _save(desk: Desk, account: str, author: str, edits: dict[str, Any]) -> dict[str, Any]:
    async with desk.database.transaction() as tx:
        # Two pages that save at once: the second one lays its edits over the first one's.
        await tx.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", f"settings {account}")
        merged = settings_view.merge(await newest_overrides(tx, account), edits)
        try:
            at_us = desk.clock_of_account(account).market_us()
            await save_overrides(tx, account, merged, author=author, at_us=at_us)
        except Rejected as error:
            raise HTTPException(422, str(error)) from error
        return await settings_view.view(tx, account)
