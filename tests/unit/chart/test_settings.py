"""Every process starts with the variables that the chart gives it: the services' own code decides."""

from __future__ import annotations

import importlib
from urllib.parse import urlsplit

import msgspec
import pytest
from tests.unit.chart import rendering

from recio import manifest
from recio.exchange_simulator.app import ExchangeSettings
from recio.runtime import modes, settings
from recio_operator import cli as operator_cli
from recio_operator import settings as operator_settings

_OWN = {
    **dict.fromkeys((row.name for row in manifest.SERVICES), None),
    "exchange_simulator": ExchangeSettings,
}


def own_settings(service):
    """Return the settings struct of a service, or None if it has none."""
    if _OWN[service] is not None:
        return _OWN[service]
    for module in ("settings", "app"):
        try:
            found = importlib.import_module(f"recio.apps.{service}.{module}")
        except ModuleNotFoundError:
            continue
        for name in ("Settings", "NoSettings"):
            if hasattr(found, name):
                return getattr(found, name)
    return None


def processes():
    """Return (case, owner, container) of each container that runs services."""
    return [
        pytest.param(container, id=f"{case}-{name}")
        for case in rendering.CASES
        for name, pod in rendering.pods(case)
        for container in rendering.containers(pod)
        if container.get("args", [""])[0] == "run" and "command" not in container
    ]


def hosted(container):
    """Return the services that a container runs."""
    return container["args"][1:]


@pytest.mark.parametrize("container", processes())
def test_a_process_takes_its_variables(container):
    """Rule: no variable is unknown, missing or out of bounds, for the process and each service."""
    values = rendering.variables(container)
    process = settings.process_settings(values)
    assert process.http_port == 8080
    assert process.environment in process.shown_environments()
    for service in hosted(container):
        kind = own_settings(service)
        if kind is not None:
            settings.load(kind, service, settings.service_values(service, values))
    mine = tuple(settings.service_prefix(name) for name in hosted(container))
    others = tuple(settings.service_prefix(row.name) for row in manifest.SERVICES)
    assert not [name for name in values if name.startswith(others) and not name.startswith(mine)]


@pytest.mark.parametrize("container", processes())
def test_a_process_knows_its_exchange(container):
    """Rule: paper has the simulator's address and no other mode any: the modes' table accepts it."""
    process = settings.process_settings(rendering.variables(container))
    assert modes.hosts(process).rest


@pytest.mark.parametrize("container", processes())
def test_secrets_are_files_where_the_settings_say(container):
    """Rule: every file that a variable names lies in a volume that is mounted read-only."""
    values = rendering.variables(container)
    mounts = {one["mountPath"]: one for one in container["volumeMounts"]}
    named = [text for name, text in values.items() if name.endswith(("_FILE", "_DIR"))]
    for path in named:
        found = [one for at, one in mounts.items() if path == at or path.startswith(at + "/")]
        assert found, path
        assert all(one["readOnly"] for one in found), path
    for text in values.values():
        assert not urlsplit(text).password


def test_only_processes_that_use_the_bus_get_its_password():
    """Rule: who does not read the bus cannot: the simulator has no password of Redis."""
    for case in rendering.CASES:
        for _, pod in rendering.pods(case):
            for container in rendering.containers(pod):
                if container.get("args", [""])[0] != "run" or "command" in container:
                    continue
                uses = any(manifest.service(name).uses_bus for name in hosted(container))
                mounted = {one["name"] for one in container["volumeMounts"]}
                assert ("redis" in mounted) == uses


def test_the_market_key_is_mounted_only_where_the_exchange_is_asked():
    """Rule: a key is in no process that does not ask the exchange."""
    for case in rendering.CASES:
        for name, pod in rendering.pods(case):
            for container in pod["spec"]["containers"]:
                if container.get("args", [""])[0] != "run" or "command" in container:
                    continue
                asks = any("exchange" in manifest.service(one).egress for one in hosted(container))
                mounted = {one["name"] for one in container["volumeMounts"]}
                assert ("credentials" in mounted) == asks, (case, name)


@pytest.mark.parametrize("case", rendering.CASES)
def test_every_service_of_the_release_runs_once(case):
    """Rule: topology changes where a service runs, never whether it does."""
    found = rendering.of_kind(case, "ConfigMap")["recio-release"]["data"]["release.json"]
    environments = msgspec.json.decode(found.encode())["environments"]
    ran = [
        (settings.process_settings(rendering.variables(container)).environment, service)
        for _, pod in rendering.pods(case)
        for container in pod["spec"]["containers"]
        if container.get("args", [""])[0] == "run" and "command" not in container
        for service in hosted(container)
    ]
    for row in manifest.SERVICES:
        number = sum(service == row.name for _, service in ran)
        if row.scope is manifest.Scope.SHARED:
            assert number == 1
        if row.scope is manifest.Scope.ENVIRONMENT:
            assert number == len(environments)
        if row.scope is manifest.Scope.PAPER:
            assert number == sum(one["mode"] == "paper" for one in environments)
        if row.scope is manifest.Scope.ACCOUNT:
            assert number == 0


@pytest.mark.parametrize("case", rendering.CASES)
def test_the_operator_takes_its_variables_and_finds_its_files(case):
    """Rule: its settings' defaults are the paths that the chart mounts."""
    pod = rendering.of_kind(case, "Deployment")["recio-operator"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    found = operator_settings.of(rendering.variables(container))
    mounts = {one["mountPath"] for one in container["volumeMounts"]}
    for path in (found.release_file, found.database_password_file):
        assert path.rpartition("/")[0] in mounts
    assert found.http_port == 8080


def test_extra_variables_reach_the_process_that_they_are_for():
    """Rule: a service's own variable is given to its process and to no other, which would refuse it."""
    told = "services.extraEnvironment.RECIO_UNIFIED_PRODUCTION_COORDINATOR_MODEL=Volatility"
    for settings_ in ((told,), (told, "profile=standard")):
        found = {
            name
            for name, pod in _pods(rendering.run(*settings_))
            for container in pod["spec"]["containers"]
            if "RECIO_UNIFIED_PRODUCTION_COORDINATOR_MODEL" in rendering.variables(container)
        }
        assert found in ({"recio-paper-plane"}, {"recio-paper-unified-production-coordinator"})


def _pods(rendered):
    for one in rendering.parsed(rendered):
        if one["kind"] == "Deployment":
            yield one["metadata"]["name"], one["spec"]["template"]


@pytest.mark.parametrize("case", rendering.CASES)
def test_the_operator_s_commands_are_spelt_as_it_knows_them(case):
    """Rule: a Job that calls a command which is not there would be found when it is too late."""
    told = [
        container["args"]
        for _, pod in rendering.pods(case)
        for container in pod["spec"]["containers"]
        if container.get("command") == ["recio-operator"]
    ]
    assert sorted(words[0] for words in told) == ["prepare", "run", "uninstall"]
    for words in told:
        assert operator_cli._parser().parse_args(words).command
