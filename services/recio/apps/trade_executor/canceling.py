"""Take what rests off the book: when a switch says so, and when the database is away.

What is known to rest goes first, in one batch request that needs no look and no row; then the
exchange is asked what still rests. That finds what nobody here knows: an order in doubt, and what a
person placed by hand. Cancels are repeated until the exchange shows the order's end; an
acknowledgement or a 404 is not an end, because a fill may have crossed it. What somebody places by
hand after the switch was set is left alone (docs/decisions/0018).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeVar

from msgspec.structs import replace

from recio.adapters.kalshi.errors import NOT_FOUND, KalshiRejected, RateLimited
from recio.adapters.kalshi.model import CanceledItem, ExchangeOrder, OrderRef
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.postgres.orders import OrderRow
from recio.apps.trade_executor.resolving import LOOK_BACK_US, RESTING, found_outcome
from recio.apps.trade_executor.sending import Outcome
from recio.domain.errors import Rejected, Unavailable
from recio.domain.orders import OrderState
from recio.domain.units import SECOND_US
from recio.runtime.service import ServiceContext

AGAIN_SECONDS: Final = 1.0
PATIENCE_US: Final = 2 * SECOND_US
"""How long an acknowledged cancel may be shown as resting (0.4 s seen) before it is sent again."""
TRIES: Final = 3
STANDS: Final = frozenset({OrderState.RESTING, OrderState.PARTIALLY_FILLED})
IN_DOUBT: Final = frozenset({OrderState.SUBMITTED, OrderState.UNKNOWN})

T = TypeVar("T")
Ended = Callable[[OrderRow, Outcome], Awaitable[None]]
"""Writes how an order ended."""
Acknowledged = Callable[[Sequence[OrderRow]], Awaitable[None]]
"""Writes that cancels of these orders were acknowledged."""


class Standing:
    """What of ours rests or may rest, known without the database: last read, and replies since."""

    def __init__(self) -> None:
        self._read: dict[str, OrderRow] = {}
        self._heard: dict[str, OrderRow] = {}
        self._doubted: dict[str, OrderRow] = {}

    def read(self, held: Iterable[OrderRow]) -> None:
        """Take over what the database says is at the exchange."""
        rows = list(held)
        self._read = {_id(row): row for row in rows if row.order.state in STANDS}
        self._doubted = {
            row.order.client_order_id: row for row in rows if row.order.state in IN_DOUBT
        }
        self._heard = {name: row for name, row in self._heard.items() if name not in self._read}

    def heard(self, row: OrderRow, outcome: Outcome) -> None:
        """Take in that an order is on the wire, or its reply, whether or not the database takes it."""
        self._doubted.pop(row.order.client_order_id, None)
        name = outcome.exchange_order_id
        if outcome.state in IN_DOUBT:
            self._doubted[row.order.client_order_id] = row
        elif name is not None and outcome.state in STANDS:
            held = replace(row.order, state=outcome.state, exchange_order_id=name)
            self._heard[name] = replace(row, order=held)
        elif name is not None:
            self.forget(name)

    def forget(self, exchange_order_id: str) -> None:
        """An order has ended."""
        self._read.pop(exchange_order_id, None)
        self._heard.pop(exchange_order_id, None)

    def clear(self) -> None:
        """Know nothing any more: another copy holds the lease."""
        self._read, self._heard, self._doubted = {}, {}, {}

    @property
    def rows(self) -> dict[str, OrderRow]:
        """What rests, by the exchange's id."""
        return self._read | self._heard

    def is_ours(self, order: ExchangeOrder) -> bool:
        """Whether an order of the exchange's list is known here."""
        return order.order_id in self.rows or order.client_order_id in self._doubted


