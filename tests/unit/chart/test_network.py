"""Who may talk to whom, as netpol-analyzer reads the policies: a golden matrix for each profile.

Pods that others make (CloudNativePG's, the name server, an ingress controller, Prometheus) stand in
with the labels that they really have. What is not in the matrix is refused.
"""

from __future__ import annotations

import subprocess
from functools import cache

import pytest
import yaml
from tests.e2e.cluster import binaries, paths
from tests.unit.chart import accounts, rendering

CASES = ("small", "standard", "ha", "external", "watched", "reached", "backup", "environments")
PAPER, DEMO = "alpha", "beta"


def pod(name, namespace, **labels):
    """Return a pod that somebody else made."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"name": "any", "image": "any"}]},
    }


def namespace(name):
    """Return a namespace with the label that Kubernetes gives it."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
    }


def others(case):
    """Return the pods of others that a release lives with."""
    ours = rendering.NAMESPACE
    made = [namespace(name) for name in (ours, "kube-system", "cnpg-system", "monitoring", "else")]
    made += [
        pod("dns", "kube-system", **{"k8s-app": "kube-dns"}),
        pod("traefik", "kube-system", **{"app.kubernetes.io/name": "traefik"}),
        pod("cnpg", "cnpg-system", **{"app.kubernetes.io/name": "cloudnative-pg"}),
        pod("prometheus", "monitoring", app="prometheus"),
        pod("stranger", "else", app="stranger"),
        pod("stranger", ours, app="stranger"),
    ]
    if case != "external":
        of_cluster = {"cnpg.io/cluster": "recio-db", "app.kubernetes.io/name": "cloudnative-pg"}
        made += [
            pod("db-1", ours, **of_cluster, **{"cnpg.io/podRole": "instance"}),
            pod("db-1-initdb", ours, **of_cluster, **{"cnpg.io/jobRole": "initdb"}),
            pod(
                "db-pooler",
                ours,
                **of_cluster,
                **{"cnpg.io/podRole": "pooler", "cnpg.io/poolerName": "recio-db-pooler"},
            ),
        ]
    return made


@cache
def connections(case):
    """Return the allowed connections of a case: (from, to) → what."""
    made = [one for one in rendering.objects(case) if one["kind"] != "ConfigMap"]
    made += others(case) + accounts.children(case, PAPER)
    if case == "environments":
        made += accounts.children(case, DEMO, mode="demo")
    directory = paths.cache() / "chart-network" / case
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "all.yaml").write_text(yaml.dump_all(made, Dumper=yaml.CSafeDumper))
    program = binaries.ensure("netpol-analyzer")["netpol-analyzer"]
    said = subprocess.run(
        [str(program), "list", "--dirpath", str(directory), "--quiet"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = {}
    for line in said.splitlines():
        who, arrow, rest = line.partition(" => ")
        if arrow:
            whom, _, what = rest.rpartition(" : ")
            found[_short(who), _short(whom)] = what
    return found


def _short(name):
    """Leave out our namespace, the kind, and the hash in a Job's name."""
    short = name.removeprefix(f"{rendering.NAMESPACE}/").partition("[")[0]
    return "recio-prepare" if short.startswith("recio-prepare-") else short


def _is_outside(name):
    return name[0].isdigit()


def _is_ours(name):
    return (
        "/" not in name
        and not _is_outside(name)
        and name not in {"stranger", "{ingress-controller}"}
    )


def matrix(case):
    """Return the connections from and to our pods as lines."""
    found = connections(case)
    return "".join(
        f"{who} -> {whom}: {what}\n"
        for (who, whom), what in sorted(found.items())
        if _is_ours(who) or _is_ours(whom)
    )


@pytest.mark.parametrize("case", CASES)
def test_the_matrix_is_the_golden_one(case):
    """Rule: whoever opens a connection sees it in a file that says all of them."""
    path = rendering.GOLDEN / f"{case}.connections.txt"
    found = matrix(case)
    if paths.environment().get("UPDATE_GOLDEN"):
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
def test_a_paper_account_reaches_nothing_outside(case):
    """Rule: paper cannot trade for real, whatever its code does."""
    found = connections(case)
    mine = f"ta-{PAPER}-compact"
    reached = {whom for who, whom in found if who == mine}
    assert "recio-paper-exchange-simulator" in reached
    inside = {"recio-db-pooler", "db-1", "db-pooler", "recio-redis", "kube-system/dns"}
    if case == "external":
        assert all(
            what in {"TCP 5432", "TCP 6380"}
            for (who, whom), what in found.items()
            if who == mine and whom not in {*inside, "recio-paper-exchange-simulator"}
        )
    else:
        assert reached <= inside | {"recio-paper-exchange-simulator"}


@pytest.mark.parametrize("case", CASES)
def test_nothing_of_ours_listens_to_strangers(case):
    """Rule: a pod that is broken into, in any namespace, reaches nothing of the release."""
    found = connections(case)
    # The page is for the ingress controller, wherever in its namespace that runs.
    page = {("kube-system/dns", "recio-main-app")} if case == "reached" else set()
    strangers = {"stranger", "else/stranger", "kube-system/dns"}
    assert page == {
        (who, whom)
        for who, whom in found
        if _is_ours(whom) and (who in strangers or _is_outside(who))
    }


@pytest.mark.parametrize("case", CASES)
def test_only_what_must_reaches_the_outside(case):
    """Rule: exchanges for planes and accounts that need one, the API server, backups: no more."""
    api = {"recio-operator", "recio-prepare", "recio-uninstall", "db-1", "db-1-initdb", "db-pooler"}
    wider = {
        "environments": {
            *(f"recio-{name}-{reader}" for name in ("paper-live", "demo", "prod")
              for reader in ("btc-price-watchdog", "kalshi-api-watchdog")),
            "recio-paper-live-exchange-simulator",
            f"ta-{DEMO}-compact",
        }
    }  # fmt: skip
    servers = {"TCP 5432", "TCP 6380"} if case == "external" else set()
    found = {
        who
        for (who, whom), what in connections(case).items()
        if _is_outside(whom) and _is_ours(who) and what not in servers
    }
    assert found <= api | wider.get(case, set())


def test_accounts_of_one_environment_do_not_reach_the_exchange_of_another():
    """Rule: an environment's simulator answers its own accounts and planes only."""
    found = connections("environments")
    live = {who for who, whom in found if whom == "recio-paper-live-exchange-simulator"}
    assert f"ta-{PAPER}-compact" not in live
    assert "recio-paper-btc-price-watchdog" not in live
    assert "recio-paper-live-btc-price-watchdog" in live


def test_the_database_is_reached_only_by_what_logs_in():
    """Rule: Redis, the page's visitors and the monitor's scraper cannot even knock."""
    found = connections("watched")
    for whom in ("db-1", "db-pooler"):
        clients = {who for (who, at), what in found.items() if at == whom and "5432" in what}
        assert "recio-redis" not in clients
        assert "monitoring/prometheus" not in clients
        assert "recio-test" not in clients


def test_without_policies_none_is_made():
    """Rule: a network that enforces nothing gets no objects that promise something."""
    assert "kind: NetworkPolicy" not in rendering.run("networkPolicy.enabled=false")
