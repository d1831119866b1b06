"""Refusals of the exchange: HTTP status, lower-case code and what a member reads.

Codes as in the exchange's changelog and documented error table (docs.kalshi.com/changelog).
``shape`` picks one of the three body shapes seen on the wire: nested under ``error`` for business
errors, flat ``code``/``message`` for undecodable JSON, flat ``msg`` for parameter validation.
"""

from __future__ import annotations

from typing import Literal

from recio.domain.errors import Rejected

Shape = Literal["nested", "flat", "msg"]


class Refusal(Rejected):
    """A request that the exchange refuses."""

    def __init__(
        self, status: int, code: str, message: str, *, details: str = "", shape: Shape = "nested"
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.shape: Shape = shape


def invalid_parameter(message: str) -> Refusal:
    """Return the refusal of a parameter that does not validate."""
    return Refusal(400, "invalid_parameters", message, shape="msg")


def bad_request(message: str) -> Refusal:
    """Return the refusal of a body that does not decode."""
    return Refusal(400, "bad_request", message, shape="flat")


def invalid_order(message: str, details: str = "") -> Refusal:
    """Return the refusal of an order whose fields do not go together."""
    return Refusal(400, "invalid_order", message, details=details)


def not_found(what: str) -> Refusal:
    """Return the refusal of something that does not exist (any more, or on that shard)."""
    return Refusal(404, "not_found", f"{what} not found")


def market_not_found(ticker: str) -> Refusal:
    """Return the refusal of an unknown market."""
    return Refusal(404, "market_not_found", f"market {ticker} not found")


def market_inactive(ticker: str) -> Refusal:
    """Return the refusal of any order operation on a market that does not trade."""
    return Refusal(400, "market_inactive", f"market {ticker} is not active")


def order_already_exists(client_order_id: str) -> Refusal:
    """Return the refusal of a client_order_id used before."""
    return Refusal(
        409, "order_already_exists", f"client_order_id {client_order_id} was used before"
    )
