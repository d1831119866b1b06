"""trade_executor: recover, then send what waits, resolve what is in doubt, cancel what must go."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from recio.adapters.kalshi.budget import Lane
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.postgres import leases, orders
from recio.adapters.postgres.orders import OrderRow
from recio.apps.trade_executor.canceling import STANDS, Canceler
from recio.apps.trade_executor.fuse import Fuse
from recio.apps.trade_executor.resolving import Verdict, resolve
from recio.apps.trade_executor.sending import Outcome, Sender
from recio.apps.trade_executor.sight import SeenDatabase
from recio.domain.errors import Rejected, Unavailable
from recio.domain.orders import OrderState
from recio.domain.switches import Effective, cancels_resting
from recio.runtime.service import Readiness, Service, ServiceContext
from recio.runtime.wake import Wake

RENEW_SECONDS = 3.0
RESOLVE_SECONDS = 1.0
RETRY_SECONDS = 0.5
LOOK_SECONDS = 0.5
AWAY_LOOKS = 8
"""So many looks without an answer of the database, and what rests is canceled: 4.0 to 4.5 s after
the last answer, which is within the five that are promised."""


class Executor:
    """The fenced singleton of one account."""

    def __init__(self, context: ServiceContext, account: str, rest: KalshiRest) -> None:
        self._seen = SeenDatabase(context.database)
        context = replace(context, database=self._seen)
        self._context = context
        self._account = account
        self._rest = rest
        self._canceler = Canceler(
            context, rest, ended=self._record_end, acknowledged=self._record_acknowledged
        )
        self._fuse = Fuse(context, account, rest)
        self._sender = Sender(context, rest, fuse=self._fuse, heard=self._canceler.standing.heard)
        throttled = context.metrics.counter(
            "recio_exchange_throttled_total",
            "Requests that the exchange refused as too many.",
            "lane",
        )
        for lane in Lane:
            throttled.inc(0, lane.name.lower())
        rest.budget.on_throttled = lambda lane: throttled.inc(1, lane.name.lower())
        self._holder = context.ids.fresh()
        self._epoch: int | None = None
        self._is_recovered = False
        self._is_away = False
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
        if self._epoch is None or self._is_away:
            self._say("the database is away" if self._is_away else "another copy holds the lease")
            await self._renew()
        if self._epoch is None:
            return
        if not self._is_recovered:
            await self._recover(self._epoch)
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
            self._epoch, self._is_recovered, self._is_away = epoch, False, False
            self._canceler.standing.clear()
            self._canceler.leave()
            self._fuse.begin(epoch)
            self._wake.now()

    async def watch(self) -> None:
        """Cancel what rests, from memory, when the database has been silent for too long."""
        clock = self._context.clock
        while True:
            await clock.sleep_wall(LOOK_SECONDS)
            if self._seen.look() < AWAY_LOOKS:
                continue
            if self._epoch is not None and not self._is_away:
                self._is_away, self._is_recovered = True, False
                self._say("the database is away")
                self._context.log.error("no word from the database for 4 s: the book is cleared")
                self._canceler.clear(clock.market_us())
            self._wake.now()

    async def _recover(self, epoch: int) -> None:
        """Reconcile before anything is sent: whatever was claimed or rested may have gone on.

        What an earlier holder had claimed may be at the exchange: nobody here knows.
        """
        doubt = Outcome(OrderState.UNKNOWN, "unknown", reason="its sender is gone")
        async with self._context.database.transaction() as tx:
            held = await orders.open_orders(tx, self._account)
        for row in held:
            if row.order.state is OrderState.SUBMITTED and row.order.order_id not in self._busy:
                await self._sender.record_outcome(row, epoch, doubt)
        self._is_away = False
        try:
            await self._canceler.look(row for row in held if row.order.state in STANDS)
        except Rejected as error:
            raise Unavailable(f"cannot reconcile yet: {error}") from error

    async def _work(self, epoch: int) -> None:
        """Send what waits; resolve what is in doubt; cancel what rests if the switch says so."""
        async with self._context.database.transaction() as tx:
            work = await orders.work(tx, self._account)
            if self._is_away:
                return  # It hung for seconds: reconcile first.
            # Started before this transaction ends: that end is a round trip that none needs.
            for row in work.waiting:
                self._start(row, self._sender.send(row, epoch))
        self._canceler.standing.read(work.held)
        if cancels_resting(work.switch.state):
            self._canceler.clear(_since_us(work.switch))
        else:
            self._canceler.leave()
        for row in work.held:
            if row.order.state is OrderState.UNKNOWN:
                self._start(row, self._settle_doubt(row, epoch))

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
                if await self._is_settled(row, epoch):
                    return
            except Rejected as error:
                self._context.log.warning("cannot resolve %s: %s", row.order.order_id, error)
            await self._context.clock.sleep_wall(RESOLVE_SECONDS)

    async def _is_settled(self, row: OrderRow, epoch: int) -> bool:
        """Look once; return whether anything came of it.

        Raises:
            Unavailable: the database did not take what was found.
        """
        try:
            outcome = await resolve(self._rest, self._context.clock, row)
        except Unavailable as error:
            self._context.log.warning("cannot resolve %s yet: %s", row.order.order_id, error)
            return False
        if isinstance(outcome, Outcome):
            self._canceler.standing.heard(row, outcome)
            await self._sender.record_outcome(row, epoch, outcome)
            return True
        if outcome is Verdict.NOT_KNOWN_YET:
            return False
        self._context.log.info("exit %s never arrived", row.order.order_id)
        if await self._sender.send(row, epoch) is OrderState.UNKNOWN:
            # In doubt again, by a claim of its own: this row knows only the one before.
            await self._context.clock.sleep_wall(RESOLVE_SECONDS)
        return True

    async def _record_end(self, row: OrderRow, outcome: Outcome) -> None:
        # While the database is away nothing can be written: its return reconciles.
        if self._epoch is not None and not self._is_away:
            await self._sender.record_outcome(row, self._epoch, outcome)

    async def _record_acknowledged(self, rows: Sequence[OrderRow]) -> None:
        if self._epoch is not None and not self._is_away:
            await self._sender.record_acknowledged(rows, self._epoch)

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
                self.watch,
                self._canceler.run,
                self._fuse.listen,
                self._fuse.run,
                self.sign_ahead,
            ),
            readiness=lambda: Readiness(is_ready=not self._problem, reason=self._problem),
            routes={("POST", "/api/reset_fuse"): self._fuse.reset},
            drain=self.drain,
        )


def _since_us(switch: Effective) -> int:
    """Return when the book was last told to be cleared."""
    return max(row.changed_at_us for row in switch.rows if cancels_resting(row.state))


def build(context: ServiceContext) -> Service:
    """Build the executor of the context's account."""
    assert context.account is not None
    return Executor(
        context, context.account, context.access.account_rest(context.account)
    ).service()
