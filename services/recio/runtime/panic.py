"""Break-glass: close everything with nothing but the key.

No database, no bus, no other process is needed. Every line of the journal is on disk before the
request it announces leaves. What happens here reaches the books later as facts: account sync books
the fills and closes the trades they belong to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from recio.adapters.kalshi.errors import KalshiRejected
from recio.adapters.kalshi.model import ExchangePosition, NewOrder, OrderRef, TimeInForce
from recio.adapters.kalshi.rest import KalshiRest
from recio.domain.errors import Rejected, Unavailable
from recio.domain.intents import derived_id
from recio.domain.messages import PriceRange
from recio.domain.orders import BookSide
from recio.domain.units import PRICE_ONE_E4
from recio.ports import Clock

ROUNDS: Final = 5
PAUSE_SECONDS: Final = 1.0

Journal = Callable[[str, dict[str, Any]], None]
"""Writes one line (what, fields) durably before it returns."""


async def flatten(rest: KalshiRest, clock: Clock, journal: Journal) -> int:
    """Cancel everything that rests and sell everything that is held; return how many markets remain.

    Prices are the worst of each market's grid: an immediate-or-cancel order takes what there is.
    """
    await _cancel_everything(rest, journal)
    held: tuple[ExchangePosition, ...] = ()
    for attempt in range(1, ROUNDS + 1):
        held = tuple(p for p in await _retried(rest.positions, clock, journal) if p.qty_e2)
        journal("positions", {p.ticker: p.qty_e2 for p in held})
        if not held:
            return 0
        for position in held:
            await _close(rest, clock, journal, position, attempt)
        await clock.sleep_wall(PAUSE_SECONDS)
    return len(held)


async def _cancel_everything(rest: KalshiRest, journal: Journal) -> None:
    journal("cancel all", {})
    try:
        await rest.cancel_all()
    except (Rejected, Unavailable) as error:
        journal("cancel all failed", {"error": str(error)})
    for order in await rest.orders(status="resting"):
        journal("cancel", {"order_id": order.order_id, "ticker": order.ticker})
        ref = OrderRef(
            order_id=order.order_id, ticker=order.ticker, exchange_index=order.exchange_index
        )
        try:
            await rest.cancel_order(ref)
        except (Rejected, Unavailable) as error:
            journal("cancel failed", {"order_id": order.order_id, "error": str(error)})


async def _close(
    rest: KalshiRest, clock: Clock, journal: Journal, position: ExchangePosition, attempt: int
) -> None:
    side = BookSide.ASK if position.qty_e2 > 0 else BookSide.BID
    try:
        market = await rest.market(position.ticker)
        order = NewOrder(
            ticker=position.ticker,
            book_side=side,
            qty_e2=abs(position.qty_e2),
            yes_price_e4=worst_price_e4(side, market.price_ranges),
            client_order_id=str(
                derived_id("panic", position.ticker, position.qty_e2, attempt, clock.wall_us())
            ),
            time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL,
            exchange_index=position.exchange_index,
            is_reduce_only=True,
        )
        journal(
            "send",
            {
                "client_order_id": order.client_order_id,
                "ticker": order.ticker,
                "side": side.value,
                "qty_e2": order.qty_e2,
                "yes_price_e4": order.yes_price_e4,
            },
        )
        reply = await rest.create_order(order)
    except KalshiRejected as error:
        journal("refused", {"ticker": position.ticker, "error": str(error)})
    except (Rejected, Unavailable) as error:
        # Perhaps it was taken: the next round looks at the positions before it sends again, and
        # reduce-only cannot turn a position around.
        journal("no answer", {"ticker": position.ticker, "error": str(error)})
    else:
        journal("reply", {"order_id": reply.order_id, "filled_qty_e2": reply.fill_qty_e2})


def worst_price_e4(side: BookSide, ranges: tuple[PriceRange, ...]) -> int:
    """Return the lowest price of the grid for a sale, the highest for a purchase."""
    if side is BookSide.ASK:
        return min((max(each.start_e4, each.step_e4) for each in ranges), default=100)
    return max(
        (min(each.end_e4, PRICE_ONE_E4 - each.step_e4) for each in ranges),
        default=PRICE_ONE_E4 - 100,
    )


async def _retried(
    read: Callable[[], Any], clock: Clock, journal: Journal
) -> tuple[ExchangePosition, ...]:
    while True:
        try:
            found: tuple[ExchangePosition, ...] = await read()
        except Unavailable as error:
            journal("no answer", {"error": str(error)})
            await clock.sleep_wall(PAUSE_SECONDS)
        else:
            return found
