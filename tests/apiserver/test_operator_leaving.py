"""Deleting an account: by its policy, within its time, and by force."""

import asyncio

from tests.apiserver.operator_world import paper, until


async def opened(made, name, **spec):
    """Make an account that holds a position."""
    made.objects.create(paper(name, **spec)).expect()
    await made.become_ready(f"ta-{name}-compact")
    await made.says(name, "Ready", "True")
    made.hold_position(name, 100)
    await until(lambda: made.get("TradingAccount", name)["status"]["flat"] is False, what="open")


def resource_switch(made, name):
    """Return the position of the account's own switch."""
    rows = made.ask(
        "SELECT state::text FROM trading.switches WHERE scope = %s AND source = 'resource'", name
    )
    return rows[0][0]


def test_flatten_holds_the_account_until_it_is_flat(run):
    """DeletionPolicy Flatten: the switch is Flatten, the pods stay until nothing is open."""

    async def check(made):
        await made.start_operator()
        await opened(made, "one", deletionPolicy="Flatten")
        made.delete("TradingAccount", "one")
        await until(lambda: resource_switch(made, "one") == "Flatten", what="Flatten")
        await asyncio.sleep(2)
        assert made.get("Deployment", "ta-one-compact") is not None
        assert made.get("TradingAccount", "one") is not None
        made.hold_position("one", 0)
        await made.is_gone("Deployment", "ta-one-compact")
        made.delete("Pod", "ta-one-compact-0")
        await made.is_gone("TradingAccount", "one")

    run(check)


def test_refuse_while_open_waits_for_the_person(run):
    """RefuseWhileOpen is never forced by time; the annotation forces it."""

    async def check(made):
        await made.start_operator()
        await opened(made, "one", deletionPolicy="RefuseWhileOpen", deletionTimeoutSeconds=30)
        made.delete("TradingAccount", "one")
        await until(lambda: resource_switch(made, "one") == "NoNewEntries", what="no entries")
        await asyncio.sleep(1)
        assert made.get("TradingAccount", "one") is not None
        force = {"metadata": {"annotations": {"recio.io/force-finalize": "true"}}}
        made.objects.merge("TradingAccount", "one", force).expect()
        await made.is_gone("TradingAccount", "one")

    run(check)


def test_an_account_that_never_started_is_gone_at_once(run):
    """A document that nobody could use does not hang in Terminating."""

    async def check(made):
        await made.exchange.stop()
        await made.start_operator()
        made.objects.create(paper("one")).expect()
        await made.says("one", "CredentialsValid", "False")
        made.delete("TradingAccount", "one")
        await made.is_gone("TradingAccount", "one")
        await made.exchange.start_again()

    run(check)


def test_pooled_accounts_share_pods_and_leave_one_by_one(run):
    """Topology Pooled: one Deployment for all; it follows who comes and goes."""

    async def check(made):
        await made.start_operator()
        for name in ("one", "two"):
            made.objects.create(paper(name, topology="Pooled")).expect()
        pool = "tp-paper-paper"
        await made.exists("Deployment", pool)
        await until(lambda: hosted(made, pool) == {"one", "two"}, what="both are hosted")
        assert made.get("Deployment", "ta-one-compact") is None
        await made.become_ready(pool)
        await made.says("one", "Ready", "True")
        await made.says("two", "Ready", "True")
        made.delete("TradingAccount", "two")
        await until(lambda: hosted(made, pool) == {"one"}, what="one is left")
        await made.is_gone("TradingAccount", "two")
        made.delete("TradingAccount", "one")
        await made.is_gone("Deployment", pool)
        made.delete("Pod", f"{pool}-0")
        await made.is_gone("TradingAccount", "one")

    run(check)


def hosted(made, pool):
    """Return the accounts of a pool's pods."""
    found = made.get("Deployment", pool) or {}
    annotations = found.get("spec", {}).get("template", {}).get("metadata", {}).get("annotations")
    return set((annotations or {}).get("recio.io/accounts", "").split(",")) - {""}
