"""How well a machine and its services are: levels against thresholds, and what a probe means.

Shares are in permille, memory and disk in bytes, latencies in milliseconds. A level is reached at
its threshold (95 % CPU is critical). What was not measured is ``unknown``, never ``ok``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class Level(StrEnum):
    """How bad it is, from mild to hard."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    CRITICAL = "critical"


class Threshold(msgspec.Struct, frozen=True):
    """From which value on a measure is a warning, and critical; inclusive."""

    warning: int
    critical: int

    def level(self, value: int | None) -> Level:
        """Return the level of a measured value; None is unknown."""
        if value is None:
            return Level.UNKNOWN
        if value >= self.critical:
            return Level.CRITICAL
        return Level.WARNING if value >= self.warning else Level.OK


CPU_PERMILLE: Final = Threshold(800, 950)
MEMORY_PERMILLE: Final = Threshold(850, 950)
DISK_PERMILLE: Final = Threshold(800, 900)
LATENCY_MS: Final = Threshold(100, 500)


class CpuTicks(msgspec.Struct, frozen=True):
    """Counters since boot: all ticks of all cores, and those in which something ran."""

    total: int
    busy: int


class MachineSample(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine says at one moment; None: it does not say."""

    cpu: CpuTicks | None
    memory_total_bytes: int | None
    memory_available_bytes: int | None
    disk_total_bytes: int | None
    disk_available_bytes: int | None


class MachineHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The machine's shares, its level and, unless ok, why."""

    cpu_permille: int | None
    memory_permille: int | None
    memory_used_bytes: int | None
    disk_permille: int | None
    level: Level
    reason: str


class ProbeResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one service said to one probe. ``latency_ms`` None: it did not answer."""

    is_ready: bool
    reason: str
    latency_ms: int | None


def worst(*levels: Level) -> Level:
    """Return the hardest level; without any, unknown."""
    order = list(Level)
    return max(levels, key=order.index, default=Level.UNKNOWN)


def used_permille(total: int | None, available: int | None) -> int | None:
    """Return the used share, rounded down; None if either is unknown or the total is nothing.

    >>> used_permille(1000, 250)
    750
    """
    if total is None or available is None or total <= 0:
        return None
    return max(0, total - available) * 1000 // total


def cpu_permille(before: CpuTicks | None, now: CpuTicks | None) -> int | None:
    """Return the busy share between two samples; None without two, or after a counter's restart."""
    if before is None or now is None or now.total <= before.total or now.busy < before.busy:
        return None
    return min(1000, (now.busy - before.busy) * 1000 // (now.total - before.total))


def process_cpu_permille(
    before_us: int | None, now_us: int | None, *, elapsed_us: int
) -> int | None:
    """Return how much of one core a process used, from two readings of its CPU time."""
    if before_us is None or now_us is None or now_us < before_us or elapsed_us <= 0:
        return None
    return (now_us - before_us) * 1000 // elapsed_us


def machine_health(before: MachineSample | None, now: MachineSample) -> MachineHealth:
    """Judge two consecutive samples; CPU is unknown at the first and does not count until then."""
    cpu = cpu_permille(before.cpu if before else None, now.cpu)
    memory = used_permille(now.memory_total_bytes, now.memory_available_bytes)
    disk = used_permille(now.disk_total_bytes, now.disk_available_bytes)
    measures = (
        ("CPU", cpu, CPU_PERMILLE),
        ("memory", memory, MEMORY_PERMILLE),
        ("disk", disk, DISK_PERMILLE),
    )
    levels = [threshold.level(value) for _, value, threshold in measures if value is not None]
    reasons = [
        f"{name} {threshold.level(value)}: {_percent(threshold, value)}"
        for name, value, threshold in measures
        if value is not None and threshold.level(value) is not Level.OK
    ]
    return MachineHealth(
        cpu_permille=cpu,
        memory_permille=memory,
        memory_used_bytes=_difference(now.memory_total_bytes, now.memory_available_bytes),
        disk_permille=disk,
        level=worst(*levels),
        reason="; ".join(reasons),
    )


def service_level(result: ProbeResult) -> tuple[Level, str]:
    """Return the level of a probed service and, unless ok, why.

    A service that cannot do its job is critical, a slow one a warning or critical by its latency.
    """
    if not result.is_ready:
        return Level.CRITICAL, result.reason or "is not ready and does not say why"
    level = LATENCY_MS.level(result.latency_ms)
    if level in (Level.WARNING, Level.CRITICAL):
        limit = LATENCY_MS.critical if level is Level.CRITICAL else LATENCY_MS.warning
        return level, f"answers in {limit} ms or more"
    return level, ""


def _percent(threshold: Threshold, value: int) -> str:
    # The bound and not the value: a text that changes with every sample would be written each time.
    limit = threshold.critical if value >= threshold.critical else threshold.warning
    return f"{limit // 10} % or more in use"


def _difference(total: int | None, part: int | None) -> int | None:
    return None if total is None or part is None else total - part
