"""The installed release as a whole: what the tests share and what each of them needs of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from tests.e2e.kubernetes import page
from tests.e2e.kubernetes.database import Books
from tests.e2e.kubernetes.explain import explain, is_ready
from tests.e2e.kubernetes.figures import Figures
from tests.e2e.kubernetes.helm import Release
from tests.e2e.kubernetes.kubectl import Kubectl, Object
from tests.e2e.kubernetes.page import Page
from tests.e2e.kubernetes.trader import Trader
from tests.e2e.kubernetes.waiting import Stopwatch, wait_for

from recio import manifest
from recio.manifest import Scope

PLATFORM_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class System:
    """A release that runs, its database, and what was measured of it."""

    kubectl: Kubectl
    release: Release
    books: Books
    figures: Figures

    def trader(self, name: str) -> Trader:
        """Return the account of a name, applied or not."""
        return Trader(self.kubectl, self.books, name)

    @contextlib.contextmanager
    def page(self) -> Iterator[Page]:
        """Open the page, logged in, as soon as it lets one in."""
        with contextlib.ExitStack() as stack:
            opening = page.opened(self.kubectl, self.release.fullname)
            yield stack.enter_context(opening)

    def explain(self) -> str:
        """Tell everything that one would look at."""
        return explain(self.kubectl)

    def pods_of(self, component: str) -> list[Object]:
        """Return the pods of one of the release's own components."""
        chosen = f"app.kubernetes.io/instance={self.release.name}"
        named = component.replace("_", "-")
        return self.kubectl.list("pods", f"{chosen},app.kubernetes.io/component={named}")

    def market_pods(self) -> list[Object]:
        """Return the pods of the market plane: one with topology Compact, three without."""
        services = [row.name for row in manifest.SERVICES if row.scope is Scope.ENVIRONMENT]
        return [pod for part in ("plane", *services) for pod in self.pods_of(part)]

    def shared_pods(self) -> list[Object]:
        """Return the pods of the shared services, the page among them."""
        services = [row.name for row in manifest.SERVICES if row.scope is Scope.SHARED]
        return [pod for part in ("shared", *services) for pod in self.pods_of(part)]

    def unready(self) -> list[str]:
        """Return the release's workloads that are not complete, its database included."""
        wrong = []
        for one in self.kubectl.list("deployments"):
            wanted, status = one["spec"].get("replicas", 1), one.get("status", {})
            is_seen = status.get("observedGeneration") == one["metadata"]["generation"]
            if not is_seen or status.get("availableReplicas", 0) < wanted:
                wrong.append(f"deployment {one['metadata']['name']}")
        return wrong + [
            f"database {cluster['metadata']['name']}"
            for cluster in self.kubectl.list("clusters.postgresql.cnpg.io")
            if cluster.get("status", {}).get("readyInstances") != cluster["spec"]["instances"]
        ]

    def until_all_ready(self, seconds: float = PLATFORM_SECONDS) -> None:
        """Wait until every workload of the namespace is complete."""

        def is_complete() -> bool:
            wrong = self.unready()
            return not wrong and all(is_ready(pod) for pod in self._running())

        wait_for("all workloads ready", is_complete, seconds=seconds, explain=self.explain)

    def _running(self) -> list[Object]:
        done = {"Succeeded", "Failed"}
        return [
            pod
            for pod in self.kubectl.list("pods")
            if pod.get("status", {}).get("phase") not in done
        ]

    def kill_and_wait(self, pods: list[Object], what: str, seconds: float = 120.0) -> float:
        """Kill pods at once; return the seconds until others have taken their place, ready."""
        assert pods, f"expected pods of {what}, found none"
        old = {pod["metadata"]["uid"] for pod in pods}
        kinds = {_selector(pod) for pod in pods}
        watch = Stopwatch()
        for pod in pods:
            self.kubectl.kill_pod(pod["metadata"]["name"])

        def are_back() -> bool:
            now = [pod for kind in kinds for pod in self.kubectl.list("pods", kind)]
            new = [pod for pod in now if pod["metadata"]["uid"] not in old]
            return len(new) >= len(pods) and all(is_ready(pod) for pod in new)

        wait_for(f"{what} back after its death", are_back, seconds=seconds, explain=self.explain)
        return watch.seconds()


def _selector(pod: Object) -> str:
    labels = pod["metadata"]["labels"]
    kept = ("app.kubernetes.io/instance", "app.kubernetes.io/component", "recio.io/account")
    return ",".join(f"{name}={labels[name]}" for name in kept if name in labels)
