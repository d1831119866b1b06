"""The end: the release is uninstalled with accounts in it, a namespace is deleted; nothing hangs."""

from __future__ import annotations

import pytest
from tests.e2e.cluster.shell import CommandFailed
from tests.e2e.kubernetes import accounts
from tests.e2e.kubernetes.database import Books
from tests.e2e.kubernetes.helm import Release
from tests.e2e.kubernetes.kubectl import Kubectl
from tests.e2e.kubernetes.system import System
from tests.e2e.kubernetes.waiting import Stopwatch, wait_for


def installed(system):
    """Install the shared release if another test of this module has ended it."""
    if not system.release.is_there():
        system.release.install()
    system.until_all_ready()


def running(kubectl):
    """Return the release's own pods; the one of ``helm test`` has ended and stays to be read."""
    pods = kubectl.list("pods", "app.kubernetes.io/instance=recio")
    return [
        pod["metadata"]["name"]
        for pod in pods
        if pod["status"]["phase"] != "Succeeded"
        and "cnpg.io/cluster" not in pod["metadata"]["labels"]
    ]


def leftovers(kubectl):
    """Return every account and every object on its way out."""
    kinds = "ta,tf,deployments,pods,services,configmaps,secrets,jobs,serviceaccounts"
    items = kubectl.list(kinds)
    hanging = [item for item in items if "deletionTimestamp" in item["metadata"]]
    own = [item for item in items if item["kind"] in ("TradingAccount", "TradingFleet")]
    return [(item["kind"], item["metadata"]["name"]) for item in [*hanging, *own]]


@pytest.mark.core
def test_helm_uninstall_leaves_nothing_hanging(system):
    """The accounts leave first, with a position open; then everything goes."""
    installed(system)
    trader = system.trader(accounts.fresh_name("last"))
    trader.apply(deletionPolicy="Flatten")
    trader.until_ready()
    with system.page() as page:
        trader.buy(page)
    watch = Stopwatch()
    system.release.uninstall()
    wait_for(
        "nothing that hangs",
        lambda: not leftovers(system.kubectl),
        seconds=180,
        explain=lambda: f"{leftovers(system.kubectl)}\n{system.explain()}",
    )
    system.figures.took("helm uninstall with an open position to nothing left", watch.seconds())
    wait_for(
        "no pod but the database's",
        lambda: not running(system.kubectl),
        seconds=120,
        explain=system.explain,
    )


def test_a_second_install_takes_up_the_books_and_the_namespace_goes_at_once(system):
    """Kept books are there again; then the documented command removes the namespace."""
    kubectl = system.kubectl
    installed(system)
    assert system.books.value("SELECT count(*) FROM trading.accounts") >= 1
    trader = system.trader(accounts.fresh_name("again"))
    trader.apply()
    trader.until_ready()
    watch = Stopwatch()
    kubectl.run("delete", "tradingaccounts,tradingfleets", "--all", "--timeout=120s", seconds=150)
    kubectl.run("delete", "namespace", kubectl.namespace, "--timeout=240s", seconds=300)
    system.figures.took("namespace with an account deleted to gone", watch.seconds())


def test_a_namespace_deleted_outright_can_be_freed(values, figures):
    """Deleted with operator and accounts at once, one documented command lets it go."""
    kubectl = Kubectl("recio-e2e-outright")
    release = Release(kubectl, {**values, "crds": {"install": False}})
    system = System(kubectl, release, Books(kubectl, f"{release.fullname}-db"), figures)
    release.install()
    trader = system.trader(accounts.fresh_name("outright"))
    trader.apply()
    trader.until_ready(300)
    kubectl.run("delete", "namespace", kubectl.namespace, "--wait=false")
    watch = Stopwatch()

    def is_gone():
        free(kubectl)
        return not kubectl.get("namespace", kubectl.namespace)

    wait_for("the namespace gone", is_gone, seconds=300, explain=system.explain)
    figures.took("namespace deleted outright, then freed, to gone", watch.seconds())


def free(kubectl):
    """Take the finalizer off whatever is still there: docs/runbook.md, "Delete a namespace"."""
    for name in kubectl.names("ta"):
        try:
            kubectl.patch("ta", name, {"metadata": {"finalizers": []}})
        except CommandFailed:
            continue
