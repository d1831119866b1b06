"""A person's orders: preview, and the intent that the gate judges."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Header, HTTPException, Response
from pydantic import BaseModel, Field

from recio.adapters.postgres.intents import propose
from recio.apps.main_app import reads, tickets
from recio.apps.main_app.desk import Desk, DeskPart, Person
from recio.domain.errors import Rejected
from recio.domain.intents import Intent, Purpose
from recio.ports import Transaction

router = APIRouter(tags=["orders"])

_SAME = ("account", "purpose", "market_ticker", "side", "qty_e2", "limit_price_e4", "trade_id")


class OrderWish(BaseModel):
    """What a person wants to do in one market."""

    account: str = Field(max_length=32)
    purpose: Literal["entry", "exit"]
    market_ticker: str = Field(max_length=64)
    side: Literal["yes", "no"]
    qty_e2: int = Field(ge=1, le=10**9, description="1e-2 contract")
    trade_id: UUID | None = None
    slippage_e4: int = Field(default=100, ge=0, le=2000, description="1e-4 dollar")

    def ticket(self, limit_price_e4: int | None = None) -> tickets.Ticket:
        """Return it as the domain has it."""
        return tickets.Ticket(
            account=self.account,
            purpose=Purpose(self.purpose),
            market_ticker=self.market_ticker,
            side=self.side,
            qty_e2=self.qty_e2,
            trade_id=self.trade_id,
            slippage_e4=self.slippage_e4,
            limit_price_e4=limit_price_e4,
        )


class Order(OrderWish):
    """A confirmed wish: the limit price is the one that the preview showed."""

    limit_price_e4: int = Field(ge=1, le=9999)


@router.post("/api/preview")
async def preview(body: OrderWish, desk: DeskPart, person: Person) -> dict[str, Any]:
    """Return price, fee, cost, worst case and edge, what the gate would say, and a fresh key."""
    key = desk.ids.fresh()
    async with desk.database.transaction() as tx:
        try:
            sight = await _see(tx, desk, body.ticket())
            clock = desk.clock_of_account(body.ticket().account)
            wish = tickets.intent(body.ticket(), sight, key=key, clock=clock, name=person.name)
        except Rejected as error:
            raise HTTPException(409, str(error)) from error
        shown = await tickets.preview(tx, wish, sight)
    return {**shown, "idempotency_key": key}


@router.post("/api/intents", status_code=202)
async def confirm(
    body: Order,
    desk: DeskPart,
    person: Person,
    response: Response,
    idempotency_key: Annotated[UUID, Header()],
) -> dict[str, Any]:
    """Hand a confirmed order to the gate: 202 the first time, 200 for the same one again."""
    ticket = body.ticket(body.limit_price_e4)
    async with desk.database.transaction() as tx:
        try:
            sight = await _see(tx, desk, ticket)
        except Rejected as error:
            raise HTTPException(409, str(error)) from error
        clock = desk.clock_of_account(ticket.account)
        wish = tickets.intent(ticket, sight, key=idempotency_key, clock=clock, name=person.name)
        is_new = await propose(tx, wish)
        held = await reads.intent(tx, wish.intent_id)
    assert held is not None
    if not is_new:
        _refuse_other(wish, held)
        response.status_code = 200
    return held


async def _see(tx: Transaction, desk: Desk, ticket: tickets.Ticket) -> tickets.Sight:
    return await tickets.see(
        tx,
        desk.market,
        ticket,
        environment=desk.environment_of(ticket.account),
        config=desk.config_of(ticket.account),
    )


def _refuse_other(wish: Intent, held: dict[str, Any]) -> None:
    for name in _SAME:
        new = getattr(wish, name)
        new = str(new) if isinstance(new, UUID) else new
        if new != held[name]:
            raise HTTPException(
                422, f"this Idempotency-Key was used with {name} {held[name]}, not {new}"
            )
