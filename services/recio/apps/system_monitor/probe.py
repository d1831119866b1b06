"""Probes one process: is it ready, how fast does it answer, what does it use."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from recio.apps.system_monitor.settings import Target
from recio.domain.errors import Rejected, Unavailable
from recio.domain.health import ProbeResult, process_cpu_permille
from recio.domain.units import SECOND_US
from recio.engine.breakers import Subject
from recio.ports import Clock, HttpTransport

_OK: Final = 200
_NOT_READY: Final = 503
_CPU: Final = re.compile(rb"^process_cpu_seconds_total ([0-9.e+-]+)$", re.MULTILINE)
_MEMORY: Final = re.compile(rb"^process_resident_memory_bytes ([0-9.e+-]+)$", re.MULTILINE)


_ABSURD: Final = 1e12
"""Neither seconds of a processor nor bytes of memory: then nothing was said."""


class _Said(msgspec.Struct, frozen=True):
    service: str
    is_ready: bool
    account: str | None = None
    reason: str = ""


class _Readyz(msgspec.Struct, frozen=True):
    services: list[_Said]


_readyz: Final = msgspec.json.Decoder(_Readyz)


class Usage(msgspec.Struct, frozen=True):
    """What a process uses; None: it does not say, or not yet."""

    cpu_permille: int | None = None
    memory_bytes: int | None = None


class Probe:
    """One process, asked again and again."""

    def __init__(self, target: Target, http: HttpTransport, clock: Clock, timeout_s: float) -> None:
        self.target = target
        self._http = http
        self._clock = clock
        self._timeout_s = timeout_s
        self._cpu_us: int | None = None
        self._asked_us = 0

    async def ask(self) -> dict[Subject, ProbeResult]:
        """Return what each hosted service says; the same failure for all if nobody answers."""
        started_us = self._clock.wall_us()
        try:
            reply = await self._http.request("GET", "/readyz", {}, timeout_s=self._timeout_s)
        except (Unavailable, Rejected) as error:
            return self._all(f"does not answer: {error}", None)
        latency_ms = max(0, self._clock.wall_us() - started_us) // 1000
        if reply.status not in (_OK, _NOT_READY):
            return self._all(f"/readyz answered {reply.status}, expected 200 or 503", latency_ms)
        try:
            said = _readyz.decode(reply.body).services
        except (ValueError, RecursionError) as error:
            return self._all(f"/readyz is not understood: {error}", latency_ms)
        results = self._all("is not hosted where it was expected", latency_ms)
        for item in said:
            subject = Subject(item.service, item.account or "")
            results[subject] = ProbeResult(
                is_ready=item.is_ready, reason=item.reason, latency_ms=latency_ms
            )
        return results

    def _all(self, reason: str, latency_ms: int | None) -> dict[Subject, ProbeResult]:
        result = ProbeResult(is_ready=False, reason=reason, latency_ms=latency_ms)
        return dict.fromkeys(self.target.hosts, result)

    async def usage(self) -> Usage:
        """Return what the process uses, from its metrics."""
        try:
            reply = await self._http.request("GET", "/metrics", {}, timeout_s=self._timeout_s)
        except (Unavailable, Rejected):
            return Usage()
        cpu = _number(_CPU, reply.body)
        cpu_us = None if cpu is None else round(cpu * SECOND_US)
        memory = _number(_MEMORY, reply.body)
        now_us = self._clock.wall_us()
        share = process_cpu_permille(self._cpu_us, cpu_us, elapsed_us=now_us - self._asked_us)
        self._cpu_us, self._asked_us = cpu_us, now_us
        return Usage(share, None if memory is None else round(memory))

    async def close(self) -> None:
        """Close the connection."""
        await self._http.close()


def _number(pattern: re.Pattern[bytes], text: bytes) -> float | None:
    found = pattern.search(text)
    try:
        number = float(found.group(1)) if found else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < _ABSURD else None
