"""Puts one process together: its ports, made once and shared by the services that it hosts.

Each service gets the database under its own login (``recio_<service>`` or
``recio_account_<account>``); services of one account share that login's connections: a few for
transactions, perhaps through a pooler, and a direct one for hints.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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
from recio.runtime.clock import (
    AcceleratedClock,
    NoMarketTime,
    WallClock,
    begin_by_the_wall,
    load_market_time,
)
from recio.runtime.clocks import Clocks
from recio.runtime.host import Host, Placement
from recio.runtime.ids import SystemIds
from recio.runtime.metrics import Metrics, ProcessMetrics
from recio.runtime.service import ServiceContext
from recio.runtime.settings import ProcessSettings

CONNECTIONS: Final = {"main_app": 4}
CONNECTIONS_DEFAULT: Final = 2


def login(row: ServiceRow, account: str | None) -> str:
    """Return the database login of a service."""
    if row.scope is Scope.ACCOUNT:
        return f"recio_account_{account}"
    return f"recio_{row.name}"


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Where a login's transactions go and, if that is a pooler, where the server itself is.

    ``password`` is read at each connection; None: the addresses hold what is needed.
    """

    url: str
    listen_url: str = ""
    password: Callable[[], str] | None = None

    def whole(self) -> str:
        """Return the address with its password."""
        if self.password is None:
            return self.url
        return psycopg.conninfo.make_conninfo(self.url, password=self.password())


def address(process: ProcessSettings, name: str) -> DatabaseAddress:
    """Return the database address for a login.

    An address that names a user is taken as it is: whoever set it decided who logs in.

    Raises:
        Broken: an address does not parse, or the login has no password file.
    """
    given = _parsed("RECIO_DATABASE_URL", process.database_url)
    listen = process.database_listen_url
    if listen:
        _parsed("RECIO_DATABASE_LISTEN_URL", listen)
    if given.get("user"):
        return DatabaseAddress(process.database_url, listen)
    url = psycopg.conninfo.make_conninfo(process.database_url, user=name)
    if listen:
        listen = psycopg.conninfo.make_conninfo(listen, user=name)
    if not process.database_passwords_dir:
        return DatabaseAddress(url, listen)
    password = partial(read_secret, Path(process.database_passwords_dir) / name, "the database")
    password()
    return DatabaseAddress(url, listen, password)


def _parsed(variable: str, url: str) -> Mapping[str, object]:
    try:
        return psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise Broken(
            f"{variable}: expected an address such as postgresql://host/recio, received "
            f"{settings.masked_url(url)!r}: {error}"
        ) from error


def read_secret(path: Path, whose: str) -> str:
    """Return the one line of a file that a Secret is mounted as.

    Raises:
        Broken: it cannot be read.
    """
    try:
        return path.read_text().strip()
    except OSError as error:
        raise Broken(f"expected the password of {whose} in {path}: {error.strerror}") from error


def _redis_password(path: Path) -> str:
    """Without it Redis is away, which stops nothing."""
    try:
        return read_secret(path, "Redis")
    except Broken as error:
        raise Unavailable(str(error)) from error


class Wiring(Protocol):
    """What differs between a live process and a stepped run."""

    ids: Ids
    bus: Bus
    wide_bus: Bus
    """Reads every environment of the release, for shared services."""
    transports: Transports

    def database(self, address: DatabaseAddress, row: ServiceRow, account: str | None) -> Database:
        """Return a new database port."""
        ...

    async def clock(self, database: Database, row: ServiceRow) -> Clock:
        """Return the environment's clock. Raises ``Unavailable`` if it is not there yet."""
        ...

    async def close(self) -> None:
        """Close what is not a database."""
        ...


class LiveWiring:
    """PostgreSQL, Redis, the network and real time."""

    def __init__(self, process: ProcessSettings, values: Mapping[str, str]) -> None:
        ids = SystemIds()
        self.ids: Ids = ids
        self.transports: Transports = NetworkTransports()
        secret = process.redis_password_file
        made = partial(
            RedisBus,
            process.redis_url,
            environment=process.environment,
            jitter=ids.jitter,
            password=partial(_redis_password, Path(secret)) if secret else None,
        )
        self._buses = (made(), made(environments=process.shown_environments()))
        self.bus: Bus = self._buses[0]
        self.wide_bus: Bus = self._buses[1]
        self._settings = process
        self._values = values

    def database(self, address: DatabaseAddress, row: ServiceRow, account: str | None) -> Database:
        """Return a new database port."""
        return PostgresDatabase(
            address.url,
            listen_dsn=address.listen_url,
            password=address.password,
            pooler_prepares=self._settings.database_pooler_prepares,
            connections=CONNECTIONS.get(row.name, CONNECTIONS_DEFAULT),
            name=f"recio {row.name}" + (f" {account}" if account else ""),
            jitter=self.ids.jitter,
        )

    async def clock(self, database: Database, row: ServiceRow) -> Clock:
        """Return the environment's clock; the exchange of an environment that has none starts it."""
        if not modes.keeps_own_time(self._settings):
            return WallClock()
        environment = self._settings.environment
        try:
            return AcceleratedClock(await load_market_time(database, environment))
        except NoMarketTime:
            if row.scope is not Scope.PAPER:
                raise
        # Loaded here: no other service needs any of it.
        from recio.exchange_simulator.app import world_start_us  # noqa: PLC0415

        start_us = world_start_us(settings.service_values(row.name, self._values))
        async with database.transaction() as tx:
            await begin_by_the_wall(tx, environment, start_us=start_us)
        return AcceleratedClock(await load_market_time(database, environment))

    async def close(self) -> None:
        """Close the bus."""
        for bus in self._buses:
            await bus.close()


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
        clock = self._clock = self._clock or await self._wiring.clock(database, row)
        return ServiceContext(
            row=row,
            environment=environment,
            account=account,
            clock=clock,
            ids=self._wiring.ids,
            database=database,
            bus=self._wiring.wide_bus if row.scope is Scope.SHARED else self._wiring.bus,
            access=self._made_access(clock),
            metrics=Metrics(self.metrics, service=row.name, account=account),
            log=json_log.context_log(row.name, account=account, environment=environment),
            settings=settings.service_values(row.name, self._values),
            clocks=self._clocks(row, clock, database),
        )

    def _clocks(self, row: ServiceRow, clock: Clock, database: Database) -> Clocks | None:
        shown = self.settings.shown_environments()
        if row.scope is not Scope.SHARED or len(shown) == 1:
            return None
        return Clocks(self.settings.environment, clock, database, shown)

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
    made = Process(process, values, LiveWiring(process, values))
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
