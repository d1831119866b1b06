"""What every benchmark prints first: the machine, the versions, and how busy it is already."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path


def heading(*packages: str) -> str:
    """Return machine, versions of Python and of these packages, and the load average."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    load = " ".join(f"{one:.2f}" for one in os.getloadavg())
    return (
        f"{processor()}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"Python {platform.python_version()}{', ' if versions else ''}{versions}; load {load}"
    )


def processor() -> str:
    """Return the processor's name as the kernel tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def share(sorted_values: Sequence[float], part: float) -> float:
    """Return the value below which this part of the ascending values lies."""
    return sorted_values[min(int(part * len(sorted_values)), len(sorted_values) - 1)]


def pss_mb(pid: int | str) -> float:
    """Return a process's proportional set size."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    line = next(line for line in text.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) / 1024


def cpu_s(pid: int) -> float:
    """Return the processor seconds that a process has used.

    From the scheduler's own clock: what ``stat`` tells is sampled a hundred times a second and
    misses work that begins with a timer and is done before the next sample.
    """
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
