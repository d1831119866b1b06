"""The executor's surroundings: virtual time, a scripted exchange, and a process that can be killed.

Market time and wall time run evenly but are years apart, as in a recording.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import psycopg
from tests.integration.money.scene import (
    START_US,
    WALL_START_US,
    Scene,
    context,
    exchange_order,
    login_url,
    make_account,
)

from recio.adapters.kalshi.budget import Budget, Lane
from recio.adapters.kalshi.caller import Call
from recio.adapters.kalshi.errors import (
    ORDER_ALREADY_EXISTS,
    KalshiRejected,
    OutcomeUnknown,
)
from recio.adapters.kalshi.model import (
    CanceledItem,
    ExchangeBalance,
    ExchangeOrder,
    ItemError,
    NewOrder,
    OrderGroup,
    OrderRef,
    OrderReply,
)
from recio.adapters.kalshi.rest_orders import PreparedOrder
from recio.adapters.postgres import config
from recio.adapters.postgres.hints import Hints
from recio.adapters.postgres.stepped import SteppedDatabase
from recio.apps.trade_executor.app import Executor
from recio.domain.errors import NoAnswer
from recio.domain.orders import OrderState
from recio.domain.units import SECOND_US
from recio.ports import Clock, Database
from recio.runtime.stepped import SteppedLoop

SIGNATURE_VALID_US = 5 * SECOND_US
Point = Callable[[str], None]


class TwoTimes:
    """Virtual time seen as market time and as wall time."""

    def __init__(self, loop: SteppedLoop, start_us: int = START_US) -> None:
        self._loop = loop
        self._start_us = start_us

    @property
    def at_us(self) -> int:
        """Market time."""
        return self.market_us()

    def market_us(self) -> int:
        """Return market time."""
        return self._start_us + self._loop.now_us

    def wall_us(self) -> int:
        """Return wall time."""
        return WALL_START_US + self._loop.now_us

    async def sleep_market(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)

    async def sleep_wall(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)


Answer = Callable[["ScriptedExchange", PreparedOrder], Awaitable[OrderReply]]


class ScriptedExchange:
    """Answers creates as told, keeps what it accepted for ever, and shows it ``lag_us`` later.

    ``wire`` holds the client order id of every create whose first byte left, ``sent_us`` when. What arrives with a
    dead signature or a used id is refused, as at the real exchange.
    """

    ahead = None
    most_cancels = 50

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.orders_by_id: dict[str, ExchangeOrder] = {}
        self.shown_from: dict[str, int] = {}
        self.script: deque[Answer] = deque()
        self.wire: list[str] = []
        self.sent_us: list[int] = []
        self.future_us = 0
        self.canceled: list[str] = []
        self.groups: dict[str, OrderGroup] = {}
        self.budget = Budget(clock)
        self.refuses_used_ids_forever = True
        self.arrived_twice = 0
        self.listed = 0
        self.lag_us = 0
        self.token_wait_s = 0.0
        self.unprepared: Exception | None = None
        self.point: Point = lambda _: None

    async def prepare(
        self, order: NewOrder, *, lane: Lane | None = None, wait_s: float | None = None
    ) -> PreparedOrder:
        """Take tokens and sign."""
        assert lane is None
        assert wait_s is not None
        self.point("prepare")
        await asyncio.sleep(self.token_wait_s)
        if self.unprepared is not None:
            raise self.unprepared
        call = Call(method="POST", path="/orders")
        return PreparedOrder(order, call, "/orders", {}, self.clock.wall_us())

    async def submit(self, prepared: PreparedOrder) -> OrderReply:
        """Do what the script says next; without one: accept and fill."""
        self.point("before the wire")
        self.sent_us.append(self.clock.wall_us())
        answer = self.script.popleft() if self.script else fill()
        reply = await answer(self, prepared)
        self.point("after the wire")
        return reply

    def accept(self, prepared: PreparedOrder, filled_e2: int | None = None) -> OrderReply:
        """Take an order in, filled whole unless told otherwise; the rest of it is canceled."""
        order = prepared.order
        if self.clock.wall_us() > prepared.signed_at_us + SIGNATURE_VALID_US:
            raise KalshiRejected(401, "", "the signature is too old")
        if order.client_order_id in self.orders_by_id:
            self.arrived_twice += 1
            if self.refuses_used_ids_forever:
                raise KalshiRejected(409, ORDER_ALREADY_EXISTS, "used before")
        filled = order.qty_e2 if filled_e2 is None else filled_e2
        exchange_id = f"x{len(self.orders_by_id) + 1}"
        self.shown_from[order.client_order_id] = self.clock.market_us()
        self.orders_by_id[order.client_order_id] = exchange_order(
            order_id=exchange_id,
            client_order_id=order.client_order_id,
            ticker=order.ticker,
            book_side=order.book_side,
            status="executed" if filled == order.qty_e2 else "canceled",
            qty_e2=order.qty_e2,
            fill_qty_e2=filled,
        )
        return OrderReply(
            order_id=exchange_id,
            client_order_id=order.client_order_id,
            fill_qty_e2=filled,
            remaining_qty_e2=0,
            average_price_usd_e6=None,
            average_fee_usd_e6=None,
            at_us=self.clock.market_us(),
        )

    def _shown(self) -> list[ExchangeOrder]:
        as_of_us = self.clock.market_us() - self.lag_us
        return [o for name, o in self.orders_by_id.items() if self.shown_from[name] <= as_of_us]

    async def orders(
        self, *, ticker: str | None = None, min_us: int = 0, status: str | None = None
    ) -> tuple[ExchangeOrder, ...]:
        """List orders, as old as reads are here."""
        self.point("list")
        self.listed += 1
        assert min_us < self.clock.market_us()
        return tuple(
            order
            for order in self._shown()
            if ticker in (None, order.ticker) and status in (None, order.status)
        )

    async def order(self, order_id: str) -> ExchangeOrder:
        """Return one order."""
        for order in self._shown():
            if order.order_id == order_id:
                return order
        raise KalshiRejected(404, "not_found", "no such order")

    async def as_of_us(self) -> int:
        """Return how old reads are."""
        self.point("as of")
        return self.clock.market_us() - self.lag_us + self.future_us

    # Account and fuse.

    async def adopt_limits(self) -> None:
        """Keep to the budget there is."""

    async def order_groups(self) -> tuple[OrderGroup, ...]:
        """List order groups."""
        return tuple(self.groups.values())

    async def order_group(self, group_id: str) -> OrderGroup:
        """Return one order group."""
        return self.groups[group_id]

    async def create_order_group(
        self, limit_qty_e2: int, *, exchange_index: int | None
    ) -> OrderGroup:
        """Make an order group."""
        made = OrderGroup(
            group_id=f"g{len(self.groups) + 1}",
            limit_qty_e2=limit_qty_e2,
            is_auto_cancel_enabled=True,
            exchange_index=exchange_index,
        )
        self.groups[made.group_id] = made
        return made

    async def balance(self) -> ExchangeBalance:
        """Return the balance."""
        return ExchangeBalance(
            cash_usd_e6=1_000_000_000, positions_usd_e6=0, updated_at_us=self.clock.market_us()
        )

    async def cancel_orders(self, orders: Sequence[OrderRef]) -> tuple[CanceledItem, ...]:
        """Cancel; nothing rests here."""
        gone = ItemError(code="not_found", message="it is over")
        self.canceled += [order.order_id for order in orders]
        return tuple(
            CanceledItem(order_id=order.order_id, reply=None, error=gone) for order in orders
        )


def fill(filled_e2: int | None = None, *, remaining_e2: int = 0) -> Answer:
    """Accept and answer."""

    async def answer(exchange: ScriptedExchange, prepared: PreparedOrder) -> OrderReply:
        exchange.wire.append(prepared.order.client_order_id)
        reply = exchange.accept(prepared, filled_e2)
        return OrderReply(
            order_id=reply.order_id,
            client_order_id=reply.client_order_id,
            fill_qty_e2=reply.fill_qty_e2,
            remaining_qty_e2=remaining_e2,
            average_price_usd_e6=None,
            average_fee_usd_e6=None,
            at_us=reply.at_us,
        )

    return answer


def silent_reply() -> Answer:
    """Accept, and answer without saying how much was filled."""

    async def answer(exchange: ScriptedExchange, prepared: PreparedOrder) -> OrderReply:
        exchange.wire.append(prepared.order.client_order_id)
        reply = exchange.accept(prepared)
        return OrderReply(
            order_id=reply.order_id,
            client_order_id=None,
            fill_qty_e2=None,
            remaining_qty_e2=None,
            average_price_usd_e6=None,
            average_fee_usd_e6=None,
            at_us=None,
        )

    return answer


def refuse(code: str = "insufficient_balance", status: int = 400) -> Answer:
    """Say no."""

    async def answer(exchange: ScriptedExchange, prepared: PreparedOrder) -> OrderReply:
        exchange.wire.append(prepared.order.client_order_id)
        raise KalshiRejected(status, code, "no")

    return answer


def lose(*, is_accepted: bool, after_s: float = 0.0, filled_e2: int | None = None) -> Answer:
    """Give no answer: the request arrives ``after_s`` later, or never."""

    async def answer(exchange: ScriptedExchange, prepared: PreparedOrder) -> OrderReply:
        exchange.wire.append(prepared.order.client_order_id)

        def arrive() -> None:
            with suppress(KalshiRejected):
                exchange.accept(prepared, filled_e2)

        if is_accepted and after_s:
            asyncio.get_running_loop().call_later(after_s, arrive)
        elif is_accepted:
            exchange.accept(prepared, filled_e2)
        exchange.point("on the wire")
        raise OutcomeUnknown("no answer")

    return answer


def unsent() -> Answer:
    """Fail before the first byte."""

    async def answer(_exchange: ScriptedExchange, _prepared: PreparedOrder) -> OrderReply:
        raise NoAnswer("cannot connect", sent=False)

    return answer


def answer_late(seconds: float) -> Answer:
    """Accept at once, answer much later."""

    async def answer(exchange: ScriptedExchange, prepared: PreparedOrder) -> OrderReply:
        exchange.wire.append(prepared.order.client_order_id)
        reply = exchange.accept(prepared)
        await asyncio.sleep(seconds)
        return reply

    return answer


class PointedDatabase:
    """A database port that calls ``point`` before and after every commit."""

    def __init__(self, inner: Database, point: Callable[[], Point]) -> None:
        self._inner = inner
        self._point = point
        self.poll_seconds = inner.poll_seconds
        self.settle_seconds = inner.settle_seconds
        self.session_pid = inner.session_pid

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """Open a transaction."""
        async with self._inner.transaction() as tx:
            yield tx
            self._point()("before a commit")
        self._point()("after a commit")

    def listen(self, *channels: str) -> AsyncIterator[Any]:
        """Pass hints on."""
        return self._inner.listen(*channels)

    async def close(self) -> None:
        """Close it."""
        await self._inner.close()


class Desk:
    """An account in virtual time with a scripted exchange, and its executors."""

    def __init__(self, database_url: str, account: str) -> None:
        self.loop = SteppedLoop()
        self.clock = TwoTimes(self.loop)
        self.hints = Hints()
        self.exchange = ScriptedExchange(self.clock)
        self._url = database_url
        self._ports: list[Database] = []
        self.processes: list[Process] = []
        self.scene = Scene(self._port("postgres"), self.login(account), account)
        self.scene.clock = self.clock  # type: ignore[assignment]

    def _port(self, login: str) -> SteppedDatabase:
        url = self._url if login == "postgres" else login_url(self._url, login)
        port = SteppedDatabase(url, hints=self.hints)
        self._ports.append(port)
        return port

    def login(self, account: str) -> SteppedDatabase:
        """Return a database session of its own for a process of the account."""
        return self._port(config.account_login(account))

    def play(self, script: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Make the account and run a script in virtual time."""

        async def main() -> Any:
            await self.open()
            try:
                return await script()
            finally:
                for task in asyncio.all_tasks() - {asyncio.current_task()}:
                    task.cancel()
                await asyncio.sleep(0)
                for port in self._ports:
                    await port.close()

        try:
            return self.loop.run_until_complete(main())
        finally:
            self.loop.close()

    def client(self) -> Any:
        """Return what a process reaches the exchange by."""
        return self.exchange

    def seen_by_process(self, port: Database) -> Database:
        """Return the database as processes see it."""
        return port

    def clock_of_process(self) -> Any:
        """Return the clock that a process is handed."""
        return self.clock

    async def open(self) -> None:
        """Make the account."""
        await make_account(self.scene)

    def process(self, *, point: Point | None = None) -> Process:
        """Start an executor with a session of its own."""
        self.processes.append(Process(self, point=point))
        return self.processes[-1]

    async def outcome(self, order_id: UUID) -> tuple[str, int]:
        """Return where an order stands, and how much of it is filled."""
        order = (await self.scene.order(order_id)).order
        return order.state.value, order.filled_qty_e2

    async def state(self, order_id: UUID) -> OrderState:
        """Return where an order stands."""
        return (await self.scene.order(order_id)).order.state

    async def events(self, order_id: UUID) -> list[tuple[str, int]]:
        """Return what was recorded of an order: kind and epoch."""
        return await self.scene.rows(
            "SELECT kind, epoch FROM trading.order_events WHERE order_id = %s ORDER BY seq",
            order_id,
        )

    async def reason(self, order_id: UUID) -> str:
        """Return why an order is where it is."""
        (text,) = await self.scene.one(
            "SELECT reason FROM trading.orders WHERE order_id = %s", order_id
        )
        return str(text)


