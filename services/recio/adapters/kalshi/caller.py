"""One signed request to the exchange: budget, signature, transport, and what its answer means.

A mutation whose answer is missing or unreadable is ``OutcomeUnknown``, never "failed" (a timeout,
a cut connection, any 5xx, 408, a 2xx body that does not decode). A mutation of which no byte left
is a plain ``Unavailable``. Nothing is retried here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from recio.adapters.kalshi import budget, wire
from recio.adapters.kalshi.budget import Budget, Lane
from recio.adapters.kalshi.errors import KalshiRejected, OutcomeUnknown, RateLimited
from recio.adapters.kalshi.signing import RequestSigner
from recio.domain.errors import InvalidValue, NoAnswer, Unavailable
from recio.ports import Clock, HttpReply, HttpTransport

T = TypeVar("T")

Query = Mapping[str, str | int | bool | None]

READ_TIMEOUT_S: Final = 10.0
MUTATION_TIMEOUT_S: Final = 5.0
MAX_PAGES: Final = 100
"""A hundred thousand rows: beyond it a list is one that does not end."""

_OK: Final = range(200, 300)
_UNAUTHORIZED: Final = 401
_TIMED_OUT: Final = 408
_THROTTLED: Final = 429
_SERVER_ERRORS: Final = range(500, 600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, before it is signed. ``path`` is below the base path, without a query."""

    method: str
    path: str
    query: Query | None = None
    raw_query: str = ""
    body: bytes = b""
    lane: Lane = Lane.READ
    cost: int = budget.DEFAULT_COST
    shard: int | None = None

    @property
    def is_mutation(self) -> bool:
        """Whether it may change something at the exchange."""
        return self.method != "GET"


class Caller:
    """Sends calls for one key (or none) within one budget.

    ``refused`` counts the rows of market data that did not convert, by kind.
    """

    def __init__(
        self,
        http: HttpTransport,
        signer: RequestSigner | None,
        clock: Clock,
        budget: Budget,
        base_path: str = "/trade-api/v2",
    ) -> None:
        self.budget = budget
        self.refused: Counter[str] = Counter()
        self._http = http
        self._signer = signer
        self._clock = clock
        self._base_path = base_path.rstrip("/")

    async def close(self) -> None:
        """Close the transport."""
        await self._http.close()

    async def _read(
        self, path: str, convert: Callable[[bytes], T], query: Query | None = None
    ) -> T:
        return convert(await self._call(Call(method="GET", path=path, query=query)))

    async def _change(self, call: Call, convert: Callable[[bytes], T]) -> T:
        return self._understand(call, await self._call(call), convert)

    async def _call(self, call: Call, *, wait_s: float | None = None) -> bytes:
        await self.budget.take(call.lane, call.cost, shard=call.shard, wait_s=wait_s)
        target = self._target(call)
        return await self._send(call, target, self._headers(call.method, target))

    async def _send(self, call: Call, target: str, headers: Mapping[str, str]) -> bytes:
        timeout_s = MUTATION_TIMEOUT_S if call.is_mutation else READ_TIMEOUT_S
        try:
            reply = await self._http.request(
                call.method, target, headers, call.body, timeout_s=timeout_s
            )
        except Unavailable as error:
            raise _no_answer(call, error) from error
        if reply.status in _OK:
            return reply.body
        raise self._failure(call, reply)

    def _understand(self, call: Call, body: bytes, convert: Callable[[bytes], T]) -> T:
        try:
            return convert(body)
        except InvalidValue as error:
            raise OutcomeUnknown(
                f"{call.method} {call.path}: accepted, but the answer does not read: {error}"
            ) from error

    def _failure(self, call: Call, reply: HttpReply) -> Exception:
        code, message, details = wire.error_parts(reply.body)
        request = f"{call.method} {call.path}"
        said = ", ".join(part for part in (code, message, details) if part)
        if reply.status == _THROTTLED:
            self.budget.punish(call.lane, shard=call.shard)
            return RateLimited(f"{request}: the exchange's rate limit is reached ({said})")
        if reply.status in _SERVER_ERRORS or reply.status == _TIMED_OUT:
            kind = OutcomeUnknown if call.is_mutation else Unavailable
            return kind(f"{request}: the exchange answered {reply.status} ({said})")
        return KalshiRejected(reply.status, code, message, details, request=request)

    def _headers(self, method: str, target: str) -> dict[str, str]:
        headers = (
            {}
            if self._signer is None
            else self._signer.headers(method, target, self._clock.wall_us())
        )
        headers["Accept"] = "application/json"
        if method != "GET":
            headers["Content-Type"] = "application/json"
        return headers

    def _target(self, call: Call) -> str:
        query = f"?{call.raw_query}" if call.raw_query else query_text(call.query or {})
        return self._base_path + call.path + query

    async def _pages(
        self,
        path: str,
        kind: type[T],
        rows: Callable[[T], list[msgspec.Raw] | None],
        query: Query,
    ) -> list[msgspec.Raw]:
        """Read all pages of a list. A cursor that comes again ends in an error, not in a loop."""
        found: list[msgspec.Raw] = []
        cursor, seen = "", set[str]()
        for _ in range(MAX_PAGES):
            body = await self._call(
                Call(method="GET", path=path, query={**query, "cursor": cursor or None})
            )
            page = wire.decode(body, kind)
            found += rows(page) or ()
            following = getattr(page, "cursor", None) or ""
            if not following:
                return found
            if following in seen:
                break
            seen.add(following)
            cursor = following
        raise InvalidValue(f"GET {path}: the list does not end (cursor {cursor!r})")


def segment(text: str) -> str:
    """Return one path segment, escaped."""
    return quote(text, safe="")


def query_text(query: Query) -> str:
    """Return the query with its question mark; None is left out, booleans are lower case."""
    pairs = [
        (name, str(value).lower() if isinstance(value, bool) else str(value))
        for name, value in query.items()
        if value is not None
    ]
    return f"?{urlencode(pairs)}" if pairs else ""


def _no_answer(call: Call, error: Unavailable) -> Unavailable:
    request = f"{call.method} {call.path}"
    # A transport that does not say is taken at its worst.
    if call.is_mutation and getattr(error, "sent", True):
        return OutcomeUnknown(f"{request}: sent, no answer ({error})")
    return NoAnswer(f"{request}: no answer ({error})", sent=getattr(error, "sent", True))
