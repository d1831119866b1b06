"""The custom resources on a real API server: what it refuses is what our parser refuses."""

import copy
import itertools
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.apiserver import account_documents as table
from tests.apiserver.account_documents import account, fleet
from tests.apiserver.made_up import specs

from recio.domain import account_config as accounts
from recio.domain.documents import InvalidDocument
from recio.domain.errors import InvalidValue

EXAMPLES = sorted((Path(__file__).parents[2] / "k8s" / "examples").glob("*.yaml"))
PARSERS = {"TradingAccount": accounts.parse_account, "TradingFleet": accounts.parse_fleet}
_names = (f"account-{number}" for number in itertools.count(1))


def problems_of(document):
    """Return what the parser says against a document; empty: it takes it."""
    try:
        PARSERS[document["kind"]](document)
    except InvalidDocument as error:
        return error.problems
    return ()


def named(case):
    """Return a case as it reads in a report."""
    return case.name


@pytest.fixture
def made(objects):
    """Return a function that creates an account and returns it as stored."""

    def create(spec, name=None):
        return objects.create(account(spec, name or next(_names))).expect()

    return create


@pytest.mark.parametrize("case", table.ACCEPTED, ids=named)
def test_what_the_parser_takes_the_api_server_takes(objects, case):
    """And what it then holds, defaults filled in, means the same to the parser."""
    document = account(case.spec)
    stored = objects.try_out(document).expect()
    assert accounts.parse_account(stored) == accounts.parse_account(document)


@pytest.mark.parametrize("case", table.REFUSED, ids=named)
def test_what_the_parser_refuses_the_api_server_refuses(objects, case):
    """Both point at the same field."""
    document = account(case.spec)
    problems = problems_of(document)
    assert any(problem.startswith(case.field) for problem in problems), problems
    answer = objects.try_out(document)
    assert answer.status == 422, answer.text
    assert any(field.startswith(case.field) for field in answer.fields), answer.text


@pytest.mark.parametrize("case", table.FLEETS, ids=named)
def test_a_fleet_is_judged_alike(objects, case):
    """The fleet's document, field by field."""
    document = fleet(case.spec)
    problems, answer = problems_of(document), objects.try_out(document)
    if case.field:
        assert [problem for problem in problems if problem.startswith(f"{case.field}:")]
        assert answer.fields >= {case.field}
    else:
        assert accounts.parse_fleet(answer.expect()) == accounts.parse_fleet(document)


def test_there_is_one_fleet(objects):
    """A second fleet would be a second switch that nobody looks at."""
    answer = objects.try_out(fleet({}, "other"))
    assert "expected metadata.name to be default" in answer.text
    assert problems_of(fleet({}, "other"))


@pytest.mark.parametrize(("name", "is_good"), table.NAMES.items())
def test_names_are_judged_alike(objects, name, is_good):
    """A name is part of the names of children and of a database login."""
    answer = objects.try_out(account({}, name))
    assert answer.is_ok is is_good, answer.text
    assert (not problems_of(account({}, name))) is is_good


@pytest.mark.parametrize("case", table.UNKNOWN_FIELDS, ids=named)
def test_a_field_that_there_is_not_is_refused(objects, case):
    """A typing error must not become a default: kubectl validates strictly."""
    document = account(case.spec)
    assert f'unknown field "{case.field}"' in objects.try_out(document).text
    assert any(problem.startswith(f"{case.field}: unknown") for problem in problems_of(document))


@pytest.mark.parametrize("case", table.UNKNOWN_FIELDS, ids=named)
def test_a_client_that_does_not_care_has_unknown_fields_dropped(objects, case):
    """They are pruned, so that nothing that is stored is unknown to the operator."""
    stored = objects.try_out(account(case.spec), validation="Ignore").expect()
    assert problems_of(stored) == ()