class Process:
    """One executor with its tasks; it can be killed at any point."""

    def __init__(self, desk: Desk, *, point: Point | None) -> None:
        self._port = desk.login(desk.scene.account)
        self._owner = desk.scene.owner
        self._point = point
        self.is_dead = False
        database: Database = desk.seen_by_process(self._port)
        if point is not None:
            database = PointedDatabase(database, lambda: self._reach)
            desk.exchange.point = self._reach
        made = context("trade_executor", database, desk.clock_of_process(), desk.scene.account)
        self.rest = desk.client()
        self.executor = Executor(made, desk.scene.account, self.rest)
        self.service = self.executor.service()
        self.before = set(asyncio.all_tasks())
        self.tasks = [
            asyncio.create_task(task(), name=getattr(task, "__name__", ""))  # type: ignore[arg-type]
            for task in self.service.tasks
        ]

    def _reach(self, name: str) -> None:
        if self.is_dead:
            raise asyncio.CancelledError
        if self._point is not None:
            try:
                self._point(name)
            except Killed:
                self.is_dead = True
                raise asyncio.CancelledError from None

    async def stop(self, name: str) -> None:
        """Stop one of its tasks, as a freeze would."""
        for task in self.tasks:
            if task.get_name() == name:
                task.cancel()
        await asyncio.sleep(0)

    async def kill(self) -> None:
        """End it like kill -9: tasks, requests and its database session are gone."""
        self.is_dead = True
        for task in (*self.tasks, *self.executor._busy.values()):
            task.cancel()
        await asyncio.sleep(0)
        session = self._port._session
        pid = session.backend_pid if session is not None and session.is_open else None
        await self._port.close()
        if pid is not None:
            _await_end(self._owner, pid)


