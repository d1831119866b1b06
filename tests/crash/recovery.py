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
from collections.abc import Callable, Iterator
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
LOOK_S = 0.02
ROUNDS = 2
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
        """Press Ctrl-C."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        self._process.wait(60)


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


def kill(service: str, seat: Seat) -> float:
    """Kill a service's process; return the seconds until it is ready again."""
    os.kill(seat.pid, signal.SIGKILL)
    began_s = time.monotonic()
    deadline = began_s + READY_S
    # The dead process's port closes with it; the new one listens on the same.
    while not ask_ready(seat.port).get("is_ready"):
        assert time.monotonic() < deadline, f"{service} is not ready after {READY_S} s"
        time.sleep(LOOK_S)
    return time.monotonic() - began_s


def kill_each(rounds: int, say: Say) -> dict[str, list[float]]:
    """Kill every service once a round; return the seconds it was away."""
    taken: dict[str, list[float]] = {row.name: [] for row in manifest.SERVICES}
    with running() as up:
        up.wait_for_all(START_S)
        for number in range(rounds):
            if number:
                say(f"waiting {STEADY_S:g} s: a process that dies again sooner is made to wait")
                time.sleep(STEADY_S + 1)
            for service, seconds in taken.items():
                seconds.append(kill(service, up.wait_for_all(START_S)[service]))
                say(f"{service}: ready again after {seconds[-1]:.2f} s")
    return taken


async def kill_while_trading(say: Say) -> dict[str, float]:
    """Wish at the moment of each kill; return the seconds until the trade is open."""
    async with worlds(1) as (world,):
        made = {}
        for service in world.topology:
            made[service] = round(await world.trade_over_a_kill(service), 2)
            say(f"{service}: a wish made at its death is an open trade after {made[service]} s")
    return made


def measure(say: Say, rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure everything; return it for the file."""
    trading = asyncio.run(kill_while_trading(say))
    taken = kill_each(rounds, say)
    worst = max(*(s for each in taken.values() for s in each), *trading.values())
    return {
        "command": COMMAND,
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "bound_seconds": WITHIN_S,
        "is_within": worst <= WITHIN_S,
        "worst_seconds": round(worst, 2),
        "ready_again_seconds": {
            name: {"count": len(s), "p50": round(median(s), 2), "max": round(max(s), 2)}
            for name, s in taken.items()
        },
        "wish_at_the_kill_to_open_trade_seconds": trading,
    }
