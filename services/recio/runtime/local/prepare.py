"""What a local run adds to a prepared database: accounts with their logins, clock, first user."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from recio.adapters.postgres import config, scram, status
from recio.adapters.postgres.database import PostgresDatabase
from recio.domain.account_config import AccountConfig
from recio.domain.errors import Unavailable
from recio.ports import Clock, Database
from recio.runtime.clock import AcceleratedClock, MarketTime, start_market_time

EnsureAdmin = Callable[[Database, Clock], Awaitable[str | None]]
"""Makes the first user of the page and returns the password, or None if there is one already."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What came of it. ``password`` is new and shown once."""

    market_time: MarketTime
    password: str | None


def create_database(server_url: str, name: str) -> None:
    """Create the database unless it is there."""
    try:
        with psycopg.connect(server_url, autocommit=True) as connection:
            row = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            if row.fetchone() is None:
                connection.execute(f'CREATE DATABASE "{name}"')
    except psycopg.Error as error:
        raise Unavailable(f"cannot create the database {name}: {error}") from error


async def prepare(
    url: str,
    accounts: Sequence[tuple[Mapping[str, Any], AccountConfig]],
    *,
    environment: str,
    start_us: int,
    at_least_us: int,
    speed: int,
    passwords: Mapping[str, str],
    ensure_admin: EnsureAdmin,
) -> Prepared:
    """Start market time, apply the account documents, make logins and the first user.

    ``passwords`` are those of the accounts' logins; one that has none keeps what it has.

    Raises:
        InvalidValue: a document changes what must stay.
    """
    database = PostgresDatabase(url, name="recio up")
    try:
        market_time = await start_market_time(
            database, environment, start_us=start_us, speed=speed, at_least_us=at_least_us
        )
        clock = AcceleratedClock(market_time)
        for document, account in accounts:
            async with database.transaction() as tx:
                login = config.account_login(account.name)
                given = passwords.get(login)
                verifier = None if given is None else scram.verifier(login, given)
                await status.set_account_login(tx, account.name, verifier)
                await config.apply_account(
                    tx,
                    document,
                    environment=environment,
                    at_us=clock.market_us(),
                    author="recio up",
                )
        return Prepared(market_time, await ensure_admin(database, clock))
    finally:
        await database.close()
