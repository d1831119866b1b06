"""How much memory all services take: proportional set size, without PostgreSQL and Redis.

    python -m benchmarks memory

Four runs of ``recio up`` a minute each, on the default world: one account with a process for each
service (the sum counts the parent and the exchange simulator), one Compact account, and both
Compact and Pooled with five accounts, from which the cost of each further account follows. Then the
same services as pods have them: a process each that ``recio run`` starts from nothing, and one for
all services of the account.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.machine import heading, pss_mb
from recio.apps.main_app.users import ensure_admin
from recio.domain.account_config import Topology
from recio.manifest import SERVICES, Scope
from recio.runtime.local.children import Children
from recio.runtime.local.environment import LocalEnvironment
from recio.runtime.local.options import UpOptions
from recio.runtime.local.plan import PlannedProcess
from recio.runtime.local.runner import Runner
from recio.runtime.local.state import StateDirectory

ACCOUNT = Path(__file__).parent.parent / "k8s" / "examples" / "paper-account.yaml"
FIRST_PORT = 4900
MORE = 4


@dataclass(kw_only=True)
class MemoryRunner(Runner):
    """``recio up`` that counts after a while; with ``is_apart`` also processes of their own."""

    settle_s: float
    is_apart: bool = False
    environment: LocalEnvironment | None = None
    sizes: dict[str, float] = field(default_factory=dict)
    apart: dict[str, float] = field(default_factory=dict)

    def _existing(self, planned: Sequence[PlannedProcess]) -> list[PlannedProcess]:
        return [
            PlannedProcess(one.name, one.placements, FIRST_PORT + place)
            for place, one in enumerate(planned)
        ]

    def _start(
        self,
        planned: Sequence[PlannedProcess],
        environment: LocalEnvironment,
        children: Children,
        state: StateDirectory,
    ) -> None:
        self.environment = environment
        Runner._start(self, planned, environment, children, state)

    def _watch(self, children: Children, heart: Any) -> NoReturn:  # noqa: ANN401
        end_s = time.monotonic() + self.settle_s
        while time.monotonic() < end_s:
            children.watch(0.2)
            heart.beat(self.say)
        self.sizes = {child.name: pss_mb(child.pid) for child in children}
        self.sizes["recio up itself"] = pss_mb("self")
        if self.is_apart and self.environment is not None:
            exchange = next(child for child in children if child.name == "exchange_simulator")
            children.stop([child.name for child in children if child is not exchange])
            self.apart = measure_apart(self.environment, self.settle_s)
        raise KeyboardInterrupt


def measure_apart(environment: LocalEnvironment, settle_s: float) -> dict[str, float]:
    """Start every service as a pod does, each from nothing; then those of the account together."""
    account = environment.accounts[0].name
    rows = [row for row in SERVICES if row.scope is not Scope.PAPER]
    own = tuple(row.name for row in rows if row.scope is Scope.ACCOUNT)
    alone = run_all(environment, account, [(row.name,) for row in rows], settle_s)
    together = run_all(environment, account, [own], settle_s)
    return {**alone, **together}


def run_all(
    environment: LocalEnvironment, account: str, groups: Sequence[tuple[str, ...]], settle_s: float
) -> dict[str, float]:
    """Run ``recio run`` for each group of services; return what each took."""
    running = {}
    for place, group in enumerate(groups):
        variables = {
            "RECIO_ENVIRONMENT": "paper",
            "RECIO_MODE": "paper",
            "RECIO_DATABASE_URL": environment.database_url,
            "RECIO_REDIS_URL": environment.redis_url,
            "RECIO_CREDENTIALS_DIR": str(environment.credentials),
            "RECIO_ACCOUNT": account,
            "RECIO_SERIES": ",".join(environment.series()),
            "RECIO_EXCHANGE_REST_URL": environment.exchange_url,
            "RECIO_EXCHANGE_WEBSOCKET_URL": environment.exchange_url.replace("http", "ws", 1),
            "RECIO_PRICE_SOURCE": "recording",
            "RECIO_HTTP_PORT": str(FIRST_PORT + 40 + place),
            "RECIO_SYSTEM_MONITOR_PROBE_URLS": f"exchange_simulator={environment.exchange_url}",
        }
        running[" ".join(group)] = subprocess.Popen(
            [str(Path(sys.executable).parent / "recio"), "run", *group],
            env=variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        time.sleep(settle_s)
        dead = [name for name, process in running.items() if process.poll() is not None]
        if dead:
            print(f"did not run, so is not counted: {', '.join(dead)}")
        return {name: pss_mb(one.pid) for name, one in running.items() if one.poll() is None}
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()


def up(
    topology: Topology, accounts: int, settle_s: float, *, is_apart: bool = False
) -> MemoryRunner:
    """Run the system once and return what was counted."""
    with tempfile.TemporaryDirectory(prefix="recio-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        options = UpOptions(
            state=Path(directory) / "state",
            account_file=ACCOUNT,
            accounts=accounts,
            topology=topology,
            port=FIRST_PORT,
        )
        runner = MemoryRunner(
            options=options,
            ensure_admin=ensure_admin,
            say=lambda line: print(f"  {line}", file=sys.stderr),
            settle_s=settle_s,
            is_apart=is_apart,
        )
        runner.run()
    return runner


def show(title: str, sizes: dict[str, float]) -> float:
    """Print a run and return its sum."""
    total = sum(sizes.values())
    print(f"{title}: {total:.0f} MB in {len(sizes)} processes")
    print("   " + ", ".join(f"{name} {size:.0f}" for name, size in sizes.items()))
    return total


def main() -> None:
    """Run everything and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=45)
    parser.add_argument("--only-first", action="store_true", help="one account, PerService")
    options = parser.parse_args()
    print(heading("uvloop", "psycopg", "cryptography"))
    first = up(Topology.PER_SERVICE, 1, options.seconds, is_apart=not options.only_first)
    show("local runner, one account", first.sizes)
    if options.only_first:
        return
    own = {name: size for name, size in first.apart.items() if " " in name}
    apart = {name: size for name, size in first.apart.items() if " " not in name}
    show("processes of their own, as pods have them", apart)
    shared = {n: s for n, s in apart.items() if not any(n in names.split() for names in own)}
    show("the same with one process for the account (Compact)", {**shared, **own})
    for topology in (Topology.COMPACT, Topology.POOLED):
        one = up(topology, 1, options.seconds)
        more = up(topology, 1 + MORE, options.seconds)
        total = show(f"{topology} with {1 + MORE} accounts", more.sizes)
        before = show(f"{topology} with one account", one.sizes)
        print(f"each further account: {(total - before) / MORE:.1f} MB")
    print(f"after: {heading()}")
    print(json.dumps({"first": first.sizes}))


if __name__ == "__main__":
    main()
