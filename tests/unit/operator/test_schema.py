"""The custom resource definitions: made from the structs, whole, bounded, and the same every time."""

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from recio.domain import account_config as accounts
from recio.domain.account_fields import Paper
from recio.domain.account_rules import IMMUTABLE, ORDERED
from recio.domain.field_types import Mode, Series
from recio_operator.schema import definitions as schema
from recio_operator.schema import rules as schema_rules
from recio_operator.schema import text as schema_text
from recio_operator.schema.fields import struct_schema
from recio_operator.schema.status import AccountStatus

FILES = schema.rendered()
ACCOUNT = schema.definitions()["tradingaccounts.yaml"]
FLEET = schema.definitions()["tradingfleets.yaml"]
CLIENT_SIDE_APPLY_BYTES = 262_144


def root(definition):
    """Return the schema of a whole object."""
    return definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def nodes(part, path=""):
    """Yield (path, schema) of everything below a schema."""
    yield path, part
    for name, inner in part.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}".lstrip("."))
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in part:
            yield from nodes(part[key], path + mark)


NODES = [
    pytest.param(path, node, id=f"{definition['spec']['names']['kind']} {path or '(root)'}")
    for definition in (ACCOUNT, FLEET)
    for path, node in nodes(root(definition))
    if path not in {"apiVersion", "kind", "metadata"}
]
FIELDS = [param for param in NODES if not param.values[0].endswith(("[]", "{}"))]
SPEC_LEAVES = [
    param
    for param in FIELDS
    if param.values[0].startswith("spec.") and "properties" not in param.values[1]
]


def alone(params):
    """Return the same cases without the path, which then only names them."""
    return [pytest.param(param.values[1], id=param.id) for param in params]


@pytest.mark.parametrize("name", FILES)
def test_the_committed_files_are_fresh(name):
    """What stands in the chart is what the structs say now; mend it: make render."""
    assert (schema.CRDS / name).read_text(encoding="utf-8") == FILES[name]


@pytest.mark.parametrize("name", FILES)
def test_a_file_reads_back_as_what_it_was_made_from(name):
    """Folding and blocks change nothing of a text."""
    assert yaml.safe_load(FILES[name]) == schema.definitions()[name]


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_plain(name):
    """No anchors, no lines that nobody reads, nothing that a template would take for its own."""
    text = FILES[name]
    assert not re.search(r"[:-] [&*]id\d+", text)
    assert "{{" not in text
    assert len(text.encode()) < CLIENT_SIDE_APPLY_BYTES
    rules = re.findall(r"^.*(?:rule|messageExpression): .*$", text, re.MULTILINE)
    assert max(map(len, rules)) <= 120


def test_the_command_writes_and_then_finds_nothing_stale(tmp_path, capsys):
    """``--check`` names the stale file and how to mend it."""
    told = ["--directory", str(tmp_path / "crds")]
    assert schema.main(["--check", *told]) == 1
    assert (
        "tradingaccounts.yaml, tradingfleets.yaml; mend it: make render" in capsys.readouterr().err
    )
    assert schema.main(told) == 0
    assert schema.main(["--check", *told]) == 0
    (tmp_path / "crds" / "tradingfleets.yaml").write_text("else")
    assert schema.main(["--check", *told]) == 1
    assert "stale: tradingfleets.yaml;" in capsys.readouterr().err


@pytest.mark.parametrize("node", alone(FIELDS))
def test_every_field_has_its_manual(node):
    """``kubectl explain`` is the manual: a sentence, not the field's name again."""
    text = node["description"]
    assert len(text) >= 20
    assert text[0].isupper()
    assert text.endswith(".")
    assert "  " not in text
    assert "``" not in text


@pytest.mark.parametrize("node", alone(SPEC_LEAVES))
def test_every_setting_says_when_a_change_takes_effect(node):
    """Once, its own or that of the part above."""
    assert node["description"].count(schema_text.TAKES_EFFECT) == 1


