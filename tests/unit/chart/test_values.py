"""Values: each is explained, typos are refused, what does not go together is told in one line."""

from __future__ import annotations

import json
import re
import tomllib

import pytest
import yaml
from tests.unit.chart import documentation, rendering

SCHEMA = json.loads((rendering.CHART / "values.schema.json").read_text())
VALUES = (rendering.CHART / "values.yaml").read_text()


def resolved(schema):
    """Follow one reference."""
    if "$ref" in schema:
        return SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def leaves(schema, at=""):
    """Yield (path, schema) of each value that the schema knows; requests and limits are one."""
    is_resources = schema.get("$ref") in {"#/$defs/resources", "#/$defs/quantities"}
    schema = resolved(schema)
    if is_resources or not schema.get("properties"):
        yield at, schema
        return
    for name, inner in schema["properties"].items():
        yield from leaves(inner, f"{at}.{name}".lstrip("."))


def nested(schema):
    """Yield every schema within a schema."""
    yield schema
    for inner in (*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()):
        yield from nested(inner)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from nested(schema[key])


def test_every_mapping_refuses_names_that_it_does_not_know():
    """Rule: a misspelt value is an error, never ignored; maps of free names bound what they hold."""
    for schema in nested(SCHEMA):
        if (
            schema.get("type") == "object"
            and schema.get("description") != "Helm's own, for parent charts."
        ):
            assert "additionalProperties" in schema, schema


def test_every_value_has_a_description():
    """Rule: the schema explains each value in an editor."""
    for path, schema in leaves(SCHEMA):
        assert schema.get("description"), path


def test_every_default_is_in_the_schema_and_every_value_in_the_file():
    """Rule: values.yaml shows all there is, set or as a comment with the profiles' defaults."""
    given = yaml.safe_load(VALUES)
    for path, _ in leaves(SCHEMA):
        found = given
        for name in path.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        leaf = path.rpartition(".")[2]
        if (
            found is None
            and path != "global"
            and not path.startswith("accounts.resources.services")
        ):
            assert re.search(rf"# {leaf}: |{leaf}:", VALUES), path


def test_what_a_comment_says_of_the_profiles_is_so():
    """Rule: "small / standard / ha" in values.yaml are the profiles' files."""
    files = {
        name: yaml.safe_load((rendering.CHART / "profiles" / f"{name}.yaml").read_text())
        for name in ("small", "standard", "ha")
    }

    def flat(tree, at=()):
        for name, value in tree.items():
            if isinstance(value, dict):
                yield from flat(value, (*at, name))
            else:
                yield (*at, name), value

    found = {name: dict(flat(tree)) for name, tree in files.items()}
    assert found["small"].keys() == found["standard"].keys() == found["ha"].keys()
    for path, small in found["small"].items():
        others = " / ".join(str(found[name][path]) for name in found)
        assert f"# {path[-1]}: {small} " in VALUES
        assert others in VALUES, f"{'.'.join(path)}: expected {others!r} in a comment"


