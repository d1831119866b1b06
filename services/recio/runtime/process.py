"""Puts one process together: its ports, made once and shared by the services that it hosts.

Each service gets the database under its own login (``recio_<service>`` or
``recio_account_<account>``); services of one account share that login's connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import psycopg
import uvloop

from recio.adapters.postgres.database import PostgresDatabase
from recio.adapters.redis.bus import RedisBus
from recio.domain.errors import Broken, Unavailable
from recio.manifest import Scope, ServiceRow
from recio.ports import Bus, Clock, Database, Ids
from recio.runtime import json_log, modes, settings
from recio.runtime.access import Access, NetworkTransports, Transports
from recio.runtime.clock import AcceleratedClock, WallClock, load_market_time
from recio.runtime.host import Host, Placement
from recio.runtime.ids import SystemIds
from recio.runtime.metrics import Metrics, ProcessMetrics
from recio.runtime.service import ServiceContext
from recio.runtime.settings import ProcessSettings

CONNECTIONS: Final = {"main_app": 4}
CONNECTIONS_DEFAULT: Final = 2
CLOCK_PATIENCE_S: Final = 30.0
CLOCK_PAUSE_S: Final = 0.25


def login(row: ServiceRow, account: str | None) -> str:
    """Return the database login of a service."""
    if row.scope is Scope.ACCOUNT:
        return f"recio_account_{account}"
    return f"recio_{row.name}"


def address(process: ProcessSettings, name: str) -> str:
    """Return the database address for a login.

    An address that names a user is taken as it is: whoever set it decided who logs in.

    Raises:
        Broken: the address does not parse, or the login has no password file.
    """
    try:
        given = psycopg.conninfo.conninfo_to_dict(process.database_url)
    except psycopg.ProgrammingError as error:
        raise Broken(
            "RECIO_DATABASE_URL: expected an address such as postgresql://host/recio, received "
            f"{settings.masked_url(process.database_url)!r}: {error}"
        ) from error
    if given.get("user"):
        return process.database_url
    own = {"user": name}
    if process.database_passwords_dir:
        own["password"] = _password(Path(process.database_passwords_dir) / name)
    return psycopg.conninfo.make_conninfo(process.database_url, **own)


def _password(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise Broken(f"expected the database password in {path}: {error.strerror}") from error


class Wiring(Protocol):
    """What differs between a live process and a stepped run."""

    ids: Ids
    bus: Bus
    transports: Transports

    def database(self, address: str, row: ServiceRow, account: str | None) -> Database:
        """Return a new database port."""
        ...

    async def clock(self, database: Database) -> Clock:
        """Return the environment's clock."""
        ...

    async def close(self) -> None:
        """Close what is not a database."""
        ...


class LiveWiring:
    """PostgreSQL, Redis, the network and real time."""

    def __init__(self, process: ProcessSettings) -> None:
        ids = SystemIds()
        self.ids: Ids = ids
        self.transports: Transports = NetworkTransports()
        self._redis = RedisBus(
            process.redis_url, environment=process.environment, jitter=ids.jitter
        )
        self.bus: Bus = self._redis
        self._settings = process

    def database(self, address: str, row: ServiceRow, account: str | None) -> Database:
        """Return a new database port."""
        return PostgresDatabase(
            address,
            connections=CONNECTIONS.get(row.name, CONNECTIONS_DEFAULT),
            name=f"recio {row.name}" + (f" {account}" if account else ""),
            jitter=self.ids.jitter,
        )

    async def clock(self, database: Database) -> Clock:
        """Return the environment's clock; waits for a database that is not there yet."""
        if not modes.has_own_clock(self._settings.mode):
            return WallClock()
        deadline = asyncio.get_running_loop().time() + CLOCK_PATIENCE_S
        while True:
            try:
                return AcceleratedClock(
                    await load_market_time(database, self._settings.environment)
                )
            except Unavailable:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(CLOCK_PAUSE_S)

    async def close(self) -> None:
        """Close the bus."""
        await self._redis.close()


class Process:
    """The ports of one process; ``context`` hands them to a service."""

    def __init__(self, process: ProcessSettings, values: Mapping[str, str], wiring: Wiring) -> None:
        self.settings = process
        self.metrics = ProcessMetrics()
        self._values = values
        self._wiring = wiring
        self._databases: dict[str, Database] = {}
        self._clock: Clock | None = None
        self._access: Access | None = None

    async def context(self, row: ServiceRow, account: str | None) -> ServiceContext:
        """Return what a service may touch."""
        if row.scope is Scope.ACCOUNT and account is None:
            raise Broken(f"service {row.name} works for an account: expected RECIO_ACCOUNT")
        environment = self.settings.environment
        name = login(row, account)
        if name not in self._databases:
            where = address(self.settings, name)
            self._databases[name] = self._wiring.database(where, row, account)
        database = self._databases[name]
        clock = self._clock = self._clock or await self._wiring.clock(database)
        return ServiceContext(
            row=row,
            environment=environment,
            account=account,
            clock=clock,
            ids=self._wiring.ids,
            database=database,
            bus=self._wiring.bus,
            access=self._made_access(clock),
            metrics=Metrics(self.metrics, service=row.name, account=account),
            log=json_log.context_log(row.name, account=account, environment=environment),
            settings=settings.service_values(row.name, self._values),
        )

    def _made_access(self, clock: Clock) -> Access:
        if self._access is None:
            self._access = Access(
                self.settings,
                clock=clock,
                ids=self._wiring.ids,
                transports=self._wiring.transports,
            )
        return self._access

    async def close(self) -> None:
        """Close every connection."""
        if self._access is not None:
            await self._access.close()
        await self._wiring.close()
        for database in self._databases.values():
            await database.close()


async def run(
    process: ProcessSettings,
    values: Mapping[str, str],
    placements: Sequence[Placement],
    *,
    on_ready: Callable[[], None] | None = None,
) -> int:
    """Host services until told to stop; return the process's exit status."""
    made = Process(process, values, LiveWiring(process))
    host = Host(
        placements=placements,
        make_context=made.context,
        metrics=made.metrics,
        http_host=process.http_host,
        http_port=process.http_port,
        on_ready=on_ready,
    )
    try:
        return await host.run()
    finally:
        await made.close()


def run_in_new_loop(
    process: ProcessSettings,
    values: Mapping[str, str],
    placements: Sequence[Placement],
    *,
    on_ready: Callable[[], None] | None = None,
) -> int:
    """Do the same on an event loop of its own."""
    json_log.set_up(level=process.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run(process, values, placements, on_ready=on_ready))