def _await_end(owner: Any, pid: int) -> None:
    """Wait, in real time, until the server knows that a client is gone: virtual time outruns it."""
    with psycopg.connect(owner._dsn, autocommit=True) as connection:
        for _ in range(5_000):
            found = connection.execute("SELECT FROM pg_stat_activity WHERE pid = %s", (pid,))
            if not found.fetchall():
                return
            time.sleep(0.001)
    raise AssertionError(f"PostgreSQL still shows the closed connection {pid}")


class Killed(Exception):
    """Raised by a point function: the process dies here."""


async def entry(desk: Desk, **changes: Any) -> UUID:
    """Let the gate accept an entry; return its order."""
    return await desk.scene.entry_order(await desk.scene.enter(**changes))


async def leaving(desk: Desk, *, valid_s: float = 300.0, **changes: Any) -> UUID:
    """Let the gate accept the exit of a held trade, valid for long; return its order."""
    valid_until_us = desk.clock.market_us() + round(valid_s * SECOND_US)
    held = await desk.scene.held_trade()
    return await desk.scene.leave(held, **{"valid_until_us": valid_until_us} | changes)


def sent_once(desk: Desk, order_id: UUID) -> bool:
    """Whether the order was on the wire exactly once."""
    return desk.exchange.wire == [str(order_id)]
