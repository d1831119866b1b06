"""TradingAccount and TradingFleet documents: bounds, rules, round trip."""

import contextlib
import copy
import itertools
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from recio.domain import account_config as accounts
from recio.domain.documents import InvalidDocument

EXAMPLES = Path(__file__).parents[3] / "k8s" / "examples"


def document(spec=None, *, name="paper", kind="TradingAccount"):
    """Return a TradingAccount document."""
    return {
        "apiVersion": "recio.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec or {},
    }


def prod_spec(**changes):
    """Return a spec that mode prod accepts, with changes."""
    required = {
        "mode": "prod",
        "arming": "main",
        "credentialsSecretRef": {"name": "kalshi"},
        "risk": {"maxOpenTrades": 1},
    }
    return required | changes


def problems_of(spec, *, name="paper"):
    """Return the problems that a spec is refused for."""
    with pytest.raises(InvalidDocument) as refused:
        accounts.parse_account(document(spec, name=name))
    return refused.value.problems


def with_field(path, value):
    """Return a spec that says ``value`` at a dotted path."""
    spec = {}
    *parents, leaf = path.split(".")
    inner = spec
    for parent in parents:
        inner = inner.setdefault(parent, {})
    inner[leaf] = value
    return spec


def integer_fields(struct, path=""):
    """Yield (path, low, high) of every bounded integer outside lists and optional parts."""
    for field in msgspec.structs.fields(struct):
        info = inspect.type_info(field.type)
        where = f"{path}{field.encode_name}"
        info = info.type if isinstance(info, inspect.Metadata) else info
        if isinstance(info, inspect.IntType):
            yield where, info.ge, info.le
        elif isinstance(info, inspect.StructType):
            yield from integer_fields(info.cls, f"{where}.")


INTEGERS = sorted(integer_fields(accounts.AccountSpec))
IMMUTABLE_CHANGES = [
    {"paper": {"initialBalanceDollars": 999}},
    {"paper": {"source": "LiveFeed"}},
    {"mode": "shadow", "credentialsSecretRef": {"name": "x"}},
]


def test_every_bounded_number_of_the_document_is_known_here():
    """The mutation tests below cover the whole document, not a part of it."""
    assert len(INTEGERS) == 31
    assert all(low is not None and high is not None for _, low, high in INTEGERS)


@pytest.mark.parametrize(("path", "low", "high"), INTEGERS, ids=[row[0] for row in INTEGERS])
@pytest.mark.parametrize("wrong", ["below", "above", True, 1.0, "5", None, float("nan"), [], {}])
def test_an_impossible_number_is_refused_and_named(path, low, high, wrong):
    """A number out of bounds, or no integer at all, is named with its path."""
    value = {"below": low - 1, "above": high + 1}[wrong] if wrong in ("below", "above") else wrong
    first = problems_of(with_field(path, value))[0]
    assert first.startswith(f"spec.{path}: expected an integer from {low} to {high}, received ")


@pytest.mark.parametrize(("path", "low", "high"), INTEGERS, ids=[row[0] for row in INTEGERS])
def test_bounds_are_inclusive(path, low, high):
    """Both bounds themselves are within; only a rule between fields may still object."""
    for value in (low, high):
        try:
            accounts.parse_account(document(with_field(path, value)))
        except InvalidDocument as refused:
            text = "\n".join(refused.problems)
            assert "expected an integer" not in text
            assert "at most" in text or "less than" in text


def test_an_empty_spec_gives_the_documented_defaults():
    """What the resource's table calls the default is the default."""
    config = accounts.parse_account(document())
    assert config.mode is accounts.Mode.PAPER
    assert config.trading is accounts.Trading.ACTIVE
    assert config.topology is accounts.Topology.PER_SERVICE
    assert config.series == (accounts.Series.KXBTCD,)
    assert config.risk.max_daily_loss_dollars == 25
    assert config.strategy.model is accounts.Model.VOLATILITY
    assert config.strategy.auto_entry.enabled is False
    assert config.strategy.auto_stop.probability.below_permille == 400
    assert config.image is None