@pytest.mark.parametrize("case", table.DIFFERENT, ids=named)
def test_what_the_api_server_mends_reads_well_afterwards(objects, case):
    """It drops null and stores 3.0 as 3; the operator sees a good document."""
    assert problems_of(account(case.spec))
    stored = objects.try_out(account(case.spec)).expect()
    assert problems_of(stored) == ()


def test_a_zone_that_is_nowhere_is_for_the_operator_to_say(objects):
    """The API server knows no time zones; everything else of a window it checks."""
    spec = {"rollout": {"windows": [table.WINDOW | {"timeZone": "America/Atlantis"}]}}
    assert objects.try_out(account(spec)).is_ok
    assert problems_of(account(spec))


@settings(
    max_examples=250,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(spec=specs())
def test_any_document_is_judged_alike(objects, spec):
    """Whatever is written, parser and API server say the same, and mean the same by yes."""
    document = account(spec)
    answer, problems = objects.try_out(document), problems_of(document)
    # Which zones there are is for the operator to say, as the test above has it.
    judged = [one for one in problems if "expected a zone such as" not in one]
    if judged or not problems:
        assert answer.is_ok is not bool(judged), (problems, answer.text)
    if answer.is_ok and not problems:
        assert accounts.parse_account(answer.body) == accounts.parse_account(document)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_applies(objects, path):
    """A newcomer's first document works."""
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        assert problems_of(objects.try_out(document).expect()) == ()


def test_every_default_comes_back(objects):
    """An empty document shows what is in force; limits are shown once they are written down."""
    stored = objects.try_out(account({})).expect()["spec"]
    wanted = accounts.to_fields(accounts.AccountSpec()) | {"series": ["KXBTCD"]}
    del wanted["risk"], wanted["pod"], wanted["rollout"]["windows"]  # the last two are empty
    assert stored == wanted
    written = objects.try_out(account({"risk": {}})).expect()["spec"]["risk"]
    assert written == accounts.to_fields(accounts.Risk())


IMMUTABLE = [
    ({"mode": "demo", **table.CREDENTIALS}, "spec.mode", "expected paper, received demo"),
    ({"mode": None}, "", ""),
    ({"paper": {"source": "LiveFeed"}}, "spec.paper.source", "expected Recording, received Live"),
    ({"paper": {"initialBalanceDollars": 2000}}, "spec.paper.initialBalanceDollars", "immutable"),
]


@pytest.mark.parametrize(("patch", "field", "said"), IMMUTABLE, ids=str)
def test_what_is_immutable_stays(objects, made, patch, field, said):
    """An account's books belong to one mode and one exchange; null means the default, as before."""
    before = made({})
    answer = objects.merge("TradingAccount", before["metadata"]["name"], {"spec": patch})
    assert answer.is_ok is (not field)
    assert answer.fields == ({field} if field else set())
    assert said in answer.text


@pytest.mark.parametrize(
    ("spec", "removed", "field"),
    [
        ({"paper": {"source": "LiveFeed"}}, ("paper", "source"), "spec.paper.source"),
        ({"paper": {"source": "LiveFeed"}}, ("paper",), "spec.paper.source"),
        (
            {"paper": {"initialBalanceDollars": 5}},
            ("paper", "initialBalanceDollars"),
            "spec.paper.initialBalanceDollars",
        ),
        ({"mode": "shadow", **table.CREDENTIALS}, ("mode",), "spec.mode"),
    ],
)
def test_an_immutable_field_is_not_dodged_by_leaving_it_out(objects, made, spec, removed, field):
    """Without the field its default would count, which is another value."""
    stored = made(spec)
    part = stored["spec"]
    for step in removed[:-1]:
        part = part[step]
    del part[removed[-1]]
    assert field in objects.replace(stored).fields


def test_nor_by_adding_it_later(objects, made):
    """What was left out was the default; another value is a change."""
    name = made({})["metadata"]["name"]
    patch = {"spec": {"paper": {"source": "LiveFeed"}}}
    assert objects.merge("TradingAccount", name, patch).fields == {"spec.paper.source"}
    again = {"spec": {"paper": {"source": "Recording", "initialBalanceDollars": 1000}}}
    assert objects.merge("TradingAccount", name, again).is_ok


BORN_WITH = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(["paper", "shadow", "demo"]),
        "trading": st.sampled_from(["Active", "Halted"]),
        "paper": st.fixed_dictionaries(
            {},
            optional={
                "source": st.sampled_from(["Recording", "LiveFeed"]),
                "initialBalanceDollars": st.sampled_from([1000, 5]),
            },
        ),
    },
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=BORN_WITH, new=BORN_WITH)
def test_any_change_is_judged_alike(objects, made, old, new):
    """Left out, added, removed or changed: the local runner refuses the same changes."""
    for spec in (old, new):
        if spec.get("mode", "paper") != "paper":
            spec.update(table.CREDENTIALS)
    stored = made(old)
    replaced = stored | {"spec": copy.deepcopy(new)}
    before, after = (accounts.parse_account(document) for document in (stored, replaced))
    try:
        accounts.refuse_immutable_changes(before, after)
        is_good = True
    except InvalidValue:
        is_good = False
    answer = objects.replace(replaced, dryRun="All")
    assert answer.is_ok is is_good, answer.text


