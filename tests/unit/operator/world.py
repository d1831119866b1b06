"""A small cluster of values: the API server, the books and the kubelet, as plans meet them.

It knows just enough to carry plans out: apply merges maps and, as the API server does, adds defaults
and a generation; the books take documents and switches; pods become ready when told to.
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass, field
from typing import Any

import msgspec

from recio.domain.account_config import Mode, Trading, parse_account, resource_trading
from recio_operator import names
from recio_operator.planning.account import plan_account
from recio_operator.planning.differing import digest
from recio_operator.planning.observed import (
    Books,
    Key,
    KeyState,
    Observed,
    ObservedPool,
    SwitchSource,
)
from recio_operator.planning.plan import FinalizerStep, Plan, PoolPlan
from recio_operator.planning.pool import plan_pool
from recio_operator.planning.templates import hosted_accounts
from recio_operator.release import Release

Object = dict[str, Any]

NOW_US = 1_795_000_000_000_000  # Wednesday 2026-11-18 11:06:40 UTC
SECOND_US = 1_000_000
NAMESPACE = "trading"


def release(**changes: Any) -> Release:
    """Return a release with a plane for every mode."""
    simulator = {
        "restUrl": "http://recio-paper-exchange-simulator:8080",
        "websocketUrl": "ws://recio-paper-exchange-simulator:8080",
        "adminSecret": "recio-exchange-admin",
        "podLabels": {
            "app.kubernetes.io/component": "exchange-simulator",
            "recio.io/environment": "paper",
        },
    }
    series = ["KXBTCD", "KXBTC15M"]
    described = {
        "name": "recio",
        "fullname": "recio",
        "namespace": NAMESPACE,
        "version": "0.1.0",
        "image": {"reference": "ghcr.io/rec-io/recio:0.1.0"},
        "database": {
            "host": "recio-db-pooler",
            "directHost": "recio-db-rw",
            "podLabels": {"cnpg.io/poolerName": "recio-db-pooler"},
            "directPodLabels": {"cnpg.io/cluster": "recio-db", "cnpg.io/podRole": "instance"},
        },
        "redis": {
            "url": "redis://recio-redis:6379/0",
            "passwordSecret": "recio-redis",
            "podLabels": {"app.kubernetes.io/component": "redis"},
        },
        "environments": [
            {
                "name": "paper",
                "mode": "paper",
                "series": series,
                "priceSource": "Recording",
                "marketSecret": "recio-paper-market-key",
                "exchange": simulator,
            },
            {"name": "demo", "mode": "demo", "series": series, "marketSecret": "kalshi-read"},
            {"name": "prod", "mode": "prod", "series": series, "marketSecret": "kalshi-read"},
        ],
        "workloads": {
            "resources": {
                "trade_executor": {
                    "requests": {"cpu": "20m", "memory": "48Mi"},
                    "limits": {"memory": "128Mi"},
                }
            },
            "compact": {
                "requests": {"cpu": "100m", "memory": "112Mi"},
                "limits": {"memory": "256Mi"},
            },
            "pooled": {"requests": {"cpu": "200m", "memory": "192Mi"}, "limits": {"memory": "1Gi"}},
        },
        "network": {
            "clients": [{"app.kubernetes.io/component": "system-monitor"}],
            "metricsNamespaceLabels": {"kubernetes.io/metadata.name": "monitoring"},
        },
    }
    return msgspec.convert(described | changes, Release)


def document(name: str = "alpha", *, mode: str = "paper", **spec: Any) -> Object:
    """Return a TradingAccount as the API server has it, without a status."""
    said: Object = {"mode": mode, **spec}
    if mode != "paper":
        said.setdefault("credentialsSecretRef", {"name": f"{name}-kalshi"})
    if mode == "prod":
        said.setdefault("risk", {"maxDailyLossDollars": 10})
        said.setdefault("arming", name)
    return {
        "apiVersion": "recio.io/v1alpha1",
        "kind": "TradingAccount",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-of-{name}",
            "generation": 1,
            "resourceVersion": "1",
        },
        "spec": said,
    }


def books(**changes: Any) -> Books:
    """Return the books of an account that is flat."""
    values: dict[str, Any] = {"is_flat": True, "live_orders": 0, "open_trades": 0}
    return Books(**(values | {"executor": "pod-1"} | changes))


def good_key(name: str = "alpha", *, number: int = 1) -> Key:
    """Return what is known of a good key."""
    return Key(
        state=KeyState.VALID,
        secret=f"{name}-kalshi",
        digest=f"{number:064x}",
        id_digest=f"{number + 7:064x}",
    )


@dataclass
class World:
    """One account, and everything that its plans are carried out on."""

    document: Object
    release: Release = field(default_factory=release)
    now_us: int = NOW_US
    children: dict[tuple[str, str], Object] = field(default_factory=dict)
    key: Key | None = None
    books: Books | None = None
    books_reason: str = ""
    has_login: bool = False
    pods: dict[str, str] = field(default_factory=dict)
    is_gone: bool = False
    rolled: list[str] = field(default_factory=list)
    """Deployments whose pods were replaced or stopped, since it was last cleared."""

    @property
    def name(self) -> str:
        """The account's name."""
        return str(self.document["metadata"]["name"])

    def observed(self) -> Observed:
        """Return what one look sees."""
        return Observed(
            document=copy.deepcopy(self.document),
            now_us=self.now_us,
            children=copy.deepcopy(self.children),
            key=self.key,
            books=None if self.books_reason else self.books,
            books_reason=self.books_reason,
            has_login=self.has_login,
            pods=dict(self.pods),
        )

    def plan(self) -> Plan:
        """Return what is to be done now."""
        return plan_account(self.observed(), self.release)

    def step(self) -> Plan:
        """Plan once and carry it out."""
        plan = self.plan()
        self.carry_out(plan)
        return plan

    def settle(self, *, most: int = 8, is_running: bool = True) -> Plan:
        """Plan and carry out until there is nothing to do; return the last plan."""
        for _ in range(most):
            plan = self.step()
            if is_running:
                self.run_pods()
            if plan.is_nothing:
                return plan
        changed = [(one["kind"], one["metadata"]["name"]) for one in plan.apply]
        raise AssertionError(f"still something to do: {plan.status} {changed} {plan}")

    def carry_out(self, plan: Plan) -> None:
        """Do what a plan says, in its order."""
        if plan.finalizer is FinalizerStep.ADD:
            self.document["metadata"].setdefault("finalizers", []).append(names.FINALIZER)
        self.has_login = self.has_login or plan.needs_login
        if plan.needs_key:
            self.key = good_key(self.name)
        self._write_books(plan)
        bring(self.children, plan, self.rolled)
        if plan.status is not None:
            self.document["status"] = copy.deepcopy(plan.status)
        if plan.finalizer is FinalizerStep.REMOVE:
            self.document["metadata"]["finalizers"].remove(names.FINALIZER)
            self.is_gone = True

    def _write_books(self, plan: Plan) -> None:
        if plan.document is not None:
            config = parse_account(plan.document)
            held = self.books or books()
            self.books = dataclasses.replace(held, applied_spec=plan.document["spec"])
            self._set_switch(resource_trading(config))
        if plan.switch is not None:
            self._set_switch(plan.switch.state)

    def _set_switch(self, state: Trading) -> None:
        assert self.books is not None
        others = tuple(row for row in self.books.switches if row.source != "resource")
        held = [row for row in self.books.switches if row.source == "resource"]
        if held and held[0].state is state:
            return
        row = SwitchSource(source="resource", state=state, reason="said", since_us=self.now_us)
        self.books = dataclasses.replace(self.books, switches=(*others, row))

    def run_pods(self) -> None:
        """Let the kubelet do its work: every pod that should be is there and ready."""
        run_pods(self.children, self.pods)

    def change(self, **spec: Any) -> None:
        """Change fields of the spec, as a person does."""
        self.document["spec"] |= spec
        self.document["metadata"]["generation"] += 1

    def annotate(self, **annotations: str) -> None:
        """Set annotations ``recio.io/<name>``."""
        held = self.document["metadata"].setdefault("annotations", {})
        held |= {f"recio.io/{name.replace('_', '-')}": text for name, text in annotations.items()}

    def delete(self) -> None:
        """Delete the resource, as a person does."""
        self.document["metadata"]["deletionTimestamp"] = "2026-11-18T11:06:40Z"

    def condition(self, kind: str) -> Object:
        """Return a condition of the live status."""
        found = [one for one in self.document["status"]["conditions"] if one["type"] == kind]
        return dict(found[0])

    def reason(self, kind: str) -> tuple[str, str]:
        """Return the status and the reason of a condition."""
        found = self.condition(kind)
        return found["status"], found["reason"]

    def deployments(self) -> dict[str, Object]:
        """Return the live Deployments by name."""
        return {name: live for (kind, name), live in self.children.items() if kind == "Deployment"}