def test_what_the_user_sets_wins_over_the_profile_even_zero_and_false():
    """Rule: a profile only fills in what was not said."""
    text = rendering.run("profile=ha", "database.cnpg.instances=1", "services.topology=Compact")
    assert "name: recio-paper-plane" in text
    assert "instances: 1\n" in text
    assert "enablePDB: false" in text


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("profil=small", "additional properties 'profil' not allowed"),
        ("profile=tiny", "value must be one of 'small', 'standard', 'ha'"),
        ("environments.paper.modus=paper", "additional properties 'modus' not allowed"),
        ("environments.paper.series={KXDOGE}", "value must be one of 'KXBTCD'"),
        ("environments.an-environment.enabled=true", "does not match pattern"),
        ("database.cnpg.memory=1TB", "does not match pattern"),
        ("database.cnpg.imageName=postgres:latest", "does not match pattern"),
        ("services.extraEnvironment.PATH=/", "does not match pattern"),
        ("redis.external.url=redis://:secret@host:6379", "does not match pattern"),
        ("page.sessionSeconds=1", "minimum: got 1, want 300"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_where_it_stands(setting, words):
    """Rule: the message names the value and what was expected, before anything is made."""
    with pytest.raises(rendering.Refused, match=re.escape(words)):
        rendering.run(setting)


ALL_OFF = tuple(f"environments.{name}.enabled=false" for name in ("paper",))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (ALL_OFF, "no environment is enabled: set environments.paper.enabled=true"),
        (("environments.demo.enabled=true",), "environments.demo: mode demo needs a read key"),
        (
            (
                "environments.other.enabled=true",
                "environments.other.mode=paper",
                "environments.other.priceSource=Recording",
                "environments.other.series={KXBTCD}",
            ),
            "environments.other and environments.paper are both enabled for paper Recording",
        ),
        (("environments.paper.priceSource=null",), "mode paper needs priceSource"),
        (("database.mode=external",), "set database.external.host"),
        (("backup.method=plugin",), "set backup.destinationPath"),
        (
            (
                "backup.method=plugin",
                "backup.destinationPath=s3://a/b",
                "backup.restoreFrom=recio-db",
            ),
            "must not write over the old one's backups",
        ),
        (("redis.mode=external",), "set redis.external.url"),
        (("ingress.enabled=true",), "set ingress.hosts"),
        (
            ("priorityClass.create=true", "priorityClass.existingName=high"),
            "either create one, or name an existing one",
        ),
    ],
)
def test_values_that_do_not_go_together_are_told_in_one_line(settings, words):
    """Rule: what to set is in the message."""
    with pytest.raises(rendering.Refused) as refused:
        rendering.run(*settings)
    (line,) = [one for one in str(refused.value).splitlines() if words in one]
    assert line.startswith("Error: ")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ((), "CloudNativePG is not in this cluster: install its operator first"),
        (
            ("monitoring.rules.enabled=true", "database.mode=external"),
            "the Prometheus operator is not in this cluster",
        ),
    ],
)
def test_what_must_be_in_the_cluster_before_is_asked_for_in_one_line(settings, words):
    """Rule: without the kinds that it needs the chart stops and says what to install."""
    external = (
        "database.external.host=db",
        "database.external.ownerSecret=owner",
        "database.external.cidrs={192.0.2.0/24}",
    )
    with pytest.raises(rendering.Refused, match=words):
        rendering.run(*settings, *external, options=("--kube-version", "1.34.4"))


def test_an_external_database_needs_no_cloudnativepg():
    """Rule: with a PostgreSQL and monitoring of one's own nothing but Kubernetes is needed."""
    settings = rendering.CASES["external"]
    assert rendering.run(*settings, options=("--kube-version", "1.34.4")) == rendering.text(
        "external"
    )


def test_an_old_kubernetes_is_refused():
    """Rule: rules of the custom resources are CEL, which is stable from 1.29 on."""
    with pytest.raises(
        rendering.Refused, match=re.escape("chart requires kubeVersion: >=1.29.0-0")
    ):
        rendering.run(options=("--kube-version", "1.28.0"))
    assert rendering.run(
        options=("--kube-version", "1.29.4+k3s1", "--api-versions", "postgresql.cnpg.io/v1")
    )


def test_the_chart_has_the_version_of_the_product():
    """Rule: the image's default tag is the version that this chart was tested with."""
    chart = yaml.safe_load((rendering.CHART / "Chart.yaml").read_text())
    project = tomllib.loads((rendering.ROOT / "pyproject.toml").read_text())["project"]
    assert chart["appVersion"] == project["version"]


def shown(value):
    """Return a default as the table shows it."""
    return f"`{json.dumps(value)}`" if value != "" else '`""`'


def rows():
    """Yield the lines of the table of values."""
    given = yaml.safe_load(VALUES)
    profiles = [
        yaml.safe_load((rendering.CHART / "profiles" / f"{name}.yaml").read_text())
        for name in ("small", "standard", "ha")
    ]
    for path, schema in leaves(SCHEMA):
        if path == "global" or path.startswith("accounts.resources.services."):
            continue
        found = [looked_up(tree, path) for tree in (given, *profiles)]
        default = shown(found[0]) if found[0] is not None else " / ".join(map(shown, found[1:]))
        if isinstance(found[0], dict) and path.startswith("environments"):
            default = ", ".join(found[0])
        yield f"| `{path}` | {schema['description']} | {default} |"


def looked_up(tree, path):
    """Return what stands at a path, or None."""
    for name in path.split("."):
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def test_the_documented_values_are_those_of_the_chart():
    """Rule: the table in docs/chart.md has every value with its default (UPDATE_GOLDEN=1 writes)."""
    head = ["| value | what for | default (small / standard / ha) |", "|---|---|---|"]
    documentation.check("values", "\n".join([*head, *rows()]))
