"""A release for tests: real API server, real PostgreSQL, real exchange simulator, no node.

The operator runs in the test's own event loop, or several of them. What the kubelet and the deployment
controller would do (pods become ready) is played by ``become_ready``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
from tests.apiserver.server import Objects

from recio.domain.account_config import Mode, PaperSource
from recio.exchange_simulator.app import listening
from recio.exchange_simulator.core.state import Config
from recio.exchange_simulator.simulator import Simulator
from recio.exchange_simulator.world import MinutesSource, attach
from recio.runtime.clock import WallClock
from recio.runtime.ids import SystemIds
from recio.runtime.local.keys import key_pair
from recio_operator import kube as api
from recio_operator.process import OperatorProcess
from recio_operator.release import Database, Environment, Image, Redis, Release
from recio_operator.release import Exchange as ReleaseExchange
from recio_operator.settings import OperatorSettings

Object = dict[str, Any]

PATIENCE_S: Final = 60.0
TOKEN: Final = "the-admin-token"
ADMIN_SECRET: Final = "recio-exchange-admin"


async def until(condition: Callable[[], Any], *, what: str, seconds: float = PATIENCE_S) -> Any:
    """Poll until something is so; give what it gave."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        found = condition()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert loop.time() < end, f"{what}: not so after {seconds} s"
        await asyncio.sleep(0.05)


def paper(name: str, **spec: Any) -> Object:
    """Return a paper account's document."""
    return {
        "apiVersion": "recio.io/v1alpha1",
        "kind": "TradingAccount",
        "metadata": {"name": name},
        "spec": {"mode": "paper", "topology": "Compact", **spec},
    }


def demo(name: str, secret: str, **spec: Any) -> Object:
    """Return a demo account's document."""
    return paper(name, **spec) | {
        "spec": {
            "mode": "demo",
            "topology": "Compact",
            "credentialsSecretRef": {"name": secret},
            **spec,
        }
    }


def secret_of(name: str, **values: str) -> Object:
    """Return a Secret as a person makes it."""
    head = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
    return {**head, "stringData": {key.replace("_", "-"): text for key, text in values.items()}}


def new_pem() -> str:
    """Return a new private key."""
    return key_pair(None)[0].decode()


def release_of(namespace: str, database_url: str, exchange_port: int) -> Release:
    """Return a release with a paper and a demo environment."""
    told = psycopg.conninfo.conninfo_to_dict(database_url)
    host = str(told.get("host", ""))
    database = Database(
        host=host,
        direct_host=host,
        name=str(told["dbname"]),
        port=int(told.get("port", 5432)),
        direct_port=int(told.get("port", 5432)),
        ssl_mode="disable",
        cidrs=("10.1.2.3/32",),
    )
    return Release(
        name="recio",
        fullname="recio",
        namespace=namespace,
        version="1.2.3",
        image=Image(reference="recio:test"),
        database=database,
        redis=Redis(url="redis://redis:6379/0", cidrs=("10.1.2.4/32",)),
        environments=(
            Environment(
                name="paper",
                mode=Mode.PAPER,
                series=("KXBTCD",),
                price_source=PaperSource.RECORDING,
                market_secret="recio-paper-market",
                exchange=ReleaseExchange(
                    rest_url=f"http://127.0.0.1:{exchange_port}/trade-api/v2",
                    websocket_url=f"ws://127.0.0.1:{exchange_port}/trade-api/ws/v2",
                    admin_secret=ADMIN_SECRET,
                    pod_labels={"app": "exchange"},
                ),
            ),
            Environment(
                name="demo", mode=Mode.DEMO, series=("KXBTCD",), market_secret="recio-demo-market"
            ),
        ),
    )


def new_exchange() -> Simulator:
    """Return an exchange simulator that knows nobody; its market stands still."""
    return Simulator(
        config=Config(),
        clock=WallClock(),
        fresh=SystemIds().fresh,
        database=None,
        attach=lambda on: attach(on, MinutesSource(), is_fine=False),
        log=logging.getLogger("test.exchange"),
        admin_token=lambda: TOKEN,
    )


@dataclass
class Exchange:
    """A simulator behind a port; ``start_again`` forgets everything, as with an empty database."""

    simulator: Simulator
    port: int = 0
    stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def start(self, port: int = 0) -> None:
        """Serve."""
        await self.simulator.recover()
        self.port = await self.stack.enter_async_context(listening(self.simulator.asgi, port))

    async def stop(self) -> None:
        """Go away."""
        await self.stack.aclose()

    async def start_again(self) -> None:
        """Come back on the same port, knowing nobody."""
        self.simulator = new_exchange()
        await self.start(self.port)

    async def accounts(self) -> list[str]:
        """Return whom it knows."""
        return sorted(self.simulator.exchange.state.accounts)


