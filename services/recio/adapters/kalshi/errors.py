"""What the exchange can answer instead of a result, as the three families of ``domain.errors``.

    KalshiRejected  (Rejected)     it said no: nothing happened; ``code`` says why
    RateLimited     (Unavailable)  429: nothing happened; the budget has been corrected
    OutcomeUnknown  (Unavailable)  a mutation without a usable answer: it may have happened

A read without an answer is a plain ``Unavailable``; a mutation of which no byte left is too.
Source: Kalshi API documentation, "Errors" and "Rate limits" (docs.kalshi.com, read 2026-11).
"""

from __future__ import annotations

from typing import Final

from recio.domain.errors import Rejected, Unavailable

ORDER_ALREADY_EXISTS: Final = "order_already_exists"
FILL_OR_KILL_FAILED: Final = "fill_or_kill_insufficient_resting_volume"
NOT_FOUND: Final = frozenset({"not_found", "market_not_found"})


class KalshiRejected(Rejected):
    """The exchange refused a request.

    ``status`` is the HTTP status, ``code`` the lower-case reason ("" if it gave none).
    """

    def __init__(
        self, status: int, code: str, message: str, details: str = "", *, request: str = ""
    ) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        said = ", ".join(part for part in (code, message, details) if part) or "no reason given"
        super().__init__(f"the exchange refused {request or 'a request'} with {status}: {said}")

    @property
    def is_duplicate(self) -> bool:
        """Whether this ``client_order_id`` was used before on the account, by whatever order."""
        return self.code == ORDER_ALREADY_EXISTS

    @property
    def is_not_found(self) -> bool:
        """Whether the order or market is unknown there, already over, or on another shard."""
        return self.status == 404 or self.code in NOT_FOUND  # noqa: PLR2004  (HTTP's own number)

    @property
    def is_market_closed(self) -> bool:
        """Whether the market takes no order operation any more, or not now."""
        return self.code in {"market_inactive", "market_already_closed"}


class RateLimited(Unavailable):
    """The exchange, or our own budget, is out of tokens; nothing was done."""


class OutcomeUnknown(Unavailable):
    """A mutation was sent and not answered: it may have happened, it may still happen."""
