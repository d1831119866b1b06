"""Pools: many accounts in one process, and none of them disturbed by the others' documents."""

from __future__ import annotations

import dataclasses

from tests.unit.operator.world import SECOND_US, Desk, World, document, good_key, release

from recio_operator.planning.observed import KeyState
from recio_operator.planning.templates import hosted_accounts

NEW = release(image={"reference": "ghcr.io/rec-io/recio:0.2.0"})


def desk(*names: str, mode: str = "paper", **spec) -> Desk:
    """Return a settled desk of pooled accounts."""
    worlds = [
        World(
            document(name, mode=mode, topology="Pooled", **spec), key=good_key(name, number=number)
        )
        for number, name in enumerate(names, start=1)
    ]
    made = Desk(worlds, environment="paper" if mode == "paper" else mode)
    made.settle()
    made.rolled.clear()
    return made


def upgrade(made: Desk) -> None:
    """Give the whole desk another image."""
    made.release = NEW
    for world in made.worlds:
        world.release = NEW


def open_position(world: World) -> None:
    """Let an account hold a position."""
    world.books = dataclasses.replace(world.books, is_flat=False, open_trades=1)


def test_accounts_share_one_deployment():
    """Two accounts, one pod, no objects of their own."""
    made = desk("alpha", "beta")

    assert hosted_accounts(made.pool) == ("alpha", "beta")
    assert made.children["ConfigMap", "tp-paper-paper"]["data"]["RECIO_ACCOUNTS"] == "alpha,beta"
    for world in made.worlds:
        assert world.children == {}
        assert world.reason("Ready") == ("True", "Ready")
        assert world.document["status"]["workloads"] == "1/1"


def test_every_account_owns_the_pool_and_none_controls_it():
    """The pool goes when the last account went, not with the first."""
    made = desk("alpha", "beta")

    for child in made.children.values():
        owners = child["metadata"]["ownerReferences"]
        assert [one["name"] for one in owners] == ["alpha", "beta"]
        assert not [one for one in owners if one.get("controller")]


def test_a_new_account_waits_for_the_others():
    """It joins when everybody who is inside may be restarted."""
    made = desk("alpha")
    open_position(made.worlds[0])
    made.worlds.append(World(document("beta", topology="Pooled"), key=good_key("beta", number=2)))

    made.settle()

    assert hosted_accounts(made.pool) == ("alpha",)
    assert made.rolled == []
    assert made.worlds[1].reason("Progressing") == ("True", "WaitingForPool")
    made.worlds[0].books = dataclasses.replace(made.worlds[0].books, is_flat=True)
    made.settle()
    assert hosted_accounts(made.pool) == ("alpha", "beta")


def test_one_open_position_holds_the_whole_pool():
    """They restart together, so they wait for each other."""
    made = desk("alpha", "beta")
    open_position(made.worlds[1])
    upgrade(made)

    made.settle()

    assert made.rolled == []
    made.worlds[1].books = dataclasses.replace(made.worlds[1].books, is_flat=True)
    made.settle()
    assert made.rolled == ["tp-paper-paper"]


def test_one_unknown_account_holds_the_whole_pool():
    """Unknown is not flat."""
    made = desk("alpha", "beta")
    made.worlds[0].books_reason = "connection refused"
    upgrade(made)

    made.settle()

    assert made.rolled == []


def test_an_account_that_leaves_takes_its_turn():
    """Stopped in the pool first, gone then."""
    made = desk("alpha", "beta")
    made.worlds[0].delete()

    made.settle()

    assert made.worlds[0].is_gone
    assert hosted_accounts(made.pool) == ("beta",)


def test_the_last_account_takes_the_pool_with_it():
    """Nothing is left of an empty pool."""
    made = desk("alpha")
    made.worlds[0].delete()

    made.settle()

    assert made.children == {}


def test_an_account_that_is_gone_is_not_waited_for():
    """Its Secrets go with it; a pod that restarts later must not look for them."""
    made = desk("alpha", "beta")
    open_position(made.worlds[1])
    made.worlds[0].is_gone = True

    made.settle()

    assert hosted_accounts(made.pool) == ("beta",)


