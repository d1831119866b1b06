"""The order state machine: everything that affects it lives here.

An order is one request to the exchange under one ``client_order_id``. The same table stands in the
database (``trading.order_transitions``), which refuses what is not in it; a test compares the two.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec

from recio.domain.errors import Broken


class OrderState(StrEnum):
    """Where an order stands."""

    CREATED = "created"
    """Durable, risk reserved, not sent."""
    SUBMITTED = "submitted"
    """Claimed by the executor: the request may be on the wire."""
    UNKNOWN = "unknown"
    """Sent, no answer: it may live at the exchange. Its exposure stays reserved."""
    RESTING = "resting"
    PARTIALLY_FILLED = "partially_filled"
    EXECUTED = "executed"
    CANCELED = "canceled"
    """Over, with or without a partial fill."""
    REJECTED = "rejected"
    """The exchange refused it: it never lived."""
    EXPIRED_UNSENT = "expired_unsent"
    """Never sent, and too old to be sent now; its reservation is released."""


TERMINAL: Final = frozenset(
    {OrderState.EXECUTED, OrderState.CANCELED, OrderState.REJECTED, OrderState.EXPIRED_UNSENT}
)
IN_FLIGHT: Final = frozenset(set(OrderState) - TERMINAL)

_S = OrderState
TRANSITIONS: Final[frozenset[tuple[OrderState, OrderState]]] = frozenset(
    {
        (_S.CREATED, _S.SUBMITTED),
        (_S.CREATED, _S.EXPIRED_UNSENT),
        (_S.SUBMITTED, _S.UNKNOWN),
        (_S.SUBMITTED, _S.RESTING),
        (_S.SUBMITTED, _S.PARTIALLY_FILLED),
        (_S.SUBMITTED, _S.EXECUTED),
        (_S.SUBMITTED, _S.CANCELED),
        (_S.SUBMITTED, _S.REJECTED),
        # A resolved unknown: found at the exchange, or known not to be there.
        (_S.UNKNOWN, _S.RESTING),
        (_S.UNKNOWN, _S.PARTIALLY_FILLED),
        (_S.UNKNOWN, _S.EXECUTED),
        (_S.UNKNOWN, _S.CANCELED),
        (_S.UNKNOWN, _S.REJECTED),
        # An exit that the exchange does not know is sent again under the same id.
        (_S.UNKNOWN, _S.SUBMITTED),
        (_S.RESTING, _S.PARTIALLY_FILLED),
        (_S.RESTING, _S.EXECUTED),
        (_S.RESTING, _S.CANCELED),
        (_S.PARTIALLY_FILLED, _S.EXECUTED),
        (_S.PARTIALLY_FILLED, _S.CANCELED),
        # A fill can cross our cancel on the wire; the fill is the truth.
        (_S.CANCELED, _S.EXECUTED),
        # The private stream may tell of a fill or a cancel before the reply does, and a late word
        # of the stream may contradict a reply; what the exchange's own log says wins.
        (_S.REJECTED, _S.RESTING),
        (_S.REJECTED, _S.PARTIALLY_FILLED),
        (_S.REJECTED, _S.EXECUTED),
        (_S.REJECTED, _S.CANCELED),
    }
)


def advance(order_id: UUID, old: OrderState, new: OrderState) -> OrderState:
    """Return ``new`` if the order may go there from ``old``; staying is always allowed.

    Raises:
        Broken: the table does not have this transition.
    """
    if old is not new and (old, new) not in TRANSITIONS:
        raise Broken(f"order {order_id}: no transition from {old} to {new}")
    return new


class BookSide(StrEnum):
    """The exchange's side on the YES book: bid buys YES (or sells NO), ask sells YES (or buys NO)."""

    BID = "bid"
    ASK = "ask"

    @property
    def opposite(self) -> BookSide:
        """The other side."""
        return BookSide.ASK if self is BookSide.BID else BookSide.BID


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One order as we hold it.

    ``yes_price_e4`` is the limit on the YES scale; ``filled_qty_e2`` never falls;
    ``reserved_usd_e6`` is the worst-case cost that counts against the limits while it is in
    flight. ``claimed_at_us`` is wall time, when its headers were signed.
    """

    order_id: UUID
    trade_id: UUID
    account: str
    intent_id: UUID
    attempt: int
    market_ticker: str
    purpose: str
    book_side: BookSide
    yes_price_e4: int
    qty_e2: int
    time_in_force: str
    is_reduce_only: bool
    state: OrderState
    exchange_order_id: str | None
    filled_qty_e2: int
    reserved_usd_e6: int
    created_at_us: int
    claimed_at_us: int | None = None
    exchange_index: int | None = None

    @property
    def client_order_id(self) -> str:
        """What the exchange knows it by: the same on every resend."""
        return str(self.order_id)


def reported_state(qty_e2: int, filled_qty_e2: int, *, is_resting: bool) -> OrderState:
    """Return the state that the exchange's word means: how much is filled, and whether the rest lives.

    >>> reported_state(1000, 400, is_resting=False).value
    'canceled'
    """
    if filled_qty_e2 >= qty_e2:
        return OrderState.EXECUTED
    if not is_resting:
        return OrderState.CANCELED
    return OrderState.PARTIALLY_FILLED if filled_qty_e2 else OrderState.RESTING


def later_of(held: OrderState, reported: OrderState) -> OrderState:
    """Return ``reported`` if it may follow ``held``, else ``held``.

    Replies, stream and reads arrive in any order; an older word must not turn a newer one back.
    """
    return reported if (held, reported) in TRANSITIONS else held
