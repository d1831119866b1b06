"""What the readiness probes of pods answer, asked by ourselves: the kubelet keeps only the status.

Pods that run and are not ready are asked every few seconds, beside the reconciling and never in its
way: a halt must not wait for a pod that does not answer. A pod that cannot be asked (a network policy, a
moment too early) has no more to say; that is no failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import aiohttp
import msgspec

from recio_operator.release import HTTP_PORT

TIMEOUT_S: Final = 1.5
EVERY_S: Final = 5.0
TOGETHER: Final = 10
_BODY_MOST: Final = 64_000


class Asked(NamedTuple):
    """A pod to ask: whose it is, and its address."""

    owner: str
    address: str


class _Service(msgspec.Struct):
    service: str
    is_ready: bool
    account: str | None = None
    reason: str = ""


class _Answer(msgspec.Struct):
    services: tuple[_Service, ...] = ()


class Readiness:
    """Knows what keeps pods from being ready.

    Args:
        unready: gives the pods to ask.
        changed: told the owner of a pod that answers otherwise than before.
    """

    def __init__(
        self, unready: Callable[[], Iterable[Asked]], changed: Callable[[str], None]
    ) -> None:
        self._unready = unready
        self._changed = changed
        self._known: dict[str, str] = {}

    def reason(self, address: str) -> str:
        """Return what the pod at an address said last, or nothing."""
        return self._known.get(address, "")

    async def run(self) -> None:
        """Ask for ever."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        connector = aiohttp.TCPConnector(limit=TOGETHER, force_close=True)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            while True:
                await self._round(session)
                await asyncio.sleep(EVERY_S)

    async def _round(self, session: aiohttp.ClientSession) -> None:
        pods = list(self._unready())
        answers = await asyncio.gather(*(_ask(session, pod.address) for pod in pods))
        before, self._known = self._known, {}
        for pod, answer in zip(pods, answers, strict=True):
            self._known[pod.address] = answer
        for pod, answer in zip(pods, answers, strict=True):
            if before.get(pod.address, "") != answer:
                self._changed(pod.owner)


async def _ask(session: aiohttp.ClientSession, address: str) -> str:
    host = f"[{address}]" if ":" in address else address
    try:
        async with session.get(f"http://{host}:{HTTP_PORT}/readyz") as answer:
            return reason_in(await answer.content.read(_BODY_MOST))
    except (TimeoutError, aiohttp.ClientError, OSError):
        return ""


def reason_in(body: bytes) -> str:
    """Return what an answer of ``/readyz`` says is wrong, or nothing."""
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (ValueError, RecursionError):
        return ""
    wrong = [
        f"{one.service}{'@' + one.account if one.account else ''}: {one.reason}"
        for one in answer.services
        if not one.is_ready
    ]
    return f"NotReady: {'; '.join(wrong)}" if wrong else ""
