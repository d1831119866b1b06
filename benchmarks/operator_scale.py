"""How the operator carries many accounts: time until all are reconciled, memory, idle cost.

    python -m benchmarks operator_scale [--accounts 200] [--idle 60]

A real kube-apiserver with etcd, a real PostgreSQL, the real exchange simulator, and the operator as a
process of its own. There is no node: Deployments are made and stay without pods, which is what the
operator has to do with them. Accounts are Compact paper accounts, all created at once; an account is
reconciled when its Deployment is there and its status says so.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from tests.apiserver.operator_world import ADMIN_SECRET, TOKEN, Exchange, new_exchange, paper
from tests.apiserver.operator_world import release_of as release_with
from tests.apiserver.server import Server
from tests.e2e.cluster.control_plane import ControlPlane

from benchmarks.machine import cpu_s, heading
from recio.adapters.postgres.migrate import migrate
from recio.runtime.local.embedded import EmbeddedPostgres
from recio_operator import kube as api
from recio_operator.kube import Kube
from recio_operator.schema.definitions import definitions

NAMESPACE = "trading"
START_S = 8
PATIENCE_S = 900
CREATED_TOGETHER = 20
SETTLE_S = 15
POLL_S = 2


@dataclass
class Ground:
    """What the operator stands on."""

    kube: Kube
    settings: dict[str, str]


@contextlib.contextmanager
def servers(directory: Path) -> Iterator[tuple[ControlPlane, str]]:
    """Start the API server and the database."""
    database = EmbeddedPostgres(directory / "pg", settings=("max_connections=200",))
    with ControlPlane() as plane:
        database.start()
        try:
            with psycopg.connect(database.url(), autocommit=True) as connection:
                connection.execute("CREATE DATABASE recio")
            migrate(database.url("recio"))
            server = Server(plane.kubeconfig)
            for definition in definitions().values():
                server.define(definition)
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
            server.request("POST", "/api/v1/namespaces", body).expect()
            server.close()
            yield plane, database.url("recio")
        finally:
            database.stop(is_immediate=True)


@contextlib.asynccontextmanager
async def ground(directory: Path, plane: ControlPlane, url: str) -> AsyncIterator[Ground]:
    """Start the exchange, write the release's description."""
    exchange = Exchange(new_exchange())
    await exchange.start()
    release = directory / "release.json"
    release.write_bytes(msgspec.json.encode(release_with(NAMESPACE, url, exchange.port)))
    kube = await api.connect(NAMESPACE, kubeconfig=str(plane.kubeconfig))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": ADMIN_SECRET}}
    await kube.create({**secret, "stringData": {"token": TOKEN}})
    try:
        yield Ground(
            kube,
            {
                "RECIO_OPERATOR_RELEASE_FILE": str(release),
                "RECIO_OPERATOR_KUBECONFIG": str(plane.kubeconfig),
                "RECIO_OPERATOR_HTTP_HOST": "127.0.0.1",
                "RECIO_OPERATOR_HTTP_PORT": "0",
                "RECIO_OPERATOR_LOG_LEVEL": "WARNING",
            },
        )
    finally:
        await kube.close()
        await exchange.stop()


def resident_mb(pid: int) -> float:
    """Return a process's resident memory."""
    text = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in text.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


async def create(kube: Kube, number: int) -> None:
    """Create all accounts at once, as many requests together as one client would send."""
    gate = asyncio.Semaphore(CREATED_TOGETHER)

    async def one(name: str) -> None:
        async with gate:
            await kube.create(paper(name))

    await asyncio.gather(*(one(f"a{place}") for place in range(number)))


async def reconciled(kube: Kube) -> int:
    """Return how many accounts are reconciled."""
    deployments = {one["metadata"]["name"] for one in await kube.list(api.DEPLOYMENTS)}
    return sum(
        f"ta-{one['metadata']['name']}-compact" in deployments and says_so(one)
        for one in await kube.list(api.ACCOUNTS)
    )


def says_so(account: dict[str, Any]) -> bool:
    """Whether an account's status says that all of its document counts."""
    conditions = account.get("status", {}).get("conditions", [])
    return any(one["type"] == "Reconciled" and one["status"] == "True" for one in conditions)


