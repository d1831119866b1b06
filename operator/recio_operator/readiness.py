"""What the readiness probe of a pod answers, asked by ourselves: the kubelet keeps only the status.

A pod that cannot be asked (a network policy, a moment too early) has no more to say; that is no
failure. Answers are kept a few seconds, so that many looks ask once.
"""

from __future__ import annotations

import asyncio
from typing import Final

import aiohttp
import msgspec

from recio_operator.release import HTTP_PORT

TIMEOUT_S: Final = 1.5
KEPT_S: Final = 4.0
_BODY_MOST: Final = 64_000
_KEPT_MOST: Final = 2_000


class _Service(msgspec.Struct):
    service: str
    is_ready: bool
    account: str | None = None
    reason: str = ""


class _Answer(msgspec.Struct):
    services: tuple[_Service, ...] = ()


class Readiness:
    """Asks pods what keeps them from being ready."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._kept: dict[str, tuple[float, str]] = {}

    async def reason(self, address: str) -> str:
        """Return what the pod at an address says, or nothing."""
        now_s = asyncio.get_running_loop().time()
        kept = self._kept.get(address)
        if kept is not None and now_s - kept[0] < KEPT_S:
            return kept[1]
        if len(self._kept) > _KEPT_MOST:
            self._kept.clear()
        found = await self._ask(address)
        self._kept[address] = (now_s, found)
        return found

    async def _ask(self, address: str) -> str:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        host = f"[{address}]" if ":" in address else address
        try:
            async with self._session.get(f"http://{host}:{HTTP_PORT}/readyz") as answer:
                return reason_in(await answer.content.read(_BODY_MOST))
        except (TimeoutError, aiohttp.ClientError, OSError):
            return ""

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


def reason_in(body: bytes) -> str:
    """Return what an answer of ``/readyz`` says is wrong, or nothing."""
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except msgspec.MsgspecError:
        return ""
    wrong = [
        f"{one.service}{'@' + one.account if one.account else ''}: {one.reason}"
        for one in answer.services
        if not one.is_ready
    ]
    return f"NotReady: {'; '.join(wrong)}" if wrong else ""
