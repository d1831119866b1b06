"""Log in and out, and one's own password."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, Field

from recio.apps.main_app.desk import Desk, DeskPart, Person
from recio.apps.main_app.sessions import COOKIE, Session
from recio.domain.units import SECOND_US
from recio.runtime.passwords import LONGEST

router = APIRouter(tags=["session"])


class Login(BaseModel):
    """Who wants in."""

    username: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=1, max_length=LONGEST)


class NewPassword(BaseModel):
    """A change of password."""

    old: str = Field(min_length=1, max_length=LONGEST)
    new: str = Field(min_length=10, max_length=LONGEST)


class Who(BaseModel):
    """The person of a session."""

    name: str | None
    expires_us: int | None = None


@router.post("/api/auth/login")
async def log_in(body: Login, request: Request, response: Response, desk: DeskPart) -> Who:
    """Open a session; five failures a minute of one name or address make it wait."""
    now = desk.clock.wall_us()
    keys = (f"name {body.username}", f"address {request.client.host if request.client else ''}")
    wait_us = max(desk.attempts.wait_us(key, now) for key in keys)
    if wait_us:
        seconds = -(-wait_us // SECOND_US)
        raise HTTPException(
            429, f"too many failed attempts: wait {seconds} s", {"Retry-After": str(seconds)}
        )
    opened = await desk.sessions.open(body.username, body.password)
    if opened is None:
        for key in keys:
            desk.attempts.fail(key, now)
        raise HTTPException(401, "unknown name or wrong password")
    token, session = opened
    _set_cookie(response, desk, token, desk.session_seconds)
    return _who(session)


@router.post("/api/auth/logout")
async def log_out(response: Response, desk: DeskPart, person: Person) -> dict[str, Any]:
    """End this session."""
    await desk.sessions.end(person)
    _set_cookie(response, desk, "", 0)
    return {"is_logged_out": True}


@router.get("/api/auth/verify")
async def verify(request: Request) -> Who:
    """Return who is logged in; the name is null when nobody is."""
    session: Session | None = request.state.session
    return Who(name=None) if session is None else _who(session)


@router.get("/api/user/info")
async def who(person: Person) -> Who:
    """Return who is logged in."""
    return _who(person)


@router.post("/api/user/change-password")
async def change_password(body: NewPassword, desk: DeskPart, person: Person) -> dict[str, Any]:
    """Change one's password; all other sessions of the person end."""
    if not await desk.sessions.change_password(person, body.old, body.new):
        raise HTTPException(403, "the old password is wrong")
    return {"is_changed": True}


def _who(session: Session) -> Who:
    return Who(name=session.name, expires_us=session.expires_us)


def _set_cookie(response: Response, desk: Desk, value: str, seconds: int) -> None:
    response.set_cookie(
        COOKIE,
        value,
        max_age=seconds,
        path="/",
        httponly=True,
        samesite="strict",
        secure=desk.is_secure,
    )
