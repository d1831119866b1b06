"""Read everything back from the exchange and book what is missing; compare cash when it is quiet."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from recio.adapters.kalshi.errors import KalshiRejected
from recio.adapters.kalshi.model import ExchangeFill, ExchangeOrder, ExchangeSettlement
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.postgres import external, facts, switches
from recio.adapters.postgres.external import Pulse
from recio.apps.kalshi_account_sync import booking
from recio.apps.kalshi_account_sync.losses import LossWatch
from recio.domain.account_config import Trading
from recio.domain.errors import InvalidValue, Rejected, Unavailable
from recio.domain.units import MINUTE_US, SECOND_US
from recio.runtime.service import ServiceContext

LOOK_BACK_US: Final = 10 * MINUTE_US
"""Facts are read again from this long before the newest one: they are not shown in order."""

BREAKER: Final = "breaker:books"
STREAM: Final = "stream"
CONFIRM_US: Final = 5 * SECOND_US


class Reconciler:
    """Keeps one account's books equal to the exchange's."""

    def __init__(self, context: ServiceContext, account: str, rest: KalshiRest) -> None:
        self._context = context
        self._account = account
        self._database = context.database
        self._clock = context.clock
        self._rest = rest
        self._losses = LossWatch(context, account)
        self._differs_since_us: int | None = None
        self._is_tripped: bool | None = None
        self._difference = context.metrics.gauge(
            "recio_cash_difference_dollars", "Exchange cash minus ledger cash, in a quiet moment."
        )
        self._facts = context.metrics.counter(
            "recio_facts_booked_total", "Facts booked, by kind and by who told first.", "kind", "by"
        )
        self._refused = context.metrics.counter(
            "recio_facts_refused_total", "Facts of the exchange that could not be booked."
        )
        self.problem = ""

    @property
    def is_differing(self) -> bool:
        """Whether cash was different the last time it was compared."""
        return self._differs_since_us is not None

    async def open_books(self) -> None:
        """Book the opening balance and positions at the account's very first start."""
        async with self._database.transaction() as tx:
            if await external.opening_us(tx, self._account) is not None:
                return
        balance = await self._rest.balance()
        positions = await self._rest.positions()
        at_us = await self._rest.as_of_us()
        if (await self._rest.balance()).cash_usd_e6 != balance.cash_usd_e6:
            raise Unavailable("somebody trades while the books are opened: they are read again")
        async with self._database.transaction() as tx:
            if not await facts.open_books(
                tx, self._account, cash_usd_e6=balance.cash_usd_e6, at_us=at_us
            ):
                return
            for position in positions:
                if position.qty_e2:
                    await booking.adopt_position(tx, self._account, position, at_us=at_us)
        self._context.log.info("books opened with %d micro-dollars", balance.cash_usd_e6)

    async def reconcile(self) -> None:
        """Read orders, fills and settlements since the last known fact, and book them.

        Settlements are read before fills, so that every fill of a settled market is at hand.
        """
        now_us = self._clock.market_us()
        since_us = await self._since_us(now_us)
        settlements = await self._rest.settlements(min_us=since_us)
        orders = await self._rest.orders(min_us=since_us)
        reasons = [await self._told(self.book_order(order)) for order in orders]
        fills = sorted(await self._rest.fills(min_us=since_us), key=lambda fill: fill.at_us or 0)
        reasons += [await self._told(self.book_fill(fill, told_by="read")) for fill in fills]
        reasons += [await self._told(self._settle(told, now_us)) for told in settlements]
        self.problem = "; ".join(reason for reason in reasons if reason)
        await self._losses.look()
        await self._compare()

    async def _told(self, work: Awaitable[str | None]) -> str:
        """Return why a fact cannot be booked; one that is refused must not stop the others."""
        try:
            return await work or ""
        except Rejected as error:
            self._refused.inc()
            self._context.log.warning("a fact is refused: %s", error)
            return str(error)

    async def book_order(self, order: ExchangeOrder) -> None:
        """Move an order of ours on to what the exchange tells."""
        async with self._database.transaction() as tx:
            await booking.book_order(tx, self._account, order, now_us=self._clock.market_us())

    async def book_fill(self, fill: ExchangeFill, *, told_by: str) -> None:
        """Book one fill; a stranger's order is looked up at the exchange first, to know whose it is."""
        async with self._database.transaction() as tx:
            if await facts.has_fill(tx, self._account, fill.fill_id):
                return
            known = await external.our_order(tx, self._account, fill.order_id, fill.client_order_id)
        client_order_id = fill.client_order_id
        if known is None and client_order_id is None:
            client_order_id = await self._client_order_id(fill.order_id)
        async with self._database.transaction() as tx:
            is_new = await booking.book_fill(
                tx,
                self._account,
                fill,
                client_order_id=client_order_id,
                now_us=self._clock.market_us(),
            )
        if is_new:
            self._facts.inc(1, "fill", told_by)
            if told_by == STREAM:
                await self._losses.look()

    async def pulse(self) -> Pulse:
        """Return what is open now."""
        async with self._database.transaction() as tx:
            return await external.pulse(tx, self._account)

    async def _since_us(self, now_us: int) -> int:
        async with self._database.transaction() as tx:
            last_us = await external.last_fact_us(tx, self._account)
            since_us = min(now_us, last_us or now_us) - LOOK_BACK_US
            return await external.oldest_open_us(tx, self._account, since_us)

    async def _client_order_id(self, order_id: str) -> str | None:
        try:
            return (await self._rest.order(order_id)).client_order_id
        except (KalshiRejected, InvalidValue):
            return None

    async def _settle(self, told: ExchangeSettlement, now_us: int) -> str:
        async with self._database.transaction() as tx:
            reason = await booking.book_settlement(tx, self._account, told, now_us=now_us)
        if reason:
            self._context.log.warning("settlement waits: %s", reason)
        return reason

    async def _compare(self) -> None:
        """Compare cash when nothing is in flight and the exchange's read is newer than our last act."""
        before = await self.pulse()
        if before.in_doubt:
            return
        # How fresh reads are is asked first: the balance that is read after is at least as fresh.
        as_of_us = await self._rest.as_of_us()
        balance = await self._rest.balance()
        async with self._database.transaction() as tx:
            totals = await facts.lock_totals(tx, self._account)
            after = await external.pulse(tx, self._account)
            if totals is None or after != before or as_of_us <= after.last_action_us:
                return
            now_us = self._clock.market_us()
            await external.record_balance(
                tx,
                self._account,
                exchange_usd_e6=balance.cash_usd_e6,
                ledger_usd_e6=totals.cash_usd_e6,
                as_of_us=as_of_us,
                at_us=now_us,
            )
        difference = balance.cash_usd_e6 - totals.cash_usd_e6
        self._difference.set(difference / 1e6)
        await self._judge(difference, now_us)

    async def _judge(self, difference_usd_e6: int, now_us: int) -> None:
        """Halt entries when a difference has stood for 5 s; release our own halt when it is gone."""
        if difference_usd_e6 == 0:
            self._differs_since_us = None
            if self._is_tripped is not False:
                await self._trip(Trading.ACTIVE, "cash equals the exchange's", now_us)
                self._is_tripped = False
            return
        if self._differs_since_us is None:
            self._differs_since_us = now_us
            await self._book_movements(now_us)
        elif now_us - self._differs_since_us >= CONFIRM_US and not self._is_tripped:
            reason = f"the exchange's cash differs from the books by ${difference_usd_e6 / 1e6:.6f}"
            self._context.log.error("%s: no new entries until it is explained", reason)
            await self._trip(Trading.NO_NEW_ENTRIES, reason, now_us)
            self._is_tripped = True

    async def _book_movements(self, now_us: int) -> None:
        """Book deposits and withdrawals: the first thing that explains a difference.

        One with a fee is left to a person: whether the fee is part of the amount is not documented.
        """
        opened_us = await self._opened_us()
        for movement in (*await self._rest.deposits(), *await self._rest.withdrawals()):
            at_us = movement.finalized_at_us
            if movement.status != "applied" or at_us is None or at_us <= opened_us:
                continue
            if movement.fee_usd_e6:
                self._context.log.warning("%s has a fee: book it by hand", movement.movement_id)
                continue
            sign = 1 if movement.kind == "deposit" else -1
            async with self._database.transaction() as tx:
                await facts.book_transfer(
                    tx,
                    self._account,
                    f"{movement.kind}:{movement.movement_id}",
                    sign * movement.amount_usd_e6,
                    at_us=at_us,
                    seen_us=now_us,
                )

    async def _opened_us(self) -> int:
        async with self._database.transaction() as tx:
            opened_us = await external.opening_us(tx, self._account)
        assert opened_us is not None
        return opened_us

    async def _trip(self, state: Trading, reason: str, now_us: int) -> None:
        async with self._database.transaction() as tx:
            rows = await switches.switch_rows(tx, self._account)
            held = next((row for row in rows if row.source == BREAKER), None)
            if held is None and state is Trading.ACTIVE:
                return
            await switches.set_switch(
                tx,
                self._account,
                BREAKER,
                state,
                reason=reason,
                author=self._context.row.name,
                at_us=now_us,
            )