@pytest.mark.parametrize(("path", "node"), NODES)
def test_everything_is_bounded(path, node):
    """What is not bounded can fill etcd, and the API server refuses rules about it."""
    kind = node["type"]
    if kind == "string":
        assert {"maxLength", "enum"} & set(node) or node["format"] == "date-time"
    elif kind == "array":
        assert "maxItems" in node
        assert node["x-kubernetes-list-type"] in {"set", "map", "atomic"}
    elif kind == "object" and "additionalProperties" in node:
        assert "maxProperties" in node
        assert any("self.all(key, " in rule["rule"] for rule in node["x-kubernetes-validations"])
    elif kind == "integer":
        assert "minimum" in node
        assert "maximum" in node or path.startswith("status.")
    else:
        assert kind == "boolean" or node["properties"]


@pytest.mark.parametrize("node", alone(NODES))
def test_patterns_mean_the_same_to_the_api_server(node):
    """Python's end of text is written otherwise in RE2, and it knows no look-around."""
    pattern = node.get("pattern", "")
    assert r"\Z" not in pattern
    assert "(?" not in pattern
    assert not pattern or (pattern.startswith("^") and pattern.endswith("$"))
    assert not pattern or "maxLength" in node


@pytest.mark.parametrize("node", alone(NODES))
def test_every_rule_says_what_was_expected_and_where(node):
    """A rule without a message shows its source to a trader."""
    for rule in node.get("x-kubernetes-validations", []):
        assert len(rule["message"]) > 20
        assert "\n" not in rule["rule"]
        assert rule["reason"].startswith("FieldValue")
        target = rule.get("fieldPath", "").removeprefix(".").split(".")[0]
        assert not target or target in node["properties"]


def test_every_default_is_the_parsers():
    """The schema's defaults, filled in as the API server does, make the parser's configuration."""

    def filled(node):
        value = dict(node.get("default", {}))
        for name, inner in node["properties"].items():
            if "default" in inner:
                value[name] = filled(inner) if "properties" in inner else inner["default"]
        return value

    spec = root(ACCOUNT)["properties"]["spec"]
    document = {
        "apiVersion": accounts.API_VERSION,
        "kind": accounts.ACCOUNT_KIND,
        "metadata": {"name": "main"},
    }
    written = accounts.parse_account(document | {"spec": filled(spec)})
    assert written == accounts.parse_account(document)
    assert filled(spec["properties"]["risk"]) == accounts.to_fields(accounts.Risk())


def test_limits_have_no_default_as_a_whole():
    """Else nobody could tell whether a person wrote them down, which prod demands."""
    assert "default" not in root(ACCOUNT)["properties"]["spec"]["properties"]["risk"]


def test_each_order_and_each_immutable_field_has_its_rule():
    """The domain's tables are whole in the definition."""
    rules = [
        rule["rule"]
        for _, node in nodes(root(ACCOUNT))
        for rule in node.get("x-kubernetes-validations", [])
    ]
    spelled = [schema_rules.encoded_names(rule.part) for rule in ORDERED]
    for rule, names in zip(ORDERED, spelled, strict=True):
        sign = "<" if rule.is_strict else "<="
        assert f"self.{names[rule.low]} {sign} self.{names[rule.high]}" in rules
    assert rules.count("self == oldSelf") == len(IMMUTABLE)
    assert len(schema_rules.rules_of_field(Paper, "source")) == 1


def test_a_rule_that_looks_at_what_was_is_about_a_field_that_is_always_there():
    """A transition rule on an optional field is dodged by removing the field first."""
    for path, node in nodes(root(ACCOUNT)):
        if any("oldSelf" in rule["rule"] for rule in node.get("x-kubernetes-validations", [])):
            steps = path.split(".")
            parents = [".".join(steps[: count + 1]) for count in range(len(steps))]
            found = dict(nodes(root(ACCOUNT)))
            assert all("default" in found[parent] for parent in parents)