@dataclass
class World:
    """Everything around operators."""

    objects: Objects
    release: Release
    exchange: Exchange
    kubeconfig: Path
    owner_url: str
    operators: list[tuple[OperatorProcess, asyncio.Event, asyncio.Task[None]]] = field(
        default_factory=list
    )

    async def start_operator(
        self, *, kubeconfig: Path | None = None, **told: Any
    ) -> OperatorProcess:
        """Start an operator and wait until it has listed everything."""
        ready, stop = asyncio.Event(), asyncio.Event()
        settings = OperatorSettings(
            http_host="127.0.0.1", http_port=0, books_seconds=1, database_password_file="", **told
        )
        kube = await api.connect(
            self.release.namespace, kubeconfig=str(kubeconfig or self.kubeconfig)
        )
        operator = OperatorProcess(settings, self.release, kube)
        task = asyncio.create_task(operator.run(stop, on_ready=lambda _port: ready.set()))
        self.operators.append((operator, stop, task))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({waiting, task}, timeout=PATIENCE_S, return_when="FIRST_COMPLETED")
        waiting.cancel()
        if task.done():
            task.result()
        assert ready.is_set(), f"an operator has not listed everything within {PATIENCE_S:.0f} s"
        return operator

    async def stop_operators(self) -> None:
        """Stop all operators as SIGTERM does."""
        operators, self.operators = self.operators, []
        for _, stop, _ in operators:
            stop.set()
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*(task for _, _, task in operators))

    def get(self, kind: str, name: str) -> Object | None:
        """Return an object or None."""
        answer = self.objects.server.request("GET", self.path(kind, name))
        return answer.body if answer.is_ok else None

    def delete(self, kind: str, name: str) -> None:
        """Delete an object if it is there."""
        self.objects.server.request("DELETE", self.path(kind, name))

    def list(self, kind: str) -> list[Object]:
        """Return all objects of a kind."""
        items: list[Object] = self.objects.server.request("GET", self.path(kind)).expect()["items"]
        return items

    def path(self, kind: str, name: str = "") -> str:
        """Return where objects of a kind are served."""
        return api.KINDS[kind].path(self.objects.namespace, name)

    def patch(self, account: str, **spec: Any) -> None:
        """Change fields of an account's spec, as kubectl patch does."""
        self.objects.merge("TradingAccount", account, {"spec": spec}).expect()

    def condition(self, account: str, kind: str) -> Object:
        """Return a condition of an account, empty if there is none."""
        found = self.get("TradingAccount", account) or {}
        conditions = found.get("status", {}).get("conditions", [])
        return next((one for one in conditions if one["type"] == kind), {})

    async def says(
        self, account: str, kind: str, status: str, *, reason: str = "", seconds: float = PATIENCE_S
    ) -> Object:
        """Wait until a condition has a status (and a reason)."""
        last: Object = {}

        def is_so() -> bool:
            nonlocal last
            last = self.condition(account, kind)
            return last.get("status") == status and reason in {"", last.get("reason")}

        try:
            await until(is_so, what=f"{account}: {kind}={status} {reason}", seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; it says {last}") from error
        return last

    async def exists(self, kind: str, name: str) -> Object:
        """Wait until an object is there."""
        found: Object = await until(lambda: self.get(kind, name), what=f"{kind} {name}")
        return found

    async def is_gone(self, kind: str, name: str) -> None:
        """Wait until an object is gone."""
        await until(lambda: self.get(kind, name) is None, what=f"{kind} {name} gone")

    async def become_ready(self, deployment: str) -> None:
        """Play the deployment controller and the kubelet: the pods run and are ready."""
        found = await self.exists("Deployment", deployment)
        replicas = found["spec"]["replicas"]
        numbers = dict.fromkeys(
            ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas"), replicas
        )
        status = {**numbers, "observedGeneration": found["metadata"]["generation"]}
        self.objects.merge("Deployment", deployment, {"status": status}, part="status").expect()
        if replicas:
            self._ready_pod(found)

    def _ready_pod(self, deployment: Object) -> None:
        template = deployment["spec"]["template"]
        name = f"{deployment['metadata']['name']}-0"
        self.delete("Pod", name)
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": template["metadata"]["labels"]},
            "spec": {"containers": [{"name": "one", "image": "one"}]},
        }
        self.objects.create(pod).expect()
        ready = {"type": "Ready", "status": "True"}
        status = {"status": {"phase": "Running", "conditions": [ready]}}
        self.objects.merge("Pod", name, status, part="status").expect()

    def ask(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Ask the database as its owner."""
        with psycopg.connect(self.owner_url, autocommit=True) as connection:
            cursor = connection.execute(sql, params)
            return cursor.fetchall() if cursor.description else []

    def hold_position(self, account: str, qty_e2: int) -> None:
        """Let the account hold a position, as its services would book it."""
        self.ask(
            "INSERT INTO trading.positions VALUES (%s, 'KXBTCD-1', 'KXBTCD', %s, 0, 0, 0, now()) "
            "ON CONFLICT (account, market_ticker) DO UPDATE SET qty_e2 = excluded.qty_e2",
            account,
            qty_e2,
        )

    def admin(self, sql: str) -> None:
        """Tell the server something from another database than ours."""
        url = psycopg.conninfo.make_conninfo(self.owner_url, dbname="postgres")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql)

    def versions(self) -> dict[tuple[str, str], str]:
        """Return the version of every object of the namespace that the operator may write."""
        return {
            (kind, one["metadata"]["name"]): one["metadata"]["resourceVersion"]
            for kind in api.KINDS
            for one in self.list(kind)
        }

    async def settled(self, *operators: OperatorProcess) -> None:
        """Wait until operators have had nothing to do for a while."""
        quiet = 0
        async with asyncio.timeout(PATIENCE_S):
            while quiet < 20:
                quiet = quiet + 1 if all(one.queue.is_idle for one in operators) else 0
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def world(objects: Objects, kubeconfig: Path, database_url: str) -> AsyncIterator[World]:
    """A release without an operator."""
    exchange = Exchange(new_exchange())
    await exchange.start()
    made = World(
        objects,
        release_of(objects.namespace, database_url, exchange.port),
        exchange,
        kubeconfig,
        database_url,
    )
    try:
        objects.create(secret_of(ADMIN_SECRET, token=TOKEN)).expect()
        yield made
    finally:
        await made.stop_operators()
        await exchange.stop()
