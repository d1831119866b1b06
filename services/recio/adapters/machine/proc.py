"""Reads CPU, memory and disk of this machine from ``/proc`` and the file system.

In a container ``/proc/stat`` and ``/proc/meminfo`` are the node's: that is what runs short. A file
that is missing or reads differently gives None, never a number.

Source: proc_stat(5), proc_meminfo(5), statvfs(3) of the Linux man-pages (read November 2026).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from recio.domain.health import CpuTicks, MachineSample

_IDLE: Final = (3, 4)
"""Fields idle and iowait of the line ``cpu``."""
_COUNTED: Final = 8
"""user, nice, system, idle, iowait, irq, softirq, steal; guest time is part of user already."""
_MEMORY: Final = re.compile(r"^(MemTotal|MemAvailable):\s+(\d+) kB$", re.MULTILINE | re.ASCII)


def sample(disk_path: str, proc: Path = Path("/proc")) -> MachineSample:
    """Return what the machine says now; ``disk_path`` lies on the disk that is meant."""
    memory = _memory(_text(proc / "meminfo"))
    total, available = _disk(disk_path)
    return MachineSample(
        cpu=_cpu(_text(proc / "stat")),
        memory_total_bytes=memory.get("MemTotal"),
        memory_available_bytes=memory.get("MemAvailable"),
        disk_total_bytes=total,
        disk_available_bytes=available,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _cpu(text: str) -> CpuTicks | None:
    name, *fields = text.partition("\n")[0].split()[: 1 + _COUNTED] or [""]
    if name != "cpu" or len(fields) < _COUNTED or not all(field.isdecimal() for field in fields):
        return None
    ticks = [int(field) for field in fields]
    total = sum(ticks)
    return CpuTicks(total=total, busy=total - sum(ticks[index] for index in _IDLE))


def _memory(text: str) -> dict[str, int]:
    return {name: int(kilobytes) * 1024 for name, kilobytes in _MEMORY.findall(text)}


def _disk(path: str) -> tuple[int | None, int | None]:
    try:
        found = os.statvfs(path)
    except OSError:
        return None, None
    # Blocks that only root may use are neither free for us nor ours: as df counts.
    used = found.f_blocks - found.f_bfree
    return (used + found.f_bavail) * found.f_frsize, found.f_bavail * found.f_frsize
