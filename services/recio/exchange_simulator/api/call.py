"""One API call while it is handled: who asks, for what, with which parameters."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from recio.exchange_simulator.api.messages import Now, Request
from recio.exchange_simulator.core.records import Account, ApiKey
from recio.exchange_simulator.core.refusals import Refusal, bad_request, invalid_parameter
from recio.exchange_simulator.core.state import State
from recio.exchange_simulator.exchange import Exchange

T = TypeVar("T")
Json = dict[str, Any]


@dataclass(slots=True)
class Call:
    """A request with its route's parameters, its parsed query and body, and the member."""

    exchange: Exchange
    request: Request
    now: Now
    params: dict[str, str]
    query: dict[str, list[str]]
    body: Any = None
    key: ApiKey | None = None

    @property
    def state(self) -> State:
        """Return the exchange's memory."""
        return self.exchange.state

    @property
    def account(self) -> Account:
        """Return the member who asks."""
        if self.key is None:
            raise Refusal(401, "authentication_error", "authentication required")
        return self.state.account(self.key.account)

    def text(self, name: str) -> str | None:
        """Return a query parameter, or None if it is absent or empty."""
        values = self.query.get(name)
        return values[-1] if values and values[-1] else None

    def texts(self, name: str) -> list[str]:
        """Return a list parameter: comma-separated, repeated, or both."""
        return [part for value in self.query.get(name, []) for part in value.split(",") if part]

    def number(self, name: str) -> int | None:
        """Return an integer parameter.

        Raises:
            Refusal: it is not a whole number.
        """
        value = self.text(name)
        if value is None:
            return None
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
            raise invalid_parameter(f"{name} must be a whole number")
        return int(value)

    def flag(self, name: str) -> bool:
        """Return a boolean parameter; absent is false.

        Raises:
            Refusal: it is neither true nor false.
        """
        value = self.text(name)
        if value not in (None, "true", "false"):
            raise invalid_parameter(f"{name} must be true or false")
        return value == "true"

    def limit(self, default: int, most: int) -> int:
        """Return the page size.

        Raises:
            Refusal: below 1 or above the most.
        """
        value = self.number("limit")
        if value is None:
            return default
        if not 1 <= value <= most:
            raise invalid_parameter(f"limit must be between 1 and {most}")
        return value

    def seconds(self, name: str) -> int | None:
        """Return a time parameter given in Unix seconds, in microseconds."""
        value = self.number(name)
        return None if value is None else value * 1_000_000

    def decoded(self, kind: type[T]) -> T:
        """Return the body as a struct.

        Raises:
            Refusal: 400, flat, when fields are missing or of the wrong type.
        """
        try:
            return msgspec.convert(self.body, kind, strict=True)
        except msgspec.ValidationError as error:
            refusal = bad_request("the body does not have the expected fields")
            refusal.details = str(error)
            raise refusal from error

    def primary_only(self, subaccount: int | None = None) -> None:
        """Refuse subaccounts other than the primary one: this exchange has no others.

        Raises:
            Refusal: another subaccount is named.
        """
        named = self.number("subaccount") if subaccount is None else subaccount
        if named not in (None, 0):
            raise invalid_parameter("subaccount must be 0: only the primary one exists here")


def page(
    items: Iterable[T], number: Callable[[T], int], call: Call, limits: tuple[int, int]
) -> tuple[Sequence[T], str]:
    """Return one page, newest first, and the cursor of the next ("" at the end).

    A cursor that is not ours counts as none, as on the exchange.
    """
    limit = call.limit(*limits)
    before = _read_cursor(call.text("cursor"))
    found = sorted(
        (one for one in items if before is None or number(one) < before), key=number, reverse=True
    )
    shown = found[:limit]
    return shown, _cursor(number(shown[-1])) if len(found) > limit else ""


def _cursor(number: int) -> str:
    return urlsafe_b64encode(f"n{number}".encode()).decode()


def _read_cursor(text: str | None) -> int | None:
    try:
        plain = urlsafe_b64decode(text or "").decode()
    except (NotBase64, ValueError):
        return None
    return int(plain[1:]) if plain[:1] == "n" and plain[1:].isdigit() else None


def is_within(at_us: int, low_us: int | None, high_us: int | None) -> bool:
    """Tell whether a time is inside optional bounds, both inclusive."""
    return (low_us is None or at_us >= low_us) and (high_us is None or at_us <= high_us)
