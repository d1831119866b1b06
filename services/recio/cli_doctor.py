"""Show the effective configuration, each value with its source and secrets masked, and what is wrong.

With RECIO_* variables it checks what `recio run` would find: settings, database, migrations, Redis,
clock, keys. Without them it checks what `recio up` needs on this machine. Status 1 if anything is
wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import psycopg

from recio import manifest
from recio.adapters.kalshi.signing import RequestSigner
from recio.adapters.postgres import migrate
from recio.adapters.redis.bus import RedisBus
from recio.domain.errors import RecioError, Unavailable
from recio.runtime import credentials, modes, settings
from recio.runtime.http_server import listening_socket
from recio.runtime.local.embedded import EmbeddedPostgres, postgres_programs, redis_program
from recio.runtime.local.options import DATABASE, UI_PORT
from recio.runtime.settings import MASK, ProcessSettings

EXAMPLES: Final = """examples:
  recio doctor
  RECIO_MODE=paper RECIO_ENVIRONMENT=paper … recio doctor
"""

Check = tuple[str, Callable[[], str]]
_SECRETS: Final = ("KEY", "SECRET", "PASSWORD", "TOKEN")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--state", type=Path, default=Path(".state"), help="of a local run")


def run(arguments: argparse.Namespace) -> int:
    """Print what is set, then every check."""
    values = settings.from_environment()
    checks = list(_process_checks(values) if values else _local_checks(arguments.state))
    return 1 if sum(_is_wrong(name, check) for name, check in checks) else 0


def _is_wrong(name: str, check: Callable[[], str]) -> bool:
    try:
        print(f"ok     {name}: {check()}")
    except RecioError as error:
        print(f"WRONG  {name}: {error}")
        return True
    return False


def _process_checks(values: dict[str, str]) -> Iterator[Check]:
    for line in configuration(values):
        print(line)
    try:
        process = settings.process_settings(values)
    except settings.SettingsInvalid as error:
        problem = str(error)
        yield "settings", lambda: _fail(problem)
        return
    yield "settings", lambda: "every variable is known and fits"
    yield "services", _apps
    yield "exchange", lambda: f"mode {process.mode}: {modes.hosts(process).rest}"
    yield "database", lambda: _database(_some_login(process))
    yield "redis", lambda: _redis(process)
    for owner in (credentials.MARKET, *process.hosted_accounts()):
        yield f"key of {owner}", lambda owner=owner: _key(process.credentials_dir, owner)  # type: ignore[misc]


def _local_checks(state: Path) -> Iterator[Check]:
    print(f"no RECIO_* variable is set: checking what `recio up` needs, with its state in {state}")
    yield "PostgreSQL", lambda: str(postgres_programs())
    yield "Redis", lambda: str(redis_program())
    yield "services", _apps
    server = EmbeddedPostgres(state / "postgres")
    if server.is_answering():
        yield "database", lambda: _database(server.url(DATABASE))
        for folder in sorted((state / "credentials").iterdir()):
            yield (
                f"key of {folder.name}",
                lambda name=folder.name: _key(str(state / "credentials"), name),  # type: ignore[misc]
            )
    else:
        yield "port", lambda: _port(UI_PORT)


def configuration(values: dict[str, str]) -> list[str]:
    """Return one line a setting: name, value, source. Passwords and keys are masked.

    >>> configuration({"RECIO_REDIS_URL": "redis://:hidden@host"})[3]
    'RECIO_REDIS_URL = redis://:********@host (environment)'
    """
    lines = []
    for field in msgspec.structs.fields(ProcessSettings):
        name = settings.PREFIX + field.name.upper()
        if name in values:
            lines.append(f"{name} = {_masked(name, values[name])} (environment)")
        elif field.default is not msgspec.NODEFAULT:
            lines.append(f"{name} = {field.default or 'not set'} (default)")
        else:
            lines.append(f"{name} is missing")
    services = tuple(settings.service_prefix(row.name) for row in manifest.SERVICES)
    lines += [
        f"{name} = {_masked(name, value)} (environment)"
        for name, value in sorted(values.items())
        if name.startswith(services)
    ]
    return lines


def _masked(name: str, value: str) -> str:
    last = name.rpartition("_")[2]
    return MASK if last in _SECRETS else settings.masked_url(value)


def _some_login(process: ProcessSettings) -> str:
    """Return the address under a login that this process would use."""
    from recio.runtime.process import address  # noqa: PLC0415 (loads everything)

    accounts = process.hosted_accounts()
    return address(
        process, f"recio_account_{accounts[0]}" if accounts else "recio_main_app"
    ).whole()


def _fail(problem: str) -> str:
    raise settings.SettingsInvalid(problem)


def _apps() -> str:
    missing = [
        row.name
        for row in manifest.SERVICES
        if importlib.util.find_spec(row.entry.partition(":")[0].rpartition(".")[0]) is None
    ]
    return _fail(f"not in this installation: {', '.join(missing)}") if missing else "all installed"


def _database(url: str) -> str:
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            version = connection.info.server_version
            return f"PostgreSQL {version // 10_000} at {settings.masked_url(url)}; {_schema(connection)}"
    except psycopg.Error as error:
        raise Unavailable(f"{settings.masked_url(url)}: {' '.join(str(error).split())}") from error


def _schema(connection: psycopg.Connection[tuple[object, ...]]) -> str:
    try:
        rows = connection.execute("SELECT number, name, sha256 FROM ops.migrations").fetchall()
    except psycopg.errors.InsufficientPrivilege:
        return "this login may not see the migrations"
    except psycopg.errors.UndefinedTable:
        return _fail("the schema is not there: run `recio migrate`")
    applied = {int(str(number)): (str(name), str(sha256)) for number, name, sha256 in rows}
    missing = migrate.pending(migrate.read(migrate.directory()), applied, is_pre_only=False)
    if missing:
        names = ", ".join(migration.name for migration in missing)
        return _fail(f"not applied yet: {names}; run `recio migrate`")
    return f"all {len(applied)} migrations are applied"


def _redis(process: ProcessSettings) -> str:
    async def answers() -> bool:
        bus = RedisBus(process.redis_url, environment=process.environment)
        try:
            return await bus.ping()
        finally:
            await bus.close()

    if not asyncio.run(answers()):
        raise Unavailable(f"{settings.masked_url(process.redis_url)} does not answer")
    return settings.masked_url(process.redis_url)


def _key(directory: str, owner: str) -> str:
    key = credentials.read(directory, owner)
    RequestSigner(key.key_id, key.private_key)
    return f"{Path(directory) / owner} parses"


def _port(port: int) -> str:
    listening_socket("127.0.0.1", port).close()
    return f"{port} is free"
