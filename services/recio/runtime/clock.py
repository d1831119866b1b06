"""The clocks: the only place, with ids and settings, that asks the operating system.

Live, market time is wall time. In a paper environment several processes share
``market = t0 + (CLOCK_MONOTONIC - m0) * speed``; the three numbers stand in ``ops.environments``
with the machine's boot id, because the monotonic clock begins anew at each boot. Where processes
live on several machines, or must go on after a boot, the row names a moment of the wall instead
(``w0``): each process translates ``market = t0 + (wall - w0)`` once, at its start, and goes on by
its own monotonic clock, so that a wall clock which is set later moves nothing. In a stepped run the
event loop's own time takes the place of CLOCK_MONOTONIC, and jumps.

Invariant: market time never runs backwards in a process.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from recio.domain.errors import Broken, InvalidValue, Unavailable
from recio.domain.units import SECOND_US
from recio.ports import Database, Transaction

SPEED_MOST: Final = 20
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def wall_us() -> int:
    """Return microseconds since 1970 UTC on the machine's clock."""
    return time.time_ns() // 1000


def monotonic_ns() -> int:
    """Return CLOCK_MONOTONIC, which all processes of a machine share."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def boot_id() -> str:
    """Return what names this boot of the machine; empty where the system has no such name."""
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""


class WallClock:
    """Market time is wall time. A wall clock that is set back stands still until it has caught up."""

    def __init__(self) -> None:
        self._last_us = 0

    def market_us(self) -> int:
        """Microseconds since 1970 UTC on the market's clock."""
        self._last_us = max(self._last_us, wall_us())
        return self._last_us

    def wall_us(self) -> int:
        """Microseconds since 1970 UTC on the wall."""
        return wall_us()

    async def sleep_market(self, seconds: float) -> None:
        """Sleep for seconds of market time."""
        await asyncio.sleep(seconds)

    async def sleep_wall(self, seconds: float) -> None:
        """Sleep for seconds of wall time."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class MarketTime:
    """The line that market time runs on: at monotonic ``m0_ns`` it was ``t0_us``."""

    t0_us: int
    m0_ns: int
    speed: int

    def __post_init__(self) -> None:
        """Refuse a speed outside the bounds."""
        if not 1 <= self.speed <= SPEED_MOST:
            raise InvalidValue(f"expected a speed from 1 to {SPEED_MOST}, received {self.speed}")

    def at_us(self, now_ns: int) -> int:
        """Return market time at a moment of CLOCK_MONOTONIC."""
        return self.t0_us + (now_ns - self.m0_ns) * self.speed // 1000


class AcceleratedClock:
    """Market time on a line of its own; wall time is the machine's."""

    def __init__(self, market_time: MarketTime) -> None:
        self.market_time = market_time
        self._t0_us = market_time.t0_us
        self._m0_ns = market_time.m0_ns
        self._speed = market_time.speed

    def market_us(self) -> int:
        """Microseconds since 1970 UTC on the market's clock."""
        return self._t0_us + (monotonic_ns() - self._m0_ns) * self._speed // 1000

    def wall_us(self) -> int:
        """Microseconds since 1970 UTC on the wall."""
        return wall_us()

    async def sleep_market(self, seconds: float) -> None:
        """Sleep for seconds of market time."""
        await asyncio.sleep(seconds / self._speed)

    async def sleep_wall(self, seconds: float) -> None:
        """Sleep for seconds of wall time."""
        await asyncio.sleep(seconds)


class VirtualTime(Protocol):
    """An event loop whose time is counted in whole microseconds."""

    @property
    def now_us(self) -> int:
        """The loop's time, microseconds since it was made."""
        ...


class SteppedClock:
    """Wall time is the virtual loop's; market time runs ``speed`` times faster, as in a live run.

    With a speed above 1 what happens by the wall (leases, heartbeats, polls) happens less often in
    a period of market time: that is most of what a stepped run would otherwise spend its time on.
    """

    def __init__(self, loop: VirtualTime, start_us: int, *, speed: int = 1) -> None:
        self._loop = loop
        self._start_us = start_us
        self._speed = speed

    def market_us(self) -> int:
        """Microseconds since 1970 UTC on the market's clock."""
        return self._start_us + self._loop.now_us * self._speed

    def wall_us(self) -> int:
        """Microseconds since 1970 UTC on the wall."""
        return self._start_us + self._loop.now_us

    async def sleep_market(self, seconds: float) -> None:
        """Sleep for seconds of market time, never less: who wakes too early would spin."""
        steps = math.ceil(seconds * SECOND_US / self._speed)
        await asyncio.sleep(steps / SECOND_US)

    async def sleep_wall(self, seconds: float) -> None:
        """Sleep for seconds of wall time."""
        await asyncio.sleep(seconds)


