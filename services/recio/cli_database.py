"""Where commands find the database: an option, a variable, or the local run's own server.

In a container of a release the variables name the server and a file holds the login's password, so
that `kubectl exec deploy/recio-main-app -- recio accounts` needs no option.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

from recio.adapters.postgres.database import PostgresDatabase
from recio.cli_login import direct_address, logged_in
from recio.domain.errors import Broken, Rejected
from recio.ports import Clock, Database
from recio.runtime import settings
from recio.runtime.clock import AcceleratedClock, NoMarketTime, WallClock, load_market_time
from recio.runtime.local.embedded import EmbeddedPostgres
from recio.runtime.local.options import DATABASE

STATE: Final = Path(".state")

T = TypeVar("T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say which database is meant."""
    parser.add_argument("--database-url", help="the database (RECIO_DATABASE_URL)")
    parser.add_argument(
        "--state", type=Path, default=STATE, help="or the state directory of a local run (.state)"
    )


def url(arguments: argparse.Namespace) -> str:
    """Return the database's address.

    Raises:
        Rejected: none is given and no local run is there.
    """
    if arguments.database_url:
        return str(arguments.database_url)
    values = settings.from_environment()
    given = direct_address(values)
    if given:
        return logged_in(given, values) if "RECIO_DATABASE_PASSWORDS_DIR" in values else given
    local = EmbeddedPostgres(arguments.state / "postgres")
    if not local.is_answering():
        raise Rejected(
            f"no local run in {arguments.state}: start `recio up`, or give --database-url or "
            "RECIO_DATABASE_URL"
        )
    return local.url(DATABASE)


def with_database(arguments: argparse.Namespace, work: Callable[[Database], Awaitable[T]]) -> T:
    """Run ``work`` with the database that the options mean."""

    async def run() -> T:
        database = PostgresDatabase(url(arguments), name="recio command")
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


async def clock_of(database: Database, environment: str) -> Clock:
    """Return the clock of an environment as it runs now."""
    try:
        return AcceleratedClock(await load_market_time(database, environment))
    except (Broken, NoMarketTime):
        return WallClock()


async def environment_of(database: Database, account: str) -> str:
    """Return the environment of an account.

    Raises:
        Rejected: there is no such account; the message names those that are.
    """
    async with database.transaction() as tx:
        rows = dict(await tx.fetch("SELECT account, environment FROM trading.accounts"))
    if account not in rows:
        raise Rejected(
            f"no account is called {account!r}; there are {', '.join(sorted(rows)) or 'none'}"
        )
    return str(rows[account])
