"""One situation for each reason that a condition may give, and no reason outside of the list."""

from __future__ import annotations

import dataclasses

import pytest
from tests.unit.operator.world import NOW_US, World, document, good_key, release, running

from recio.domain.account_config import Trading
from recio_operator.planning.observed import Key, KeyState, SwitchSource
from recio_operator.planning.reasons import REASONS, WAITING
from recio_operator.planning.status import failure_notes, with_failure


def fresh(**changes) -> World:
    """Return a demo account at its first visit, with some facts of it."""
    world = World(document(mode="demo"), key=good_key())
    for name, value in changes.items():
        setattr(world, name, value)
    return world


def with_key(state: KeyState) -> World:
    """Return an account whose key is in a state."""
    key = Key(state=state, secret="alpha-kalshi", detail=f"because of {state.value}")
    return fresh(key=key)


def with_pods(reason: str, *, key_is_new: bool = False) -> World:
    """Return a Compact account whose pod says something."""
    world = running(mode="demo", topology="Compact")
    live = world.children["Deployment", "ta-alpha-compact"]
    live["status"]["readyReplicas"] = 0
    world.pods = {"compact": reason}
    if key_is_new:
        del world.document["status"]
    return world


def with_switch(state: Trading) -> World:
    """Return an account that a person has switched on the page."""
    world = running()
    row = SwitchSource(source="ui", state=state, reason="me", since_us=NOW_US)
    world.books = dataclasses.replace(world.books, switches=(row,))
    return world


def with_overrides() -> World:
    """Return an account whose settings a person changed."""
    world = running()
    world.books = dataclasses.replace(world.books, has_overrides=True)
    return world


SITUATIONS = [
    ("CredentialsValid", "False", "SecretNotFound", lambda: with_key(KeyState.SECRET_NOT_FOUND)),
    ("CredentialsValid", "False", "KeyMissing", lambda: with_key(KeyState.KEY_MISSING)),
    ("CredentialsValid", "False", "KeyBroken", lambda: with_key(KeyState.KEY_BROKEN)),
    ("CredentialsValid", "False", "KeyInUse", lambda: with_key(KeyState.KEY_IN_USE)),
    (
        "CredentialsValid",
        "False",
        "RegistrationFailed",
        lambda: with_key(KeyState.REGISTRATION_FAILED),
    ),
    ("CredentialsValid", "Unknown", "KeyUnknown", lambda: fresh(key=None)),
    ("CredentialsValid", "Unknown", "NotVerified", fresh),
    ("CredentialsValid", "True", "Verified", lambda: running(mode="demo")),
    (
        "CredentialsValid",
        "False",
        "KeyRejected",
        lambda: with_pods("last reconciled 12 s ago: GET /portfolio: 401 no such key"),
    ),
    ("DatabaseReady", "Unknown", "NotApplied", fresh),
    ("DatabaseReady", "True", "Connected", running),
    (
        "DatabaseReady",
        "False",
        "DatabaseUnreachable",
        lambda: fresh(books_reason="no answer for 3.4 s"),
    ),
    ("ExchangeReachable", "Unknown", "NotRunning", fresh),
    ("ExchangeReachable", "True", "Synchronised", running),
    (
        "ExchangeReachable",
        "False",
        "ExchangeUnreachable",
        lambda: with_pods("kalshi_account_sync: last reconciled 40 s ago: no answer"),
    ),
    (
        "ExchangeReachable",
        "Unknown",
        "NotSynchronised",
        lambda: with_pods("the books are not reconciled yet"),
    ),
    (
        "ExchangeReachable",
        "False",
        "SeriesNotWatched",
        lambda: running(series=["KXBTCD", "KXETHD"]),
    ),
    (
        "ExchangeReachable",
        "False",
        "EnvironmentNotEnabled",
        lambda: World(document(paper={"source": "LiveFeed"})),
    ),
    ("ExchangeReachable", "False", "NoMirror", lambda: World(document(mode="shadow"))),
    ("TradingEnabled", "True", "Active", running),
    *(
        ("TradingEnabled", "False", state.value, lambda state=state: with_switch(state))
        for state in Trading
        if state is not Trading.ACTIVE
    ),
    ("Overridden", "True", "SettingsOverridden", with_overrides),
    ("Overridden", "False", "AsDeclared", running),
    ("Overridden", "Unknown", "NotApplied", fresh),
    ("Progressing", "True", "WaitingForKey", lambda: fresh(key=None)),
    ("Progressing", "True", "RollingOut", fresh),
    ("Progressing", "False", "Complete", running),
    ("ReconciliationPaused", "False", "NotPaused", running),
    ("Ready", "False", "PodsNotReady", lambda: with_pods("CrashLoopBackOff: back-off 40s")),
    ("Ready", "True", "Ready", running),
    ("Reconciled", "True", "UpToDate", running),
    ("Reconciled", "True", "ChangesWaiting", lambda: fresh(key=None)),
    (
        "Reconciled",
        "Unknown",
        "DatabaseUnreachable",
        lambda: fresh(books_reason="no answer"),
    ),
]