def test_a_suspended_account_is_not_hosted():
    """Suspended in a pool: the others go on without it."""
    made = desk("alpha", "beta")
    made.worlds[0].change(suspend=True)

    made.settle()

    assert hosted_accounts(made.pool) == ("beta",)
    assert made.worlds[0].reason("Ready") == ("False", "Suspended")


def test_a_key_of_another_account_is_out_at_once():
    """Two accounts with one key double every limit; nobody is waited for."""
    made = desk("alpha", "beta", mode="demo")
    open_position(made.worlds[1])
    made.worlds[0].key = dataclasses.replace(made.worlds[0].key, state=KeyState.KEY_IN_USE)

    made.settle()

    assert hosted_accounts(made.pool) == ("beta",)
    assert made.worlds[0].reason("CredentialsValid") == ("False", "KeyInUse")


def test_a_broken_key_disturbs_nobody():
    """The pool keeps what it has."""
    made = desk("alpha", "beta", mode="demo")
    made.worlds[0].key = dataclasses.replace(
        made.worlds[0].key, state=KeyState.KEY_BROKEN, digest="f" * 64
    )

    made.settle()

    assert made.rolled == []
    assert hosted_accounts(made.pool) == ("alpha", "beta")


def test_a_rotated_key_rolls_the_pool_within_a_minute():
    """Held images stay held; the key does not wait longer than for orders in flight."""
    made = desk("alpha", "beta", mode="demo")
    for world in made.worlds:
        world.books = dataclasses.replace(world.books, is_flat=False, live_orders=1)
    upgrade(made)
    made.settle()
    made.worlds[0].key = good_key("alpha", number=9)
    made.settle()
    assert made.rolled == []
    assert made.worlds[0].reason("CredentialsValid") == ("Unknown", "Rotating")

    made.now_us += 61 * SECOND_US
    for world in made.worlds:
        world.now_us = made.now_us
    made.settle()

    assert made.rolled == ["tp-demo-demo"]
    container = made.pool["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "ghcr.io/rec-io/recio:0.1.0"
    assert made.worlds[0].reason("CredentialsValid") == ("True", "Verified")


def test_an_account_moves_into_a_pool_and_out_again():
    """Never in two places: out of the old one before into the new one."""
    made = desk("alpha", "beta")
    alpha = made.worlds[0]
    alpha.change(topology="PerService")
    made.settle()
    assert hosted_accounts(made.pool) == ("beta",)
    assert len(alpha.deployments()) == 6

    alpha.change(topology="Pooled")
    made.settle()

    assert alpha.deployments() == {}
    assert hosted_accounts(made.pool) == ("alpha", "beta")
    assert alpha.children == {}


def test_one_missing_secret_does_not_keep_the_others_from_starting():
    """Every account's files in a pool are optional mounts."""
    made = desk("alpha", "beta", mode="demo")
    volumes = made.pool["spec"]["template"]["spec"]["volumes"]
    sources = [
        source["secret"]
        for volume in volumes
        if volume["name"] in ("database", "credentials")
        for source in volume["projected"]["sources"]
    ]

    assert len(sources) == 4
    assert all(source["optional"] for source in sources)


def test_an_account_that_is_gone_is_waited_for_while_the_others_are_unknown():
    """Even then no pod is replaced that may have something open."""
    made = desk("alpha", "beta")
    made.worlds[0].is_gone = True
    made.worlds[1].books_reason = "connection refused"

    made.settle()

    assert made.rolled == []


def test_an_account_without_a_good_key_does_not_get_in():
    """A pool is not restarted for an account that could not trade in it."""
    made = desk("alpha", mode="demo")
    broken = dataclasses.replace(good_key("beta", number=2), state=KeyState.KEY_BROKEN)
    made.worlds.append(World(document("beta", mode="demo", topology="Pooled"), key=broken))

    made.settle()

    assert hosted_accounts(made.pool) == ("alpha",)
    assert made.worlds[1].reason("Progressing") == ("True", "WaitingForKey")
    made.worlds[1].key = good_key("beta", number=2)
    made.settle()
    assert hosted_accounts(made.pool) == ("alpha", "beta")
