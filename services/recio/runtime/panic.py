"""Break-glass: close everything with nothing but the key.

No database, no bus, no other process is needed. Every line of the journal is on disk before the
request it announces leaves. What happens here reaches the books later as facts: account sync books
the fills and closes the trades they belong to.

It looks, acts, and looks again. Reads may lag behind what was done, so nothing counts as left only
when two looks in a row say so; and every sale is reduce-only, so that a sale too many, of this run
or of another, cannot turn a position around.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from recio.adapters.kalshi.model import ExchangeOrder, ExchangePosition, NewOrder, OrderRef
from recio.adapters.kalshi.model import TimeInForce as Force
from recio.adapters.kalshi.rest import KalshiRest
from recio.domain.errors import Rejected, Unavailable
from recio.domain.intents import derived_id
from recio.domain.messages import PriceRange
from recio.domain.orders import BookSide
from recio.domain.units import PRICE_ONE_E4
from recio.ports import Clock

ROUNDS: Final = 5
PAUSE_SECONDS: Final = 1.0
READS: Final = 300
"""How often a read is tried: five minutes for an exchange that refuses connections."""

Journal = Callable[[str, dict[str, Any]], None]
"""Writes one line (what, fields) durably before it returns."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Left:
    """What the exchange says is still there."""

    held: tuple[ExchangePosition, ...]
    resting: tuple[ExchangeOrder, ...]

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is held and nothing rests."""
        return not self.held and not self.resting


@dataclass(frozen=True, slots=True)
class Panic:
    """One run: the key's connection, waiting, and the journal."""

    rest: KalshiRest
    clock: Clock
    journal: Journal

    async def flatten(self) -> Left:
        """Cancel everything that rests and sell everything that is held; return what remains.

        Prices are the worst of each market's grid: an immediate-or-cancel order takes what there
        is.

        Raises:
            Rejected: the exchange refuses the key, or tells something that does not read.
            Unavailable: it does not answer reads for minutes.
        """
        await self._cancel_all()
        left = await self._look()
        was_nothing = left.is_nothing
        for attempt in range(1, ROUNDS + 1):
            await self._act(left, attempt)
            await self.clock.sleep_wall(PAUSE_SECONDS)
            left = await self._look()
            if left.is_nothing and was_nothing:
                break
            was_nothing = left.is_nothing
        return left

    async def _look(self) -> Left:
        resting = await self._retried("orders", lambda: self.rest.orders(status="resting"))
        held = await self._retried("positions", self.rest.positions)
        left = Left(tuple(each for each in held if each.qty_e2), resting)
        self.journal(
            "found",
            {
                "positions": {each.ticker: each.qty_e2 for each in left.held},
                "resting": [each.order_id for each in left.resting],
            },
        )
        return left

    async def _act(self, left: Left, attempt: int) -> None:
        for order in left.resting:
            await self._cancel(order)
        for position in left.held:
            await self._close(position, attempt)

    async def _cancel_all(self) -> None:
        self.journal("cancel all", {})
        try:
            await self.rest.cancel_all()
        except (Rejected, Unavailable) as error:
            self.journal("cancel all failed", {"error": str(error)})
        else:
            self.journal("canceled all", {})

    async def _cancel(self, order: ExchangeOrder) -> None:
        self.journal("cancel", {"order_id": order.order_id, "ticker": order.ticker})
        ref = OrderRef(
            order_id=order.order_id, ticker=order.ticker, exchange_index=order.exchange_index
        )
        try:
            await self.rest.cancel_order(ref)
        except (Rejected, Unavailable) as error:
            self.journal("cancel failed", {"order_id": order.order_id, "error": str(error)})
        else:
            self.journal("canceled", {"order_id": order.order_id})

    async def _close(self, position: ExchangePosition, attempt: int) -> None:
        order = await self._sale(position, attempt)
        self.journal(
            "send",
            {
                "client_order_id": order.client_order_id,
                "ticker": order.ticker,
                "side": order.book_side.value,
                "qty_e2": order.qty_e2,
                "yes_price_e4": order.yes_price_e4,
            },
        )
        try:
            reply = await self.rest.create_order(order)
        except Rejected as error:
            self.journal("refused", {"ticker": order.ticker, "error": str(error)})
        except Unavailable as error:
            # Perhaps it was taken: the next look says so before anything is sent again.
            self.journal("no answer", {"ticker": order.ticker, "error": str(error)})
        else:
            self.journal("reply", {"order_id": reply.order_id, "filled_qty_e2": reply.fill_qty_e2})

    async def _sale(self, position: ExchangePosition, attempt: int) -> NewOrder:
        side = BookSide.ASK if position.qty_e2 > 0 else BookSide.BID
        named = derived_id("panic", position.ticker, position.qty_e2, attempt, self.clock.wall_us())
        return NewOrder(
            ticker=position.ticker,
            book_side=side,
            qty_e2=abs(position.qty_e2),
            yes_price_e4=worst_price_e4(side, await self._grid(position.ticker)),
            client_order_id=str(named),
            time_in_force=Force.IMMEDIATE_OR_CANCEL,
            exchange_index=position.exchange_index,
            is_reduce_only=True,
        )

    async def _grid(self, ticker: str) -> tuple[PriceRange, ...]:
        try:
            return (await self.rest.market(ticker)).price_ranges
        except (Rejected, Unavailable) as error:
            # Whole cents are on every grid.
            self.journal("market not told", {"ticker": ticker, "error": str(error)})
            return ()

    async def _retried(self, what: str, read: Callable[[], Awaitable[T]]) -> T:
        for _ in range(READS - 1):
            try:
                return await read()
            except Unavailable as error:
                self.journal("no answer", {"read": what, "error": str(error)})
                await self.clock.sleep_wall(PAUSE_SECONDS)
        return await read()


def worst_price_e4(side: BookSide, ranges: tuple[PriceRange, ...]) -> int:
    """Return the lowest price of the grid for a sale, the highest for a purchase."""
    if side is BookSide.ASK:
        return min((max(each.start_e4, each.step_e4) for each in ranges), default=100)
    return max(
        (min(each.end_e4, PRICE_ONE_E4 - each.step_e4) for each in ranges),
        default=PRICE_ONE_E4 - 100,
    )