def test_arming_comes_and_goes(objects, made):
    """Removing it is how a prod account is disarmed; a wrong one says what was expected."""
    made(table.PROD, "main")
    assert objects.merge("TradingAccount", "main", {"spec": {"arming": None}}).is_ok
    answer = objects.merge("TradingAccount", "main", {"spec": {"arming": "mine"}})
    assert "expected spec.arming to be main" in answer.text
    assert "received mine" in answer.text
    assert objects.merge("TradingAccount", "main", {"spec": {"arming": "main"}}).is_ok


def test_limits_and_credentials_of_prod_cannot_be_removed(objects, made):
    """Without them it could not have been created."""
    made(table.PROD, "main")
    for field in ("risk", "credentialsSecretRef"):
        answer = objects.merge("TradingAccount", "main", {"spec": {field: None}})
        assert answer.fields == {f"spec.{field}"}


def test_a_generation_is_of_the_spec_alone(objects, made):
    """The operator's status writes do not look like a new wish."""
    one = made({})
    name = one["metadata"]["name"]
    assert one["metadata"]["generation"] == 1
    status = {"observedGeneration": 1, "workloads": "6/6", "flat": True}
    after = objects.merge("TradingAccount", name, {"status": status}, part="status").expect()
    assert after["status"] == status
    assert after["metadata"]["generation"] == 1
    halted = objects.merge("TradingAccount", name, {"spec": {"trading": "Halted"}}).expect()
    assert halted["metadata"]["generation"] == 2
    assert halted["status"] == status


def test_each_door_writes_only_its_own_part(objects, made):
    """A document with a status does not set it; a status write does not touch the spec."""
    name = made({})["metadata"]["name"]
    written = objects.merge("TradingAccount", name, {"status": {"workloads": "1/1"}}).expect()
    assert "status" not in written
    patch = {"spec": {"trading": "Halted"}, "status": {"workloads": "1/1"}}
    written = objects.merge("TradingAccount", name, patch, part="status").expect()
    assert written["spec"]["trading"] == "Active"
    assert written["status"] == {"workloads": "1/1"}


CONDITION = {
    "type": "Ready",
    "status": "False",
    "reason": "SecretNotFound",
    "message": "",
    "lastTransitionTime": "2026-11-21T18:00:00Z",
    "observedGeneration": 1,
}
STATUS = {
    "observedGeneration": 3,
    "effectiveGeneration": 2,
    "trading": {
        "effective": "Halted",
        "sources": [
            {"source": "ui", "state": "Halted", "reason": "me", "since": "2026-11-21T18:00:00Z"},
            {"source": "breaker:btc_price_watchdog", "state": "NoNewEntries", "reason": ""},
        ],
    },
    "workloads": "5/6",
    "flat": False,
    "image": "recio:1",
    "operatorVersion": "0.1.0",
    "credentialsHash": "0f" * 32,
    "conditions": [CONDITION, CONDITION | {"type": "Progressing", "status": "Unknown"}],
}


