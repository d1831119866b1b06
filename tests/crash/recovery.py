"""How long the product is without each of its services after kill -9: the fourteen, one by one.

``recio up`` runs in the background; each service's process is killed by its pid, and the time is
taken until the process that its supervisor starts answers /readyz with 200: until its recovery is
over (books reconciled, lease held, data fresh) and it does its work again. For the four services
of the money path the script's world also measures the whole: a wish proposed at the moment of the
kill, until its order has been filled, booked and folded into an open trade.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.crash.killing import passable_directory, worlds

from recio import manifest
from recio.runtime.local.children import STEADY_S

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "python -m tests.crash --recovery"
WITHIN_S = 5.0
START_S = 120.0
READY_S = 60.0
STOP_S = 90.0
LOOK_S = 0.02
WATCHED_S = 7.0
"""Long enough for neighbours to notice: what they know of the dead one grows too old."""
CALM_S = 2.0
_LISTEN = "0A"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a service lives now."""

    pid: int
    port: int


class Up:
    """One ``recio up`` in the background."""

    def __init__(self, state: Path) -> None:
        self.log = state.with_suffix(".log")
        with self.log.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "recio", "up", "--state", str(state), "--port", "0"],
                cwd=ROOT,
                env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT / 'services'}:{ROOT}"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def seats(self) -> dict[str, Seat]:
        """Return every service that answers, by its name."""
        made = {}
        for pid in self._children():
            for port in listening_ports(pid):
                said = ask_ready(port)
                for one in said.get("services", []):
                    made[one["service"]] = Seat(pid, port)
        return made

    def _children(self) -> list[int]:
        pid = self._process.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def wait_for_all(self, deadline_s: float) -> dict[str, Seat]:
        """Wait until every service is ready; return where they live."""
        wanted = {row.name for row in manifest.SERVICES}
        deadline = time.monotonic() + deadline_s
        while True:
            assert self._process.poll() is None, self.log.read_text()
            seats = self.seats()
            unready = wanted - {n for n, s in seats.items() if ask_ready(s.port).get("is_ready")}
            if not unready:
                return seats
            assert time.monotonic() < deadline, f"not ready: {sorted(unready)}"
            time.sleep(0.2)

    def end(self) -> None:
        """Stop it."""
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait(STOP_S)


def ask_ready(port: int) -> dict[str, Any]:
    """Return what a process says of its readiness; nothing while it does not answer."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as reply:
            found: dict[str, Any] = json.load(reply)
    except HTTPError as error:
        found = json.load(error)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def listening_ports(pid: int) -> list[int]:
    """Return the ports of this machine on which a process listens."""
    sockets = set()
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            sockets.add(str(entry.readlink()))
    except OSError:
        return []
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [
        int(row[1].partition(":")[2], 16)
        for row in rows
        if row[3] == _LISTEN and f"socket:[{row[9]}]" in sockets
    ]


@contextmanager
def running() -> Iterator[Up]:
    """Run ``recio up`` while the block runs."""
    with passable_directory() as directory:
        up = Up(directory / "s")
        try:
            yield up
        finally:
            up.end()


@dataclass(frozen=True, slots=True)
class Away:
    """How long after a kill the service itself, and any service, was last not ready, in seconds."""

    own_s: float
    any_s: float


def kill(service: str, seats: Mapping[str, Seat]) -> Away:
    """Kill a service's process; watch all of them until every one has been ready for long enough."""
    os.kill(seats[service].pid, signal.SIGKILL)
    began_s = time.monotonic()
    own_s = any_s = 0.0
    # The dead process's port closes with it; the new one listens on the same.
    while (now_s := time.monotonic() - began_s) < max(WATCHED_S, any_s + CALM_S):
        if not ask_ready(seats[service].port).get("is_ready"):
            own_s = any_s = time.monotonic() - began_s
        elif not all(ask_ready(seat.port).get("is_ready") for seat in seats.values()):
            any_s = time.monotonic() - began_s
        assert now_s < READY_S, f"{service} was killed: not all are ready after {READY_S} s"
        time.sleep(LOOK_S)
    return Away(own_s, any_s)


def kill_each(rounds: int, say: Say) -> dict[str, list[Away]]:
    """Kill every service once a round; return how long it, and the whole, was away."""
    taken: dict[str, list[Away]] = {row.name: [] for row in manifest.SERVICES}
    with running() as up:
        up.wait_for_all(START_S)
        for number in range(rounds):
            if number:
                say(f"waiting {STEADY_S:g} s: a process that dies again sooner is made to wait")
                time.sleep(STEADY_S + 1)
            for service, away in taken.items():
                away.append(kill(service, up.wait_for_all(START_S)))
                say(
                    f"{service}: ready again after {away[-1].own_s:.2f} s, "
                    f"all fourteen after {away[-1].any_s:.2f} s"
                )
    return taken


async def kill_while_trading(say: Say) -> dict[str, float]:
    """Wish at the moment of each kill; return the seconds until the trade is open."""
    async with worlds(1) as (world,):
        made = {}
        for service in world.topology:
            made[service] = round(await world.trade_over_a_kill(service), 2)
            say(f"{service}: a wish made at its death is an open trade after {made[service]} s")
    return made


def measure(say: Say, rounds: int) -> dict[str, Any]:
    """Measure everything; return it for the file."""
    trading = asyncio.run(kill_while_trading(say))
    taken = kill_each(rounds, say)
    own = {name: [away.own_s for away in each] for name, each in taken.items()}
    whole = {name: [away.any_s for away in each] for name, each in taken.items()}
    worst = max(*(s for each in whole.values() for s in each), *trading.values())
    return {
        "command": COMMAND,
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "bound_seconds": WITHIN_S,
        "is_within": worst <= WITHIN_S,
        "worst_seconds": round(worst, 2),
        "ready_again_seconds": _figures(own),
        "all_fourteen_ready_again_seconds": _figures(whole),
        "wish_at_the_kill_to_open_trade_seconds": trading,
    }


def _figures(taken: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    return {
        name: {
            "count": len(seconds),
            "p50": round(median(seconds), 2),
            "max": round(max(seconds), 2),
        }
        for name, seconds in taken.items()
    }
