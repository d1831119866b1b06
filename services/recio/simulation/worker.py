"""One worker of ``recio simulate``: plans come in line by line, outcomes go out.

It runs a PostgreSQL of its own in a temporary directory: what one server's other sessions do (their
notifications, their transaction numbers) would otherwise reach into the run.
"""

from __future__ import annotations

import gc
import logging
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import psycopg

from recio.adapters.postgres.migrate import migrate
from recio.runtime.local.embedded import EmbeddedPostgres
from recio.runtime.stepped import run as run_stepped
from recio.simulation.plan import Plan
from recio.simulation.run import Outcome, Theatre, play

QUICK: Final = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "shared_buffers=64MB",
    "max_wal_size=2GB",
)
"""The database need not survive anything, and nothing may happen in it by itself."""
DATABASE: Final = "simulation"
VACUUM_EVERY: Final = 50
ENDED: Final = 128 + signal.SIGTERM


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker answers to a plan: the outcome, or why there is none."""

    outcome: Outcome | None = None
    error: str = ""


@contextmanager
def theatre() -> Iterator[Theatre]:
    """Return a theatre on a PostgreSQL server of its own."""
    with tempfile.TemporaryDirectory(prefix="recio-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        server = EmbeddedPostgres(Path(directory) / "pg", settings=QUICK)
        server.start()
        try:
            with psycopg.connect(server.url(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {DATABASE}")
            migrate(server.url(DATABASE))
            made = Theatre(_urls(server))
            run_stepped(made.prepare())
            try:
                yield made
            finally:
                made.close()
        finally:
            server.stop(is_immediate=True)


def _urls(server: EmbeddedPostgres) -> Callable[[str], str]:
    def url(login: str) -> str:
        return server.url(DATABASE, user=login) if login else server.url(DATABASE)

    return url


def main() -> int:
    """Play plans from standard input until it ends, or until told to end by SIGTERM."""
    # By itself SIGTERM ends a process on the spot: its PostgreSQL would be nobody's.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ENDED))
    logging.disable(logging.CRITICAL)
    encoder, decoder = msgspec.json.Encoder(), msgspec.json.Decoder(Plan)
    with theatre() as made:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        for number, line in enumerate(sys.stdin.buffer, 1):
            reply = _played(made, decoder.decode(line))
            sys.stdout.write(encoder.encode(reply).decode() + "\n")
            sys.stdout.flush()
            if number % VACUUM_EVERY == 0:
                made.vacuum()
            gc.collect()
    return 0


def _played(made: Theatre, plan: Plan) -> Reply:
    try:
        return Reply(outcome=play(made, plan)[0])
    except Exception as error:  # noqa: BLE001 (a seed that cannot be played is a finding)
        return Reply(error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    sys.exit(main())