@pytest.mark.parametrize(
    ("kind", "status", "reason", "made"),
    SITUATIONS,
    ids=[f"{kind}-{reason}" for kind, _, reason, _ in SITUATIONS],
)
def test_a_reason(kind, status, reason, made):
    """Each condition says what is so, and never more than is known."""
    world = made()

    world.step()

    assert world.reason(kind) == (status, reason)


def test_every_reason_says_what_it_means():
    """The runbook is made from the list: what is bad also says how it is mended."""
    for name, reason in REASONS.items():
        assert reason.meaning.endswith("."), name
        assert not reason.is_warning or reason.mend, name
        assert not reason.is_warning or reason.is_told, name
    assert set(REASONS) >= WAITING | {state.value for state in Trading}
    assert set(REASONS) >= {state.value for state in KeyState if state is not KeyState.VALID}


def test_a_message_holds_nothing_that_ticks():
    """Seconds in a message would be a write a second."""
    messages = set()
    for text in ("back-off 10s restarting", "back-off 20s restarting", "back-off 5m0s restarting"):
        world = with_pods(f"CrashLoopBackOff: {text} failed container")
        world.step()
        messages.add(world.condition("Ready")["message"])
    for age in (31, 36, 41):
        world = with_pods(f"kalshi_account_sync: last reconciled {age} s ago: no answer")
        world.step()
        messages.add(world.condition("Ready")["message"])

    assert messages == {
        "compact: CrashLoopBackOff",
        "compact: kalshi_account_sync: last reconciled a while ago: no answer",
    }


def test_a_verified_key_stays_verified_while_the_exchange_is_down():
    """An outage says nothing about the key."""
    world = with_pods("kalshi_account_sync: last reconciled 40 s ago: no answer")

    world.step()

    assert world.reason("CredentialsValid") == ("True", "Verified")


def test_an_account_without_a_market_plane_gets_no_workloads():
    """Nothing is made, the message names what the release has and how to enable more."""
    world = World(document(paper={"source": "LiveFeed"}))

    plan = world.plan()

    assert plan.apply == ()
    assert plan.document is None
    message = {one["type"]: one["message"] for one in plan.status["conditions"]}["Ready"]
    assert "LiveFeed" in message
    assert "paper, demo, prod" in message


def test_a_market_plane_that_is_taken_away_stops_nobody():
    """An upgrade that forgets an environment must not kill what trades in it."""
    world = running(mode="demo")
    world.release = release(environments=[])

    plan = world.step()

    assert plan.apply == ()
    assert plan.delete == ()
    assert world.reason("Reconciled") == ("False", "EnvironmentNotEnabled")


def test_a_shadow_account_gets_no_pods_and_is_told_why():
    """Its orders have no mirror to go to here, and production's plane must not be their way."""
    world = World(document(mode="shadow"), key=good_key())

    world.settle()

    assert world.deployments() == {}
    for condition in ("Ready", "ExchangeReachable", "Reconciled"):
        assert world.reason(condition) == ("False", "NoMirror")


def test_a_key_in_use_stops_the_pods():
    """They read the Secret at each connection and would trade with the other account's key."""
    world = running(mode="demo")
    world.key = dataclasses.replace(world.key, state=KeyState.KEY_IN_USE, detail="used by beta")

    world.settle()

    assert {live["spec"]["replicas"] for live in world.deployments().values()} == {0}
    assert world.reason("Ready") == ("False", "KeyInUse")


def test_a_key_that_is_needed_is_asked_for_only_in_paper():
    """In other modes a person makes it."""
    assert World(document()).plan().needs_key
    assert not with_key(KeyState.SECRET_NOT_FOUND).plan().needs_key


def test_a_failed_act_is_told():
    """The API server's refusal is a condition, and what is effective stays what it was."""
    world = running()
    world.change(trading="Halted")
    plan = world.plan()

    status = with_failure(plan.status, world.document, "quota exceeded", now_us=NOW_US + 5_000_000)

    said = {one["type"]: one for one in status["conditions"]}
    assert [note.kind for note in failure_notes(world.document, "quota exceeded")] == ["Warning"]
    assert len(said) == 9
    assert said["Reconciled"]["reason"] == "ApplyRefused"
    assert said["Ready"]["status"] == "False"
    assert said["Ready"]["lastTransitionTime"] == "2026-11-18T11:06:45Z"
    assert status["effectiveGeneration"] == 1
    world.document["status"] = status
    again = with_failure(plan.status, world.document, "quota exceeded", now_us=NOW_US + 9_000_000)
    assert again == status
    assert failure_notes(world.document, "quota exceeded") == ()