def test_all_problems_are_told_at_once():
    """A person mends a document in one go, also where a rule between fields is broken."""
    problems = problems_of(
        {
            "mode": "demo",
            "trading": "On",
            "risk": {"maxOpenTrades": 0, "minPriceCents": 99, "maxOpentrades": 4},
            "rollout": {"windows": [{"startTime": 630, "durationMinutes": 60}]},
        }
    )
    assert problems == (
        f"spec.trading: expected one of {', '.join(accounts.Trading)}, received 'On'",
        "spec.rollout.windows[0].startTime: expected a string (in quotes), received 630",
        "spec.risk.maxOpentrades: unknown field; did you mean maxOpenTrades?",
        "spec.risk.maxOpenTrades: expected an integer from 1 to 100, received 0",
        "spec.credentialsSecretRef: is required in mode demo",
        "spec.risk.minPriceCents: expected at most maxPriceCents (98), received 99",
    )


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"risk": {"maxContractsPerOrder": 60}}, "spec.risk.maxContractsPerOrder"),
        ({"risk": {"maxContractsPerEvent": 101}}, "spec.risk.maxContractsPerEvent"),
        ({"risk": {"maxCostPerEventDollars": 101}}, "spec.risk.maxCostPerEventDollars"),
        ({"risk": {"maxPriceCents": 40, "minPriceCents": 41}}, "spec.risk.minPriceCents"),
        (
            {"strategy": {"autoEntry": {"minSecondsToClose": 901}}},
            "spec.strategy.autoEntry.minSecondsToClose",
        ),
        (
            {"strategy": {"spikeAlert": {"leaveBasisPoints": 36}}},
            "spec.strategy.spikeAlert.leaveBasisPoints",
        ),
        ({"strategy": {"name": "Custom"}}, "spec.strategy.custom"),
        (
            {"strategy": {"custom": {"configMapRef": {"name": "a", "key": "b"}, "className": "C"}}},
            "spec.strategy.custom",
        ),
        ({"series": []}, "spec.series"),
        ({"series": ["KXBTCD", "KXBTCD"]}, "spec.series"),
        ({"credentialsSecretRef": {"name": "x"}}, "spec.credentialsSecretRef"),
        ({"mode": "shadow"}, "spec.credentialsSecretRef"),
        ({"image": "x" * 513}, "spec.image"),
        ({"image": None}, "spec.image"),
        ({"arming": "x" * 64}, "spec.arming"),
        ({"suspend": "false"}, "spec.suspend"),
        ({"pod": {"nodeSelector": {str(n): "x" for n in range(17)}}}, "spec.pod.nodeSelector"),
        ({"pod": {"nodeSelector": {"a": 1}}}, "spec.pod.nodeSelector.a"),
        ({"pod": {"tolerations": [{"operator": "Is"}]}}, "spec.pod.tolerations[0].operator"),
        ({"pod": {"tolerations": [{"value": "a"}]}}, "spec.pod.tolerations[0].operator"),
        (
            {"pod": {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}},
            "spec.pod.tolerations[0].value",
        ),
        (
            {"pod": {"tolerations": [{"key": "a", "tolerationSeconds": 1}]}},
            "spec.pod.tolerations[0].effect",
        ),
        ({"pod": {"priorityClassName": "Trading"}}, "spec.pod.priorityClassName"),
        (
            {"pod": {"resources": {"limits": {"memory": "1 GB"}}}},
            "spec.pod.resources.limits.memory",
        ),
        ({"pod": {"resources": {"limits": {"mem": "1Gi"}}}}, "spec.pod.resources.limits (key)"),
        ({"image": "recio: latest"}, "spec.image"),
        (
            {"rollout": {"windows": [{"startTime": "24:00", "durationMinutes": 60}]}},
            "spec.rollout.windows[0].startTime",
        ),
        ({"rollout": {"windows": [{"durationMinutes": 60}]}}, "spec.rollout.windows[0].startTime"),
        (
            {
                "rollout": {
                    "windows": [
                        {"startTime": "03:00", "durationMinutes": 60, "timeZone": "Mars/Base"}
                    ]
                }
            },
            "spec.rollout.windows[0].timeZone",
        ),
        ({"risk": 3}, "spec.risk"),
        ({"nonsense": 3}, "spec.nonsense"),
    ],
)
def test_a_broken_rule_names_the_field(spec, path):
    """Each rule between fields, and each bound of a string, list or map, names its field."""
    problems = problems_of(spec)
    assert len(problems) == 1
    assert problems[0].startswith(f"{path}: ")


@pytest.mark.parametrize("missing", ["credentialsSecretRef", "risk"])
def test_prod_demands_credentials_and_limits(missing):
    """Nothing about real money is left to a default."""
    spec = prod_spec()
    del spec[missing]
    assert problems_of(spec, name="main")[0].startswith(f"spec.{missing}: is required in mode prod")


def test_limits_that_are_the_defaults_may_be_written_down_as_nothing_else():
    """``risk: {}`` says so explicitly, and is what the API server shows with defaults filled in."""
    config = accounts.parse_account(document(prod_spec(risk={}), name="main"))
    assert config.risk == accounts.Risk()


