"""The shell around the exchange that every transport uses: handle, commit, then answer and push.

Nothing leaves before its cause is durable: a reply waits for its commit, and frames wait with it.
House activity alone (anonymous quotes and trades) is not urgent and is saved in batches. When the
database does not answer, the reply is 503 and the effects stay in memory until a later commit
saves them: for the member the outcome is unknown, as with the real exchange.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields
from enum import Enum
from typing import Final, Protocol

from recio.domain.errors import Unavailable
from recio.domain.units import SECOND_US
from recio.exchange_simulator.api.admin import Token
from recio.exchange_simulator.api.auth import require_scope
from recio.exchange_simulator.api.messages import Now, Request, Response, refuse
from recio.exchange_simulator.api.router import Api
from recio.exchange_simulator.core.refusals import Refusal
from recio.exchange_simulator.core.state import Changes
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.faults import ArmedRequest, Delivery, FaultPlan, RequestFault
from recio.exchange_simulator.stream.hub import Hub
from recio.exchange_simulator.stream.session import Session
from recio.ports import Clock

WEBSOCKET_PATH: Final = "/trade-api/ws/v2"
ORDERS_PATH: Final = "/portfolio/"
ADMIN_PATH: Final = "/admin/"
HOUSE_SAVE_US: Final = 5_000_000
"""How long house activity alone may wait for its save, in market time, unless told otherwise."""

Sink = Callable[[Sequence[bytes]], None]


class Lost(Enum):
    """No answer: the caller waits in vain, or sees the connection end."""

    TIMEOUT = "timeout"
    CUT = "cut"


class Store(Protocol):
    """Where changes become durable."""

    async def save(self, exchange: Exchange, changes: Changes) -> None:
        """Save in one transaction; the records are read before the first wait."""


class Connection:
    """One member's open WebSocket: the session, where its frames go, and how to cut it."""

    def __init__(self, session: Session, send: Sink, cut: Callable[[], None]) -> None:
        self.session = session
        self.send = send
        self.cut = cut
        self.is_open = True


