"""What each service costs under the load of the table: share of a core, and memory (PSS).

    python -m benchmarks services [--seconds 40]

All services run as in ``recio up`` on the scripted exchange (``scene``): 100 markets with 20 book
changes a second each, five spot prices and one index value a second, about one order a second with
its fills and their bookings.
"""

from __future__ import annotations

import argparse
import time

from benchmarks import scene
from benchmarks.machine import cpu_s, heading, pss_mb

WARM_S = 12.0


def measure(runner: scene.SceneRunner, seconds: float) -> None:
    """Count processor time over the period; print."""
    runner.pause(WARM_S)
    print(heading("psycopg", "uvloop"))
    begun_s, before = time.monotonic(), {name: cpu_s(pid) for name, pid in runner.pids.items()}
    runner.pause(seconds)
    passed_s = time.monotonic() - begun_s
    for name, pid in runner.pids.items():
        share = (cpu_s(pid) - before[name]) / passed_s
        print(f"{name:<34} {share:7.2%} of a core  {pss_mb(pid):6.1f} MB PSS")
    print(f"after: {heading()}")


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--deltas", type=int, default=2000)
    options = parser.parse_args()
    scene.run(lambda runner: measure(runner, options.seconds), deltas=options.deltas)


if __name__ == "__main__":
    main()
