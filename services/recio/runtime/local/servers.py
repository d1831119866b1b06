"""The servers of a local run: embedded ones, or those that the options name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final

import psycopg
import uvloop

from recio.adapters.postgres.failures import DatabaseUnavailable
from recio.adapters.redis.resp import CONNECT_TIMEOUT_S, connect, parse_address
from recio.domain.errors import Broken, Unavailable
from recio.runtime import settings
from recio.runtime.local import prepare
from recio.runtime.local.embedded import EmbeddedPostgres, EmbeddedRedis
from recio.runtime.local.options import DATABASE, UpOptions
from recio.runtime.local.state import StateDirectory

POSTGRES_SETTINGS: Final = (
    "shared_buffers=32MB",
    "max_connections=200",
    "wal_compression=on",
    "max_wal_size=256MB",
    "jit=off",
    "random_page_cost=1.1",
    "log_min_duration_statement=1000",
)
"""fsync and synchronous_commit stay on: what was confirmed survives a power cut."""

_RIGHTS: Final = """
    SELECT current_user::text, current_database()::text, rolcreaterole OR rolsuper,
           has_database_privilege(current_database(), 'CREATE'),
           current_setting('server_version_num')::int < 160000 OR NOT EXISTS (
               SELECT FROM pg_roles AS ours WHERE ours.rolname = 'recio_owner'
               AND NOT pg_has_role(ours.oid, 'MEMBER WITH ADMIN OPTION')
           )
    FROM pg_roles WHERE rolname = current_user
"""

Say = Callable[[str], None]


def database(
    options: UpOptions,
    state: StateDirectory,
    undo: ExitStack,
    say: Say,
    *,
    extra: Sequence[str] = (),
) -> tuple[str, str]:
    """Return the owner's address and the address without a user; start a server if it is ours."""
    if options.database_url is not None:
        say(f"using the database {settings.masked_url(options.database_url)}")
        nobodys = without_user(options.database_url)
        check_owner(options.database_url)
        return options.database_url, nobodys
    server = EmbeddedPostgres(state.postgres, settings=(*POSTGRES_SETTINGS, *extra))
    is_new = not (state.postgres / "data").exists()
    say(f"starting PostgreSQL in {state.postgres}" + (" (new)" if is_new else ""))
    server.start()
    undo.callback(_stop, "PostgreSQL", server.stop, say)
    prepare.create_database(server.url(), DATABASE)
    return server.url(DATABASE), f"postgresql:///{DATABASE}?host={server.sockets}"


def redis(options: UpOptions, state: StateDirectory, undo: ExitStack, say: Say) -> str:
    """Return the address of Redis; start a server if it is ours."""
    if options.redis_url is not None:
        say(f"using the Redis {settings.masked_url(options.redis_url)}")
        uvloop.run(_greet(options.redis_url))
        return options.redis_url
    server = EmbeddedRedis(state.redis)
    say("starting Redis")
    server.start()
    undo.callback(_stop, "Redis", server.stop, say)
    return server.url


async def _greet(url: str) -> None:
    """Redis may go away later, but a run that never finds it was given a wrong address."""
    try:
        connection = await connect(parse_address(url))
        await connection.command("PING", timeout_s=CONNECT_TIMEOUT_S)
    except (Broken, Unavailable) as error:
        raise type(error)(f"--redis-url: {error}") from error
    connection.close()


def _stop(name: str, stop: Callable[[], None], say: Say) -> None:
    say(f"stopping {name}")
    stop()


def without_user(url: str) -> str:
    """Return an address without its login: each service puts its own.

    Raises:
        Broken: the address does not parse.
    """
    try:
        given = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise Broken(
            "--database-url: expected an address such as postgresql://user@host/recio, received "
            f"{settings.masked_url(url)!r}: {' '.join(str(error).split())}"
        ) from error
    kept = {name: value for name, value in given.items() if name not in {"user", "password"}}
    return psycopg.conninfo.make_conninfo("", **{name: str(kept[name]) for name in kept})


def check_owner(url: str) -> None:
    """Refuse a login that cannot bring a database of one's own up to date.

    Raises:
        Broken: it may not make roles or schemas; the message says what mends it.
        DatabaseUnavailable: there is no such database, or it does not answer.
    """
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            row = connection.execute(_RIGHTS).fetchone()
    except psycopg.Error as error:
        raise DatabaseUnavailable(
            f"--database-url: {' '.join(str(error).split())}; expected the address of an empty "
            "database of ours (`createdb recio` makes one) and of a login that may make roles in it"
        ) from error
    login, name, makes_roles, makes_schemas, owns_ours = row or ("", "", *[False] * 3)
    if not makes_roles:
        raise Broken(
            f"--database-url: the login {login} may not make roles, but each service gets a login "
            f"of its own; as a superuser: ALTER ROLE {login} CREATEROLE"
        )
    if not makes_schemas:
        raise Broken(
            f"--database-url: the login {login} may not make schemas in {name}; as its owner: "
            f"GRANT CREATE ON DATABASE {name} TO {login}"
        )
    if not owns_ours:
        raise Broken(
            f"--database-url: this server has our roles already and {login} did not make them: give "
            "the login that did, a superuser, or another server"
        )