async def versions(kube: Kube) -> dict[tuple[str, str], str]:
    """Return the version of every object that the operator may write."""
    return {
        (kind.kind, one["metadata"]["name"]): one["metadata"]["resourceVersion"]
        for kind in api.KINDS.values()
        for one in await kube.list(kind)
    }


async def measure(
    stage: Ground, process: subprocess.Popen[bytes], told: argparse.Namespace
) -> None:
    """Create the accounts, wait, look at the idle operator, and print."""
    await asyncio.sleep(START_S)
    empty_mb = resident_mb(process.pid)
    started_s = time.monotonic()
    await create(stage.kube, told.accounts)
    created_s = time.monotonic() - started_s
    await all_reconciled(stage.kube, told.accounts)
    took_s = time.monotonic() - started_s
    used_s, busy_mb = cpu_s(process.pid), resident_mb(process.pid)
    await asyncio.sleep(SETTLE_S)
    share, written = await idle(stage.kube, process.pid, told.idle)
    mb = max(busy_mb, resident_mb(process.pid))
    table = (
        ("created by the API server", f"{created_s:.1f} s", ""),
        ("until all were reconciled", f"{took_s:.1f} s", "60 s"),
        ("operator's processor time until then", f"{used_s:.1f} s", ""),
        ("operator's memory: no account", f"{empty_mb:.0f} MB", ""),
        (f"operator's memory: {told.accounts} accounts", f"{mb:.0f} MB", "150 MB"),
        ("idle: processor", f"{share:.2f} % of a core", "2 %"),
        (f"idle: objects written in {told.idle} s", f"{written}", "0"),
    )
    print(f"{'':<40}{'measured':>18}  {'at most (200 accounts)'}")
    for what, value, goal in table:
        print(f"{what:<40}{value:>18}  {goal}")


async def all_reconciled(kube: Kube, number: int) -> None:
    """Wait until all accounts are reconciled, showing how many are."""
    end_s, done = time.monotonic() + PATIENCE_S, 0
    while done < number:
        if time.monotonic() > end_s:
            sys.exit(f"only {done} of {number} accounts were reconciled in {PATIENCE_S} s")
        await asyncio.sleep(POLL_S)
        done = await reconciled(kube)
        print(f"\r{done} of {number} reconciled", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


async def idle(kube: Kube, pid: int, seconds: int) -> tuple[float, int]:
    """Watch the idle operator; return its share of a core in percent, and how much was written."""
    before = await versions(kube)
    print(f"idling for {seconds} s", file=sys.stderr, flush=True)
    before_s = cpu_s(pid)
    await asyncio.sleep(seconds)
    share = 100 * (cpu_s(pid) - before_s) / seconds
    after = await versions(kube)
    return share, sum(before.get(ref) != version for ref, version in after.items())


def start(variables: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start the operator as its container does."""
    words = [sys.executable, "-m", "recio_operator.cli", "run"]
    return subprocess.Popen(words, env=variables)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the operator as the kubelet does, and tell how long it took."""
    begun_s = time.monotonic()
    process.send_signal(signal.SIGTERM)
    status = process.wait(30)
    print(
        f"{'stopped at SIGTERM, exit status':<40}{status:>18}  in {time.monotonic() - begun_s:.1f} s"
    )


async def run(directory: Path, plane: ControlPlane, url: str, told: argparse.Namespace) -> None:
    """Measure on this ground."""
    async with ground(directory, plane, url) as stage:
        process = start(stage.settings)
        try:
            await measure(stage, process, told)
        finally:
            stop(process)


def main() -> None:
    """Read the words, start the servers, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--idle", type=int, default=60, help="seconds to watch it idle")
    told = parser.parse_args()
    print(heading("kopf", "kubernetes", "aiohttp", "uvloop"))
    print(f"{told.accounts} Compact paper accounts created at once")
    with tempfile.TemporaryDirectory(prefix="recio-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        with servers(directory) as (plane, url):
            asyncio.run(run(directory, plane, url, told))


if __name__ == "__main__":
    main()
