"""What all worlds share: one PostgreSQL, one template of a database, one warmed parent each.

The template holds the schema, the account's document and what the exchange told of its markets; a
world copies it, so that every run begins with the same books.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from tests.crash.market import ACCOUNT, CLOSE_US, MARKETS, START_US
from tests.integration.money.scene import document, list_market

from recio.adapters.postgres import config, status
from recio.adapters.postgres.database import PostgresDatabase
from recio.adapters.postgres.migrate import migrate
from recio.domain.units import MINUTE_US
from recio.runtime.clock import AcceleratedClock, MarketTime, boot_id, monotonic_ns
from recio.runtime.local.embedded import EmbeddedPostgres

TEMPLATE = "crash_template"
SOON_S = 60.0
T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
RISK = {
    "max_contracts_per_order": 10,
    "max_contracts_per_event": 100,
    "max_contracts_total": 100,
    "max_cost_per_event_dollars": 90,
    "max_cost_total_dollars": 90,
    "max_open_trades": 9,
}
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=100")
"""The machine does not die here, only processes do."""


async def make_template(postgres: EmbeddedPostgres) -> None:
    """Make the database that every run begins with."""
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    await asyncio.to_thread(migrate, postgres.url(TEMPLATE))
    owner = PostgresDatabase(postgres.url(TEMPLATE), name="owner")
    async with owner.transaction() as tx:
        await status.set_account_login(tx, ACCOUNT, None)
        await config.apply_account(
            tx, document(ACCOUNT, **RISK), environment="paper", at_us=START_US, author="crash"
        )
        await tx.execute(
            "INSERT INTO ops.environments (environment, t0_us, m0_ns, speed, boot_id, market_at) "
            "VALUES ('paper', %s, 0, 1, %s, 'epoch')",
            *(START_US, boot_id()),
        )
    for market in MARKETS:
        await list_market(
            owner,
            market.ticker,
            now_us=START_US,
            strike_usd_e6=market.strike_usd_e6,
            open_us=CLOSE_US - 60 * MINUTE_US,
            close_us=CLOSE_US,
        )
    await owner.close()


@contextlib.contextmanager
def copied(postgres: EmbeddedPostgres, name: str) -> Iterator[str]:
    """Copy the template while the block runs; gives the owner's address."""
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy")
        yield postgres.url(name)
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


async def begin_time(owner: PostgresDatabase, at_us: int = START_US) -> AcceleratedClock:
    """Let market time be ``at_us`` now, for every process that is started from now on."""
    made = MarketTime(at_us, monotonic_ns(), 1)
    async with owner.transaction() as tx:
        await tx.execute(
            "UPDATE ops.environments SET t0_us = %s, m0_ns = %s", made.t0_us, made.m0_ns
        )
    return AcceleratedClock(made)


@dataclass(slots=True)
class Life:
    """One process of the nursery."""

    pid: int
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    status: int | None = None


class Nursery:
    """Starts services as forks of one warmed parent, and knows what became of them."""

    def __init__(self) -> None:
        self.lives: dict[int, Life] = {}
        self._births: dict[str, asyncio.Future[Life]] = {}
        self._process: asyncio.subprocess.Process | None = None

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Run the parent while the block runs."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.crash.nursery"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT / 'services'}:{ROOT}"},
        )
        listening = asyncio.create_task(self._listen(self._process))
        try:
            yield
        finally:
            self._process.kill()
            await self._process.wait()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            self._hear(*line.decode().split())

    def _hear(self, word: str, *rest: str) -> None:
        if word == "born":
            birth, life = self._birth(rest[0]), self._life(int(rest[1]))
            if not birth.done():  # Whoever waited may have been told to stop.
                birth.set_result(life)
        elif word == "ready":
            self._life(int(rest[0])).ready.set()
        elif word == "gone":
            life = self._life(int(rest[0]))
            life.status = int(rest[1])
            life.gone.set()

    def _life(self, pid: int) -> Life:
        # "ready" comes from the child itself and may overtake the parent's "born".
        return self.lives.setdefault(pid, Life(pid))

    def _birth(self, name: str) -> asyncio.Future[Life]:
        if name not in self._births:
            self._births[name] = asyncio.get_running_loop().create_future()
        return self._births[name]

    async def start(
        self, name: str, services: Sequence[str], settings: dict[str, Any], log: Path
    ) -> Life:
        """Start a process that hosts services."""
        assert self._process is not None
        assert self._process.stdin is not None
        told = {"name": name, "services": services, "settings": settings, "log": str(log)}
        self._births.pop(name, None)
        birth = self._birth(name)
        self._process.stdin.write(json.dumps(told).encode() + b"\n")
        return await soon(
            birth, f"birth of {name}: the nursery's status {self._process.returncode}"
        )

    async def end(self, lives: Sequence[Life]) -> None:
        """Kill processes and wait until they are gone."""
        for life in lives:
            if not life.gone.is_set():
                os.kill(life.pid, 9)
        for life in lives:
            await soon(life.gone.wait(), f"end of process {life.pid}, which was killed")
            self.lives.pop(life.pid, None)


async def soon(what: Awaitable[T], name: str) -> T:
    """Wait for what takes a moment; say what did not come."""
    try:
        async with asyncio.timeout(SOON_S):
            return await what
    except TimeoutError:
        raise TimeoutError(f"not within {SOON_S:g} s: {name}") from None


def settings_of(
    *, database_url: str, exchange_port: int, credentials: Path, http_port: int
) -> dict[str, Any]:
    """Return what a process is told: the variables of ``recio run``, without their prefix."""
    return {
        "environment": "paper",
        "mode": "paper",
        "database_url": database_url,
        "redis_url": "redis://127.0.0.1:1",
        "account": ACCOUNT,
        "credentials_dir": str(credentials),
        "exchange_rest_url": f"http://127.0.0.1:{exchange_port}",
        "exchange_websocket_url": f"ws://127.0.0.1:{exchange_port}",
        "http_port": http_port,
    }
