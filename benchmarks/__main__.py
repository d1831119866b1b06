"""Run one benchmark by its name: ``python -m benchmarks tick_to_order [arguments]``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
HELPERS = {"__init__", "__main__", "machine", "scene"}


def main() -> None:
    """Run it in place of this process, or tell which there are."""
    names = sorted({path.stem for path in HERE.glob("*.py")} - HELPERS)
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        sys.exit(f"expected one of: {', '.join(names)}")
    os.execv(sys.executable, [sys.executable, "-m", f"benchmarks.{sys.argv[1]}", *sys.argv[2:]])


if __name__ == "__main__":
    main()
