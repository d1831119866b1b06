"""What holds of every plan, whatever document, books, key and cluster come together."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.unit.operator.world import NOW_US, SECOND_US, World, document, good_key, release

from recio.domain.account_config import Series, Trading, parse_account
from recio_operator import names
from recio_operator.planning.account import plan_account
from recio_operator.planning.desired import key_secret
from recio_operator.planning.observed import Books, Key, KeyState, SwitchSource
from recio_operator.planning.plan import Plan
from recio_operator.planning.templates import ACCOUNT_SERVICES

MODES = st.sampled_from(["paper", "demo", "prod"])
TOPOLOGIES = st.sampled_from(["PerService", "Compact"])
WINDOWS = st.lists(
    st.fixed_dictionaries(
        {
            "startTime": st.sampled_from(["00:00", "11:00", "23:30"]),
            "durationMinutes": st.sampled_from([10, 720]),
            "timeZone": st.sampled_from(["UTC", "America/New_York", "Asia/Tokyo"]),
        }
    ),
    max_size=2,
)
CUSTOM = {
    "name": "Custom",
    "custom": {"configMapRef": {"name": "mine", "key": "strategy.py"}, "className": "Mine"},
}
SPECS = st.fixed_dictionaries(
    {
        "topology": TOPOLOGIES,
        "trading": st.sampled_from([one.value for one in Trading]),
        "suspend": st.booleans(),
        "series": st.lists(st.sampled_from([one.value for one in Series]), min_size=1, unique=True),
        "image": st.sampled_from(["example.org/a:1", "example.org/b:2"]),
        "strategy": st.sampled_from([{}, CUSTOM]),
        "risk": st.sampled_from([{"maxOpenTrades": 1}, {"maxOpenTrades": 9}]),
        "rollout": st.fixed_dictionaries(
            {
                "policy": st.sampled_from(["WhenFlat", "Immediately", "Manual"]),
                "deadlineSeconds": st.sampled_from([0, 60]),
                "windows": WINDOWS,
            }
        ),
        "pod": st.sampled_from([{}, {"nodeSelector": {"disk": "fast"}}]),
    }
)
SWITCHES = st.lists(
    st.builds(
        SwitchSource,
        source=st.sampled_from(["ui", "fleet", "breaker:a"]),
        state=st.sampled_from(Trading),
        reason=st.just("because"),
        since_us=st.just(NOW_US),
    ),
    max_size=2,
    unique_by=lambda row: row.source,
)
FACTS = st.fixed_dictionaries(
    {
        "is_flat": st.booleans(),
        "live_orders": st.integers(0, 2),
        "open_trades": st.integers(0, 2),
        "has_overrides": st.booleans(),
    }
)
KEYS = st.sampled_from(
    [
        good_key(),
        good_key(number=2),
        Key(state=KeyState.KEY_BROKEN, detail="no PEM", digest="e" * 64),
        Key(state=KeyState.SECRET_NOT_FOUND, detail="no Secret"),
        Key(state=KeyState.KEY_IN_USE, detail="beta has it", digest="f" * 64, id_digest="f" * 64),
        None,
    ]
)


def know(world: World, facts: dict[str, Any], switches: list[SwitchSource]) -> None:
    """Let the books say something else, and keep what was written to them."""
    held = world.books or Books(is_flat=True, live_orders=0, open_trades=0, executor=None)
    own = tuple(row for row in held.switches if row.source == "resource")
    world.books = dataclasses.replace(held, **facts, switches=(*own, *switches))


@st.composite
def changed_worlds(draw) -> World:
    """Return an account that was settled, and of which anything may have changed since."""
    mode = draw(MODES)
    world = World(document(mode=mode, **draw(SPECS)), key=good_key())
    world.settle(most=12)
    world.rolled.clear()
    change(draw, world)
    return world


def change(draw, world: World) -> None:
    """Change anything of a world."""
    if draw(st.booleans()):
        world.change(**draw(SPECS))
    if draw(st.booleans()):
        world.release = release(version="0.2.0", image={"reference": "example.org/c:3"})
    if draw(st.booleans()):
        world.annotate(restartedAt="2026-11-18T12:00:00Z")
    world.key = draw(KEYS)
    know(world, draw(FACTS), draw(SWITCHES))
    world.books_reason = draw(st.sampled_from(["", "", "connection refused"]))
    for component in world.pods:
        world.pods[component] = draw(st.sampled_from(["", "", "CrashLoopBackOff: back-off 10s"]))
    world.now_us += draw(st.integers(0, 200)) * SECOND_US


@settings(max_examples=60)
@given(st.data())
def test_a_plan_carried_out_leaves_nothing_to_do(data):
    """Whatever happened: a few looks later there is nothing to write, and it stays so."""
    world = data.draw(changed_worlds())
    for _ in range(2):
        world.settle(most=12)
        assert world.plan().is_nothing
        change(data.draw, world)


@settings(max_examples=40)
@given(changed_worlds())
def test_a_plan_is_a_function(world):
    """The same look gives the same plan, and the look itself is not touched."""
    seen = world.observed()
    before = copy.deepcopy(seen)

    assert plan_account(seen, world.release) == plan_account(before, world.release)
    assert seen == before


@settings(max_examples=60)
@given(changed_worlds())
def test_unknown_books_never_cause_a_restart(world):
    """Who cannot see what is open replaces and stops nothing, for as long as it lasts."""
    world.books_reason = "connection refused"

    for _ in range(3):
        world.settle(most=12)
        world.now_us += 10_000 * SECOND_US

    assert world.rolled == []


@settings(max_examples=60)
@given(changed_worlds())
def test_when_flat_replaces_no_template_while_something_is_open(world):
    """Without a deadline nothing but a rotated key and a suspension touches running pods."""
    world.change(rollout={"policy": "WhenFlat", "deadlineSeconds": 0}, suspend=False)
    world.key = good_key()
    know(world, {"is_flat": False, "live_orders": 1}, [])
    world.pods = dict.fromkeys(world.pods, "")
    running = {name for name, live in world.deployments().items() if live["spec"]["replicas"]}

    world.settle(most=12)

    assert not running & set(world.rolled)


@settings(max_examples=50)
@given(changed_worlds(), st.sampled_from(Trading), st.booleans())
def test_switches_and_limits_are_never_held(world, trading, is_flat):
    """What stops or tightens is in the very next document, whatever else of it waits."""
    world.books_reason = ""
    know(world, {"is_flat": is_flat, "live_orders": 2, "open_trades": 3}, [])
    world.change(trading=trading.value, risk={"maxOpenTrades": 2})

    world.step()

    spec = world.books.applied_spec
    assert spec["trading"] == trading.value
    assert spec["risk"]["maxOpenTrades"] == 2


@settings(max_examples=40)
@given(changed_worlds())
def test_what_waits_is_told(world):
    """EffectiveGeneration is the generation only if all of the document counts."""
    world.settle(most=12)
    if world.books_reason:
        return
    wanted = parse_account(world.document)
    held = parse_account(world.document | {"status": {}, "spec": world.books.applied_spec})
    is_all = wanted == held
    status = world.document["status"]
    generation = world.document["metadata"]["generation"]

    assert is_all or status.get("effectiveGeneration") != generation
    if status.get("effectiveGeneration") == generation:
        images = {
            live["spec"]["template"]["spec"]["containers"][0]["image"]
            for live in world.deployments().values()
        }
        assert images <= {wanted.image}


@settings(max_examples=30)
@given(MODES, SPECS, KEYS)
def test_nothing_secret_is_in_any_output(mode, spec, key):
    """A plan names Secrets and holds none; even the key's digest is shown as a digest of it."""
    world = World(document(mode=mode, **spec), key=key)
    said = json.dumps([_shown(world.step()) for _ in range(4)])

    assert '"kind": "Secret"' not in said
    if key is not None and key.digest:
        assert key.digest not in said
        assert key.id_digest == "" or key.id_digest not in said


