"""Parts of the platform that are away for a while: conditions tell, trading goes on or stops as told."""

from __future__ import annotations

import contextlib

from tests.e2e.kubernetes.waiting import Stopwatch, wait_for


@contextlib.contextmanager
def scaled_to_nothing(system, deployment):
    """Take a deployment's pods away while a block runs."""
    kubectl = system.kubectl
    kubectl.run("scale", "deployment", deployment, "--replicas=0")
    chosen = kubectl.one("deployment", deployment)["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{name}={value}" for name, value in chosen.items())
    wait_for(f"no pod of {deployment}", lambda: not kubectl.names("pods", selector), seconds=90)
    try:
        yield
    finally:
        kubectl.run("scale", "deployment", deployment, "--replicas=1")


def test_trading_goes_on_while_the_operator_is_down(system, new_account):
    """Entry and exit without it; a change waits and is made when it is back."""
    trader = new_account("no-operator")
    trader.until_ready()
    before = trader.pod_uids()
    with scaled_to_nothing(system, f"{system.release.fullname}-operator"):
        with system.page() as page:
            trader.close(page, trader.buy(page))
        trader.patch(risk={"maxContractsPerOrder": 7})
    watch = Stopwatch()
    trader.until_ready()
    system.figures.took("operator started to account reconciled", watch.seconds())
    assert trader.pod_uids() == before


def test_redis_is_away_for_a_while(system, new_account):
    """No new entries, exits still work; the account recovers by itself, in the same pods."""
    trader = new_account("no-redis")
    trader.until_ready()
    with system.page() as page:
        trade = trader.buy(page)
    before = trader.pod_uids()
    with scaled_to_nothing(system, f"{system.release.fullname}-redis"):
        trader.wait("something said", lambda: trader.condition("Ready")["status"] != "True")
    trader.until_ready()
    with system.page() as page:
        trader.close(page, trade)
    assert trader.pod_uids() == before
    trader.until_cash_is_equal()


def test_the_database_primary_is_restarted(system, new_account):
    """It is back in seconds; everything goes on in the same pods, and nothing is lost."""
    trader = new_account("db-restart")
    trader.until_ready()
    with system.page() as page:
        trade = trader.buy(page)
    before = trader.pod_uids()
    started = system.books.value("SELECT pg_postmaster_start_time()::text")
    watch = Stopwatch()
    system.kubectl.kill_pod(system.books.primary())
    trader.wait(
        "another server that answers",
        lambda: system.books.value("SELECT pg_postmaster_start_time()::text") != started,
    )
    system.figures.took("database primary killed to answering", watch.seconds())
    trader.until_ready(180)
    system.figures.took("database primary killed to account Ready", watch.seconds())
    system.until_all_ready()
    with system.page() as page:
        trader.close(page, trade)
    assert trader.pod_uids() == before
    trader.until_cash_is_equal()


def test_the_database_is_away_and_nothing_is_restarted(system, new_account):
    """DatabaseReady says so, workloads stay as they are, and it recovers by itself."""
    trader = new_account("no-db")
    trader.until_ready()
    before = trader.pod_uids()
    cluster = f"{system.release.fullname}-db"
    system.kubectl.annotate("clusters.postgresql.cnpg.io", cluster, "cnpg.io/hibernation=on")
    try:
        trader.until_condition("DatabaseReady", "False", seconds=180)
        assert trader.pod_uids() == before
    finally:
        system.kubectl.annotate("clusters.postgresql.cnpg.io", cluster, "cnpg.io/hibernation=off")
    trader.until_condition("DatabaseReady", "True", seconds=240)
    trader.until_ready(240)
    assert trader.pod_uids() == before
    system.until_all_ready()