def bring(
    children: dict[tuple[str, str], Object], plan: Plan | PoolPlan, rolled: list[str]
) -> None:
    """Apply and delete the children of a plan; note whose pods that replaces or stops."""
    for wanted in plan.apply:
        key = (wanted["kind"], wanted["metadata"]["name"])
        before = children.get(key)
        children[key] = applied(before, wanted)
        if wanted["kind"] == "Deployment" and before is not None and _runs(before):
            same = before["spec"]["template"] == children[key]["spec"]["template"]
            if not (same and _runs(children[key])):
                rolled.append(key[1])
    for key in plan.delete:
        if key[0] == "Deployment" and _runs(children[key]):
            rolled.append(key[1])
        children.pop(key, None)


def _runs(deployment: Object) -> bool:
    return bool(deployment["spec"]["replicas"])


def applied(before: Object | None, wanted: Object) -> Object:
    """Return an object after a server-side apply by its only writer: ours replaces ours."""
    made = copy.deepcopy(wanted)
    made["metadata"].setdefault("uid", f"uid-{wanted['kind']}-{wanted['metadata']['name']}")
    made["metadata"]["creationTimestamp"] = "2026-11-18T11:06:40Z"
    if made["kind"] != "Deployment":
        return made
    template = made["spec"]["template"]
    template["metadata"].setdefault("creationTimestamp", None)
    template["spec"].setdefault("restartPolicy", "Always")
    template["spec"].setdefault("dnsPolicy", "ClusterFirst")
    for container in template["spec"]["containers"]:
        container.setdefault("terminationMessagePath", "/dev/termination-log")
    made["spec"].setdefault("progressDeadlineSeconds", 600)
    generation = 0 if before is None else before["metadata"]["generation"]
    is_other = before is None or digest(before["spec"]) != digest(made["spec"])
    made["metadata"]["generation"] = generation + is_other
    if before is not None and "status" in before:
        made["status"] = before["status"]
    return made