def _shown(plan: Plan) -> Any:
    return [plan.apply, plan.status, [dataclasses.asdict(note) for note in plan.notes]]


@settings(max_examples=30)
@given(MODES, SPECS)
def test_every_child_is_owned_and_labelled(mode, spec):
    """The garbage collector and the watch by label find all of them."""
    world = World(document(mode=mode, **spec), key=good_key())
    world.settle()

    for (kind, name), child in world.children.items():
        metadata = child["metadata"]
        assert metadata["namespace"] == "trading"
        assert [one["uid"] for one in metadata["ownerReferences"]] == ["uid-of-alpha"], (kind, name)
        assert metadata["ownerReferences"][0]["controller"] is True
        assert metadata["labels"][names.ACCOUNT_LABEL] == "alpha"
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "recio-operator"
        assert metadata["annotations"][names.CHECKSUM]


@settings(max_examples=30)
@given(MODES, SPECS)
def test_every_pod_is_restricted(mode, spec):
    """The pod security standard "restricted", no token, nothing to write but /tmp."""
    for template in _templates(mode, spec):
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 65532
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert {one["name"] for one in pod["volumes"] if "emptyDir" in one} == {"tmp"}
        for container in (*pod["initContainers"], *pod["containers"]):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert "privileged" not in security


