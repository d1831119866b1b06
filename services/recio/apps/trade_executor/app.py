"""trade_executor: recover, then send what waits, resolve what is in doubt, cancel what must go."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any
from uuid import UUID

from recio.adapters.kalshi.errors import KalshiRejected
from recio.adapters.kalshi.model import OrderRef
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.postgres import leases, orders
from recio.adapters.postgres.orders import OrderRow
from recio.apps.trade_executor.resolving import Verdict, resolve
from recio.apps.trade_executor.sending import Outcome, Sender
from recio.domain.errors import Rejected, Unavailable
from recio.domain.orders import OrderState
from recio.domain.switches import cancels_resting
from recio.runtime.service import Readiness, Service, ServiceContext
from recio.runtime.wake import Wake

RENEW_SECONDS = 3.0
RESOLVE_SECONDS = 1.0
RETRY_SECONDS = 0.5
IN_DOUBT = frozenset({OrderState.SUBMITTED, OrderState.UNKNOWN})
RESTING = frozenset({OrderState.RESTING, OrderState.PARTIALLY_FILLED})


class Executor:
    """The fenced singleton of one account."""

    def __init__(self, context: ServiceContext, account: str, rest: KalshiRest) -> None:
        self._context = context
        self._account = account
        self._rest = rest
        self._sender = Sender(context, rest)
        self._holder = context.ids.fresh()
        self._epoch: int | None = None
        self._is_recovered = False
        self._busy: dict[UUID, asyncio.Task[object]] = {}
        self._failed: BaseException | None = None
        self._wake = Wake(context.database, "orders", "switches", account=account)
        self._intents = Wake(context.database, "intents", account=account)
        self._problem = "is recovering"

    async def run(self) -> None:
        """Hold the lease, recover, then send for ever."""
        while True:
            try:
                await self._step()
            except Unavailable as error:
                self._say(str(error))
                await self._context.clock.sleep_wall(RETRY_SECONDS)
                continue
            await self._wake.wait()

    async def _step(self) -> None:
        if self._failed is not None:
            # Work on an order met what must not be. Starting again recovers it.
            raise self._failed
        if self._epoch is None:
            self._say("another copy holds the lease")
            await self._renew()
        if self._epoch is None:
            return
        if not self._is_recovered:
            await self._doubt_what_was_claimed()
            self._is_recovered = True
        await self._work(self._epoch)
        self._say("")

    async def renew(self) -> None:
        """Renew the lease for ever; losing it stops all sending at once."""
        while True:
            await self._context.clock.sleep_wall(RENEW_SECONDS)
            try:
                await self._renew()
            except Unavailable as error:
                self._context.log.warning("lease not renewed: %s", error)

    async def _renew(self) -> None:
        async with self._context.database.transaction() as tx:
            epoch = await leases.acquire(
                tx,
                self._account,
                self._context.row.name,
                self._holder,
                wall_us=self._context.clock.wall_us(),
                session_pid=self._context.database.session_pid,
            )
        if epoch != self._epoch:
            self._context.log.info("lease epoch is %s, was %s", epoch, self._epoch)
            self._epoch, self._is_recovered = epoch, False
            self._wake.now()

    async def _doubt_what_was_claimed(self) -> None:
        """Whatever an earlier holder had claimed may be at the exchange: nobody here knows."""
        assert self._epoch is not None
        doubt = Outcome(OrderState.UNKNOWN, "unknown", reason="its sender is gone")
        async with self._context.database.transaction() as tx:
            held = await orders.open_orders(tx, self._account)
        for row in held:
            if row.order.state is OrderState.SUBMITTED and row.order.order_id not in self._busy:
                await self._sender.record_outcome(row, self._epoch, doubt)

    async def _work(self, epoch: int) -> None:
        """Send what waits; resolve what is in doubt; cancel what rests if the switch says so."""
        async with self._context.database.transaction() as tx:
            work = await orders.work(tx, self._account)
            # Started before this transaction ends: that end is a round trip that none needs.
            for row in work.waiting:
                self._start(row, self._sender.send(row, epoch))
        for row in work.held:
            if row.order.state is OrderState.UNKNOWN:
                self._start(row, self._settle_doubt(row, epoch))
            elif row.order.state in RESTING and cancels_resting(work.switch.state):
                await self._cancel(row)

    def _start(self, row: OrderRow, work: Coroutine[Any, Any, object]) -> None:
        """Start work on an order, unless somebody here is at it."""
        order_id = row.order.order_id
        if order_id in self._busy:
            work.close()
            return
        task = asyncio.create_task(work)
        self._busy[order_id] = task
        task.add_done_callback(lambda done: self._done(order_id, done))

    def _done(self, order_id: UUID, task: asyncio.Task[object]) -> None:
        del self._busy[order_id]
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Unavailable):
            # The database did not say. It may stand there as submitted: doubt it again.
            self._context.log.warning("order %s: %s", order_id, error)
            self._is_recovered = False
        elif error is not None:
            self._failed = error
        self._wake.now()

    async def _settle_doubt(self, row: OrderRow, epoch: int) -> None:
        """Look for an order in doubt until it is found or provably absent."""
        while self._epoch == epoch:
            try:
                outcome = await resolve(self._rest, self._context.clock, row)
            except (Unavailable, Rejected) as error:
                self._context.log.warning("cannot resolve %s yet: %s", row.order.order_id, error)
                outcome = Verdict.NOT_KNOWN_YET
            if isinstance(outcome, Outcome):
                await self._sender.record_outcome(row, epoch, outcome)
                return
            if outcome is Verdict.SEND_AGAIN:
                self._context.log.info("exit %s never arrived", row.order.order_id)
                if await self._sender.send(row, epoch) is not OrderState.UNKNOWN:
                    return
            await self._context.clock.sleep_wall(RESOLVE_SECONDS)

    async def _cancel(self, row: OrderRow) -> None:
        assert row.order.exchange_order_id is not None
        ref = OrderRef(
            order_id=row.order.exchange_order_id,
            ticker=row.order.market_ticker,
            exchange_index=row.order.exchange_index,
        )
        try:
            await self._rest.cancel_order(ref)
        except KalshiRejected as error:
            # 404: it is over already. Its end arrives on the private stream or by reconciliation.
            self._context.log.info("cancel of %s: %s", row.order.order_id, error)

    async def sign_ahead(self) -> None:
        """Sign while the gate is still deciding: an RSA signature takes as long as a transaction."""
        while True:
            if await self._intents.wait() and self._rest.ahead is not None:
                self._rest.ahead.refresh()

    def _say(self, problem: str) -> None:
        if problem != self._problem:
            self._context.log.info("%s", problem or "ready to send")
        self._problem = problem

    async def drain(self) -> None:
        """Let what is on the wire be answered and recorded before the process ends."""
        if self._busy:
            await asyncio.wait(self._busy.values(), timeout=4.0)

    def service(self) -> Service:
        """Return it as a service."""
        return Service(
            tasks=(
                self._wake.listen,
                self._intents.listen,
                self.run,
                self.renew,
                self.sign_ahead,
            ),
            readiness=lambda: Readiness(is_ready=not self._problem, reason=self._problem),
            drain=self.drain,
        )


def build(context: ServiceContext) -> Service:
    """Build the executor of the context's account."""
    assert context.account is not None
    return Executor(
        context, context.account, context.access.account_rest(context.account)
    ).service()