def test_prod_is_armed_only_by_its_own_name():
    """A copied file arms no account: the arming must equal the new name."""
    assert problems_of(prod_spec(arming="main"), name="second") == (
        "spec.arming: expected 'second' (the account's own name), received 'main'",
    )


def test_prod_without_arming_may_only_reduce():
    """Removing the arming is a legal change, and its effect is ReduceOnly or harder."""
    spec = prod_spec()
    del spec["arming"]
    unarmed = accounts.parse_account(document(spec, name="main"))
    halted = accounts.parse_account(document(spec | {"trading": "Halted"}, name="main"))
    armed = accounts.parse_account(document(prod_spec(), name="main"))
    assert accounts.resource_trading(unarmed) is accounts.Trading.REDUCE_ONLY
    assert accounts.resource_trading(halted) is accounts.Trading.HALTED
    assert accounts.resource_trading(armed) is accounts.Trading.ACTIVE


@pytest.mark.parametrize("name", ["", "Paper", "a_b", "-a", "a-", "a.b", "x" * 33, "a\n", 5, None])
def test_a_name_that_cannot_be_used_everywhere_is_refused(name):
    """The name becomes a label, a role and a folder: one grammar that suits them all."""
    with pytest.raises(InvalidDocument, match=r"metadata\.name"):
        accounts.parse_account(document(name=name))


@pytest.mark.parametrize("text", [None, "text", 5, [], [document()]])
def test_what_is_no_document_is_refused(text):
    """An empty file, a scalar or a list is told what was expected."""
    with pytest.raises(InvalidDocument, match="document: expected a mapping"):
        accounts.parse_account(text)


def test_another_kind_or_version_is_refused():
    """A fleet is no account, and a later version of the format is not guessed at."""
    with pytest.raises(InvalidDocument, match="kind: expected 'TradingAccount'"):
        accounts.parse_account(document(kind="TradingFleet"))
    with pytest.raises(InvalidDocument, match="apiVersion: expected"):
        accounts.parse_account(document() | {"apiVersion": "recio.io/v2"})


def test_what_the_api_server_adds_is_passed_over():
    """An object read back from a cluster is the same account."""
    stored = document() | {"status": {"flat": True}}
    stored["metadata"] |= {"uid": "1", "generation": 4, "managedFields": [], "labels": {"a": "b"}}
    assert accounts.parse_account(stored) == accounts.parse_account(document())


def test_a_misspelled_top_level_field_is_refused():
    """``sepc`` must not mean an account of defaults."""
    wrong = document()
    wrong["sepc"] = wrong.pop("spec")
    with pytest.raises(InvalidDocument, match="sepc: unknown field"):
        accounts.parse_account(wrong)


@st.composite
def specs(draw):
    """Draw a valid spec with a value at any subset of the bounded integers."""
    spec = {}
    for path, low, high in draw(st.lists(st.sampled_from(INTEGERS), unique=True)):
        *parents, leaf = path.split(".")
        inner = spec
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[leaf] = draw(st.integers(low, high))
    if draw(st.booleans()):
        spec |= {"mode": "demo", "credentialsSecretRef": {"name": draw(st.sampled_from("ab"))}}
    spec["trading"] = draw(st.sampled_from([item.value for item in accounts.Trading]))
    return spec


@given(specs())
def test_a_configuration_survives_the_round_trip(spec):
    """What is written out, defaults included, reads back as the same configuration."""
    before = copy.deepcopy(spec)
    try:
        config = accounts.parse_account(document(spec))
    except InvalidDocument:
        config = None
    assert spec == before
    if config is not None:
        written = accounts.to_document(config)
        assert accounts.parse_account(written) == config
        assert accounts.parse_account(yaml.safe_load(yaml.safe_dump(written))) == config


def test_what_is_left_out_of_a_list_item_stays_out():
    """A toleration without an effect is written without one, not with null."""
    config = accounts.parse_account(document({"pod": {"tolerations": [{"operator": "Exists"}]}}))

    written = accounts.to_document(config)

    assert accounts.parse_account(written) == config
    assert "effect" not in written["spec"]["pod"]["tolerations"][0]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["mode", "risk", "series", "strategy", "autoEntry", "name", "x"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_nothing_but_a_refusal_comes_of_nonsense(value):
    """Whatever the file holds, the answer is a configuration or InvalidValue, never a crash."""
    for anything in (value, document(value)):
        with contextlib.suppress(accounts.InvalidValue):
            accounts.parse_account(anything)


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.glob("*account*.yaml")), ids=lambda path: path.stem
)
def test_the_examples_are_valid(path):
    """What we hand out to copy is accepted."""
    configs = [accounts.parse_account(one) for one in yaml.safe_load_all(path.read_text())]
    assert len({config.name for config in configs}) == (3 if "several" in path.stem else 1)
    for config in configs:
        assert accounts.parse_account(accounts.to_document(config)) == config