def test_a_part_s_default_holds_what_its_rules_read():
    """The API server tries a part's rules on its default as it stands."""
    spec = root(ACCOUNT)["properties"]["spec"]
    assert spec["default"] == {"mode": "paper"}
    strategy = spec["properties"]["strategy"]
    assert strategy["default"] == {"name": "HourlyHTC"}
    assert strategy["properties"]["autoStop"]["default"] == {}
    spike = strategy["properties"]["spikeAlert"]
    assert spike["default"] == {"enterBasisPoints": 36, "leaveBasisPoints": 30}


def test_lists_of_choices_are_sets_and_conditions_go_by_type():
    """Two managers share a set; a list of parts has one owner; conditions merge by type."""
    kinds = {
        path: node["x-kubernetes-list-type"]
        for path, node in nodes(root(ACCOUNT))
        if node["type"] == "array"
    }
    assert kinds == {
        "spec.series": "set",
        "spec.rollout.windows": "atomic",
        "spec.rollout.windows[].days": "set",
        "spec.pod.tolerations": "atomic",
        "status.trading.sources": "atomic",
        "status.conditions": "map",
    }
    conditions = dict(nodes(root(ACCOUNT)))["status.conditions"]
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


def test_the_status_is_a_subresource_without_balances():
    """Nothing in it ticks: every write of it wakes every watcher."""
    for definition in (ACCOUNT, FLEET):
        assert definition["spec"]["versions"][0]["subresources"] == {"status": {}}
    names = set(root(ACCOUNT)["properties"]["status"]["properties"])
    assert names == {field.encode_name for field in msgspec.structs.fields(AccountStatus)}
    assert not [name for name in names if re.search("balance|equity|price|lastSeen", name)]


def test_a_choice_explains_its_members():
    """Each member has a line; one without a text is only listed."""
    lines = schema_text.with_choices("Text.", Mode).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["Text.", *(item.value for item in Mode)]
    assert schema_text.with_choices("Text.", accounts.Day) == "Text."


def test_a_field_inherits_when_a_change_takes_effect():
    """The part's word holds below it, the field's own goes before it."""
    assert schema_text.manual("Text.", inherited="at once.") == "Text. Takes effect: at once."
    own = "Text. Takes effect: never."
    assert schema_text.manual(own, inherited="at once.") == own
    assert schema_text.effect_of(own, inherited="at once.") == "never."
    assert schema_text.without_effect(own) == "Text."


def test_a_struct_of_one_s_own_gets_a_whole_schema():
    """Required fields, optional ones, sets and texts, from the annotations alone."""
    made = struct_schema(accounts.RolloutWindow, "A window.", effect="at once.")
    assert made["required"] == ["durationMinutes", "startTime"]
    assert made["properties"]["durationMinutes"] == {
        "description": "How long it stays open, in minutes. Takes effect: at once.",
        "type": "integer",
        "format": "int64",
        "minimum": 10,
        "maximum": 720,
    }
    assert made["properties"]["timeZone"]["default"] == "UTC"
    assert "default" not in made["properties"]["days"]


def test_the_series_of_the_definition_are_the_products():
    """A series that is added to the product is added to the definition by `make render`."""
    series = root(ACCOUNT)["properties"]["spec"]["properties"]["series"]
    assert series["items"]["enum"] == [item.value for item in Series]
    assert series["default"] == ["KXBTCD"]


def test_every_printed_column_is_a_field():
    """A column of a field that is not there stays empty without a word."""
    for definition, columns in ((ACCOUNT, schema.ACCOUNT_COLUMNS), (FLEET, schema.FLEET_COLUMNS)):
        known = {path for path, _ in nodes(root(definition))} | {"metadata.creationTimestamp"}
        for column in columns:
            plain = re.sub(r"\[\?.*?\]", "[]", column.path).removeprefix(".")
            assert plain in known


def test_the_files_lie_where_the_chart_looks():
    """Beside the templates, as files: Helm must not delete accounts with the release."""
    assert Path("charts/recio/files/crds") == schema.CRDS.relative_to(Path(__file__).parents[3])