def run_pods(children: dict[tuple[str, str], Object], pods: dict[str, str]) -> None:
    """Make every Deployment as ready as it should be."""
    pods.clear()
    for (kind, _), live in children.items():
        if kind != "Deployment":
            continue
        replicas = live["spec"]["replicas"]
        live["status"] = {
            "observedGeneration": live["metadata"]["generation"],
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": replicas,
        }
        if replicas:
            pods[live["metadata"]["labels"]["app.kubernetes.io/component"]] = ""


def running(name: str = "alpha", *, mode: str = "paper", **spec: Any) -> World:
    """Return an account that is settled: everything of it is there and ready."""
    world = World(document(name, mode=mode, **spec), key=good_key(name))
    world.settle()
    world.rolled.clear()
    return world


@dataclass
class Desk:
    """Several accounts that share a pool."""

    worlds: list[World]
    release: Release = field(default_factory=release)
    children: dict[tuple[str, str], Object] = field(default_factory=dict)
    rolled: list[str] = field(default_factory=list)
    environment: str = "paper"
    now_us: int = NOW_US

    @property
    def pool_name(self) -> str:
        """What the pool is called."""
        return names.pool(self.environment, self.worlds[0].document["spec"]["mode"])

    @property
    def pool(self) -> Object | None:
        """The live Deployment of the pool."""
        return self.children.get(("Deployment", self.pool_name))

    def plan(self) -> PoolPlan:
        """Return what is to be done for the pool now."""
        hosted = hosted_accounts(self.pool)
        members = tuple(
            self._observed(one)
            for one in self.worlds
            if not one.is_gone
            and (one.document["spec"].get("topology") == "Pooled" or one.name in hosted)
        )
        mode = Mode(self.worlds[0].document["spec"]["mode"])
        seen = ObservedPool(
            environment=self.environment,
            mode=mode,
            now_us=self.now_us,
            members=members,
            children=copy.deepcopy(self.children),
        )
        return plan_pool(seen, self.release)

    def _observed(self, world: World) -> Observed:
        seen = world.observed()
        live = self.pool
        if live is None:
            return seen
        children = seen.children | {("Deployment", self.pool_name): copy.deepcopy(live)}
        pods = {"pool": ""} if (live.get("status") or {}).get("readyReplicas") else {}
        return dataclasses.replace(seen, children=children, pods=seen.pods | pods)

    def step(self, *, is_running: bool = True) -> bool:
        """Look at every account and at the pool once; return whether anything was done."""
        is_done = False
        for world in self.worlds:
            if world.is_gone:
                continue
            plan = plan_account(self._observed(world), world.release)
            world.carry_out(plan)
            world.run_pods()
            is_done |= not plan.is_nothing
        plan = self.plan()
        bring(self.children, plan, self.rolled)
        if is_running:
            run_pods(self.children, {})
        return is_done or bool(plan.apply or plan.delete)

    def settle(self, *, most: int = 12) -> None:
        """Go on until there is nothing to do."""
        for _ in range(most):
            if not self.step():
                return
        raise AssertionError("still something to do")
