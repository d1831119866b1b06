"""What the exchange can tell that is not believed: the closed list of reasons, and what each means.

A dispute holds the account's entries and nothing else: exits, cancels and every other fact go on.
What was told is kept as evidence; the books are never changed because of it. There are two kinds:

* a **contradiction** can be no delay (a fill on the wrong side, a revenue that no result pays). It
  counts at once and waits for a person, who accepts it (it is booked, where that can be) or
  discards it;
* a **difference** may be a read that lags behind. It counts when it has stood for its time, and is
  cleared when both sides agree again. A person may accept or discard it sooner.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import msgspec

from recio.domain.errors import Rejected


class Reason(StrEnum):
    """Why an account holds its entries: the only words there are for it."""

    CASH_DIFFERS = "cash_differs"
    """The exchange's cash is not what opening, fills, settlements and transfers come to."""
    POSITIONS_DIFFER = "positions_differ"
    """The exchange shows another position than the booked fills and settlements come to."""
    FILLS_MISSING = "fills_missing"
    """An order of ours is said to be filled further than its fills are shown."""
    FACTS_VANISHED = "facts_vanished"
    """A booked fill or settlement is no longer in the exchange's list."""
    ORDER_FILLS_FELL = "order_fills_fell"
    """An order is said to be filled less than its booked fills."""
    SETTLEMENT_DIFFERS = "settlement_differs"
    """A market was settled for another quantity than is booked."""
    FILL_OF_UNKNOWN_ORDER = "fill_of_unknown_order"
    """A fill names an order that the exchange does not know."""
    REPLY_UNREADABLE = "reply_unreadable"
    """A reply cannot be read, or a list does not end."""
    FRESHNESS_IMPOSSIBLE = "freshness_impossible"
    """The exchange says that its reads are of the future, of long ago, or older than before."""
    FACT_UNREADABLE = "fact_unreadable"
    """One row of a list, or one frame, cannot be read: a size, price, word or number that none is."""
    FILL_CONTRADICTS_ORDER = "fill_contradicts_order"
    """A fill of an order of ours is in another market, on the other side, or of an unsent order."""
    FILL_EXCEEDS_ORDER = "fill_exceeds_order"
    """The fills of an order of ours are more than its quantity."""
    FILL_BEYOND_LIMIT = "fill_beyond_limit"
    """A fill of an order of ours is at a worse price than its limit."""
    FILL_PRICE_OFF_GRID = "fill_price_off_grid"
    """A fill is at a price that its market does not have."""
    FILL_FEE_IMPOSSIBLE = "fill_fee_impossible"
    """A fill's fee is no fee: more than a tenth of what the contracts can pay."""
    FILL_AFTER_SETTLEMENT = "fill_after_settlement"
    """A fill of a market that is settled and booked: its settlement would have paid for it."""
    FILL_TOLD_DIFFERENTLY = "fill_told_differently"
    """A booked fill is told again with other contents."""
    TIME_IMPOSSIBLE = "time_impossible"
    """A fact is dated in the future, or before its order was made."""
    ORDER_CONTRADICTS_OURS = "order_contradicts_ours"
    """An order under our id has another market, side, quantity, price or exchange id, or was unsent."""
    ORDER_OVERFILLED = "order_overfilled"
    """An order is said to be filled for more than its quantity."""
    SETTLEMENT_BEFORE_CLOSE = "settlement_before_close"
    """A market was settled that has not closed."""
    SETTLEMENT_CONTRADICTS_RESULT = "settlement_contradicts_result"
    """A settlement has another result than the market."""
    SETTLEMENT_REVENUE_IMPOSSIBLE = "settlement_revenue_impossible"
    """A settlement pays what its result and its contracts do not come to."""
    SETTLEMENT_TOLD_DIFFERENTLY = "settlement_told_differently"
    """A booked settlement is told again with other contents."""
    FACT_REFUSED = "fact_refused"
    """The database's own rules refuse what was told."""


