"""Who is logged in: rows of ``ops.sessions``, a short memory of them, and the limit on attempts.

The cookie holds 256 random bits; the database holds only their SHA-256, so that a copy of the
database logs nobody in. A session is believed from memory for 30 s of wall time, then read again:
a log-out on another copy of this service takes at most that long. Sessions and limits live on wall
time: market time may run twenty times faster.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from recio.domain.units import SECOND_US, as_datetime, time_us
from recio.ports import Clock, Database
from recio.runtime.passwords import hash_password, is_password

COOKIE: Final = "recio_session"
_MEMORY_US: Final = 30 * SECOND_US
_MEMORY_SIZE: Final = 1024
_ATTEMPTS: Final = 5
_WINDOW_US: Final = 60 * SECOND_US


@dataclass(frozen=True, slots=True)
class Session:
    """One logged-in person. Times are wall time."""

    token_hash: str
    name: str
    expires_us: int


class Attempts:
    """At most five failed log-ins a minute for a key (an address, a user name)."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, list[int]] = OrderedDict()

    def wait_us(self, key: str, now_us: int) -> int:
        """Return how long ``key`` must wait before it may try; 0 is now."""
        recent = [at for at in self._failures.get(key, ()) if at > now_us - _WINDOW_US]
        if len(recent) < _ATTEMPTS:
            return 0
        return recent[-_ATTEMPTS] + _WINDOW_US - now_us

    def fail(self, key: str, now_us: int) -> None:
        """Count one failure of ``key``."""
        recent = [at for at in self._failures.pop(key, []) if at > now_us - _WINDOW_US]
        self._failures[key] = [*recent, now_us][-_ATTEMPTS:]
        while len(self._failures) > _MEMORY_SIZE:
            self._failures.popitem(last=False)


class Sessions:
    """Opens, finds and ends sessions."""

    def __init__(self, database: Database, clock: Clock, lifetime_us: int) -> None:
        self._database = database
        self._clock = clock
        self._lifetime_us = lifetime_us
        self._known: OrderedDict[str, tuple[int, Session]] = OrderedDict()
        # Hashed when an unknown name tries, so that its answer takes as long as a known one's.
        self._decoy = hash_password(secrets.token_hex(16))

    async def open(self, name: str, password: str) -> tuple[str, Session] | None:
        """Return a new token with its session, or None: no such name, or not its password."""
        async with self._database.transaction() as tx:
            row = await tx.fetch_one("SELECT password_hash FROM ops.users WHERE name = %s", name)
        if not is_password(password, row[0] if row else self._decoy) or row is None:
            return None
        token = secrets.token_urlsafe(32)
        now = self._clock.wall_us()
        session = Session(_digest(token), name, now + self._lifetime_us)
        async with self._database.transaction() as tx:
            await tx.execute("DELETE FROM ops.sessions WHERE expires_at < %s", as_datetime(now))
            await tx.execute(
                "INSERT INTO ops.sessions (token_hash, name, created_at, expires_at)"
                " VALUES (%s, %s, %s, %s)",
                session.token_hash,
                name,
                as_datetime(now),
                as_datetime(session.expires_us),
            )
        self._remember(session, now)
        return token, session

    async def find(self, token: str) -> Session | None:
        """Return the session behind a cookie's token, or None."""
        digest = _digest(token)
        now = self._clock.wall_us()
        known = self._known.get(digest)
        if known is None or known[0] + _MEMORY_US < now:
            return await self._read(digest, now)
        return known[1] if known[1].expires_us > now else None

    async def end(self, session: Session) -> None:
        """Log the session out, here at once."""
        self._known.pop(session.token_hash, None)
        async with self._database.transaction() as tx:
            await tx.execute("DELETE FROM ops.sessions WHERE token_hash = %s", session.token_hash)

    async def change_password(self, session: Session, old: str, new: str) -> bool:
        """Change a person's password and end their other sessions; False: ``old`` is wrong."""
        hashed = hash_password(new)
        async with self._database.transaction() as tx:
            row = await tx.fetch_one(
                "SELECT password_hash FROM ops.users WHERE name = %s", session.name
            )
            if row is None or not is_password(old, row[0]):
                return False
            await tx.execute(
                "UPDATE ops.users SET password_hash = %s, changed_at = %s WHERE name = %s",
                hashed,
                as_datetime(self._clock.wall_us()),
                session.name,
            )
            await tx.execute(
                "DELETE FROM ops.sessions WHERE name = %s AND token_hash <> %s",
                session.name,
                session.token_hash,
            )
        self._known.clear()
        return True

    async def _read(self, digest: str, now_us: int) -> Session | None:
        async with self._database.transaction() as tx:
            row = await tx.fetch_one(
                "SELECT name, expires_at FROM ops.sessions"
                " WHERE token_hash = %s AND expires_at > %s",
                digest,
                as_datetime(now_us),
            )
        if row is None:
            self._known.pop(digest, None)
            return None
        session = Session(digest, row[0], time_us(row[1]))
        self._remember(session, now_us)
        return session

    def _remember(self, session: Session, now_us: int) -> None:
        self._known[session.token_hash] = (now_us, session)
        self._known.move_to_end(session.token_hash)
        while len(self._known) > _MEMORY_SIZE:
            self._known.popitem(last=False)


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
