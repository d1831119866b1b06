"""Requests and responses without any socket: what the server and the in-memory transport exchange."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import msgspec

from recio.exchange_simulator.core.refusals import Refusal


@dataclass(frozen=True, slots=True)
class Now:
    """Market time for the exchange's rules, wall time for signatures; microseconds."""

    market_us: int
    wall_us: int


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request.

    ``target`` is the raw path and query as received; header names are lower case; ``peer`` is the
    address of the other side ("" in memory: this process itself).
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: str = ""

    @property
    def path(self) -> str:
        """Return the path without the query."""
        return self.target.partition("?")[0]

    def query(self) -> dict[str, list[str]]:
        """Return the query's parameters in order."""
        found: dict[str, list[str]] = {}
        pairs = parse_qsl(self.target.partition("?")[2], keep_blank_values=True)
        for name, value in pairs:
            found.setdefault(name, []).append(value)
        return found


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response with a whole body."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


def reply(body: object, status: int = 200) -> Response:
    """Return a JSON response."""
    return Response(status, msgspec.json.encode(body))


def refuse(refusal: Refusal) -> Response:
    """Return a refusal in the body shape that belongs to it."""
    if refusal.status == 429:
        return reply({"error": "too many requests"}, 429)
    if refusal.shape == "msg":
        return reply({"msg": refusal.message}, refusal.status)
    body = {"code": refusal.code, "message": refusal.message}
    if refusal.details or refusal.shape == "flat":
        body["details"] = refusal.details
    return reply(body if refusal.shape == "flat" else {"error": body}, refusal.status)
