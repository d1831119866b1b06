"""Makes a release's database ready: schema, logins with passwords, environments, the first user.

The one way of it, for a local run and for a release on Kubernetes. All of it may be done again at any
time, by several at once (they take turns under the migrations' lock), by an owner who is no
superuser but may make roles (CREATEROLE). No password is sent to the server: it gets verifiers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql

from recio.adapters.postgres import migrate, scram, users
from recio.adapters.postgres.database import PostgresDatabase
from recio.adapters.postgres.failures import DatabaseUnavailable, failure
from recio.domain.account_config import Mode
from recio.domain.errors import Broken
from recio.ports import Database
from recio.runtime import modes
from recio.runtime.clock import adopt_by_the_wall, begin_by_the_wall, wall_us
from recio.runtime.passwords import hash_password
from recio.runtime.settings import PriceSource, masked_url

ADMIN: Final = "admin"
TIMEOUT_S: Final = 600.0
PAUSE_S: Final = 1.0
TELL_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 10

Say = Callable[[str], None]


class EnvironmentSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An environment of the release.

    ``start_us`` is where the market time of a paper environment with recorded prices begins; None
    leaves that to its exchange, which knows its recording.
    """

    name: str
    mode: Mode
    price_source: PriceSource = PriceSource.RECORDING
    start_us: int | None = None


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: the migrations applied now, and whether the first user was made now."""

    migrations: tuple[str, ...]
    is_user_new: bool


def prepare_release(
    owner_url: str,
    *,
    logins: Mapping[str, str],
    environments: Sequence[EnvironmentSpec],
    say: Say,
    page_password: str | None = None,
    is_page_password_new: bool = False,
    timeout_s: float = TIMEOUT_S,
    is_pre_only: bool = False,
    is_rollback: bool = True,
) -> Prepared:
    """Bring a release's database to where its services can start.

    Args:
        owner_url: the server itself, no pooler; a login that owns the database and may make roles.
        logins: the password of each login of ours.
        environments: those of the release.
        say: prints one line of progress for a person.
        page_password: of the first user of the page, made if there is none.
        is_page_password_new: nobody knows another one, so the user of a restored database gets it.
        timeout_s: how long to wait for a database that does not answer yet.
        is_pre_only: leave out what the previous version of the code cannot live with.
        is_rollback: take a database that a newer version has prepared, as long as ours can live
            with it.

    Raises:
        DatabaseUnavailable: it did not answer in time, or went away.
        Broken: the login may not do it, or the files and the database do not fit.
    """
    with _owner(owner_url, say, timeout_s) as connection:
        applied = migrate.migrate_over(
            connection,
            migrate.read(migrate.directory()),
            is_pre_only=is_pre_only,
            is_rollback=is_rollback,
            say=say,
        )
        say(f"the schema is up to date ({len(applied)} migrations applied now)")
        give_passwords(connection, logins)
        if logins:
            say(f"{len(logins)} logins have their passwords")
        is_user_new = asyncio.run(
            _rows(owner_url, environments, page_password, is_new=is_page_password_new)
        )
        if is_user_new:
            say(f"made the user {ADMIN} of the page")
    return Prepared(migrations=tuple(applied), is_user_new=is_user_new)


def give_passwords(connection: psycopg.Connection[Any], logins: Mapping[str, str]) -> None:
    """Give each login its password, all of them or none.

    Raises:
        Broken: there is no such login, or it is not ours to change.
    """
    with connection.transaction():
        for login, password in sorted(logins.items()):
            verifier = sql.Literal(scram.verifier(login, password))
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(login), verifier)
            try:
                connection.execute(statement)
            except (
                psycopg.errors.UndefinedObject,
                psycopg.errors.InsufficientPrivilege,
            ) as error:
                raise Broken(
                    f"cannot give the login {login} its password: {error.diag.message_primary}"
                ) from error


@contextmanager
def _owner(url: str, say: Say, timeout_s: float) -> Iterator[psycopg.Connection[Any]]:
    """Connect, waiting for a server that is not there yet."""
    deadline_s = time.monotonic() + timeout_s
    connection = _connected(url, say, deadline_s)
    try:
        with connection:
            yield connection
    except psycopg.Error as error:
        if error.sqlstate:
            raise failure(error.sqlstate, str(error)) from error
        raise DatabaseUnavailable(f"the database went away: {_one_line(error)}") from error


def _connected(url: str, say: Say, deadline_s: float) -> psycopg.Connection[Any]:
    told_s = time.monotonic() - TELL_S
    while True:
        try:
            return psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)
        except psycopg.ProgrammingError as error:
            raise Broken(
                "expected the address of a database such as postgresql://owner@host/recio, "
                f"received {masked_url(url)!r}: {_one_line(error)}"
            ) from error
        except psycopg.OperationalError as error:
            now_s = time.monotonic()
            if now_s > deadline_s:
                raise DatabaseUnavailable(
                    f"{masked_url(url)} did not answer in time: {_one_line(error)}"
                ) from error
            if now_s >= told_s + TELL_S:
                told_s = now_s
                say(f"waiting for the database: {_one_line(error)}")
            time.sleep(PAUSE_S)


async def _rows(
    url: str,
    environments: Sequence[EnvironmentSpec],
    page_password: str | None,
    *,
    is_new: bool,
) -> bool:
    """Write the rows of the environments and of the first user; tell whether that one is new."""
    database = PostgresDatabase(url, name="recio prepare")
    try:
        for environment in environments:
            await _begin(database, environment)
        return page_password is not None and await _add_first_user(
            database, page_password, is_new=is_new
        )
    finally:
        await database.close()


async def _begin(database: Database, environment: EnvironmentSpec) -> None:
    if not modes.has_own_clock(environment.mode):
        return
    is_live = environment.price_source is PriceSource.LIVE
    async with database.transaction() as tx:
        await adopt_by_the_wall(tx, environment.name)
        if is_live or environment.start_us is not None:
            start_us = None if is_live else environment.start_us
            await begin_by_the_wall(tx, environment.name, start_us=start_us)


async def _add_first_user(database: Database, password: str, *, is_new: bool) -> bool:
    async with database.transaction() as tx:
        if await users.has_users(tx):
            if is_new:
                hashed = hash_password(password)
                await users.replace_password(tx, ADMIN, hashed, at_us=wall_us())
            return False
        return await users.add_user(tx, ADMIN, hash_password(password), at_us=wall_us())


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
