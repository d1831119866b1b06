"""Stands between our services and the real paper exchange, and edits what it says.

Everything else is real: requests, matching, books, time. A lie is a function of one decoded row or
reply; it is told over REST, over the stream, or over both, for as long as it is armed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import msgspec

from recio.exchange_simulator.api.messages import Request, Response
from recio.exchange_simulator.faults import kind_of
from recio.exchange_simulator.gateway import Gateway

Rows = list[dict[str, Any]]
EditRows = Callable[[Rows], Rows]
EditReply = Callable[[dict[str, Any], dict[str, list[str]]], dict[str, Any]]

_LISTS = {
    "/portfolio/fills": "fills",
    "/portfolio/orders": "orders",
    "/portfolio/settlements": "settlements",
    "/portfolio/positions": "market_positions",
}


class Liar:
    """Edits replies and frames. ``told`` counts what was edited."""

    def __init__(self, gateway: Gateway) -> None:
        self.told = 0
        self.rows: dict[str, EditRows] = {}
        self.replies: dict[str, EditReply] = {}
        self.frames: dict[str, EditRows] = {}
        self.raw: dict[str, Callable[[bytes], bytes]] = {}
        self._request, self._deliver = gateway.request, gateway.faults.deliver
        gateway.request = self._requested  # type: ignore[method-assign]
        gateway.faults.deliver = self._delivered  # type: ignore[method-assign]

    def stop(self) -> None:
        """Tell the truth from now on."""
        for armed in (self.rows, self.replies, self.frames, self.raw):
            armed.clear()

    async def _requested(self, request: Request) -> Any:
        answer = await self._request(request)
        if request.method != "GET" or not isinstance(answer, Response) or answer.status != 200:
            return answer
        path = request.path.removeprefix("/trade-api/v2")
        body = self._edited(path, request.query(), answer.body)
        body = self.raw.get(path, bytes)(body)
        if body != answer.body:
            self.told += 1
        return replace(answer, body=body)

    def _edited(self, path: str, query: dict[str, list[str]], body: bytes) -> bytes:
        rows, reply = self.rows.get(path), self.replies.get(path)
        if rows is None and reply is None:
            return body
        document = msgspec.json.decode(body)
        if rows is not None:
            document[_LISTS[path]] = rows(document[_LISTS[path]])
        if reply is not None:
            document = reply(document, query)
        return msgspec.json.encode(document)

    def _delivered(self, frames: list[bytes], account: str) -> Any:
        return self._deliver([new for old in frames for new in self._frame(old)], account)

    def _frame(self, frame: bytes) -> list[bytes]:
        edit = self.frames.get(kind_of(frame))
        if edit is None:
            return [frame]
        document = msgspec.json.decode(frame)
        edited = edit([document["msg"]])
        if edited != [document["msg"]]:
            self.told += 1
        return [msgspec.json.encode({**document, "msg": message}) for message in edited]


def cursor_of(query: dict[str, list[str]] | str) -> str:
    """Return the cursor that was asked with."""
    found = parse_qs(query) if isinstance(query, str) else query
    return (found.get("cursor") or [""])[0]


def each(**changes: Any) -> EditRows:
    """Return a lie about every row: a value, or a function of the row."""

    def edit(rows: Rows) -> Rows:
        return [row | {n: v(row) if callable(v) else v for n, v in changes.items()} for row in rows]

    return edit