def test_a_whole_status_is_stored_as_it_is(objects, made):
    """Nothing of it is pruned."""
    name = made({})["metadata"]["name"]
    answer = objects.merge("TradingAccount", name, {"status": STATUS}, part="status")
    assert answer.expect()["status"] == STATUS


@pytest.mark.parametrize(
    ("status", "field"),
    [
        ({"workloads": "six"}, "status.workloads"),
        ({"flat": "yes"}, "status.flat"),
        ({"trading": {"effective": "On"}}, "status.trading.effective"),
        ({"conditions": [CONDITION, CONDITION]}, "status.conditions[1]"),
        ({"conditions": [CONDITION | {"status": "Maybe"}]}, "status.conditions[0].status"),
        ({"conditions": [CONDITION | {"reason": ""}]}, "status.conditions[0].reason"),
        (
            {
                "trading": {
                    "effective": "Active",
                    "sources": [{"source": "a", "state": "Active"}] * 9,
                }
            },
            "status.trading.sources",
        ),
    ],
    ids=str,
)
def test_a_status_that_cannot_be_is_refused(objects, made, status, field):
    """A mistake of ours is an error, not something to be read wrongly."""
    name = made({})["metadata"]["name"]
    answer = objects.merge("TradingAccount", name, {"status": status}, part="status")
    assert any(found.startswith(field) for found in answer.fields), answer.text


def applied(name, spec):
    """Return what a field manager applies."""
    return account(spec, name)


def test_two_managers_share_a_set(objects):
    """Each adds its series; the one that lets go takes only its own along."""
    objects.apply(applied("shared", {"series": ["KXBTCD"]}), "one").expect()
    both = objects.apply(applied("shared", {"series": ["KXETHD"]}), "two").expect()
    assert set(both["spec"]["series"]) == {"KXBTCD", "KXETHD"}
    left = objects.apply(applied("shared", {}), "two").expect()
    assert left["spec"]["series"] == ["KXBTCD"]


def test_two_managers_share_maps_and_parts(objects):
    """GitOps holds the limits, a person the switch: no conflict."""
    first = {"risk": {"maxOpenTrades": 2}, "pod": {"nodeSelector": {"a": "1"}}}
    objects.apply(applied("shared", first), "gitops").expect()
    second = {"trading": "Halted", "risk": {"maxOrdersPerMinute": 9}}
    second |= {"pod": {"nodeSelector": {"b": "2"}}}
    spec = objects.apply(applied("shared", second), "person").expect()["spec"]
    assert (spec["risk"]["maxOpenTrades"], spec["risk"]["maxOrdersPerMinute"]) == (2, 9)
    assert spec["pod"]["nodeSelector"] == {"a": "1", "b": "2"}
    conflict = objects.apply(applied("shared", {"risk": {"maxOpenTrades": 3}}), "person")
    assert conflict.status == 409
    assert 'conflict with "gitops"' in conflict.text


def test_a_list_of_windows_has_one_owner(objects):
    """Half of somebody's windows and half of another's would be nobody's wish."""
    one, other = table.WINDOW, table.WINDOW | {"startTime": "12:00"}
    objects.apply(applied("shared", {"rollout": {"windows": [one]}}), "one").expect()
    second = applied("shared", {"rollout": {"windows": [other]}})
    assert objects.apply(second, "two").status == 409
    taken = objects.apply(second, "two", force=True).expect()
    assert [window["startTime"] for window in taken["spec"]["rollout"]["windows"]] == ["12:00"]


def test_conditions_are_applied_by_type(objects, made):
    """Another writer's condition stays when ours changes."""
    name = made({})["metadata"]["name"]
    for manager, kind in (("recio-operator", "Ready"), ("monitor", "Watched")):
        status = {"conditions": [CONDITION | {"type": kind}]}
        document = {**account({}, name), "status": status}
        del document["spec"]
        answer = objects.apply(document, manager, part="status")
    kinds = [condition["type"] for condition in answer.expect()["status"]["conditions"]]
    assert kinds == ["Ready", "Watched"]