class NoMarketTime(Unavailable):
    """The environment was never started; who starts it may be on the way."""


async def load_market_time(database: Database, environment: str) -> MarketTime:
    """Return the line that the environment's market time runs on.

    Raises:
        NoMarketTime: the environment was never started.
        Broken: it was started before the machine's last boot, or on another machine.
    """
    async with database.transaction() as tx:
        row = await tx.fetch_one(
            "SELECT t0_us, m0_ns, speed, boot_id, w0_us FROM ops.environments "
            "WHERE environment = %s",
            environment,
        )
    if row is None:
        raise NoMarketTime(
            f"environment {environment!r} has no clock yet: expected a row in ops.environments, "
            "which `recio up` or the exchange of the environment writes at its start"
        )
    t0_us, m0_ns, speed, booted, w0_us = row
    if w0_us is not None:
        return MarketTime(t0_us + wall_us() - w0_us, monotonic_ns(), speed)
    if booted != boot_id():
        raise Broken(
            f"the clock of environment {environment!r} was started before the machine's last boot "
            "or on another machine: start the environment again"
        )
    return MarketTime(t0_us, m0_ns, speed)


async def begin_by_the_wall(tx: Transaction, environment: str, *, start_us: int | None) -> None:
    """Give an environment that has no market time a line that follows the wall.

    It begins at ``start_us`` now; None: market time is wall time. One that has a line keeps it.
    """
    now_us = wall_us()
    t0_us = now_us if start_us is None else start_us
    await tx.execute(
        "INSERT INTO ops.environments "
        "(environment, t0_us, m0_ns, speed, boot_id, market_at, w0_us) "
        "VALUES (%s, %s, 0, 1, '', 'epoch'::timestamptz + %s * interval '1 microsecond', %s) "
        "ON CONFLICT (environment) DO NOTHING",
        *(environment, t0_us, t0_us, now_us),
    )


async def adopt_by_the_wall(tx: Transaction, environment: str) -> None:
    """Let a line that only one machine can read go on by the wall, from where it stood."""
    await tx.execute(
        "UPDATE ops.environments SET t0_us = (extract(epoch FROM market_at) * 1000000)::bigint, "
        "m0_ns = 0, speed = 1, boot_id = '', w0_us = %s "
        "WHERE environment = %s AND w0_us IS NULL",
        *(wall_us(), environment),
    )


AHEAD_US: Final = 3 * SECOND_US
"""How far ahead of now a running environment's ``market_at`` is kept (times speed)."""


async def start_market_time(
    database: Database, environment: str, *, start_us: int, speed: int, at_least_us: int = 0
) -> MarketTime:
    """Start or go on with an environment's market time; return its line.

    It goes on where it stood, never before: ``start_us`` counts only at the first start;
    ``at_least_us`` always (an environment of live prices follows the wall). While it
    runs the stored ``market_at`` is a bound that it has not reached, so that not even a crash of
    everything turns it back.
    """
    async with database.transaction() as tx:
        row = await tx.fetch_one(
            "SELECT (extract(epoch FROM market_at) * 1000000)::bigint FROM ops.environments "
            "WHERE environment = %s FOR UPDATE",
            environment,
        )
        stood_us = row[0] if row else start_us
        market_time = MarketTime(max(stood_us, at_least_us), monotonic_ns(), speed)
        await tx.execute(
            "INSERT INTO ops.environments (environment, t0_us, m0_ns, speed, boot_id, market_at) "
            "VALUES (%s, %s, %s, %s, %s, 'epoch'::timestamptz + %s * interval '1 microsecond') "
            "ON CONFLICT (environment) DO UPDATE SET t0_us = excluded.t0_us, "
            "m0_ns = excluded.m0_ns, speed = excluded.speed, boot_id = excluded.boot_id, "
            "market_at = excluded.market_at, w0_us = NULL",
            *(environment, market_time.t0_us, market_time.m0_ns, speed, boot_id()),
            market_time.t0_us + AHEAD_US * speed,
        )
    return market_time


async def note_market_time(
    database: Database, environment: str, market_time: MarketTime, *, is_final: bool
) -> None:
    """Store from where the next start goes on: a bound while it runs, the time itself at the end."""
    ahead_us = 0 if is_final else AHEAD_US * market_time.speed
    async with database.transaction() as tx:
        await tx.execute(
            "UPDATE ops.environments "
            "SET market_at = 'epoch'::timestamptz + %s * interval '1 microsecond' "
            "WHERE environment = %s AND m0_ns = %s",
            *(market_time.at_us(monotonic_ns()) + ahead_us, environment, market_time.m0_ns),
        )
