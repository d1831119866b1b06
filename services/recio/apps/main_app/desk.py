"""The parts that every route needs, and how a route gets them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from recio.apps.main_app.accounts import Accounts
from recio.apps.main_app.board import Board
from recio.apps.main_app.hub import Hub
from recio.apps.main_app.market import Market
from recio.apps.main_app.sessions import Attempts, Session, Sessions
from recio.domain.account_config import AccountConfig
from recio.ports import Clock, Database, Ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What main_app is made of."""

    environment: str
    clock: Clock
    clock_of: Callable[[str], Clock]
    ids: Ids
    database: Database
    board: Board
    market: Market
    accounts: Accounts
    sessions: Sessions
    attempts: Attempts
    hub: Hub
    is_secure: bool
    session_seconds: int

    def environment_of(self, account: str) -> str:
        """Return an account's environment.

        Raises:
            HTTPException: 404, there is no such account.
        """
        environment = self.accounts.environments.get(account)
        if environment is None:
            raise HTTPException(404, f"no account is called {account!r}")
        return environment

    def clock_of_account(self, account: str) -> Clock:
        """Return the clock of an account's environment."""
        return self.clock_of(self.environment_of(account))

    def config_of(self, account: str) -> AccountConfig:
        """Return an account's configuration.

        Raises:
            HTTPException: 409, its document cannot be read.
        """
        config = self.accounts.configs.get(account)
        if config is None:
            raise HTTPException(409, f"the document of {account!r} cannot be read")
        return config

    def account_or_first(self, account: str | None) -> str:
        """Return the account, or the first one when none is named.

        Raises:
            HTTPException: 404, there is no such account, or none at all.
        """
        name = account or next(iter(self.accounts.environments), None)
        if name is None:
            raise HTTPException(404, "there is no account yet")
        self.environment_of(name)
        return name


def desk_of(request: Request) -> Desk:
    """Return the parts; a FastAPI dependency."""
    desk: Desk = request.app.state.desk
    return desk


def session_of(request: Request) -> Session:
    """Return who asks; the gate has made sure that there is a session."""
    session: Session = request.state.session
    return session


DeskPart = Annotated[Desk, Depends(desk_of)]
Person = Annotated[Session, Depends(session_of)]