class Canceler:
    """Clears the book of one account for as long as that is wanted."""

    def __init__(
        self, context: ServiceContext, rest: KalshiRest, *, ended: Ended, acknowledged: Acknowledged
    ) -> None:
        self._context = context
        self._clock = context.clock
        self._rest = rest
        self._ended = ended
        self._acknowledged = acknowledged
        self.standing = Standing()
        self._is_wanted = asyncio.Event()
        self._before_us = 0
        self._cleared_us: int | None = None
        self._sent_us: dict[str, int] = {}
        self._last_sent_us = 0

    def clear(self, before_us: int) -> None:
        """Want everything off the book that was there at ``before_us``, and all of ours."""
        if before_us != self._cleared_us or self.standing.rows:
            self._before_us = before_us
            self._is_wanted.set()

    def leave(self) -> None:
        """Want nothing any more: what rests may rest."""
        self._is_wanted.clear()
        self._cleared_us = None

    async def run(self) -> None:
        """Clear the book for ever, whenever that is wanted."""
        while True:
            await self._is_wanted.wait()
            before_us = self._before_us
            try:
                is_clear = await self._round(before_us)
            except (Unavailable, Rejected) as error:
                self._context.log.warning("the book is not clear yet: %s", error)
                is_clear = False
            if not is_clear:
                await self._clock.sleep_wall(AGAIN_SECONDS)
            elif before_us == self._before_us:
                self._cleared_us = before_us
                self._is_wanted.clear()
                self._sent_us.clear()

    async def _round(self, before_us: int) -> bool:
        """Cancel what is known to rest, then what the exchange shows; return whether all is over."""
        await self._cancel([_ref(row) for row in self._due(self.standing.rows).values()])
        as_of_us = await self._rest.as_of_us()
        shown = {
            order.order_id: order
            for order in await self._rest.orders(status=RESTING)
            if self.standing.is_ours(order) or (order.created_at_us or 0) <= before_us
        }
        found = [_ref_of(order) for order in self._due(shown).values()]
        if found:
            await self._cancel(found)
            return False
        await self.look(self.standing.rows.values())
        return not shown and not self.standing.rows and as_of_us >= self._last_sent_us

    async def look(self, rows: Iterable[OrderRow]) -> None:
        """Write how orders ended, as far as the exchange shows it.

        Raises:
            Unavailable: the exchange does not answer, or the database does not take it.
        """
        resting = list(rows)
        if not resting:
            return
        since_us = min(row.order.created_at_us for row in resting) - LOOK_BACK_US
        listed = {order.order_id: order for order in await self._rest.orders(min_us=since_us)}
        for row in resting:
            told = listed.get(_id(row))
            if told is not None and told.status != RESTING:
                self.standing.forget(told.order_id)
                await self._ended(row, found_outcome(row, told))

    def _due(self, rows: dict[str, T]) -> dict[str, T]:
        """Return those whose cancel was not sent, or so long ago that it must have been lost."""
        late_us = self._clock.market_us() - PATIENCE_US
        return {name: row for name, row in rows.items() if self._sent_us.get(name, 0) <= late_us}

    async def _cancel(self, refs: Sequence[OrderRef]) -> None:
        """Cancel in as few requests as fit; one that fails holds no other back."""
        most, failed = self._rest.most_cancels, []
        for first in range(0, len(refs), most):
            try:
                await self._cancel_batch(refs[first : first + most])
            except Unavailable as error:
                failed.append(error)
        if failed:
            raise failed[0]

    async def _cancel_batch(self, refs: Sequence[OrderRef]) -> None:
        self._last_sent_us = self._clock.market_us()
        for _ in range(TRIES):
            try:
                items = await self._rest.cancel_orders(refs)
            except RateLimited:
                continue  # The budget knows now; it makes the next try wait.
            except KalshiRejected as error:
                self._context.log.warning("no batch: %s; one by one then", error)
                await self._cancel_singly(refs)
                return
            await self._told(items)
            return

    async def _cancel_singly(self, refs: Sequence[OrderRef]) -> None:
        for ref in refs:
            try:
                await self._rest.cancel_order(ref)
            except KalshiRejected as error:
                self._context.log.info("cancel of %s: %s", ref.order_id, error)
                if not error.is_not_found:
                    continue
            self._sent_us[ref.order_id] = self._clock.market_us()

    async def _told(self, items: Sequence[CanceledItem]) -> None:
        now_us, rows, done = self._clock.market_us(), self.standing.rows, []
        for item in items:
            if item.error is None or item.error.code in NOT_FOUND:
                # Not found: it is over already, or not shown yet. The look tells.
                self._sent_us[item.order_id] = now_us
            if item.error is not None:
                self._context.log.info("cancel of %s: %s", item.order_id, item.error.code)
            elif item.order_id in rows:
                done.append(rows[item.order_id])
        self._context.log.info("%d cancels acknowledged", len(items))
        try:
            await self._acknowledged(done)
        except Unavailable as error:
            self._context.log.warning("acknowledged cancels are not written: %s", error)


def _id(row: OrderRow) -> str:
    return row.order.exchange_order_id or row.order.client_order_id


def _ref(row: OrderRow) -> OrderRef:
    return OrderRef(
        order_id=_id(row),
        ticker=row.order.market_ticker,
        exchange_index=row.order.exchange_index,
    )


def _ref_of(order: ExchangeOrder) -> OrderRef:
    return OrderRef(
        order_id=order.order_id, ticker=order.ticker, exchange_index=order.exchange_index
    )
