"""Time to safety: from the command to the last order that leaves, and to the last cancel.

    python -m benchmarks kill_switch [--repeats 12] [--tiers Basic Advanced]

A release of real processes (PostgreSQL with fsync, Redis, the paper exchange over sockets) gets
entries and automatic exits as fast as the account's rate budget lets them out; then it is halted
through each door in turn. Everything is on one clock: the exchange stamps what reaches it with
market time, which runs with the machine's monotonic clock at speed 1; PostgreSQL stamps the commit
(``track_commit_timestamp``, taken before the flush, so the delays here are not flattered) with the
wall clock, which is put on the same line in each repetition.

A *late* order is one that reached the exchange after the commit. A person's exit is allowed under a
halt, so only entries and automatic exits are sent. The last part places 40 orders by hand and
halts: from the commit to the exchange's own record of the last cancel.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.kill_switch.release import ONE, Release, propose

from benchmarks.machine import heading, share
from recio.adapters.postgres.database import PostgresDatabase
from recio.domain.intents import Source
from recio.domain.units import as_datetime

OUT: Final = Path("docs/reliability/kill_switch.json")
WARM_S: Final = 0.8
AFTER_S: Final = 0.5
RESTING: Final = 40
CANCELED_WITHIN_S: Final = 10.0
HELD_E2: Final = 10_000
CREATES_PER_S: Final = {"Basic": 10, "Advanced": 30}
WAITING: Final = 8
"""How many intents always wait for the gate."""
POLL_S: Final = 0.01
LATEST_MS: Final = 50.0
CANCELS_MS: Final = 1000.0
WAITING_NOW: Final = "SELECT count(*) FROM trading.intents WHERE state = 'proposed'"
SAID: Final = (
    "SELECT i.state::text, i.purpose::text, i.refusal, o.state::text, o.reason, count(*) "
    "FROM trading.intents i LEFT JOIN trading.orders o USING (intent_id) "
    "WHERE i.at > %s GROUP BY 1, 2, 3, 4, 5 ORDER BY 6 DESC LIMIT 5"
)
COMMITTED: Final = (
    "SELECT pg_xact_commit_timestamp(xmin) FROM trading.switches "
    "WHERE state = 'Halted' AND scope = %s"
)
LAST_ORDER: Final = (
    "SELECT max(created_at), count(*) FROM exchange_sim.orders WHERE account = %s "
    "AND created_at > %s AND client_order_id NOT LIKE 'hand-%%'"
)
LAST_CANCEL: Final = (
    "SELECT max(changed_at), count(*) FILTER (WHERE status = 'resting') "
    "FROM exchange_sim.orders WHERE account = %s AND client_order_id LIKE 'hand-%%' "
    "AND created_at > %s"
)
Door = Callable[[str], object]


class Stream(threading.Thread):
    """Keeps some intents waiting for the gate, entries and automatic exits, until told to stop."""

    def __init__(self, release: Release, trade: tuple[Any, str]) -> None:
        super().__init__(daemon=True)
        self._release, self._trade = release, trade
        self._is_over = threading.Event()
        self._markets = [m.ticker for m in release.markets() if m.yes_ask_e4 is None]
        self.proposed = 0

    def run(self) -> None:
        """Propose."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        database = PostgresDatabase(self._release.owner, connections=1)
        while not self._is_over.is_set():
            async with database.transaction() as tx:
                row = await tx.fetch_one(WAITING_NOW)
            assert row is not None
            for _ in range(row[0], WAITING):
                await propose(database, self._next())
                self.proposed += 1
            await asyncio.sleep(POLL_S)
        await database.close()

    def _next(self) -> Any:  # noqa: ANN401
        if self.proposed % 3:
            return self._release.wish(trade=self._trade, source=Source.AUTO_STOP)
        return self._release.wish(ticker=self._markets[self.proposed // 3 % len(self._markets)])

    def end(self) -> None:
        """Stop it."""
        self._is_over.set()
        self.join()


def doors(release: Release) -> dict[str, tuple[str, Door]]:
    """Return each door: the scope that it sets, and what one calls."""
    return {
        "page and API": (ONE, lambda state: release.by_api(ONE, state)),
        "command": (ONE, lambda state: release.by_command(ONE, state)),
        "account document (applied)": (ONE, lambda state: release.by_account(ONE, state)),
        "fleet document (applied)": ("*", lambda state: release.by_fleet("*", state)),
        "breaker": (ONE, lambda state: release.by_breaker(ONE, state)),
    }


def measure_doors(release: Release, repeats: int) -> dict[str, dict[str, Any]]:
    """Halt in the middle of a stream, through each door, so many times."""
    trade = big_trade(release)
    found = {}
    for name, (scope, door) in doors(release).items():
        took = [one_halt(release, trade, scope, door) for _ in range(repeats)]
        late = sorted(one["last_ms"] for one in took)
        committed = sorted(one["committed_ms"] for one in took)
        found[name] = {
            "halts": repeats,
            "orders_before": sum(one["orders"] for one in took),
            "late_orders": sum(one["late"] for one in took),
            "last_order_after_commit_ms": summary(late),
            "command_to_commit_ms": summary(committed),
        }
        say(f"{name}: {found[name]}")
    return found


def one_halt(release: Release, trade: tuple[Any, str], scope: str, door: Door) -> dict[str, Any]:
    """Let orders flow, halt, and tell when the last one reached the exchange."""
    stream = Stream(release, trade)
    begun_us = release.clock.market_us()
    stream.start()
    time.sleep(WARM_S)
    called_us = release.clock.market_us()
    door("Halted")
    time.sleep(AFTER_S)
    stream.end()
    committed_us = commit_us(release, scope)
    last_us, orders = last_order(release, begun_us)
    late = last_order(release, committed_us)[1]
    door("Active")
    if not orders:
        said = release.ask(SAID, moment(begun_us))
        raise SystemExit(f"expected orders at the exchange before the halt, found none: {said}")
    return {
        "orders": orders,
        "late": late,
        "last_ms": max(last_us - committed_us, 0) / 1e3,
        "committed_ms": (committed_us - called_us) / 1e3,
    }


def commit_us(release: Release, scope: str) -> int:
    """Return the market time at which the halt was committed."""
    (at,) = release.ask(COMMITTED, scope)[0]
    ahead_us = release.clock.market_us() - release.clock.wall_us()
    return round(at.timestamp() * 1e6) + ahead_us


def last_order(release: Release, after_us: int) -> tuple[int, int]:
    """Return when the last of our orders after a moment reached the exchange, and how many did."""
    at, number = release.ask(LAST_ORDER, ONE, moment(after_us))[0]
    return (0 if at is None else round(at.timestamp() * 1e6)), number


def measure_cancels(release: Release, repeats: int) -> dict[str, Any]:
    """Place 40 orders by hand and halt; from the commit to the exchange's record of each cancel."""
    took = sorted(one_sweep(release) for _ in range(repeats))
    return {"sweeps": repeats, "orders": RESTING, "last_cancel_after_commit_ms": summary(took)}


def one_sweep(release: Release) -> float:
    """Return the milliseconds from the commit to the last cancel."""
    begun_us = release.clock.market_us()
    tickers = [m.ticker for m in release.markets() if m.yes_ask_e4 is None]
    release.rest_many(ONE, tickers, RESTING)
    # The account's bucket is as the executor believes it to be: full.
    time.sleep(1.5)
    release.by_api(ONE, "Halted")
    committed_us = commit_us(release, ONE)
    deadline = time.monotonic() + CANCELED_WITHIN_S
    while (left := release.ask(LAST_CANCEL, ONE, moment(begun_us))[0])[1]:
        if time.monotonic() > deadline:
            release.cancel_by_hand(ONE)
            release.by_api(ONE, "Active")
            raise SystemExit(f"{left[1]} of {RESTING} orders rest {CANCELED_WITHIN_S:g} s later")
        time.sleep(0.05)
    release.by_api(ONE, "Active")
    return (round(left[0].timestamp() * 1e6) - committed_us) / 1e3


def big_trade(release: Release) -> tuple[Any, str]:
    """Return a trade that many exits can be taken from."""
    trade = release.trade(ONE)
    release.by_hand(ONE, trade[1], 9_900, HELD_E2)
    return trade


def moment(at_us: int) -> Any:  # noqa: ANN401
    """Return a moment as PostgreSQL has it."""
    return as_datetime(at_us)


def summary(values: list[float]) -> dict[str, float]:
    """Return median and worst of ascending values."""
    return {"p50": round(share(values, 0.5), 2), "max": round(values[-1], 2)}


@contextmanager
def running(tier: str) -> Iterator[Release]:
    """Run a release whose account is of a tier."""
    with tempfile.TemporaryDirectory(prefix="recio-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        release = Release(
            Path(directory),
            tier=tier,
            accounts=(ONE,),
            postgres_settings=("track_commit_timestamp=on",),
        )
        try:
            release.start()
            yield release
        finally:
            release.stop()


def say(line: str) -> None:
    """Tell how far it is."""
    print(f"  {line}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=12, help="halts a door")
    parser.add_argument("--tiers", nargs="+", default=["Basic", "Advanced"])
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    made: dict[str, Any] = {
        "made_by": "python -m benchmarks kill_switch " + " ".join(sys.argv[1:]),
        "machine": heading("psycopg", "uvloop"),
        "scheduling": Path("/proc/self/autogroup").read_text().strip(),
        "limits": {"last_order_ms": LATEST_MS, "cancels_ms": CANCELS_MS},
        "patch_of_the_resource_to_commit": "needs the operator: 0.2 s on a cluster, docs/e2e.md",
        "tiers": {},
    }
    for tier in options.tiers:
        say(f"tier {tier}")
        with running(tier) as release:
            found = {
                "creates_per_s_allowed": CREATES_PER_S[tier],
                "doors": measure_doors(release, options.repeats),
                "cancels": measure_cancels(release, max(options.repeats // 2, 3)),
            }
        made["tiers"][tier] = found
        say(f"cancels: {found['cancels']}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(made, indent=2) + "\n")
    print(f"written: {options.out}")


if __name__ == "__main__":
    main()
