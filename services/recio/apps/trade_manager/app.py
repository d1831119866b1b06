"""trade_manager: folds facts into trades on every hint, at every close, and on a person's request."""

from __future__ import annotations

import json
from typing import Final

from recio.adapters.postgres import folding
from recio.apps.trade_manager.fold import fold
from recio.domain.errors import Unavailable
from recio.domain.units import SECOND_US
from recio.runtime.service import HttpRequest, HttpResponse, Readiness, Service, ServiceContext
from recio.runtime.wake import Wake

LOOK_S: Final = 10.0
"""How often the next close is looked up, in market seconds: a fold may have changed it."""


class TradeManager:
    """Keeps the trades of one account equal to their facts."""

    def __init__(self, context: ServiceContext, account: str) -> None:
        self._context = context
        self._account = account
        self._wake = Wake(context.database, "facts", "orders", account=account, is_follower=True)
        self._moved = context.metrics.counter(
            "recio_trades_moved_total", "Trades that changed their state.", "state"
        )
        self._next_close_us: int | None = None
        self._problem = "has not folded yet"

    async def recover(self) -> None:
        """Fold what happened while this service was away."""
        await self.fold_all()

    async def run(self) -> None:
        """Fold at every hint, and when it is told that a live trade's event has closed."""
        while True:
            await self._wake.wait()
            try:
                await self.fold_all()
            except Unavailable as error:
                self._problem = str(error)
                self._context.log.warning("database unavailable: %s", error)

    async def watch_closes(self) -> None:
        """Wake at every close of a live trade: on the market's clock, which may run faster."""
        while True:
            due_us, now_us = self._next_close_us, self._context.clock.market_us()
            if due_us is not None and due_us <= now_us:
                self._next_close_us = None
                self._wake.now()
            left_s = LOOK_S if due_us is None else (due_us - now_us) / SECOND_US
            await self._context.clock.sleep_market(min(max(left_s, 0.0), LOOK_S))

    async def fold_all(self) -> int:
        """Fold every trade that may have changed; return how many changed their state."""
        now_us = self._context.clock.market_us()
        async with self._context.database.transaction() as tx:
            waiting, self._next_close_us = await folding.waiting(tx, self._account, now_us)
        moved = 0
        for trade_id in waiting:
            async with self._context.database.transaction() as tx:
                state = await fold(
                    tx, self._context.environment, trade_id, now_us=self._context.clock.market_us()
                )
            if state is not None:
                moved += 1
                self._moved.inc(1, state.value)
                self._context.log.info("trade %s is %s", trade_id, state, extra={"id": trade_id})
        self._problem = ""
        return moved

    async def check_now(self, _request: HttpRequest) -> HttpResponse:
        """Answer a person who asks to look for expired or settled trades now; safe to repeat."""
        moved = await self.fold_all()
        return HttpResponse(200, json.dumps({"moved": moved}).encode())

    def service(self) -> Service:
        """Return it as a service."""
        return Service(
            recover=self.recover,
            tasks=(self._wake.listen, self.run, self.watch_closes),
            readiness=lambda: Readiness(is_ready=not self._problem, reason=self._problem),
            routes={
                ("POST", "/api/manual_expiration_check"): self.check_now,
                ("POST", "/api/manual_settlement_poll"): self.check_now,
            },
        )


def build(context: ServiceContext) -> Service:
    """Build the trade manager of the context's account."""
    assert context.account is not None
    return TradeManager(context, context.account).service()