class Gateway:
    """One exchange with its API, its streams, its store and its faults."""

    def __init__(
        self,
        exchange: Exchange,
        clock: Clock,
        *,
        store: Store | None = None,
        faults: FaultPlan | None = None,
        house_save_us: int = HOUSE_SAVE_US,
        admin_token: Token | None = None,
        order_latency_us: int = 0,
    ) -> None:
        self.exchange = exchange
        self.order_latency_us = order_latency_us
        self.house_save_us = house_save_us
        self.clock = clock
        self.store = store
        self.faults = faults or FaultPlan()
        self.api = Api(exchange, admin_token)
        self.hub = Hub(exchange)
        self.connections: list[Connection] = []
        self.is_saved = True
        self.asked: Counter[str] = Counter()
        """Members' requests by method."""
        self._undelivered: list[tuple[Connection, list[bytes]]] = []
        self._saved_us = 0
        self._commit_lock = asyncio.Lock()

    def now(self) -> Now:
        """Return both times."""
        return Now(self.clock.market_us(), self.clock.wall_us())

    async def request(self, request: Request) -> Response | Lost:
        """Answer a request once its effects are durable."""
        if not request.path.startswith(ADMIN_PATH):
            self.asked[request.method] += 1
        fault = self.faults.for_request(request)
        if fault is not None:
            return await self._faulty(request, fault)
        if self.order_latency_us and request.method != "GET" and ORDERS_PATH in request.path:
            # It arrives later than it came: what is displayed then is what it meets.
            await self.clock.sleep_market(self.order_latency_us / SECOND_US)
        return await self._handled(request)

    async def _handled(self, request: Request) -> Response:
        response = self.api.handle(request, self.now())
        try:
            await self.commit()
        except Unavailable:
            return refuse(Refusal(503, "internal_error", "the outcome is not known"))
        return response

    async def _faulty(self, request: Request, fault: ArmedRequest) -> Response | Lost:
        kind = fault.fault
        if kind is RequestFault.STATUS:
            return refuse(Refusal(fault.status, "internal_error", "injected"))
        if kind is RequestFault.TIMEOUT_BEFORE:
            return Lost.TIMEOUT
        if kind is RequestFault.CUT_BEFORE:
            return Lost.CUT
        response = await self._handled(request)
        if kind is RequestFault.LATE:
            await self.clock.sleep_wall(fault.delay_seconds)
            return response
        return Lost.TIMEOUT if kind is RequestFault.TIMEOUT_AFTER else Lost.CUT

    def open(self, request: Request, send: Sink, cut: Callable[[], None]) -> Connection | Response:
        """Open a WebSocket, or return why the upgrade is refused."""
        try:
            if request.path != WEBSOCKET_PATH:
                raise Refusal(404, "not_found", "no such endpoint")  # noqa: TRY301 - one way out
            key = self.api.verifier.verify(request, self.clock.wall_us())
            require_scope(key, "read")
        except Refusal as refusal:
            return refuse(refusal)
        connection = Connection(Session(self.hub, key.account), send, cut)
        self.connections.append(connection)
        return connection

    async def command(self, connection: Connection, text: str | bytes) -> None:
        """Do a command that came over a WebSocket."""
        self.exchange.advance(self.clock.market_us())
        connection.session.receive(text)
        await self.commit()

    def close(self, connection: Connection) -> None:
        """Forget a WebSocket that has ended."""
        if connection.is_open:
            connection.is_open = False
            connection.session.close()
            self.connections.remove(connection)

    async def commit(self) -> None:
        """Make durable what changed, then send what waits for it.

        Raises:
            Unavailable: the database did not take it; it stays in memory for the next commit.
        """
        async with self._commit_lock:
            self._collect()
            if self.store is not None and self._is_save_due():
                await self._save(self.store)
            delivered, self._undelivered = self._undelivered, []
        for connection, frames in delivered:
            self._deliver(connection, frames)

    def _collect(self) -> None:
        self.hub.settle()
        for connection in self.connections:
            outbox = connection.session.outbox
            if outbox:
                self._undelivered.append((connection, outbox[:]))
                outbox.clear()

    def _is_save_due(self) -> bool:
        state = self.exchange.state
        return state.changes.is_urgent or state.now_us - self._saved_us >= self.house_save_us

    async def _save(self, store: Store) -> None:
        state = self.exchange.state
        taken = state.take_changes()
        try:
            await store.save(self.exchange, taken)
        except BaseException:
            state.changes = merged(taken, state.changes)
            self.is_saved = False
            raise
        self.is_saved = True
        self._saved_us = state.now_us

    def _deliver(self, connection: Connection, frames: list[bytes]) -> None:
        if not connection.is_open:
            return
        delivery = self.faults.deliver(frames, connection.session.account)
        if delivery.now:
            connection.send(delivery.now)
        self._delay(connection, delivery)
        if delivery.is_cut:
            self.close(connection)
            connection.cut()

    def _delay(self, connection: Connection, delivery: Delivery) -> None:
        for seconds, frame in delivery.later:
            asyncio.get_running_loop().call_later(seconds, _send_late, connection, frame)

    def cut_all(self) -> int:
        """Cut every WebSocket; return how many."""
        cut = list(self.connections)
        for connection in cut:
            self.close(connection)
            connection.cut()
        return len(cut)


def _send_late(connection: Connection, frame: bytes) -> None:
    if connection.is_open:
        connection.send([frame])


def merged(older: Changes, newer: Changes) -> Changes:
    """Return both sets of changes as one."""
    result = Changes()
    for one in fields(Changes):
        before, after = getattr(older, one.name), getattr(newer, one.name)
        if isinstance(before, list):
            setattr(result, one.name, before + after)
        else:
            setattr(result, one.name, before | after)
    return result
