"""The operator reads exactly what the chart writes: names, labels, addresses."""

from __future__ import annotations

import pytest
from tests.unit.chart import rendering

from recio.apps.system_monitor import settings as monitor
from recio.manifest import SERVICES, Scope
from recio_operator import names, release
from recio_operator import targets as operator_targets


@pytest.fixture(params=rendering.CASES)
def case(request):
    """Every way of installing."""
    return request.param


def loaded(case, tmp_path):
    """Return the release as the operator would load it."""
    path = tmp_path / "release.json"
    path.write_text(rendering.of_kind(case, "ConfigMap")["recio-release"]["data"]["release.json"])
    return release.load(path)


def test_the_operator_loads_what_the_chart_writes(case, tmp_path):
    """Rule: release.json has no field that the operator does not know, and every one it needs."""
    found = loaded(case, tmp_path)
    assert (found.fullname, found.namespace) == ("recio", rendering.NAMESPACE)
    assert found.environments


def test_every_login_has_a_secret_where_the_operator_puts_it(case, tmp_path):
    """Rule: the Secrets that pods mount are those that the operator's Job makes."""
    found = loaded(case, tmp_path)
    known = {found.login_secret(row.name) for row in SERVICES if row.scope is not Scope.ACCOUNT} | {
        found.login_secret("operator")
    }
    mounted = set()
    for _, pod in rendering.pods(case):
        for volume in pod["spec"].get("volumes", []):
            sources = volume.get("projected", {}).get("sources", [volume])
            mounted |= {
                one["secret"].get("secretName", one["secret"].get("name"))
                for one in sources
                if "secret" in one
            }
    logins = {one for one in mounted if one.startswith("recio-login-")}
    assert logins <= known
    others = {found.redis.password_secret, "recio-db-app", "owner"}
    others |= {one.market_secret for one in found.environments}
    others |= {one.exchange.admin_secret for one in found.environments if one.exchange}
    assert mounted - logins <= others


def test_labels_are_those_that_the_operator_gives_its_own_pods(case, tmp_path):
    """Rule: one policy can choose the chart's pods and the operator's, because labels agree."""
    found = loaded(case, tmp_path)
    for name, one in rendering.of_kind(case, "Deployment").items():
        labels = one["spec"]["selector"]["matchLabels"]
        component = labels["app.kubernetes.io/component"]
        expected = names.labels(found.name, component)
        if names.ENVIRONMENT_LABEL in labels:
            expected[names.ENVIRONMENT_LABEL] = labels[names.ENVIRONMENT_LABEL]
        assert labels == expected, name


def test_selectors_in_the_release_choose_pods_that_exist(case, tmp_path):
    """Rule: a policy of an account lets it reach Redis and its exchange: the labels are theirs."""
    found = loaded(case, tmp_path)
    selectors = [one.exchange.pod_labels for one in found.environments if one.exchange]
    selectors += [found.redis.pod_labels] if found.redis.pod_labels else []
    selectors += list(found.network.clients)
    pods = [pod["metadata"]["labels"] for _, pod in rendering.pods(case)]
    for wanted in selectors:
        assert sum(wanted.items() <= labels.items() for labels in pods) == 1, wanted


def test_the_database_is_where_cloudnativepg_puts_it(tmp_path):
    """Rule: queries go to the pooler's Service, LISTEN to the primary's, both in CNPG's naming."""
    found = loaded("small", tmp_path).database
    (cluster,) = rendering.of_kind("small", "Cluster")
    (pooler,) = rendering.of_kind("small", "Pooler")
    assert (found.host, found.direct_host) == (pooler, f"{cluster}-rw")
    assert found.pod_labels == {"cnpg.io/poolerName": pooler}
    assert found.direct_pod_labels == {"cnpg.io/cluster": cluster, "cnpg.io/podRole": "instance"}


def test_the_monitor_takes_every_target_and_each_has_a_service(case, tmp_path):
    """Rule: what is probed exists, at the port that its Service has."""
    found = loaded(case, tmp_path)
    targets = monitor.targets(monitor.Settings(probe_urls=found.targets))
    services = {
        f"http://{name}:{one['spec']['ports'][0]['port']}"
        for name, one in rendering.of_kind(case, "Service").items()
    }
    assert {target.url for target in targets} <= services
    hosted = [subject.service for target in targets for subject in target.hosts]
    planes = len(found.environments)
    expected = {
        Scope.SHARED: 1,
        Scope.ENVIRONMENT: planes,
        Scope.PAPER: sum(one.exchange is not None for one in found.environments),
    }
    for row in SERVICES:
        assert hosted.count(row.name) == expected.get(row.scope, 0), row.name


def test_an_account_of_each_mode_finds_its_plane(tmp_path):
    """Rule: with all environments on, no mode and source of prices is without a market plane."""
    found = loaded("environments", tmp_path)
    kinds = {
        (one.mode.value, one.price_source and one.price_source.value) for one in found.environments
    }
    assert kinds == {("paper", "Recording"), ("paper", "LiveFeed"), ("demo", None), ("prod", None)}


def test_the_monitor_reads_the_file_that_the_operator_writes(case, tmp_path):
    """Rule: accounts are probed too: the operator's list is mounted where the monitor looks."""
    found = loaded(case, tmp_path)
    for _, pod in rendering.pods(case):
        (container,) = pod["spec"]["containers"]
        path = rendering.variables(container).get("RECIO_SYSTEM_MONITOR_PROBE_FILE")
        if path is None:
            continue
        directory, _, key = path.rpartition("/")
        (mount,) = [one for one in container["volumeMounts"] if one["mountPath"] == directory]
        (volume,) = [one for one in pod["spec"]["volumes"] if one["name"] == mount["name"]]
        assert volume["configMap"] == {"name": found.targets_config_map, "optional": True}
        assert key == operator_targets.KEY
        return
    pytest.fail("no process watches the others")
