"""A newer definition over objects that an older one let in, and back again.

Each test defines the resource in a group of its own: the definition that the other tests use stays
as it is.
"""

import copy
import itertools

import pytest
from tests.apiserver.account_documents import CREDENTIALS, WINDOW, account
from tests.apiserver.server import CRDS_PATH, Objects, eventually

from recio.domain import account_config as accounts
from recio_operator.kube import Kind
from recio_operator.schema.definitions import definitions

_groups = (f"upgrade-{number}.recio.io" for number in itertools.count(1))


def spec_schema(definition):
    """Return the part of a definition that describes spec."""
    root = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return root["properties"]["spec"]


def without_rules(schema):
    """Remove every rule between fields, at any depth."""
    if isinstance(schema, dict):
        schema.pop("x-kubernetes-validations", None)
        for inner in schema.values():
            without_rules(inner)


@pytest.fixture
def newer(server):
    """Today's definition, in a group of this test's own."""
    definition = copy.deepcopy(definitions()["tradingaccounts.yaml"])
    group = next(_groups)
    definition["metadata"]["name"] = f"tradingaccounts.{group}"
    definition["spec"]["group"] = group
    yield definition
    server.request("DELETE", f"{CRDS_PATH}/{definition['metadata']['name']}").expect()


@pytest.fixture
def older(newer):
    """What an older release may have had: wider, without rules, without some fields, one more."""
    definition = copy.deepcopy(newer)
    without_rules(definition["spec"]["versions"][0]["schema"])
    spec = spec_schema(definition)
    spec["properties"]["risk"]["properties"]["maxOpenTrades"]["maximum"] = 1000
    del spec["properties"]["risk"]["properties"]["maxDrawdownDollars"]
    del spec["properties"]["strategy"]["properties"]["sizing"]
    del spec["properties"]["paper"]["properties"]["source"]
    spec["properties"]["pauseEntries"] = {"type": "boolean"}
    return definition


class Stage:
    """Objects of this test's group, in one namespace."""

    def __init__(self, server, namespace, group):
        self._server = server
        self._version = f"{group}/v1alpha1"
        kind = Kind(self._version, "TradingAccount", "tradingaccounts")
        self.objects = Objects(server, namespace, {"TradingAccount": kind})

    def document(self, spec, name="main"):
        """Return an account in this test's group."""
        return account(spec, name) | {"apiVersion": self._version}

    def create(self, spec, name="main"):
        """Create an account that must be taken."""
        return self.objects.create(self.document(spec, name)).expect()

    def parsed(self, name="main"):
        """Return the stored account as the operator's parser sees it."""
        stored = self.objects.get("TradingAccount", name)
        return accounts.parse_account(stored | {"apiVersion": accounts.API_VERSION})

    def patch(self, spec, name="main"):
        """Change the spec and return the answer."""
        return self.objects.merge("TradingAccount", name, {"spec": spec})

    def define(self, definition, *, takes, refuses):
        """Apply a definition and wait until it is what the server judges by."""
        self._server.define(definition)

        def is_in_force():
            return (
                self.objects.try_out(self.document(takes, "probe")).is_ok
                and not self.objects.try_out(self.document(refuses, "probe")).is_ok
            )

        eventually(is_in_force, "the definition is in force")


OLD_ONLY = {"pauseEntries": True}
NEW_ONLY = {"strategy": {"sizing": {"contracts": 2}}}


@pytest.fixture
def stage(server, namespace, older):
    """The older definition in force."""
    one = Stage(server, namespace, older["spec"]["group"])
    one.define(older, takes=OLD_ONLY, refuses=NEW_ONLY)
    return one


@pytest.fixture
def upgrade(stage, newer):
    """Return a function that puts today's definition in force."""
    return lambda: stage.define(newer, takes=NEW_ONLY, refuses=OLD_ONLY)


def test_an_old_account_gains_defaults_and_loses_what_is_gone(stage, upgrade):
    """After an upgrade every stored account reads as if written today."""
    stage.create(OLD_ONLY | {"risk": {"maxOpenTrades": 2}})
    upgrade()
    stored = stage.objects.get("TradingAccount", "main")
    assert "pauseEntries" not in stored["spec"]
    assert stored["spec"]["strategy"]["sizing"]["contracts"] == 1
    assert stored["spec"]["risk"]["maxDrawdownDollars"] == 100
    assert stage.parsed().risk.max_open_trades == 2
    assert stored["metadata"]["generation"] == 1


def test_a_field_that_became_immutable_has_its_default_for_good(stage, upgrade):
    """The account's books are of the recording: that was the only source."""
    stage.create({})
    upgrade()
    assert stage.patch({"paper": {"source": "LiveFeed"}}).fields == {"spec.paper.source"}
    assert stage.patch({"paper": {"source": "Recording"}, "trading": "Halted"}).is_ok


def test_what_was_good_once_does_not_stand_in_the_way_of_a_halt(stage, upgrade):
    """A stored value that today is out of bounds stays until it is changed; the rest can change."""
    stage.create({"risk": {"maxOpenTrades": 500}})
    upgrade()
    assert stage.patch({"trading": "Halted"}).is_ok
    refused = stage.patch({"risk": {"maxOpenTrades": 400}})
    assert refused.fields == {"spec.risk.maxOpenTrades"}
    assert stage.patch({"risk": {"maxOpenTrades": 4}}).is_ok
    with pytest.raises(AssertionError):
        stage.create({"risk": {"maxOpenTrades": 500}}, "other")


def test_nor_does_a_rule_that_is_new(stage, upgrade):
    """The rule is tried again as soon as the part that it is about changes."""
    stage.create({"risk": {"minPriceCents": 90, "maxPriceCents": 80}})
    upgrade()
    assert stage.patch({"trading": "Halted"}).is_ok
    assert stage.patch({"risk": {"maxPriceCents": 85}}).fields == {"spec.risk.minPriceCents"}
    assert stage.patch({"risk": {"maxPriceCents": 95}}).is_ok


def test_the_operator_is_told_what_is_wrong_with_an_old_account(stage, upgrade):
    """What admission lets stay, the parser still refuses: a condition says so."""
    stage.create({"risk": {"maxOpenTrades": 500}})
    upgrade()
    with pytest.raises(accounts.InvalidValue, match=r"spec\.risk\.maxOpenTrades: expected"):
        stage.parsed()


def test_a_status_can_be_written_to_an_account_that_is_not_valid_any_more(stage, upgrade):
    """Else the condition that says what is wrong could not be told."""
    stage.create({"risk": {"maxOpenTrades": 500}, "mode": "demo", **CREDENTIALS})
    upgrade()
    status = {"status": {"observedGeneration": 1}}
    assert stage.objects.merge("TradingAccount", "main", status, part="status").is_ok


def test_a_rollback_keeps_accounts_readable(stage, upgrade, older):
    """The previous release reads what today's wrote, and a second upgrade finds it again."""
    upgrade()
    stage.create(NEW_ONLY | {"rollout": {"windows": [WINDOW]}})
    stage.define(older, takes=OLD_ONLY, refuses=NEW_ONLY)
    stored = stage.objects.get("TradingAccount", "main")
    assert "sizing" not in stored["spec"]["strategy"]
    assert stored["spec"]["rollout"]["windows"][0]["durationMinutes"] == 120
    assert stage.patch({"trading": "Halted"}).is_ok
    upgrade()
    assert stage.parsed().trading is accounts.Trading.HALTED
