"""What the exchange tells of an account and is not believed: shown, and decided by a person."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import msgspec
from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from recio.adapters.postgres import disputes
from recio.apps.main_app.desk import DeskPart, Person
from recio.domain.disputes import BOOKABLE, Dispute, Reason, may_pass
from recio.domain.errors import Rejected

router = APIRouter(tags=["controls"])

SHOWN: Final = 50


class Decision(BaseModel):
    """A person's decision: accepted, it is booked as it was told; else it stays out of the books."""

    account: str = Field(max_length=32)
    accept: bool
    note: str = Field(default="", max_length=200)


@router.get("/api/disputes")
async def newest(desk: DeskPart, account: str | None = None) -> list[dict[str, Any]]:
    """Return the newest disputes, undecided ones first, with the evidence."""
    name = desk.account_or_first(account)
    async with desk.database.transaction() as tx:
        return [_shown(each) for each in await disputes.newest(tx, name, SHOWN)]


@router.post("/api/disputes/{dispute_id}")
async def decide(
    dispute_id: UUID, body: Decision, desk: DeskPart, person: Person
) -> list[dict[str, Any]]:
    """Accept or discard one; account sync books what is accepted, and releases the entries."""
    clock = desk.clock_of_account(body.account)
    async with desk.database.transaction() as tx:
        try:
            await disputes.decide(
                tx,
                body.account,
                dispute_id,
                is_accepted=body.accept,
                note=body.note.strip(),
                author=person.name,
                at_us=clock.market_us(),
            )
        except Rejected as error:
            raise HTTPException(409, str(error)) from error
        return [_shown(each) for each in await disputes.newest(tx, body.account, SHOWN)]


def _shown(dispute: Dispute) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(dispute)
    return row | {
        "can_pass": may_pass(dispute.reason),
        "can_accept": dispute.reason in BOOKABLE,
        "can_discard": dispute.reason is not Reason.CASH_DIFFERS,
    }
