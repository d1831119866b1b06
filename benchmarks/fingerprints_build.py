"""How long counting fingerprints takes: `python -m benchmarks.fingerprints_build [FILE ...]`.

Reads the files, or writes and reads a made-up random walk of 2.6 million minutes (five years, with a
gap), and counts them as `recio model build` does. The aim is ten seconds, reading included.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from recio.research.models import fingerprints, minutes

COUNT = 2_600_000
GAP = slice(1_000_000, 1_000_080)
START_S = 1_577_836_800
AIM_S = 10.0


def made(folder: Path) -> Path:
    """Write a walk with the deviation of Bitcoin's minutes; return the file."""
    chance = np.random.default_rng(1)
    close = np.round(40_000 * np.exp(np.clip(np.cumsum(chance.normal(0, 7e-4, COUNT)), -1, 1)), 2)
    opened = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(opened, close) + 1, np.minimum(opened, close) - 1
    ts = START_S + 60 * np.arange(COUNT)
    rows = np.delete(np.column_stack([ts, opened, high, low, close]), GAP, axis=0)
    path = folder / "walk.csv"
    np.savetxt(path, rows, "%d,%.2f,%.2f,%.2f,%.2f", header="ts,open,high,low,close", comments="")
    return path


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(word) for word in sys.argv[1:]] or [made(Path(folder))]
        begin_s = time.perf_counter()
        history = minutes.load(paths, "BTC")
        read_s = time.perf_counter() - begin_s
        wanted = fingerprints.Wanted()
        content = fingerprints.artefact(history, fingerprints.count(history, wanted), wanted, "")
        total_s = time.perf_counter() - begin_s
    most_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{len(history.close)} minutes, {history.missing} missing: read {read_s:.1f} s, counted "
          f"{total_s - read_s:.1f} s, together {total_s:.1f} s (aim: {AIM_S:g} s); "
          f"{len(content)} bytes, {most_mb} MB at most")  # fmt: skip
    sys.exit(total_s > AIM_S)


if __name__ == "__main__":
    main()
