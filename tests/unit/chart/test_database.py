"""PostgreSQL is as large as what connects to it, and nothing of the books is lost by accident."""

from __future__ import annotations

import pytest
from tests.unit.chart import rendering

from recio.adapters.postgres.session import PREPARED_MOST
from recio.manifest import SERVICES, Scope

CNPG_CASES = [case for case in rendering.CASES if case != "external"]


@pytest.mark.parametrize("case", CNPG_CASES)
def test_connections_are_counted_by_the_formula_of_the_values(case):
    """Rule: every process's direct connection, every pooler's share and a reserve find room."""
    capacity = {"small": 10, "standard": 25, "ha": 50}
    profile = next(
        (part[8:] for part in rendering.CASES[case] if part.startswith("profile=")), "small"
    )
    account = sum(row.scope is Scope.ACCOUNT for row in SERVICES)
    direct = sum(row.scope is Scope.SHARED for row in SERVICES) + 2 + account * capacity[profile]
    for name in rendering.of_kind(case, "Deployment"):
        if name.endswith("-exchange-simulator"):
            direct += 1
    planes = len(
        {
            one["metadata"]["labels"]["recio.io/environment"]
            for one in rendering.of_kind(case, "Deployment").values()
            if "recio.io/environment" in one["metadata"]["labels"]
        }
    )
    direct += planes * sum(row.scope is Scope.ENVIRONMENT for row in SERVICES)
    (pooler,) = rendering.of_kind(case, "Pooler").values()
    pooled = pooler["spec"]["instances"] * int(
        pooler["spec"]["pgbouncer"]["parameters"]["max_db_connections"]
    )
    (cluster,) = rendering.of_kind(case, "Cluster").values()
    parameters = cluster["spec"]["postgresql"]["parameters"]
    assert int(parameters["max_connections"]) == direct + pooled + 20


@pytest.mark.parametrize("case", CNPG_CASES)
def test_the_pooler_keeps_as_many_statements_as_a_session_prepares(case):
    """Rule: a pooler that forgot a statement earlier than its client would break the client."""
    (pooler,) = rendering.of_kind(case, "Pooler").values()
    parameters = pooler["spec"]["pgbouncer"]["parameters"]
    assert pooler["spec"]["pgbouncer"]["poolMode"] == "transaction"
    assert int(parameters["max_prepared_statements"]) >= PREPARED_MOST
    assert all(isinstance(text, str) for text in parameters.values())


@pytest.mark.parametrize(
    ("case", "shared_buffers"), [("small", "128MB"), ("standard", "256MB"), ("ha", "512MB")]
)
def test_a_quarter_of_the_memory_is_shared_buffers(case, shared_buffers):
    """Rule: memory follows from one value; request and limit are the same, so it is never evicted."""
    (cluster,) = rendering.of_kind(case, "Cluster").values()
    resources = cluster["spec"]["resources"]
    assert cluster["spec"]["postgresql"]["parameters"]["shared_buffers"] == shared_buffers
    assert resources["requests"]["memory"] == resources["limits"]["memory"]


def test_with_one_server_a_node_can_be_drained():
    """Rule: no budget protects a single server from its own node's maintenance."""
    (small,) = rendering.of_kind("small", "Cluster").values()
    (ha,) = rendering.of_kind("ha", "Cluster").values()
    assert small["spec"]["enablePDB"] is False
    assert "synchronous" not in small["spec"]["postgresql"]
    assert ha["spec"]["enablePDB"] is True
    assert ha["spec"]["postgresql"]["synchronous"] == {
        "method": "any", "number": 1, "dataDurability": "required",
    }  # fmt: skip


@pytest.mark.parametrize("case", CNPG_CASES)
def test_the_books_stay_when_the_release_goes(case):
    """Rule: `helm uninstall` deletes no database unless it was told to."""
    (cluster,) = rendering.of_kind(case, "Cluster").values()
    assert cluster["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert "helm.sh/resource-policy" not in rendering.run("database.cnpg.keep=false")


def test_the_owner_may_make_logins():
    """Rule: migrations and the operator make a login for each service and account."""
    (cluster,) = rendering.of_kind("small", "Cluster").values()
    made = cluster["spec"]["bootstrap"]["initdb"]
    assert made["postInitSQL"] == [f'ALTER ROLE "{made["owner"]}" CREATEROLE']


def test_a_restored_cluster_reads_the_old_name_and_writes_a_new_one():
    """Rule: the backups that one restores from are never written over."""
    for method in ("inTree", "plugin"):
        settings = [*rendering.CASES["restored"], f"backup.method={method}"]
        (cluster,) = [
            one for one in rendering.parsed(rendering.run(*settings)) if one["kind"] == "Cluster"
        ]
        spec = cluster["spec"]
        (source,) = spec["externalClusters"]
        assert spec["bootstrap"] == {
            "recovery": {"source": source["name"], "database": "recio", "owner": "recio"}
        }
        if method == "inTree":
            assert source["barmanObjectStore"]["serverName"] == "recio-db"
            assert spec["backup"]["barmanObjectStore"]["serverName"] == "recio-2"
        else:
            assert source["plugin"]["parameters"]["serverName"] == "recio-db"
            assert spec["plugins"][0]["parameters"]["serverName"] == "recio-2"
