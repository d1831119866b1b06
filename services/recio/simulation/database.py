"""PostgreSQL in a simulated run: real transactions, each one atomic step, behind a door that shuts.

A transaction waits a moment (the way to the server), runs without yielding, and waits again (the way
of the commit's answer), so that anything can happen in between: the process dies or freezes, another
one's transaction goes first. ``Server`` is the door: away, failing over (every session ends), full, or
losing a commit's answer after or before the commit was done. Hints reach each process by themselves,
a little later, unless they are lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Final

from recio.adapters.postgres.database import listen_statement
from recio.adapters.postgres.failures import CommitUnknown, DatabaseBroken, DatabaseUnavailable
from recio.adapters.postgres.hints import Hints
from recio.adapters.postgres.session import BlockingSession, Statement
from recio.adapters.postgres.stepped import SteppedTransaction, blocking_session
from recio.domain.errors import Broken
from recio.ports import Notification
from recio.simulation.loop import SimulatedLoop, SimulatedProcess

LEAST_MS: Final = 0.15
MOST_MS: Final = 4.0
HINT_MS: Final = 3.0
POLL_SECONDS: Final = 10.0
CHANNELS: Final = ("facts", "intents", "orders", "settings", "switches", "trades")
_DISK_FULL: Final = "53100"

After = Callable[[str], Awaitable[None]]
"""Called after each commit that told of something, with the account that it was of."""


class Sessions:
    """Real connections by login, used again from run to run: connecting and preparing costs most."""

    def __init__(self, url: Callable[[str], str]) -> None:
        self._url = url
        self._idle: dict[str, list[BlockingSession]] = {}
        self._owner = blocking_session(url(""), "simulation")

    def take(self, login: str) -> BlockingSession:
        """Return a session of a login that listens to every channel."""
        idle = self._idle.setdefault(login, [])
        if idle:
            return idle.pop()
        made = blocking_session(self._url(login), f"simulated {login or 'owner'}")
        made.round_trip([listen_statement(channel) for channel in CHANNELS])
        made.stay_open()
        # There are as many workers as processors: who spins keeps the server from answering.
        made.spins = 0
        return made

    def give_back(self, login: str, session: BlockingSession) -> None:
        """Keep a session for later."""
        session.on_notification = None
        session.end_reading()
        if session.is_open:
            self._idle.setdefault(login, []).append(session)

    def end(self, session: BlockingSession) -> None:
        """Close a session and wait until the server knows, which takes real time."""
        if not session.is_open:
            return
        pid = session.backend_pid
        session.close()
        for _ in range(2_000):
            asked = Statement("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,))
            self._owner.round_trip([asked])
            if asked.result is None or not asked.result.ntuples:
                return
            time.sleep(0.0005)
        raise Broken(f"PostgreSQL still shows the closed connection {pid}")

    def close(self) -> None:
        """Close everything."""
        for sessions in self._idle.values():
            for session in sessions:
                session.close()
        self._idle.clear()
        self._owner.close()


class Server:
    """The door to PostgreSQL that all processes of a run share, and the way of the hints."""

    def __init__(
        self, loop: SimulatedLoop, sessions: Sessions, chance: Callable[[], float]
    ) -> None:
        self.loop = loop
        self.sessions = sessions
        self.away_until_us = 0
        self.full_until_us = 0
        self.hints_lost_until_us = 0
        self.lose_answers: list[bool] = []
        """The next commits whose answer is lost; True: the commit was done."""
        self.after: After | None = None
        self.on_strike: Callable[[str], None] | None = None
        self._chance = chance
        self._ports: list[SimulatedDatabase] = []

    def port(self, process: SimulatedProcess, login: str, account: str = "") -> SimulatedDatabase:
        """Return the Database port of a process."""
        made = SimulatedDatabase(self, process, login, account)
        self._ports.append(made)
        return made

    @property
    def is_away(self) -> bool:
        """Whether nobody can connect now."""
        return self.loop.now_us < self.away_until_us

    @property
    def is_full(self) -> bool:
        """Whether nothing can be written now."""
        return self.loop.now_us < self.full_until_us

    def shut(self, seconds: float) -> None:
        """End every session and let nobody in for a while; then all listeners are told so."""
        self.away_until_us = self.loop.now_us + round(seconds * 1e6)
        for port in self._ports:
            port.end_session()
            port.hints.disconnected()
        self.loop.call_later(seconds + 0.05, self._open, context=self.loop.stage.context.copy())

    def lose_hints(self, seconds: float) -> None:
        """Lose every hint for a while, without telling anybody."""
        self.hints_lost_until_us = self.loop.now_us + round(seconds * 1e6)

    def _open(self) -> None:
        for port in self._ports:
            if not port.process.is_dead:
                port.tell(Hints.connected, set(CHANNELS))

    def way_s(self) -> float:
        """Return how long the way to the server or back takes."""
        draw = self._chance()
        return (LEAST_MS + (MOST_MS - LEAST_MS) * draw * draw * draw) / 1000

    def tell(self, hints: list[Notification]) -> None:
        """Hand hints to every process, in order, a little later."""
        if self.loop.now_us < self.hints_lost_until_us:
            return
        for port in self._ports:
            if not port.process.is_dead and not self.is_away:
                for hint in hints:
                    port.tell(Hints.deliver, hint)

    def forget(self, process: SimulatedProcess) -> None:
        """End the sessions of a process that is dead."""
        for port in self._ports:
            if port.process is process:
                port.end_session()
        self._ports = [port for port in self._ports if port.process is not process]

    def close(self) -> None:
        """Give all sessions back."""
        for port in self._ports:
            port.give_back()
        self._ports.clear()


class SimulatedDatabase:
    """The Database port of one process."""

    poll_seconds = POLL_SECONDS
    settle_seconds = 0.0
    session_pid = None

    def __init__(self, server: Server, process: SimulatedProcess, login: str, account: str) -> None:
        self.process = process
        self.hints = Hints()
        self._server = server
        self._login = login
        self._account = account
        self._session: BlockingSession | None = None
        self._is_busy = False

    def transaction(self) -> AbstractAsyncContextManager[SteppedTransaction]:
        """Open a transaction: committed at the end of the block, rolled back on an exception."""
        return self._transaction()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[SteppedTransaction]:
        server = self._server
        await asyncio.sleep(server.way_s())
        if server.is_away:
            raise DatabaseUnavailable("the connection to PostgreSQL was refused")
        heard: list[Notification] = []
        with self._ready(heard) as session:
            transaction = SteppedTransaction(session)
            try:
                yield transaction
                lost = self._commit(transaction)
            except BaseException:
                transaction.roll_back()
                raise
        if heard:
            server.tell(heard)
            if server.after is not None:
                await server.after(self._account)
        await asyncio.sleep(server.way_s())
        if lost:
            raise CommitUnknown(
                "the connection to PostgreSQL broke while the commit was on its way"
            )

    def _commit(self, transaction: SteppedTransaction) -> bool:
        """Commit; return whether the answer gets lost."""
        server = self._server
        has_written = transaction.has_written
        if has_written and server.is_full:
            self._strike("disk full")
            raise DatabaseUnavailable(
                f"PostgreSQL {_DISK_FULL}: could not extend file: No space left on device",
                sqlstate=_DISK_FULL,
            )
        if not (has_written and server.lose_answers):
            transaction.commit()
            return False
        is_done = server.lose_answers.pop(0)
        self._strike(f"commit unknown, {'done' if is_done else 'not done'}")
        if is_done:
            transaction.commit()
        else:
            transaction.roll_back()
        return True

    def _strike(self, fault: str) -> None:
        if self._server.on_strike is not None:
            self._server.on_strike(fault)

    @contextmanager
    def _ready(self, heard: list[Notification]) -> Iterator[BlockingSession]:
        if self._is_busy:
            raise DatabaseBroken("a transaction is open already: something else was awaited in it")
        session = self._session
        if session is None or not session.is_open:
            session = self._session = self._server.sessions.take(self._login)
        self._is_busy = True
        session.on_notification = heard.append
        try:
            yield session
        finally:
            self._is_busy = False

    def tell(self, how: Callable[..., None], *args: object) -> None:
        """Let the process hear of something, a little later."""
        loop = self._server.loop
        delay_s = HINT_MS * self._server.way_s() / MOST_MS
        loop.call_later(delay_s, how, self.hints, *args, context=self.process.context.copy())

    async def listen(self, *channels: str) -> AsyncIterator[Notification]:
        """Yield hints of the channels for ever; the first has an empty channel."""
        with self.hints.subscribed(channels) as inbox:
            self.hints.connected(set(CHANNELS) | set(channels))
            while True:
                yield await inbox.take()

    def end_session(self) -> None:
        """End the connection, as the server sees a dead client or as a dead server is seen."""
        if self._session is not None:
            self._server.sessions.end(self._session)
            self._session = None

    def give_back(self) -> None:
        """Keep the connection for the next run."""
        if self._session is not None:
            self._server.sessions.give_back(self._login, self._session)
            self._session = None

    async def close(self) -> None:
        """Do nothing: the connection is given back at the end of the run."""