STANDS_FOR_S: Final[dict[Reason, float]] = {
    Reason.CASH_DIFFERS: 5.0,
    Reason.POSITIONS_DIFFER: 5.0,
    Reason.FILLS_MISSING: 20.0,
    Reason.FACTS_VANISHED: 5.0,
    Reason.ORDER_FILLS_FELL: 5.0,
    Reason.SETTLEMENT_DIFFERS: 20.0,
    Reason.FILL_OF_UNKNOWN_ORDER: 5.0,
    Reason.REPLY_UNREADABLE: 5.0,
    Reason.FRESHNESS_IMPOSSIBLE: 5.0,
}
"""The differences, and how long each must stand until it counts, in market seconds."""

BOOKABLE: Final = frozenset(
    {
        Reason.CASH_DIFFERS,
        Reason.FILL_OF_UNKNOWN_ORDER,
        Reason.FILL_CONTRADICTS_ORDER,
        Reason.FILL_EXCEEDS_ORDER,
        Reason.FILL_BEYOND_LIMIT,
        Reason.FILL_PRICE_OFF_GRID,
        Reason.FILL_FEE_IMPOSSIBLE,
        Reason.TIME_IMPOSSIBLE,
        Reason.SETTLEMENT_BEFORE_CLOSE,
        Reason.SETTLEMENT_CONTRADICTS_RESULT,
        Reason.SETTLEMENT_REVENUE_IMPOSSIBLE,
    }
)
"""What a person can accept; everything else can only be discarded, or ends by itself."""

OPEN: Final = "open"
ACCEPTED: Final = "accepted"
BOOKED: Final = "booked"
DISCARDED: Final = "discarded"
CLEARED: Final = "cleared"

SUBJECT_CHARACTERS: Final = 200
EXPLANATION_CHARACTERS: Final = 400
_TOLD_AT_MOST: Final = 3


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was told and is not believed. ``told`` and ``held`` are plain values."""

    dispute_id: UUID
    account: str
    reason: Reason
    subject: str
    told: dict[str, Any]
    held: dict[str, Any]
    explanation: str
    state: str
    note: str
    author: str
    opened_at_us: int
    changed_at_us: int


class Contradiction(Rejected):
    """A fact that is not booked, because it cannot be so; ``told`` and ``held`` are the evidence."""

    def __init__(
        self,
        reason: Reason,
        subject: str,
        explanation: str,
        *,
        told: dict[str, Any],
        held: dict[str, Any] | None = None,
    ) -> None:
        self.reason = reason
        self.subject = _line(subject, SUBJECT_CHARACTERS)
        self.explanation = _line(explanation, EXPLANATION_CHARACTERS)
        super().__init__(f"{reason}: {self.explanation}")
        self.told = told
        self.held = held or {}


def _line(text: str, most: int) -> str:
    """Return what somebody else wrote as one bounded line that any database takes."""
    plain = text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def may_pass(reason: Reason) -> bool:
    """Return whether this is a difference, which ends by itself when both sides agree again."""
    return reason in STANDS_FOR_S


def check_decision(reason: Reason, decision: str) -> None:
    """Check that a person can decide so.

    Raises:
        Rejected: it cannot be booked, or not be discarded; the message tells what can be done.
    """
    if decision == ACCEPTED and reason not in BOOKABLE:
        raise Rejected(f"{reason} cannot be booked: discard it, or wait until it has passed")
    if decision == DISCARDED and reason is Reason.CASH_DIFFERS:
        raise Rejected("a difference of cash cannot be discarded: accept it, and it is booked")


def summary(held: list[tuple[Reason, str]]) -> str:
    """Return the reasons that hold entries, for a person.

    >>> summary([(Reason.CASH_DIFFERS, "a"), *[(Reason.FACT_UNREADABLE, "b")] * 4])
    'cash_differs: a; fact_unreadable: b; fact_unreadable: b; and 2 more'
    """
    shown = [f"{reason}: {explanation}" for reason, explanation in held[:_TOLD_AT_MOST]]
    more = len(held) - len(shown)
    return "; ".join([*shown, f"and {more} more"] if more else shown)
