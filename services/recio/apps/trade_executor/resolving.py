"""Find out what became of an order whose answer never came.

There is no look-up by client order id (Kalshi Trade API v2): the market's orders since shortly
before the order was made are paged and searched. Found: that is its state. Not found: it is
concluded that the exchange does not know it only when that can no longer change, that is when its
signature has expired (claim + 10 s of wall time) and the exchange's reads (``as_of_time``) are
newer than that moment: a read that is newer than the claim only would miss a request that was long
on its way. An entry then ends canceled; an exit is sent again under the same id while it is valid.
"""

from __future__ import annotations

from enum import Enum

from recio.adapters.kalshi.model import ExchangeOrder
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.postgres.orders import OrderRow
from recio.apps.trade_executor.sending import Outcome
from recio.domain.intents import Purpose
from recio.domain.orders import OrderState, reported_state
from recio.domain.units import SECOND_US
from recio.ports import Clock

LOOK_BACK_US = 60 * SECOND_US
SIGNATURE_DEAD_US = 10 * SECOND_US
FUTURE_US = 60 * SECOND_US
"""How far the exchange's clock may be ahead of ours, as account sync takes it."""
RESTING = "resting"


class Verdict(Enum):
    """What is known when the order was not found."""

    NOT_KNOWN_YET = "not known yet"
    """Neither found nor provably absent: look again later."""
    SEND_AGAIN = "send again"
    """An exit that the exchange cannot know any more: send it again, same id."""


async def resolve(rest: KalshiRest, clock: Clock, row: OrderRow) -> Outcome | Verdict:
    """Return what became of an order in doubt.

    Raises:
        Unavailable: the exchange did not answer.
    """
    found = await _find(rest, row)
    if found is not None:
        return found_outcome(row, found)
    if not await _is_absent(rest, clock, row):
        return Verdict.NOT_KNOWN_YET
    if row.order.purpose == Purpose.EXIT.value:
        return Verdict.SEND_AGAIN
    return Outcome(
        OrderState.CANCELED, "absent", reason="the exchange does not know it: it never arrived"
    )


def found_outcome(row: OrderRow, found: ExchangeOrder) -> Outcome:
    """Return what the exchange's own record of an order says."""
    return Outcome(
        reported_state(row.order.qty_e2, found.fill_qty_e2, is_resting=found.status == RESTING),
        "found",
        exchange_order_id=found.order_id,
        filled_qty_e2=found.fill_qty_e2,
    )


async def _find(rest: KalshiRest, row: OrderRow) -> ExchangeOrder | None:
    if row.order.exchange_order_id is not None:
        return await rest.order(row.order.exchange_order_id)
    since_us = row.order.created_at_us - LOOK_BACK_US
    listed = await rest.orders(ticker=row.order.market_ticker, min_us=since_us)
    return next((o for o in listed if o.client_order_id == row.order.client_order_id), None)


async def _is_absent(rest: KalshiRest, clock: Clock, row: OrderRow) -> bool:
    claimed_wall_us, claimed_us = row.order.claimed_at_us, row.claimed_market_us
    if claimed_wall_us is None or claimed_us is None:
        return True
    wall_passed_us = clock.wall_us() - claimed_wall_us
    if wall_passed_us < SIGNATURE_DEAD_US:
        return False
    # The signature died at a moment of wall time, the exchange tells market time: both run evenly,
    # so the moment lies at the same share of what has passed on either.
    passed_us = max(clock.market_us() - claimed_us, 0)
    dead_us = claimed_us + passed_us * SIGNATURE_DEAD_US // wall_passed_us
    # Only a listing that is as of later than that proves anything, so it is read once more; one that
    # says it is of the future proves nothing.
    as_of_us = await rest.as_of_us()
    is_of_after = dead_us < as_of_us <= clock.market_us() + FUTURE_US
    return is_of_after and await _find(rest, row) is None