def table_of(server, objects, plural):
    """Return what ``kubectl get`` shows: the columns, and the cells of each row."""
    path = f"/apis/recio.io/v1alpha1/namespaces/{objects.namespace}/{plural}"
    shown = server.request(
        "GET", path, accept="application/json;as=Table;v=v1;g=meta.k8s.io"
    ).expect()
    return shown["columnDefinitions"], [row["cells"] for row in shown["rows"]]


def test_a_list_of_accounts_says_what_one_wants_to_know(server, objects, made):
    """Mode, switch, health, and why; more with -o wide."""
    name = made({}, "paper")["metadata"]["name"]
    objects.merge("TradingAccount", name, {"status": STATUS}, part="status").expect()
    columns, rows = table_of(server, objects, "tradingaccounts")
    names = [column["name"] for column in columns if column["priority"] == 0]
    assert names == ["Name", "Mode", "Trading", "Ready", "Workloads", "Reason", "Age"]
    wide = [column["name"] for column in columns if column["priority"] == 1]
    assert wide == ["Strategy", "Topology", "Image"]
    assert rows[0][:-1] == [
        *("paper", "paper", "Halted", "False", "5/6", "SecretNotFound"),
        *("HourlyHTC", "PerService", "recio:1"),
    ]


def test_a_list_of_fleets_too(server, objects):
    """The switch and how many accounts it is over."""
    objects.create(fleet({"risk": {"maxCostTotalDollars": 200}})).expect()
    status = {"trading": {"effective": "Active"}, "accounts": 4, "conditions": [CONDITION]}
    objects.merge("TradingFleet", "default", {"status": status}, part="status").expect()
    columns, rows = table_of(server, objects, "tradingfleets")
    names = [column["name"] for column in columns]
    assert names == [
        "Name",
        "Trading",
        "Ready",
        "Accounts",
        "Reason",
        "Max-Cost",
        "Max-Loss",
        "Age",
    ]
    assert rows[0][:-1] == ["default", "Active", "False", 4, "SecretNotFound", 200, None]


def test_short_names_and_the_category_are_served(server):
    """``kubectl get ta``, ``tf`` and ``recio``."""
    served = server.request("GET", "/apis/recio.io/v1alpha1").expect()["resources"]
    found = {
        (resource["kind"], *resource["shortNames"], *resource["categories"])
        for resource in served
        if "/" not in resource["name"]
    }
    assert found == {("TradingAccount", "ta", "recio"), ("TradingFleet", "tf", "recio")}


def described(schema, schemas, path):
    """Yield (path, description) of every field that the server tells clients of."""
    for name, inner in schema.get("properties", {}).items():
        if path or name not in {"apiVersion", "kind", "metadata"}:
            where = f"{path}.{name}" if path else name
            yield where, inner.get("description", "")
            yield from described(inner, schemas, where)
    if "items" in schema:
        yield from described(schema["items"], schemas, f"{path}[]")


@pytest.mark.parametrize("kind", PARSERS)
def test_kubectl_explain_knows_every_field(server, kind):
    """The server's OpenAPI v3, which kubectl explain reads, describes each field."""
    schemas = server.request("GET", "/openapi/v3/apis/recio.io/v1alpha1").expect()["components"]
    root = schemas["schemas"][f"io.recio.v1alpha1.{kind}"]
    found = dict(described(root, schemas, ""))
    parts = {"TradingAccount": accounts.AccountSpec, "TradingFleet": accounts.FleetConfig}
    assert {f"spec.{field.encode_name}" for field in msgspec.structs.fields(parts[kind])} <= set(
        found
    )
    assert [path for path, text in found.items() if len(text) < 20] == []
    assert len(found) > {"TradingAccount": 100, "TradingFleet": 15}[kind]
