"""Books outlive their cluster: backed up to an S3 server, restored into another release, equal."""

from __future__ import annotations

import base64

import pytest
from tests.e2e.cluster import backup
from tests.e2e.cluster.cluster import Cluster
from tests.e2e.kubernetes import elsewhere
from tests.e2e.kubernetes.database import Books
from tests.e2e.kubernetes.helm import Release
from tests.e2e.kubernetes.kubectl import Kubectl
from tests.e2e.kubernetes.system import System
from tests.e2e.kubernetes.waiting import Stopwatch, wait_for

RESTORED = "recio-e2e-restored"
COUNTED = (
    *("accounts", "account_config", "intents", "trades", "orders", "order_events", "fills"),
    *("ledger_transactions", "ledger_postings", "audit"),
)


@pytest.fixture(scope="module")
def s3(system):
    """The values that send backups to an S3 server in the cluster."""
    if elsewhere.is_used():
        pytest.skip("the S3 server is one of the cluster from source packages")
    if "barmancloud.cnpg.io/v1" not in system.kubectl.run("api-versions").split():
        backup.install(Cluster())
    store_secret(system.kubectl)
    return {
        "method": "plugin",
        "destinationPath": "s3://backups/e2e",
        "endpointURL": backup.ENDPOINT,
        "credentialsSecret": "e2e-s3",
    }


def store_secret(kubectl):
    """Make the Secret with the S3 server's key."""
    words = {"ACCESS_KEY_ID": backup.ACCESS_KEY, "ACCESS_SECRET_KEY": backup.SECRET_KEY}
    data = {name: base64.b64encode(word.encode()).decode() for name, word in words.items()}
    head = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "e2e-s3"}}
    kubectl.apply({**head, "data": data})


def counts(books):
    """Return how many rows each table of the books has, and the sum of money."""
    parts = [f"(SELECT count(*) FROM trading.{name}) AS {name}" for name in COUNTED]
    parts.append("(SELECT sum(abs(amount_usd_e6)) FROM trading.ledger_postings) AS money")
    return books.ask(f"SELECT {', '.join(parts)}")[0]


def test_books_are_restored_from_s3_with_equal_counts(system, new_account, values, s3):
    """A base backup, more trades, the log; then another release starts from the store."""
    system.release.upgrade(backup=s3)
    system.until_all_ready()
    trader = new_account("saved")
    trader.until_ready()
    trade_once(system, trader)
    back_up(system)
    trade_once(system, trader)
    trader.until_cash_is_equal()
    trader.leave()
    expected = counts(system.books)
    archive_log(system.books)
    beside = {"crds": {"install": False}, "backup": restored_values(s3)}
    restore(system, trader.name, {**values, **beside}, expected)


def restored_values(s3):
    """Return the values that start from the store and write beside it."""
    return s3 | {"restoreFrom": "recio-db", "serverName": "recio-db-restored"}


def restore(system, account, values, expected):
    """Install a release that starts from the backup, compare, and let the account go on."""
    kubectl = Kubectl(RESTORED)
    kubectl.run("create", "namespace", RESTORED)
    store_secret(kubectl)
    release = Release(kubectl, values)
    again = System(kubectl, release, Books(kubectl, "recio-db"), system.figures)
    watch = Stopwatch()
    try:
        release.install()
        again.until_all_ready(400)
        system.figures.took("restore from S3 to all workloads ready", watch.seconds())
        assert counts(again.books) == expected
        trader = again.trader(account)
        trader.apply()
        trader.until_ready(180)
        with again.page() as page:
            trader.close(page, trader.buy(page))
        trader.until_cash_is_equal()
        trader.leave()
    finally:
        if release.is_there():
            release.uninstall()
        kubectl.delete("namespace", RESTORED)


def trade_once(system, trader):
    """Buy and sell one contract."""
    with system.page() as page:
        trader.close(page, trader.buy(page))


def back_up(system):
    """Make a backup now, as the runbook says, and wait until it is in the store."""
    name = "e2e"
    spec = {
        "cluster": {"name": "recio-db"},
        "method": "plugin",
        "pluginConfiguration": {"name": "barman-cloud.cloudnative-pg.io"},
    }
    head = {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Backup", "metadata": {"name": name}}
    system.kubectl.apply({**head, "spec": spec})

    def is_finished():
        status = system.kubectl.one("backups.postgresql.cnpg.io", name).get("status", {})
        assert status.get("phase") != "failed", status
        return status.get("phase") == "completed"

    wait_for("a finished backup", is_finished, seconds=300, explain=system.explain)


def archive_log(books):
    """Close the present segment of the log and wait until the store has it."""
    segment = books.value("SELECT pg_walfile_name(pg_current_wal_lsn()) AS name")
    books.value("SELECT pg_switch_wal()::text AS at")
    wait_for(
        f"log segment {segment} in the store",
        lambda: books.value(f"SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver"),
        seconds=120,
    )