def test_the_fleet_example_is_valid_and_round_trips():
    """The fleet document is read and written the same way."""
    fleet = accounts.parse_fleet(yaml.safe_load((EXAMPLES / "fleet.yaml").read_text()))
    assert fleet.risk.max_open_trades == 10
    assert accounts.parse_fleet(accounts.fleet_to_document(fleet)) == fleet


def test_there_is_one_fleet():
    """Its name is fixed, so that two can never disagree."""
    with pytest.raises(InvalidDocument, match=r"metadata\.name: expected 'default'"):
        accounts.parse_fleet(document(kind="TradingFleet", name="other"))


def test_the_newcomers_account_trades_paper_money_only():
    """`make run` opens a paper account with automation on and no credentials."""
    config = accounts.parse_account(yaml.safe_load((EXAMPLES / "paper-account.yaml").read_text()))
    assert (config.name, config.mode.value) == ("paper", "paper")
    assert config.strategy.auto_entry.enabled
    assert config.strategy.model is accounts.Model.FINGERPRINTS
    assert config.credentials_secret_ref is None


def test_switches_are_ordered_from_mild_to_hard():
    """The strictest of several sources wins, whatever their order; none at all is Active."""
    order = ["Active", "NoNewEntries", "ReduceOnly", "Halted", "Flatten"]
    assert [item.value for item in accounts.Trading] == order
    for mild, hard in itertools.combinations(accounts.Trading, 2):
        assert accounts.strictest(mild, hard) is hard
        assert accounts.strictest(hard, mild) is hard
    assert accounts.strictest() is accounts.Trading.ACTIVE


RISKS = st.builds(
    accounts.Risk,
    max_contracts_per_order=st.integers(1, 10_000),
    max_cost_total_dollars=st.integers(1, 1_000_000),
    max_open_trades=st.integers(1, 100),
    min_price_cents=st.integers(1, 99),
    max_price_cents=st.integers(1, 99),
    max_price_age_milliseconds=st.integers(500, 15_000),
    on_breach=st.sampled_from(accounts.OnBreach),
)


@given(RISKS, RISKS)
def test_tightened_limits_are_never_looser_than_either(resource, ui):
    """The page may tighten what the resource allows and can never loosen it."""
    both = accounts.tighten(resource, ui)
    for name in accounts.Risk.__struct_fields__:
        result, one, other = (getattr(risk, name) for risk in (both, resource, ui))
        if name == "on_breach":
            steps = [item.value for item in accounts.OnBreach]
            assert steps.index(result.value) == max(steps.index(one.value), steps.index(other))
        elif name == "min_price_cents":
            assert result == max(one, other)
        else:
            assert result == min(one, other)
    assert accounts.tighten(both, ui) == both
    assert accounts.tighten(resource, None) == resource


@pytest.mark.parametrize("change", IMMUTABLE_CHANGES, ids=["opening cash", "source", "mode"])
def test_what_an_account_was_born_with_stays(change):
    """Mode, paper exchange and opening cash are immutable: the books began with them."""
    old = accounts.parse_account(document())
    new = accounts.parse_account(document(change))
    accounts.refuse_immutable_changes(old, old)
    with pytest.raises(InvalidDocument, match="immutable"):
        accounts.refuse_immutable_changes(old, new)


def test_parts_that_the_page_sends_are_checked_alike():
    """A risk or strategy mapping alone has the same bounds and rules."""
    assert accounts.parse_risk({"maxOpenTrades": 2}).max_open_trades == 2
    assert accounts.parse_strategy({"model": "Blend"}).model is accounts.Model.BLEND
    assert accounts.to_fields(accounts.parse_risk({}))["maxOpenTrades"] == 3
    with pytest.raises(InvalidDocument, match=r"risk\.maxContractsPerOrder"):
        accounts.parse_risk({"maxContractsPerOrder": 51})
    with pytest.raises(InvalidDocument, match=r"strategy\.spikeAlert\.leaveBasisPoints"):
        accounts.parse_strategy({"spikeAlert": {"leaveBasisPoints": 60}})
