"""system_monitor: probes every process, samples the machine, publishes and stores the result.

It also keeps journals and decisions to their days (``retention``).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import msgspec

from recio.adapters.machine import proc
from recio.adapters.postgres import operations
from recio.adapters.transport.client import HttpClient
from recio.apps.system_monitor.probe import Probe, Usage
from recio.apps.system_monitor.retention import Retention
from recio.apps.system_monitor.settings import Settings, Target, targets
from recio.domain import health
from recio.domain.errors import Unavailable
from recio.domain.health import MachineSample, ProbeResult
from recio.domain.messages import Health
from recio.domain.units import SECOND_US
from recio.engine.breakers import Subject
from recio.runtime import settings as runtime_settings
from recio.runtime.service import Readiness, Service, ServiceContext
from recio.runtime.settings import SettingsInvalid

MACHINE: Final = "machine"
REWRITE_US: Final = 60 * SECOND_US
"""Rows that say the same are written again after this, so that their age shows who measures."""


class SystemMonitor:
    """Measures all, once an interval."""

    def __init__(self, context: ServiceContext, settings: Settings) -> None:
        self._context = context
        self._settings = settings
        self._probes = {target: self._probe(target) for target in targets(settings)}
        self._listed: str | None = None
        self._complaint = ""
        self._held: frozenset[Subject] = frozenset()
        self._sample: MachineSample | None = None
        self._written: dict[Subject, Health] = {}
        self._problem = "has not measured yet"
        self._healthy = context.metrics.gauge(
            "recio_services_healthy", "Services that can do their job."
        )
        self._known = context.metrics.gauge("recio_services_known", "Services that are probed.")
        self._used = context.metrics.gauge(
            "recio_machine_used_permille", "Used share of the machine.", "resource"
        )
        self._latency = context.metrics.gauge(
            "recio_probe_latency_milliseconds", "How long a probe took.", "probed", "of_account"
        )

    def _probe(self, target: Target) -> Probe:
        timeout_s = self._settings.probe_timeout_milliseconds / 1000
        http = HttpClient(target.url, max_connections=1)
        return Probe(target, http, self._context.clock, timeout_s)

    async def _follow_file(self) -> None:
        """Take up what the file of probes lists now; one that is not understood changes nothing."""
        listed = _text(self._settings.probe_file)
        if listed == self._listed:
            return
        self._listed = listed
        try:
            wanted = targets(self._settings, listed)
        except SettingsInvalid as error:
            self._complaint = str(error)
            self._context.log.warning("the list of probes stays as it was: %s", error)
            return
        self._complaint = ""
        gone = [self._probes.pop(target) for target in self._probes.keys() - set(wanted)]
        for probe in gone:
            await probe.close()
        self._probes |= {
            target: self._probe(target) for target in wanted if target not in self._probes
        }
        self._context.log.info("%d processes are probed", len(self._probes))

    async def run(self) -> None:
        """Measure for ever."""
        while True:
            await self.measure()
            await self._context.clock.sleep_wall(self._settings.interval_seconds)

    async def measure(self) -> None:
        """Measure once, tell it, and store what changed."""
        await self._follow_file()
        found = await asyncio.gather(*(self._probed(probe) for probe in self._probes.values()))
        rows = [row for group in found for row in group]
        rows.append(self._machine(rows))
        self._problem = self._complaint
        await self._publish(rows)
        await self._store(rows)

    async def _probed(self, probe: Probe) -> list[Health]:
        results = await probe.ask()
        is_answering = any(result.latency_ms is not None for result in results.values())
        usage = await probe.usage() if is_answering else Usage()
        return [self._service(subject, result, usage) for subject, result in results.items()]

    def _service(self, subject: Subject, result: ProbeResult, usage: Usage) -> Health:
        level, reason = health.service_level(result)
        if result.latency_ms is not None:
            self._latency.set(result.latency_ms, subject.service, subject.account)
        now_us = self._context.clock.market_us()
        return Health(
            service=subject.service,
            account=subject.account or None,
            is_ready=result.is_ready,
            reason=reason,
            cpu_permille=usage.cpu_permille,
            memory_bytes=usage.memory_bytes,
            level=level,
            at_us=now_us,
            seen_us=now_us,
        )

    def _machine(self, services: list[Health]) -> Health:
        sample = proc.sample(self._settings.disk_path)
        found = health.machine_health(self._sample, sample)
        self._sample = sample
        ready = sum(row.is_ready for row in services)
        self._healthy.set(ready)
        self._known.set(len(services))
        for name, value in (
            ("cpu", found.cpu_permille),
            ("memory", found.memory_permille),
            ("disk", found.disk_permille),
        ):
            if value is not None:
                self._used.set(value, name)
        summary = f"{ready} of {len(services)} services healthy"
        now_us = self._context.clock.market_us()
        return Health(
            service=MACHINE,
            account=None,
            is_ready=found.level is not health.Level.CRITICAL,
            reason=f"{summary}; {found.reason}" if found.reason else summary,
            cpu_permille=found.cpu_permille,
            memory_bytes=found.memory_used_bytes,
            level=found.level,
            at_us=now_us,
            seen_us=now_us,
        )

    async def _publish(self, rows: list[Health]) -> None:
        try:
            for row in rows:
                await self._context.bus.publish("health", row)
        except Unavailable as error:
            self._problem = f"the bus is gone: {error}"

    async def _store(self, rows: list[Health]) -> None:
        due = [row for row in rows if self._is_due(row)]
        held = frozenset(Subject(row.service, row.account or "") for row in rows)
        if not due and held == self._held:
            return
        try:
            async with self._context.database.transaction() as tx:
                await operations.write_health(tx, due)
                if held != self._held:
                    await operations.keep_health(tx, held)
        except Unavailable as error:
            self._problem = f"the database is gone: {error}"
        else:
            self._held = held
            self._written |= {Subject(row.service, row.account or ""): row for row in due}
            self._written = {one: row for one, row in self._written.items() if one in held}

    def _is_due(self, row: Health) -> bool:
        old = self._written.get(Subject(row.service, row.account or ""))
        if old is None or row.at_us - old.at_us >= REWRITE_US:
            return True
        return (
            msgspec.structs.replace(
                row,
                cpu_permille=old.cpu_permille,
                memory_bytes=old.memory_bytes,
                at_us=old.at_us,
                seen_us=old.seen_us,
            )
            != old
        )

    async def close(self) -> None:
        """Close the probes' connections."""
        for probe in self._probes.values():
            await probe.close()

    def readiness(self) -> Readiness:
        """Whether it measures and can tell."""
        return Readiness(is_ready=not self._problem, reason=self._problem)


def _text(path: str) -> str:
    try:
        return Path(path).read_text("utf-8") if path else ""
    except OSError:
        return ""


def build(context: ServiceContext) -> Service:
    """Build the monitor."""
    settings = runtime_settings.load(Settings, context.row.name, context.settings)
    monitor = SystemMonitor(context, settings)
    retention = Retention(context, settings)
    return Service(
        tasks=(monitor.run, retention.run), readiness=monitor.readiness, drain=monitor.close
    )
