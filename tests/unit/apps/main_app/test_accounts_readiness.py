"""The page says whether the database answers, also while nobody watches an account."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from recio.adapters.postgres.failures import DatabaseUnavailable
from recio.apps.main_app.accounts import Accounts
from recio.apps.main_app.board import Board
from recio.apps.main_app.market import Market
from recio.runtime.clock import WallClock


class Rows:
    """A transaction in which there are no accounts."""

    async def fetch(self, _sql, *_params):
        """Return nothing."""
        return []


class Database:
    """A database that can be away."""

    is_away = False

    @asynccontextmanager
    async def transaction(self):
        """Hand out a transaction, or fail as the real one does."""
        if self.is_away:
            raise DatabaseUnavailable("no connection")
        yield Rows()


@pytest.mark.parametrize("outages", [1, 2])
def test_the_page_is_ready_again_when_the_database_is_back_and_nobody_watches(outages):
    """Rule: readiness needs no visitor; else a page that is not ready would stay so for ever."""
    database, clock, board = Database(), WallClock(), Board()

    def clock_of(_environment):
        return clock

    books = Accounts(database, clock, board, Market(clock_of, board), clock_of=clock_of)

    async def looked():
        await books._look_for_others()
        return books.reason

    for _ in range(outages):
        database.is_away = True
        assert "no connection" in asyncio.run(looked())
        database.is_away = False
        assert not asyncio.run(looked())