def _templates(mode: str, spec: dict[str, Any]) -> list[dict[str, Any]]:
    world = World(document(mode=mode, **spec), key=good_key())
    world.settle()
    return [live["spec"]["template"] for live in world.deployments().values()]


@settings(max_examples=30)
@given(MODES, SPECS)
def test_mounts_are_declared_and_no_more_than_needed(mode, spec):
    """A key is mounted where orders are made and read; each Secret is one that the account may use."""
    world = World(document(mode=mode, **spec), key=good_key())
    world.settle()
    key = key_secret(parse_account(world.document))
    allowed = {key, "ta-alpha-database", "recio-redis"}

    for live in world.deployments().values():
        pod = live["spec"]["template"]["spec"]
        declared = {one["name"] for one in pod["volumes"]}
        mounted = {
            mount["name"]
            for one in (*pod["initContainers"], *pod["containers"])
            for mount in one["volumeMounts"]
        }
        assert mounted == declared
        secrets = {
            source["secret"]["name"]
            for volume in pod["volumes"]
            for source in volume.get("projected", {}).get("sources", [])
            if "secret" in source
        }
        assert secrets <= allowed
        speaks = {"trade_executor", "kalshi_account_sync"} & set(pod["containers"][0]["args"])
        assert (key in secrets) == bool(speaks)
        assert "ta-alpha-database" in secrets


@settings(max_examples=30)
@given(MODES, SPECS)
def test_selectors_choose_their_own_pods_and_no_others(mode, spec):
    """A selector is part of its template's labels, and of no other template's."""
    world = World(document(mode=mode, **spec), key=good_key())
    world.settle()
    templates = {
        name: set(live["spec"]["template"]["metadata"]["labels"].items())
        for name, live in world.deployments().items()
    }
    for (kind, name), child in world.children.items():
        if kind not in ("Deployment", "Service"):
            continue
        selector = child["spec"]["selector"]
        labels = set((selector["matchLabels"] if kind == "Deployment" else selector).items())
        assert [one for one, held in templates.items() if labels <= held] == [name]
        assert not [text for key, text in labels if "version" in key]


ACCOUNT_NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)
TRICKY = st.builds(
    lambda head, part: f"{head}-{part}"[:32].strip("-"),
    st.from_regex(r"[a-z]{1,4}", fullmatch=True),
    st.sampled_from([*(row.name.replace("_", "-") for row in ACCOUNT_SERVICES), "compact"]),
)


@settings(max_examples=60)
@given(ACCOUNT_NAMES | TRICKY, ACCOUNT_NAMES | TRICKY, TOPOLOGIES, TOPOLOGIES)
def test_names_fit_and_meet_nobody_elses(first, second, one, other):
    """Two accounts never share the name of a child, however they are called."""
    assume(first != second)
    held = [_names_of(first, one), _names_of(second, other)]

    assert not held[0] & held[1]
    assert all(len(name) <= 63 for _, name in held[0] | held[1])


def _names_of(account: str, topology: str) -> set[tuple[str, str]]:
    world = World(document(account, topology=topology), key=good_key(account))
    world.settle()
    secrets = {
        ("Secret", source["secret"]["name"])
        for live in world.deployments().values()
        for volume in live["spec"]["template"]["spec"]["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
    }
    return set(world.children) | (secrets - {("Secret", "recio-redis")})


@settings(max_examples=30)
@given(st.data())
def test_an_account_never_runs_in_two_topologies(data):
    """Through any number of changes of mind, at every look."""
    world = World(document(topology=data.draw(TOPOLOGIES)), key=good_key())
    for _ in range(data.draw(st.integers(2, 6))):
        world.change(topology=data.draw(TOPOLOGIES))
        know(world, data.draw(FACTS), [])
        for _ in range(data.draw(st.integers(1, 4))):
            world.step()
            found = {name == "ta-alpha-compact" for name in world.deployments()}
            assert len(found) <= 1
            if data.draw(st.booleans()):
                world.run_pods()
