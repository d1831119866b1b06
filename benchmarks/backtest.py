"""What a backtest costs: hourly events along packaged minutes, at live cadence in the entry windows.

    python -m benchmarks backtest [--days 30]

Prints processor seconds for making the tape alone and for the whole run, a picture's share, and the
memory at the half and at the end: it must not grow with the history.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

from benchmarks.machine import heading
from recio.domain.account_config import parse_account
from recio.research.backtest import run
from recio.research.result import Nowhere
from recio.research.tapes.opening import open_tape
from recio.runtime.local.documents import read_document

ACCOUNT = Path(__file__).parents[1] / "k8s" / "examples" / "paper-account.yaml"


def main() -> None:
    """Play the days and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    days = parser.parse_args().days
    print(heading("msgspec"))
    spec = f"packaged-hours?days={days}"
    began_s = time.process_time()
    events = sum(1 for _ in open_tape(spec).events())
    tape_s = time.process_time() - began_s
    document = read_document(ACCOUNT)
    rss_mb: list[float] = []

    def note(_: int) -> None:
        rss_mb.append(_rss_mb())

    result = run(
        parse_account(document), open_tape(spec), sink=Nowhere(), document=document, progress=note
    )
    engine_s = result.cpu_seconds - tape_s
    print(f"{days} days, {days * 24} hourly events, {events:,} events on the tape")
    print(f"processor seconds: tape {tape_s:.1f}, whole run {result.cpu_seconds:.1f}")
    print(f"{result.snapshots:,} pictures, {engine_s / result.snapshots * 1e6:.0f} us each")
    print(f"{result.orders} orders, {len(result.trades)} trades")
    print(f"resident: {rss_mb[len(rss_mb) // 2]:.0f} MB half way, {rss_mb[-1]:.0f} MB at the end")
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB; {heading()}")


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
