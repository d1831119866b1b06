"""Alerts and dashboards ask for metrics that exist, and each alert leads to a page of the runbook."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from tests.unit.chart import rendering

DASHBOARDS = sorted((rendering.CHART / "files" / "dashboards").glob("*.json"))
_NAME = re.compile(r"\b((?:recio|cnpg|process)_[a-z0-9_]+)")
_OF_CLOUDNATIVEPG = {
    "cnpg_backends_max_tx_duration_seconds",
    "cnpg_backends_total",
    "cnpg_collector_last_available_backup_timestamp",
    "cnpg_collector_up",
    "cnpg_pg_database_size_bytes",
    "cnpg_pg_replication_lag",
    "cnpg_pg_stat_archiver_archived_count",
    "cnpg_pg_stat_archiver_failed_count",
    "cnpg_pg_stat_archiver_last_archived_time",
    "cnpg_pg_stat_archiver_last_failed_time",
    "cnpg_pg_stat_database_xact_commit",
    "cnpg_pg_stat_database_xact_rollback",
    "cnpg_pgbouncer_pools_cl_active",
    "cnpg_pgbouncer_pools_cl_waiting",
    "cnpg_pgbouncer_pools_maxwait",
    "cnpg_pgbouncer_pools_sv_active",
    "cnpg_pgbouncer_pools_sv_idle",
}
"""CloudNativePG 1.30, default queries and exporters: its documentation, monitoring and pooling."""
_OF_EVERY_PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}


def measured() -> set[str]:
    """Return the names of metrics in our code."""
    sources = (
        *(rendering.ROOT / "services").rglob("*.py"),
        *(rendering.ROOT / "operator").rglob("*.py"),
    )
    found = {
        name
        for path in sources
        for name in re.findall(r'"(recio_[a-z0-9]+(?:_[a-z0-9]+)+)"', Path(path).read_text())
    }
    return found | {f"{name}_bucket" for name in found if name.endswith("_seconds")}


def asked(expression: str) -> set[str]:
    """Return the metrics that an expression names."""
    without_texts = re.sub(r'"[^"]*"', '""', expression)
    return set(_NAME.findall(without_texts))


def alerts() -> list[rendering.Object]:
    """Return the rules as rendered."""
    (found,) = rendering.of_kind("watched", "PrometheusRule").values()
    return [rule for group in found["spec"]["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", alerts() if DASHBOARDS else [], ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_is_measured_and_says_what_to_do(rule):
    """Rule: no alert is silent because its metric has another name; each has a runbook entry."""
    assert asked(rule["expr"]) <= measured() | _OF_CLOUDNATIVEPG
    assert f'namespace="{rendering.NAMESPACE}"' in rule["expr"]
    assert "$NAMESPACE" not in str(rule)
    assert "$DATABASE" not in str(rule)
    assert re.fullmatch(r"Recio[A-Za-z]+", rule["alert"])
    assert rule["labels"]["severity"] in {"critical", "warning"}
    notes = rule["annotations"]
    assert notes.keys() == {"summary", "description", "runbook_url"}
    assert notes["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"
    assert rule["expr"].count("(") == rule["expr"].count(")")


@pytest.mark.parametrize("rule", alerts() if DASHBOARDS else [], ids=lambda rule: rule["alert"])
def test_the_runbook_has_an_entry_for_the_alert(rule):
    """Rule: whoever is woken finds what to do under the alert's name."""
    page = rendering.ROOT / "docs" / "runbook.md"
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    assert rule["alert"] in headings


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_shows_what_is_measured(path):
    """Rule: no panel is empty because its metric has another name."""
    board = json.loads(path.read_text())
    expressions = [one["expr"] for panel in board["panels"] for one in panel["targets"]]
    assert expressions
    for expression in expressions:
        assert asked(expression) <= measured() | _OF_CLOUDNATIVEPG | _OF_EVERY_PROCESS, expression
        assert 'namespace="$namespace"' in expression
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_every_dashboard_is_a_config_map_that_grafana_finds():
    """Rule: Grafana's sidecar picks up by label; one file is one dashboard."""
    found = [
        one
        for one in rendering.of_kind("watched", "ConfigMap").values()
        if one["metadata"]["labels"].get("grafana_dashboard") == "1"
    ]
    assert len(found) == len(DASHBOARDS) == 4
    for one in found:
        ((name, content),) = one["data"].items()
        assert name.endswith(".json")
        assert json.loads(content)["uid"].startswith("recio-")
        # A ConfigMap that is applied from the client stands in an annotation too.
        assert len(content) < 200_000


def test_pods_are_scraped_by_labels_that_they_have():
    """Rule: services, accounts and operator by one monitor, PostgreSQL and pooler by another."""
    found = rendering.of_kind("watched", "PodMonitor")
    labels = found["recio"]["spec"]["selector"]["matchLabels"]
    for name, pod in rendering.pods("watched"):
        assert labels.items() <= pod["metadata"]["labels"].items(), name
    assert found["recio-db"]["spec"]["selector"]["matchLabels"] == {"cnpg.io/cluster": "recio-db"}
    for one in found.values():
        assert one["metadata"]["labels"]["release"] == "prometheus"


def test_nothing_of_it_is_made_unless_it_is_asked_for():
    """Rule: a cluster without Prometheus and Grafana gets none of their objects."""
    kinds = {one["kind"] for one in rendering.objects("small")}
    assert not kinds & {"PodMonitor", "PrometheusRule"}
    assert "dashboard" not in rendering.text("small")


def test_the_alerts_file_is_plain_yaml():
    """Rule: it can be read without Helm."""
    assert yaml.safe_load((rendering.CHART / "files" / "alerts.yaml").read_text())["groups"]
