"""From a request to a response: find the route, check the signature, bill, answer.

Sans I/O: whoever calls ``Api.handle`` commits what changed before it sends the response.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote

import msgspec

from recio.exchange_simulator.api import admin
from recio.exchange_simulator.api.auth import KEY_HEADER, Verifier, require_scope
from recio.exchange_simulator.api.call import Call
from recio.exchange_simulator.api.limits import Limits
from recio.exchange_simulator.api.messages import Now, Request, Response, refuse, reply
from recio.exchange_simulator.api.routes import ROUTES, Route, batch_size, billed_shard
from recio.exchange_simulator.core.records import ApiKey
from recio.exchange_simulator.core.refusals import Refusal, bad_request
from recio.exchange_simulator.exchange import Exchange

_ADMIN_PREFIX = "/admin/"


@dataclass(slots=True)
class Table:
    """Routes by method and length of path; fixed segments win over parameters."""

    rows: dict[tuple[str, int], list[tuple[list[str], Route]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for route in ROUTES:
            parts = route.path.split("/")
            self.rows.setdefault((route.method, len(parts)), []).append((parts, route))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route of a request and its parameters.

        Raises:
            Refusal: 404, or 405 when the path exists for another method.
        """
        segments = path.split("/")
        for parts, route in self.rows.get((method, len(segments)), []):
            params = _match(parts, segments)
            if params is not None:
                return route, params
        for (_, length), rows in self.rows.items():
            if length == len(segments) and any(_match(p, segments) is not None for p, _ in rows):
                raise Refusal(405, "method_not_allowed", f"{method} is not allowed here")
        raise Refusal(404, "not_found", "no such endpoint")


def _match(parts: list[str], segments: list[str]) -> dict[str, str] | None:
    params: dict[str, str] = {}
    for part, segment in zip(parts, segments, strict=True):
        if part.startswith("{"):
            params[part[1:-1]] = unquote(segment)
        elif part != segment:
            return None
    return params


class Api:
    """The REST API of one exchange."""

    def __init__(self, exchange: Exchange, admin_token: admin.Token | None = None) -> None:
        self.exchange = exchange
        self._admin_token = admin_token
        self.verifier = Verifier(exchange.state)
        self.limits = Limits()
        self.table = Table()

    def handle(self, request: Request, now: Now) -> Response:
        """Answer one request; what it changed is in the exchange's ``state.changes``."""
        try:
            return self._answer(request, now)
        except Refusal as refusal:
            return refuse(refusal)

    def _answer(self, request: Request, now: Now) -> Response:
        self.exchange.advance(now.market_us)
        path = request.path
        if path.startswith(_ADMIN_PREFIX):
            admin.require_admin(request, self._admin_token)
        route, params = self.table.find(request.method, path)
        key = self._authenticate(route, request, now)
        call = Call(self.exchange, request, now, params, request.query(), None, key)
        broken = _decode_body(call)
        self._bill(route, call)
        if broken is not None:
            raise broken
        body = route.handler(call)
        return Response(route.success, b"", {}) if body is None else reply(body, route.success)

    def _authenticate(self, route: Route, request: Request, now: Now) -> ApiKey | None:
        if route.scope is None:
            is_signed = KEY_HEADER in request.headers and route.billing != "none"
            return self.verifier.verify(request, now.wall_us) if is_signed else None
        key = self.verifier.verify(request, now.wall_us)
        require_scope(key, route.scope)
        return key

    def _bill(self, route: Route, call: Call) -> None:
        if call.key is None:
            return
        name, tier, now_us = call.key.account, call.account.tier, call.state.now_us
        if route.billing == "read":
            self.limits.bill_read(name, tier, route.cost, now_us)
        elif route.billing == "write":
            self.limits.bill_write(name, tier, billed_shard(call), route.cost, now_us)
        elif route.billing == "batch":
            self.limits.bill_write(name, tier, 0, route.cost * batch_size(call), now_us)


def _decode_body(call: Call) -> Refusal | None:
    if not call.request.body:
        return None
    try:
        call.body = msgspec.json.decode(call.request.body)
    except (ValueError, RecursionError) as error:
        refusal = bad_request("the body is not valid JSON")
        refusal.details = str(error)
        return refusal
    return None
