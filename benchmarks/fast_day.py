"""How long a simulated day takes, and whether its books are equal at the end.

    python -m benchmarks fast_day [--period 24h]

Wraps ``recio up --fast``: one process, stepped, on an embedded PostgreSQL. The command itself
compares the exchange's cash with the ledger and ends with status 0 only if they are equal to the
micro-dollar.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import heading


def main() -> None:
    """Run the period and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--period", default="24h")
    options = parser.parse_args()
    print(heading("psycopg", "uvloop"))
    with tempfile.TemporaryDirectory(prefix="recio-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        recio = Path(sys.executable).parent / "recio"
        begun_s = time.monotonic()
        done = subprocess.run(
            [recio, "up", "--fast", options.period, "--state", f"{directory}/state"],
            capture_output=True,
            text=True,
            check=False,
        )
        took_s = time.monotonic() - begun_s
    print("\n".join((done.stdout + done.stderr).splitlines()[-12:]))
    print(f"{options.period} in {took_s:.1f} s, status {done.returncode}")
    print(f"after: {heading()}")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
