"""The history's import at its normal size: years of minutes, and two million results.

    python -m benchmarks history_import [--minutes FILE ...] [--results 1960000] [--json FILE]

PostgreSQL is our embedded one with the settings of `recio up`, fsync on. Each import is a process of
its own, `recio history import`, over one file or several; its peak memory and processor time are the
kernel's (wait4), the server's processor time is that of all its processes (the postmaster's own and
its children's). Without --minutes three years are made up (a random walk with one hole); the results
are made up always: 40 strikes an hour, every one consistent. A tenth of each is imported first into
a database of its own, so that memory can be compared: flat means that ten times the rows take no more.
Rows a second are by the wall clock, so they suffer from whatever else the machine does: see the load.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random  # noqa: TID251  (seeded)
from typing import Any, Final

import psycopg

from benchmarks.machine import heading
from recio.adapters.postgres import history_read
from recio.adapters.postgres.history_read import Stretch
from recio.adapters.postgres.migrate import migrate
from recio.domain import tickers
from recio.domain.units import SECOND_US, parse_time_us
from recio.runtime.local.embedded import EmbeddedPostgres
from recio.runtime.local.servers import POSTGRES_SETTINGS

RESULTS: Final = 1_960_000
STRIKES: Final = 40
MINUTES: Final = 1_578_160
_START_US: Final = parse_time_us("2021-01-01T00:00:00Z")
_MONTH: Final = ("2023-05-01T00:00:00Z", "2023-06-01T00:00:00Z")


def main() -> None:
    """Import, measure, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", nargs="*", type=Path, default=[], metavar="FILE")
    parser.add_argument("--results", type=int, default=RESULTS)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print(heading("psycopg"))
    with tempfile.TemporaryDirectory(prefix="recio-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = EmbeddedPostgres(folder / "pg", settings=POSTGRES_SETTINGS)
        server.start()
        try:
            found = measured(server, folder, arguments)
        finally:
            server.stop()
    for line in lines(found):
        print(line)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def measured(
    server: EmbeddedPostgres, folder: Path, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return the figures."""
    minutes = arguments.minutes or [made(folder / "minutes.csv.gz", minute_lines(MINUTES))]
    fewer = made(folder / "fewer.csv.gz", minute_lines(MINUTES // 10))
    results = made(folder / "results.csv.gz", result_lines(arguments.results))
    fewer_results = made(folder / "fewer_results.csv.gz", result_lines(arguments.results // 10))
    own = ["--symbol", "BTC", "--source", "bench"]
    found: dict[str, Any] = {"machine": heading("psycopg"), "settings": list(POSTGRES_SETTINGS)}
    for database, files in (("small", [fewer, fewer_results]), ("whole", [*minutes, results])):
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database}")
        migrate(server.url(database))
        found[database] = {
            "minutes": imported(server, database, [*files[:-1], *own]),
            "results": imported(server, database, files[-1:]),
        }
    found["again"] = imported(server, "whole", [*minutes, *own])
    with closing(history_read.opened(server.url("whole"))) as connection:
        connection.execute("RESET ROLE")
        connection.execute("VACUUM ANALYZE")
        found["tables"] = [
            {
                "table": one.table,
                "rows_mb": one.table_bytes / 1e6,
                "indexes_mb": one.index_bytes / 1e6,
            }
            for one in history_read.sizes(connection)
        ]
        found["rows"] = {one.kind: one.rows for one in history_read.held(connection)}
        found["queries_ms"] = queried(connection)
    return found


def imported(server: EmbeddedPostgres, database: str, words: list[Any]) -> dict[str, float]:
    """Import in a process of its own and return what it took."""
    command = [sys.executable, "-m", "recio", "history", "import", *map(str, words)]
    before_s, began_s = server_cpu_s(server), time.monotonic()
    process = subprocess.Popen(
        [*command, "--database-url", server.url(database)], stdout=subprocess.PIPE, text=True
    )
    said = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"the import failed:\n{said}")
    seconds = time.monotonic() - began_s
    read = sum(
        int(line.split()[0].replace(",", "")) for line in said.splitlines() if " rows read" in line
    )
    return {
        "rows": read,
        "seconds": seconds,
        "rows_a_second": read / seconds,
        "client_cpu_s": usage.ru_utime + usage.ru_stime,
        "server_cpu_s": server_cpu_s(server) - before_s,
        "peak_mb": usage.ru_maxrss / 1024,
    }


def server_cpu_s(server: EmbeddedPostgres) -> float:
    """Return the processor time of the server with its processes that have ended."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def queried(connection: history_read.Connection) -> dict[str, float]:
    """Return how long questions take, the best of five, in milliseconds."""
    month = Stretch(
        symbol="BTC", since_us=parse_time_us(_MONTH[0]), until_us=parse_time_us(_MONTH[1])
    )
    questions = {
        "a month of minutes, read": lambda: sum(
            1 for _ in history_read.stored(connection, "minutes", month)
        ),
        "a month of results, read": lambda: sum(
            1 for _ in history_read.stored(connection, "settlements", month)
        ),
        "all gaps of the minutes": lambda: len(history_read.minute_gaps(connection, Stretch())),
        "what is there": lambda: len(history_read.held(connection)),
    }
    return {name: best_ms(question) for name, question in questions.items()}


def best_ms(question: Callable[[], int]) -> float:
    """Return the shortest of five."""
    times = []
    for _ in range(5):
        began_s = time.perf_counter()
        question()
        times.append(time.perf_counter() - began_s)
    return min(times) * 1000


def made(path: Path, rows: Iterator[str]) -> Path:
    """Write lines, compressed."""
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.writelines(rows)
    return path


def minute_lines(count: int) -> Iterator[str]:
    """Yield a CSV of made-up minutes with a hole of 80."""
    random = Random(1)
    yield "ts,open,high,low,close,volume\n"
    cents = 4_621_693
    for minute in range(count):
        opened, cents = cents, max(1_000_000, cents + random.randrange(-3000, 3001))
        high, low = (
            max(opened, cents) + random.randrange(900),
            min(opened, cents) - random.randrange(900),
        )
        if not 640_000 <= minute < 640_080:
            yield (
                f"{1_640_995_200 + 60 * minute},{opened / 100},{high / 100},{low / 100},{cents / 100},"
                f"{random.randrange(90_000) / 1000}\n"
            )


def result_lines(count: int) -> Iterator[str]:
    """Yield a CSV of made-up results."""
    random = Random(2)
    yield "ticker,close_ts,strike,settlement_price,result,settlement_ts\n"
    closes = tickers.closes_between("KXBTCD", _START_US, _START_US + 100_000 * 3600 * SECOND_US)
    cents, left = 4_000_000, count
    for close_us in closes:
        cents = max(1_000_000, cents + random.randrange(-30_000, 30_001))
        event = tickers.format_event("KXBTCD", close_us)
        first = cents // 25_000 * 25_000 - STRIKES // 2 * 25_000
        for step in range(min(STRIKES, left)):
            strike = first + step * 25_000 - 1
            result = "yes" if cents > strike else "no"
            close_s = close_us // SECOND_US
            yield (
                f"{event}-T{strike / 100:.2f},{close_s},{strike / 100},{cents / 100},{result},"
                f"{close_s + 71}\n"
            )
        left -= STRIKES
        if left <= 0:
            return


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the figures as a table."""
    yield f"\n{'import':<26}{'rows':>10}{'s':>8}{'rows/s':>9}{'CPU s':>8}{'server':>8}{'MB':>7}"
    for name, one in (
        ("minutes", found["whole"]["minutes"]),
        ("the same files again", found["again"]),
        ("a tenth of the minutes", found["small"]["minutes"]),
        ("results", found["whole"]["results"]),
        ("a tenth of the results", found["small"]["results"]),
    ):
        yield (
            f"{name:<26}{one['rows']:>10,.0f}{one['seconds']:>8.1f}{one['rows_a_second']:>9,.0f}"
            f"{one['client_cpu_s']:>8.1f}{one['server_cpu_s']:>8.1f}{one['peak_mb']:>7.0f}"
        )
    yield ""
    for one in found["tables"]:
        yield f"market.{one['table']:<28} rows {one['rows_mb']:8.1f} MB  indexes {one['indexes_mb']:8.1f} MB"
    yield ""
    for name, ms in found["queries_ms"].items():
        yield f"{name:<28}{ms:>9.1f} ms"
    yield f"\n{found['machine']}"


if __name__ == "__main__":
    main()
