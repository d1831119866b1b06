"""How much the first load of the page transfers, gzipped as it is served.

    python -m benchmarks page

The document and every file that it names; the build stores them gzipped and main_app sends them so.
Build the page first (``make ui``).
"""

from __future__ import annotations

import gzip
import re
from importlib.resources import files
from pathlib import Path

from benchmarks.machine import heading

MOST_KB = 150


def main() -> None:
    """Add up and print."""
    print(heading())
    static = Path(str(files("recio.apps.main_app") / "static"))
    page = (static / "index.html.gz").read_bytes()
    named = set(re.findall(rb'(?:src|href)="/?([^"]+\.[a-z0-9]+)"', gzip.decompress(page)))
    sizes = {"index.html": len(page)}
    for name in sorted(each.decode() for each in named):
        sizes[name] = (static / f"{name}.gz").stat().st_size
    for name, size in sizes.items():
        print(f"{name:<50} {size / 1000:7.1f} KB")
    print(f"first load: {sum(sizes.values()) / 1000:.1f} KB of at most {MOST_KB}")


if __name__ == "__main__":
    main()
